//! Why a program could not be started in containment.

use std::io;
use std::path::PathBuf;

/// A program was not started; nothing of it is left running.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// This operating system has no containment yet.
    #[error("contain a process on this operating system: only Linux is supported")]
    Unsupported,
    /// A part of the launch cannot be given to any program.
    #[error("start the program: its {part} holds {what}")]
    Unusable {
        /// Which part: `program`, `arguments`, `environment` or `working directory`.
        part: &'static str,
        /// What makes it unusable.
        what: &'static str,
    },
    /// The working directory could not be entered.
    #[error("enter the working directory `{}`: {source}", path.display())]
    WorkingDirectory {
        /// The directory as given.
        path: PathBuf,
        /// The kernel's reason.
        source: io::Error,
    },
    /// The program was not found, is not executable, or was refused by the kernel.
    #[error("execute `{}`: {source}", program.display())]
    Program {
        /// The program as given.
        program: PathBuf,
        /// The kernel's reason.
        source: io::Error,
    },
    /// The containment that was asked for is refused here, and no other was allowed.
    #[error("contain the program: {step} was refused: {source}")]
    Refused {
        /// The step of the set-up.
        step: String,
        /// The kernel's reason.
        source: io::Error,
    },
    /// The running binary was to be stage 1, but its `main` never called `enter_if_stage1`: it
    /// would start itself over and over.
    #[error(
        "start stage 1: the `main` of this binary does not call `enter_if_stage1` first (in the library: `botpipe::enter`)"
    )]
    NoStage1,
    /// Stage 1 itself could not be started.
    #[error("start stage 1 from `{}`: {source}", path.display())]
    Stage1 {
        /// The binary.
        path: PathBuf,
        /// The kernel's reason.
        source: io::Error,
    },
    /// Stage 1 ended before it said whether the program runs: it was killed, or the binary's
    /// `main` does not call `enter_if_stage1`.
    #[error("hear from stage 1 of `{}`: it ended without a word", path.display())]
    Silent {
        /// The binary.
        path: PathBuf,
    },
    /// Probes were not answered: whether the confinement holds is not known.
    #[error("hear from the canaries: not all of them came back")]
    Unanswered,
    /// A system call of the preparation failed.
    #[error("{doing}: {source}")]
    System {
        /// What was being done, as it finishes the words "could not".
        doing: &'static str,
        /// The kernel's reason.
        source: io::Error,
    },
}

impl Error {
    /// The kernel's error number, where the kernel gave one.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Unsupported
            | Self::Unusable { .. }
            | Self::NoStage1
            | Self::Unanswered
            | Self::Silent { .. } => None,
            Self::WorkingDirectory { source, .. }
            | Self::Program { source, .. }
            | Self::Refused { source, .. }
            | Self::Stage1 { source, .. }
            | Self::System { source, .. } => source.raw_os_error(),
        }
    }
}
