//! Names that lead to nothing: at the place that names, and where what is named was called otherwise.

use super::breaks::{At, Mutant, Wanted, below, replaced};
use super::format::{Part, Rule};
use super::tree::{Path, Tree};

/// What a text names, by where it stands; the codes that say that there is no such thing.
fn named(tree: &Tree, path: &[String]) -> Option<(Kind, &'static [&'static str])> {
    let text = tree.at(path)?.text()?;
    let keys: Vec<&str> = path.iter().map(String::as_str).collect();
    Some(match keys.as_slice() {
        ["entry"] => (Kind::Step, &["BP0304"]),
        [.., "parallel", _, "routes", _] | [.., "branch", "routes", _] => (Kind::Step, &["BP0462"]),
        [.., "parallel", _, "routes", _, "to"] | [.., "branch", "routes", _, "to"] => {
            (Kind::Step, &["BP0462"])
        }
        [.., "routes", _] | ["global_routes", _] if text != "disabled" => (Kind::Step, &["BP0304"]),
        [.., "routes" | "global_routes", _, form] if FORMS.contains(form) => {
            (Kind::Step, &["BP0304"])
        }
        [.., "scope"] => (Kind::Worklist, &["BP0302"]),
        ["worklists", _, "from"] if text.starts_with("params.") || text.starts_with("state.") => {
            (Kind::Data, &["BP0426"])
        }
        ["worklists", _, "from"]
        | ["output", "artifact"]
        | [.., "fan_out", "from"]
        | [.., "validates" | "feedback"] => (Kind::Artifact, &["BP0301"]),
        [.., "required_writes", _] => (Kind::Artifact, &["BP0301", "BP0306"]),
        [.., "required_checks", _] => (Kind::Check, &["BP0303"]),
        [.., list, _] if ARTIFACTS.contains(list) => (Kind::Artifact, &["BP0301"]),
        ["steps", .., "session" | "verifier_session"] => (Kind::Session, &["BP0427"]),
        ["steps", .., "workflow"] => (Kind::Workflow, &["BP0465"]),
        ["steps", .., "into"] => (Kind::State, &["BP0420"]),
        [.., "success_routes", _] => (Kind::Route, &["BP0304", "BP0306", "BP0451"]),
        _ => return None,
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Step,
    Worklist,
    Artifact,
    Check,
    Session,
    Workflow,
    State,
    Route,
    Data,
}

/// Each text that names something replaced by what nothing is called.
pub(super) fn references(tree: &Tree, part: &Part, mutants: &mut Vec<Mutant>) {
    let path = &part.path;
    if let Some((kind, codes)) = named(tree, path) {
        let by = match kind {
            Kind::State => "state.zz_none",
            Kind::Data => "params.zz_none",
            _ => "zz_none",
        };
        mutants.push(Mutant {
            what: format!("no such {kind:?}: {}", path.join(".")),
            tree: replaced(tree, path, by),
            wanted: Wanted { codes: codes.to_vec(), at: vec![At::In(path.clone())] },
        });
    }
    // What a route sets is named by a key, and what a policy sets is a variable.
    if let (Some("set"), Some(Tree::Map(entries))) =
        (path.last().map(String::as_str), tree.at(path))
    {
        for (n, (key, _)) in entries.iter().enumerate() {
            let none = format!("{}.zz_none", key.split('.').next().unwrap_or_default());
            let mut changed = tree.clone();
            changed.entries_mut(path)[n].0.clone_from(&none);
            mutants.push(Mutant {
                what: format!("no such State: {}", below(path, key).join(".")),
                tree: changed,
                wanted: Wanted {
                    codes: vec!["BP0420", "BP0219"],
                    at: vec![At::Key(below(path, &none))],
                },
            });
        }
    }
}

/// Each route of a step whose outcomes are known called otherwise; those with a condition are free.
pub(super) fn outcomes(tree: &Tree, part: &Part, mutants: &mut Vec<Mutant>) {
    let Some((last, above)) = part.path.split_last() else { return };
    let (Some(step), "routes") = (tree.at(above), last.as_str()) else { return };
    let known = ["validate", "ask", "wait", "classify", "llm", "workflow", "parallel", "fan_out"];
    if step.get("fan_in").is_some() || known.iter().all(|kind| step.get(kind).is_none()) {
        return;
    }
    let Some(Tree::Map(routes)) = tree.at(&part.path) else { return };
    for (n, (tag, route)) in routes.iter().enumerate() {
        if route.get("when").is_some() {
            continue;
        }
        let mut changed = tree.clone();
        "zz_none".clone_into(&mut changed.entries_mut(&part.path)[n].0);
        let place = below(&part.path, "zz_none");
        mutants.push(Mutant {
            what: format!("no outcome: {}.{tag}", part.path.join(".")),
            tree: changed,
            wanted: Wanted { codes: vec!["BP0451", "BP0461"], at: vec![At::Key(place)] },
        });
    }
}

/// Each thing that is named elsewhere called otherwise: one of the places that name it is reported.
pub(super) fn declarations(tree: &Tree, part: &Part, parts: &[Part], mutants: &mut Vec<Mutant>) {
    let path = &part.path;
    let keys: Vec<&str> = path.iter().map(String::as_str).collect();
    let kind = match keys.as_slice() {
        ["artifacts"] => Kind::Artifact,
        [.., list, _] if ARTIFACTS.contains(list) && part.rule == Rule::Names => Kind::Artifact,
        ["worklists"] => Kind::Worklist,
        ["sessions"] => Kind::Session,
        [.., "checks", _] if part.rule == Rule::Names => Kind::Check,
        ["steps", _, "id"] => Kind::Step,
        _ => return,
    };
    let names: Vec<String> = match tree.at(path) {
        Some(Tree::Map(entries)) => entries.iter().map(|(name, _)| name.clone()).collect(),
        Some(it) => it.text().map(str::to_owned).into_iter().collect(),
        None => return,
    };
    for (n, name) in names.iter().enumerate() {
        let by_name = |other: &&Part| {
            let found = named(tree, &other.path);
            found.is_some_and(|(it, _)| it == kind)
                && tree.at(&other.path).and_then(Tree::text) == Some(name)
        };
        let places: Vec<Path> = parts.iter().filter(by_name).map(|it| it.path.clone()).collect();
        let Some(first) = places.first() else { continue };
        let codes = named(tree, first).map_or(&[][..], |it| it.1);
        let mut changed = tree.clone();
        match changed.at_mut(path) {
            Some(Tree::Map(entries)) => "zz_other".clone_into(&mut entries[n].0),
            Some(it) => *it = Tree::Scalar("zz_other".into()),
            None => return,
        }
        mutants.push(Mutant {
            what: format!("called otherwise: {} {name}", path.join(".")),
            tree: changed,
            wanted: Wanted {
                codes: codes.iter().copied().chain(["BP0306"]).collect(),
                at: places
                    .iter()
                    .filter(|it| !it.starts_with(&below(path, name)))
                    .map(|it| At::In(it.clone()))
                    .collect(),
            },
        });
    }
}

const FORMS: [&str; 7] =
    ["to", "complete_and_advance", "advance", "complete_current", "refresh", "reset", "exhausted"];

const ARTIFACTS: [&str; 9] = [
    "requires",
    "reads",
    "writes",
    "producer_writes",
    "verifier_writes",
    "verifier_requires",
    "verifier_reads",
    "shows",
    "feedback",
];
