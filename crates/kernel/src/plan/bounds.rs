//! What a process, with all that it starts, may use.

use serde::{Deserialize, Serialize};

/// Bounds of each process that a step starts: a turn, a script, a check; `None`: none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bounds {
    /// Time on the clock, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wall_ms: Option<u64>,
    /// Time of the processor, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_ms: Option<u64>,
    /// Bytes of memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// Bytes of one file that is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_size: Option<u64>,
    /// Bytes that it prints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<u64>,
    /// Processes and threads at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processes: Option<u32>,
}

impl Bounds {
    /// Whether nothing is bounded.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// These bounds with what they leave open taken from others.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            wall_ms: self.wall_ms.or(other.wall_ms),
            cpu_ms: self.cpu_ms.or(other.cpu_ms),
            memory: self.memory.or(other.memory),
            file_size: self.file_size.or(other.file_size),
            output: self.output.or(other.output),
            processes: self.processes.or(other.processes),
        }
    }

    /// The narrower of two in every kind.
    #[must_use]
    pub fn within(self, other: Self) -> Self {
        fn least<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
            one.into_iter().chain(other).min()
        }
        Self {
            wall_ms: least(self.wall_ms, other.wall_ms),
            cpu_ms: least(self.cpu_ms, other.cpu_ms),
            memory: least(self.memory, other.memory),
            file_size: least(self.file_size, other.file_size),
            output: least(self.output, other.output),
            processes: least(self.processes, other.processes),
        }
    }
}
