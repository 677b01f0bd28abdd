//! What the world tells the kernel.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::calls::{Returned, WorklistChange};
use super::children::{ChildEnd, ChildRun, Parent, Rest};
use super::facts::{
    Attached, Baseline, CheckResult, Evidence, FileStamp, Finding, InterruptCause, Item,
    ItemStatus, Process, Provider, Raise, Ref, Said, SessionUse, SnapshotId, TurnResult,
};
use super::hold::{Hold, Spent};
use super::merge::Merge;
use super::outside::Signal;
use super::permission::{Permission, Wanted};
use super::values::StateChange;
use crate::ids::{
    BranchId, Digest, ItemId, RouteTag, RunId, TaskId, TurnId, VisitId, WorklistName,
};
use crate::plan::{Budget, OnLimit, PolicyLayer};

/// Something that happened outside.
///
/// Answers to effects may come early, late or twice: what does not fit the run's state changes
/// nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Begin the run.
    Start {
        run: RunId,
        task: TaskId,
        plan: Digest,
        message: Ref,
        input: Ref,
        params: Ref,
        provider: Option<Provider>,
        /// The harnesses that steps and turns name, by that name.
        providers: BTreeMap<String, Provider>,
        /// Asked one after the other when a limit is met and `on_limit` says so.
        fallbacks: Vec<Provider>,
        pass_env: Vec<String>,
        /// The folder it works in; absolute.
        workspace: Option<String>,
        /// The operator's bound, when it differs from the plan's.
        max_steps: Option<u32>,
        /// The operator's word on limits of the account; `None`: as the steps say.
        on_limit: Option<OnLimit>,
        /// The operator's bounds; what they leave open is as the plan says.
        budget: Budget,
        /// The run that starts this one.
        parent: Option<Parent>,
        /// What its templates know of its parent, as JSON.
        context: Option<Ref>,
        /// Nobody is there to be asked.
        full_auto: bool,
        /// What files outside of the workflow say of its policies.
        policies: Vec<PolicyLayer>,
        /// Files of the workspace that say what this run does, relative to it: no program of the run writes them.
        sources: Vec<String>,
    },
    /// Answer to [`Effect::PlanChildren`](super::Effect::PlanChildren).
    ChildrenPlanned { visit: VisitId, children: Vec<ChildWanted> },
    /// Answer to [`Effect::RunChild`](super::Effect::RunChild): it is over.
    ChildEnded { which: ChildRun, end: ChildEnd },
    /// Answer to [`Effect::RunChild`](super::Effect::RunChild): it stands still.
    ChildRested { which: ChildRun, rest: Rest, spent: Spent, steps: u32 },
    /// Answer to [`Effect::Merge`](super::Effect::Merge).
    Merged { visit: VisitId, merge: Merge },
    /// Answer to [`Effect::ApplyMerge`](super::Effect::ApplyMerge).
    MergeApplied { visit: VisitId, tree: SnapshotId, kept: SnapshotId },
    /// Answer to [`Effect::ApplyMerge`](super::Effect::ApplyMerge): somebody changed the files since.
    MergeRefused { visit: VisitId, tree: SnapshotId, changed: Vec<String> },
    /// Answer to [`Effect::ReadItems`](super::Effect::ReadItems).
    ItemsRead { worklist: WorklistName, source: Digest, items: Vec<Item> },
    /// The worklist's file is missing or malformed; the text says what, where and what to do.
    ItemsRejected { worklist: WorklistName, why: String },
    /// Answer to [`Effect::Enter`](super::Effect::Enter).
    BaselineTaken {
        visit: VisitId,
        baseline: Baseline,
        /// The step's required artifacts as found on disk (freshness does not matter here).
        requires: Vec<Finding>,
        /// How the file of the step's worklist differs from what was read of it.
        drift: Option<Drift>,
    },
    /// Answer to [`Effect::Prepare`](super::Effect::Prepare).
    TurnPrepared {
        turn: TurnId,
        prompt: Ref,
        request: Option<Digest>,
        policy: Option<Ref>,
        session: Option<SessionUse>,
        /// How many of the things said the prompt holds; all that it was to be told.
        said: u32,
    },
    /// The process of a turn runs.
    TurnStarted { turn: TurnId, process: Process },
    /// The provider named the conversation.
    SessionKnown { turn: TurnId, token: String },
    /// The function that runs asks for something, for the so many-th time; counts from 0.
    CallbackAsked {
        turn: TurnId,
        n: u32,
        key: Digest,
        /// JSON.
        ask: Ref,
        /// The plan and the start of the run that answers it.
        child: Option<Box<(Digest, ChildWanted)>>,
    },
    /// Answer to [`Effect::Answer`](super::Effect::Answer).
    CallbackAnswered {
        turn: TurnId,
        n: u32,
        /// JSON.
        answer: Ref,
        change: Option<(WorklistName, WorklistChange)>,
    },
    /// Answer to [`Effect::RunTurn`](super::Effect::RunTurn).
    TurnEnded {
        turn: TurnId,
        result: TurnResult,
        evidence: Evidence,
        /// For a failure that passes: the pause before the next attempt.
        pause: Option<Hold>,
    },
    /// Answer to [`Effect::RunTurn`](super::Effect::RunTurn): it asked leave for something, nobody was there
    /// to be asked, and it was ended.
    PermissionWanted {
        turn: TurnId,
        wanted: Wanted,
        /// What was allowed once, and was done since the turn was started.
        used: Vec<Digest>,
        evidence: Evidence,
        /// The tree as it was found.
        tree: Option<SnapshotId>,
    },
    /// A person who was there answered what the running turn asks leave for.
    PermissionAnswered {
        turn: TurnId,
        /// How often it was answered before, in all starts of the turn.
        n: u32,
        permission: Permission,
    },
    /// What a new owner found before it asks a harness anything: the folder, and the version of the
    /// harness's program, where it tells one.
    Found {
        workspace: String,
        /// Which of those that steps and turns name; `None`: the run's own.
        of: Option<String>,
        version: Option<String>,
    },
    /// A person says something to the run.
    Say { said: Said },
    /// A person is about to go on in a conversation of the run.
    Attach { attached: Attached },
    /// All that was said was given to the running turn.
    SaidDelivered { turn: TurnId },
    /// The turn was not started: its login is held.
    TurnHeld { turn: TurnId, hold: Hold },
    /// Answer to [`Effect::AwaitTime`](super::Effect::AwaitTime).
    TimeCame,
    /// Answer to [`Effect::RunChecks`](super::Effect::RunChecks).
    ChecksEnded {
        visit: VisitId,
        checks: Vec<CheckResult>,
        findings: Vec<Finding>,
        /// Protected files that are not what they were.
        touched: Vec<String>,
    },
    /// Answer to [`Effect::Seal`](super::Effect::Seal).
    Sealed { visit: VisitId, tree: Option<SnapshotId> },
    /// Answer to [`Effect::Judge`](super::Effect::Judge).
    Judged { turn: TurnId, judged: Judged },
    /// Answer to [`Effect::Hand`](super::Effect::Hand): the handoff of a route taken without asking.
    HandoffRendered { visit: VisitId, exit: Exit },
    /// Answer to [`Effect::Output`](super::Effect::Output): JSON.
    OutputReady { value: Ref },
    /// Answer to [`Effect::WriteStatus`](super::Effect::WriteStatus).
    StatusWritten {
        worklist: WorklistName,
        item: ItemId,
        status: ItemStatus,
        stamp: Option<FileStamp>,
        drift: Option<String>,
    },
    /// Answer to [`Effect::Restore`](super::Effect::Restore).
    TreeRestored { turn: TurnId, kept: SnapshotId },
    /// The tree differs from what was last recorded, so it was left alone.
    RestoreRefused { turn: TurnId, tree: SnapshotId, changed: Vec<String> },
    /// The engine could not do what is owed (a full disk, a template that does not render).
    Stuck { message: String },
    /// A policy cannot be enforced.
    PolicyRefused { message: String },
    /// A person's answer; already checked against the question's schema.
    Answer {
        answer: Ref,
        text: String,
        /// What the question shows, as found now.
        findings: Vec<Finding>,
    },
    /// Somebody said `resume`, or a new owner found the old one dead.
    Resume {
        raise: Raise,
        /// The tree as it was found.
        tree: Option<SnapshotId>,
        /// Files of it that were changed when the old owner, and so its turn, had ended.
        edited: Vec<String>,
    },
    /// The owner stops: a running process was ended first.
    Stop { cause: InterruptCause, tree: Option<SnapshotId> },
    /// End the run for good: a running process was ended first.
    Cancel,
    /// Answer to [`Effect::Pose`](super::Effect::Pose).
    Posed {
        visit: VisitId,
        text: String,
        /// What the question shows, as found now.
        findings: Vec<Finding>,
        /// When the time for an answer is over, in milliseconds since the epoch.
        until: Option<u64>,
    },
    /// Answer to [`Effect::Arm`](super::Effect::Arm): when its time comes, in milliseconds since the
    /// epoch.
    Armed { visit: VisitId, until: Option<u64> },
    /// Answer to [`Effect::AwaitDue`](super::Effect::AwaitDue); and for what nobody stayed for, told by
    /// who looks at the clock next.
    Due { visit: VisitId },
    /// A signal came.
    Signal { signal: Signal },
}

/// A difference between a worklist and the file it was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift {
    pub worklist: WorklistName,
    /// The file's digest now.
    pub source: Digest,
    pub text: String,
}

/// What the engine made of a deciding turn's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judged {
    /// An outcome could be read.
    Outcome(Box<Outcome>),
    /// No outcome could be read, or it breaks a schema; the text is the exact error.
    Malformed { why: String },
    /// Code failed and its step has no route for that.
    ScriptFailed { why: String },
    /// A function or a hook came to its end.
    Returned(Box<Returned>),
}

/// A provider's answer, read and validated against its schemas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// As answered; the kernel decides whether it is legal.
    pub tag: String,
    pub payload: Option<Ref>,
    pub fields: Option<Ref>,
    /// The artifacts of the deciding role as found on disk.
    pub findings: Vec<Finding>,
    pub exit: Exit,
}

/// What a visit leaves by, as far as it takes evaluating.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exit {
    /// The routes whose `when` is true. With them [`Run::way_out`](super::Run::way_out) tells the
    /// route that is taken; the rest is that route's.
    pub whens: Vec<RouteTag>,
    /// Its handoff, rendered.
    pub handoff: Option<Ref>,
    /// For a route to `AWAIT_INPUT`: what to ask.
    pub question: Option<AskedQuestion>,
    /// What it puts into the state, already checked against the schemas.
    pub changes: Vec<StateChange>,
}

/// A child as the engine read it off the step; `None`: as its parent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChildWanted {
    pub branch: BranchId,
    pub message: Option<Ref>,
    pub input: Option<Ref>,
    pub params: Option<Ref>,
    pub context: Option<Ref>,
}

/// A question as it was put.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AskedQuestion {
    pub text: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Ref>,
}
