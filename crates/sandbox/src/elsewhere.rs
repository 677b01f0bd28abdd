//! Operating systems without containment: every launch is refused, nothing is pretended.

use std::convert::Infallible;
use std::io::{PipeReader, PipeWriter};
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use crate::{Account, Error, Exit, Identity, Launch, Liveness, NoAccount, Used};

/// Nothing of the kind is there.
pub(crate) fn hang_up_with_parent(_: &mut std::process::Command) {}

/// Nothing is started beside.
pub(crate) fn raise_open_files() {}

/// It has what we have.
pub(crate) fn with_usual_open_files(_: &mut std::process::Command) {}

/// A running program: there can be none here.
#[derive(Debug)]
pub struct Contained {
    never: Infallible,
}

impl Contained {
    /// See the Linux implementation.
    pub fn take_stdin(&mut self) -> Option<PipeWriter> {
        match self.never {}
    }

    /// See the Linux implementation.
    pub fn take_stdout(&mut self) -> Option<PipeReader> {
        match self.never {}
    }

    /// See the Linux implementation.
    pub fn take_stderr(&mut self) -> Option<PipeReader> {
        match self.never {}
    }

    /// See the Linux implementation.
    pub fn take_listeners(&mut self) -> Vec<TcpListener> {
        match self.never {}
    }

    /// See the Linux implementation.
    pub fn cover(&self) -> std::io::Result<Cover> {
        match self.never {}
    }

    /// See the Linux implementation.
    pub fn pid(&self) -> u32 {
        match self.never {}
    }

    /// See the Linux implementation.
    pub fn identity(&self) -> &Identity {
        match self.never {}
    }

    /// See the Linux implementation.
    pub fn used(&self) -> &Used {
        match self.never {}
    }

    /// See the Linux implementation.
    pub fn accepted(&self) -> usize {
        match self.never {}
    }

    /// See the Linux implementation.
    pub fn wait(&mut self) -> Exit {
        match self.never {}
    }

    /// See the Linux implementation.
    pub fn try_wait(&mut self) -> Option<Exit> {
        match self.never {}
    }

    /// See the Linux implementation.
    pub fn interrupt(&self) {
        match self.never {}
    }

    /// See the Linux implementation.
    pub fn terminate(&self) {
        match self.never {}
    }

    /// See the Linux implementation.
    pub fn hang_up(&self) {
        match self.never {}
    }

    /// See the Linux implementation.
    pub fn freeze(&self) {
        match self.never {}
    }

    /// See the Linux implementation.
    pub fn thaw(&self) {
        match self.never {}
    }

    /// See the Linux implementation.
    pub fn kill(&self) {
        match self.never {}
    }

    /// See the Linux implementation.
    pub fn abandon(&self) {
        match self.never {}
    }
}

/// Covers files of a confined program: there can be none here.
#[derive(Debug)]
pub struct Cover {
    never: Infallible,
}

impl Cover {
    /// See the Linux implementation.
    pub fn path(&self, _path: &Path) {
        match self.never {}
    }

    /// See the Linux implementation.
    pub fn keep(&self, _path: &Path) {
        match self.never {}
    }

    /// See the Linux implementation.
    pub fn pin(&self, _path: &Path) {
        match self.never {}
    }

    /// See the Linux implementation.
    pub fn end(&self) {
        match self.never {}
    }
}

/// Watches folders: not here.
#[derive(Debug)]
pub struct Watching {
    #[expect(dead_code, reason = "there is never one")]
    never: Infallible,
}

pub(crate) fn watch(
    _folders: &[std::path::PathBuf],
    _watcher: impl crate::Watcher,
) -> std::io::Result<Watching> {
    Err(std::io::Error::from(std::io::ErrorKind::Unsupported))
}

impl AsFd for Contained {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self.never {}
    }
}

pub(crate) fn start(_launch: &Launch, _input: &[u8]) -> Result<Contained, Error> {
    Err(Error::Unsupported)
}

pub(crate) fn probe(
    _launch: &Launch,
    _probes: &[crate::Probe],
) -> Result<Vec<crate::Answer>, Error> {
    Err(Error::Unsupported)
}

pub(crate) fn landlock() -> Option<u32> {
    None
}

pub(crate) fn inside(id: u32) -> u32 {
    id
}

pub(crate) fn account_refused(_account: Account) -> Option<NoAccount> {
    None
}

pub(crate) fn is_inside() -> bool {
    false
}

pub(crate) fn launch_once() {}

pub(crate) fn enter_if_stage1() {}

pub(crate) fn process_identity(_pid: u32) -> Option<Identity> {
    None
}

pub(crate) fn is_alive(_identity: &Identity) -> Liveness {
    Liveness::Unknown
}
