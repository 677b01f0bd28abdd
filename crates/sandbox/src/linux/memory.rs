//! Bytes that processes hold and no file does, as far as `/proc` tells: what they have mapped, and what is in memory
//! although nobody has it mapped.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::param::page_size;

use super::procfs::Stat;
use super::sys::Pid;

/// Whether these hold more than this together. Only where sums that cost little leave it open is asked what costs more.
pub(super) fn is_beyond(most: u64, below: &[Stat]) -> bool {
    let page = u64::try_from(page_size()).unwrap_or(4096);
    // Those pages are of files too, and of several processes at once.
    let resident = below.iter().map(|it| it.pages).sum::<u64>().saturating_mul(page);
    let messages = messages();
    // Of the whole machine: ours have no more than that beside what they have mapped.
    let shared = fields("/proc/meminfo", ["Shmem"]).map_or(u64::MAX, |[it]| it);
    if resident.saturating_add(shared).saturating_add(messages) <= most {
        return false;
    }
    let holders: Vec<Holder> = below.iter().filter_map(|it| Holder::of(it.pid)).collect();
    let mapped: u64 = holders.iter().map(Holder::at_most).sum();
    if mapped.saturating_add(shared).saturating_add(messages) <= most {
        return false;
    }
    let mut shares = BTreeMap::new();
    let mut share = |of: &Holder| *shares.entry(of.pid).or_insert_with(|| of.share());
    let segments = segments();
    // Who holds many descriptors makes the last question a long one.
    settle(most, &holders, segments, messages, &mut share)
        || settle(most, &holders, segments + files_in_memory(below), messages, &mut share)
}

/// What a process has mapped: its own, and what it may share by fork or by name.
#[derive(Clone, Copy)]
struct Holder {
    pid: Pid,
    anonymous: u64,
    shared: u64,
}

impl Holder {
    fn of(pid: Pid) -> Option<Self> {
        let [anonymous, shared] = fields(&format!("/proc/{pid}/status"), ["RssAnon", "RssShmem"])?;
        Some(Self { pid, anonymous, shared })
    }

    fn at_most(&self) -> u64 {
        self.anonymous + self.shared
    }

    /// Its share of those: slow where there are many mappings.
    fn share(&self) -> Self {
        let file = format!("/proc/{}/smaps_rollup", self.pid);
        let known = fields(&file, ["Pss_Anon", "Pss_Shmem"]);
        known.map_or(*self, |[anonymous, shared]| Self { anonymous, shared, ..*self })
    }
}

/// Asks the largest for their shares first, and no more of them than it takes to know. What is shared may be what is
/// in memory by itself, so of those two the larger counts.
fn settle(
    most: u64,
    holders: &[Holder],
    unmapped: u64,
    messages: u64,
    mut share: impl FnMut(&Holder) -> Holder,
) -> bool {
    let mut holders = holders.to_vec();
    holders.sort_by_key(Holder::at_most);
    let mut open: u64 = holders.iter().map(Holder::at_most).sum();
    let (mut anonymous, mut shared) = (messages, 0);
    loop {
        let known = anonymous + unmapped.max(shared);
        if known > most {
            return true;
        }
        if known.saturating_add(open) <= most {
            return false;
        }
        let Some(holder) = holders.pop() else { return false };
        open -= holder.at_most();
        let its = share(&holder);
        anonymous += its.anonymous;
        shared += its.shared;
    }
}

/// Fields of a file of `/proc` that are counted in KiB, in bytes.
fn fields<const N: usize>(path: &str, names: [&str; N]) -> Option<[u64; N]> {
    let text = fs::read_to_string(path).ok()?;
    let mut found = [None; N];
    for (name, rest) in text.lines().filter_map(|line| line.split_once(':')) {
        if let Some(at) = names.iter().position(|it| *it == name) {
            let size: Option<u64> = rest.split_whitespace().next().and_then(|it| it.parse().ok());
            found[at] = size.map(|kib| kib << 10);
        }
    }
    let all: Option<Vec<u64>> = found.into_iter().collect();
    all?.try_into().ok()
}

/// Segments of System V's shared memory, of the namespace: attached or not.
fn segments() -> u64 {
    column("/proc/sysvipc/shm", "rss") + column("/proc/sysvipc/shm", "swap")
}

/// Messages of System V's queues: nobody has them mapped.
fn messages() -> u64 {
    column("/proc/sysvipc/msg", "cbytes")
}

fn column(path: &str, name: &str) -> u64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    let mut lines = text.lines();
    let head = lines.next().unwrap_or_default();
    let Some(at) = head.split_whitespace().position(|it| it == name) else { return 0 };
    lines.filter_map(|line| line.split_whitespace().nth(at)?.parse::<u64>().ok()).sum()
}

/// How long is looked for files in memory at most, each time.
const PATIENCE: Duration = Duration::from_millis(100);

/// Files that are in memory and have no name (`memfd_create(2)`), each once, whoever has them open; of many
/// descriptors not all are looked at, each time from another process on.
fn files_in_memory(below: &[Stat]) -> u64 {
    let until = Instant::now() + PATIENCE;
    let mut found = BTreeMap::new();
    let first = TURN.fetch_add(1, Ordering::Relaxed) % below.len().max(1);
    for process in below[first..].iter().chain(&below[..first]) {
        let open =
            fs::read_dir(format!("/proc/{}/fd", process.pid)).into_iter().flatten().flatten();
        for path in open.map(|entry| entry.path()) {
            if Instant::now() > until {
                return found.values().sum();
            }
            let to = fs::read_link(&path).unwrap_or_default();
            let in_memory = to.as_os_str().as_bytes().starts_with(b"/memfd:");
            if let Some(file) = in_memory.then(|| fs::metadata(&path).ok()).flatten() {
                found.insert((file.dev(), file.ino()), file.blocks() * 512);
            }
        }
    }
    found.values().sum()
}

static TURN: AtomicUsize = AtomicUsize::new(0);

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::{Holder, settle};

    const MIB: u64 = 1 << 20;

    fn holder(pid: i32, anonymous: u64, shared: u64) -> Holder {
        Holder { pid, anonymous: anonymous * MIB, shared: shared * MIB }
    }

    #[test]
    fn shares_are_asked_of_the_largest_until_it_is_known() {
        let asked = Cell::new(0);
        let share = |of: &Holder| {
            asked.set(asked.get() + 1);
            *of
        };
        let many: Vec<Holder> = (0..60).map(|pid| holder(pid, 1, 0)).collect();
        let large = [many.clone(), vec![holder(60, 300, 0), holder(61, 300, 0)]].concat();
        assert!(settle(400 * MIB, &large, 0, 0, share));
        assert_eq!(asked.take(), 2);
        assert!(!settle(60 * MIB, &many, 0, 0, share));
        assert_eq!(asked.take(), 0);
        // Two that share what they have by fork hold it once.
        let half = |of: &Holder| Holder { anonymous: of.anonymous / 2, ..*of };
        let forked = vec![holder(1, 300, 0), holder(2, 300, 0)];
        assert!(!settle(400 * MIB, &forked, 0, 0, half));
    }

    #[test]
    fn what_nobody_has_mapped_counts_and_what_is_mapped_counts_once() {
        let share = |of: &Holder| *of;
        assert!(settle(400 * MIB, &[holder(1, 1, 0)], 500 * MIB, 0, share));
        assert!(!settle(400 * MIB, &[holder(1, 50, 300)], 300 * MIB, 0, share));
        assert!(settle(400 * MIB, &[holder(1, 150, 300)], 300 * MIB, 0, share));
        assert!(settle(400 * MIB, &[holder(1, 150, 0)], 0, 300 * MIB, share));
    }
}
