//! What all processes of a confinement take together, looked at by init now and then.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use rustix::param::clock_ticks_per_second;

use super::memory;
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
    /// Those that ran when they were first seen, at the last look, with what each is taken for if it is not seen again.
    brief: BTreeMap<(Pid, u64), Duration>,
    /// What those came to that nobody waited for, as it is estimated.
    unseen: Duration,
    looked: Instant,
    due: Instant,
}

impl Meter {
    /// `None`: nothing is bounded.
    pub(super) fn of(bounds: &Bounds) -> Option<Self> {
        let Bounds { cpu, memory, processes, file_size: _, in_memory: _ } = bounds;
        let any = [cpu, memory, processes].into_iter().any(Option::is_some);
        any.then(|| Self {
            bounds: bounds.clone(),
            times: BTreeMap::new(),
            gone: 0,
            brief: BTreeMap::new(),
            unseen: Duration::ZERO,
            looked: Instant::now(),
            due: Instant::now(),
        })
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
        let since = began - std::mem::replace(&mut self.looked, began);
        if self.bounds.cpu.is_some() {
            self.estimate(&below, since, share_of_a_processor);
        }
        let found = self.beyond(own.as_ref(), &below);
        // Of many processes there is much to read: it takes no more than a twentieth of the time, unless that
        // would be too seldom.
        self.due = Instant::now() + OFTEN.max((began.elapsed() * 20).min(SELDOM));
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
        let much = self.bounds.memory.is_some_and(|most| memory::is_beyond(most, below));
        much.then_some(Bound::Memory)
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
        let known = Self::milliseconds_of(seen.max(added));
        // An estimate ends nothing before it says twice as much.
        let guessed = u64::try_from(self.unseen.as_millis()).unwrap_or(u64::MAX);
        known.max(Self::milliseconds_of(seen).saturating_add(guessed) / 2)
    }

    /// Guesses what is never told: the kernel adds up nothing of a process whose parent ignores its end, and one that
    /// is there between two looks is not seen. Of those that follow each other each look meets one that runs, as
    /// often as they run: it stands for the time between two looks.
    fn estimate(&mut self, below: &[Stat], since: Duration, share: impl Fn(Pid) -> f64) {
        let key = |it: &Stat| (it.pid, it.start_ticks);
        let now: BTreeMap<_, _> = below.iter().map(|it| (key(it), it)).collect();
        for (who, took) in std::mem::take(&mut self.brief) {
            if !now.contains_key(&who) {
                self.unseen += took;
            }
        }
        let since = since.min(LONGEST_GUESS);
        let new = below.iter().filter(|it| it.runs && !self.times.contains_key(&key(it)));
        self.brief = new.map(|it| (key(it), since.mul_f64(share(it.pid)))).collect();
    }

    pub(super) fn milliseconds_of(ticks: u64) -> u64 {
        ticks.saturating_mul(1000) / clock_ticks_per_second().max(1)
    }
}

/// How often is looked, and how seldom at most.
const OFTEN: Duration = Duration::from_millis(50);
const SELDOM: Duration = Duration::from_secs(1);
/// What a single process that was seen once is taken for at most.
const LONGEST_GUESS: Duration = Duration::from_millis(200);

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

/// How much of its life a process that runs had a processor, where it wanted one.
///
/// # Source
/// Linux, `Documentation/scheduler/sched-stats.rst`: the first two numbers of `/proc/<pid>/schedstat`.
fn share_of_a_processor(pid: Pid) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap_or_default();
    let mut numbers = text.split_whitespace().map_while(|it| it.parse::<f64>().ok());
    match (numbers.next(), numbers.next()) {
        (Some(ran), Some(waited)) if ran > 0.0 => ran / (ran + waited),
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Meter, Stat};
    use crate::{Bound, Bounds};

    fn process(pid: i32, own_time: u64, waited_time: u64) -> Stat {
        let (start_ticks, threads, pages) = (u64::from(pid.unsigned_abs()), 3, 0);
        let (zombie, runs, parent) = (false, true, 1);
        Stat { pid, zombie, runs, parent, start_ticks, own_time, waited_time, threads, pages }
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

    /// As those of a parent that ignores their end: each look meets another one.
    #[test]
    fn time_that_nobody_waits_for_is_guessed() {
        let bounds = Bounds { cpu: Some(2_000), ..Bounds::default() };
        let look = Duration::from_millis(50);
        let after = |parts: i32, share: f64, runs: bool| {
            let mut meter = Meter::of(&bounds).unwrap();
            let beyond = (2..2 + parts).map(|pid| {
                let below = [Stat { runs, ..process(pid, 0, 0) }];
                meter.estimate(&below, look, |_| share);
                meter.beyond(None, &below)
            });
            beyond.last().flatten()
        };
        assert_eq!(after(85, 1.0, true), Some(Bound::Cpu), "4.2 s seen, which is twice 2 s");
        assert_eq!(after(75, 1.0, true), None);
        assert_eq!(after(150, 0.5, true), None, "others had the processor meanwhile");
        assert_eq!(after(150, 1.0, false), None, "they slept");
        let mut meter = Meter::of(&bounds).unwrap();
        for _ in 0..150 {
            let below = [process(2, 0, 0)];
            meter.estimate(&below, look, |_| 1.0);
            assert_eq!(meter.beyond(None, &below), None, "it is seen");
        }
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
