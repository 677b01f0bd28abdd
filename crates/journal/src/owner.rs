//! Who owns a run, and whether that process still lives.

use std::fmt;
use std::fs;
use std::io;

use serde::{Deserialize, Serialize};

/// A process that may hold a lease, told apart from any later one with the same number.
///
/// # Source
/// proc(5): field 22 of `/proc/<pid>/stat`, `/proc/sys/kernel/random/boot_id`; namespaces(7): the
/// target of `/proc/self/ns/pid`. Where there is no `/proc` the texts are empty, and only the
/// heartbeat tells whether the owner lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The process number, as seen from `pid_namespace`.
    pub pid: u32,
    /// When it started, in clock ticks since boot.
    pub start_ticks: u64,
    /// The boot it lives in.
    pub boot_id: String,
    /// The pid namespace in which `pid` means something.
    pub pid_namespace: String,
    /// The machine's name, for people.
    pub host: String,
    /// What it was started as, for people: `botpipe run ralph_loop`.
    pub command: String,
}

impl Owner {
    /// The calling process, described by `command`.
    pub fn current(command: impl Into<String>) -> Self {
        let pid = std::process::id();
        let read = |path| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
        Self {
            pid,
            start_ticks: start_ticks(pid).ok().flatten().unwrap_or_default(),
            boot_id: read("/proc/sys/kernel/random/boot_id"),
            pid_namespace: namespace(),
            host: read("/proc/sys/kernel/hostname"),
            command: command.into(),
        }
    }

    /// Whether both are the same process, whatever it does.
    pub(crate) fn is_same_process(&self, other: &Self) -> bool {
        let known = |owner: &Self| {
            (owner.pid, owner.start_ticks, owner.boot_id.clone(), owner.pid_namespace.clone())
        };
        known(self) == known(other)
    }

    /// Tells whether this owner still runs, as far as it can be seen from here.
    pub fn liveness(&self) -> Liveness {
        let here = Self::current(String::new());
        if self.boot_id.is_empty() || here.boot_id.is_empty() {
            return Liveness::Unknown;
        }
        if self.boot_id != here.boot_id {
            return Liveness::Dead;
        }
        if self.pid_namespace != here.pid_namespace {
            return Liveness::Unknown;
        }
        match start_ticks(self.pid) {
            Ok(Some(ticks)) if ticks == self.start_ticks => Liveness::Alive,
            Ok(_) => Liveness::Dead,
            Err(error) if error.kind() == io::ErrorKind::NotFound => unless_hidden(self.pid),
            Err(_) => Liveness::Unknown,
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` (process {} on {})", self.command, self.pid, self.host)
    }
}

/// Whether a process is still the one that was meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// It runs.
    Alive,
    /// It has ended; its number is free, a zombie's, or somebody else's.
    Dead,
    /// It cannot be told from here: another pid namespace, or hidden from us.
    Unknown,
}

/// The start of a process in ticks since boot; `None` for a zombie.
fn start_ticks(pid: u32) -> io::Result<Option<u64>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is the program's name in parentheses, and may itself hold any of these.
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let mut fields = fields.split_ascii_whitespace();
    if matches!(fields.next(), None | Some("Z" | "X")) {
        return Ok(None);
    }
    // The third field was just taken; the 22nd is 18 further on.
    Ok(fields.nth(18).and_then(|ticks| ticks.parse().ok()))
}

/// A process without an entry in `/proc` is gone, unless `/proc` hides other people's.
fn unless_hidden(pid: u32) -> Liveness {
    let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) else {
        return Liveness::Dead;
    };
    match rustix::process::test_kill_process(pid) {
        Err(rustix::io::Errno::SRCH) => Liveness::Dead,
        _ => Liveness::Unknown,
    }
}

fn namespace() -> String {
    fs::read_link("/proc/self/ns/pid")
        .map(|target| target.to_string_lossy().into_owned())
        .unwrap_or_default()
}
