//! Containment on Linux: our side of it, stage 1, init, and the agent's last steps before exec.

mod agent;
mod confine;
mod contained;
mod early;
mod fork_server;
mod ids;
mod init;
mod memory;
mod message;
mod meter;
mod plan;
mod process;
mod procfs;
mod stage1;
mod sys;
mod tree;
mod watch;

pub(crate) use confine::{inside, is_inside};
pub use contained::{Contained, Cover};
pub(crate) use contained::{probe, start};
pub(crate) use early::launch_once;
pub(crate) use ids::account_refused;
pub(crate) use procfs::{is_alive, process_identity};
pub(crate) use stage1::enter_if_stage1;
pub(crate) use sys::{hang_up_with_parent, landlock, raise_open_files, with_usual_open_files};
pub use watch::Watching;
pub(crate) use watch::watch;

/// The running binary, also when it was replaced or removed meanwhile.
const OWN_BINARY: &str = "/proc/self/exe";
