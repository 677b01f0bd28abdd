//! Work that cannot be used yet: feedback, another attempt, and the bound on attempts.

use super::Batch;
use crate::ids::{ArtifactName, Digest, Role, TurnId, VisitId};
use crate::plan::{OnInterrupt, OnLimit};
use crate::run::event::Event;
use crate::run::facts::{
    CheckResult, Evidence, Feedback, Finding, FindingState, InterruptCause, SnapshotId, Stop,
    TurnResult,
};
use crate::run::harness::{FailureClass, Remedy};
use crate::run::hold::Hold;
use crate::run::permission::{self, Wanted};
use crate::run::state::{Run, Visit, is_required, required_writes};

/// Whether the present role has used up its attempts.
pub(super) fn exhausted(run: &Run) -> bool {
    match (&run.visit, run.current_step()) {
        (Some(visit), Some(step)) => visit.attempts >= step.max_attempts,
        _ => true,
    }
}

/// A turn is over: what is done about a failure depends on its class.
pub(super) fn turn_ended(
    batch: &mut Batch,
    turn: TurnId,
    result: TurnResult,
    evidence: Evidence,
    pause: Option<Hold>,
) {
    let failure = match &result {
        TurnResult::Failed { class, message } => Some((*class, message.clone())),
        TurnResult::Completed { .. } => None,
    };
    let session = batch.run.visit.as_ref().and_then(Visit::session);
    let continued = session.is_some_and(|session| session.token.is_some());
    let role = turn.role;
    let Evidence { activity, transcript, checkpoint, usage, took_ms, leftover } = evidence;
    batch.push(Event::TurnEnded {
        turn,
        result,
        activity,
        transcript,
        checkpoint,
        usage,
        took_ms,
        leftover,
    });
    let Some((class, message)) = failure else { return };
    let stop = match class.remedy() {
        _ if role.is_hook() => true,
        Remedy::Again => exhausted(&batch.run),
        Remedy::Afresh => !continued,
        // No time brings this limit back, but another provider may have room.
        Remedy::Stop
            if class == FailureClass::Quota && on_limit(&batch.run) == OnLimit::Fallback =>
        {
            if let Some(provider) = batch.run.fallback() {
                return batch.push(Event::FellBack { provider, class, message });
            }
            true
        }
        Remedy::Stop => true,
        Remedy::Later if exhausted(&batch.run) => true,
        Remedy::Later | Remedy::Wait => match pause {
            Some(pause) => return hold(batch, pause),
            None => class.remedy() == Remedy::Wait,
        },
    };
    if stop {
        batch.push(Event::RunStopped { stop: Stop::Provider { class, message } });
    }
}

fn on_limit(run: &Run) -> OnLimit {
    let of_step = run.current_step().and_then(|step| step.on_limit);
    run.on_limit.or(of_step).unwrap_or_default()
}

/// Holds the run until a time, or stops it when it is told not to wait for limits.
pub(super) fn hold(batch: &mut Batch, pause: Hold) {
    let of_account = pause.class.remedy() == Remedy::Wait;
    let on_limit = match on_limit(&batch.run) {
        _ if !of_account => OnLimit::Wait,
        OnLimit::Fallback => match batch.run.fallback() {
            Some(provider) => {
                let Hold { class, message, .. } = pause;
                batch.push(Event::FellBack { provider, class, message });
                return;
            }
            None => OnLimit::Wait,
        },
        OnLimit::Fail => {
            let Hold { class, message, .. } = pause;
            // The turn that was to be asked was never started.
            if let Some(turn) = batch.running_turn() {
                super::command::interrupt(batch, turn, InterruptCause::Stopped, None);
            }
            batch.push(Event::RunStopped { stop: Stop::Provider { class, message } });
            return;
        }
        on_limit => on_limit,
    };
    batch.push(Event::RunHeld { hold: Hold { on_limit, ..pause } });
}

/// A turn stands still until a person has said whether it may: it goes on in its conversation then,
/// whatever its step says of interruptions.
pub(super) fn permission_wanted(
    batch: &mut Batch,
    turn: TurnId,
    wanted: &Wanted,
    used: Vec<Digest>,
    evidence: Evidence,
    tree: Option<SnapshotId>,
) {
    let question = permission::question(&turn, wanted, used);
    let (cause, then) = (InterruptCause::Permission, OnInterrupt::Resume);
    let Evidence { usage, took_ms, .. } = evidence;
    batch.push(Event::TurnInterrupted { turn, cause, tree, then, usage, took_ms });
    batch.push(Event::QuestionAsked { question });
}

/// Whether the answer before, of the same attempts, was malformed as well: an answer is repaired once.
fn was_to_repair(run: &Run) -> bool {
    let last = |visit: &Visit| matches!(visit.feedback.last(), Some(Feedback::Outcome { .. }));
    run.visit.as_ref().is_some_and(|visit| visit.attempts > 0 && last(visit))
}

/// Records why a turn's work is of no use, and stops the run when it was the last attempt.
pub(super) fn reject(batch: &mut Batch, turn: TurnId, feedback: Feedback) {
    let message = format!("turn {turn}: {}", say(&feedback));
    // Who is outside is not asked again for the same.
    if turn.role == Role::Outside {
        return super::command::stand(batch, Stop::Error { message });
    }
    // What an author's code says is not asked for again by itself.
    if turn.role.is_code() {
        batch.push(Event::AttemptRejected { turn, feedback });
        return super::command::stand(batch, Stop::Error { message });
    }
    let in_vain = matches!(feedback, Feedback::Outcome { .. }) && was_to_repair(&batch.run);
    batch.push(Event::AttemptRejected { turn, feedback });
    if in_vain || exhausted(&batch.run) {
        let class = FailureClass::MalformedOutcome;
        let attempts = batch.run.visit.as_ref().map_or(0, |visit| visit.attempts);
        let message = format!("{message} (after {attempts} attempts)");
        batch.push(Event::RunStopped { stop: Stop::Provider { class, message } });
    }
}

fn say(feedback: &Feedback) -> String {
    match feedback {
        Feedback::Outcome { why } => format!("the outcome cannot be used: {why}"),
        Feedback::Failure { message, .. } => message.clone(),
        Feedback::Protected { paths } => {
            format!("protected files were changed: {}", paths.join(", "))
        }
        Feedback::Artifacts { findings } => findings
            .iter()
            .map(|finding| {
                let why = match &finding.state {
                    FindingState::Good { .. } => "is good".to_owned(),
                    FindingState::Stale { .. } => "was not written in this visit".to_owned(),
                    FindingState::Missing => "does not exist".to_owned(),
                    FindingState::Invalid { why } => format!("is not valid: {why}"),
                };
                format!("artifact `{}` ({}) {why}", finding.artifact, finding.path)
            })
            .collect::<Vec<_>>()
            .join("; "),
    }
}

/// After a producer's turn: its required artifacts must be good before anything is judged.
pub(super) fn checks_ended(
    batch: &mut Batch,
    visit: VisitId,
    checks: Vec<CheckResult>,
    findings: Vec<Finding>,
    touched: Vec<String>,
) {
    let plan = batch.run.plan.clone();
    let bad = findings
        .iter()
        .filter(|finding| is_required(&plan, &finding.artifact) && !finding.is_good())
        .cloned()
        .collect::<Vec<_>>();
    let n = batch
        .run
        .visit
        .as_ref()
        .and_then(|now| now.turns.get(&Role::Producer).copied())
        .unwrap_or(1);
    let paths = touched.clone();
    batch.push(Event::ChecksEnded { visit: visit.clone(), checks, findings, touched });
    let turn = TurnId { visit, role: Role::Producer, n, start: 1 };
    if !paths.is_empty() {
        reject(batch, turn, Feedback::Protected { paths });
    } else if !bad.is_empty() {
        reject(batch, turn, Feedback::Artifacts { findings: bad });
    }
}

/// The producer's tree is fixed: ask the verifier, unless only one route is left that needs nothing
/// of it.
pub(super) fn sealed(batch: &mut Batch, visit: VisitId, tree: Option<SnapshotId>) {
    batch.push(Event::Sealed { visit: visit.clone(), tree });
    let Some(step) = batch.run.current_step().cloned() else { return };
    let plan = batch.run.plan.clone();
    // Inherited routes are no way on that an author planned for.
    let offered: Vec<_> = batch.run.offered().into_iter().filter(|it| !it.inherited).collect();
    let full_auto = batch.run.full_auto;
    let planned = step.routes.iter().filter(|it| !it.inherited && it.is_offered(full_auto));
    let forced = match offered.as_slice() {
        [] => {
            let message = format!(
                "step `{}`: the checks leave no route; see `checks` and `required_checks`",
                step.id
            );
            super::command::stand(batch, Stop::Error { message });
            return;
        }
        [only] if planned.count() > 1 => {
            let of_verifier = |name: &ArtifactName| step.writes_of(Role::Verifier).contains(name);
            let free = !required_writes(&plan, &step, only).any(of_verifier);
            free.then(|| only.tag.clone())
        }
        _ => None,
    };
    if let Some(tag) = forced {
        batch.push(Event::OutcomeForced { visit, tag });
    }
}
