//! The small facts that inputs carry in and events keep.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::harness::{FailureClass, Harness, Usage};
use super::outside::Shown;
use super::permission::Wanted;
use crate::ids::{ArtifactName, BranchId, CheckName, Digest, ItemId, StepId, TurnId, VisitId};
use crate::plan::{Budget, Spending};

/// A reference to content: small text in place, everything else by digest in the object store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ref {
    /// The text itself; at most a few hundred bytes.
    Inline(String),
    /// SHA-256 of the bytes, which are in the object store.
    Object(Digest),
}

impl Default for Ref {
    fn default() -> Self {
        Self::Inline(String::new())
    }
}

impl Ref {
    /// Whether it stands for the empty text.
    pub fn is_nothing(&self) -> bool {
        matches!(self, Self::Inline(text) if text.is_empty())
    }
}

/// A snapshot of the workspace tree: 40 or 64 hex digits, as the snapshot repository names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SnapshotId(pub String);

/// A file as it was seen, to tell later whether it was written again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileStamp {
    pub inode: u64,
    /// Nanoseconds since the epoch of the last status change.
    pub ctime_ns: i64,
    pub digest: Digest,
}

/// The tree and the writable artifacts as they were before a turn.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree: Option<SnapshotId>,
    /// The step's writable artifacts that existed; an absent name did not exist.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<ArtifactName, FileStamp>,
    /// What stood at the paths the step protects: JSON, digests by path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protected: Option<Ref>,
}

/// What was found of one artifact on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    pub artifact: ArtifactName,
    /// Relative to the workspace.
    pub path: String,
    pub state: FindingState,
}

/// Whether an artifact counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingState {
    /// There, valid, and written since the baseline that counts.
    Good {
        digest: Digest,
    },
    /// There and valid, but not written since.
    Stale {
        digest: Digest,
    },
    Missing,
    /// There, but it breaks its format or schema; the text says how.
    Invalid {
        why: String,
    },
}

impl Finding {
    /// Whether the artifact satisfies an obligation to write it.
    pub fn is_good(&self) -> bool {
        matches!(self.state, FindingState::Good { .. })
    }
}

/// How a check ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckResult {
    pub name: CheckName,
    pub status: CheckStatus,
    /// Its output, for feedback and evidence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Ref>,
}

/// Whether a check stands in a route's way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckStatus {
    Passed,
    /// The text says how: an exit code, a timeout.
    Failed {
        why: String,
    },
    /// Its `when` was false.
    Skipped,
}

/// Something the next turn of a visit must be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Feedback {
    /// The answer could not be used; the text is the exact error.
    Outcome { why: String },
    /// Artifacts that were required and are not good.
    Artifacts { findings: Vec<Finding> },
    /// The turn itself failed.
    Failure { class: FailureClass, message: String },
    /// Files that are protected were changed.
    Protected { paths: Vec<String> },
}

/// The operating system process of a turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Process {
    pub pid: u32,
    /// Clock ticks since boot at its start: tells a reused pid.
    pub start_ticks: u64,
    /// `None` in an event: the same as of the process before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_id: Option<String>,
}

/// Which conversation a turn belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionKey(pub String);

/// The conversation slot of a turn and the provider's handle to continue it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionUse {
    pub key: SessionKey,
    /// The provider's opaque token; `None` starts a new conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The checkpoint of that conversation from which a new one is begun; `None`: it goes on itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What the conversation cost so far, in millionths of a US dollar: a harness may count on.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cost: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// Something a person said to a run, outside any question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Said {
    /// Given by whoever said it: the same said twice counts once.
    pub id: String,
    pub text: Ref,
}

/// A person in a conversation of the run, by the harness's own means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attached {
    pub session: SessionKey,
    /// The provider's token of that conversation.
    pub token: String,
    /// The tree as it was before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree: Option<SnapshotId>,
}

/// What a turn leaves beside its result.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Digest of the side file with everything it said.
    pub activity: Option<Digest>,
    /// Digest of the harness's own record of the conversation, as it stood at the end of the turn.
    pub transcript: Option<Digest>,
    /// Where its conversation stands, as the harness names it; `None`: it cannot be begun from there.
    pub checkpoint: Option<String>,
    /// What it spent; `None`: not known.
    pub usage: Option<Usage>,
    /// How long it took, in milliseconds; 0 for a recording.
    pub took_ms: u64,
    /// Processes it left behind, which were killed.
    pub leftover: u32,
}

/// How a turn ended, as recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TurnResult {
    Completed {
        /// The final text (a script's standard output); left out when it is empty.
        #[serde(default, skip_serializing_if = "Ref::is_nothing")]
        text: Ref,
        /// A script's exit code.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exit: Option<i32>,
    },
    Failed {
        class: FailureClass,
        message: String,
    },
}

/// Why a turn has no end of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InterruptCause {
    /// The process that owned the run died.
    OwnerLost,
    /// The owner was told to stop by this signal.
    Signal(i32),
    /// The run was cancelled.
    Cancelled,
    /// The owner itself could not go on.
    Stopped,
    /// It asked leave for something, and nobody was there to be asked.
    Permission,
}

/// Why a run moves again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResumeCause {
    /// It was stopped, and somebody said `resume`.
    Asked,
    /// Its owner had died.
    OwnerLost,
}

/// Bounds raised on resume.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Raise {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_steps: Option<u32>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub max_visits: BTreeMap<StepId, u32>,
    /// What the run may spend in all from now on.
    #[serde(default, skip_serializing_if = "Budget::is_none")]
    pub budget: Budget,
    /// What a step may spend in all from now on, per item where it is scoped.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub step_budgets: BTreeMap<StepId, Budget>,
}

/// One item of a worklist, as read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    pub id: ItemId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    pub status: ItemStatus,
    /// The whole item as JSON.
    pub payload: Ref,
}

/// Where an item stands. The journal decides; the source file is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemStatus {
    Planned,
    Completed,
}

impl ItemStatus {
    /// The word written into the source file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Completed => "completed",
        }
    }
}

/// What a run waits for from a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    pub kind: QuestionKind,
    pub text: String,
    /// The only answers accepted, when not empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
    /// JSON Schema of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Ref>,
    /// What it is about: an answer counts only for these as they were.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shown: Vec<Shown>,
    /// Milliseconds since the epoch; from then on it is answered by `timed_out`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuestionKind {
    /// A step took a route to `AWAIT_INPUT`.
    Route { visit: VisitId },
    /// A turn was interrupted and the step says `on_interrupt: ask`; or it says `restart`, and one of
    /// the trees that takes is not recorded.
    Interrupted { turn: TurnId },
    /// The tree differs from the last state recorded, so a restore would hide somebody's work.
    Edited { turn: TurnId },
    /// A child asks, in its own words.
    Child { visit: VisitId, branch: BranchId },
    /// An `ask` step.
    Step { visit: VisitId },
    /// A function or a hook, which is run again with the answer.
    Code { turn: TurnId },
    /// An agent, before it does something that its policy wants a person asked about; the turn goes on in
    /// its conversation with the answer.
    Permission {
        turn: TurnId,
        wanted: Box<Wanted>,
        /// What was allowed once, and was done before the turn was cut off.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        used: Vec<Digest>,
    },
}

/// What a finished run says of its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Accepted,
    Rejected,
    /// No step judged.
    None,
}

/// Why a run stands still although it could go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// `max_steps` of the run.
    MaxSteps {
        limit: u32,
    },
    /// `max_visits` of a step.
    MaxVisits {
        step: StepId,
        limit: u32,
    },
    /// A bound of the run's budget; the amounts are in the unit of their kind.
    Budget {
        of: Spending,
        limit: u64,
        spent: u64,
    },
    /// A bound of a step's budget.
    StepBudget {
        step: StepId,
        of: Spending,
        limit: u64,
        spent: u64,
    },
    Policy {
        message: String,
    },
    Signal {
        signal: i32,
    },
    Provider {
        class: FailureClass,
        message: String,
    },
    Error {
        message: String,
    },
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MaxSteps { limit } => write!(f, "limit: max_steps of {limit} reached"),
            Self::MaxVisits { step, limit } => {
                write!(f, "limit: step `{step}` reached its max_visits of {limit}")
            }
            Self::Budget { of, limit, spent } => write!(
                f,
                "limit: budget of {} reached: {} spent",
                of.amount(*limit),
                of.amount(*spent)
            ),
            Self::StepBudget { step, of, limit, spent } => write!(
                f,
                "limit: step `{step}` reached its budget of {}: {} spent",
                of.amount(*limit),
                of.amount(*spent)
            ),
            Self::Policy { message } => write!(f, "policy: {message}"),
            Self::Signal { signal } => write!(f, "signal {signal}"),
            Self::Provider { message, .. } => write!(f, "provider: {message}"),
            Self::Error { message } => write!(f, "error: {message}"),
        }
    }
}

/// The agent program of a run, as chosen when it was created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Provider {
    /// Any program: prompt on stdin, answer on stdout.
    Command { program: String, args: Vec<String> },
    /// A cassette, kept in the object store.
    Replay { cassette: Digest, loose: bool },
    /// The Codex CLI.
    Codex(Box<Harness>),
    /// Claude Code, driven over `stream-json`.
    Claude(Box<Harness>),
    /// An agent that speaks the Agent Client Protocol.
    Acp(Box<Harness>),
}

impl Provider {
    /// The harness it is, if it is one.
    pub fn harness(&self) -> Option<&Harness> {
        match self {
            Self::Codex(harness) | Self::Claude(harness) | Self::Acp(harness) => Some(harness),
            Self::Command { .. } | Self::Replay { .. } => None,
        }
    }

    pub(super) fn harness_mut(&mut self) -> Option<&mut Harness> {
        match self {
            Self::Codex(harness) | Self::Claude(harness) | Self::Acp(harness) => Some(harness),
            Self::Command { .. } | Self::Replay { .. } => None,
        }
    }
}
