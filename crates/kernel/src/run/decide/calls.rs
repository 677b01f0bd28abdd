//! Functions of the host, and hooks: what they ask for is owed, what they return is followed.

use super::{Batch, attempt, command, onward, route};
use crate::ids::{Digest, TurnId, WorklistName};
use crate::plan::Target;
use crate::run::calls::{Calling, Control, Returned, WorklistChange};
use crate::run::children::{ChildPhase, ChildPlan};
use crate::run::event::Event;
use crate::run::facts::{Feedback, InterruptCause, Question, QuestionKind, Ref, Stop};
use crate::run::input::{AskedQuestion, ChildWanted};
use crate::run::state::{Phase, Run};

/// A function asks for something that it has not asked for before.
pub(super) fn asked(
    batch: &mut Batch,
    turn: TurnId,
    n: u32,
    key: Digest,
    ask: Ref,
    child: Option<(Digest, ChildWanted)>,
) {
    if batch.turning(&turn).is_none() || n as usize != calling(&batch.run).map_or(0, asked_so_far) {
        return;
    }
    let child = match child {
        None => None,
        Some((plan, wanted)) => {
            let (ordinal, index) =
                batch.run.visit.as_ref().map_or((0, 0), |it| (it.ordinal, it.asked_children));
            let id = batch.run.id.as_ref().and_then(|id| id.asked_child(ordinal, index));
            let Some(run) = id else {
                let message = format!(
                    "step `{}` asks for runs below runs, deeper than their names can tell",
                    turn.visit.step
                );
                return command::stand(batch, Stop::Error { message });
            };
            let ChildWanted { branch, message, input, params, context } = wanted;
            Some(Box::new(ChildPlan { branch, run, plan, message, input, params, context }))
        }
    };
    let runs = child.is_some();
    batch.push(Event::CallbackOwed { turn, n, key, ask, child });
    if runs {
        super::children::go_on(batch);
    }
}

/// Why code cannot leave the item of its visit behind.
pub const OWN_ITEM: &str =
    "the worklist that the step works on is advanced by the step's routes, when it is left";

/// Whether a change would leave the item of the visit in progress behind.
pub fn leaves_own(run: &Run, worklist: &WorklistName, change: &WorklistChange) -> bool {
    let scope = run.current_step().and_then(|step| step.scope.as_ref());
    *change == WorklistChange::Advance && scope == Some(worklist)
}

/// What a function asked for was done.
pub(super) fn answered(
    batch: &mut Batch,
    turn: TurnId,
    n: u32,
    answer: Ref,
    change: Option<(WorklistName, WorklistChange)>,
) {
    let fits = calling(&batch.run)
        .is_some_and(|calling| calling.turn == turn && asked_so_far(calling) == n as usize + 1);
    if !fits || batch.phase_of(&turn.visit) != Some(&Phase::Answering) {
        return;
    }
    let own = |(worklist, change): &(_, _)| leaves_own(&batch.run, worklist, change);
    if let Some((worklist, change)) = change.filter(|it| !own(it)) {
        batch.push(Event::WorklistChanged { worklist, change });
    }
    told(batch, turn, n, Some(answer));
}

/// The function has its answer; where nobody waits for it any more, its turn was cut off.
fn told(batch: &mut Batch, turn: TurnId, n: u32, answer: Option<Ref>) {
    let is_cut = calling(&batch.run).is_some_and(|calling| calling.is_cut);
    batch.push(Event::CallbackAnswered { turn: turn.clone(), n, answer });
    if is_cut {
        command::interrupt(batch, turn, InterruptCause::OwnerLost, None);
        onward::go_on(batch);
    }
}

/// The run that a function asked for is over: that is its answer.
pub(super) fn child_answered(batch: &mut Batch) {
    let Some(calling) = calling(&batch.run) else { return };
    let over = |phase: &ChildPhase| matches!(phase, ChildPhase::Ended(_) | ChildPhase::Skipped);
    if !calling.children.states.last().is_some_and(|child| over(&child.phase)) {
        return;
    }
    let n = u32::try_from(asked_so_far(calling).saturating_sub(1)).unwrap_or(u32::MAX);
    let turn = calling.turn.clone();
    told(batch, turn, n, None);
}

fn asked_so_far(calling: &Calling) -> usize {
    calling.callbacks.len()
}

fn calling(run: &Run) -> Option<&Calling> {
    run.visit.as_ref()?.calling.as_deref()
}

/// Code came to its end, and says where the run goes.
pub(super) fn returned(batch: &mut Batch, turn: TurnId, returned: Returned) {
    let Returned { control, changes, worklists } = returned;
    if let Control::Goto { to: Target::Step(id), .. } = &control
        && batch.run.plan.step(id).is_none()
    {
        let why = format!("there is no step `{id}` to go to");
        return failed(batch, turn, why);
    }
    // What cannot be followed is not done by half.
    if let Control::Outcome(outcome) = &control
        && let Err(feedback) = route::legal(&batch.run, turn.role, outcome)
    {
        return attempt::reject(batch, turn, feedback);
    }
    if worklists.iter().any(|(worklist, change)| leaves_own(&batch.run, worklist, change)) {
        return failed(batch, turn, OWN_ITEM.to_owned());
    }
    if !changes.is_empty() {
        batch.push(Event::StateSet { visit: turn.visit.clone(), changes });
    }
    for (worklist, change) in worklists {
        batch.push(Event::WorklistChanged { worklist, change });
    }
    match control {
        Control::Go => went_on(batch, turn),
        Control::Outcome(outcome) => route::outcome(batch, turn, *outcome),
        Control::Goto { to, handoff, why } => {
            batch.push(Event::Redirected { turn, to, handoff, why });
            onward::go_on(batch);
        }
        Control::Fail { why } => {
            let why = Some(why);
            batch.push(Event::Redirected { turn, to: Target::Fail, handoff: None, why });
            onward::go_on(batch);
        }
        Control::Ask(AskedQuestion { text, choices, schema }) => {
            let kind = QuestionKind::Code { turn };
            let question = Question { kind, text, choices, schema, shown: Vec::new(), until: None };
            batch.push(Event::QuestionAsked { question });
        }
    }
}

/// Whoever resumes has mended something, so it is run again.
fn failed(batch: &mut Batch, turn: TurnId, why: String) {
    attempt::reject(batch, turn, Feedback::Outcome { why });
}

/// The hook has nothing to say: the next one, what it stands before, or the way out that it held up.
fn went_on(batch: &mut Batch, turn: TurnId) {
    let role = turn.role;
    batch.push(Event::HookEnded { turn });
    let (Some(step), Some(visit)) = (batch.run.current_step(), batch.run.visit.as_ref()) else {
        return;
    };
    let Some(leaving) = visit.leaving.clone() else { return };
    if step.leaving_hook(Some(role), &leaving.tag).is_none() {
        route::leave(batch, *leaving);
    }
}
