//! Playing a recording in the place of an agent.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use botpipe_kernel::ids::{Digest, TurnId};
use botpipe_kernel::run::{Evidence, FailureClass, Input, TurnResult};
use botpipe_providers::{Cassette, FilePatch};

use super::Trouble;
use super::turn::Activity;
use crate::driver::Driver;
use crate::process::Stream;
use crate::request::Notice;

/// Plays the recording of a turn: its activity, its files, its answer.
pub(super) fn play(
    driver: &mut Driver<'_>,
    turn: TurnId,
    cassette: &Cassette,
    loose: bool,
) -> Result<Input, Trouble> {
    let request = request_of(driver)?;
    let path = driver.desk.way_to(turn.path());
    let recording = match cassette.play(&path, &request, loose) {
        Ok(recording) => recording,
        Err(mismatch) => {
            let class = FailureClass::ReplayMismatch;
            let result = TurnResult::Failed { class, message: mismatch.to_string() };
            return Ok(Input::TurnEnded {
                turn,
                result,
                evidence: Evidence::default(),
                pause: None,
            });
        }
    };
    if !cassette.fits(&path, &request) {
        let text = format!("played loosely: turn {path} is asked something else than was recorded");
        driver.progress.notice(&Notice::Note { text: &text });
    }
    let log = Activity::create(driver, &turn)?;
    for line in &recording.activity {
        log.line(Stream::Stdout, line)?;
        driver.progress.notice(&Notice::Activity { turn: Some(&turn), line });
    }
    for (path, patch) in &recording.patch {
        let relative = path.replace("{{ workflow.folder }}", &driver.desk.folder);
        apply(&driver.desk.layout.root().join(&relative), patch).map_err(|error| {
            Trouble::Stuck { message: format!("could not write {relative}: {error}") }
        })?;
    }
    let activity = log.finish();
    let text = driver.keep(&recording.answer)?;
    let result = TurnResult::Completed { text, exit: None };
    let evidence = Evidence { activity, ..Evidence::default() };
    Ok(Input::TurnEnded { turn, result, evidence, pause: None })
}

/// Makes one file what the recording left it as; doing it twice is doing it once.
fn apply(path: &Path, patch: &FilePatch) -> io::Result<()> {
    match patch {
        FilePatch::Write { text, executable } => {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::write(path, text)?;
            if *executable {
                fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
            }
            Ok(())
        }
        FilePatch::Delete => match fs::remove_file(path) {
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
