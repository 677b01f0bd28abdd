//! Between visits: read the worklist, enter the next step within its bounds, or end the run.

use super::{Batch, children, command};
use crate::ids::{Digest, VisitId, WorklistName};
use crate::plan::Target;
use crate::run::event::Event;
use crate::run::facts::{Item, Stop};
use crate::run::state::{Lifecycle, Phase, Place};
use crate::run::worklists::Refreshing;

/// Adds what follows by itself from the batch's state, up to the next effect.
pub(super) fn go_on(batch: &mut Batch) {
    // Each round either ends the run, enters a step, or passes an exhausted step on to another;
    // a cycle of exhausted steps ends at the bound of rounds.
    for _ in 0..=batch.run.plan.steps.len() {
        if batch.run.lifecycle != Lifecycle::Running || !batch.run.status_owed.is_empty() {
            return;
        }
        if let Some(question) = command::pending_question(batch) {
            batch.push(Event::QuestionAsked { question });
            return;
        }
        if let Some(visit) = &batch.run.visit {
            if visit.phase == Phase::Children {
                children::go_on(batch);
            }
            return;
        }
        if batch.run.to_read().is_some() || batch.run.owes_output() {
            return;
        }
        if let Some(verdict) = batch.run.ending {
            batch.push(Event::RunFinished { verdict });
            return;
        }
        if !enter(batch) {
            return;
        }
    }
    let message = "the remaining steps have no items and lead only to each other".to_owned();
    command::stand(batch, Stop::Error { message });
}

/// A hold is over.
pub(super) fn time_came(batch: &mut Batch) {
    if matches!(batch.run.lifecycle, Lifecycle::Held(_)) {
        batch.push(Event::HoldEnded);
        go_on(batch);
    }
}

/// Enters the next step; true when the run went on to another one instead.
fn enter(batch: &mut Batch) -> bool {
    let Some(next) = batch.run.next.clone() else { return false };
    let Some(step) = batch.run.plan.step(&next.step).cloned() else {
        let message = format!("the plan has no step `{}`", next.step);
        command::stand(batch, Stop::Error { message });
        return false;
    };
    let mut item = None;
    if let Some(worklist) = &step.scope {
        let Some(state) = batch.run.worklists.get(worklist) else { return false };
        let Some(current) = state.item() else {
            return exhausted(batch, worklist.clone(), &step);
        };
        item = Some(current.id.clone());
    }
    if batch.run.steps_taken >= batch.run.max_steps {
        let limit = batch.run.max_steps;
        command::stand(batch, Stop::MaxSteps { limit });
        return false;
    }
    let place = Place { step: step.id.clone(), item: item.clone() };
    let n = batch.run.visits.get(&place);
    let limit = batch.run.max_visits(&step);
    if n >= limit {
        command::stand(batch, Stop::MaxVisits { step: step.id.clone(), limit });
        return false;
    }
    batch.push(Event::VisitEntered {
        visit: VisitId { step: step.id, item, n: n + 1 },
        again: next.again,
        handoff: next.handoff,
        answer: next.answer,
    });
    false
}

fn exhausted(batch: &mut Batch, worklist: WorklistName, step: &crate::plan::Step) -> bool {
    let to = step.routes.iter().find_map(|route| route.action.exhausted().cloned());
    match to {
        Some(to @ (Target::Step(_) | Target::Finish | Target::Fail)) => {
            batch.push(Event::ItemsExhausted { worklist, step: step.id.clone(), to });
            true
        }
        Some(Target::SelfStep | Target::AwaitInput) | None => {
            let message = format!(
                "step `{}` works on the items of `{worklist}`, and none is left; give it a route \
                 with `complete_and_advance` or `advance` whose `exhausted` leads on",
                step.id
            );
            command::stand(batch, Stop::Error { message });
            false
        }
    }
}

/// A worklist was read, for the first time or again.
pub(super) fn items_read(
    batch: &mut Batch,
    worklist: WorklistName,
    source: Digest,
    items: Vec<Item>,
) {
    let refreshing = batch.run.refreshing.clone();
    batch.push(Event::ItemsRead { worklist: worklist.clone(), source, items });
    let open = batch.run.worklists.get(&worklist).is_some_and(|list| list.current.is_some());
    if let Some(Refreshing { step, exhausted: to, .. }) = refreshing.filter(|_| !open) {
        batch.push(Event::ItemsExhausted { worklist, step, to });
    }
    go_on(batch);
}

/// Sends a worklist that cannot be read back to the step that wrote it.
pub(super) fn items_rejected(batch: &mut Batch, worklist: WorklistName, why: String) {
    let plan = batch.run.plan.clone();
    let from = plan.worklists.get(&worklist).and_then(|list| list.artifact());
    let writer = from.and_then(|name| plan.writers(name).next());
    if writer.is_none() {
        command::stand(batch, Stop::Error { message: why });
        return;
    }
    batch.push(Event::ItemsRejected { worklist, why });
    go_on(batch);
}
