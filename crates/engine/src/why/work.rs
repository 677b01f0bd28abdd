//! What a run that is moved is at: which turn, its last sign of life, and what would end it.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use botpipe_kernel::ids::{Role, TurnId};
use botpipe_kernel::run::{Event, Phase, Process, Run};

use crate::engine::RunView;
use crate::harness::Kind;
use crate::perform::Clocks;
use crate::process::Clock;
use crate::projection::of_children;

/// What a run is at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// In words: `runs turn plan/1/producer/1`.
    pub doing: String,
    /// Milliseconds since the epoch when that began.
    pub since: u64,
    /// The turn that runs.
    pub turn: Option<TurnId>,
    /// The process that everything of the turn ends with.
    pub process: Option<Process>,
    /// Milliseconds since the epoch when it last printed anything.
    pub last_sign: u64,
    /// What would end the turn; the first to come first, those without a time last.
    pub deadlines: Vec<Deadline>,
}

/// A clock that would end a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline {
    pub clock: Clock,
    /// Only while a command of the agent's runs; else the other of this clock counts.
    pub busy: bool,
    pub after: Duration,
    /// Milliseconds since the epoch, if nothing is heard until then; `None` where that cannot be seen
    /// from outside.
    pub at: Option<u64>,
}

impl Work {
    pub(super) fn of(view: &RunView, activity: impl Fn(&TurnId) -> Option<PathBuf>) -> Self {
        let last = view.events.last().map_or(0, |stored| stored.at);
        let phase = view.state.visit.as_ref().map(|visit| &visit.phase);
        let Some(Phase::Turning { turn, process, .. }) = phase else {
            return Self {
                doing: doing(&view.state),
                since: last,
                turn: None,
                process: None,
                last_sign: last,
                deadlines: Vec::new(),
            };
        };
        let began = view.events.iter().rev().find_map(|stored| match &stored.event {
            Event::TurnStarted { turn: of, .. } | Event::TurnOwed { turn: of, .. }
                if of == turn =>
            {
                Some(stored.at)
            }
            _ => None,
        });
        let since = began.unwrap_or(last);
        let last_sign = activity(turn).and_then(|path| heard(&path)).unwrap_or(0).max(since);
        Self {
            doing: format!("runs turn {turn}"),
            since,
            turn: Some(turn.clone()),
            process: process.clone(),
            last_sign,
            deadlines: deadlines(&view.state, turn.role, since, last_sign),
        }
    }

    /// When it is ended at the latest as things look now, in milliseconds since the epoch.
    pub(super) fn until(&self) -> Option<u64> {
        self.deadlines.iter().filter(|it| !it.busy).find_map(|it| it.at)
    }
}

/// When a side file was last written.
fn heard(path: &PathBuf) -> Option<u64> {
    let written = fs::metadata(path).and_then(|it| it.modified()).ok()?;
    u64::try_from(written.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()
}

fn deadlines(run: &Run, role: Role, since: u64, last_sign: u64) -> Vec<Deadline> {
    let Some(step) = run.current_step() else { return Vec::new() };
    let harness =
        run.provider_of(step, role).as_ref().and_then(Kind::of).is_some() && !role.is_code();
    let Clocks { wall, opening, idle, idle_busy, stall } = Clocks::of(run, step, role, harness);
    let after = |from: u64, span: Duration| {
        from.saturating_add(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
    };
    let idle_busy = idle_busy.filter(|busy| Some(*busy) != idle);
    let all = [
        (Clock::Wall, false, wall, Some(since)),
        (Clock::Opening, false, opening.filter(|_| last_sign <= since), Some(since)),
        (Clock::Idle, false, idle, Some(last_sign)),
        (Clock::Idle, true, idle_busy, Some(last_sign)),
        (Clock::Stall, false, stall, None),
    ];
    let set = all.into_iter().filter_map(|(clock, busy, set, from)| {
        set.map(|span| Deadline {
            clock,
            busy,
            after: span,
            at: from.map(|from| after(from, span)),
        })
    });
    let mut set: Vec<Deadline> = set.collect();
    set.sort_by_key(|it| it.at.unwrap_or(u64::MAX));
    set
}

/// What the engine itself is at.
fn doing(run: &Run) -> String {
    let Some(visit) = &run.visit else {
        return match &run.next {
            Some(next) => format!("is about to enter step {}", next.step),
            None => "is at its end".to_owned(),
        };
    };
    match &visit.phase {
        Phase::Entering => format!("records the files before visit {}", visit.id),
        Phase::Preparing { turn, .. } => format!("prepares turn {turn}"),
        Phase::Turning { turn, .. } => format!("runs turn {turn}"),
        Phase::Checking => format!("checks what visit {} made", visit.id),
        Phase::Sealing => format!("records what visit {} made", visit.id),
        Phase::Judging { turn, .. } => format!("reads the answer of turn {turn}"),
        Phase::Handing { tag } => format!("takes route {tag} of visit {}", visit.id),
        Phase::Restoring { turn, .. } => format!("puts files back for turn {turn}"),
        Phase::Asking { turn, .. } => format!("asks a person about turn {turn}"),
        Phase::Posing { .. } => format!("puts the question of visit {}", visit.id),
        Phase::Arming => format!("sees what visit {} waits for", visit.id),
        Phase::Planning => format!("reads which runs visit {} starts", visit.id),
        Phase::Answering => format!("does what the function of visit {} asked for", visit.id),
        Phase::Merging => format!("merges what the branches of visit {} changed", visit.id),
        Phase::Applying => {
            format!("writes what the branches of visit {} changed", visit.id)
        }
        Phase::Children => match visit.moving_children() {
            Some(children) => format!("moves the runs below: {}", of_children(children)),
            None => format!("moves the runs of visit {}", visit.id),
        },
    }
}
