//! Any program as an agent: prompt on stdin, answer on stdout, and what its end means.

use botpipe_kernel::run::FailureClass;

/// How a program ended, in words of this crate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProgramEnd {
    Exited(i32),
    Signalled(i32),
    NotStarted {
        what: String,
    },
    /// Ended because it took longer than it may, in all or without a word.
    TimedOut {
        silent: bool,
        after: std::time::Duration,
    },
}

/// Lines of standard error that are quoted when a program fails.
const QUOTED_LINES: usize = 10;

/// Whether the program answered; else the class of its failure and what to say of it.
///
/// # Errors
/// Every end but exit code 0 is a failure, whatever was printed.
pub fn result_of(
    program: &str,
    end: &ProgramEnd,
    stderr: &str,
) -> Result<(), (FailureClass, String)> {
    match end {
        ProgramEnd::Exited(0) => Ok(()),
        ProgramEnd::Exited(code) => Err((
            FailureClass::Crashed,
            format!("`{program}` ended with exit code {code}{}", quoted(stderr)),
        )),
        ProgramEnd::Signalled(signal) => Err((
            FailureClass::Crashed,
            format!("`{program}` was ended by signal {signal}{}", quoted(stderr)),
        )),
        ProgramEnd::NotStarted { what } => {
            Err((FailureClass::Spawn, format!("`{program}` could not be started: {what}")))
        }
        ProgramEnd::TimedOut { silent: false, after } => Err((
            FailureClass::WallTimeout,
            format!("`{program}` was still running after {after:?} (its `timeout`) and was ended"),
        )),
        ProgramEnd::TimedOut { silent: true, after } => Err((
            FailureClass::IdleTimeout,
            format!("`{program}` said nothing for {after:?} (its `idle_timeout`) and was ended"),
        )),
    }
}

/// The last lines that say something.
fn quoted(stderr: &str) -> String {
    let lines = stderr.lines().filter(|line| !line.trim().is_empty()).collect::<Vec<_>>();
    let last = lines[lines.len().saturating_sub(QUOTED_LINES)..].join("\n");
    if last.is_empty() { String::new() } else { format!(": {last}") }
}
