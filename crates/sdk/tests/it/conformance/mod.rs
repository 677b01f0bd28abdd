//! What is built in Rust is the plan of the file that says the same, and all that files can say can be built.

mod agents;
mod basics;
mod code;
mod groups;
mod items;
mod policies;
mod shipped;
mod words;
mod words_used;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use botpipe::Workflow;
use botpipe::build::{Schema, Step, WorkflowBuilder};
use botpipe_lang::{FileProblem, Files, Folder, SourceFile, compile};

use words_used::{Word, known, used};

/// A workflow in Rust and the file that says the same.
struct Case {
    file: PathBuf,
    built: WorkflowBuilder,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The corpus of the language: every file of it compiles.
fn corpus() -> PathBuf {
    root().join("crates/lang/tests/corpus/ok")
}

/// The workflow that several files of the corpus start.
fn greet() -> WorkflowBuilder {
    Workflow::builder("greet")
        .input([("who", Schema::string())])
        .params([("loud", Schema::boolean().default(false))])
        .step(Step::prompt("greet", "Greet {{ input.who }}."))
}

/// The files beside a twin; `greet` is where the corpus has it.
struct Beside(PathBuf);

impl Files for Beside {
    fn read(&self, relative: &str) -> Result<String, FileProblem> {
        Folder::new(&self.0).read(relative)
    }

    fn workflow(&self, reference: &str) -> Result<(SourceFile, Box<dyn Files>), String> {
        let below = corpus().join("../below");
        let name = format!("{reference}.sop.yaml");
        let text = fs::read_to_string(below.join(&name)).map_err(|error| error.to_string())?;
        Ok((SourceFile { name, text }, Box::new(Self(below))))
    }
}

type Table = Vec<(&'static str, fn() -> WorkflowBuilder)>;

fn cases() -> Vec<Case> {
    let of_corpus: Table =
        [basics::all(), agents::all(), groups::all(), items::all(), code::all(), policies::all()]
            .concat();
    let of_corpus = of_corpus.into_iter().map(|(name, built)| {
        let file = corpus().join(name).with_extension("sop.yaml");
        Case { built: built().folder(file.parent().unwrap()), file }
    });
    let shipped = shipped::all().into_iter().map(|(name, built)| {
        let file = root().join("workflows").join(name).join("sop.yaml");
        Case { built: built().folder(file.parent().unwrap()), file }
    });
    let own = words::all().into_iter().map(|(name, built)| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance");
        Case { built: built(), file: folder.join(name).with_extension("sop.yaml") }
    });
    of_corpus.chain(shipped).chain(own).collect()
}

#[test]
fn every_case_is_the_plan_of_its_file() {
    let cases = cases();
    assert!(cases.len() >= 34, "{}", cases.len());
    let mut differing = Vec::new();
    for Case { file, built } in cases {
        let text = fs::read_to_string(&file).unwrap();
        let source = SourceFile { name: file.display().to_string(), text };
        let twin = compile(&source, &Beside(file.parent().unwrap().to_owned()));
        assert!(twin.plan.is_some(), "{}: {:?}", file.display(), twin.diagnostics);
        let shown = built.to_text();
        let workflow = built.build().unwrap_or_else(|error| panic!("{error}\n{shown}"));
        assert_eq!(workflow.text(), shown);
        if workflow.digest() != twin.plan_digest.as_ref() {
            differing.push(format!("{}; built:\n{shown}", file.display()));
        }
        assert_eq!(workflow.warnings().len(), twin.diagnostics.len(), "{}", file.display());
    }
    assert!(differing.is_empty(), "other plans than those of\n{}", differing.join("\n"));
}

/// What no case says, of what was asked for.
fn missing(wanted: BTreeSet<Word>) -> Vec<Word> {
    let said: BTreeSet<Word> =
        cases().iter().flat_map(|case| used(&case.built.to_text())).collect();
    wanted.into_iter().filter(|word| !said.contains(word)).collect()
}

#[test]
fn every_key_and_word_of_the_language_is_built_in_some_case() {
    let missing = missing(known());
    assert!(missing.is_empty(), "no case says {missing:#?}");
}

#[test]
fn every_key_of_the_corpus_and_of_the_shipped_ones_is_built_in_some_case() {
    let mut files: Vec<PathBuf> =
        fs::read_dir(corpus()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.to_string_lossy().ends_with(".sop.yaml"));
    let shipped = fs::read_dir(root().join("workflows")).unwrap();
    files.extend(shipped.map(|entry| entry.unwrap().path().join("sop.yaml")));
    assert!(files.len() >= 31, "{}", files.len());
    let texts = files.iter().map(|file| fs::read_to_string(file).unwrap());
    let missing = missing(texts.flat_map(|text| used(&text)).collect());
    assert!(missing.is_empty(), "no case says {missing:#?}");
}
