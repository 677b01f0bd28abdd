//! The loop around one running program: what it says, what the clocks say, what the switch says.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use botpipe_sandbox::{Contained, Exit, How as ExitHow};

use super::flight::Counted;
use super::lines::Lines;
use super::output::{Capture, Output};
use super::pumps::{self, EVENTS_IN_FLIGHT, Event};
use super::spec::{Clock, Ended, How, Spec, Stream, Watch};
use super::stop::StopSwitch;

/// Runs a program to its end, whatever end that is; afterwards nothing of it is left.
pub fn run(spec: Spec, watch: &mut dyn Watch, stop: &StopSwitch) -> Ended {
    let start = Instant::now();
    if let Some(signal) = stop.requested() {
        return never_started(How::Stopped { signal }, start);
    }
    let _counted = Counted::new();
    let contained = match spec.launch.start() {
        Ok(contained) => contained,
        Err(error) => {
            let how = How::SpawnFailed { what: error.to_string(), errno: error.errno() };
            return never_started(how, start);
        }
    };
    let (sender, events) = sync_channel(EVENTS_IN_FLIGHT);
    let wake = sender.clone();
    // A full channel wakes the loop as well.
    let _bell = stop.bell(move || drop(wake.try_send(Event::Woken)));
    let clocks = Clocks::of(&spec, start);
    let sinks = [(); 2].map(|()| Sink::new(spec.line_limit, spec.capture_limit));
    let contained = match pumps::connect(contained, spec.stdin, &sender) {
        Ok(contained) => contained,
        Err(error) => {
            let what = format!("start a thread: {error}");
            return never_started(How::SpawnFailed { what, errno: error.raw_os_error() }, start);
        }
    };
    watch.started(contained.identity());
    let mut supervision = Supervision {
        contained,
        watch,
        stop,
        clocks,
        last_output: Instant::now(),
        phase: Phase::Running,
        reason: None,
        exit: None,
        sinks,
    };
    supervision.attend(&events);
    supervision.finish(start)
}

fn never_started(how: How, start: Instant) -> Ended {
    Ended {
        how,
        stdout: Output::default(),
        stderr: Output::default(),
        leftover: 0,
        survivors: 0,
        elapsed: start.elapsed(),
        contained: None,
    }
}

struct Supervision<'a> {
    contained: Arc<Contained>,
    watch: &'a mut dyn Watch,
    stop: &'a StopSwitch,
    clocks: Clocks,
    last_output: Instant,
    phase: Phase,
    /// Why it was ended, when it did not end by itself.
    reason: Option<How>,
    exit: Option<Exit>,
    /// Standard output, standard error.
    sinks: [Sink; 2],
}

/// Where the supervision of one program stands.
#[derive(Clone, Copy)]
enum Phase {
    Running,
    /// Asked to end; killed at this time.
    Terminating(Instant),
    /// Everything is being killed; stage 1 itself at this time.
    Killing(Instant),
    /// Stage 1 was killed, or everything has ended; what is heard until then still counts.
    Draining(Instant),
}

impl Supervision<'_> {
    fn attend(&mut self, events: &Receiver<Event>) {
        loop {
            // First what has happened: a program that ended in time has, even if we are late.
            for event in events.try_iter().take(EVENTS_IN_FLIGHT) {
                self.take(event);
            }
            let now = Instant::now();
            self.look_at_the_switch(now);
            if !self.look_at_the_clocks(now) {
                return;
            }
            if self.exit.is_some() && self.sinks.iter().all(|s| !s.open) {
                return;
            }
            let event = match self.next_deadline() {
                Some(at) => events.recv_timeout(at.saturating_duration_since(Instant::now())),
                None => events.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match event {
                Ok(event) => self.take(event),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn look_at_the_switch(&mut self, now: Instant) {
        if let (Phase::Running, Some(signal)) = (self.phase, self.stop.requested()) {
            self.end_because(How::Stopped { signal }, now);
        }
    }

    /// Acts on the clock that ran out; false when there is nothing left to wait for.
    fn look_at_the_clocks(&mut self, now: Instant) -> bool {
        match self.phase {
            Phase::Running => {
                if let Some((clock, after)) = self.clocks.ran_out(self.last_output, now) {
                    self.end_because(How::TimedOut { clock, after }, now);
                }
            }
            Phase::Terminating(until) if until <= now => {
                self.contained.kill();
                self.phase = Phase::Killing(now + KILL_PATIENCE);
            }
            Phase::Killing(until) if until <= now => {
                self.contained.abandon();
                self.phase = Phase::Draining(now + KILL_PATIENCE);
            }
            Phase::Draining(until) if until <= now => return false,
            Phase::Terminating(_) | Phase::Killing(_) | Phase::Draining(_) => {}
        }
        true
    }

    fn end_because(&mut self, reason: How, now: Instant) {
        self.reason = Some(reason);
        self.contained.terminate();
        self.phase = Phase::Terminating(now + self.clocks.grace.min(LONGEST_GRACE));
    }

    fn next_deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Running => self.clocks.next(self.last_output),
            Phase::Terminating(at) | Phase::Killing(at) | Phase::Draining(at) => Some(at),
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Woken => {}
            Event::Piece(stream, piece) => {
                let Self { sinks, watch, .. } = self;
                sinks[stream as usize].push(&piece, &mut |line| watch.line(stream, line));
                self.last_output = Instant::now();
            }
            Event::Closed(stream) => {
                let Self { sinks, watch, .. } = self;
                sinks[stream as usize].close(&mut |line| watch.line(stream, line));
            }
            Event::Ended(exit) => {
                self.exit = Some(exit);
                self.phase = Phase::Draining(Instant::now() + DRAIN_PATIENCE);
            }
        }
    }

    fn finish(mut self, start: Instant) -> Ended {
        for (sink, stream) in self.sinks.iter_mut().zip([Stream::Stdout, Stream::Stderr]) {
            if sink.open {
                sink.close(&mut |line| self.watch.line(stream, line));
            }
        }
        let (how, leftover, survivors) = match self.exit {
            Some(Exit { how: ExitHow::Exited(code), leftover, survivors }) => {
                (How::Exited(code), leftover, survivors)
            }
            Some(Exit { how: ExitHow::Signalled(signal), leftover, survivors }) => {
                (How::Signalled(signal), leftover, survivors)
            }
            // Not even stage 1 could be killed: stuck in the kernel, with whatever is below it.
            None => (How::Signalled(SIGKILL), 0, 1),
        };
        let [stdout, stderr] = self.sinks.map(|sink| sink.capture.finish());
        Ended {
            how: self.reason.unwrap_or(how),
            stdout,
            stderr,
            leftover,
            survivors,
            elapsed: start.elapsed(),
            contained: Some(self.contained.used().clone()),
        }
    }
}

/// The times a program is held to.
struct Clocks {
    start: Instant,
    wall: Option<Duration>,
    idle: Option<Duration>,
    grace: Duration,
}

impl Clocks {
    fn of(spec: &Spec, start: Instant) -> Self {
        Self { start, wall: spec.wall, idle: spec.idle, grace: spec.grace }
    }

    /// The clock that ran out, and what it was set to.
    fn ran_out(&self, last_output: Instant, now: Instant) -> Option<(Clock, Duration)> {
        let over = |since: Instant, set: Duration| now.saturating_duration_since(since) >= set;
        let wall = self.wall.filter(|set| over(self.start, *set)).map(|set| (Clock::Wall, set));
        let idle = self.idle.filter(|set| over(last_output, *set)).map(|set| (Clock::Idle, set));
        wall.or(idle)
    }

    /// When the next clock runs out; never, for times beyond what can be counted.
    fn next(&self, last_output: Instant) -> Option<Instant> {
        let wall = self.wall.and_then(|set| self.start.checked_add(set));
        let idle = self.idle.and_then(|set| last_output.checked_add(set));
        [wall, idle].into_iter().flatten().min()
    }
}

/// Where one stream goes.
struct Sink {
    lines: Lines,
    capture: Capture,
    open: bool,
}

impl Sink {
    fn new(line_limit: usize, capture_limit: usize) -> Self {
        Self { lines: Lines::new(line_limit), capture: Capture::new(capture_limit), open: true }
    }

    fn push(&mut self, piece: &[u8], deliver: &mut dyn FnMut(&str)) {
        self.capture.push(piece);
        self.lines.push(piece, deliver);
    }

    fn close(&mut self, deliver: &mut dyn FnMut(&str)) {
        self.lines.finish(deliver);
        self.open = false;
    }
}

const SIGKILL: i32 = 9;
/// Beyond this a grace is not a grace, and moments could no longer be counted.
const LONGEST_GRACE: Duration = Duration::from_hours(24);
/// How long everything may take to be killed: longer than the sandbox gives its own stages.
const KILL_PATIENCE: Duration = Duration::from_secs(8);
/// How long the streams may stay open after everything that held them has ended.
const DRAIN_PATIENCE: Duration = Duration::from_secs(5);
