//! The clocks a turn runs under: what the step sets, what is left of budgets of time, and ours.

use std::time::Duration;

use botpipe_kernel::ids::Role;
use botpipe_kernel::plan::{Spending, Step};
use botpipe_kernel::run::Run;

/// The clocks of one turn; `None`: none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Clocks {
    /// Time in all.
    pub(crate) wall: Option<Duration>,
    /// Time until it first says something.
    pub(crate) opening: Option<Duration>,
    /// Time without output.
    pub(crate) idle: Option<Duration>,
    /// The same while a command of the agent's runs.
    pub(crate) idle_busy: Option<Duration>,
    /// Time with nothing but notices that something is tried again.
    pub(crate) stall: Option<Duration>,
}

impl Clocks {
    /// The clocks of a turn that starts now; a `harness` is never waited for without end.
    pub(crate) fn of(run: &Run, step: &Step, role: Role, harness: bool) -> Self {
        let own = step.clocks.wall_ms.map(Duration::from_millis);
        let wall = if role.is_code() { own } else { sooner(own, wall_left(run)) };
        let idle = step.clocks.idle_ms.map(Duration::from_millis);
        if !harness {
            return Self { wall, opening: None, idle, idle_busy: None, stall: None };
        }
        let or = |ours| Some(idle.unwrap_or(ours));
        Self {
            wall,
            opening: or(OPENING),
            idle: or(IDLE),
            idle_busy: or(IDLE_BUSY),
            stall: or(STALL),
        }
    }
}

/// What is left of the budgets of time, the run's and the step's: a turn is not longer.
fn wall_left(run: &Run) -> Option<Duration> {
    let purses = run.purses();
    let left = purses.iter().filter_map(|purse| purse.left(Spending::Wall, 0));
    left.map(|left| Duration::from_millis(left.unwrap_or(1))).min()
}

/// The smaller of two bounds.
fn sooner(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    one.into_iter().chain(other).min()
}

/// How long a harness may take until it first says something: far above the seconds that the slowest
/// takes, and enough for a launcher that first fetches it.
const OPENING: Duration = Duration::from_mins(2);
/// How long a harness may be silent: above the 300 s after which the CLIs themselves give up on a
/// model that says nothing.
const IDLE: Duration = Duration::from_secs(330);
/// The same while a command of the agent's runs, which may take long without a word.
const IDLE_BUSY: Duration = Duration::from_mins(30);
/// How long a harness may do nothing but try again.
const STALL: Duration = Duration::from_mins(5);
