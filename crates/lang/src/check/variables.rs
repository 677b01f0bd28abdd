//! What a template may name, by where it stands.

use botpipe_kernel::plan::StateScope;
use serde_json::Value as Json;

use super::paths::names_item;
use crate::document::{Document, StepDecl, WorkDecl};

/// Where a template is rendered.
#[derive(Clone, Copy)]
pub(super) enum Place<'d> {
    /// A prompt, a command, an expression.
    Step(&'d StepDecl),
    /// What a step with children starts them with: nothing has come of them yet.
    Start(&'d StepDecl),
    /// What a route renders or evaluates once there is an outcome.
    Exit(&'d StepDecl),
    /// What a worklist is read by: no step is in progress, and there is no item.
    List,
    /// What a run gives back: it is over, and there is no step and no item.
    End,
    /// The path of an artifact, with the step it belongs to. The steps that use it say whether
    /// there is an item.
    Path(Option<&'d StepDecl>),
}

/// What is wrong with a variable.
pub(super) enum Fault {
    /// There is no such root; these are.
    Root { roots: Vec<String> },
    /// The root has no such field; these are.
    Field { of: String, field: String, known: Vec<String> },
    /// There is one only in a scoped step.
    NoItem,
}

const PLAIN: [&str; 12] = [
    "message",
    "request",
    "input",
    "params",
    "artifacts",
    "run",
    "task",
    "workflow",
    "step",
    "checks",
    "item",
    "worklist",
];
const ITEM: [&str; 7] = ["id", "title", "status", "payload", "index", "count", "dir_key"];
const WORKLIST: [&str; 4] = ["name", "total", "completed", "remaining"];

/// Judges a dotted variable such as `input.request`.
pub(super) fn judge(document: &Document, place: Place<'_>, variable: &str) -> Option<Fault> {
    let mut parts = variable.split('.');
    let root = parts.next().unwrap_or_default();
    let rest: Vec<&str> = parts.collect();
    let step = match place {
        Place::Step(step) | Place::Start(step) | Place::Exit(step) => Some(step),
        Place::Path(owner) => owner,
        Place::List | Place::End => None,
    };
    let is_path = matches!(place, Place::Path(_));
    let is_list = matches!(place, Place::List);
    // In a path there is one word for the item, so that it can be seen which paths have a part of it.
    let branch = step.and_then(|step| step.branch.as_ref());
    let outer = branch.and_then(|branch| branch.scope.as_ref());
    let scope = step.and_then(|step| step.scope.as_ref()).or(outer).filter(|_| !is_path);
    let joins = !matches!(place, Place::Start(_) | Place::Path(_))
        && step.is_some_and(|step| matches!(step.work, WorkDecl::Group(_)));
    let is_alias = scope.is_some_and(|scope| scope.value.as_str() == root);
    match root {
        "message" | "request" => none_of(root, &rest),
        "run" | "task" => one_of(root, &rest, &["id"]),
        "workflow" => one_of(root, &rest, &["name", "folder"]),
        "step" if step.is_some() => one_of(root, &rest, &["id", "visit"]),
        "input" => by_schema(root, &rest, &document.input.as_ref()?.json),
        "params" => by_schema(root, &rest, &document.params.as_ref()?.json),
        "artifacts" if !is_path => artifacts(document, step, root, &rest),
        "checks" if !is_path && step.is_some() => step.and_then(|step| checks(step, root, &rest)),
        "route" | "outcome" if !is_path && !is_list => match rest.as_slice() {
            ["payload" | "route_fields", ..] => None,
            _ => one_of(root, &rest, &["tag", "payload", "route_fields"]),
        },
        "item" | "worklist" | "current_worklist" if !is_path && scope.is_none() => {
            Some(Fault::NoItem)
        }
        "branch" if is_path && branch.is_none_or(|branch| branch.of_items) => match rest.as_slice()
        {
            ["item", ..] => None,
            _ => one_of(root, &rest, &["id", "key", "index", "count", "item"]),
        },
        "branch" if branch.is_some() => match rest.as_slice() {
            ["item", ..] if branch.is_some_and(|branch| branch.of_items) => None,
            _ => one_of(root, &rest, &["id", "key", "index", "count"]),
        },
        "fan_in" if joins => one_of(root, &rest, &["results"]),
        "state" | "step_state" | "item_state" if !is_path && !states_known(document, step) => None,
        "worklist" | "current_worklist" if !is_path => one_of(root, &rest, &WORKLIST),
        _ if let Some(schema) = state(document, step, root).filter(|_| !is_path) => {
            by_schema(root, &rest, schema)
        }
        _ if root == "item" || is_alias => match rest.as_slice() {
            ["payload", ..] => None,
            _ => one_of(root, &rest, &ITEM),
        },
        _ => {
            let absent = |name: &str| match name {
                "artifacts" => is_path,
                "checks" => is_path || step.is_none(),
                "item" | "worklist" => !is_path && scope.is_none(),
                "step" => step.is_none(),
                _ => false,
            };
            let there = PLAIN.iter().filter(|name| !absent(name));
            let mut roots: Vec<String> = there.map(|&name| name.to_owned()).collect();
            if branch.is_some() {
                roots.push("branch".to_owned());
            }
            if joins {
                roots.push("fan_in".to_owned());
            }
            if !is_path && !is_list {
                roots.extend(["route".to_owned(), "outcome".to_owned()]);
                let states = StateScope::ALL.map(|(word, _)| word);
                let there = states.iter().filter(|word| state(document, step, word).is_some());
                roots.extend(there.map(|&word| word.to_owned()));
            }
            Some(Fault::Root { roots })
        }
    }
}

/// Whether all that a step sees of the state was read whole.
fn states_known(document: &Document, step: Option<&StepDecl>) -> bool {
    document.state.is_known()
        && step.is_none_or(|step| step.step_state.is_known() && step.item_state.is_known())
}

/// The schema behind a root that is a state.
fn state<'d>(document: &'d Document, step: Option<&'d StepDecl>, root: &str) -> Option<&'d Json> {
    let (_, scope) = StateScope::ALL.iter().find(|(word, _)| *word == root)?;
    super::state::schema_of(document, step, *scope).map(|schema| &schema.json)
}

fn field_fault(of: &str, field: &str, known: Vec<String>) -> Fault {
    Fault::Field { of: of.to_owned(), field: field.to_owned(), known }
}

/// A plain text has no fields.
fn none_of(root: &str, rest: &[&str]) -> Option<Fault> {
    Some(field_fault(root, rest.first()?, Vec::new()))
}

fn one_of(root: &str, rest: &[&str], known: &[&str]) -> Option<Fault> {
    let first = rest.first()?;
    if known.contains(first) {
        return none_of(&format!("{root}.{first}"), &rest[1..]);
    }
    Some(field_fault(root, first, known.iter().map(|&name| name.to_owned()).collect()))
}

fn artifacts(
    document: &Document,
    step: Option<&StepDecl>,
    root: &str,
    rest: &[&str],
) -> Option<Fault> {
    if !document.artifacts_known {
        return None;
    }
    let first = rest.first()?;
    let found = document.artifacts.named(first);
    let scoped = |step: &StepDecl| {
        step.scope.is_some() || step.branch.as_ref().is_some_and(|branch| branch.scope.is_some())
    };
    if found.is_some_and(names_item) && step.is_some_and(|step| !scoped(step)) {
        return Some(Fault::NoItem);
    }
    if found.is_none() {
        let names = document.artifacts.iter().map(|artifact| artifact.name.value.to_string());
        return Some(field_fault(root, first, names.collect()));
    }
    one_of(&format!("{root}.{first}"), &rest[1..], &["path"])
}

fn checks(step: &StepDecl, root: &str, rest: &[&str]) -> Option<Fault> {
    let names: Vec<String> =
        step.work.checks().iter().map(|check| check.name.value.to_string()).collect();
    let first = rest.first()?;
    if !names.iter().any(|name| name == first) {
        return Some(field_fault(root, first, names));
    }
    one_of(&format!("{root}.{first}"), &rest[1..], &["status", "output"])
}

/// Follows the properties of a schema as far as it closes them.
fn by_schema(root: &str, rest: &[&str], schema: &Json) -> Option<Fault> {
    let mut path = root.to_owned();
    let mut schema = schema;
    for part in rest {
        let closed = schema.get("additionalProperties") == Some(&Json::Bool(false))
            && schema.get("patternProperties").is_none();
        let properties = schema.get("properties").and_then(Json::as_object);
        match properties.and_then(|properties| properties.get(*part)) {
            Some(next) => schema = next,
            // Branches of a schema may bring properties of their own.
            None if closed && !has_branches(schema) => {
                let known = properties.into_iter().flat_map(|all| all.keys().cloned()).collect();
                return Some(field_fault(&path, part, known));
            }
            None => return None,
        }
        path = format!("{path}.{part}");
    }
    None
}

fn has_branches(schema: &Json) -> bool {
    ["$ref", "allOf", "anyOf", "oneOf", "if"].iter().any(|key| schema.get(key).is_some())
}
