//! The ways to break one part of a right file, and where and how each break must be reported.

use serde_json::{Value as Json, json};

use super::format::{Format, Part, Rule};
use super::tree::{Path, Tree};
use super::{names, texts};

/// A file broken in one place.
pub(crate) struct Mutant {
    /// In words, with the way to the place.
    pub(crate) what: String,
    pub(crate) tree: Tree,
    pub(crate) wanted: Wanted,
}

/// How it must be reported.
pub(crate) struct Wanted {
    /// One of these codes; a prefix stands for all that begin so.
    pub(crate) codes: Vec<&'static str>,
    /// At one of these parts.
    pub(crate) at: Vec<At>,
}

/// A place of the broken file.
#[derive(Debug, Clone)]
pub(crate) enum At {
    /// The key of this part, exactly.
    Key(Path),
    /// Anywhere in this part, its key included.
    In(Path),
}

/// All mutants of a file.
pub(crate) fn all(tree: &Tree, format: &Format) -> Vec<Mutant> {
    let parts = format.parts(tree);
    let mut mutants = Vec::new();
    for part in &parts {
        keys(tree, part, &mut mutants);
        if part.rule != Rule::Data && !part.path.is_empty() {
            values(tree, format, part, &mut mutants);
        }
        missing(tree, part, &mut mutants);
        names::references(tree, part, &mut mutants);
        names::outcomes(tree, part, &mut mutants);
        names::declarations(tree, part, &parts, &mut mutants);
        texts::variables(tree, part, &mut mutants);
        data(tree, part, &mut mutants);
        misfits(tree, part, &mut mutants);
    }
    mutants
}

/// Each key of a map given twice; each key of the format misspelt.
fn keys(tree: &Tree, part: &Part, mutants: &mut Vec<Mutant>) {
    let Some(Tree::Map(entries)) = tree.at(&part.path) else { return };
    for (n, (key, value)) in entries.iter().enumerate() {
        let mut twice = tree.clone();
        twice.entries_mut(&part.path).push((key.clone(), value.clone()));
        let place = below(&part.path, key);
        mutants.push(Mutant {
            what: format!("given twice: {}", place.join(".")),
            tree: twice,
            wanted: Wanted { codes: vec!["BP0103"], at: vec![At::Key(place.clone())] },
        });
        if matches!(part.rule, Rule::Fixed { .. }) {
            let slip = format!("{key}_");
            let mut misspelt = tree.clone();
            misspelt.entries_mut(&part.path)[n].0.clone_from(&slip);
            mutants.push(Mutant {
                what: format!("misspelt: {}", place.join(".")),
                tree: misspelt,
                wanted: Wanted {
                    codes: vec!["BP0201"],
                    at: vec![At::Key(below(&part.path, &slip))],
                },
            });
        }
    }
}

/// A value of each type that the format does not allow there.
fn values(tree: &Tree, format: &Format, part: &Part, mutants: &mut Vec<Mutant>) {
    let others = [
        json!(null),
        json!(true),
        json!(17),
        json!(0),
        json!(0.5),
        json!(""),
        json!("zz"),
        json!([1]),
        json!([]),
        json!({ "zz": 1 }),
        json!({}),
    ];
    for other in others {
        let mut changed = tree.clone();
        *changed.at_mut(&part.path).unwrap() = Tree::of(&other);
        if format.allows(&changed) {
            continue;
        }
        mutants.push(Mutant {
            what: format!("{other} for {}", part.path.join(".")),
            tree: changed,
            wanted: Wanted { codes: vec!["BP02"], at: vec![At::In(part.path.clone())] },
        });
    }
}

/// Each key that the format requires left out, and each that the step's kind requires.
fn missing(tree: &Tree, part: &Part, mutants: &mut Vec<Mutant>) {
    let Rule::Fixed { required, .. } = &part.rule else { return };
    for key in required {
        mutants.push(without(tree, &part.path, key, &["BP0203"]));
    }
    let Some(Tree::Map(entries)) = tree.at(&part.path) else { return };
    let has = |key: &str| entries.iter().any(|(it, _)| it == key);
    for (keys, beside, codes) in NEEDED {
        let there: Vec<&str> = keys.iter().copied().filter(|key| has(key)).collect();
        // Worklists have ids and commands too.
        let of_step = part.path.first().is_some_and(|it| it == "steps");
        if let [key] = there.as_slice()
            && beside.iter().all(|key| has(key))
            && (of_step || beside != ["id"])
        {
            mutants.push(without(tree, &part.path, key, codes));
        }
    }
}

/// One of these keys is needed in a map that has all of those beside it.
const NEEDED: [(&[&str], &[&str], &[&str]); 16] = [
    (&["scope"], &["id"], &["BP0403", "BP0408", "BP0422", "BP0507", "BP0509", "BP0510"]),
    (&KINDS, &["id"], &["BP0210"]),
    (&["json", "md", "text", "raw"], &[], &["BP0203"]),
    (&["from", "run"], &["collection"], &["BP0203"]),
    (&["from", "run"], &["select"], &["BP0203"]),
    (&["for", "until", "signal"], &[], &["BP0454", "BP0203"]),
    (&["values", "artifact"], &["schema"], &["BP0203"]),
    (&["command", "replay"], &[], &["BP0203"]),
    (&FORMS, &[], &["BP0404", "BP0203"]),
    (&["exhausted"], &["complete_and_advance"], &["BP0404", "BP0203"]),
    (&["exhausted"], &["advance"], &["BP0404", "BP0203"]),
    (&["exhausted"], &["refresh"], &["BP0404", "BP0203"]),
    (&["verify"], &["produce"], &["BP0210"]),
    (&["produce"], &["verify"], &["BP0210"]),
    (&["validates"], &["validate"], &["BP0203"]),
    (&["feedback"], &["validate"], &["BP0203"]),
];

const KINDS: [&str; 10] = [
    "prompt", "llm", "classify", "run", "validate", "ask", "wait", "workflow", "parallel",
    "fan_out",
];

const FORMS: [&str; 6] =
    ["to", "complete_and_advance", "advance", "complete_current", "refresh", "reset"];

/// A type that is none, and a default of another type, in the author's JSON Schemas.
fn data(tree: &Tree, part: &Part, mutants: &mut Vec<Mutant>) {
    let (Rule::Data, Some((last, map))) = (&part.rule, part.path.split_last()) else { return };
    let Some(Tree::Scalar(Json::String(kind))) = tree.at(&below(map, "type")) else { return };
    let (by, code) = match last.as_str() {
        "type" => (json!("strin"), "BP0504"),
        "default" if kind == "string" => (json!(17), "BP0505"),
        "default" => (json!("zz"), "BP0505"),
        _ => return,
    };
    let mut changed = tree.clone();
    *changed.at_mut(&part.path).unwrap() = Tree::of(&by);
    mutants.push(Mutant {
        what: format!("{by} for {}", part.path.join(".")),
        tree: changed,
        wanted: Wanted { codes: vec![code], at: vec![At::In(part.path.clone())] },
    });
}

/// A constant of another type than the place of the state that a route sets.
fn misfits(tree: &Tree, part: &Part, mutants: &mut Vec<Mutant>) {
    let [above @ .., routes, _, set, place] = part.path.as_slice() else { return };
    let Some((of, key)) = place.split_once('.').filter(|_| routes == "routes" && set == "set")
    else {
        return;
    };
    let of_state = if of == "state" { tree.get("state") } else { tree.at(&below(above, of)) };
    let Some(fields) = of_state.map(|it| it.get("properties").unwrap_or(it)) else { return };
    let Some(kind) = fields.get(key).and_then(|it| it.get("type")).and_then(Tree::text) else {
        return;
    };
    let by = if kind == "string" { "17" } else { "'zz'" };
    mutants.push(Mutant {
        what: format!("{by} for {}", part.path.join(".")),
        tree: replaced(tree, &part.path, by),
        wanted: Wanted { codes: vec!["BP0421"], at: vec![At::In(part.path.clone())] },
    });
}

/// A key of a map left out, which is reported at the map.
pub(super) fn without(tree: &Tree, map: &[String], key: &str, codes: &[&'static str]) -> Mutant {
    let mut less = tree.clone();
    less.entries_mut(map).retain(|(it, _)| it != key);
    Mutant {
        what: format!("left out: {}", below(map, key).join(".")),
        tree: less,
        wanted: Wanted { codes: codes.to_vec(), at: vec![At::In(map.to_vec())] },
    }
}

pub(super) fn below(path: &[String], key: &str) -> Path {
    path.iter().cloned().chain([key.to_owned()]).collect()
}

/// The value of a part replaced by a text.
pub(super) fn replaced(tree: &Tree, path: &[String], by: &str) -> Tree {
    let mut changed = tree.clone();
    *changed.at_mut(path).unwrap() = Tree::Scalar(Json::from(by));
    changed
}
