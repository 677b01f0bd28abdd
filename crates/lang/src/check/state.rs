//! Rule: a route sets only what a state has, to what fits there.

use botpipe_kernel::plan::StateScope;
use serde_json::{Map, Value as Json};

use crate::diagnostic::{Code, Problem, Report};
use crate::document::{AssignmentDecl, Document, SchemaDecl, StateDecl, StepDecl, WorkDecl};
use crate::template::ENVIRONMENT;

pub(super) fn check(document: &Document, report: &mut Report<'_>) {
    for step in &document.steps {
        if let (StateDecl::Schema(span, _), None) = (&step.item_state, &step.scope) {
            let message = format!("step `{}` has no items to keep a state for", step.id.value);
            report.push(
                Problem::new(Code::ItemStateScope, *span, message)
                    .help("give the step a `scope`, or write `step_state`"),
            );
        }
        let sets = step.routes.iter().flat_map(|route| &route.set);
        for assignment in step.into.as_deref().into_iter().chain(sets) {
            assigned(document, step, assignment, report);
        }
        if let Some(into) = &step.into {
            // A question that times out puts nothing there.
            let routes = step.routes.iter().filter(|it| it.tag.value.as_str() != "timed_out");
            let sets = routes.flat_map(|route| &route.set);
            for twice in sets.filter(|set| set.place.value == into.place.value) {
                let message = format!("`{}` is set twice", into.place.value);
                report.push(
                    Problem::new(Code::DuplicateKey, twice.place.span, message)
                        .also(into.place.span, "first here"),
                );
            }
        }
    }
}

/// The schema of a scope, as a step sees it; `None`: there is none, or it was reported.
pub(super) fn schema_of<'d>(
    document: &'d Document,
    step: Option<&'d StepDecl>,
    scope: StateScope,
) -> Option<&'d SchemaDecl> {
    match scope {
        StateScope::Run => document.state.schema(),
        StateScope::Step => step?.step_state.schema(),
        StateScope::Item => step?.item_state.schema(),
    }
}

fn assigned(document: &Document, step: &StepDecl, set: &AssignmentDecl, report: &mut Report<'_>) {
    let place = &set.place.value;
    let known = match place.scope {
        StateScope::Run => document.state.is_known(),
        StateScope::Step => step.step_state.is_known(),
        StateScope::Item => step.item_state.is_known(),
    };
    if !known {
        return;
    }
    let Some(schema) = schema_of(document, Some(step), place.scope) else {
        let of = if place.scope == StateScope::Run { "the workflow" } else { "the step" };
        let message = format!("{of} declares no `{}`", place.scope.as_str());
        report.push(Problem::new(Code::UnknownState, set.place.span, message).help(format!(
            "add `{}: {{ {}: {{ … }} }}`",
            place.scope.as_str(),
            place.key
        )));
        return;
    };
    let properties = schema.json.get("properties").and_then(Json::as_object);
    let Some(property) = properties.and_then(|all| all.get(&place.key)) else {
        if schema.json.get("additionalProperties") == Some(&Json::Bool(false)) {
            let names = properties.into_iter().flat_map(Map::keys);
            let names: Vec<_> =
                names.map(|name| format!("{}.{name}", place.scope.as_str())).collect();
            let message = format!("`{}` has no `{}`", place.scope.as_str(), place.key);
            let names = names.iter().map(String::as_str);
            report.push(
                Problem::new(Code::UnknownState, set.place.span, message)
                    .suggest(&place.to_string(), names),
            );
        }
        return;
    };
    if let Some(found) = misfit(document, step, set, property) {
        let message = format!("`{place}` cannot hold {found}");
        let problem = Problem::new(Code::SetMisfit, set.value.span, message);
        report.push(if set.place.span == set.value.span {
            problem
        } else {
            problem.also(set.place.span, "set here")
        });
    }
}

/// What an assignment would put there that does not fit, as far as it can be told before a run: the
/// value of a constant, the types of a variable.
fn misfit(
    document: &Document,
    step: &StepDecl,
    set: &AssignmentDecl,
    property: &Json,
) -> Option<String> {
    let expression = ENVIRONMENT.compile_expression(&set.value.text).ok()?;
    let variables = expression.undeclared_variables(true);
    if variables.is_empty() {
        let value = serde_json::to_value(expression.eval(()).ok()?).ok()?;
        let validator = jsonschema::validator_for(property).ok()?;
        return validator.validate(&value).err().map(|error| format!("`{value}`: {error}"));
    }
    let path = set.value.text.trim();
    if !variables.contains(path) {
        return None;
    }
    let payload = payload(&step.work);
    let mut parts = path.split('.');
    let root = match parts.next()? {
        "outcome" if parts.next() == Some("payload") => payload.as_ref(),
        "input" => document.input.as_ref(),
        "params" => document.params.as_ref(),
        word => {
            let (_, scope) = StateScope::ALL.iter().find(|(name, _)| *name == word)?;
            schema_of(document, Some(step), *scope)
        }
    }?;
    let found = parts.try_fold(&root.json, |schema, part| schema.get("properties")?.get(part))?;
    let (has, takes) = (types(found), types(property));
    let fits =
        |kind: &&str| takes.contains(kind) || (*kind == "integer" && takes.contains(&"number"));
    let never = !has.is_empty() && !takes.is_empty() && !has.iter().any(fits);
    never.then(|| format!("`{path}`: it is {}, and not {}", has.join(" or "), takes.join(" or ")))
}

/// The schema of what comes with a step's outcome, where that is known.
fn payload(work: &WorkDecl) -> Option<SchemaDecl> {
    match work {
        WorkDecl::Llm { returns, .. } => Some(returns.clone()),
        WorkDecl::Ask { answer: Some(answer), .. } => Some(answer.clone()),
        WorkDecl::Ask { .. } | WorkDecl::Classify { .. } => Some(SchemaDecl::text()),
        _ => None,
    }
}

/// The types that a schema names.
pub(super) fn types(schema: &Json) -> Vec<&str> {
    match schema.get("type") {
        Some(Json::String(kind)) => vec![kind],
        Some(Json::Array(kinds)) => kinds.iter().filter_map(Json::as_str).collect(),
        _ => Vec::new(),
    }
}
