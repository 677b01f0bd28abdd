//! Whether the sandbox held an agent: what became of a write that any policy refuses, tried by the agent or by this
//! process with the agent's view of the host.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::Command;

use nix::errno::Errno;

use super::ground::{Ground, GroundError, error};
use super::judge;
use super::processes::Process;
use super::proof::odd;
use crate::agent::Entry;

/// What is wrong by the ledger and the file on the host: an agent that could write it, one that did not try.
pub(super) fn faults(ground: &Ground) -> Result<Vec<String>, GroundError> {
    let mut faults = untried(&judge::entries(ground)?);
    faults.extend(
        written(ground)?
            .iter()
            .map(|turn| format!("the agent of turn {turn} was held by no sandbox")),
    );
    Ok(faults)
}

/// Shows that each agent of a command is found out where the sandbox is taken away.
pub(super) fn control(ground: &Ground, command: &mut Command) -> Result<(), GroundError> {
    let output = command.output().map_err(|source| error(ground.folder(), source))?;
    let mut begun = judge::begun(ground)?;
    let mut found = written(ground)?;
    begun.sort();
    found.sort();
    if !begun.is_empty() && begun == found {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(odd("a run without a sandbox", &format!("of {begun:?} were found out: {found:?}; {said}")))
}

/// The turns whose agents wrote the file.
fn written(ground: &Ground) -> Result<Vec<String>, GroundError> {
    let forbidden = ground.forbidden();
    match fs::read_to_string(&forbidden) {
        Ok(text) => Ok(text.lines().map(str::to_owned).collect()),
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(source) => Err(error(&forbidden, source)),
    }
}

/// The turns whose agents did not try it, or could not.
///
/// A verifier sees its write done: it works on a copy that nobody gets to see.
fn untried(entries: &[Entry]) -> Vec<String> {
    let mut tried = Vec::new();
    let mut faults = Vec::new();
    for entry in entries {
        match entry {
            Entry::Tried { turn, error } => {
                tried.push(turn);
                if let Some(other) = error.as_ref().filter(|it| *it != "EROFS") {
                    faults.push(format!("the agent of turn {turn} could not try: {other}"));
                }
            }
            Entry::Began { turn, .. } if !tried.contains(&turn) => {
                faults.push(format!("the agent of turn {turn} did not try what it may not write"));
            }
            Entry::Began { .. } | Entry::Ended { .. } => {}
        }
    }
    faults
}

/// What is wrong with what a living process sees of the host: it could write the file.
///
/// # Source
/// `proc_pid_root(5)`: what lies below the link is reached through the mounts of that process.
pub(super) fn fault(process: &Process, ground: &Ground) -> Option<String> {
    let forbidden = ground.forbidden();
    let below = forbidden.strip_prefix("/").unwrap_or(&forbidden);
    let file = PathBuf::from(format!("/proc/{}/root", process.pid)).join(below);
    let written = OpenOptions::new().create(true).append(true).open(&file);
    let who = format!("process {} ({})", process.pid, process.line);
    match written.and_then(|mut file| file.write_all(b"somebody\n")) {
        // Who judges the work writes to a copy that nobody gets to see.
        Ok(()) if forbidden.symlink_metadata().is_err() => None,
        Ok(()) => Some(format!("{who} was held by no sandbox")),
        Err(error) if is(&error, Errno::EROFS) => None,
        Err(error) => Some(format!("{who} could not be looked at: {error}")),
    }
}

fn is(error: &io::Error, errno: Errno) -> bool {
    error.raw_os_error() == Some(errno as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(turn: &str, error: Option<&str>) -> Entry {
        Entry::Tried { turn: turn.to_owned(), error: error.map(str::to_owned) }
    }

    fn began(turn: &str) -> Entry {
        Entry::Began { turn: turn.to_owned(), rule: "any".to_owned() }
    }

    #[test]
    fn who_does_not_try_or_cannot_shows_nothing() {
        assert!(untried(&[tried("a", Some("EROFS")), began("a")]).is_empty());
        assert!(untried(&[tried("a", None), began("a")]).is_empty());
        assert_eq!(untried(&[tried("a", Some("ENOENT")), began("a")]).len(), 1);
        assert_eq!(untried(&[tried("a", Some("EROFS")), began("a~2")]).len(), 1);
    }

    #[test]
    fn a_process_that_sees_the_host_as_this_one_does_is_held_by_nothing() {
        let scratch = tempfile::tempdir().unwrap();
        let ground = Ground::make(scratch.path()).unwrap();
        let own = Process { pid: nix::unistd::getpid(), line: "this test".to_owned() };
        assert!(fault(&own, &ground).unwrap().contains("held by no sandbox"));
        assert_eq!(faults(&ground).unwrap().len(), 1);
    }
}
