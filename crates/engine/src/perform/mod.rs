//! Effects done: one file an effect, each comes back as an input.

mod ask;
mod beside;
mod call;
mod callbacks;
mod checks;
mod child;
pub(crate) mod children;
mod clocks;
mod code;
mod confined;
mod desk;
mod earlier;
mod enter;
mod hold;
mod items;
mod judge;
mod leave;
mod merge;
mod output;
mod outside;
mod plan_children;
mod prepare;
mod protect;
mod replay;
mod restore;
mod results;
mod roots;
mod session;
mod state;
mod turn;
mod validate;

pub(crate) use ask::{codec_of, surroundings};
pub(crate) use call::{Parked, no_host};
pub(crate) use callbacks::METHODS;
pub(crate) use child::cancel;
pub(crate) use clocks::Clocks;
pub(crate) use desk::{About, Agent, Desk, way};
pub(crate) use enter::findings;
pub(crate) use replay::asked;
pub(crate) use turn::TOLD;

use botpipe_kernel::run::{Effect, Input};

use crate::driver::Driver;
use crate::error::Error;

/// Why an effect has no answer.
pub(crate) enum Trouble {
    /// It cannot be done now; the run stops and says so, and can be resumed.
    Stuck { message: String },
    /// A policy cannot be enforced; the run stops and says so, and can be resumed.
    Refused { message: String },
    /// The owner was told to stop while it was done.
    Stopped,
    /// The owner itself cannot go on: nothing more can be recorded.
    Fatal(Error),
}

impl Trouble {
    /// Something that failed, in the words of its error.
    pub(crate) fn stuck(error: impl std::fmt::Display) -> Self {
        Self::Stuck { message: error.to_string() }
    }
}

impl From<crate::workspace::Error> for Trouble {
    fn from(error: crate::workspace::Error) -> Self {
        Self::stuck(error)
    }
}

impl From<botpipe_journal::Error> for Trouble {
    fn from(error: botpipe_journal::Error) -> Self {
        Self::Fatal(Error::Journal(error))
    }
}

/// Does what is owed.
pub(crate) fn perform(driver: &mut Driver<'_>, effect: Effect) -> Result<Input, Trouble> {
    match effect {
        Effect::ReadItems { worklist, .. } => items::read(driver, worklist),
        Effect::WriteStatus { worklist, item, status } => {
            items::write_status(driver, worklist, item, status)
        }
        Effect::Enter { visit } => enter::enter(driver, visit),
        Effect::Prepare { turn, cause, feedback, offered, session, said } => {
            prepare::prepare(driver, turn, &cause, feedback, &offered, session, &said)
        }
        Effect::RunTurn { turn, prompt, session } => turn::run(driver, turn, &prompt, session),
        Effect::RunChecks { visit, checks } => checks::run(driver, visit, &checks),
        Effect::Seal { visit } => enter::seal(driver, visit),
        Effect::Judge { turn, offered, text, exit: _, tag: Some(tag) } => {
            judge::came(driver, turn, &offered, &tag, &text)
        }
        Effect::Judge { turn, offered, text, exit, tag: None } => {
            judge::judge(driver, turn, &offered, &text, exit)
        }
        Effect::Pose { visit, changed } => outside::pose(driver, visit, &changed),
        Effect::Arm { visit } => outside::arm(driver, visit),
        Effect::AwaitDue { visit, until } => outside::await_due(driver, visit, until),
        Effect::Hand { visit, tag } => judge::hand(driver, visit, &tag),
        Effect::Output => output::output(driver),
        Effect::AwaitTime { until } => hold::await_time(driver, until),
        Effect::PlanChildren { visit } => plan_children::plan(driver, visit),
        // Several at a time: see `children::run`.
        Effect::RunChild { .. } => Err(Trouble::stuck("a child was to be moved alone")),
        Effect::Answer { turn, n, ask } => callbacks::answer(driver, turn, n, &ask),
        Effect::Merge { visit, base, branches, before } => {
            merge::merge(driver, visit, base.as_ref(), &branches, before.as_deref())
        }
        Effect::ApplyMerge { visit, merge } => merge::apply(driver, visit, &merge),
        Effect::Restore { turn, to, expected } => {
            restore::restore(driver, turn, &to, expected.as_ref())
        }
    }
}
