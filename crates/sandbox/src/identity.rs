//! Which process it was: a pid that cannot be mistaken for its successor's.

use crate::os;

/// A process, told apart from any later one with the same number.
///
/// # Source
/// proc(5): field 22 of `/proc/<pid>/stat`, `/proc/sys/kernel/random/boot_id`; namespaces(7): the
/// target of `/proc/self/ns/pid`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The process number, as seen from `pid_namespace`.
    pub pid: u32,
    /// When it started, in clock ticks since boot.
    pub start_ticks: u64,
    /// The boot it lives in.
    pub boot_id: String,
    /// The pid namespace in which `pid` means something, as the kernel names it.
    pub pid_namespace: String,
}

/// Whether a process is still the one that was identified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// It runs.
    Alive,
    /// It has ended; its number is free, a zombie's, or somebody else's.
    Dead,
    /// It cannot be told from here: it lives in another pid namespace, or is hidden from us.
    Unknown,
}

/// Identifies a process of our own pid namespace; `None` when there is none, or no usable `/proc`.
pub fn process_identity(pid: u32) -> Option<Identity> {
    os::process_identity(pid)
}

/// Identifies the calling process; `None` only where there is no usable `/proc`.
pub fn own_identity() -> Option<Identity> {
    process_identity(std::process::id())
}

/// Tells whether the process that was identified still runs.
pub fn is_alive(identity: &Identity) -> Liveness {
    os::is_alive(identity)
}
