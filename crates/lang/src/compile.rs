//! The one door: a workflow's text to its plan, or to what is wrong with it.

use std::collections::BTreeMap;

use botpipe_kernel::ids::Digest;
use botpipe_kernel::plan::{Plan, Provider};

use crate::canonical::{canonical_plan, digest_of};
use crate::check::{WorstCase, check, worst_case};
use crate::diagnostic::{Code, Diagnostic, Problem, Report};
use crate::document;
use crate::files::{FileProblem, Files};
use crate::lower::lower;
use crate::metadata::{Metadata, of_tree};
use crate::source::{SourceFile, Span};
use crate::yaml;

/// What became of a workflow file.
#[derive(Debug, Clone)]
pub struct Compiled {
    /// `None` when any diagnostic is an error.
    pub plan: Option<Plan>,
    /// Everything the plan names by digest: prompts, schemas, handoffs, commands, expressions.
    pub texts: BTreeMap<Digest, String>,
    /// SHA-256 of [`canonical_plan`].
    pub plan_digest: Option<Digest>,
    /// The recording that a `replay` provider plays, as text.
    pub cassette: Option<String>,
    /// Name and words about the workflow, as far as they could be read.
    pub meta: Metadata,
    /// All problems of the file, by place.
    pub diagnostics: Vec<Diagnostic>,
    /// The most provider turns a run may take.
    pub turns: Option<WorstCase>,
}

/// Compiles a workflow; reads the files it names through `files`, runs nothing.
///
/// The workflows it starts are compiled with it: their plans and texts are among its texts.
pub fn compile(source: &SourceFile, files: &dyn Files) -> Compiled {
    compile_below(source, files, &[])
}

/// Compiles a workflow that others start; `above` are the places of their files.
pub(crate) fn compile_below(source: &SourceFile, files: &dyn Files, above: &[String]) -> Compiled {
    let mut report = Report::on(source);
    let mut compiled = Compiled {
        plan: None,
        texts: BTreeMap::new(),
        plan_digest: None,
        cassette: None,
        meta: Metadata::default(),
        diagnostics: Vec::new(),
        turns: None,
    };
    if let Some(root) = yaml::parse(&mut report) {
        compiled.meta = of_tree(&root);
        let document = document::read(&root, &mut report, files, above);
        let replays = root.get("provider").map(|it| it.value.place_of("/replay"));
        // Of a long file the tree is large, and what follows needs room too.
        drop(root);
        if let Some(checked) = document.and_then(|document| check(document, &mut report)) {
            let turns = worst_case(&checked);
            if let Some((plan, texts)) = lower(checked) {
                compiled.cassette = cassette(&plan, replays, files, &mut report);
                compiled.plan_digest = Some(digest_of(&canonical_plan(&plan)));
                compiled.plan = Some(plan);
                compiled.texts = texts;
                compiled.turns = Some(turns);
            }
        }
    }
    compiled.diagnostics = report.finish();
    compiled
}

/// A recording that is not there yet does not keep the file from compiling: another provider may be
/// chosen for the run, or the recording may still have to be made.
fn cassette(
    plan: &Plan,
    place: Option<Span>,
    files: &dyn Files,
    report: &mut Report<'_>,
) -> Option<String> {
    let Some(Provider::Replay { cassette, .. }) = &plan.provider else { return None };
    match files.read(cassette) {
        Ok(text) => Some(text),
        Err(problem) => {
            let span = place.unwrap_or_default();
            let words = match problem {
                FileProblem::Missing => "there is no such file",
                FileProblem::Outside => "it lies outside the workflow's folder",
                FileProblem::NotText => "it is not UTF-8 text",
                FileProblem::TooLarge => "it is too large",
                FileProblem::Unreadable { .. } => "the system refuses",
            };
            report.push(
                Problem::new(
                    Code::NoCassette,
                    span,
                    format!("the recording `{cassette}` cannot be read: {words}"),
                )
                .warning()
                .help("until it is there, a run needs another provider"),
            );
            None
        }
    }
}
