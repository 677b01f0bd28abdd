//! Any program as an agent: prompt on stdin, answer on stdout, and what its end means.

use botpipe_kernel::run::FailureClass;

use crate::classify;
use crate::harness::Failure;

/// How a program ended, in words of this crate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProgramEnd {
    Exited(i32),
    Signalled(i32),
    NotStarted {
        what: String,
    },
    /// Ended by us, because it stayed after its work was done.
    Dismissed,
    /// Ended by us, because it went beyond a limit of its policy; goes on from the program's name.
    Exceeded {
        what: String,
    },
    /// Ended by us, because it took longer than it may.
    TimedOut {
        clock: Clock,
        after: std::time::Duration,
    },
}

impl ProgramEnd {
    /// Whether we ended it because it did not keep to what it is held to.
    pub(crate) fn is_ours(&self) -> bool {
        matches!(self, Self::TimedOut { .. } | Self::Exceeded { .. })
    }
}

/// What took too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// The whole turn.
    Wall,
    /// Silence from the start.
    Opening,
    /// Silence.
    Idle,
    /// Nothing but notices that it tries again.
    Stall,
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
    let Err(failure) = ended(program, end) else { return Ok(()) };
    let (class, message) = failure;
    let quoted = if class == FailureClass::Crashed { quoted(stderr) } else { String::new() };
    Err((class, message + &quoted))
}

/// Whether the program ended well; else the class and the words for how it did not.
pub(crate) fn ended(program: &str, end: &ProgramEnd) -> Result<(), (FailureClass, String)> {
    Err(match end {
        ProgramEnd::Exited(0) | ProgramEnd::Dismissed => return Ok(()),
        ProgramEnd::Exited(code) => {
            (FailureClass::Crashed, format!("`{program}` ended with exit code {code}"))
        }
        ProgramEnd::Signalled(signal) => {
            (FailureClass::Crashed, format!("`{program}` was ended by signal {signal}"))
        }
        ProgramEnd::NotStarted { what } => {
            (FailureClass::Spawn, format!("`{program}` could not be started: {what}"))
        }
        ProgramEnd::Exceeded { what } => (FailureClass::Crashed, format!("`{program}` {what}")),
        ProgramEnd::TimedOut { clock: Clock::Wall, after } => (
            FailureClass::WallTimeout,
            format!("`{program}` was still running after {after:?} (its `timeout`) and was ended"),
        ),
        ProgramEnd::TimedOut { clock: Clock::Opening, after } => (
            FailureClass::IdleTimeout,
            format!(
                "`{program}` was started and did not answer within {after:?}, so it was ended; run it by \
                 hand to see what it waits for"
            ),
        ),
        ProgramEnd::TimedOut { clock: Clock::Idle, after } => (
            FailureClass::IdleTimeout,
            format!("`{program}` said nothing for {after:?} (its `idle_timeout`) and was ended"),
        ),
        ProgramEnd::TimedOut { clock: Clock::Stall, after } => (
            FailureClass::StallTimeout,
            format!("`{program}` did nothing but try again for {after:?} and was ended"),
        ),
    })
}

/// What a turn of a harness came to and what is noted of its end: `outcome` as the harness told it,
/// the `text` of its answer, and the last `notice` it gave.
pub(crate) fn concluded(
    program: &str,
    end: &ProgramEnd,
    stderr: &str,
    outcome: Option<Result<(), Failure>>,
    text: Option<String>,
    notice: Option<&str>,
) -> (Result<String, Failure>, Vec<String>) {
    let mut notes = Vec::new();
    let result = match (outcome, ended(program, end)) {
        (Some(Ok(())), ended) => {
            notes.extend(ended.err().map(|(_, how)| format!("after its answer, {how}")));
            Ok(text.unwrap_or_default())
        }
        // What we ended ourselves ends as we say.
        (_, Err((class, how))) if end.is_ours() => {
            let last = notice.map(|said| format!("; its last notice: {said}"));
            Err(Failure::new(class, how + &last.unwrap_or_default()))
        }
        (Some(Err(failure)), _) => Err(failure),
        (None, ended) => Err(unanswered(program, ended, stderr)),
    };
    (result, notes)
}

/// The failure of a harness that ended without the end of its turn.
pub(crate) fn unanswered(
    program: &str,
    ended: Result<(), (FailureClass, String)>,
    stderr: &str,
) -> Failure {
    let (class, how) = ended.err().unwrap_or_else(|| {
        (FailureClass::Crashed, format!("`{program}` ended before the turn was over"))
    });
    let class = match class {
        FailureClass::Crashed => classify::of_text(stderr).unwrap_or(class),
        class => class,
    };
    Failure::new(class, how + &quoted(stderr))
}

/// The last lines that say something, without the colours of a terminal.
pub(crate) fn quoted(stderr: &str) -> String {
    let stderr = &uncoloured(stderr);
    let lines = stderr.lines().filter(|line| !line.trim().is_empty()).collect::<Vec<_>>();
    let last = lines[lines.len().saturating_sub(QUOTED_LINES)..].join("\n");
    if last.is_empty() { String::new() } else { format!(": {last}") }
}

/// The text without escape sequences such as `ESC [ 31 m`.
fn uncoloured(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |all, part| {
        let end = part.find(|c: char| ('@'..='~').contains(&c)).map_or(part.len(), |at| at + 1);
        all + &part[end..]
    })
}
