//! Steps that wait for a person, a time or a signal: what they are asked with, and how it ends.

use super::{Batch, Refusal, command, unmet};
use crate::ids::VisitId;
use crate::plan::{Step, WaitFor, Work};
use crate::run::event::Event;
use crate::run::facts::{Finding, Question, QuestionKind, Ref, Stop};
use crate::run::outside::{Shown, Signal, Wait};
use crate::run::state::{Lifecycle, Phase};

/// Tags of what such steps come to, beside a person's choices.
const DONE: &str = "done";
const TIMED_OUT: &str = "timed_out";

/// A question was rendered: ask it.
pub(super) fn posed(
    batch: &mut Batch,
    visit: VisitId,
    text: String,
    findings: &[Finding],
    until: Option<u64>,
) {
    let Some(Phase::Posing { until: known, .. }) = batch.phase_of(&visit) else { return };
    // Asked again, there is no more time than before.
    let until = known.or(until);
    let Some(Work::Ask { ask }) = batch.run.current_step().map(|step| step.work.clone()) else {
        return;
    };
    if let Some(why) = unmet(findings) {
        return command::stand(batch, Stop::Error { message: why });
    }
    let question = Question {
        kind: QuestionKind::Step { visit },
        text,
        choices: ask.choices,
        schema: ask.answer.map(Ref::Object),
        shown: findings.iter().filter_map(Shown::of).collect(),
        until,
    };
    batch.push(Event::QuestionAsked { question });
}

/// A person answered the question of a step. One about something else than was shown does not count.
pub(super) fn answered(
    batch: &mut Batch,
    visit: VisitId,
    shown: &[Shown],
    answer: Ref,
    text: &str,
    findings: &[Finding],
) {
    let now: Vec<Shown> = findings.iter().filter_map(Shown::of).collect();
    let same =
        |was: &&Shown| now.iter().any(|is| is.artifact == was.artifact && is.digest == was.digest);
    let changed: Vec<_> =
        shown.iter().filter(|was| !same(was)).map(|was| was.artifact.clone()).collect();
    if !changed.is_empty() {
        return batch.push(Event::AnswerRefused { visit, changed });
    }
    let route = batch.run.current_step().and_then(|step| step.route_of(text));
    match route.map(|route| route.tag.clone()) {
        Some(tag) => batch.push(Event::AnswerAccepted { answer, tag: Some(tag) }),
        None => no_route(batch, &visit, DONE),
    }
}

/// It is known until when a step waits: a signal that came before ends it at once.
pub(super) fn armed(batch: &mut Batch, visit: VisitId, until: Option<u64>) {
    if batch.phase_of(&visit) != Some(&Phase::Arming) {
        return;
    }
    let Some(Work::Wait { until: what }) = batch.run.current_step().map(|step| step.work.clone())
    else {
        return;
    };
    let signal = match what {
        WaitFor::Signal { name, .. } => Some(name),
        WaitFor::Span { .. } | WaitFor::Moment { .. } => None,
    };
    batch.push(Event::WaitBegun { wait: Wait { visit, until, signal } });
    take_signal(batch);
}

/// The time of a step that waits has come.
pub(super) fn due(batch: &mut Batch, visit: VisitId) {
    let tag =
        match &batch.run.lifecycle {
            Lifecycle::Awaiting(wait) if wait.visit == visit && wait.until.is_some() => {
                if wait.signal.is_some() { TIMED_OUT } else { DONE }
            }
            Lifecycle::Waiting(Question {
                kind: QuestionKind::Step { visit: at }, until, ..
            }) if *at == visit && until.is_some() => TIMED_OUT,
            _ => return,
        };
    end(batch, visit, tag, None);
}

/// A signal is kept until a step waits for it; sent twice, it counts once.
pub(super) fn signal(batch: &mut Batch, signal: Signal) -> Result<(), Refusal> {
    if batch.run.lifecycle.is_ended() {
        return Err(Refusal::Ended);
    }
    if batch.run.lifecycle == Lifecycle::Unstarted || batch.run.signals_before.contains(&signal.id)
    {
        return Ok(());
    }
    batch.push(Event::SignalReceived { signal });
    take_signal(batch);
    Ok(())
}

/// Ends the wait for a signal that is there; of several the first that came.
fn take_signal(batch: &mut Batch) {
    let Lifecycle::Awaiting(Wait { visit, signal: Some(name), .. }) = &batch.run.lifecycle else {
        return;
    };
    let visit = visit.clone();
    let found = batch.run.signals.iter().find(|signal| signal.name == *name);
    if let Some(id) = found.map(|signal| signal.id.clone()) {
        end(batch, visit, DONE, Some(id));
    }
}

fn end(batch: &mut Batch, visit: VisitId, tag: &str, signal: Option<String>) {
    let found = |step: &Step| step.routes.iter().find(|route| route.tag.as_str() == tag).cloned();
    let route = batch.run.current_step().and_then(found);
    match route.map(|route| route.tag) {
        Some(tag) => batch.push(Event::WaitEnded { visit, tag, signal }),
        None => no_route(batch, &visit, tag),
    }
}

/// Checked before the run began; a plan that was not cannot go on here.
fn no_route(batch: &mut Batch, visit: &VisitId, tag: &str) {
    let message = format!("step `{}` has no route `{tag}`", visit.step);
    batch.push(Event::RunStopped { stop: Stop::Error { message } });
}
