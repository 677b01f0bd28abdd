//! Rule: every target, and the entry, is a step that exists.

use botpipe_kernel::ids::StepId;
use botpipe_kernel::plan::Target;

use crate::diagnostic::{Code, Problem, Report};
use crate::document::Document;
use crate::source::Span;

const WORDS: [&str; 4] = ["SELF", "FINISH", "FAIL", "AWAIT_INPUT"];

pub(super) fn check(document: &Document, report: &mut Report<'_>) {
    if !document.steps_known {
        return;
    }
    if let Some(entry) = &document.entry {
        known(document, &entry.value, entry.span, &[], report);
    }
    let own = document.steps.iter().flat_map(|step| &step.routes).filter(|route| !route.inherited);
    for target in own.chain(&document.global.routes).flat_map(|route| route.action.targets()) {
        if let Target::Step(id) = &target.value {
            known(document, id, target.span, &WORDS, report);
        }
    }
}

fn known(document: &Document, id: &StepId, span: Span, words: &[&str], report: &mut Report<'_>) {
    if document.step_index(id).is_some() {
        return;
    }
    let names: Vec<&str> = document
        .steps
        .iter()
        .map(|step| step.id.value.as_str())
        .chain(words.iter().copied())
        .collect();
    report.push(
        Problem::new(Code::UnknownTarget, span, format!("there is no step `{id}`"))
            .suggest(id.as_str(), names),
    );
}
