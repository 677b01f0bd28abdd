//! Rule: a step whose outcomes are known has routes for these, and none besides.

use crate::diagnostic::{Code, Problem, Report};
use crate::document::{Document, StepDecl, WorkDecl};

pub(super) fn check(document: &Document, report: &mut Report<'_>) {
    for step in document.steps.iter().filter(|step| step.routes_known) {
        let outcomes = outcomes(step);
        if outcomes.is_empty() {
            continue;
        }
        no_others(step, &outcomes, report);
        feedback(step, report);
    }
}

/// All that a step can come to; nothing for one whose agent or script names its routes itself.
fn outcomes(step: &StepDecl) -> Vec<&str> {
    match &step.work {
        WorkDecl::Validate { .. } => vec!["valid", "invalid"],
        WorkDecl::Prompt { .. }
        | WorkDecl::ProduceVerify { .. }
        | WorkDecl::Run { .. }
        | WorkDecl::Unknown => Vec::new(),
    }
}

fn no_others(step: &StepDecl, outcomes: &[&str], report: &mut Report<'_>) {
    for route in &step.routes {
        let tag = route.tag.value.as_str();
        if !outcomes.contains(&tag) {
            let message = format!("step `{}` never takes route `{tag}`", step.id.value);
            report.push(
                Problem::new(Code::NeverTaken, route.tag.span, message)
                    .suggest(tag, outcomes.iter().copied()),
            );
        }
    }
}

/// The engine writes the feedback only when the artifact is found invalid.
fn feedback(step: &StepDecl, report: &mut Report<'_>) {
    let WorkDecl::Validate { feedback: [feedback], .. } = &step.work else { return };
    let valid = step.routes.iter().filter(|route| route.tag.value.as_str() == "valid");
    let required = valid.filter_map(|route| route.required_writes.as_ref()).flatten();
    for name in required.filter(|name| name.value == feedback.value) {
        let message = format!("route `valid` comes without `{}`", name.value);
        report.push(
            Problem::new(Code::NotWrittenHere, name.span, message)
                .help("the feedback is written when the artifact is found invalid"),
        );
    }
}
