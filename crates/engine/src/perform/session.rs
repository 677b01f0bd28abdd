//! Conversations whose key takes evaluating: by a template, or a task's over its runs.

use botpipe_journal::{RunFilter, RunRow, digest_of};
use botpipe_kernel::ids::Role;
use botpipe_kernel::plan::{Continuity, Step, TurnPlan};
use botpipe_kernel::run::{Lifecycle, Provider, Run, SessionKey, SessionUse};

use super::Trouble;
use crate::driver::Driver;
use crate::projection;

/// Earlier runs of a task that are looked at for its conversation.
const LOOKED_AT: usize = 20;
/// Longest text that stands in a key itself.
const KEY_BYTES: usize = 80;

/// The conversation of a turn, and what is told of earlier runs.
pub(super) struct Found {
    pub(super) session: Option<SessionUse>,
    pub(super) earlier: Option<String>,
}

/// Finds the conversation that a turn belongs to, given what the kernel knows of it.
pub(super) fn find(
    driver: &mut Driver<'_>,
    planned: &TurnPlan,
    (step, role): (&Step, Role),
    session: Option<SessionUse>,
    what: &str,
) -> Result<Found, Trouble> {
    let slot = planned.slot.as_ref().map(|slot| format!("{slot}/")).unwrap_or_default();
    let slot = format!("{}{slot}", step.session_prefix(role));
    let key = match &planned.session {
        Continuity::Run | Continuity::WorkItem | Continuity::Fresh => {
            return Ok(Found { session, earlier: None });
        }
        Continuity::Key(template) => {
            let text = driver.render(template, &format!("session key of the {what}"))?;
            let text = driver.desk.redactor.redact(text.trim()).into_owned();
            let short = text.len() <= KEY_BYTES && !text.contains(['/', '\n']);
            let text = if short { text } else { digest_of(text.as_bytes()).to_string() };
            format!("{slot}key/{text}")
        }
        Continuity::Task => format!("{slot}task"),
    };
    let session = of_key(&driver.run, key);
    // What this run held, and holds no more, is not taken up from an earlier one.
    let held = driver.run.sessions.contains_key(&session.key);
    if planned.session != Continuity::Task || held {
        return Ok(Found { session: Some(session), earlier: None });
    }
    of_task(driver, session)
}

fn of_key(run: &Run, key: String) -> SessionUse {
    let key = SessionKey(key);
    let known = run.sessions.get(&key).cloned().unwrap_or_default();
    let cost = known.usage.cost.unwrap_or(0);
    SessionUse { key, token: known.token, from: known.from, cost }
}

/// The conversation that the newest earlier run of the task left off with; else why there is none.
fn of_task(driver: &Driver<'_>, session: SessionUse) -> Result<Found, Trouble> {
    let filter =
        RunFilter { workflow: None, task: Some(driver.desk.task.clone()), children: false };
    let rows = driver.parts.journal.runs(&filter)?;
    for row in rows.iter().filter(|row| row.run != driver.desk.run_id).take(LOOKED_AT) {
        // A run that cannot be read has nothing to go on with.
        let Ok((run, _)) = driver.parts.fold(&row.run) else { continue };
        if !run.sessions.contains_key(&session.key) {
            continue;
        }
        let earlier = of_key(&run, session.key.0.clone());
        let why = if earlier.token.is_none() {
            Some("it is lost")
        } else if run.workspace != driver.run.workspace {
            Some("it was held in another folder")
        } else if !same(run.holder(&session.key), driver.run.holder(&session.key)) {
            Some("it was held with another agent program")
        } else {
            None
        };
        let told = told(row, &run);
        return Ok(match why {
            None => Found {
                session: Some(earlier),
                earlier: Some(format!("{told}. This conversation continues from there.")),
            },
            Some(why) => Found {
                session: Some(session),
                earlier: Some(format!(
                    "{told}. What was said then is not known here: {why}, so this is a new \
                     conversation. What it left behind is in the workspace: look at it first."
                )),
            },
        });
    }
    Ok(Found { session: Some(session), earlier: None })
}

/// An earlier run in a few words.
fn told(row: &RunRow, run: &Run) -> String {
    let detail = match &run.lifecycle {
        Lifecycle::Finished(_) | Lifecycle::Cancelled => String::new(),
        _ => format!(" ({})", projection::detail(run)),
    };
    format!(
        "An earlier run of this task, of workflow `{}`, is {}{detail} after {} visits",
        row.workflow,
        projection::word(&run.lifecycle),
        run.steps_taken
    )
}

/// Whether two agents keep their conversations in the same place.
fn same(one: Option<&Provider>, other: Option<&Provider>) -> bool {
    match (one, other) {
        (Some(Provider::Codex(one)), Some(Provider::Codex(other)))
        | (Some(Provider::Claude(one)), Some(Provider::Claude(other))) => one.home == other.home,
        (Some(Provider::Acp(one)), Some(Provider::Acp(other))) => {
            (&one.program, &one.args) == (&other.program, &other.args)
        }
        _ => false,
    }
}
