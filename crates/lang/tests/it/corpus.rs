//! Every file of the corpus compiles, or says exactly what its snapshot says.
//!
//! After a wanted change: `UPDATE_SNAPSHOTS=1 cargo test -p botpipe-lang`, then read the difference.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use botpipe_lang::{
    Code, Compiled, FileProblem, Files, Folder, Severity, SourceFile, canonical_json,
    canonical_plan, compile,
};

use crate::render::render_plain;

pub(crate) fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(name)
}

/// Path and text of every workflow of a folder, by name.
pub(crate) fn workflows(name: &str) -> Vec<(PathBuf, String)> {
    let mut found: Vec<_> = std::fs::read_dir(folder(name))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(".sop.yaml"))
        .map(|path| (path.clone(), std::fs::read_to_string(&path).unwrap()))
        .collect();
    found.sort();
    found
}

fn compiled(path: &Path, text: &str) -> Compiled {
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let files = Corpus(path.parent().unwrap().to_owned());
    compile(&SourceFile { name, text: text.to_owned() }, &files)
}

/// The files beside a workflow, and the workflows that others start: in `below`, or beside it.
pub(crate) struct Corpus(pub(crate) PathBuf);

impl Files for Corpus {
    fn read(&self, relative: &str) -> Result<String, FileProblem> {
        Folder::new(&self.0).read(relative)
    }

    fn workflow(&self, reference: &str) -> Result<(SourceFile, Box<dyn Files>), String> {
        let name = format!("{reference}.sop.yaml");
        let found =
            [folder("below"), self.0.clone()].into_iter().find(|it| it.join(&name).is_file());
        let Some(found) = found else { return Err(format!("there is no workflow `{reference}`")) };
        let text = std::fs::read_to_string(found.join(&name)).unwrap();
        Ok((SourceFile { name, text }, Box::new(Self(found))))
    }
}

/// Compares with the file beside the workflow; collects what differs.
fn snapshot(path: &Path, found: &str, differing: &mut Vec<String>) {
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(path, found).unwrap();
    } else if std::fs::read_to_string(path).unwrap_or_default() != found {
        differing.push(format!("{} differs; now:\n{found}", path.display()));
    }
}

#[test]
fn good_files_compile_to_the_plan_of_their_snapshot() {
    let mut differing = Vec::new();
    for (path, text) in workflows("ok") {
        let compiled = compiled(&path, &text);
        let rendered = render_plain(&text, &compiled.diagnostics);
        assert!(compiled.diagnostics.is_empty(), "{}:\n{rendered}", path.display());
        let plan = compiled.plan.unwrap();
        let shown = serde_json::to_string_pretty(&plan).unwrap() + "\n";
        snapshot(&path.with_extension("plan.json"), &shown, &mut differing);
        let read: botpipe_kernel::plan::Plan = serde_json::from_str(&shown).unwrap();
        assert_eq!(read, plan, "{}: a plan reads back", path.display());
        let canonical = canonical_json(&serde_json::to_value(&plan).unwrap());
        assert_eq!(canonical_plan(&plan), canonical, "{}: one spelling", path.display());
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

#[test]
fn bad_files_say_what_their_snapshot_says() {
    let mut differing = Vec::new();
    for (path, text) in workflows("bad") {
        let compiled = compiled(&path, &text);
        let rendered = render_plain(&text, &compiled.diagnostics);
        assert!(!compiled.diagnostics.is_empty(), "{} has no problem", path.display());
        let errors = compiled.diagnostics.iter().any(|found| found.severity == Severity::Error);
        assert_eq!(compiled.plan.is_none(), errors, "{}", path.display());
        snapshot(&path.with_extension("txt"), &rendered, &mut differing);
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

#[test]
fn every_code_has_a_bad_file() {
    let shown: BTreeSet<Code> = workflows("bad")
        .iter()
        .flat_map(|(path, text)| compiled(path, text).diagnostics)
        .map(|diagnostic| diagnostic.code)
        .collect();
    // Those of settings (BP06..) have their corpus beside the command that reads them.
    let of_workflows = Code::ALL.iter().filter(|code| code.as_str() < "BP0600");
    let missing: Vec<_> = of_workflows.filter(|code| !shown.contains(code)).collect();
    assert!(missing.is_empty(), "no file in tests/corpus/bad shows {missing:?}");
}

#[test]
fn the_corpus_is_large_enough() {
    let bad = workflows("bad");
    let errors = |(path, text): &(PathBuf, String)| {
        let found = compiled(path, text).diagnostics;
        found.iter().filter(|it| it.severity == Severity::Error).count()
    };
    assert!(workflows("ok").len() >= 60, "{} files are right", workflows("ok").len());
    assert!(bad.len() >= 120, "{} files are wrong", bad.len());
    let several = bad.iter().filter(|file| errors(file) >= 3).count();
    assert!(several >= 30, "{several} files have three errors or more");
}

#[test]
fn every_code_has_bad_files_of_different_shape() {
    let mut shapes: BTreeMap<Code, BTreeSet<(String, String)>> = BTreeMap::new();
    let mut files: BTreeMap<Code, BTreeSet<PathBuf>> = BTreeMap::new();
    for (path, text) in workflows("bad") {
        for found in compiled(&path, &text).diagnostics {
            let line = text.lines().nth(found.labels[0].line - 1).unwrap_or_default();
            let shape = (without_names(&found.message), without_names(line));
            shapes.entry(found.code).or_default().insert(shape);
            files.entry(found.code).or_default().insert(path.clone());
        }
    }
    let of_workflows = Code::ALL.iter().filter(|code| code.as_str() < "BP0600");
    let few = of_workflows.filter(|code| {
        shapes.get(code).map_or(0, BTreeSet::len) < 2
            || files.get(code).map_or(0, BTreeSet::len) < 2
    });
    let few: Vec<String> =
        few.map(|code| format!("{code} {}: {:?}", code.title(), shapes.get(code))).collect();
    assert!(few.is_empty(), "fewer than two files, or of one shape:\n{}", few.join("\n"));
}

/// A line with what authors call things taken out: the keys and the words around stay.
fn without_names(line: &str) -> String {
    let mut out = String::new();
    let mut quoted = false;
    for part in line.trim().split('`') {
        if !quoted {
            out += part;
        }
        quoted = !quoted;
    }
    out
}

#[test]
fn every_code_is_documented() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/diagnostics.md");
    let page = std::fs::read_to_string(page).unwrap();
    for code in Code::ALL {
        assert!(page.contains(code.as_str()) && page.contains(code.explanation()), "{code}");
    }
}

#[test]
fn codes_are_in_order_and_explained() {
    let numbers: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    for code in Code::ALL {
        assert!(!code.title().is_empty() && code.explanation().ends_with('.'), "{code}");
    }
}

#[test]
fn every_place_lies_on_one_line_of_its_file() {
    for (path, text) in workflows("bad") {
        for diagnostic in compiled(&path, &text).diagnostics {
            assert!(diagnostic.labels[0].primary);
            for label in diagnostic.labels {
                let shown = text.get(label.span.start..label.span.end);
                assert!(shown.is_some_and(|it| !it.contains('\n')), "{}", path.display());
            }
        }
    }
}
