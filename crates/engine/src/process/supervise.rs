//! The loop around one running program: what it says, what the clocks say, what the switch says.

use std::io::{self, PipeReader, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use botpipe_sandbox::{Contained, Exit, How as ExitHow};

use super::flight::Counted;
use super::lines::Lines;
use super::output::{Capture, Output};
use super::pipes::{Piece, Pipes, STREAMS};
use super::spec::{Clock, Ended, How, Spec, Watch};
use super::stop::StopSwitch;

/// Runs a program to its end, whatever end that is; afterwards nothing of it is left.
pub fn run(spec: Spec, watch: &mut dyn Watch, stop: &StopSwitch) -> Ended {
    let start = Instant::now();
    if let Some(signal) = stop.requested() {
        return never_started(How::Stopped { signal }, start);
    }
    let _counted = Counted::new();
    let failed = |what: String, errno| never_started(How::SpawnFailed { what, errno }, start);
    let (bell, ring) = match io::pipe() {
        Ok(pipe) => pipe,
        Err(error) => return failed(format!("make a pipe: {error}"), error.raw_os_error()),
    };
    let _rings = stop.bell(move || drop((&ring).write(&[1])));
    let mut contained = match spec.launch.start_with(&spec.stdin) {
        Ok(contained) => contained,
        Err(error) => return failed(error.to_string(), error.errno()),
    };
    let clocks = Clocks::of(&spec, start);
    let sinks = [(); 2].map(|()| Sink::new(spec.line_limit, spec.capture_limit));
    let pipes = Pipes::of(&mut contained, spec.stdin);
    watch.started(contained.identity());
    let mut supervision = Supervision {
        contained,
        pipes,
        bell,
        watch,
        stop,
        clocks,
        last_output: Instant::now(),
        phase: Phase::Running,
        reason: None,
        exit: None,
        sinks,
    };
    supervision.attend();
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
    contained: Contained,
    pipes: Pipes,
    /// Readable once the switch is thrown.
    bell: PipeReader,
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
    fn attend(&mut self) {
        loop {
            // First what has happened: a program that ended in time has, even if we are late.
            self.hear(Some(Duration::ZERO));
            let now = Instant::now();
            self.look_at_the_switch(now);
            if !self.look_at_the_clocks(now) {
                return;
            }
            if self.exit.is_some() && !self.pipes.any_stream() {
                return;
            }
            self.hear(self.next_deadline().map(|at| at.saturating_duration_since(Instant::now())));
        }
    }

    /// Waits this long for whatever comes, and takes it.
    fn hear(&mut self, patience: Option<Duration>) {
        let end = self.exit.is_none().then(|| self.contained.as_fd());
        // Once thrown it would wake us for ever.
        let bell = matches!(self.phase, Phase::Running).then(|| self.bell.as_fd());
        let ready = self.pipes.wait(end, bell, patience);
        self.pipes.feed(ready);
        for stream in STREAMS {
            if !ready.streams[stream as usize] {
                continue;
            }
            let Self { pipes, sinks, watch, .. } = self;
            let sink = &mut sinks[stream as usize];
            match pipes.read(stream) {
                Piece::Nothing => {}
                Piece::Closed => sink.close(&mut |line| watch.line(stream, line)),
                Piece::Bytes(bytes) => {
                    sink.push(bytes, &mut |line| watch.line(stream, line));
                    self.last_output = Instant::now();
                }
            }
        }
        if let Some(exit) = ready.end.then(|| self.contained.try_wait()).flatten() {
            self.exit = Some(exit);
            self.phase = Phase::Draining(Instant::now() + DRAIN_PATIENCE);
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

    fn finish(mut self, start: Instant) -> Ended {
        for (sink, stream) in self.sinks.iter_mut().zip(STREAMS) {
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
