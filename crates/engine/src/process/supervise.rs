//! The loop around one running program: what it says, what the clocks say, what the switch says.

use std::io::{self, PipeReader, Read as _, Write as _};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use botpipe_sandbox::{Contained, Exit, How as ExitHow};

use super::flight::Counted;
use super::lines::Lines;
use super::output::{Capture, Output};
use super::pipes::{Piece, Pipes, STREAMS};
use super::spec::{Clock, Ended, How, Reply, Spec, Stream, Watch};
use super::stop::{SIGKILL, StopSwitch};
use crate::policy::{Held, Limit};

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
    if let Some(outside) = &spec.outside
        && let Err(error) = outside.serve(&mut contained)
    {
        return failed(format!("serve the program from outside: {error}"), error.raw_os_error());
    }
    let clocks = Clocks::of(&spec, start);
    let sinks = [(); 2].map(|()| Sink::new(spec.line_limit, spec.capture_limit));
    let pipes = Pipes::of(&mut contained, spec.stdin, spec.talks);
    watch.started(contained.identity());
    let mut supervision = Supervision {
        contained,
        pipes,
        bell,
        watch,
        stop,
        clocks,
        limits: spec.limits.clone(),
        printed: 0,
        opened: false,
        last_output: Instant::now(),
        last_news: Instant::now(),
        busy: false,
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
    limits: Held,
    /// Bytes on both streams.
    printed: u64,
    /// It has said something on its standard output.
    opened: bool,
    last_output: Instant,
    /// The last line that said more than that the program waits.
    last_news: Instant,
    /// It does something that may take long without a word.
    busy: bool,
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
    /// It has finished; asked to end at this time.
    Finishing(Instant),
    /// Asked in its own words to leave off; told by a signal at this time.
    LeavingOff(Instant),
    /// Interrupted; asked to end at this time.
    Interrupted(Instant),
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
            if let (Phase::Running, Some(more)) = (self.phase, self.watch.more()) {
                self.pipes.send(&more);
            }
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
        let ready = self.pipes.wait(end, Some(self.bell.as_fd()), patience);
        if ready.bell {
            // It only woke us; whoever rang is asked below.
            let _ = self.bell.read(&mut [0; 64]);
        }
        self.pipes.feed(ready);
        for stream in STREAMS {
            if !ready.streams[stream as usize] {
                continue;
            }
            let Self { pipes, sinks, watch, printed, limits, .. } = self;
            let sink = &mut sinks[stream as usize];
            let mut replies = Replies::default();
            match pipes.read(stream) {
                Piece::Nothing => {}
                Piece::Closed => sink.close(&mut |line| replies.add(watch.line(stream, line))),
                Piece::Bytes(bytes) => {
                    *printed += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                    if limits.bounds.output.is_some_and(|most| *printed > most) {
                        self.flooded();
                        continue;
                    }
                    sink.push(bytes, &mut |line| replies.add(watch.line(stream, line)));
                    self.last_output = Instant::now();
                    self.opened |= stream == Stream::Stdout;
                }
            }
            self.reply(&replies);
        }
        if let Some(exit) = ready.end.then(|| self.contained.try_wait()).flatten() {
            self.exit = Some(exit);
            self.phase = Phase::Draining(Instant::now() + DRAIN_PATIENCE);
        }
    }

    /// What prints without measure is not asked to end, and nothing more is taken from it.
    fn flooded(&mut self) {
        if self.reason.is_some() {
            return;
        }
        self.reason = Some(How::Exceeded { what: self.limits.exceeded(Limit::Output) });
        if self.exit.is_none() {
            self.contained.kill();
            self.phase = Phase::Killing(Instant::now() + KILL_PATIENCE);
        }
    }

    fn reply(&mut self, replies: &Replies) {
        let now = Instant::now();
        if replies.news {
            self.last_news = now;
        }
        self.busy = replies.busy.unwrap_or(self.busy);
        self.clocks.hold(replies.held);
        if !replies.send.is_empty() {
            self.pipes.send(&replies.send);
        }
        if replies.leave_off && matches!(self.phase, Phase::Running) {
            self.end_because(How::LeftOff, now);
        }
        if replies.finished
            && matches!(self.phase, Phase::Running | Phase::LeavingOff(_) | Phase::Interrupted(_))
        {
            self.pipes.send_no_more();
            self.phase = Phase::Finishing(now + self.clocks.linger);
        }
    }

    fn look_at_the_switch(&mut self, now: Instant) {
        let Some(signal) = self.stop.requested() else { return };
        if matches!(self.phase, Phase::Running) {
            self.end_because(How::Stopped { signal }, now);
        }
        let ends = !matches!(self.phase, Phase::Killing(_) | Phase::Draining(_));
        if ends && self.stop.insisted() {
            self.reason.get_or_insert(How::Stopped { signal });
            self.contained.kill();
            self.phase = Phase::Killing(now + KILL_PATIENCE);
        }
    }

    /// Acts on the clock that ran out; false when there is nothing left to wait for.
    fn look_at_the_clocks(&mut self, now: Instant) -> bool {
        match self.phase {
            Phase::Running => {
                if self.clocks.limit.is_some_and(|at| at <= now) {
                    let what = self.limits.exceeded(Limit::Wall);
                    self.end_because(How::Exceeded { what }, now);
                } else if let Some((clock, after)) = self.clocks.ran_out(self.heard(), now) {
                    self.end_because(How::TimedOut { clock, after }, now);
                }
            }
            Phase::Finishing(until) if until <= now => {
                self.reason.get_or_insert(How::Dismissed);
                self.terminate(now);
            }
            Phase::LeavingOff(until) if until <= now => self.interrupt(now),
            Phase::Interrupted(until) if until <= now => self.terminate(now),
            Phase::Terminating(until) if until <= now => {
                self.contained.kill();
                self.phase = Phase::Killing(now + KILL_PATIENCE);
            }
            Phase::Killing(until) if until <= now => {
                self.contained.abandon();
                self.phase = Phase::Draining(now + KILL_PATIENCE);
            }
            Phase::Draining(until) if until <= now => return false,
            Phase::Finishing(_)
            | Phase::LeavingOff(_)
            | Phase::Interrupted(_)
            | Phase::Terminating(_)
            | Phase::Killing(_)
            | Phase::Draining(_) => {}
        }
        true
    }

    fn heard(&self) -> LastHeard {
        let Self { opened, last_output: output, last_news: news, busy, .. } = *self;
        LastHeard { opened, output, news, busy }
    }

    fn end_because(&mut self, reason: How, now: Instant) {
        self.reason = Some(reason);
        match self.watch.leave_off() {
            Some(words) => {
                self.pipes.send(&words);
                self.phase = Phase::LeavingOff(now + self.clocks.leave_off);
            }
            None => self.interrupt(now),
        }
    }

    /// Sends SIGINT where the program is to have one, else what comes next.
    fn interrupt(&mut self, now: Instant) {
        let Some(patience) = self.clocks.interrupt else { return self.terminate(now) };
        self.contained.interrupt();
        self.phase = Phase::Interrupted(now + patience.min(LONGEST_GRACE));
    }

    fn terminate(&mut self, now: Instant) {
        self.pipes.send_no_more();
        self.contained.terminate();
        self.phase = Phase::Terminating(now + self.clocks.grace.min(LONGEST_GRACE));
    }

    fn next_deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Running => self.clocks.next(self.heard()),
            Phase::Finishing(at)
            | Phase::LeavingOff(at)
            | Phase::Interrupted(at)
            | Phase::Terminating(at)
            | Phase::Killing(at)
            | Phase::Draining(at) => Some(at),
        }
    }

    fn finish(mut self, start: Instant) -> Ended {
        for (sink, stream) in self.sinks.iter_mut().zip(STREAMS) {
            if sink.open {
                sink.close(&mut |line| drop(self.watch.line(stream, line)));
            }
        }
        let beyond = self.exit.as_ref().and_then(|exit| exit.beyond);
        let (how, leftover, survivors) = match self.exit {
            Some(Exit { how: ExitHow::Exited(code), leftover, survivors, .. }) => {
                (How::Exited(code), leftover, survivors)
            }
            Some(Exit { how: ExitHow::Signalled(signal), leftover, survivors, .. }) => {
                (How::Signalled(signal), leftover, survivors)
            }
            // Not even stage 1 could be killed: stuck in the kernel, with whatever is below it.
            None => (How::Signalled(SIGKILL), 0, 1),
        };
        let how = match beyond {
            Some(bound) => How::Exceeded { what: self.limits.exceeded(bound.into()) },
            None => how,
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

/// When a program was last heard of.
#[derive(Clone, Copy)]
struct LastHeard {
    opened: bool,
    output: Instant,
    news: Instant,
    busy: bool,
}

/// The times a program is held to.
struct Clocks {
    start: Instant,
    /// When the time is over that its policy gives it.
    limit: Option<Instant>,
    wall: Option<Duration>,
    opening: Option<Duration>,
    idle: Option<Duration>,
    idle_busy: Option<Duration>,
    stall: Option<Duration>,
    leave_off: Duration,
    interrupt: Option<Duration>,
    grace: Duration,
    linger: Duration,
}

impl Clocks {
    fn of(spec: &Spec, start: Instant) -> Self {
        let limit = spec.limits.bounds.wall_ms.map(Duration::from_millis);
        Self {
            start,
            limit: limit.and_then(|set| start.checked_add(set)),
            wall: spec.wall,
            opening: spec.opening,
            idle: spec.idle,
            idle_busy: spec.idle_busy,
            stall: spec.stall,
            leave_off: spec.leave_off.min(LONGEST_GRACE),
            interrupt: spec.interrupt,
            grace: spec.grace,
            linger: spec.linger.min(LONGEST_GRACE),
        }
    }

    /// A person was waited for.
    fn hold(&mut self, held: Duration) {
        self.start += held;
        self.limit = self.limit.and_then(|at| at.checked_add(held));
    }

    /// How long it may be silent; until its first word another clock holds it.
    fn idle(&self, heard: LastHeard) -> Option<Duration> {
        if self.opening.is_some() && !heard.opened {
            return None;
        }
        if heard.busy { self.idle_busy } else { self.idle }
    }

    /// When a program that only tries again has done so for too long. A busy one may well say nothing
    /// of it, and one that has not been heard for half of the time is silent.
    fn stalled(&self, heard: LastHeard) -> Option<(Instant, Duration)> {
        let set = self.stall.filter(|_| !heard.busy && heard.output > heard.news)?;
        let at = heard.news.checked_add(set)?;
        (at.saturating_duration_since(heard.output) < set / 2).then_some((at, set))
    }

    /// The clock that ran out, and what it was set to.
    fn ran_out(&self, heard: LastHeard, now: Instant) -> Option<(Clock, Duration)> {
        let over = |since: Instant, set: Duration| now.saturating_duration_since(since) >= set;
        let wall = self.wall.filter(|set| over(self.start, *set)).map(|set| (Clock::Wall, set));
        let idle =
            self.idle(heard).filter(|set| over(heard.output, *set)).map(|set| (Clock::Idle, set));
        let stall =
            self.stalled(heard).filter(|(at, _)| *at <= now).map(|(_, set)| (Clock::Stall, set));
        let opening = self.opening.filter(|set| !heard.opened && over(self.start, *set));
        wall.or(opening.map(|set| (Clock::Opening, set))).or(idle).or(stall)
    }

    /// When the next clock runs out; never, for times beyond what can be counted.
    fn next(&self, heard: LastHeard) -> Option<Instant> {
        let wall = self.wall.and_then(|set| self.start.checked_add(set));
        let idle = self.idle(heard).and_then(|set| heard.output.checked_add(set));
        let stall = self.stalled(heard).map(|(at, _)| at);
        let opening = self.opening.filter(|_| !heard.opened);
        let opening = opening.and_then(|set| self.start.checked_add(set));
        [self.limit, wall, idle, stall, opening].into_iter().flatten().min()
    }
}

/// What is done about the lines of one piece.
#[derive(Default)]
struct Replies {
    send: Vec<u8>,
    finished: bool,
    /// A line said more than that the program waits.
    news: bool,
    busy: Option<bool>,
    leave_off: bool,
    held: Duration,
}

impl Replies {
    fn add(&mut self, reply: Reply) {
        self.send.extend(reply.send);
        self.finished |= reply.finished;
        self.news |= !reply.waits;
        self.leave_off |= reply.leave_off;
        self.held += reply.held;
        // A notice says nothing of what else goes on.
        if !reply.waits {
            self.busy = Some(reply.busy);
        }
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

/// Beyond this a grace is not a grace, and moments could no longer be counted.
const LONGEST_GRACE: Duration = Duration::from_hours(24);
/// How long everything may take to be killed: longer than the sandbox gives its own stages.
const KILL_PATIENCE: Duration = Duration::from_secs(8);
/// How long the streams may stay open after everything that held them has ended.
const DRAIN_PATIENCE: Duration = Duration::from_secs(5);
