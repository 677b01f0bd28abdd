//! How many files this process may have open: more than what it starts.
#![expect(unsafe_code, reason = "a child sets its own bound between fork and exec")]

use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::OnceLock;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The bound that this process came with.
static CAME_WITH: OnceLock<Rlimit> = OnceLock::new();

/// Takes as many as the system lets this process have.
pub(crate) fn raise_open_files() {
    let now = getrlimit(Resource::Nofile);
    let most = Rlimit { current: now.maximum, maximum: now.maximum };
    if now.current != now.maximum && setrlimit(Resource::Nofile, most).is_ok() {
        let _ = CAME_WITH.set(now);
    }
}

/// Has a command's process have what this one came with: programs count on it, and some look at every number.
pub(crate) fn with_usual_open_files(command: &mut Command) {
    let Some(usual) = CAME_WITH.get().copied() else { return };
    let set = move || setrlimit(Resource::Nofile, usual).map_err(Into::into);
    // SAFETY: between fork and exec one system call is made, and nothing is allocated.
    unsafe { command.pre_exec(set) };
}
