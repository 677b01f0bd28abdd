//! Input to events: every rule of how a run moves, and nothing else.

mod attempt;
mod calls;
mod children;
mod command;
mod onward;
mod outside;
mod route;

pub use calls::{OWN_ITEM, leaves_own};

use super::event::Event;
use super::facts::{Baseline, Finding, FindingState, Ref, Stop};
use super::input::{Drift, Input, Judged};
use super::state::{Lifecycle, Phase, Run};
use crate::ids::{Role, TurnId, VisitId};

/// The kernel's no to an input, with the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The run was started before.
    AlreadyStarted,
    /// The run is over.
    Ended,
    /// There is no question to answer.
    NotWaiting,
    /// `resume` does not answer a question.
    WaitsForAnswer,
    /// The answer is none of the choices.
    NotAChoice { choices: Vec<String> },
    /// The run stands at a limit that was not raised.
    LimitNotRaised { stop: Stop },
    /// A bound names a step that the workflow does not have.
    UnknownStep { step: crate::ids::StepId },
}

/// What follows from an input.
///
/// The events are to be appended together, durably, before anything they owe is done. No events: the
/// input came late, early or twice, and changes nothing.
///
/// # Errors
/// A [`Refusal`] when a person asked for something that the run's state does not allow.
pub fn decide(run: &Run, input: Input) -> Result<Vec<Event>, Refusal> {
    let mut batch = Batch::new(run);
    match input {
        Input::Start { .. } => command::start(&mut batch, input)?,
        Input::Answer { answer, text, findings } => {
            command::answer(&mut batch, answer, &text, &findings)?;
        }
        Input::Resume { raise, tree, edited } => {
            command::resume(&mut batch, raise, tree, edited)?;
        }
        Input::Say { said } => command::say(&mut batch, said)?,
        Input::Attach { attached } => command::attach(&mut batch, attached)?,
        Input::Signal { signal } => outside::signal(&mut batch, signal)?,
        Input::Cancel => command::cancel(&mut batch)?,
        Input::Stop { cause, tree } => command::stop(&mut batch, cause, tree),
        Input::Stuck { message } => command::stand(&mut batch, Stop::Error { message }),
        Input::PolicyRefused { message } => command::stand(&mut batch, Stop::Policy { message }),
        effect_answer => answered(&mut batch, effect_answer),
    }
    Ok(batch.events)
}

/// Answers to effects: taken when they fit, dropped when they do not.
fn answered(batch: &mut Batch, input: Input) {
    match input {
        Input::StatusWritten { worklist, item, status, stamp, drift } => {
            if batch.run.status_owed.front() == Some(&(worklist.clone(), item.clone(), status)) {
                batch.push(Event::StatusWritten { worklist, item, status, stamp, drift });
                onward::go_on(batch);
            }
        }
        Input::TimeCame => onward::time_came(batch),
        Input::Due { visit } => outside::due(batch, visit),
        _ if !matches!(batch.run.lifecycle, Lifecycle::Running) => {}
        Input::Found { workspace, of, version } => command::found(batch, workspace, of, version),
        Input::ItemsRead { worklist, source, items } => {
            if batch.reads(&worklist) {
                onward::items_read(batch, worklist, source, items);
            }
        }
        Input::ItemsRejected { worklist, why } => {
            if batch.reads(&worklist) {
                onward::items_rejected(batch, worklist, why);
            }
        }
        Input::OutputReady { value } => {
            if batch.run.owes_output() {
                batch.push(Event::OutputSet { value });
                onward::go_on(batch);
            }
        }
        Input::BaselineTaken { visit, baseline, requires, drift } => {
            entered(batch, visit, baseline, &requires, drift);
        }
        of_turn @ (Input::TurnPrepared { .. }
        | Input::TurnStarted { .. }
        | Input::SessionKnown { .. }
        | Input::TurnEnded { .. }
        | Input::SaidDelivered { .. }
        | Input::PermissionWanted { .. }
        | Input::PermissionAnswered { .. }
        | Input::TurnHeld { .. }) => of_a_turn(batch, of_turn),
        Input::CallbackAsked { turn, n, key, ask, child } => {
            calls::asked(batch, turn, n, key, ask, child.map(|child| *child));
        }
        Input::CallbackAnswered { turn, n, answer, change } => {
            calls::answered(batch, turn, n, answer, change);
        }
        Input::Posed { visit, text, findings, until } => {
            outside::posed(batch, visit, text, &findings, until);
        }
        Input::Armed { visit, until } => outside::armed(batch, visit, until),
        Input::ChecksEnded { visit, checks, findings, touched } => {
            if batch.phase_of(&visit) == Some(&Phase::Checking) {
                attempt::checks_ended(batch, visit, checks, findings, touched);
            }
        }
        Input::Sealed { visit, tree } => {
            if batch.phase_of(&visit) == Some(&Phase::Sealing) {
                attempt::sealed(batch, visit, tree);
            }
        }
        Input::Judged { turn, judged } => {
            if matches!(batch.phase_of(&turn.visit), Some(Phase::Judging { turn: at, .. }) if *at == turn)
            {
                judge(batch, turn, judged);
            }
        }
        Input::HandoffRendered { visit, exit } => {
            if let Some(Phase::Handing { tag }) = batch.phase_of(&visit) {
                let tag = tag.clone();
                route::take(batch, None, &tag, exit, &[]);
            }
        }
        of_tree @ (Input::TreeRestored { .. } | Input::RestoreRefused { .. }) => {
            of_the_tree(batch, of_tree);
        }
        of_child @ (Input::ChildrenPlanned { .. }
        | Input::ChildRested { .. }
        | Input::ChildEnded { .. }
        | Input::Merged { .. }
        | Input::MergeApplied { .. }
        | Input::MergeRefused { .. }) => below(batch, of_child),
        Input::Start { .. }
        | Input::Answer { .. }
        | Input::Resume { .. }
        | Input::Cancel
        | Input::Say { .. }
        | Input::Attach { .. }
        | Input::Signal { .. }
        | Input::Stop { .. }
        | Input::Stuck { .. }
        | Input::PolicyRefused { .. } => {}
    }
}

/// What became of a tree that was to be put back.
fn of_the_tree(batch: &mut Batch, input: Input) {
    match input {
        Input::TreeRestored { turn, kept } => {
            if let Some(Phase::Restoring { turn: at, to, .. }) = batch.phase_of(&turn.visit)
                && *at == turn
            {
                let to = to.clone();
                batch.push(Event::TreeRestored { visit: turn.visit, to, kept });
            }
        }
        Input::RestoreRefused { turn, tree, changed } => {
            if matches!(batch.phase_of(&turn.visit), Some(Phase::Restoring { turn: at, .. }) if *at == turn)
            {
                batch.push(Event::RestoreRefused { turn, tree, changed });
                onward::go_on(batch);
            }
        }
        _ => {}
    }
}

/// What is told of runs below this one.
fn below(batch: &mut Batch, input: Input) {
    match input {
        Input::ChildrenPlanned { visit, children } => children::planned(batch, visit, children),
        Input::ChildRested { which, rest, spent, steps } => {
            children::rested(batch, which, rest, spent, steps);
        }
        Input::ChildEnded { which, end } => children::ended(batch, which, end),
        Input::Merged { visit, merge } => children::merged(batch, visit, merge),
        Input::MergeApplied { visit, tree, kept } => children::applied(batch, visit, tree, kept),
        Input::MergeRefused { visit, tree, changed }
            if batch.phase_of(&visit) == Some(&Phase::Applying) =>
        {
            batch.push(Event::MergeRefused { visit, tree, changed });
        }
        _ => {}
    }
}

/// What is told of a turn, from its prompt to its end.
fn of_a_turn(batch: &mut Batch, input: Input) {
    match input {
        Input::TurnPrepared { turn, prompt, request, policy, session, said }
            if batch.prepares(&turn) =>
        {
            let policy = policy.filter(|it| batch.run.policy.as_ref() != Some(it));
            if let Some(stop) = batch.run.reached().filter(|_| !turn.role.is_code()) {
                return command::stand(batch, stop);
            }
            // What was told before stands in the prompt as well, and is not owed any more.
            let visit = batch.run.visit.as_ref();
            let again = visit.map_or(0, |it| it.told_again(session.as_ref()).len());
            let said = said.saturating_sub(u32::try_from(again).unwrap_or(u32::MAX));
            batch.push(Event::TurnOwed { turn, prompt, request, policy, session, said });
        }
        Input::TurnStarted { turn, mut process } => {
            if matches!(batch.turning(&turn), Some(Phase::Turning { process: None, .. })) {
                process.boot_id =
                    process.boot_id.filter(|it| batch.run.boot_id.as_ref() != Some(it));
                batch.push(Event::TurnStarted { turn, process });
            }
        }
        Input::SessionKnown { turn, token } if batch.turning(&turn).is_some() => {
            batch.push(Event::SessionKnown { turn, token });
        }
        Input::TurnEnded { turn, result, evidence, pause } if batch.turning(&turn).is_some() => {
            attempt::turn_ended(batch, turn, result, evidence, pause);
        }
        Input::SaidDelivered { turn }
            if batch.turning(&turn).is_some() && !batch.run.said.is_empty() =>
        {
            batch.push(Event::SaidDelivered { turn });
        }
        Input::PermissionWanted { turn, wanted, used, evidence, tree }
            if batch.turning(&turn).is_some() =>
        {
            attempt::permission_wanted(batch, turn, &wanted, used, evidence, tree);
        }
        Input::PermissionAnswered { turn, n, permission }
            if batch.turning(&turn).is_some()
                && batch.run.visit.as_ref().is_some_and(|it| it.permissions.answered == n) =>
        {
            batch.push(Event::PermissionAnswered { turn, permission: Box::new(permission) });
        }
        Input::TurnHeld { turn, hold } => {
            if matches!(batch.turning(&turn), Some(Phase::Turning { process: None, .. })) {
                attempt::hold(batch, hold);
            }
        }
        _ => {}
    }
}

fn entered(
    batch: &mut Batch,
    visit: VisitId,
    baseline: Baseline,
    requires: &[Finding],
    drift: Option<Drift>,
) {
    if batch.phase_of(&visit) != Some(&Phase::Entering) {
        return;
    }
    if let Some(Drift { worklist, source, text: drift }) = drift {
        let list = batch.run.worklists.get(&worklist);
        if list.is_some_and(|list| list.drifted.as_ref() != Some(&source)) {
            batch.push(Event::SourceDrifted { worklist, source, drift });
        }
    }
    match unmet(requires) {
        Some(why) => command::stand(batch, Stop::Error { message: why }),
        None => batch.push(Event::BaselineTaken { visit, baseline }),
    }
}

fn judge(batch: &mut Batch, turn: TurnId, judged: Judged) {
    if let (Role::Outside, Judged::Malformed { why } | Judged::ScriptFailed { why }) =
        (turn.role, &judged)
    {
        return command::stand(batch, Stop::Error { message: why.clone() });
    }
    match judged {
        Judged::Outcome(outcome) => route::outcome(batch, turn, *outcome),
        Judged::Malformed { why } => {
            attempt::reject(batch, turn, super::facts::Feedback::Outcome { why });
        }
        Judged::Returned(returned) => calls::returned(batch, turn, *returned),
        Judged::ScriptFailed { why } => {
            // Whoever resumes has mended something, so it is run again.
            let feedback = super::facts::Feedback::Outcome { why: why.clone() };
            batch.push(Event::AttemptRejected { turn, feedback });
            command::stand(batch, Stop::Error { message: why });
        }
    }
}

/// What the required artifacts lack, as one sentence.
fn unmet(requires: &[Finding]) -> Option<String> {
    let lacks = requires
        .iter()
        .filter_map(|finding| {
            let why = match &finding.state {
                FindingState::Good { .. } | FindingState::Stale { .. } => return None,
                FindingState::Missing => "does not exist".to_owned(),
                FindingState::Invalid { why } => format!("is not valid: {why}"),
            };
            Some(format!("required artifact `{}` ({}) {why}", finding.artifact, finding.path))
        })
        .collect::<Vec<_>>();
    (!lacks.is_empty()).then(|| lacks.join("; "))
}

/// Events of one decision, and the state they lead to.
struct Batch {
    run: Run,
    events: Vec<Event>,
}

impl Batch {
    fn new(run: &Run) -> Self {
        Self { run: run.clone(), events: Vec::new() }
    }

    fn push(&mut self, event: Event) {
        self.run.evolve(&event);
        self.events.push(event);
    }

    fn phase_of(&self, visit: &VisitId) -> Option<&Phase> {
        self.run.visit.as_ref().filter(|now| now.id == *visit).map(|now| &now.phase)
    }

    fn turning(&self, turn: &TurnId) -> Option<&Phase> {
        self.phase_of(&turn.visit)
            .filter(|phase| matches!(phase, Phase::Turning { turn: at, .. } if at == turn))
    }

    fn prepares(&self, turn: &TurnId) -> bool {
        matches!(self.phase_of(&turn.visit), Some(Phase::Preparing { turn: at, .. }) if at == turn)
    }

    /// Whether the run is waiting for this worklist to be read.
    fn reads(&self, worklist: &crate::ids::WorklistName) -> bool {
        self.run.to_read() == Some(worklist)
    }

    /// The turn that is owed or runs.
    fn running_turn(&self) -> Option<TurnId> {
        match self.run.visit.as_ref().map(|visit| &visit.phase) {
            Some(Phase::Turning { turn, .. }) => Some(turn.clone()),
            _ => None,
        }
    }

    fn answer_text(text: String) -> Ref {
        Ref::Inline(text)
    }
}
