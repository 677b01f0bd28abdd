//! Exit codes: stable, one constant each.

use botpipe_engine::error::{Error, ErrorKind};
use botpipe_engine::workspace::Error as WorkspaceError;
use botpipe_kernel::run::{FailureClass, Lifecycle, Refusal, Stop, Verdict};

/// The command did what it should; a run finished accepted, or finished and no step judged.
pub(crate) const OK: u8 = 0;
/// Something failed: the provider, the disk, the journal, a run that somebody else holds.
pub(crate) const ERROR: u8 = 1;
/// The command line or the configuration is wrong; `run` of a file that does not check.
pub(crate) const USAGE: u8 = 2;
/// No such workflow, task or run.
pub(crate) const NOT_FOUND: u8 = 3;
/// The run finished rejected.
pub(crate) const REJECTED: u8 = 4;
/// The run waits: for an answer, a signal, a time or a limit of the account.
pub(crate) const WAITING: u8 = 5;
/// The run stands at a limit.
pub(crate) const LIMIT: u8 = 6;
/// A policy was refused.
pub(crate) const POLICY: u8 = 7;
/// `check` found errors.
pub(crate) const FINDINGS: u8 = 8;
/// A recording does not fit the request.
pub(crate) const REPLAY_MISMATCH: u8 = 9;
/// A command in the sandbox went beyond one of its limits.
pub(crate) const BEYOND: u8 = 124;
/// The sandbox of a command was not built.
pub(crate) const NO_SANDBOX: u8 = 125;
/// The command is there and cannot be executed.
pub(crate) const NOT_EXECUTABLE: u8 = 126;
/// There is no such command.
pub(crate) const NO_COMMAND: u8 = 127;
/// The run was cancelled, or stopped by SIGINT.
pub(crate) const CANCELLED: u8 = 130;

/// The codes as `botpipe help` shows them.
pub(crate) const TABLE: &str = "\
Exit codes:
  0    done; a run finished accepted, or without a judging step
  1    an error, a run stopped by its provider or an error, or a result that could not be written
  2    usage or configuration, also `run` of a file that does not check
  3    not found
  4    a run finished rejected
  5    a run waits for an answer, a signal or a time
  6    a run stands at a limit
  7    a policy was refused
  8    `check` found errors
  9    a recording does not fit the request
  130  a run was cancelled or stopped by SIGINT (129 SIGHUP, 143 SIGTERM)";

/// The code of a process that a signal ended.
pub(crate) fn by_signal(signal: i32) -> u8 {
    u8::try_from(128 + signal).unwrap_or(ERROR)
}

/// The code of a command that left a run standing so.
pub(crate) fn of_lifecycle(lifecycle: &Lifecycle) -> u8 {
    match lifecycle {
        Lifecycle::Finished(Verdict::Accepted | Verdict::None) => OK,
        Lifecycle::Finished(Verdict::Rejected) => REJECTED,
        Lifecycle::Waiting(_) | Lifecycle::Held(_) | Lifecycle::Awaiting(_) => WAITING,
        Lifecycle::Stopped(stop) => of_stop(stop),
        Lifecycle::Cancelled => CANCELLED,
        Lifecycle::Unstarted | Lifecycle::Running => ERROR,
    }
}

fn of_stop(stop: &Stop) -> u8 {
    match stop {
        Stop::MaxSteps { .. }
        | Stop::MaxVisits { .. }
        | Stop::Budget { .. }
        | Stop::StepBudget { .. } => LIMIT,
        Stop::Policy { .. } => POLICY,
        Stop::Signal { signal } => by_signal(*signal),
        Stop::Provider { class: FailureClass::ReplayMismatch, .. } => REPLAY_MISMATCH,
        Stop::Provider { .. } | Stop::Error { .. } => ERROR,
    }
}

/// The code of a command that the engine refused.
pub(crate) fn of_error(error: &Error) -> u8 {
    match error {
        Error::Refused { refusal: Refusal::LimitNotRaised { .. } } => LIMIT,
        Error::Policy { .. } => POLICY,
        Error::Workspace(
            WorkspaceError::NoWorkspace { .. } | WorkspaceError::NotAFolder { .. },
        ) => USAGE,
        _ => match error.kind() {
            ErrorKind::NotFound => NOT_FOUND,
            ErrorKind::Usage | ErrorKind::Refused => USAGE,
            ErrorKind::Busy
            | ErrorKind::Damaged
            | ErrorKind::Newer
            | ErrorKind::DiskFull
            | ErrorKind::NotWritable
            | ErrorKind::Internal => ERROR,
        },
    }
}
