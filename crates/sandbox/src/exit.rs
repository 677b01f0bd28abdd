//! How a contained program ended, and what contained it.

/// How a contained program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// The program's own end.
    pub how: How,
    /// Processes the program had left behind when it ended; they were killed.
    pub leftover: u32,
    /// Processes that could not be killed in time: of another user, or stuck in the kernel. Never
    /// more than 0 in a pid namespace of a healthy machine.
    pub survivors: u32,
    /// What it took too much of, when that is why it was ended.
    pub beyond: Option<Bound>,
}

/// A bound of [`crate::Bounds`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// Time on a processor.
    Cpu,
    /// Memory.
    Memory,
    /// Processes and threads.
    Processes,
    /// The size of a file.
    FileSize,
}

/// The end of one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// It ended by itself with this code, 0 to 255.
    Exited(i32),
    /// It was ended by this signal. 9 also when stage 1 or init was killed under it.
    Signalled(i32),
}

/// The containment a program really runs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Used {
    /// A pid namespace of its own.
    Namespace {
        /// Which `/proc` it sees.
        proc: Proc,
    },
    /// A child subreaper that walks the process tree.
    Subreaper {
        /// Why it is not a namespace, when one had been tried first.
        refused: Option<Refused>,
    },
}

/// Which `/proc` a program in a pid namespace sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proc {
    /// One of its own namespace.
    Fresh,
    /// The host's: the kernel refused a fresh one, so its process numbers do not match.
    Host,
}

/// A step of the set-up that the kernel refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The step.
    pub step: String,
    /// The kernel's error number.
    pub errno: i32,
}
