//! A command killed between two deeds of its own, chosen by what they are.

use std::io;
use std::process::Command;

use nix::sys::signal::Signal;

use super::trace::{Ended, Verdict, trace};

/// Runs a command under the tracer and kills it at the first moment that `aim` says yes to; whether that
/// came. A moment is told in words: `before renameat2 notes.txt`, `after unlinkat notes.txt`.
///
/// # Errors
/// A command that cannot be started or traced.
pub fn killed_at(command: &mut Command, aim: &mut dyn FnMut(&str) -> bool) -> io::Result<bool> {
    let ended = trace(command, &mut |point| {
        if aim(&point.to_string()) { Verdict::Kill } else { Verdict::Pass }
    })?;
    Ok(ended == Ended::Signalled(Signal::SIGKILL))
}
