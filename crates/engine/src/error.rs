//! What can go wrong while runs are driven, in classes a face can map to exit codes.

use std::path::PathBuf;

use botpipe_kernel::ids::{RunId, SignalName, StepId, TaskId, TurnId, WorkflowName};
use botpipe_kernel::run::Refusal;

use crate::prompt::InputProblem;

/// Something failed, or was asked for and cannot be.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Journal(#[from] botpipe_journal::Error),
    #[error(transparent)]
    Workspace(#[from] crate::workspace::Error),
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    #[error("task `{task}` has no run of workflow `{workflow}` in {}", workspace.display())]
    NoRun { workflow: WorkflowName, task: TaskId, workspace: PathBuf },
    #[error("task `{task}` has no run `{run}` of workflow `{workflow}`")]
    NoSuchRun { workflow: WorkflowName, task: TaskId, run: RunId },
    #[error("the run has no turn `{turn}`; it has {}", turns_text(.known))]
    NoTurn { turn: TurnId, known: Vec<TurnId> },
    #[error("{message}")]
    Attach { message: String },
    #[error("{message}")]
    NoConversation { message: String },
    #[error("no object's digest begins with `{prefix}`")]
    NoObject { prefix: String },
    #[error("`{prefix}` names no object: {why}")]
    ObjectName { prefix: String, why: String },
    #[error(
        "run `{run}` is part of run `{root}` and is moved with it: task `{task}`, workflow `{workflow}`"
    )]
    BelowAnother { run: RunId, root: RunId, task: TaskId, workflow: WorkflowName },
    #[error("{}", refusal_text(.refusal))]
    Refused { refusal: Refusal },
    #[error("the workflow does not check; see its diagnostics")]
    Unchecked,
    #[error("the run's input cannot be used: {}", list(.problems))]
    Input { problems: Vec<InputProblem> },
    #[error("the answer cannot be accepted: {why}; the run still waits")]
    Answer { why: String },
    #[error(
        "no agent: workflow `{workflow}` names no provider, and neither does a `botpipe.yaml`; pass \
         `--provider codex`, `--provider claude` or `--provider command -- PROGRAM ARGS…`"
    )]
    NoProvider { workflow: WorkflowName },
    #[error(
        "provider `command` has no program; say `--provider command -- PROGRAM ARGS…`, or set \
         `provider.command` in your own `botpipe.yaml`"
    )]
    NoCommand,
    #[error("`{}` is there already, and is left as it is; choose another name", path.display())]
    Taken { path: PathBuf },
    #[error("{message}")]
    Host { message: String },
    #[error("{message}")]
    Policy { message: String },
    #[error(
        "a budget of `{key}` cannot be kept: `{provider}` does not report it; bound {instead}, which it \
         does"
    )]
    Budget { key: &'static str, provider: &'static str, instead: &'static str },
    #[error(
        "step `{step}` asks for provider `{name}`, which the run was not started with; start the workflow \
         itself, so that it is looked for"
    )]
    NotNamed { step: StepId, name: String },
    #[error(
        "the provider's settings hold {secret}, and they are recorded with the run; leave it out, and let \
         the agent read it from its environment: `--pass-env NAME`"
    )]
    Secret { secret: String },
    #[error("provider `{name}`: {message}")]
    Harness { name: &'static str, message: String },
    #[error("cassette {origin}: {message}")]
    Cassette { origin: String, message: String },
    #[error(
        "run `{run}` of task `{task}` was not recorded; `botpipe run {workflow} … --record FILE` records one"
    )]
    NotRecorded { run: RunId, task: TaskId, workflow: WorkflowName },
    #[error("run `{run}` refers to {what}, which is missing or damaged: {message}")]
    Record { run: RunId, what: String, message: String },
    /// The owner of a run could not go on, and could not even record that.
    #[error("{source}")]
    CutOff { run: RunId, task: TaskId, workflow: WorkflowName, source: Box<Error> },
    #[error(
        "no step of workflow `{workflow}` waits for a signal `{name}`{}",
        waited_for(.names)
    )]
    NoSignal { workflow: WorkflowName, name: SignalName, names: Vec<String> },
    #[error("internal error: {message}; please report it with the run's `logs --events`")]
    Internal { message: String },
}

/// What kind of error it is: decides a command's exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The run or workflow does not exist.
    NotFound,
    /// The request itself is wrong.
    Usage,
    /// Somebody else owns the run, the task or the tree.
    Busy,
    /// What is stored is damaged.
    Damaged,
    /// What is stored was written by a newer version.
    Newer,
    DiskFull,
    NotWritable,
    /// The run's state does not allow it.
    Refused,
    Internal,
}

impl Error {
    /// The error's kind.
    pub fn kind(&self) -> ErrorKind {
        use botpipe_journal::Error as Journal;
        match self {
            Self::Journal(error) => match error {
                Journal::Busy { .. } | Journal::Unfinished { .. } | Journal::LeaseLost { .. } => {
                    ErrorKind::Busy
                }
                Journal::Damaged { .. } | Journal::Gone { .. } => ErrorKind::Damaged,
                Journal::NewerFormat { .. } | Journal::NewerEvent { .. } => ErrorKind::Newer,
                Journal::DiskFull { .. } => ErrorKind::DiskFull,
                Journal::NotWritable { .. } => ErrorKind::NotWritable,
                Journal::NoSuchRun { .. } => ErrorKind::NotFound,
                _ => ErrorKind::Internal,
            },
            Self::Workspace(error) => error.kind(),
            Self::NoRun { .. }
            | Self::NoSuchRun { .. }
            | Self::NoTurn { .. }
            | Self::NoConversation { .. }
            | Self::NotRecorded { .. }
            | Self::NoObject { .. } => ErrorKind::NotFound,
            Self::Refused { .. } | Self::Answer { .. } | Self::Attach { .. } => ErrorKind::Refused,
            Self::Config(_)
            | Self::BelowAnother { .. }
            | Self::Unchecked
            | Self::Input { .. }
            | Self::NoProvider { .. }
            | Self::NoCommand
            | Self::ObjectName { .. }
            | Self::Taken { .. }
            | Self::Harness { .. }
            | Self::Policy { .. }
            | Self::Host { .. }
            | Self::Secret { .. }
            | Self::Budget { .. }
            | Self::NotNamed { .. }
            | Self::NoSignal { .. }
            | Self::Cassette { .. } => ErrorKind::Usage,
            Self::Record { .. } => ErrorKind::Damaged,
            Self::CutOff { source, .. } => source.kind(),
            Self::Internal { .. } => ErrorKind::Internal,
        }
    }
}

fn waited_for(names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!("; it waits for {}", quoted(names)) }
}

fn list(problems: &[InputProblem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn turns_text(turns: &[TurnId]) -> String {
    match turns {
        [] => "none yet".to_owned(),
        turns => turns.iter().map(|turn| format!("`{turn}`")).collect::<Vec<_>>().join(", "),
    }
}

fn refusal_text(refusal: &Refusal) -> String {
    match refusal {
        Refusal::AlreadyStarted => "the run was started before".to_owned(),
        Refusal::Ended => "the run is over".to_owned(),
        Refusal::NotWaiting => "the run asks nothing; there is nothing to answer".to_owned(),
        Refusal::WaitsForAnswer => "the run waits for an answer, which `resume` is not".to_owned(),
        Refusal::NotAChoice { choices } => {
            format!("the answer must be one of {}; the run still waits", quoted(choices))
        }
        Refusal::LimitNotRaised { stop } => {
            format!("the run stands at a limit ({stop}); raise it to go on")
        }
        Refusal::UnknownStep { step } => format!("the workflow has no step `{step}`"),
    }
}

fn quoted(words: &[String]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}
