//! Processes as `/proc` shows them.

use std::fs;
use std::sync::OnceLock;

use super::sys::{self, ESRCH, Pid};
use crate::{Identity, Liveness};

/// The parts of `/proc/<pid>/stat` that are used here.
pub(super) struct Stat {
    pub(super) pid: Pid,
    /// Ended, and only waiting for its parent to notice.
    pub(super) zombie: bool,
    /// It runs, or waits for a processor.
    pub(super) runs: bool,
    pub(super) parent: Pid,
    pub(super) start_ticks: u64,
    /// Time on a processor in ticks: its own, and that of those it waited for.
    pub(super) own_time: u64,
    pub(super) waited_time: u64,
    pub(super) threads: u64,
    /// Pages in memory, those of files too.
    pub(super) pages: u64,
}

/// Reads `/proc/<of>/stat`, where `of` is a number or `self`.
pub(super) fn stat(of: &str) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{of}/stat")).ok()?)
}

/// Whether the mounted `/proc` counts processes as this process does: not so in a pid namespace
/// that still sees the `/proc` of another.
pub(super) fn is_ours() -> bool {
    stat("self").is_some_and(|s| u32::try_from(s.pid) == Ok(std::process::id()))
}

pub(crate) fn process_identity(pid: u32) -> Option<Identity> {
    if !is_ours() {
        return None;
    }
    let start_ticks = stat(&pid.to_string())?.start_ticks;
    identity_of(pid, start_ticks)
}

/// The identity of a process of our own namespace whose start time is known.
pub(super) fn identity_of(pid: u32, start_ticks: u64) -> Option<Identity> {
    Some(Identity { pid, start_ticks, boot_id: boot_id()?, pid_namespace: pid_namespace()? })
}

pub(crate) fn is_alive(identity: &Identity) -> Liveness {
    match boot_id() {
        None => return Liveness::Unknown,
        Some(boot) if boot != identity.boot_id => return Liveness::Dead,
        Some(_) => {}
    }
    if pid_namespace().as_deref() != Some(&identity.pid_namespace) || !is_ours() {
        return Liveness::Unknown;
    }
    match stat(&identity.pid.to_string()) {
        Some(now) if now.start_ticks != identity.start_ticks || now.zombie => Liveness::Dead,
        Some(_) => Liveness::Alive,
        None => without_stat(identity.pid),
    }
}

/// A process whose stat cannot be read has ended, or is hidden from us (mount option `hidepid`).
fn without_stat(pid: u32) -> Liveness {
    match Pid::try_from(pid).map(|pid| sys::kill(pid, 0)) {
        Ok(Err(e)) if e.raw_os_error() == Some(ESRCH) => Liveness::Dead,
        Ok(_) => Liveness::Unknown,
        Err(_) => Liveness::Dead,
    }
}

/// Read once: no process outlives a boot.
fn boot_id() -> Option<String> {
    static ID: OnceLock<Option<String>> = OnceLock::new();
    let read = || fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
    ID.get_or_init(|| read().map(|id| id.trim().to_owned())).clone()
}

/// Read once: no process leaves its own.
fn pid_namespace() -> Option<String> {
    static NAME: OnceLock<Option<String>> = OnceLock::new();
    let read = || fs::read_link("/proc/self/ns/pid").ok()?.into_os_string().into_string().ok();
    NAME.get_or_init(read).clone()
}

/// The name in parentheses may hold anything, so fields are counted from its last parenthesis.
fn parse_stat(text: &str) -> Option<Stat> {
    let (pid, _) = text.split_once(' ')?;
    let (_, rest) = text.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let sum = |of: std::ops::Range<usize>| {
        fields.get(of)?.iter().map(|it| it.parse::<u64>().ok()).sum::<Option<u64>>()
    };
    Some(Stat {
        pid: pid.parse().ok()?,
        zombie: matches!(*fields.first()?, "Z" | "X"),
        runs: *fields.first()? == "R",
        parent: fields.get(1)?.parse().ok()?,
        start_ticks: fields.get(19)?.parse().ok()?,
        own_time: sum(11..13)?,
        waited_time: sum(13..15)?,
        threads: fields.get(17)?.parse().ok()?,
        pages: fields.get(21)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::parse_stat;

    #[test]
    fn a_name_cannot_shift_the_fields() {
        let line = "42 (a) R 1 (b) S 7 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98765 1 2";
        let stat = parse_stat(line).unwrap();
        assert_eq!((stat.pid, stat.parent, stat.start_ticks), (42, 7, 98765));
        assert!(!stat.zombie);
        assert_eq!((stat.own_time, stat.waited_time), (5 + 6, 7 + 8));
        assert_eq!((stat.threads, stat.pages), (1, 2));
    }
}
