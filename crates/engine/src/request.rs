//! What a face asks of the engine, and what it gets back.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use botpipe_journal::Owner;
use botpipe_kernel::ids::{BranchId, Role, RunId, SignalName, TaskId, TurnId, WorkflowName};
use botpipe_kernel::plan::{Budget, OnLimit, Plan, PolicyLayer};
use botpipe_kernel::run::{Event, Lifecycle, Provider, Raise, Run, Wanted};
use botpipe_lang::WorstCase;
use serde_json::Value;

use crate::harness::Chosen;
use crate::process::StopSwitch;

/// A run to be started.
#[derive(Debug, Clone, Default)]
pub struct StartRequest {
    /// The task; one is made up from the message when none is given.
    pub task: Option<TaskId>,
    pub message: Option<String>,
    /// The whole input as JSON (`--input`).
    pub input: Option<Value>,
    /// Single input fields (`-i name value`).
    pub input_fields: Vec<(String, String)>,
    /// Parameters (`-wf name value`).
    pub params: Vec<(String, String)>,
    /// The agent program; without one, the workflow's own.
    pub provider: Option<ProviderChoice>,
    /// The harnesses that steps and turns name, by that name: `claude`, `claude:opus`.
    pub providers: BTreeMap<String, Chosen>,
    /// Harnesses that are asked one after the other when a limit is met.
    pub fallbacks: Vec<Chosen>,
    /// Environment variables that processes may see beside the built-in ones.
    pub pass_env: Vec<String>,
    pub max_steps: Option<u32>,
    /// What is done at a limit of the account; `None`: as the steps say.
    pub on_limit: Option<OnLimit>,
    /// What the run may spend; what it leaves open is as the workflow says.
    pub budget: Budget,
    /// Nobody is there to be asked: what takes a person is offered to no agent.
    pub full_auto: bool,
    /// What files outside of the workflow say of its policies.
    pub policies: Vec<PolicyLayer>,
    /// Files and folders that say what the run does: none of its programs writes them.
    pub sources: Vec<PathBuf>,
    /// Where the run is recorded, as a cassette.
    pub record: Option<PathBuf>,
}

/// The agent program as a person chose it.
#[derive(Debug, Clone)]
pub enum ProviderChoice {
    /// Any program: prompt on stdin, answer on stdout.
    Command { program: String, args: Vec<String> },
    /// A harness that Botpipe speaks to in its own protocol.
    Harness(Chosen),
    /// The text of a cassette, and where it came from.
    Replay { cassette: String, origin: String, loose: bool },
}

/// What a run would be.
#[derive(Debug, Clone)]
pub struct Preview {
    pub plan: Plan,
    pub input: Value,
    pub params: Value,
    pub provider: Option<Provider>,
    /// The harnesses that steps and turns name, by that name.
    pub providers: BTreeMap<String, Provider>,
    pub fallbacks: Vec<Provider>,
    /// What would bind the turns of each step, in file order.
    pub bound: Vec<Bound>,
    pub budget: Budget,
    /// The most turns of agents.
    pub worst: Option<WorstCase>,
    /// What is worth a warning.
    pub notes: Vec<String>,
    /// Why processes of it would not be started: the run would not begin.
    pub refused: Vec<String>,
}

/// What would bind the turns of a step: JSON in the words of the seed.
#[derive(Debug, Clone)]
pub struct Bound {
    /// The policy of its first turn.
    pub policy: Value,
    /// The turns that another one binds.
    pub others: Vec<(Role, Value)>,
}

/// Which run is meant: the newest of a workflow and task, or a named one.
#[derive(Debug, Clone)]
pub struct RunRef {
    pub workflow: WorkflowName,
    pub task: TaskId,
    pub run: Option<RunId>,
}

/// A run that was asked to go on.
#[derive(Debug, Clone, Default)]
pub struct ResumeRequest {
    pub raise: Raise,
}

/// Where a run stood when the engine let go of it.
#[derive(Debug, Clone)]
pub struct RunEnd {
    pub run: RunId,
    pub task: TaskId,
    pub workflow: WorkflowName,
    pub state: Run,
    /// What it gave back.
    pub output: Option<Value>,
    /// The workflow's folder, relative to the workspace.
    pub folder: PathBuf,
}

impl RunEnd {
    /// The lifecycle in which it was left.
    pub fn lifecycle(&self) -> &Lifecycle {
        &self.state.lifecycle
    }

    /// Which run it is, to ask more of it.
    pub fn which(&self) -> RunRef {
        let (workflow, task) = (self.workflow.clone(), self.task.clone());
        RunRef { workflow, task, run: Some(self.run.clone()) }
    }
}

/// A run as a list shows it.
#[derive(Debug, Clone)]
pub struct RunSummary {
    pub run: RunId,
    pub task: TaskId,
    pub workflow: WorkflowName,
    /// Milliseconds since the epoch.
    pub created_at: u64,
    pub updated_at: u64,
    pub events: u64,
    pub state: RunStatus,
    /// Step, item and detail, in a few words.
    pub detail: String,
    /// When the time comes that it waits for, in milliseconds since the epoch.
    pub until: Option<u64>,
    /// Who holds it, or held it last without letting go.
    pub owner: Option<Owner>,
    /// Whether that process lives, as far as it can be told.
    pub owned: bool,
    /// Milliseconds since the epoch by which its last owner had died, if it is dead; 0 when that is not
    /// known.
    pub gone_by: u64,
}

/// A run's lifecycle as a word, owner included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunStatus {
    Running,
    /// Recorded as running, but its owner is dead.
    OwnerLost,
    Waiting,
    Stopped,
    Accepted,
    Rejected,
    /// Finished, and no step judged.
    Finished,
    Cancelled,
}

impl RunStatus {
    /// The word shown and printed as JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::OwnerLost => "running (owner lost)",
            Self::Waiting => "waiting",
            Self::Stopped => "stopped",
            Self::Accepted => "finished (accepted)",
            Self::Rejected => "finished (rejected)",
            Self::Finished => "finished",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What `cancel` did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelResult {
    /// The run had no living owner; it is cancelled.
    Cancelled,
    /// Its owner was told and has cancelled it.
    ByOwner,
    /// Its owner was told and has not answered yet.
    Requested,
}

/// What became of something that was said to a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SayResult {
    /// The running turn was given it.
    Delivered { turn: TurnId },
    /// It is recorded, and the next turn is told.
    ForNextTurn,
    /// It is on the owner's list, and the owner has not answered yet.
    Requested,
}

/// A signal to be sent.
#[derive(Debug, Clone)]
pub struct SignalRequest {
    pub name: SignalName,
    pub payload: Option<Value>,
    /// What tells it from others: the same sent twice counts once. Without one it is always new.
    pub id: Option<String>,
}

/// What became of a signal.
#[derive(Debug, Clone)]
pub enum SignalResult {
    /// A step waited for it; where the run stands now.
    MovedOn(Box<RunEnd>),
    /// It is recorded and kept until a step waits for it.
    Kept,
    /// The same, by the process that moves the run.
    ByOwner,
    /// One of that id came before, and this one changes nothing.
    Before,
    /// It is on the run's list, and is heard when the run is next taken up.
    Requested,
}

/// Something that happened while a run moves, for a person who watches.
#[derive(Debug)]
pub enum Notice<'a> {
    /// An event has happened and is about to be recorded; `run` is the state after it.
    Happened { event: &'a Event, run: &'a Run },
    /// This process owns the run and is about to move it: what was asked is recorded, not refused. The
    /// folder is the run's own.
    Owned { run: &'a RunId, task: &'a TaskId, workflow: &'a WorkflowName, folder: &'a Path },
    /// All events up to this one are on the disk.
    Durable { seq: u64 },
    /// A line that an agent, script or check printed; redacted.
    Activity { turn: Option<&'a TurnId>, line: &'a str },
    /// Something worth saying that is no event.
    Note { text: &'a str },
    /// Something of a run below this one.
    Child { branch: &'a BranchId, notice: &'a Notice<'a> },
}

/// Who watches a run.
pub trait Progress: Sync {
    /// Called on the threads that move a run and its children; must not block for long.
    fn notice(&self, notice: &Notice<'_>);

    /// Asks a person who sits in front of it, and gives back what was typed; `None`: nobody does.
    ///
    /// Called on the thread of the turn that waits for it, whose clocks stand still meanwhile. Must come back
    /// soon once the switch is thrown.
    fn ask_leave(&self, asks: &AsksLeave<'_>, stop: &StopSwitch) -> Option<String> {
        let _ = (asks, stop);
        None
    }
}

/// An agent asks leave for something.
#[derive(Debug)]
pub struct AsksLeave<'a> {
    /// The way to its turn, from the run that is watched.
    pub turn: &'a str,
    pub wanted: &'a Wanted,
    /// The answer before was none of those there are.
    pub again: bool,
}

/// Nobody watches.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Progress for Silent {
    fn notice(&self, _: &Notice<'_>) {}
}
