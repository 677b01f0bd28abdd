//! The checker, tested by mutation: every right file broken in every place, and each break found there.

mod breaks;
mod format;
mod names;
mod texts;
mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path as FilePath;

use botpipe_lang::{Compiled, Severity, SourceFile, compile};

use self::breaks::{At, Mutant, Wanted, all};
use self::format::{Format, Rule};
use self::tree::{Path, Place, Tree};
use crate::corpus::{Corpus, folder, workflows};

fn compiled(text: &str) -> Compiled {
    let source = SourceFile { name: "mutant.sop.yaml".to_owned(), text: text.to_owned() };
    compile(&source, &Corpus(folder("ok")))
}

#[test]
fn a_file_written_anew_means_the_same() {
    for (path, text) in workflows("ok") {
        let (anew, _) = Tree::read(&text).write();
        let found = compiled(&anew);
        assert!(
            found.diagnostics.is_empty(),
            "{}: {:?}\n{anew}",
            path.display(),
            found.diagnostics
        );
        assert_eq!(found.plan_digest, compiled(&text).plan_digest, "{}:\n{anew}", path.display());
    }
}

#[test]
fn every_key_of_the_format_is_in_a_right_file() {
    let format = Format::read();
    let mut unused: BTreeMap<Vec<String>, BTreeSet<String>> = BTreeMap::new();
    for (_, text) in workflows("ok") {
        let tree = Tree::read(&text);
        for part in format.parts(&tree) {
            let (Rule::Fixed { all, .. }, Some(Tree::Map(entries))) =
                (part.rule, tree.at(&part.path))
            else {
                continue;
            };
            // A branch is a step that says besides which routes are a success.
            let all: Vec<String> = all.into_iter().filter(|it| it != "success_routes").collect();
            let left = unused.entry(all.clone()).or_insert_with(|| all.into_iter().collect());
            left.retain(|key| entries.iter().all(|(it, _)| it != key));
        }
    }
    unused.retain(|_, left| !left.is_empty());
    assert!(unused.is_empty(), "no file in tests/corpus/ok has, of the keys of a map: {unused:#?}");
}

#[test]
fn every_break_is_found_where_it_is() {
    let format = Format::read();
    let files = workflows("ok");
    let (first, second) = files.split_at(files.len() / 2);
    let mut survivors = std::thread::scope(|scope| {
        let halves = [first, second].map(|half| scope.spawn(|| survivors_of(half, &format)));
        halves.map(|half| half.join().unwrap()).concat()
    });
    survivors.sort();
    let (allowed, survivors): (Vec<_>, Vec<_>) = survivors.into_iter().partition(|said| {
        ALLOWED.iter().any(|(file, what, _)| said.starts_with(&format!("{file}: {what}")))
    });
    assert_eq!(allowed.len(), ALLOWED.len(), "some that are allowed do not survive: {allowed:#?}");
    assert!(survivors.is_empty(), "{} survive:\n{}", survivors.len(), survivors.join("\n"));
}

/// Breaks that are none: file, what, and why it is right.
const ALLOWED: [(&str, &str, &str); 5] = [
    ("schemas_of_both_forms.sop.yaml", "field of `input` of steps.0.prompt", OPEN),
    ("state.sop.yaml", "no such State: steps.1.routes.done.set.item_state.done", OPEN),
    ("state.sop.yaml", "no such State: steps.1.routes.retry.set.item_state.tries", OPEN),
    ("state.sop.yaml", "field of `item_state` of steps.1.prompt", OPEN),
    ("state.sop.yaml", "field of `item_state` of steps.1.routes.retry.set.item_state.tries", OPEN),
];

const OPEN: &str = "a whole JSON Schema without `additionalProperties: false` allows any other key";

#[test]
fn the_judge_bites() {
    let tree = Tree::read("{sop: 1, name: x, steps: [{id: a, prompt: Go., route: {done: a}}]}");
    let step = ["steps".to_owned(), "0".to_owned()];
    let key = |key: &str| step.iter().cloned().chain([key.to_owned()]).collect::<Path>();
    let said = |code, at| {
        let wanted = Wanted { codes: vec![code], at: vec![at] };
        judge(FilePath::new("x"), &Mutant { what: String::new(), tree: tree.clone(), wanted })
    };
    assert_eq!(said("BP0201", At::Key(key("route"))), None);
    assert!(said("BP0201", At::Key(key("prompt"))).is_some(), "found elsewhere");
    assert!(said("BP0201", At::In(key("route"))).is_none());
    assert!(said("BP0202", At::Key(key("route"))).is_some(), "found as something else");
}

fn survivors_of(files: &[(std::path::PathBuf, String)], format: &Format) -> Vec<String> {
    let mut survivors = Vec::new();
    for (path, text) in files {
        let tree = Tree::read(text);
        for mutant in all(&tree, format) {
            survivors.extend(judge(path, &mutant));
        }
    }
    survivors
}

/// What is wrong with how a mutant is reported.
fn judge(path: &FilePath, mutant: &Mutant) -> Option<String> {
    let (text, places) = mutant.tree.write();
    let found = compiled(&text);
    let errors = || found.diagnostics.iter().filter(|it| it.severity == Severity::Error);
    let code = |code: &str, wanted: &Wanted| wanted.codes.iter().any(|it| code.starts_with(it));
    let right = errors().any(|it| {
        let span = it.labels[0].span;
        let at = |at: &At| covers(at, &places, span.start, span.end);
        code(it.code.as_str(), &mutant.wanted) && mutant.wanted.at.iter().any(at)
    });
    if right {
        return None;
    }
    let said: Vec<String> = errors()
        .map(|it| {
            format!("{} at `{}`", it.code, &text[it.labels[0].span.start..it.labels[0].span.end])
        })
        .collect();
    let name = path.file_name().unwrap().to_string_lossy();
    Some(format!("{}: {}: wanted {:?}, found {said:?}", name, mutant.what, mutant.wanted.codes))
}

fn covers(at: &At, places: &BTreeMap<Path, Place>, start: usize, end: usize) -> bool {
    match at {
        At::Key(path) => {
            let key = &places[path].key;
            (start, end) == (key.start, key.end)
        }
        At::In(path) => {
            let Place { key, value } = &places[path];
            let from = if key.is_empty() { value.start } else { key.start };
            start >= from && end <= value.end
        }
    }
}
