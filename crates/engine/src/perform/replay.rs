//! Playing a recording in the place of an agent.

use std::io;
use std::path::{Path, PathBuf};

use botpipe_kernel::ids::{Digest, TurnId};
use botpipe_kernel::plan::OnLimit;
use botpipe_kernel::run::{Evidence, FailureClass, Hold, Input, Remedy, TurnResult};
use botpipe_providers::{Cassette, FilePatch, RecordedEnd, Recording};

use super::Trouble;
use super::turn::Activity;
use crate::driver::{Driver, now};
use crate::plain;
use crate::process::Stream;
use crate::prompt::{request_text, without_interruption};
use crate::request::Notice;

/// Plays the recording of a turn: its activity, its files, its end.
pub(super) fn play(
    driver: &mut Driver<'_>,
    turn: TurnId,
    prompt: &str,
    cassette: &Cassette,
    loose: bool,
) -> Result<Input, Trouble> {
    let request = request_of(driver)?;
    let path = driver.desk.way_to(turn.path());
    let text = asked(driver, prompt, &request).unwrap_or_default();
    let recording = match cassette.play(&path, &request, &text, loose) {
        Ok(recording) => recording,
        Err(mismatch) => {
            let class = FailureClass::ReplayMismatch;
            let result = TurnResult::Failed { class, message: mismatch.to_string() };
            return Ok(ended(turn, result, Evidence::default()));
        }
    };
    if !cassette.fits(&path, &request) {
        let text = format!("played loosely: turn {path} is asked something else than was recorded");
        driver.progress.notice(&Notice::Note { text: &text });
    }
    let log = Activity::create(driver, &turn)?;
    for line in &recording.activity {
        log.line(Stream::Stdout, line)?;
        driver.show(&turn, line);
    }
    for (path, patch) in places(driver, recording)? {
        apply(&driver.desk.layout.place_of(&path), patch).map_err(|error| Trouble::Stuck {
            message: format!("could not write {}: {error}", path.display()),
        })?;
    }
    let evidence = Evidence { activity: log.finish(), ..Evidence::default() };
    let result = match &recording.end {
        RecordedEnd::Answer(text) => TurnResult::Completed { text: driver.keep(text)?, exit: None },
        RecordedEnd::Failed { class, message } => {
            TurnResult::Failed { class: *class, message: message.clone() }
        }
    };
    Ok(ended(turn, result, evidence))
}

fn ended(turn: TurnId, result: TurnResult, evidence: Evidence) -> Input {
    let pause = match &result {
        TurnResult::Failed { class, message } => no_pause(*class, message),
        TurnResult::Completed { .. } => None,
    };
    Input::TurnEnded { turn, result, evidence, pause }
}

/// A failure that was waited out is over at once when it is played.
fn no_pause(class: FailureClass, message: &str) -> Option<Hold> {
    let waits = matches!(class.remedy(), Remedy::Later | Remedy::Wait);
    waits.then(|| Hold {
        class,
        message: message.to_owned(),
        since: now(),
        until: now(),
        login: None,
        on_limit: OnLimit::Wait,
    })
}

/// The files of a recording, by path from the workspace on.
fn places<'r>(
    driver: &mut Driver<'_>,
    recording: &'r Recording,
) -> Result<Vec<(PathBuf, &'r FilePatch)>, Trouble> {
    let mut places = Vec::new();
    for (path, patch) in &recording.patch {
        let relative = path.replace("{{ workflow.folder }}", &driver.desk.folder);
        places.push((PathBuf::from(relative), patch));
    }
    for (name, patch) in &recording.artifacts {
        let known = driver.run.plan.artifacts.keys().find(|known| known.as_str() == name).cloned();
        let known = known.ok_or_else(|| Trouble::Stuck {
            message: format!("the recording writes artifact `{name}`, which the workflow lacks"),
        })?;
        places.push((PathBuf::from(driver.artifact_place(&known)?.relative), patch));
    }
    Ok(places)
}

/// Makes one file what the recording left it as; doing it twice is doing it once.
fn apply(path: &Path, patch: &FilePatch) -> io::Result<()> {
    match patch {
        FilePatch::Write { bytes, executable } => {
            if let Some(folder) = path.parent() {
                plain::make_theirs(folder)?;
            }
            if *executable { plain::show_as(0o755, path, bytes) } else { plain::show(path, bytes) }
        }
        FilePatch::Delete => match plain::remove(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        },
    }
}

/// The digest of the request that is owed, as it was recorded with the turn.
fn request_of(driver: &Driver<'_>) -> Result<Digest, Trouble> {
    driver
        .run
        .visit
        .as_ref()
        .and_then(|visit| visit.request.clone())
        .ok_or_else(|| Trouble::Stuck { message: "the turn has no request digest".to_owned() })
}

/// The text of a request, out of the prompt that an agent is given; `None` when it is not that text.
pub(crate) fn asked(driver: &Driver<'_>, prompt: &str, request: &Digest) -> Option<String> {
    let desk = &driver.desk;
    let plain = without_interruption(prompt);
    let text = request_text(plain, &desk.folder, desk.run_id.as_str(), desk.task.as_str());
    (botpipe_journal::digest_of(text.as_bytes()) == *request).then_some(text)
}
