//! Limits in words: their values as a file says them, and what became of a program beyond one.

use std::collections::BTreeMap;

use botpipe_kernel::plan::{Bounds, Policy};
use botpipe_sandbox::Bound;

use super::control::Control;
use super::resolve::Resolved;

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

/// The limits that a program is held to, and what permits more of each.
#[derive(Debug, Clone, Default)]
pub struct Held {
    /// What holds.
    pub bounds: Bounds,
    /// By control, where authors are not alone to say.
    larger: BTreeMap<Control, String>,
}

impl Held {
    pub(crate) fn of(holds: &Resolved) -> Self {
        let bounds = holds.limits;
        let larger = |control: Control| {
            let most = limit_of(&bounds, control)?;
            let line = |it: &Policy| {
                let said = limit_of(&it.limits, control)?;
                (said <= most).then(|| format!("a larger `{control}`"))
            };
            let alone = holds.said_by.is_authors_alone(control);
            (!alone).then(|| (control, holds.said_by.lines(control, line).join(" and ")))
        };
        Self { bounds, larger: LIMITS.into_iter().filter_map(larger).collect() }
    }

    /// What a program did that is beyond a limit, and what permits it; goes on from its name.
    pub(crate) fn exceeded(&self, limit: Limit) -> String {
        let limits = &self.bounds;
        let (control, what) = match limit {
            Limit::Wall => {
                (Control::Wall, format!("was still running after {}", duration(limits.wall_ms)))
            }
            Limit::Cpu => {
                let most = duration(limits.cpu_ms);
                (
                    Control::Cpu,
                    format!("took more than {most} of the processor, with all it started,"),
                )
            }
            Limit::Memory => {
                let most = size(limits.memory);
                (Control::Memory, format!("took more than {most} of memory, with all it started,"))
            }
            Limit::Processes => {
                let most = limits.processes.unwrap_or_default();
                (
                    Control::Processes,
                    format!("had more than {most} processes and threads at a time"),
                )
            }
            Limit::FileSize => {
                (Control::FileSize, format!("wrote a file of more than {}", size(limits.file_size)))
            }
            Limit::Output => {
                (Control::Output, format!("printed more than {}", size(limits.output)))
            }
        };
        let larger = match self.larger.get(&control) {
            Some(larger) => larger.clone(),
            None => format!("a larger `{control}` of its step or policy"),
        };
        format!("{what} and was ended; {larger} permits more")
    }
}

const LIMITS: [Control; 6] = [
    Control::Wall,
    Control::Cpu,
    Control::Memory,
    Control::FileSize,
    Control::Output,
    Control::Processes,
];

/// The value of a limit by its control.
pub(crate) fn limit_of(limits: &Bounds, control: Control) -> Option<u64> {
    match control {
        Control::Wall => limits.wall_ms,
        Control::Cpu => limits.cpu_ms,
        Control::Memory => limits.memory,
        Control::FileSize => limits.file_size,
        Control::Output => limits.output,
        Control::Processes => limits.processes.map(u64::from),
        _ => None,
    }
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
