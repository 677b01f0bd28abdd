//! A run recorded into a cassette: what its agents were asked, answered and left behind, turn by turn.
//!
//! While a run that is recorded moves, each turn's recording lies in `runs/<run>/recording/`, for the
//! runs below it in such a folder of their own; the cassette is put together from these and the journals
//! whenever the owner of the whole lets go.

mod claims;
mod facts;
mod family;
mod turn;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use botpipe_journal::Stored;
use botpipe_kernel::ids::{RunId, TaskId, TurnId, WorkflowName};
use botpipe_kernel::run::{Event, Lifecycle, Provider};
use botpipe_providers::{Cassette, Recording};

pub(crate) use facts::facts;
pub(crate) use family::Family;
pub(crate) use turn::Recorder;

use crate::engine::Engine;
use crate::error::Error;
use crate::parts::Parts;
use crate::perform::way;
use crate::plain;
use crate::projection::View;
use crate::request::{Notice, Progress, RunRef};
use crate::workspace;
use crate::workspace::layout::WorkspacePath;

const FOLDER: &str = "recording";
/// Holds the path of the file that the cassette is written to.
const TARGET: &str = "to";

impl Engine {
    /// The cassette of a run that was recorded, as text.
    ///
    /// # Errors
    /// No such run; one that was not recorded; a recording that cannot be read.
    pub fn cassette(&self, which: &RunRef) -> Result<String, Error> {
        let row = self.find_root(which)?;
        let made = cassette(&self.parts, &row.task, &row.workflow, &row.run)?;
        let cassette = made.ok_or_else(|| Error::NotRecorded {
            run: row.run.clone(),
            task: row.task.clone(),
            workflow: row.workflow.clone(),
        })?;
        Ok(cassette.to_text())
    }

    /// A run, and all that ran below it.
    pub(crate) fn family(&self, which: &RunRef) -> Result<Family, Error> {
        let row = self.find_root(which)?;
        Family::read(&self.parts, &row.run, &row.workflow)
    }
}

/// Has a new run recorded; its cassette goes to a file whenever it is over or waits.
pub(crate) fn begin(
    parts: &Parts,
    (task, workflow, run): (&TaskId, &WorkflowName, &RunId),
    to: &Path,
) -> Result<(), Error> {
    let own = parts.layout.make_run_folder(task, workflow, run)?;
    let folder = own.absolute.join(FOLDER);
    let target = std::path::absolute(to).unwrap_or_else(|_| to.to_owned());
    let text = target.display().to_string();
    plain::make(&folder).map_err(workspace::Error::io("create", &folder))?;
    let path = folder.join(TARGET);
    fs::write(&path, text).map_err(workspace::Error::io("write", &path))?;
    Ok(())
}

/// Has a run below one that is recorded recorded as well.
///
/// # Order
/// Before the run is there: one that is there is recorded or never is.
pub(crate) fn begin_below(run_folder: &WorkspacePath) -> Result<(), Error> {
    let folder = run_folder.absolute.join(FOLDER);
    plain::make(&folder).map_err(workspace::Error::io("create", &folder))?;
    Ok(())
}

fn folder(parts: &Parts, task: &TaskId, workflow: &WorkflowName, run: &RunId) -> PathBuf {
    parts.layout.run_folder(task, workflow, run).absolute.join(FOLDER)
}

/// Writes the cassette of a run that is over or waits to where it was asked for, or says why not.
pub(crate) fn write_or_note(parts: &Parts, view: &View<'_>, progress: &dyn Progress) {
    let rests = matches!(view.run.lifecycle, Lifecycle::Waiting(_));
    if !rests && !view.run.lifecycle.is_ended() {
        return;
    }
    let folder = folder(parts, view.task, &view.run.plan.name, view.id);
    let Ok(target) = fs::read_to_string(folder.join(TARGET)) else { return };
    let text = match cassette(parts, view.task, &view.run.plan.name, view.id) {
        Ok(Some(cassette)) => match fs::write(&target, cassette.to_text()) {
            Ok(()) => format!("recorded in {target}"),
            Err(error) => format!("could not write the recording to `{target}`: {error}"),
        },
        Ok(None) => return,
        Err(error) => format!("could not put the recording together: {error}"),
    };
    progress.notice(&Notice::Note { text: &text });
}

/// `None` when the run is not recorded.
fn cassette(
    parts: &Parts,
    task: &TaskId,
    workflow: &WorkflowName,
    run: &RunId,
) -> Result<Option<Cassette>, Error> {
    let folder = folder(parts, task, workflow, run);
    if !folder.is_dir() {
        return Ok(None);
    }
    let family = Family::read(parts, run, workflow)?;
    let mut cassette = Cassette {
        workflow: workflow.to_string(),
        recorded: words(parts, &family.events),
        events: facts(&family),
        turns: Vec::new(),
    };
    let mut turns: Vec<(u64, String, Recording)> = Vec::new();
    for one in family.all() {
        let folder = self::folder(parts, task, &one.workflow, &one.run);
        for (at, turn) in one.own_turns() {
            let path = way(&one.way, turn.path());
            if turns.iter().any(|(_, known, _)| *known == path) {
                continue;
            }
            if let Some(recording) = recording(&folder, &one.run, turn)? {
                turns.push((at, path, recording));
            }
        }
    }
    turns.sort_by_key(|(at, _, _)| *at);
    cassette.turns.extend(turns.into_iter().map(|(_, path, recording)| (path, recording)));
    Ok(Some(cassette))
}

/// What was recorded of a turn; `None`: it could not be, and that was told.
fn recording(folder: &Path, run: &RunId, turn: &TurnId) -> Result<Option<Recording>, Error> {
    let record = |message| Error::Record {
        run: run.clone(),
        what: format!("the recording of turn {turn}"),
        message,
    };
    let text = match fs::read_to_string(folder.join(turn::file_name(turn))) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(record(error.to_string())),
    };
    let read = Cassette::parse(&text).map_err(|error| record(error.to_string()))?;
    Ok(read.turns.into_iter().map(|(_, recording)| recording).next())
}

/// How the run's turns were done, for people who read the cassette.
fn words(parts: &Parts, stored: &[Stored]) -> String {
    let Some(Event::RunCreated { provider, .. }) = stored.first().map(|it| &it.event) else {
        return String::new();
    };
    let with = match provider {
        Some(Provider::Codex(_)) => "codex",
        Some(Provider::Claude(_)) => "claude",
        Some(Provider::Acp(_)) => "acp",
        Some(Provider::Command { .. }) => "command",
        // Played again, what was recorded stays what it was.
        Some(Provider::Replay { cassette, .. }) => {
            let text = parts.text_of(cassette).unwrap_or_default();
            return Cassette::parse(&text).map(|it| it.recorded).unwrap_or_default();
        }
        None => "no agent",
    };
    format!("with {with}")
}
