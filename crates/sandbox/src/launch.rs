//! What to start and how to contain it: plain data.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::{Answer, Confinement, Contained, Error, Probe, os};

/// A program to start in containment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// The program: a path (a relative one is taken from `cwd`), or a bare name that is looked up
    /// in the `PATH` of `env` (`/usr/bin:/bin` when it has none), never in Botpipe's own.
    pub program: PathBuf,
    /// Its arguments, without the program's name.
    pub args: Vec<OsString>,
    /// The directory it starts in; a relative one is taken from Botpipe's own.
    pub cwd: PathBuf,
    /// Its whole environment: nothing is inherited.
    pub env: Vec<(OsString, OsString)>,
    /// How its descendants are held together.
    pub containment: Containment,
    /// The binary that becomes stage 1; without one, the running binary. Launches with the same one
    /// share a fork server, which stays that binary as long as this process lives.
    pub stage1: Option<PathBuf>,
    /// A file, by its absolute path, that is made once the program and all it started have ended, if
    /// nobody was left to hear it: its mtime tells when that was.
    pub mark: Option<PathBuf>,
    /// What it may touch; `None`: whatever Botpipe may. A confined program is held in a pid namespace
    /// whatever `containment` says, and starts in it or not at all.
    pub confinement: Option<Confinement>,
}

/// How the descendants of a program are held together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Containment {
    /// `Namespace` where its whole set-up works, else `Subreaper`.
    #[default]
    Auto,
    /// A pid namespace: the kernel ends every process in it at once. As root it stands alone; as
    /// another user it needs a user namespace, in which ids keep their values.
    Namespace,
    /// A child subreaper: orphans come back to init, which kills until nothing is left.
    Subreaper,
}

impl Launch {
    /// Starts the program and returns once it runs, or with the reason why it does not.
    ///
    /// # Errors
    /// The program's own absence and a bad working directory are `Error::Program` and
    /// `Error::WorkingDirectory`; they are never mistaken for an exit code.
    pub fn start(&self) -> Result<Contained, Error> {
        self.start_with(&[])
    }

    /// Tries these from inside the confinement of this launch, in place of its program, and says what came
    /// of each, in order.
    ///
    /// # Errors
    /// Those of [`Launch::start`]; `Error::Unanswered` when the probes were not all answered.
    pub fn probe(&self, probes: &[Probe]) -> Result<Vec<Answer>, Error> {
        os::probe(self, probes)
    }

    /// The same, with as much of `input` as its pipe takes at once ready to be read from the
    /// beginning; [`Contained::accepted`] says how much that was.
    ///
    /// # Errors
    /// Those of [`Launch::start`].
    pub fn start_with(&self, input: &[u8]) -> Result<Contained, Error> {
        os::start(self, input)
    }
}
