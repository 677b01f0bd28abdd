//! Limits in words: their values as a file says them, and what became of a program beyond one.

use botpipe_kernel::plan::Bounds;
use botpipe_sandbox::Bound;

use super::control::Control;

/// A limit that a program went beyond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    Wall,
    Cpu,
    Memory,
    Processes,
    FileSize,
    Output,
}

impl From<Bound> for Limit {
    fn from(bound: Bound) -> Self {
        match bound {
            Bound::Cpu => Self::Cpu,
            Bound::Memory => Self::Memory,
            Bound::Processes => Self::Processes,
            Bound::FileSize => Self::FileSize,
        }
    }
}

/// What a program did that is beyond a limit, and what permits it; goes on from its name.
pub(crate) fn exceeded(limit: Limit, limits: &Bounds) -> String {
    let (control, what) = match limit {
        Limit::Wall => {
            (Control::Wall, format!("was still running after {}", duration(limits.wall_ms)))
        }
        Limit::Cpu => {
            let most = duration(limits.cpu_ms);
            (Control::Cpu, format!("took more than {most} of the processor, with all it started,"))
        }
        Limit::Memory => {
            let most = size(limits.memory);
            (Control::Memory, format!("took more than {most} of memory, with all it started,"))
        }
        Limit::Processes => {
            let most = limits.processes.unwrap_or_default();
            (Control::Processes, format!("had more than {most} processes and threads at a time"))
        }
        Limit::FileSize => {
            (Control::FileSize, format!("wrote a file of more than {}", size(limits.file_size)))
        }
        Limit::Output => (Control::Output, format!("printed more than {}", size(limits.output))),
    };
    format!("{what} and was ended; a larger `{control}` of its step or policy permits more")
}

pub(super) fn duration(ms: Option<u64>) -> String {
    match ms {
        None => "none".to_owned(),
        Some(ms) if ms.is_multiple_of(3_600_000) => format!("{}h", ms / 3_600_000),
        Some(ms) if ms.is_multiple_of(60_000) => format!("{}m", ms / 60_000),
        Some(ms) if ms.is_multiple_of(1_000) => format!("{}s", ms / 1_000),
        Some(ms) => format!("{ms}ms"),
    }
}

pub(crate) fn size(bytes: Option<u64>) -> String {
    const UNITS: [(&str, u64); 9] = [
        ("TiB", 1 << 40),
        ("TB", 1_000_000_000_000),
        ("GiB", 1 << 30),
        ("GB", 1_000_000_000),
        ("MiB", 1 << 20),
        ("MB", 1_000_000),
        ("KiB", 1 << 10),
        ("KB", 1_000),
        ("B", 1),
    ];
    let Some(bytes) = bytes else { return "none".to_owned() };
    let whole = UNITS.iter().find(|(_, unit)| bytes.is_multiple_of(*unit));
    whole.map_or_else(String::new, |(name, unit)| format!("{}{name}", bytes / unit))
}
