//! What people and the owner's end ask of a run: start, answer, resume, stop, cancel.

use super::{Batch, Refusal, onward, outside};
use crate::ids::{StepId, TurnId};
use crate::plan::OnInterrupt;
use crate::run::event::Event;
use crate::run::facts::{
    Attached, Finding, InterruptCause, Provider, Raise, Ref, ResumeCause, Said, SnapshotId, Stop,
};
use crate::run::input::Input;
use crate::run::permission::{Leave, Permission};
use crate::run::state::{Lifecycle, Phase};
use crate::run::{Question, QuestionKind};

pub(super) fn start(batch: &mut Batch, input: Input) -> Result<(), Refusal> {
    if batch.run.lifecycle != Lifecycle::Unstarted {
        return Err(Refusal::AlreadyStarted);
    }
    let Input::Start {
        run,
        task,
        plan,
        message,
        input,
        params,
        provider,
        providers,
        fallbacks,
        pass_env,
        workspace,
        max_steps,
        on_limit,
        budget,
        parent,
        context,
        full_auto,
        policies,
        sources,
    } = input
    else {
        return Ok(());
    };
    let own = batch.run.plan.limits.max_steps;
    let workflow = batch.run.plan.name.clone();
    // A person may raise what the author bounds; a parent grants, and its child's own bounds hold.
    let (max_steps, budget) = match (&parent, max_steps) {
        (Some(_), granted) => {
            (granted.unwrap_or(own).min(own), budget.within(&batch.run.plan.budget))
        }
        (None, said) => (said.unwrap_or(own), budget.or(&batch.run.plan.budget)),
    };
    batch.push(Event::RunCreated {
        run,
        task,
        workflow,
        plan,
        message,
        input,
        params,
        provider,
        providers,
        fallbacks,
        pass_env,
        workspace,
        max_steps,
        on_limit,
        budget,
        parent: parent.map(Box::new),
        context,
        full_auto,
        policies,
        sources,
    });
    onward::go_on(batch);
    Ok(())
}

pub(super) fn answer(
    batch: &mut Batch,
    answer: Ref,
    text: &str,
    findings: &[Finding],
) -> Result<(), Refusal> {
    let question = match &batch.run.lifecycle {
        Lifecycle::Waiting(question) => question.clone(),
        lifecycle if lifecycle.is_ended() => return Err(Refusal::Ended),
        _ => return Err(Refusal::NotWaiting),
    };
    let text = text.trim().to_owned();
    if let QuestionKind::Permission { turn, wanted, .. } = question.kind {
        let Some((leave, note)) = Leave::read(&text) else {
            return Err(Refusal::NotAChoice { choices: question.choices });
        };
        batch.push(Event::AnswerAccepted { answer, tag: None });
        let permission = Box::new(Permission { wanted: *wanted, leave, note });
        batch.push(Event::PermissionAnswered { turn, permission });
        onward::go_on(batch);
        return Ok(());
    }
    if !question.choices.is_empty() && !question.choices.contains(&text) {
        return Err(Refusal::NotAChoice { choices: question.choices });
    }
    let answer = match question.kind {
        QuestionKind::Step { visit } => {
            outside::answered(batch, visit, &question.shown, answer, &text, findings);
            return Ok(());
        }
        QuestionKind::Route { .. }
        | QuestionKind::Child { .. }
        | QuestionKind::Code { .. }
        | QuestionKind::Permission { .. } => answer,
        QuestionKind::Interrupted { .. } | QuestionKind::Edited { .. } => Batch::answer_text(text),
    };
    batch.push(Event::AnswerAccepted { answer, tag: None });
    onward::go_on(batch);
    Ok(())
}

pub(super) fn resume(
    batch: &mut Batch,
    raise: Raise,
    tree: Option<SnapshotId>,
    edited: Vec<String>,
) -> Result<(), Refusal> {
    let of_child = super::children::step_at_its_limit(&batch.run);
    let known =
        |step: &&StepId| batch.run.plan.step(step).is_some() || of_child.as_ref() == Some(*step);
    let mut steps = raise.max_visits.keys().chain(raise.step_budgets.keys());
    if let Some(step) = steps.find(|step| !known(step)) {
        return Err(Refusal::UnknownStep { step: step.clone() });
    }
    match batch.run.lifecycle.clone() {
        Lifecycle::Running => {
            batch.push(Event::RunResumed { cause: ResumeCause::OwnerLost, raise });
            if let Some(turn) = batch.running_turn() {
                interrupt(batch, turn.clone(), InterruptCause::OwnerLost, tree.clone());
                let restores = matches!(batch.phase_of(&turn.visit), Some(Phase::Restoring { .. }));
                if let Some(tree) = tree.filter(|_| restores && !edited.is_empty()) {
                    batch.push(Event::RestoreRefused { turn, tree, changed: edited });
                }
            }
        }
        Lifecycle::Stopped(stop) => {
            if !lifts(&raise, &stop) {
                return Err(Refusal::LimitNotRaised { stop });
            }
            batch.push(Event::RunResumed { cause: ResumeCause::Asked, raise });
        }
        Lifecycle::Held(_) | Lifecycle::Awaiting(_) => {
            batch.push(Event::RunResumed { cause: ResumeCause::Asked, raise });
        }
        Lifecycle::Waiting(_) => return Err(Refusal::WaitsForAnswer),
        Lifecycle::Unstarted => return Ok(()),
        Lifecycle::Finished(_) | Lifecycle::Cancelled => return Err(Refusal::Ended),
    }
    onward::go_on(batch);
    Ok(())
}

/// Whether a stop at a limit is lifted by what was raised; other stops need nothing raised.
fn lifts(raise: &Raise, stop: &Stop) -> bool {
    match stop {
        Stop::MaxSteps { limit } => raise.max_steps.is_some_and(|raised| raised > *limit),
        Stop::MaxVisits { step, limit } => {
            raise.max_visits.get(step).is_some_and(|raised| raised > limit)
        }
        Stop::Budget { of, spent, .. } => {
            raise.budget.of(*of).is_some_and(|raised| raised > *spent)
        }
        Stop::StepBudget { step, of, spent, .. } => {
            let raised = raise.step_budgets.get(step).and_then(|budget| budget.of(*of));
            raised.is_some_and(|raised| raised > *spent)
        }
        Stop::Policy { .. } | Stop::Signal { .. } | Stop::Provider { .. } | Stop::Error { .. } => {
            true
        }
    }
}

pub(super) fn cancel(batch: &mut Batch) -> Result<(), Refusal> {
    if batch.run.lifecycle.is_ended() {
        return Err(Refusal::Ended);
    }
    if batch.run.lifecycle == Lifecycle::Unstarted {
        return Ok(());
    }
    if let Some(turn) = batch.running_turn() {
        interrupt(batch, turn, InterruptCause::Cancelled, None);
    }
    batch.push(Event::RunCancelled);
    Ok(())
}

/// What a new owner found: what differs from what was recorded is noted before anything is asked.
pub(super) fn found(
    batch: &mut Batch,
    workspace: String,
    of: Option<String>,
    version: Option<String>,
) {
    let phase = batch.run.visit.as_ref().map(|visit| &visit.phase);
    if matches!(phase, Some(Phase::Turning { process: Some(_), .. })) {
        return;
    }
    if batch.run.workspace.as_ref().is_some_and(|recorded| *recorded != workspace) {
        batch.push(Event::WorkspaceMoved { to: workspace });
    }
    let provider = batch.run.provider_named(of.as_deref());
    let harness = provider.and_then(Provider::harness);
    let recorded = harness.map(|harness| harness.version.clone());
    if let Some(version) = version.filter(|it| recorded.is_some_and(|recorded| recorded != *it)) {
        batch.push(Event::HarnessChanged { version, of });
    }
}

/// What a person says is kept for the next turn; said twice, it counts once.
pub(super) fn say(batch: &mut Batch, said: Said) -> Result<(), Refusal> {
    if batch.run.lifecycle.is_ended() {
        return Err(Refusal::Ended);
    }
    if batch.run.lifecycle != Lifecycle::Unstarted && !batch.run.said_before.contains(&said.id) {
        batch.push(Event::PersonSaid { said });
    }
    Ok(())
}

/// A person goes on in a conversation of the run; not while a turn may be in it.
pub(super) fn attach(batch: &mut Batch, attached: Attached) -> Result<(), Refusal> {
    if batch.run.lifecycle.is_ended() {
        return Err(Refusal::Ended);
    }
    if batch.run.lifecycle != Lifecycle::Unstarted && batch.running_turn().is_none() {
        batch.push(Event::PersonAttached { attached });
    }
    Ok(())
}

pub(super) fn stop(batch: &mut Batch, cause: InterruptCause, tree: Option<SnapshotId>) {
    if batch.run.lifecycle != Lifecycle::Running {
        return;
    }
    let stop = match cause {
        InterruptCause::Signal(signal) => Stop::Signal { signal },
        InterruptCause::OwnerLost
        | InterruptCause::Cancelled
        | InterruptCause::Stopped
        | InterruptCause::Permission => Stop::Error { message: "the owner stopped".to_owned() },
    };
    if let Some(turn) = batch.running_turn() {
        interrupt(batch, turn, cause, tree);
    }
    batch.push(Event::RunStopped { stop });
}

/// Stands the run still for a reason of its own.
pub(super) fn stand(batch: &mut Batch, stop: Stop) {
    if batch.run.lifecycle != Lifecycle::Running {
        return;
    }
    if let Some(turn) = batch.running_turn() {
        interrupt(batch, turn, InterruptCause::Stopped, None);
    }
    batch.push(Event::RunStopped { stop });
}

pub(super) fn interrupt(
    batch: &mut Batch,
    turn: TurnId,
    cause: InterruptCause,
    tree: Option<SnapshotId>,
) {
    let base = batch.run.visit.as_ref().and_then(|visit| visit.base_of(&turn));
    let then = match batch.run.current_step().map_or(OnInterrupt::Resume, |it| it.on_interrupt) {
        // There is nothing to put back, or no telling whether somebody edits meanwhile.
        OnInterrupt::Restart if base.is_none() || tree.is_none() => OnInterrupt::Ask,
        then => then,
    };
    batch.push(Event::TurnInterrupted { turn, cause, tree, then, usage: None, took_ms: 0 });
}

/// The question of a visit that waits for a person's decision about an interrupted turn.
pub(super) fn pending_question(batch: &Batch) -> Option<Question> {
    match batch.run.visit.as_ref().map(|visit| &visit.phase) {
        Some(Phase::Asking { question, .. }) => Some((**question).clone()),
        _ => None,
    }
}
