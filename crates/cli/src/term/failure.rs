//! A command that failed: what it says, what it hints at, its exit code.

use std::fmt;
use std::path::Path;

use botpipe_engine::catalog;
use botpipe_engine::error::{Error, ErrorKind};
use serde_json::{Value, json};

use super::exit;
use super::output::{printable, shell_word};

/// Why a command ends without its result.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    message: String,
    hints: Vec<String>,
}

impl Failure {
    /// The person asked for something that cannot be.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { code: exit::USAGE, message: message.into(), hints: Vec::new() }
    }

    /// Something is not there.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::usage(message).code(exit::NOT_FOUND)
    }

    /// Something failed.
    pub(crate) fn error(message: impl Into<String>) -> Self {
        Self::usage(message).code(exit::ERROR)
    }

    /// The same with another exit code.
    pub(crate) fn code(mut self, code: u8) -> Self {
        self.code = code;
        self
    }

    /// Something more to say: what to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// An error of a command that moves a run: where one was left standing, the next command to type.
    pub(crate) fn moving(error: Error, workspace: &Path) -> Self {
        let next = match &error {
            Error::CutOff { run, task, workflow, source }
                if source.kind() != ErrorKind::Damaged =>
            {
                Some(format!(
                    "run {run} of task {task} stands where it was; then go on with \
                 `botpipe resume {workflow} {task} --workspace {}`",
                    shell_word(&workspace.display().to_string())
                ))
            }
            _ => None,
        };
        let failure = Self::from(error);
        match next {
            Some(next) => failure.hint(next),
            None => failure,
        }
    }

    /// The process's exit code.
    pub(crate) fn exit_code(&self) -> u8 {
        self.code
    }

    /// # Shape
    /// `{"error": {"message": "…", "hints": ["…"]}, "exit_code": 3}`
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "error": { "message": self.message, "hints": self.hints },
            "exit_code": self.code,
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", printable(&self.message))?;
        for hint in &self.hints {
            write!(f, "\n  hint: {}", printable(hint))?;
        }
        Ok(())
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let failure =
            Self { code: exit::of_error(&error), message: error.to_string(), hints: Vec::new() };
        match hint_of(&error) {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

impl From<catalog::Error> for Failure {
    fn from(error: catalog::Error) -> Self {
        let failure = match error {
            catalog::Error::Workspace(error) => return Error::Workspace(error).into(),
            catalog::Error::Unreadable { .. } => Self::usage(error.to_string()),
            catalog::Error::Unknown { .. }
            | catalog::Error::NoFile { .. }
            | catalog::Error::NoSop { .. } => Self::not_found(error.to_string()),
        };
        match error.hint() {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

/// What to do about it, where the message does not say.
fn hint_of(error: &Error) -> Option<String> {
    let hint = match error.kind() {
        // The message has all there is.
        ErrorKind::NotFound
            if matches!(error, Error::NoTurn { .. } | Error::NoConversation { .. }) =>
        {
            return None;
        }
        ErrorKind::NotFound if matches!(error, Error::NoObject { .. }) => {
            "`botpipe logs REF TASK --trace` names the objects of a run's turns"
        }
        ErrorKind::NotFound => "`botpipe runs list` shows the runs of a workspace",
        ErrorKind::Busy => {
            "wait for that run, stop it with `botpipe cancel`, go on with it with `botpipe resume`, \
             or work in another worktree"
        }
        ErrorKind::Usage
        | ErrorKind::Refused
        | ErrorKind::Damaged
        | ErrorKind::Newer
        | ErrorKind::DiskFull
        | ErrorKind::NotWritable
        | ErrorKind::Internal => return None,
    };
    Some(hint.to_owned())
}
