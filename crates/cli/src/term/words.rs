//! What happened in a run, said in one line each.

use botpipe_kernel::ids::{Role, TurnId, VisitId};
use botpipe_kernel::plan::Target;
use botpipe_kernel::run::{
    CheckStatus, Event, Feedback, FindingState, InterruptCause, Leave, Merge, MergedBranch,
    Permission, Ref, Rest, ResumeCause, Run, StateChange, TurnResult, Verdict, WorklistChange,
    WorklistState,
};

use super::agent::agent;
use super::clock;
use super::exit;
use super::output::one_line;

/// An event in words, given the run after it; `None` for one that only the record needs.
pub(crate) fn of(event: &Event, run: &Run) -> Option<String> {
    let words = match event {
        Event::RunCreated { run, task, workflow, .. } => {
            format!("run {run} of workflow {workflow} for task {task}")
        }
        Event::ItemsRead { worklist, .. } => {
            let list = run.worklists.get(worklist)?;
            let done = list.done.iter().filter(|done| **done).count();
            format!("worklist {worklist}: {} items, {done} done", list.items.len())
        }
        Event::ItemsRejected { worklist, why } => format!("worklist {worklist} is no good: {why}"),
        Event::ItemsExhausted { worklist, to, .. } => {
            format!("worklist {worklist} has no item left, on to {}", target(to))
        }
        Event::VisitEntered { visit, .. } => entered(visit, run),
        Event::TurnOwed { turn, .. } => format!("{} at work", speaker(turn)),
        Event::TurnEnded { turn, result, leftover, .. } => ended(turn, result, *leftover),
        Event::TurnInterrupted { turn, cause, .. } => {
            format!("{} was interrupted: {}", speaker(turn), interruption(cause))
        }
        Event::TreeRestored { .. } | Event::RestoreRefused { .. } => restored(event)?,
        Event::ChecksEnded { checks, .. } if checks.is_empty() => return None,
        Event::ChecksEnded { checks, .. } => {
            let said = checks.iter().map(|check| match &check.status {
                CheckStatus::Passed => format!("{} passed", check.name),
                CheckStatus::Failed { why } => format!("{} failed ({why})", check.name),
                CheckStatus::Skipped => format!("{} skipped", check.name),
            });
            format!("checks: {}", said.collect::<Vec<_>>().join(", "))
        }
        Event::OutcomeForced { tag, .. } => format!("only route {tag} is left, so it is taken"),
        Event::AttemptRejected { turn, feedback } if turn.role.is_code() => {
            format!("{} is not followed: {}", speaker(turn), reason(feedback))
        }
        Event::AttemptRejected { turn, feedback } => {
            format!("{} has to try again: {}", speaker(turn), reason(feedback))
        }
        Event::RouteTaken { .. } => left(event)?,
        Event::StatusWritten { worklist, drift: Some(drift), .. } => {
            format!("worklist {worklist} had changed since it was read: {drift}")
        }
        Event::StateSet { changes, .. } => set(changes),
        Event::SourceDrifted { drift, .. } => drift.clone(),
        Event::QuestionAsked { .. }
        | Event::AnswerAccepted { .. }
        | Event::PermissionAnswered { .. }
        | Event::PersonAttached { .. } => with_a_person(event)?,
        Event::AnswerRefused { .. }
        | Event::WaitBegun { .. }
        | Event::SignalReceived { .. }
        | Event::WaitEnded { .. } => outside(event)?,
        Event::PersonSaid { .. } => "a person said something".to_owned(),
        Event::SaidDelivered { turn } => format!("{} was told what the person said", speaker(turn)),
        Event::RunHeld { hold } => {
            format!("waits until {} UTC, {hold}", clock::moment(hold.until))
        }
        Event::FellBack { provider, class, message } => {
            format!("falls back to {} after {}: {message}", agent(provider), class.as_str())
        }
        Event::WorkspaceMoved { to } => format!(
            "the workspace is {to} now: conversations held where it was before are not gone on with"
        ),
        Event::HarnessChanged { version, of } => {
            let who = run.provider_named(of.as_deref()).map(agent).unwrap_or_default();
            format!("the harness is version {version} now: {who}")
        }
        Event::HoldEnded => "the time has come, on it goes".to_owned(),
        Event::RunStopped { stop } => format!("stopped, {stop}"),
        Event::RunResumed { cause: ResumeCause::Asked, .. } => "resumed".to_owned(),
        Event::RunResumed { cause: ResumeCause::OwnerLost, .. } => {
            "resumed after its owner had died".to_owned()
        }
        Event::RunFinished { verdict } => finished(*verdict).to_owned(),
        Event::RunCancelled => "cancelled".to_owned(),
        Event::ChildrenPlanned { .. }
        | Event::ChildRested { .. }
        | Event::ChildEnded { .. }
        | Event::ChildSkipped { .. }
        | Event::ChildrenJoined { .. }
        | Event::MergeOwed { .. }
        | Event::BranchesMerged { .. }
        | Event::MergeRefused { .. }
        | Event::MergeApplied { .. } => below(event)?,
        Event::CallbackOwed { .. } | Event::WorklistChanged { .. } | Event::Redirected { .. } => {
            by_code(event)?
        }
        Event::CallbackAnswered { .. }
        | Event::HookEnded { .. }
        | Event::ExitPicked { .. }
        | Event::BaselineTaken { .. }
        | Event::TurnStarted { .. }
        | Event::SessionKnown { .. }
        | Event::Sealed { .. }
        | Event::OutcomeAccepted { .. }
        | Event::ArtifactsAccepted { .. }
        | Event::OutputSet { .. }
        | Event::StatusWritten { .. }
        | Event::ChildOwed { .. } => return None,
    };
    Some(one_line(&words, 400))
}

/// What was done with the files of a turn that was cut off.
fn restored(event: &Event) -> Option<String> {
    Some(match event {
        Event::TreeRestored { visit, to, kept } if kept == to => {
            format!("files are as at the start of {visit}, nothing was put back")
        }
        Event::TreeRestored { visit, kept, .. } => format!(
            "files put back to the start of {visit}, what was there is kept as snapshot {}",
            kept.0
        ),
        Event::RestoreRefused { changed, .. } => {
            format!("files left as they are, somebody changed {}", changed.join(", "))
        }
        _ => return None,
    })
}

/// What functions and hooks ask for, and do.
fn by_code(event: &Event) -> Option<String> {
    Some(match event {
        Event::CallbackOwed { ask, .. } => match ask {
            Ref::Inline(ask) => {
                let ask: serde_json::Value = serde_json::from_str(ask).unwrap_or_default();
                let method = ask["method"].as_str().unwrap_or_default();
                format!("the function asks: {method} {}", ask["params"])
            }
            Ref::Object(_) => "the function asks for something".to_owned(),
        },
        Event::WorklistChanged { worklist, change } => match change {
            WorklistChange::Complete { item } => format!("item {item} of {worklist} completed"),
            WorklistChange::Reset { item } => format!("item {item} of {worklist} opened again"),
            WorklistChange::Advance => format!("the current item of {worklist} left behind"),
            WorklistChange::Refresh => format!("{worklist} is to be read again"),
        },
        Event::Redirected { turn, to, why, .. } => {
            let why = why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
            format!("{} leads on to {}{why}", speaker(turn), target(to))
        }
        _ => return None,
    })
}

/// What becomes of runs below this one.
fn below(event: &Event) -> Option<String> {
    Some(match event {
        Event::ChildrenPlanned { children, .. } => match children.as_slice() {
            [child] => format!("starts {} below", child.branch),
            all => format!("starts {} branches", all.len()),
        },
        Event::ChildRested { branch, rest, .. } => match rest {
            Rest::Waiting(question) => format!("{branch} waits: {}", question.text),
            Rest::Held(hold) => format!("{branch} waits until {} UTC", clock::moment(hold.until)),
            Rest::Stopped(stop) => format!("{branch} stopped, {stop}"),
        },
        Event::ChildEnded { branch, end, .. } => {
            let how = end.verdict.map_or("cancelled", finished);
            let by = end.tag.as_ref().map(|tag| format!(" by {tag}")).unwrap_or_default();
            format!("{branch} {how}{by}")
        }
        Event::ChildSkipped { branch, .. } => format!("{branch} skipped, another failed"),
        Event::BranchesMerged { merge, .. } => merged(merge),
        Event::MergeRefused { changed, .. } => {
            format!("somebody changed {} meanwhile, merged again", changed.join(", "))
        }
        Event::MergeApplied { tree, kept, .. } if kept != tree => {
            format!("files hold the merge now, what was there is kept as snapshot {}", kept.0)
        }
        Event::ChildrenJoined { tag: Some(tag), .. } => format!("all are over: {tag}"),
        Event::ChildrenJoined { tag: None, .. } => "all are over".to_owned(),
        _ => return None,
    })
}

/// Which branches' changes go together, and which do not.
fn merged(merge: &Merge) -> String {
    let of = |branch: &MergedBranch| match (branch.conflicts.as_slice(), branch.changed) {
        ([], 1) => format!("{} (1 file)", branch.branch),
        ([], files) => format!("{} ({files} files)", branch.branch),
        (conflicts, _) => {
            let folder = branch.folder.as_deref().unwrap_or_default();
            let files = conflicts.join(", ");
            format!("not {}: others changed {files} too, its files stay in {folder}", branch.branch)
        }
    };
    let all: Vec<String> = merge.branches.iter().map(of).collect();
    if all.is_empty() {
        "nothing to merge".to_owned()
    } else {
        format!("merged {}", all.join("; "))
    }
}

/// What comes from outside, and what is waited for.
fn outside(event: &Event) -> Option<String> {
    Some(match event {
        Event::AnswerRefused { changed, .. } => {
            let names: Vec<_> = changed.iter().map(ToString::to_string).collect();
            format!("the answer does not count, {} changed since it was asked", names.join(", "))
        }
        Event::WaitBegun { wait } => match wait.until {
            Some(until) => format!("{wait}, until {} UTC", clock::moment(until)),
            None => wait.to_string(),
        },
        Event::SignalReceived { signal } => format!("signal {} came", signal.name),
        Event::WaitEnded { visit, signal: Some(_), .. } => {
            format!("step {} has its signal", visit.step)
        }
        Event::WaitEnded { visit, signal: None, .. } => {
            format!("the time of step {} has come", visit.step)
        }
        _ => return None,
    })
}

/// How a visit was left.
fn left(event: &Event) -> Option<String> {
    let Event::RouteTaken { tag, to, completed, handoff, dropped, reset, .. } = event else {
        return None;
    };
    if let (Target::Fail, Some(Ref::Inline(why))) = (to, handoff) {
        return Some(format!("{tag}: on to the end, failed: {why}"));
    }
    let item = match (completed, dropped, reset) {
        (Some(item), ..) => format!("item {item} completed, "),
        (None, Some(item), _) => format!("item {item} left behind, "),
        (None, None, Some(item)) => format!("item {item} opened again, "),
        (None, None, None) => String::new(),
    };
    Some(format!("{tag}: {item}on to {}", target(to)))
}

/// What a route put into the state.
fn set(changes: &[StateChange]) -> String {
    let said = changes.iter().map(|change| match &change.value {
        Ref::Inline(value) => format!("{} = {value}", change.place),
        Ref::Object(_) => format!("{} = …", change.place),
    });
    said.collect::<Vec<_>>().join(", ")
}

/// Where a run stands, for a status line: `implement (visit 2, item 1 of 2: Add it), producer`.
pub(crate) fn standing(run: &Run) -> Option<String> {
    let visit = run.visit.as_ref()?;
    Some(entered(&visit.id, run))
}

/// A verdict as a sentence's end.
pub(crate) fn finished(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Accepted => "finished: accepted",
        Verdict::Rejected => "finished: rejected",
        Verdict::None => "finished",
    }
}

fn entered(visit: &VisitId, run: &Run) -> String {
    let step = run.plan.step(&visit.step);
    let list = step.and_then(|step| run.worklists.get(step.scope.as_ref()?));
    let again = if visit.n > 1 { format!(", visit {}", visit.n) } else { String::new() };
    match (&visit.item, list.and_then(position)) {
        (Some(_), Some((at, of, title))) => {
            format!("step {}, item {at} of {of}{again}: {title}", visit.step)
        }
        (Some(item), None) => format!("step {}, item {item}{again}", visit.step),
        (None, _) => format!("step {}{again}", visit.step),
    }
}

/// The current item's place in its worklist, and its title.
fn position(list: &WorklistState) -> Option<(usize, usize, String)> {
    let item = list.item()?;
    let title = item.title.clone().unwrap_or_else(|| item.id.to_string());
    Some((list.current? + 1, list.items.len(), one_line(&title, 60)))
}

fn speaker(turn: &TurnId) -> String {
    let again = match (turn.n, turn.start) {
        (1, 1) => String::new(),
        (n, 1) => format!(", turn {n}"),
        (1, start) => format!(", start {start}"),
        (n, start) => format!(", turn {n}, start {start}"),
    };
    let who = match turn.role {
        Role::Worker => "agent",
        Role::Producer => "producer",
        Role::Verifier => "verifier",
        Role::Script => "script",
        Role::Outside => "who is outside",
        Role::Before => "hook before",
        Role::BeforeProducer => "hook before_producer",
        Role::AfterProducer => "hook after_producer",
        Role::BeforeVerifier => "hook before_verifier",
        Role::AfterVerifier => "hook after_verifier",
        Role::After => "hook after",
        Role::OnTaken => "hook on_taken",
    };
    format!("{who}{again}")
}

fn ended(turn: &TurnId, result: &TurnResult, leftover: u32) -> String {
    let who = speaker(turn);
    let left = match leftover {
        0 => String::new(),
        n => format!(" ({n} processes it left behind were ended)"),
    };
    match result {
        TurnResult::Completed { exit: Some(code), text } => {
            let beyond = match text {
                Ref::Inline(text) if i32::from(exit::BEYOND) == *code => beyond(text),
                _ => None,
            };
            let why = beyond.map(|why| format!(": {why}")).unwrap_or_default();
            format!("{who} ended with exit code {code}{why}{left}")
        }
        TurnResult::Completed { .. } => format!("{who} done{left}"),
        TurnResult::Failed { message, .. } => format!("{who} failed: {message}{left}"),
    }
}

/// What the last line of a command's text says of a limit that it went beyond.
pub(crate) fn beyond(text: &str) -> Option<&str> {
    text.lines().last()?.strip_prefix("botpipe: ").filter(|line| line.starts_with("the command "))
}

/// What a person is asked, and does.
fn with_a_person(event: &Event) -> Option<String> {
    Some(match event {
        Event::QuestionAsked { question } => format!("question: {}", question.text),
        Event::AnswerAccepted { .. } => "answer accepted".to_owned(),
        Event::PermissionAnswered { turn, permission } => {
            format!("{} {}", speaker(turn), allowed(permission))
        }
        Event::PersonAttached { attached } => {
            format!("a person went on in conversation {}", attached.session.0)
        }
        _ => return None,
    })
}

fn allowed(permission: &Permission) -> String {
    let may = match permission.leave {
        Leave::Once => "may, this once,",
        Leave::Always => "may in this conversation",
        Leave::Denied => "may not",
    };
    let note = permission.note.as_ref().map(|note| format!(": {note}")).unwrap_or_default();
    format!("{may} {}{note}", permission.wanted)
}

fn interruption(cause: &InterruptCause) -> String {
    match cause {
        InterruptCause::OwnerLost => "its owner died".to_owned(),
        InterruptCause::Signal(signal) => format!("signal {signal}"),
        InterruptCause::Cancelled => "the run was cancelled".to_owned(),
        InterruptCause::Stopped => "its owner could not go on".to_owned(),
        InterruptCause::Permission => "it asks leave, and nobody is here".to_owned(),
    }
}

fn reason(feedback: &Feedback) -> String {
    match feedback {
        Feedback::Outcome { why } => why.clone(),
        Feedback::Failure { message, .. } => message.clone(),
        Feedback::Protected { paths } => {
            format!("protected files were changed: {}", paths.join(", "))
        }
        Feedback::Artifacts { findings } => {
            let said = findings.iter().filter(|finding| !finding.is_good()).map(|finding| {
                let name = &finding.artifact;
                match &finding.state {
                    FindingState::Good { .. } => format!("{name} is good"),
                    FindingState::Stale { .. } => format!("{name} was not written anew"),
                    FindingState::Missing => format!("{name} is missing"),
                    FindingState::Invalid { why } => format!("{name} is invalid: {why}"),
                }
            });
            said.collect::<Vec<_>>().join("; ")
        }
    }
}

fn target(to: &Target) -> String {
    match to {
        Target::Step(step) => step.to_string(),
        Target::SelfStep => "the same step".to_owned(),
        Target::Finish => "the end".to_owned(),
        Target::Fail => "the end, failed".to_owned(),
        Target::AwaitInput => "a question".to_owned(),
    }
}
