//! The stage 1 of a process that launches one program only: a child, started before the launch is known, so that the
//! start of our binary and the namespaces are there by then. A fork server would pay from the second launch on.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::{OWN_BINARY, process, stage1};

/// A stage 1 that waits for its launch at the other end of the socket. Never asked, it ends with this process.
type Early = (UnixStream, Child);

static EARLY: Mutex<Option<Early>> = Mutex::new(None);

/// Whether this process launches one program only.
static ONCE: AtomicBool = AtomicBool::new(false);

pub(crate) fn launch_once() {
    if ONCE.swap(true, Ordering::Relaxed) || !stage1::can_be_entered() {
        return;
    }
    // Where it fails the launch does as well, and says why.
    let started = UnixStream::pair().and_then(|(ours, theirs)| {
        let words = [stage1::SENTINEL, stage1::EARLY];
        Ok((ours, process::start(Path::new(OWN_BINARY), &words, theirs.into())?))
    });
    *EARLY.lock().unwrap_or_else(PoisonError::into_inner) = started.ok();
}

pub(super) fn launches_once() -> bool {
    ONCE.load(Ordering::Relaxed)
}

/// The one that was started early, for the first launch with this binary.
pub(super) fn take(path: &Path) -> Option<Early> {
    let mut early = EARLY.lock().unwrap_or_else(PoisonError::into_inner);
    early.take_if(|_| path == Path::new(OWN_BINARY))
}
