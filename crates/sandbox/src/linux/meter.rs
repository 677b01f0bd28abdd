//! What all processes of a confinement take together, looked at by init now and then.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use rustix::param::{clock_ticks_per_second, page_size};

use super::procfs::{self, Stat};
use super::sys::Pid;
use super::tree;
use crate::{Bound, Bounds};

/// Looks whether the bounds of a confinement are kept by all of its processes together.
pub(super) struct Meter {
    bounds: Bounds,
    /// Time on a processor of those that were seen last, and of all that were seen before them.
    times: BTreeMap<(Pid, u64), u64>,
    gone: u64,
    due: Instant,
}

impl Meter {
    /// `None`: nothing is bounded.
    pub(super) fn of(bounds: &Bounds) -> Option<Self> {
        let Bounds { cpu, memory, processes, file_size: _, in_memory: _ } = bounds;
        let any = [cpu, memory, processes].into_iter().any(Option::is_some);
        let (times, gone, due) = (BTreeMap::new(), 0, Instant::now());
        any.then(|| Self { bounds: bounds.clone(), times, gone, due })
    }

    /// How long until it is time to look again.
    pub(super) fn patience(&self) -> Duration {
        // What waits counts whole milliseconds.
        self.due.saturating_duration_since(Instant::now()) + Duration::from_millis(1)
    }

    /// The bound that is not kept, where it was time to look.
    pub(super) fn look(&mut self) -> Option<Bound> {
        let began = Instant::now();
        if began < self.due {
            return None;
        }
        let (own, below) = processes();
        let found = self.beyond(own.as_ref(), &below);
        // Of many processes there is much to read: it takes no more than a twentieth of the time.
        self.due = Instant::now() + OFTEN.max(began.elapsed() * 20);
        found
    }

    fn beyond(&mut self, own: Option<&Stat>, below: &[Stat]) -> Option<Bound> {
        let over = |most: Option<u64>, taken: u64| most.is_some_and(|most| taken > most);
        let live = below.iter().filter(|it| !it.zombie);
        if over(self.bounds.processes, live.map(|it| it.threads).sum()) {
            return Some(Bound::Processes);
        }
        if over(self.bounds.cpu, self.milliseconds(own, below)) {
            return Some(Bound::Cpu);
        }
        let page = u64::try_from(page_size()).unwrap_or(4096);
        let pages: u64 = below.iter().map(|it| it.pages).sum();
        let much = over(self.bounds.memory, pages.saturating_mul(page));
        // Those pages are of files too, and of several processes at once.
        if much && over(self.bounds.memory, below.iter().map(memory).sum()) {
            return Some(Bound::Memory);
        }
        None
    }

    /// Time of all: what the kernel adds up where a process waits for another, or what was seen, since
    /// it adds up nothing where nobody waits.
    fn milliseconds(&mut self, own: Option<&Stat>, below: &[Stat]) -> u64 {
        let now: BTreeMap<_, _> =
            below.iter().map(|it| ((it.pid, it.start_ticks), it.own_time)).collect();
        let before = std::mem::replace(&mut self.times, now);
        let ended = before.iter().filter(|(who, _)| !self.times.contains_key(who));
        self.gone += ended.map(|(_, time)| time).sum::<u64>();
        let seen = self.gone + self.times.values().sum::<u64>();
        let waited = own.map_or(0, |own| own.waited_time);
        let added = waited + below.iter().map(|it| it.own_time + it.waited_time).sum::<u64>();
        Self::milliseconds_of(seen.max(added))
    }

    pub(super) fn milliseconds_of(ticks: u64) -> u64 {
        ticks.saturating_mul(1000) / clock_ticks_per_second().max(1)
    }
}

/// How often is looked.
const OFTEN: Duration = Duration::from_millis(50);

/// This process, and all below it. In a namespace with a `/proc` of its own nothing else is in there.
fn processes() -> (Option<Stat>, Vec<Stat>) {
    let Some(own) = procfs::stat("self") else { return (None, Vec::new()) };
    let all = tree::processes();
    if procfs::is_ours() {
        let below = all.into_iter().filter(|it| it.pid != own.pid).collect();
        return (Some(own), below);
    }
    let below = tree::below(own.pid, all);
    (Some(own), below)
}

/// Bytes that a process holds and no file does: its share of them, as far as the kernel tells.
fn memory(of: &Stat) -> u64 {
    let shares = |names: &[&str], file: &str| {
        let text = fs::read_to_string(format!("/proc/{}/{file}", of.pid)).ok()?;
        let lines = text.lines().filter_map(|line| line.split_once(':'));
        let lines = lines.filter(|(name, _)| names.contains(name));
        let sizes = lines.filter_map(|(_, rest)| rest.split_whitespace().next()?.parse().ok());
        let sizes: Vec<u64> = sizes.collect();
        (sizes.len() == names.len()).then(|| sizes.iter().sum::<u64>() << 10)
    };
    shares(&["Pss_Anon", "Pss_Shmem"], "smaps_rollup")
        .or_else(|| shares(&["RssAnon", "RssShmem"], "status"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{Meter, Stat};
    use crate::{Bound, Bounds};

    fn process(pid: i32, own_time: u64, waited_time: u64) -> Stat {
        let (start_ticks, threads, pages) = (u64::from(pid.unsigned_abs()), 3, 0);
        Stat { pid, zombie: false, parent: 1, start_ticks, own_time, waited_time, threads, pages }
    }

    #[test]
    fn time_is_added_up_whoever_waits() {
        let ticks = rustix::param::clock_ticks_per_second();
        let bounds = Bounds { cpu: Some(10_000), ..Bounds::default() };
        let mut meter = Meter::of(&bounds).unwrap();
        let mut seen = |own: u64, below: &[Stat]| meter.beyond(Some(&process(1, 0, own)), below);
        assert_eq!(seen(0, &[process(2, 4 * ticks, 0), process(3, 4 * ticks, 0)]), None);
        assert_eq!(seen(0, &[process(2, 4 * ticks, 0)]), None, "nobody waited for 3");
        assert_eq!(seen(0, &[process(2, 7 * ticks, 0)]), Some(Bound::Cpu));
        let mut meter = Meter::of(&bounds).unwrap();
        let own = process(1, 99 * ticks, 3 * ticks);
        assert_eq!(meter.beyond(Some(&own), &[process(2, 0, 6 * ticks)]), None, "init's own");
        assert_eq!(meter.beyond(Some(&own), &[process(2, 2 * ticks, 6 * ticks)]), Some(Bound::Cpu));
    }

    #[test]
    fn threads_are_counted_and_those_that_ended_are_not() {
        let mut meter = Meter::of(&Bounds { processes: Some(6), ..Bounds::default() }).unwrap();
        let ended = Stat { zombie: true, ..process(4, 0, 0) };
        assert_eq!(meter.beyond(None, &[process(2, 0, 0), process(3, 0, 0), ended]), None);
        let three = [process(2, 0, 0), process(3, 0, 0), process(4, 0, 0)];
        assert_eq!(meter.beyond(None, &three), Some(Bound::Processes));
        assert!(Meter::of(&Bounds { file_size: Some(1), ..Bounds::default() }).is_none());
    }
}
