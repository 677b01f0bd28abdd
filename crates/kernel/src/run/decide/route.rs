//! Taking a route: is it legal, is what it obliges there, where does it lead.

use std::collections::BTreeMap;

use super::{Batch, attempt, onward};
use crate::ids::{Role, RouteTag, TurnId};
use crate::plan::{Route, Target, Work};
use crate::run::calls::Leaving;
use crate::run::event::Event;
use crate::run::facts::{Feedback, Finding, FindingState, Question, QuestionKind, Ref};
use crate::run::input::{AskedQuestion, Exit, Outcome};
use crate::run::state::{Run, required_writes};
use crate::run::worklists::Way;

/// The route that an outcome takes; else exactly why it takes none.
pub(super) fn legal(run: &Run, role: Role, outcome: &Outcome) -> Result<Route, Feedback> {
    let (Some(step), Some(visit)) = (run.current_step(), run.visit.as_ref()) else {
        return Err(Feedback::Outcome { why: "no visit is in progress".to_owned() });
    };
    let offered = if role.is_hook() { run.of_code() } else { run.offered() };
    let route = step.route_of(&outcome.tag).filter(|route| offered.contains(route)).cloned();
    let Some(route) = route else {
        let (what, legal): (_, Vec<&str>) = match &step.work {
            Work::Classify { choices, .. } => {
                ("choice", choices.iter().map(|choice| choice.name.as_str()).collect())
            }
            _ => ("route", offered.iter().map(|route| route.tag.as_str()).collect()),
        };
        let legal = legal.iter().map(|tag| format!("`{tag}`")).collect::<Vec<_>>().join(", ");
        let why = format!("`{}` is no {what} here; pick one of {legal}", outcome.tag);
        return Err(Feedback::Outcome { why });
    };
    let plan = &run.plan;
    let found = |name| {
        outcome.findings.iter().chain(&visit.findings).find(|finding| &finding.artifact == name)
    };
    let bad = required_writes(plan, step, &route)
        .filter_map(found)
        .filter(|finding| !finding.is_good())
        .cloned()
        .collect::<Vec<_>>();
    if bad.is_empty() { Ok(route) } else { Err(Feedback::Artifacts { findings: bad }) }
}

/// An outcome was read: take its route, or say exactly why not.
pub(super) fn outcome(batch: &mut Batch, turn: TurnId, outcome: Outcome) {
    let role = turn.role;
    let route = match legal(&batch.run, role, &outcome) {
        Ok(route) => route,
        Err(feedback) => return attempt::reject(batch, turn, feedback),
    };
    let Some(visit) = batch.run.visit.clone() else { return };
    batch.push(Event::OutcomeAccepted {
        visit: visit.id.clone(),
        tag: route.tag.clone(),
        payload: outcome.payload,
        fields: outcome.fields,
    });
    let artifacts = accepted(outcome.findings.iter().chain(&visit.findings));
    if !artifacts.is_empty() {
        batch.push(Event::ArtifactsAccepted { visit: visit.id, artifacts });
    }
    let after = Some(role).filter(|role| role.is_hook());
    take(batch, after, &route.tag, outcome.exit, &outcome.findings);
}

fn accepted<'a>(
    findings: impl Iterator<Item = &'a Finding>,
) -> BTreeMap<crate::ids::ArtifactName, crate::ids::Digest> {
    findings
        .filter_map(|finding| match &finding.state {
            FindingState::Good { digest } => Some((finding.artifact.clone(), digest.clone())),
            FindingState::Stale { .. } | FindingState::Missing | FindingState::Invalid { .. } => {
                None
            }
        })
        .collect()
}

/// Leaves the visit in progress after an outcome of that tag, once the hooks that come after this one
/// have had their say; `None`: all of them.
pub(super) fn take(
    batch: &mut Batch,
    after: Option<Role>,
    tag: &RouteTag,
    exit: Exit,
    findings: &[Finding],
) {
    let (Some(step), Some(visit)) = (batch.run.current_step().cloned(), batch.run.visit.clone())
    else {
        return;
    };
    let Exit { whens, handoff, question: asked, changes } = exit;
    let tag = &batch.run.way_out(tag, &whens, findings).clone();
    if step.route(tag).is_none() {
        return;
    }
    let leaving = Leaving { tag: tag.clone(), handoff, question: asked, changes };
    let Some(hook) = step.leaving_hook(after, tag) else { return leave(batch, leaving) };
    let Leaving { tag, handoff, question, changes } = leaving;
    batch.push(Event::ExitPicked { visit: visit.id, tag, handoff, question, changes, hook });
}

/// Takes a route: nothing holds it up any more.
pub(super) fn leave(batch: &mut Batch, leaving: Leaving) {
    let Leaving { tag, handoff, question: asked, changes } = leaving;
    let (Some(step), Some(visit)) = (batch.run.current_step().cloned(), batch.run.visit.clone())
    else {
        return;
    };
    let Some(route) = step.route(&tag) else { return };
    if !changes.is_empty() {
        batch.push(Event::StateSet { visit: visit.id.clone(), changes });
    }
    let Way { to, completed, dropped, reset } = batch.run.way(&step, &route.action);
    let waits = to == Target::AwaitInput;
    batch.push(Event::RouteTaken {
        visit: visit.id.clone(),
        tag: tag.clone(),
        to,
        completed,
        handoff,
        dropped,
        reset,
    });
    if waits {
        let asked = asked.unwrap_or_else(|| AskedQuestion {
            text: route.summary.clone().unwrap_or_else(|| {
                format!("Step `{}` took route `{tag}` and waits for input.", step.id)
            }),
            choices: Vec::new(),
            schema: None,
        });
        let schema = asked.schema.or_else(|| route.answer.clone().map(Ref::Object));
        batch.push(Event::QuestionAsked {
            question: Question {
                kind: QuestionKind::Route { visit: visit.id },
                text: asked.text,
                choices: asked.choices,
                schema,
                shown: Vec::new(),
                until: None,
            },
        });
        return;
    }
    onward::go_on(batch);
}
