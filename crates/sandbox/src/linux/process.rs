//! A running stage 1 as Botpipe holds it: its own child, or a fork of the server.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::early;
use super::fork_server::Server;
use super::sys::{self, SIGKILL};

/// A stage 1.
#[derive(Debug)]
pub(super) enum Process {
    /// A child, where the kernel has no handles on processes.
    Child(Child),
    /// A grandchild, held by a handle; the server collects it.
    Forked {
        /// Readable once it has ended.
        handle: OwnedFd,
        /// The server it came from.
        #[expect(dead_code, reason = "what it keeps open matters, not what it says")]
        server: Arc<Server>,
    },
}

/// Starts our binary again with a socket. Nothing of it is visible to others but the fixed words.
pub(super) fn start(path: &Path, words: &[&str], socket: OwnedFd) -> io::Result<Child> {
    let mut command = Command::new(path);
    sys::with_usual_open_files(&mut command);
    command
        .arg0("botpipe")
        .args(words)
        .env_clear()
        .stdin(Stdio::from(socket))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
}

impl Process {
    /// Kills it; nothing happens to one that has ended.
    pub(super) fn kill(&mut self) {
        drop(match self {
            Self::Child(child) => child.kill(),
            Self::Forked { handle, .. } => sys::signal_process(handle.as_fd(), SIGKILL),
        });
    }

    /// Lets go of one that has nothing left to do but to end: the server collects its own, and a process that
    /// launches once has nothing more to do either.
    pub(super) fn forget(&mut self) {
        if let Self::Child(child) = self
            && !early::launches_once()
        {
            drop(child.wait());
        }
    }

    /// Waits until it has ended.
    pub(super) fn wait(&mut self) {
        match self {
            // A child of ours cannot be lost but to ourselves.
            Self::Child(child) => drop(child.wait()),
            Self::Forked { handle, .. } => while let Ok([false]) = ended(handle, None) {},
        }
    }

    /// Waits until it has ended or the time is over.
    pub(super) fn wait_for(&mut self, patience: Duration) {
        let deadline = Instant::now() + patience;
        match self {
            Self::Child(child) => {
                while matches!(child.try_wait(), Ok(None)) && Instant::now() < deadline {
                    thread::sleep(Duration::from_micros(500));
                }
            }
            Self::Forked { handle, .. } => loop {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() || !matches!(ended(handle, Some(left)), Ok([false])) {
                    return;
                }
            },
        }
    }
}

fn ended(handle: &OwnedFd, patience: Option<Duration>) -> io::Result<[bool; 1]> {
    sys::wait_readable([handle.as_fd()], patience)
}
