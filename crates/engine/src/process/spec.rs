//! What to run and what became of it: plain data.

use std::sync::Arc;
use std::time::Duration;

use botpipe_sandbox::{Contained, Identity, Launch, Used};

use super::output::Output;
use crate::policy::Held;

/// A program to run to its end.
#[derive(Debug, Clone)]
pub struct Spec {
    /// What to start and how it is contained.
    pub launch: Launch,
    /// What stands around it from outside, and serves it once it has started.
    pub outside: Option<Arc<dyn Outside>>,
    /// What it can read on its standard input, at first.
    pub stdin: Vec<u8>,
    /// Whether its input stays open for what the watcher sends, until it says [`Reply::finished`].
    pub talks: bool,
    /// The limits of its policy: time and output are kept here, the rest by what contains it.
    pub limits: Held,
    /// How long it may take in all.
    pub wall: Option<Duration>,
    /// How long it may take until it first says something on its standard output.
    pub opening: Option<Duration>,
    /// How long it may be silent on both streams.
    pub idle: Option<Duration>,
    /// The same while it says that it is busy ([`Reply::busy`]).
    pub idle_busy: Option<Duration>,
    /// How long it may say nothing but that it waits ([`Reply::waits`]).
    pub stall: Option<Duration>,
    /// Bytes of one line that are delivered; the rest of it is counted and dropped.
    pub line_limit: usize,
    /// Bytes of each stream that are kept for the result: its head and its tail.
    pub capture_limit: usize,
    /// How long it may take to leave off when it is asked in its own words ([`Watch::leave_off`]).
    pub leave_off: Duration,
    /// How long it may take to end after SIGINT, before SIGTERM; `None`: it gets no SIGINT.
    pub interrupt: Option<Duration>,
    /// How long it may take to end after SIGTERM, before everything is killed.
    pub grace: Duration,
    /// How long it may take to end by itself once it has finished.
    pub linger: Duration,
}

impl Spec {
    /// A program that reads nothing and is held to no clock; its output is kept up to 1 MiB a stream.
    pub fn of(launch: Launch) -> Self {
        Self {
            launch,
            outside: None,
            stdin: Vec::new(),
            talks: false,
            limits: Held::default(),
            wall: None,
            opening: None,
            idle: None,
            idle_busy: None,
            stall: None,
            line_limit: LINE_LIMIT,
            capture_limit: 1 << 20,
            leave_off: LEAVE_OFF,
            interrupt: None,
            grace: GRACE,
            linger: GRACE,
        }
    }
}

/// What stands around a confined program: who answers on its network, who covers what turns up.
pub trait Outside: std::fmt::Debug + Send + Sync {
    /// Begins to serve a program that has just started.
    ///
    /// # Errors
    /// The program must not go on, and is ended.
    fn serve(&self, program: &mut Contained) -> std::io::Result<()>;
}

/// How long a program may take to leave off, unless told.
const LEAVE_OFF: Duration = Duration::from_secs(3);
/// How long a program may take to end, unless told.
const GRACE: Duration = Duration::from_secs(5);

/// Bytes of one line that are delivered when nothing else is asked for: 16 MiB.
pub const LINE_LIMIT: usize = 16 << 20;

/// Where a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Who looks on while a program runs. Called on the thread of [`super::run`]; as long as a call
/// takes, the program is held back by its full pipes, and the idle clock stands still.
pub trait Watch {
    /// The program runs; this identifies the stage 1 that everything of it ends with. Comes first.
    fn started(&mut self, stage1: &Identity);

    /// A line, without its end. Bytes that are not UTF-8 are replaced; a line over the limit is cut
    /// and ends in a mark that says so.
    fn line(&mut self, stream: Stream, line: &str) -> Reply;

    /// Called now and then, and soon after a nudge ([`super::StopSwitch::nudge`]): what to send to the
    /// program besides what answers its lines.
    fn more(&mut self) -> Option<Vec<u8>> {
        None
    }

    /// The program is to be ended: what to send it so that it leaves off by itself. `None` where it
    /// understands only signals.
    fn leave_off(&mut self) -> Option<Vec<u8>> {
        None
    }
}

/// What is done about a line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each says one thing of a line, and all go together"
)]
pub struct Reply {
    /// Sent to the program's input.
    pub send: Vec<u8>,
    /// The program has done what it was started for: its input is closed, and it may end.
    pub finished: bool,
    /// The line only says that it waits for something, as a notice of a retry does.
    pub waits: bool,
    /// It does something that may take long without a word.
    pub busy: bool,
    /// It is to leave off, and be ended.
    pub leave_off: bool,
    /// How long a person was waited for meanwhile: that counts for no clock.
    pub held: Duration,
}

/// What became of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// How it ended.
    pub how: How,
    /// What it wrote to standard output.
    pub stdout: Output,
    /// What it wrote to standard error.
    pub stderr: Output,
    /// Processes it left behind; they were killed.
    pub leftover: u32,
    /// Processes that could not be killed.
    pub survivors: u32,
    /// From before its start until everything of it had ended.
    pub elapsed: Duration,
    /// What contained it; `None` when it was never started.
    pub contained: Option<Used>,
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    /// By itself, with this code.
    Exited(i32),
    /// By a signal that was not ours.
    Signalled(i32),
    /// It never started.
    SpawnFailed {
        /// What could not be done, with the reason.
        what: String,
        /// The kernel's error number, where it gave one.
        errno: Option<i32>,
    },
    /// It had finished, but did not end by itself in time, and was ended.
    Dismissed,
    /// It was ended because the watcher wanted it to leave off ([`Reply::leave_off`]).
    LeftOff,
    /// It was ended because a clock ran out.
    TimedOut {
        /// Which one.
        clock: Clock,
        /// What that clock was set to.
        after: Duration,
    },
    /// It was ended because it went beyond a limit of its policy.
    Exceeded {
        /// Which one, and what permits more; goes on from the program's name.
        what: String,
    },
    /// It was ended, or not started at all, because the switch asked for it.
    Stopped {
        /// The signal the switch was given.
        signal: i32,
    },
}

/// A clock that a program runs under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// Time in all.
    Wall,
    /// Time until its first output.
    Opening,
    /// Time without output.
    Idle,
    /// Time with nothing but notices that it waits.
    Stall,
}
