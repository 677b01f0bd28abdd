//! Rule: a step whose outcomes are known has a route for each, and none besides.

use std::collections::BTreeSet;

use botpipe_kernel::plan::Visibility;

use crate::diagnostic::{Code, Problem, Report};
use crate::document::{Document, RouteDecl, StepDecl, WaitDecl, WorkDecl};
use crate::source::Spanned;

pub(super) fn check(document: &Document, report: &mut Report<'_>) {
    for step in document.steps.iter().filter(|step| step.routes_known) {
        let outcomes = outcomes(step);
        if outcomes.is_empty() {
            continue;
        }
        // A hook may pick any route.
        if !step.hooks.any() {
            no_others(step, &outcomes, report);
        }
        for outcome in outcomes.iter().filter(|outcome| !has_route(step, outcome)) {
            nowhere(step, outcome, report);
        }
        feedback(step, report);
        payloads(step, report);
        visibilities(step, &outcomes, report);
    }
}

/// What comes with the outcome of such a step is known too.
fn payloads(step: &StepDecl, report: &mut Report<'_>) {
    let with = match &step.work {
        WorkDecl::Llm { .. } => "what it `returns`",
        WorkDecl::Classify { .. } => "the choice",
        WorkDecl::Ask { .. } => "the answer",
        WorkDecl::Wait { .. } => "what came with the signal",
        _ => "what was printed",
    };
    for route in step.routes.iter().filter(|route| route.payload.is_some()) {
        let message = format!("the payload of step `{}` is {with}", step.id.value);
        report.push(
            Problem::new(Code::WrongKind, route.tag.span, message)
                .help("remove the route's `payload`"),
        );
    }
}

/// Nobody is offered the routes of such a step.
fn visibilities(step: &StepDecl, outcomes: &[&str], report: &mut Report<'_>) {
    let said = |route: &&RouteDecl| {
        let is_outcome = outcomes.contains(&route.tag.value.as_str()) && route.when.is_none();
        is_outcome && route.visibility.unwrap_or_default() != Visibility::Provider
    };
    for route in step.routes.iter().filter(said) {
        let message = format!("nobody picks the routes of step `{}`", step.id.value);
        report.push(
            Problem::new(Code::WrongKind, route.tag.span, message)
                .help("remove the route's `visibility`"),
        );
    }
}

/// All that a step can come to; nothing for one whose agent or script names its routes itself.
fn outcomes(step: &StepDecl) -> Vec<&str> {
    let timed = |timed: bool| timed.then_some("timed_out");
    match &step.work {
        WorkDecl::Validate { .. } => vec!["valid", "invalid"],
        WorkDecl::Ask { .. } | WorkDecl::Classify { .. } => {
            let all = choices(step);
            let led = all.iter().map(|choice| choice.value.as_str());
            let mut outcomes: Vec<_> = led.filter(|choice| has_route(step, choice)).collect();
            if (outcomes.len() < all.len() || all.is_empty()) && !outcomes.contains(&"done") {
                outcomes.push("done");
            }
            let asks = matches!(step.work, WorkDecl::Ask { .. });
            outcomes.extend(timed(asks && step.clocks.wall_ms.is_some()));
            outcomes
        }
        WorkDecl::Wait { what: WaitDecl::Signal { timeout_ms, .. } } => {
            ["done"].into_iter().chain(timed(timeout_ms.is_some())).collect()
        }
        WorkDecl::Llm { .. } | WorkDecl::Wait { .. } => vec!["done"],
        WorkDecl::Prompt { .. }
        | WorkDecl::ProduceVerify { .. }
        | WorkDecl::Run { .. }
        // What children come to has a rule of its own.
        | WorkDecl::Group(_)
        | WorkDecl::Unknown => Vec::new(),
    }
}

/// The few words that a step may come to.
fn choices(step: &StepDecl) -> Vec<&Spanned<String>> {
    match &step.work {
        WorkDecl::Ask { choices, .. } => choices.iter().collect(),
        WorkDecl::Classify { choices, .. } => choices.iter().map(|choice| &choice.name).collect(),
        _ => Vec::new(),
    }
}

fn has_route(step: &StepDecl, outcome: &str) -> bool {
    step.routes.iter().any(|route| route.when.is_none() && route.tag.value.as_str() == outcome)
}

fn no_others(step: &StepDecl, outcomes: &[&str], report: &mut Report<'_>) {
    for route in step.routes.iter().filter(|route| route.when.is_none()) {
        let tag = route.tag.value.as_str();
        if !outcomes.contains(&tag) {
            let message = format!("step `{}` never takes route `{tag}`", step.id.value);
            let choices = choices(step).into_iter().map(|choice| choice.value.as_str());
            let known = choices.chain(outcomes.iter().copied()).collect::<BTreeSet<_>>();
            report.push(
                Problem::new(Code::NoSuchOutcome, route.tag.span, message).suggest(tag, known),
            );
        }
    }
}

fn nowhere(step: &StepDecl, outcome: &str, report: &mut Report<'_>) {
    let id = &step.id.value;
    let problem = match &step.work {
        // Both its routes are filled in, unless nobody writes the artifact, which is reported as that.
        WorkDecl::Validate { .. } => return,
        _ if outcome == "done" && !choices(step).is_empty() => {
            let lost = choices(step).into_iter().find(|choice| !has_route(step, &choice.value));
            let Some(lost) = lost else { return };
            let message = format!("choice `{}` of step `{id}` has no route", lost.value);
            Problem::new(Code::NoRoute, lost.span, message)
                .help("add one of that name, or `done` for all choices without one")
        }
        _ => {
            let message = format!("outcome `{outcome}` of step `{id}` has no route");
            Problem::new(Code::NoRoute, step.id.span, message)
                .help(format!("add `{outcome}` to its `routes`"))
        }
    };
    report.push(problem);
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
