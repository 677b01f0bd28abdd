//! A Botpipe in the background: started by one at a terminal, and on its own once it owns the run.
//!
//! It is the same command again, in a session of its own, with the terminal's streams until it owns the
//! run: what it is refused is told there, with its own exit code. Its standard input is a socket, over
//! which it says that it owns the run; then its streams are led away.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use botpipe_kernel::ids::{RunId, TaskId, WorkflowName};
use serde::{Deserialize, Serialize};

/// What a Botpipe in the background says once it owns a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Word {
    pub run: RunId,
    pub task: TaskId,
    pub workflow: WorkflowName,
    pub pid: u32,
    /// Where its progress and its last words are; `None`: nowhere, since that could not be written.
    pub log: Option<PathBuf>,
    /// Why not.
    pub trouble: Option<String>,
}

/// What became of a Botpipe that was to go into the background.
#[derive(Debug)]
pub enum Begun {
    /// It owns the run and goes on.
    Owns(Word),
    /// It ended before that, with this code, and has said why.
    Ended(u8),
    /// A signal ended it before that.
    Killed(i32),
}

/// Starts this program again with these arguments, and waits until it owns a run or has ended.
///
/// # Errors
/// It could not be started, or not be understood.
pub fn start(args: impl IntoIterator<Item = OsString>) -> io::Result<Begun> {
    let (mut ours, theirs) = UnixStream::pair()?;
    let mut command = Command::new("/proc/self/exe");
    command.arg0("botpipe").args(args).stdin(Stdio::from(OwnedFd::from(theirs)));
    botpipe_sandbox::with_usual_open_files(&mut command);
    let mut child = command.spawn()?;
    // With its copy of their end closed, the end of the child is heard.
    drop(command);
    let mut said = String::new();
    ours.read_to_string(&mut said)?;
    if said.is_empty() {
        let status = child.wait()?;
        let code = status.code().map(|code| u8::try_from(code).unwrap_or(1));
        let killed = Begun::Killed(status.signal().unwrap_or_default());
        return Ok(code.map_or(killed, Begun::Ended));
    }
    serde_json::from_str(&said).map(Begun::Owns).map_err(io::Error::other)
}

/// This process, on its way into the background.
#[derive(Debug)]
pub struct Background {
    front: UnixStream,
}

impl Background {
    /// Leaves the terminal's session; standard input is no longer the terminal's, the other streams are.
    ///
    /// # Errors
    /// This process was not started by [`start`].
    pub fn enter() -> io::Result<Self> {
        let front = UnixStream::from(rustix::stdio::stdin().try_clone_to_owned()?);
        front.peer_addr()?;
        rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
        rustix::process::setsid()?;
        Ok(Self { front })
    }

    /// Whether the Botpipe at the terminal still waits: if not, somebody ended it, and nothing is begun.
    pub fn is_awaited(&self) -> bool {
        let read = self.front.set_nonblocking(true).and_then(|()| (&self.front).read(&mut [0]));
        let waits = matches!(read, Err(error) if error.kind() == ErrorKind::WouldBlock);
        waits && self.front.set_nonblocking(false).is_ok()
    }

    /// Leads the output streams into a file of the run's folder and says that the run is owned.
    ///
    /// # Errors
    /// Nobody waits any more for that word.
    pub fn own(
        mut self,
        (run, task, workflow): (&RunId, &TaskId, &WorkflowName),
        folder: &Path,
    ) -> io::Result<()> {
        let log = open(folder);
        let trouble = log
            .as_ref()
            .err()
            .map(|error| format!("could not write to `{}`: {error}", folder.join(LOG).display()));
        let there = log.is_ok();
        let stream = log.or_else(|_| OpenOptions::new().write(true).open("/dev/null"))?;
        let word = Word {
            run: run.clone(),
            task: task.clone(),
            workflow: workflow.clone(),
            pid: std::process::id(),
            log: there.then(|| folder.join(LOG)),
            trouble,
        };
        let said = self.front.write_all(serde_json::to_string(&word)?.as_bytes());
        rustix::stdio::dup2_stdout(&stream)?;
        rustix::stdio::dup2_stderr(&stream)?;
        said
    }
}

fn open(folder: &Path) -> io::Result<File> {
    crate::plain::make(folder)?;
    OpenOptions::new().create(true).append(true).open(folder.join(LOG))
}

/// In the run's folder.
const LOG: &str = "background.log";
