//! What the kernel wants done.

use serde::{Deserialize, Serialize};

use super::children::{ChildRun, Grant};
use super::facts::{
    Feedback, InterruptCause, ItemStatus, Raise, Ref, Said, SessionUse, SnapshotId,
};
use crate::ids::{ArtifactName, CheckName, ItemId, RouteTag, TurnId, VisitId, WorklistName};

/// Work that is owed. Performed at least once, recorded once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Read and validate the items of a worklist.
    ReadItems {
        worklist: WorklistName,
        /// A command has to be run for it.
        script: bool,
    },
    /// Look at the step's required artifacts; record the tree and the writable artifacts.
    Enter { visit: VisitId },
    /// Render the prompt (or a script's command) and its contract.
    Prepare {
        turn: TurnId,
        /// Why this turn is asked.
        cause: TurnCause,
        /// What it must be told of earlier attempts in this visit.
        feedback: Vec<Feedback>,
        /// Routes it may pick; empty when the role picks none.
        offered: Vec<RouteTag>,
        session: Option<SessionUse>,
        /// What people said since.
        said: Vec<Said>,
    },
    /// Run the turn to its end.
    RunTurn { turn: TurnId, prompt: Ref, session: Option<SessionUse> },
    /// Inspect the producer's artifacts and run the step's checks.
    RunChecks { visit: VisitId, checks: Vec<CheckName> },
    /// Record the producer's tree.
    Seal { visit: VisitId },
    /// Read and validate the outcome of a deciding turn, and inspect its artifacts.
    Judge {
        turn: TurnId,
        offered: Vec<RouteTag>,
        /// What it answered.
        text: Ref,
        /// A script's exit code.
        exit: Option<i32>,
        /// The outcome, where it came from outside and is known; `text` is its payload then.
        tag: Option<RouteTag>,
    },
    /// Render the handoff of a route that is taken without asking.
    Hand { visit: VisitId, tag: RouteTag },
    /// Write an item's status into its source file.
    WriteStatus { worklist: WorklistName, item: ItemId, status: ItemStatus },
    /// Evaluate what the run gives back.
    Output,
    /// Wait until this time, in milliseconds since the epoch.
    AwaitTime { until: u64 },
    /// Read off the step which children it starts, and with what.
    PlanChildren { visit: VisitId },
    /// Move a child until it ends or stands still. Several may be owed; they run at the same time.
    RunChild {
        which: ChildRun,
        grant: Grant,
        /// What it is told when it waits for an answer.
        answer: Option<Ref>,
        /// What was raised for it.
        raise: Box<Raise>,
        /// It is not to go on: another failed.
        cancel: bool,
    },
    /// Put the tree back to `to`, unless it differs from `expected`.
    Restore {
        turn: TurnId,
        to: SnapshotId,
        /// The last state recorded; `None`: a person said to restore whatever is there.
        expected: Option<SnapshotId>,
    },
    /// Render the question of a step, and look at what it shows.
    Pose {
        visit: VisitId,
        /// What has changed since it was asked before.
        changed: Vec<ArtifactName>,
    },
    /// Find out until when a step waits.
    Arm { visit: VisitId },
    /// Wait for a step until this time, in milliseconds since the epoch.
    AwaitDue { visit: VisitId, until: u64 },
    /// Do what a function asked for.
    Answer { turn: TurnId, n: u32, ask: Ref },
}

/// Why a turn is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TurnCause {
    /// The first of its role in this visit.
    First,
    /// An earlier attempt could not be used.
    Retry,
    /// The same turn was interrupted; the tree is as it was found.
    Resumed { cause: InterruptCause },
    /// The same turn was interrupted; the tree was put back.
    Restarted { cause: InterruptCause },
}

impl Effect {
    /// The effect's id: stable across restarts for the same owed work.
    pub fn id(&self) -> String {
        match self {
            Self::ReadItems { worklist, .. } => format!("{worklist}/read"),
            Self::Enter { visit } => format!("{visit}/enter"),
            Self::Prepare { turn, .. } => format!("{turn}/prepare"),
            Self::RunTurn { turn, .. } => format!("{turn}/run"),
            Self::RunChecks { visit, .. } => format!("{visit}/checks"),
            Self::Seal { visit } => format!("{visit}/seal"),
            Self::Judge { turn, .. } => format!("{turn}/judge"),
            Self::Hand { visit, .. } => format!("{visit}/hand"),
            Self::WriteStatus { worklist, item, .. } => format!("{worklist}[{item}]/status"),
            Self::Output => "output".to_owned(),
            Self::AwaitTime { until } => format!("time/{until}"),
            Self::PlanChildren { visit } => format!("{visit}/children"),
            Self::RunChild { which, .. } => format!("{}/run/{}", which.run, which.start),
            Self::Restore { turn, .. } => format!("{turn}/restore"),
            Self::Pose { visit, .. } => format!("{visit}/pose"),
            Self::Arm { visit } => format!("{visit}/arm"),
            Self::AwaitDue { visit, until } => format!("{visit}/due/{until}"),
            Self::Answer { turn, n, .. } => format!("{turn}/answer/{n}"),
        }
    }

    /// Whether doing it changes nothing outside the engine's own stores, so that it may be done again,
    /// and be done before the event that owes it is durable. Waiting takes long, so what is waited for
    /// is durable first.
    pub fn only_looks(&self) -> bool {
        match self {
            Self::ReadItems { script, .. } => !script,
            Self::Enter { .. }
            | Self::Prepare { .. }
            | Self::Seal { .. }
            | Self::Judge { .. }
            | Self::Hand { .. }
            | Self::Output
            | Self::PlanChildren { .. }
            | Self::Pose { .. }
            | Self::Arm { .. } => true,
            Self::RunChecks { checks, .. } => checks.is_empty(),
            Self::RunTurn { .. }
            | Self::WriteStatus { .. }
            | Self::AwaitTime { .. }
            | Self::RunChild { .. }
            | Self::AwaitDue { .. }
            | Self::Answer { .. }
            | Self::Restore { .. } => false,
        }
    }

    /// Whether doing it starts a process of the author's or the agent's.
    pub fn is_process(&self) -> bool {
        matches!(
            self,
            Self::RunTurn { .. }
                | Self::RunChecks { .. }
                | Self::RunChild { .. }
                | Self::ReadItems { script: true, .. }
        )
    }
}
