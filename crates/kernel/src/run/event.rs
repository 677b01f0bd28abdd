//! What became fact: stored, past tense, never changed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::calls::WorklistChange;
use super::children::{ChildEnd, ChildPlan, Grant, Parent, Rest};
use super::facts::{
    Attached, Baseline, CheckResult, Feedback, FileStamp, Finding, InterruptCause, Item,
    ItemStatus, Process, Provider, Question, Raise, Ref, ResumeCause, Said, SessionUse, SnapshotId,
    Stop, TurnResult, Verdict,
};
use super::harness::{FailureClass, Usage};
use super::hold::{Hold, Spent};
use super::input::AskedQuestion;
use super::merge::Merge;
use super::outside::{Signal, Wait};
use super::permission::Permission;
use super::values::StateChange;
use crate::ids::{
    ArtifactName, BranchId, Digest, ItemId, Role, RouteTag, RunId, StepId, TaskId, TurnId, VisitId,
    WorkflowName, WorklistName,
};
use crate::plan::{Budget, OnInterrupt, OnLimit, PolicyLayer, Target};

/// A fact of a run.
///
/// # Shape
/// JSON objects tagged by `kind`: `{"kind":"turn_owed","turn":"plan/1/producer/1",…}`. The journal
/// stores each with a version, a sequence number, a time and the chained hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Event {
    /// The run exists. Always the first.
    RunCreated {
        run: RunId,
        task: TaskId,
        workflow: WorkflowName,
        plan: Digest,
        /// The message as given; empty when none was.
        message: Ref,
        /// JSON object.
        input: Ref,
        /// JSON object.
        params: Ref,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        provider: Option<Provider>,
        /// The harnesses that steps and turns name, by that name: `claude`, `claude:opus`.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        providers: BTreeMap<String, Provider>,
        /// Asked one after the other when a limit is met and `on_limit` says so.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        fallbacks: Vec<Provider>,
        /// Names of environment variables passed to processes beside the built-in ones.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pass_env: Vec<String>,
        /// The folder it works in; absolute.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        workspace: Option<String>,
        max_steps: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        on_limit: Option<OnLimit>,
        /// What the run may spend in all.
        #[serde(default, skip_serializing_if = "Budget::is_none")]
        budget: Budget,
        /// The run that started this one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parent: Option<Box<Parent>>,
        /// What its templates know of its parent, as JSON.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        context: Option<Ref>,
        /// Questions, and what else takes a person, are offered to no agent.
        #[serde(default, skip_serializing_if = "is_false")]
        full_auto: bool,
        /// What files outside of the workflow say of its policies.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        policies: Vec<PolicyLayer>,
        /// Files of the workspace that say what this run does, relative to it: no program of the run writes them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        sources: Vec<String>,
    },
    /// A worklist was read from its artifact.
    ItemsRead { worklist: WorklistName, source: Digest, items: Vec<Item> },
    /// A worklist could not be read; the step that wrote it is told.
    ItemsRejected { worklist: WorklistName, why: String },
    /// A scoped step was reached and no item is left.
    ItemsExhausted { worklist: WorklistName, step: StepId, to: Target },
    /// A step was entered.
    VisitEntered {
        visit: VisitId,
        /// Entered by `SELF` (or after an answer): the step's first baseline goes on counting.
        #[serde(default, skip_serializing_if = "is_false")]
        again: bool,
        /// Text handed over by the route that led here.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        handoff: Option<Ref>,
        /// A person's answer to what this step asked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        answer: Option<Ref>,
    },
    /// The tree and the writable artifacts before a turn.
    BaselineTaken {
        visit: VisitId,
        #[serde(default, skip_serializing_if = "is_empty_baseline")]
        baseline: Baseline,
    },
    /// A turn (or script) is to be run; nothing of it has started before this is durable.
    TurnOwed {
        turn: TurnId,
        /// The rendered prompt, or a script's rendered command.
        prompt: Ref,
        /// Digest of the request as a cassette knows it; independent of task and interruption.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request: Option<Digest>,
        /// What the process may do, as resolved; JSON. `None`: the same as the turn before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        policy: Option<Ref>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        session: Option<SessionUse>,
        /// How much of what people said the prompt holds.
        #[serde(default, skip_serializing_if = "is_zero")]
        said: u32,
    },
    /// Its process runs.
    TurnStarted { turn: TurnId, process: Process },
    /// The provider named the conversation.
    SessionKnown { turn: TurnId, token: String },
    /// It ended. It never starts again.
    TurnEnded {
        turn: TurnId,
        result: TurnResult,
        /// Digest of the side file with everything it said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        activity: Option<Digest>,
        /// Digest of the harness's own record of the conversation, redacted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        transcript: Option<Digest>,
        /// Where its conversation stood then, as the harness names it: another can begin from there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        checkpoint: Option<String>,
        /// What it spent; absent: not known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        usage: Option<Usage>,
        /// How long it took, in milliseconds.
        #[serde(default, skip_serializing_if = "is_nothing")]
        took_ms: u64,
        /// Processes it left behind, which were killed.
        #[serde(default, skip_serializing_if = "is_zero")]
        leftover: u32,
    },
    /// It was owed by an owner that is gone, and no end was recorded.
    TurnInterrupted {
        turn: TurnId,
        cause: InterruptCause,
        /// The tree as it was found.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tree: Option<SnapshotId>,
        /// What is done about it.
        then: OnInterrupt,
        /// What this start of it spent, where its end was waited for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        usage: Option<Usage>,
        /// How long it took, in milliseconds, where its end was waited for.
        #[serde(default, skip_serializing_if = "is_nothing")]
        took_ms: u64,
    },
    /// A person answered what an agent asked leave for; it has not begun before this is durable.
    PermissionAnswered { turn: TurnId, permission: Box<Permission> },
    /// The tree was put back to a baseline; `kept` holds what was there before.
    TreeRestored { visit: VisitId, to: SnapshotId, kept: SnapshotId },
    /// The tree was not put back, because it differs from what was last recorded.
    RestoreRefused { turn: TurnId, tree: SnapshotId, changed: Vec<String> },
    /// The engine's checks of a producer's work.
    ChecksEnded {
        visit: VisitId,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        checks: Vec<CheckResult>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        findings: Vec<Finding>,
        /// Protected files that the producer changed.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        touched: Vec<String>,
    },
    /// The producer's tree is fixed; the verifier judges this one.
    Sealed {
        visit: VisitId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tree: Option<SnapshotId>,
    },
    /// The answer of the deciding turn is legal and valid.
    OutcomeAccepted {
        visit: VisitId,
        tag: RouteTag,
        /// JSON.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        payload: Option<Ref>,
        /// JSON.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fields: Option<Ref>,
    },
    /// Checks left one legal route, so it is taken without asking.
    OutcomeForced { visit: VisitId, tag: RouteTag },
    /// A turn's answer or work cannot be used; another turn is asked.
    AttemptRejected { turn: TurnId, feedback: Feedback },
    /// What stands on disk was accepted.
    ArtifactsAccepted { visit: VisitId, artifacts: BTreeMap<ArtifactName, Digest> },
    /// A route was taken; the visit is over.
    RouteTaken {
        visit: VisitId,
        tag: RouteTag,
        /// Where it leads, once the worklist has had its say.
        to: Target,
        /// The item this completed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        completed: Option<ItemId>,
        /// Text for the next visit.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        handoff: Option<Ref>,
        /// The item this left behind without completing it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dropped: Option<ItemId>,
        /// The item this opened again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reset: Option<ItemId>,
    },
    /// An item's status stands in its source file.
    StatusWritten {
        worklist: WorklistName,
        item: ItemId,
        status: ItemStatus,
        /// The source file after our own write, so that it does not count as an agent's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stamp: Option<FileStamp>,
        /// How the file had changed since it was read, when it had.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        drift: Option<String>,
    },
    /// The run waits for a person.
    QuestionAsked { question: Question },
    /// The answer that was accepted.
    AnswerAccepted {
        answer: Ref,
        /// The route it picks, where a step asked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tag: Option<RouteTag>,
    },
    /// A person said something to the run; the next turn is told, or the running one.
    PersonSaid { said: Said },
    /// A person went on in a conversation of the run, between turns; the next turn is told.
    PersonAttached { attached: Attached },
    /// All that was said was given to the running turn.
    SaidDelivered { turn: TurnId },
    /// Nothing is asked until a time: a limit of the account, or a pause between attempts.
    RunHeld { hold: Hold },
    /// A limit was met, and the next provider of the chain is asked from now on.
    FellBack { provider: Provider, class: FailureClass, message: String },
    /// That time came.
    HoldEnded,
    /// The run goes on in another folder; the conversations held in the one before are not gone on with.
    WorkspaceMoved { to: String },
    /// The program of its harness is another version than the last one seen.
    HarnessChanged {
        version: String,
        /// Which of those that steps and turns name; `None`: the run's own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        of: Option<String>,
    },
    /// The run stands still; `resume` moves it.
    RunStopped { stop: Stop },
    /// It moves again.
    RunResumed {
        cause: ResumeCause,
        #[serde(default, skip_serializing_if = "is_no_raise")]
        raise: Raise,
    },
    /// The run is over.
    RunFinished { verdict: Verdict },
    /// The run was ended by command.
    RunCancelled,
    /// The children of a visit are known.
    ChildrenPlanned { visit: VisitId, children: Vec<ChildPlan> },
    /// A child is to run, or to go on.
    ChildOwed { visit: VisitId, branch: BranchId, grant: Grant },
    /// A child stands still; what it spent so far is in all.
    ChildRested {
        visit: VisitId,
        branch: BranchId,
        rest: Rest,
        #[serde(default, skip_serializing_if = "super::hold::is_default")]
        spent: Spent,
        #[serde(default, skip_serializing_if = "is_zero")]
        steps: u32,
    },
    /// A child is over.
    ChildEnded { visit: VisitId, branch: BranchId, end: ChildEnd },
    /// A child is not started, because another failed.
    ChildSkipped { visit: VisitId, branch: BranchId },
    /// All children are over: a turn is asked about them, or their ends pick the route.
    ChildrenJoined {
        visit: VisitId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tag: Option<RouteTag>,
    },
    /// All branches are over, each with files of its own: what they changed is to be brought together.
    MergeOwed { visit: VisitId },
    /// What the branches' changes come to is known, and is to be written.
    BranchesMerged { visit: VisitId, merge: Merge },
    /// The files are as the merge has them, but for those that rules ignore.
    MergeApplied {
        visit: VisitId,
        tree: SnapshotId,
        /// What was there before.
        kept: SnapshotId,
    },
    /// Nothing more is written: somebody changed files since the merge was made. It is made again.
    MergeRefused { visit: VisitId, tree: SnapshotId, changed: Vec<String> },
    /// The answer does not count: what it is about is not what was shown. It is asked again.
    AnswerRefused { visit: VisitId, changed: Vec<ArtifactName> },
    /// A step waits for a time or a signal.
    WaitBegun { wait: Wait },
    /// A signal came; it is kept until a step waits for it.
    SignalReceived { signal: Signal },
    /// What a step waited for is there, or the time for it is over.
    WaitEnded {
        visit: VisitId,
        /// The route it picks.
        tag: RouteTag,
        /// The signal that was taken, by its id; `None`: the time came.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signal: Option<String>,
    },
    /// A route put values into the state.
    StateSet { visit: VisitId, changes: Vec<StateChange> },
    /// What the run gives back.
    OutputSet {
        /// JSON.
        value: Ref,
    },
    /// What a worklist was read from differs from what was read.
    SourceDrifted {
        worklist: WorklistName,
        /// Its digest now.
        source: Digest,
        drift: String,
    },
    /// The function that runs asked for something; what answers it has not begun before this is durable.
    CallbackOwed {
        turn: TurnId,
        /// Counts from 0.
        n: u32,
        /// Digest of what it asked.
        key: Digest,
        /// JSON.
        ask: Ref,
        /// The run that answers it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        child: Option<Box<ChildPlan>>,
    },
    /// It was answered; started again, the function is told the same.
    CallbackAnswered {
        turn: TurnId,
        n: u32,
        /// JSON; absent: the end of the run that answered.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        answer: Option<Ref>,
    },
    /// A function or a hook changed a worklist.
    WorklistChanged { worklist: WorklistName, change: WorklistChange },
    /// A hook ended and let the run go on.
    HookEnded { turn: TurnId },
    /// A way out of the visit was picked; hooks are run before it is gone.
    ExitPicked {
        visit: VisitId,
        tag: RouteTag,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        handoff: Option<Ref>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        question: Option<AskedQuestion>,
        /// What it puts into the state when it is gone.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        changes: Vec<StateChange>,
        /// The hook that comes first.
        hook: Role,
    },
    /// A function or a hook led the run on, past the routes of its step.
    Redirected {
        turn: TurnId,
        to: Target,
        /// Text for the next visit.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        handoff: Option<Ref>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
}

impl Event {
    /// Version of the stored shape of events; raised when any of them changes.
    pub const VERSION: u32 = 2;

    /// The `kind` tag.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::RunCreated { .. } => "run_created",
            Self::ItemsRead { .. } => "items_read",
            Self::ItemsRejected { .. } => "items_rejected",
            Self::ItemsExhausted { .. } => "items_exhausted",
            Self::VisitEntered { .. } => "visit_entered",
            Self::BaselineTaken { .. } => "baseline_taken",
            Self::TurnOwed { .. } => "turn_owed",
            Self::TurnStarted { .. } => "turn_started",
            Self::SessionKnown { .. } => "session_known",
            Self::TurnEnded { .. } => "turn_ended",
            Self::TurnInterrupted { .. } => "turn_interrupted",
            Self::PermissionAnswered { .. } => "permission_answered",
            Self::TreeRestored { .. } => "tree_restored",
            Self::RestoreRefused { .. } => "restore_refused",
            Self::ChecksEnded { .. } => "checks_ended",
            Self::Sealed { .. } => "sealed",
            Self::OutcomeAccepted { .. } => "outcome_accepted",
            Self::OutcomeForced { .. } => "outcome_forced",
            Self::AttemptRejected { .. } => "attempt_rejected",
            Self::ArtifactsAccepted { .. } => "artifacts_accepted",
            Self::RouteTaken { .. } => "route_taken",
            Self::StatusWritten { .. } => "status_written",
            Self::QuestionAsked { .. } => "question_asked",
            Self::AnswerAccepted { .. } => "answer_accepted",
            Self::PersonSaid { .. } => "person_said",
            Self::PersonAttached { .. } => "person_attached",
            Self::SaidDelivered { .. } => "said_delivered",
            Self::RunHeld { .. } => "run_held",
            Self::FellBack { .. } => "fell_back",
            Self::HoldEnded => "hold_ended",
            Self::WorkspaceMoved { .. } => "workspace_moved",
            Self::HarnessChanged { .. } => "harness_changed",
            Self::RunStopped { .. } => "run_stopped",
            Self::RunResumed { .. } => "run_resumed",
            Self::RunFinished { .. } => "run_finished",
            Self::RunCancelled => "run_cancelled",
            Self::ChildrenPlanned { .. } => "children_planned",
            Self::ChildOwed { .. } => "child_owed",
            Self::ChildRested { .. } => "child_rested",
            Self::ChildEnded { .. } => "child_ended",
            Self::ChildSkipped { .. } => "child_skipped",
            Self::ChildrenJoined { .. } => "children_joined",
            Self::MergeOwed { .. } => "merge_owed",
            Self::BranchesMerged { .. } => "branches_merged",
            Self::MergeApplied { .. } => "merge_applied",
            Self::MergeRefused { .. } => "merge_refused",
            Self::AnswerRefused { .. } => "answer_refused",
            Self::WaitBegun { .. } => "wait_begun",
            Self::SignalReceived { .. } => "signal_received",
            Self::WaitEnded { .. } => "wait_ended",
            Self::StateSet { .. } => "state_set",
            Self::OutputSet { .. } => "output_set",
            Self::SourceDrifted { .. } => "source_drifted",
            Self::CallbackOwed { .. } => "callback_owed",
            Self::CallbackAnswered { .. } => "callback_answered",
            Self::WorklistChanged { .. } => "worklist_changed",
            Self::HookEnded { .. } => "hook_ended",
            Self::ExitPicked { .. } => "exit_picked",
            Self::Redirected { .. } => "redirected",
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(value: &u32) -> bool {
    *value == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_nothing(value: &u64) -> bool {
    *value == 0
}

fn is_empty_baseline(baseline: &Baseline) -> bool {
    *baseline == Baseline::default()
}

fn is_no_raise(raise: &Raise) -> bool {
    *raise == Raise::default()
}
