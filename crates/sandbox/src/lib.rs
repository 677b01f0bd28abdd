//! The sandbox: process confinement; keeps `unsafe` and OS specifics out of everything else.
//!
//! Three processes stand between Botpipe and an agent's program, so that the program and whatever
//! it starts end when Botpipe says so, and also when Botpipe dies without saying anything:
//!
//! ```text
//! botpipe
//!   └─ fork server   our own binary again, empty environment; started by the first launch, kept
//!        └─ stage 1   a fork of it; holds the other end of this launch's socket to Botpipe
//!             └─ init   pid 1 of a new pid namespace, or a child subreaper; reaps, counts, kills
//!                  └─ agent   own session, descriptors 0, 1, 2 only, exactly the given environment
//! ```
//!
//! Whoever dies on the way down, everything below dies with it: stage 1 sees the end of Botpipe's
//! socket and of the fork server, init sees the end of stage 1's pipe, and the kernel ends a
//! namespace with its pid 1. The fork server ends with Botpipe; the next launch replaces a dead one.
//!
//! What a process inherits beside environment and descriptors (user, limits, file mode mask,
//! priority, control group) is what Botpipe had at its first launch.
//!
//! A kernel without handles on processes (Linux before 5.3, some sandboxes) has no fork server:
//! there every stage 1 is a child of Botpipe and starts the binary anew.

use std::path::{Path, PathBuf};

mod account;
mod confine;
mod error;
mod exit;
mod identity;
mod launch;
mod probe;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux as os;

#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(not(target_os = "linux"))]
use elsewhere as os;

pub use account::{Account, NoAccount};
pub use confine::{Bounds, Confinement, Layer, Network, Scratch, Text};
pub use error::Error;
pub use exit::{Bound, Exit, How, Proc, Refused, Used};
pub use identity::{Identity, Liveness, is_alive, own_identity, process_identity};
pub use launch::{Containment, Launch};
pub use os::{Contained, Cover, Watching};
pub use probe::{Answer, Probe};

/// Has a program that a person works with at the terminal end with us: it hangs up when the thread that
/// starts it ends. It is not contained: what it starts and leaves behind is the person's.
pub fn hang_up_with_us(command: &mut std::process::Command) {
    os::hang_up_with_parent(command);
}

/// Lets this process have as many files open as the system permits; the programs it launches have as many as before.
pub fn raise_open_files() {
    os::raise_open_files();
}

/// Has a command that is started beside the sandbox have as many files open as this process might before
/// [`raise_open_files`].
pub fn with_usual_open_files(command: &mut std::process::Command) {
    os::with_usual_open_files(command);
}

/// What a watch of folders is for.
pub trait Watcher: Send + 'static {
    /// Told of every path that is made or moved into a watched folder, and of what a folder that turns up holds.
    fn found(&self, path: &Path);
    /// Whether a folder that turns up is watched too.
    fn enters(&self, folder: &Path) -> bool;
    /// Told of a folder that turned up and cannot be watched: there may be too many for the kernel.
    fn lost(&self, folder: &Path, why: &std::io::Error);
}

/// Watches folders, and those that turn up in them, until the answer is dropped.
///
/// # Errors
/// A folder that cannot be watched: there may be too many for the kernel, or none can be here.
pub fn watch(folders: &[PathBuf], watcher: impl Watcher) -> std::io::Result<Watching> {
    os::watch(folders, watcher)
}

/// The version of the kernel's interface to Landlock, which stands behind the mounts of a confinement;
/// `None`: there is none, or it is off.
pub fn landlock() -> Option<u32> {
    os::landlock()
}

/// The id that a confined program has where ours is this one, of a user or a group: root is an ordinary one.
pub fn id_inside(id: u32) -> u32 {
    os::inside(id)
}

/// Whether this process is a confined program of ours: it can confine nothing itself.
pub fn is_inside() -> bool {
    os::is_inside()
}

/// Says that this process launches one program only, and starts what that launch will need of the running binary, which
/// so is there when the rest is known. It ends with this process if there is no launch.
pub fn launch_once() {
    os::launch_once();
}

/// Becomes stage 1 or the fork server, and never returns, when this process was started as one;
/// else does nothing.
///
/// # Order
/// The first thing in the `main` of every binary that calls [`Launch::start`]: before any thread,
/// argument parser or output.
pub fn enter_if_stage1() {
    os::enter_if_stage1();
}
