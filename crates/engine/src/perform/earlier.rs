//! What a turn is told of what came before it: an interruption, and work its conversation does not recall.

use std::path::Path;

use botpipe_kernel::ids::TurnId;
use botpipe_kernel::run::{
    Event, FindingState, InterruptCause, Leave, Permission, Provider, SessionKey, SessionUse,
    TurnCause, TurnResult,
};

use super::Trouble;
use crate::driver::Driver;
use crate::harness;
use crate::prompt::{CONTRACT, InterruptionNote, Recalls, one_line};

/// The note for a turn that was interrupted, or whose conversation cannot be gone on with.
pub(super) fn note(
    driver: &mut Driver<'_>,
    turn: &TurnId,
    cause: &TurnCause,
    session: Option<&SessionUse>,
) -> Result<Option<InterruptionNote>, Trouble> {
    let recalls = match session {
        Some(SessionUse { key, token: Some(token), from: None, .. })
            if matches!(cause, TurnCause::Resumed { .. }) && is_empty(driver, key, token) =>
        {
            Recalls::Nothing
        }
        Some(SessionUse { token: Some(_), from: None, .. }) => Recalls::All,
        Some(SessionUse { token: Some(_), from: Some(_), .. }) => Recalls::UpToCheckpoint,
        Some(SessionUse { token: None, .. }) | None => Recalls::Nothing,
    };
    // Its slot had a conversation, and has none any more.
    let gone = recalls == Recalls::Nothing
        && session.is_some_and(|session| driver.run.sessions.contains_key(&session.key));
    let what_happened = match cause {
        TurnCause::First | TurnCause::Retry if !gone => return Ok(None),
        TurnCause::First | TurnCause::Retry => None,
        TurnCause::Resumed { cause: InterruptCause::Permission } => Some(answered(driver)?),
        TurnCause::Resumed { cause } => Some(format!(
            "An earlier start of this turn was cut off: {}. Files are as they were left: look at what is \
             done, keep what is right, and finish the work.",
            words(cause)
        )),
        TurnCause::Restarted { cause } => Some(format!(
            "An earlier start of this turn was cut off: {}. Files were put back to where the turn began; \
             start over.",
            words(cause)
        )),
    };
    // A verifier's turn began on the tree its producer left.
    let base = driver.current_visit()?.base_of(turn).cloned();
    let same = matches!(cause, TurnCause::First | TurnCause::Restarted { .. });
    let changed = match base.filter(|_| !same) {
        Some(base) => {
            let now = driver.desk.snapshots.take().map_err(Trouble::stuck)?;
            driver.desk.snapshots.changed(&base, &now).map_err(Trouble::stuck)?
        }
        None => Vec::new(),
    };
    let summary = match (recalls, session) {
        (Recalls::Nothing, Some(session)) => earlier_work(driver, &session.key)?,
        _ => Vec::new(),
    };
    Ok(Some(InterruptionNote { what_happened, changed, recalls, summary }))
}

/// Whether the harness has kept a conversation in which nothing was said: it was killed before it had
/// written down what it was asked first.
fn is_empty(driver: &Driver<'_>, key: &SessionKey, token: &str) -> bool {
    let Some(Provider::Codex(harness)) = driver.run.holder(key) else { return false };
    let home = harness.home.as_deref().map(Path::new);
    home.and_then(|home| harness::says(home, token, CONTRACT)) == Some(false)
}

fn words(cause: &InterruptCause) -> &'static str {
    match cause {
        InterruptCause::OwnerLost => "the process that ran it died",
        InterruptCause::Signal(_) => "the run was stopped by a signal",
        InterruptCause::Cancelled => "the run was cancelled",
        InterruptCause::Stopped => "the run could not go on",
        InterruptCause::Permission => "it asked leave for something, and nobody was there",
    }
}

/// What a person said to what the turn asked leave for.
fn answered(driver: &Driver<'_>) -> Result<String, Trouble> {
    let given = driver.current_visit()?.permissions.given.last();
    let Some(Permission { wanted, leave, note }) = given else {
        return Ok(format!("This turn was cut off: {}.", words(&InterruptCause::Permission)));
    };
    let note = note.as_ref().map(|note| format!(" They say: {note}")).unwrap_or_default();
    let said = match leave {
        Leave::Once => {
            "A person allows it, this once. Do it now, exactly as you asked to, and finish the work."
        }
        Leave::Always => {
            "A person allows it, as often as you need it in this conversation. Do it now, exactly as you \
             asked to, and finish the work."
        }
        Leave::Denied => {
            "A person denies it. Do not ask for it again, and find no other way to the same end; finish what \
             can be done without it, and say what could not."
        }
    };
    Ok(format!(
        "This turn stood still: you asked leave to {wanted}, and nobody was there. {said}{note} Files are as \
         they were left."
    ))
}

/// How a turn of a conversation came out.
enum Came {
    CutOff,
    Ended(TurnResult),
}

/// What the turns of a conversation had done by what is recorded, the oldest first.
fn earlier_work(driver: &Driver<'_>, key: &SessionKey) -> Result<Vec<String>, Trouble> {
    driver.parts.journal.settle()?;
    let stored = driver.parts.journal.read(&driver.desk.run_id)?;
    let events = stored.iter().map(|stored| &stored.event).chain(&driver.pending);
    let mut turns: Vec<(&TurnId, Came)> = Vec::new();
    for event in events {
        match event {
            Event::TurnOwed { turn, session: Some(session), .. } if session.key == *key => {
                turns.push((turn, Came::CutOff));
            }
            Event::TurnEnded { turn, result, .. } => {
                if let Some((_, came)) = turns.iter_mut().rfind(|(of, _)| *of == turn) {
                    *came = Came::Ended(result.clone());
                }
            }
            _ => {}
        }
    }
    let left_out = turns.len().saturating_sub(EARLIER_TURNS);
    let mut lines = Vec::new();
    if left_out > 0 {
        lines.push(format!("{left_out} earlier turns, not listed here"));
    }
    for (turn, came) in &turns[left_out..] {
        let how = match came {
            Came::CutOff => "was cut off before its end".to_owned(),
            Came::Ended(TurnResult::Failed { class, .. }) => format!("failed ({})", class.as_str()),
            Came::Ended(TurnResult::Completed { text, .. }) => {
                let text = driver.parts.text(text).map_err(Trouble::Fatal)?;
                format!("answered: {}", one_line(&text, ANSWER_BYTES))
            }
        };
        lines.push(format!("`{turn}` {how}"));
    }
    for finding in &driver.current_visit()?.findings {
        if let FindingState::Good { .. } = finding.state {
            lines.push(format!("artifact `{}` is written", finding.artifact));
        }
    }
    Ok(lines)
}

/// Turns of a conversation that a new one is told of.
const EARLIER_TURNS: usize = 12;
/// How much of the answer of each.
const ANSWER_BYTES: usize = 600;
