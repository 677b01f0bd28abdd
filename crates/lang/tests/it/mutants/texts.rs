//! Variables of templates and expressions that nobody knows.

use super::breaks::{At, Mutant, Wanted, replaced};
use super::format::Part;
use super::tree::Tree;

/// Each known variable of a text called otherwise, and a field of those whose fields are known.
pub(super) fn variables(tree: &Tree, part: &Part, mutants: &mut Vec<Mutant>) {
    let path = &part.path;
    let Some(text) = tree.at(path).and_then(Tree::text) else { return };
    let Some(inside) = inside(text, path) else { return };
    for (at, root) in words(text) {
        if !inside(at) {
            continue;
        }
        let mut push = |what: &str, changed: String, code| {
            mutants.push(Mutant {
                what: format!("{what} `{root}` of {}: {changed}", path.join(".")),
                tree: replaced(tree, path, &changed),
                wanted: Wanted { codes: vec![code], at: vec![At::In(path.clone())] },
            });
        };
        if !ROOTS.contains(&root) {
            continue;
        }
        let end = at + root.len();
        push("variable", format!("{}zz_none{}", &text[..at], &text[end..]), "BP0507");
        let field = text[end..].strip_prefix('.').map(|rest| {
            rest.split(|it: char| !it.is_alphanumeric() && it != '_').next().unwrap_or_default()
        });
        if let Some(field) = field.filter(|_| CLOSED.contains(&root)) {
            let after = &text[end + 1 + field.len()..];
            push("field of", format!("{}.zz_none{after}", &text[..end]), "BP0508");
        }
    }
}

type Inside<'t> = Box<dyn Fn(usize) -> bool + 't>;

/// Whether a place of a text is evaluated; nothing for a text that never is.
fn inside<'t>(text: &'t str, path: &[String]) -> Option<Inside<'t>> {
    let keys: Vec<&str> = path.iter().map(String::as_str).collect();
    let expression = match keys.as_slice() {
        [.., "environment", "set", _] => return None,
        [.., "when"] | [.., "set", _] | ["output", "values", _] => true,
        [.., "fan_out"] => !text.contains("{{"),
        [.., "continuity", "key"] | [.., "select" | "with" | "params", _] => false,
        [.., last] if TEMPLATES.contains(last) => false,
        _ => return None,
    };
    if keys.first() != Some(&"steps") && expression && keys.first() != Some(&"output") {
        return None;
    }
    Some(Box::new(move |at| {
        let opened = ["{{", "{%"].iter().filter_map(|it| text[..at].rfind(it)).max();
        let closed = ["}}", "%}"].iter().filter_map(|it| text[..at].rfind(it)).max();
        expression || opened.is_some_and(|opened| closed.is_none_or(|closed| closed < opened))
    }))
}

/// The words of a text that begin a variable, and where they stand: not fields, texts in quotes, or keys.
fn words(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut at = 0;
    let mut quote = None;
    while let Some(first) = text[at..].chars().next() {
        let length = text[at..]
            .find(|it: char| !it.is_alphanumeric() && it != '_')
            .unwrap_or(text.len() - at);
        if length == 0 {
            match quote {
                Some(open) if open == first => quote = None,
                None if first == '\'' || first == '"' => quote = Some(first),
                _ => {}
            }
            at += first.len_utf8();
            continue;
        }
        let of_field = text[..at].ends_with('.');
        if quote.is_none() && !of_field {
            found.push((at, &text[at..at + length]));
        }
        at += length;
    }
    found
}

const TEMPLATES: [&str; 14] = [
    "prompt", "produce", "verify", "llm", "classify", "run", "ask", "handoff", "until", "message",
    "json", "md", "text", "raw",
];

const ROOTS: [&str; 23] = [
    "message",
    "request",
    "input",
    "params",
    "run",
    "task",
    "workflow",
    "step",
    "item",
    "worklist",
    "current_worklist",
    "ticket",
    "state",
    "step_state",
    "item_state",
    "artifacts",
    "checks",
    "outcome",
    "route",
    "branch",
    "fan_in",
    "finding",
    "module",
];

/// Those whose fields are all known.
const CLOSED: [&str; 12] = [
    "input",
    "params",
    "run",
    "task",
    "workflow",
    "step",
    "state",
    "step_state",
    "item_state",
    "artifacts",
    "checks",
    "branch",
];
