//! Ending everything below this process, until the kernel says that nothing is there.

use std::collections::BTreeMap;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use super::procfs::{self, Stat};
use super::sys::{self, Pid, Reaped, SIGKILL};

/// How far init's or stage 1's power reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// This process is pid 1 of a namespace: one signal meets all.
    Namespace,
    /// This process is a subreaper: the tree below it has to be walked.
    Tree,
}

/// What was met while ending a tree.
#[derive(Debug, Default)]
pub(super) struct Ended {
    /// The status of the process that was asked about, if it ended only now.
    pub(super) agent: Option<ExitStatus>,
    /// Other processes that were there.
    pub(super) leftover: u32,
    /// Processes that would not end in time.
    pub(super) survivors: u32,
}

/// Kills and collects everything below this process. A process that is killed hands its children
/// up to this one, so "no children" means that nothing is left.
pub(super) fn end_all(reach: Reach, agent: Option<Pid>) -> Ended {
    let mut ended = Ended::default();
    let deadline = Instant::now() + PATIENCE;
    let mut pause = Duration::from_micros(50);
    if collect(&mut ended, agent) == Left::Nothing {
        return Ended { leftover: 0, ..ended };
    }
    ended.leftover = 0; // what was collected so far had ended by itself
    loop {
        let met = kill_all(reach);
        if collect(&mut ended, agent) == Left::Nothing {
            return ended;
        }
        if Instant::now() > deadline {
            ended.survivors = u32::try_from(met).unwrap_or(u32::MAX).max(1);
            return ended;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(5));
    }
}

/// How long killed processes may take to end.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(PartialEq, Eq)]
enum Left {
    Nothing,
    Something,
}

fn collect(ended: &mut Ended, agent: Option<Pid>) -> Left {
    loop {
        match sys::reap() {
            Ok(Reaped::Ended(pid, status)) if Some(pid) == agent => ended.agent = Some(status),
            Ok(Reaped::Ended(..)) => ended.leftover += 1,
            Ok(Reaped::NobodyYet) => return Left::Something,
            Ok(Reaped::NoChildren) | Err(_) => return Left::Nothing,
        }
    }
}

/// Sends the kill, and says how many were met (in a namespace: at least one).
fn kill_all(reach: Reach) -> usize {
    // A process that is gone by now, or of another user, is met again or not in the next round.
    match reach {
        Reach::Namespace => usize::from(sys::kill(-1, SIGKILL).is_ok()),
        Reach::Tree => {
            let below = descendants();
            for pid in &below {
                drop(sys::kill(*pid, SIGKILL));
            }
            below.len()
        }
    }
}

/// Every live process below this one.
fn descendants() -> Vec<Pid> {
    let Ok(own) = Pid::try_from(std::process::id()) else { return Vec::new() };
    let below = below(own, processes()).into_iter();
    below.filter(|it| !it.zombie).map(|it| it.pid).collect()
}

/// Every process that `/proc` shows.
pub(super) fn processes() -> Vec<Stat> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let name = entry.file_name();
            let name = name.to_str().filter(|n| n.starts_with(|c: char| c.is_ascii_digit()))?;
            procfs::stat(name)
        })
        .collect()
}

/// Those of them that are below one.
pub(super) fn below(root: Pid, all: Vec<Stat>) -> Vec<Stat> {
    let mut children: BTreeMap<Pid, Vec<Stat>> = BTreeMap::new();
    for stat in all {
        children.entry(stat.parent).or_default().push(stat);
    }
    let mut found = Vec::new();
    let mut next = vec![root];
    while let Some(parent) = next.pop() {
        let of_it = children.remove(&parent).unwrap_or_default();
        next.extend(of_it.iter().map(|child| child.pid));
        found.extend(of_it);
    }
    found
}
