//! The parameters of methods, as they are read.

use std::collections::BTreeMap;
use std::path::PathBuf;

use botpipe_engine::request::RunRef;
use botpipe_kernel::ids::{RunId, SignalName, StepId, TaskId, WorkflowName};
use botpipe_kernel::plan::Budget;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::wire::Fault;

/// A workflow by its reference, or as a document.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    /// The text of a workflow file; or the same as JSON.
    #[serde(rename = "document")]
    pub(super) text: Value,
    /// What it is called in diagnostics.
    #[serde(default)]
    pub(super) name: Option<String>,
    /// Files beside it, by their path.
    #[serde(default)]
    pub(super) files: Option<BTreeMap<String, String>>,
    /// The folder where files beside it are.
    #[serde(default)]
    pub(super) folder: Option<PathBuf>,
}

pub(super) enum Source {
    Reference(String),
    Document(Document),
}

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match Value::deserialize(from)? {
            Value::String(reference) => Ok(Self::Reference(reference)),
            value => Document::deserialize(value).map(Self::Document).map_err(D::Error::custom),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OfWorkflow {
    pub(super) workflow: Source,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Start {
    pub(super) workflow: Source,
    #[serde(default)]
    pub(super) task: Option<TaskId>,
    #[serde(default)]
    pub(super) message: Option<String>,
    #[serde(default)]
    pub(super) input: Option<Value>,
    #[serde(default)]
    pub(super) params: BTreeMap<String, Value>,
    #[serde(default)]
    pub(super) provider: Option<Provider>,
    #[serde(default)]
    pub(super) pass_env: Vec<String>,
    #[serde(default)]
    pub(super) max_steps: Option<u32>,
    #[serde(default)]
    pub(super) full_auto: bool,
    #[serde(default)]
    pub(super) budget: Option<Spend>,
    /// A file for the recording.
    #[serde(default)]
    pub(super) record: Option<PathBuf>,
    /// Tell every event and line as it comes.
    #[serde(default)]
    pub(super) watch: bool,
}

/// The agent of a run.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Provider {
    pub(super) name: String,
    #[serde(default)]
    pub(super) model: Option<String>,
    #[serde(default)]
    pub(super) effort: Option<String>,
    #[serde(default)]
    pub(super) base_url: Option<String>,
    #[serde(default)]
    pub(super) program: Option<PathBuf>,
    /// Of `command`: the program and its arguments. Of a harness: further arguments.
    #[serde(default)]
    pub(super) args: Option<Vec<String>>,
    /// Of `replay`: the file.
    #[serde(default)]
    pub(super) cassette: Option<PathBuf>,
    #[serde(default)]
    pub(super) loose: bool,
}

/// Which run, and how it is watched.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    pub(super) workflow: WorkflowName,
    pub(super) task: TaskId,
    #[serde(default)]
    pub(super) run: Option<RunId>,
    #[serde(default)]
    pub(super) watch: bool,
    #[serde(default, deserialize_with = "given")]
    pub(super) answer: Option<Value>,
    #[serde(default)]
    pub(super) signal: Option<SignalName>,
    #[serde(default)]
    pub(super) id: Option<String>,
    #[serde(default)]
    pub(super) payload: Option<Value>,
    #[serde(default)]
    pub(super) max_steps: Option<u32>,
    #[serde(default)]
    pub(super) budget: Option<Spend>,
    #[serde(default)]
    pub(super) max_visits: BTreeMap<StepId, u32>,
    #[serde(default)]
    pub(super) step_budgets: BTreeMap<StepId, Spend>,
    #[serde(default)]
    pub(super) after: u64,
}

/// What a run may spend.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Spend {
    #[serde(default)]
    pub(super) usd: Option<f64>,
    #[serde(default)]
    pub(super) tokens: Option<u64>,
    #[serde(default)]
    pub(super) turns: Option<u32>,
    #[serde(default)]
    pub(super) wall_ms: Option<u64>,
}

impl Spend {
    pub(super) fn budget(&self) -> Result<Budget, Fault> {
        let cost = match self.usd {
            None => None,
            Some(usd) if usd.is_finite() && (0.0..=1e9).contains(&usd) =>
            {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "it was looked at"
                )]
                Some((usd * 1e6).round() as u64)
            }
            Some(usd) => return Err(Fault::params(format!("`usd` cannot be {usd}"))),
        };
        let Self { tokens, turns, wall_ms, .. } = *self;
        Ok(Budget { cost, tokens, turns, wall_ms })
    }
}

pub(super) fn budget(spend: Option<&Spend>) -> Result<Budget, Fault> {
    spend.map_or_else(|| Ok(Budget::default()), Spend::budget)
}

/// A value that was given, also when it is null.
pub(super) fn given<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(from).map(Some)
}

impl Which {
    pub(super) fn run(&self) -> RunRef {
        let Self { workflow, task, run, .. } = self;
        RunRef { workflow: workflow.clone(), task: task.clone(), run: run.clone() }
    }

    /// What belongs to another method is refused.
    pub(super) fn only(self, method: &str, takes: &[&str]) -> Result<Self, Fault> {
        let given = [
            ("answer", self.answer.is_some()),
            ("signal", self.signal.is_some()),
            ("id", self.id.is_some()),
            ("payload", self.payload.is_some()),
            ("max_steps", self.max_steps.is_some()),
            ("budget", self.budget.is_some()),
            ("max_visits", !self.max_visits.is_empty()),
            ("step_budgets", !self.step_budgets.is_empty()),
            ("after", self.after > 0),
            ("watch", self.watch),
        ];
        match given.iter().find(|(key, given)| *given && !takes.contains(key)) {
            Some((key, _)) => Err(Fault::params(format!("`{method}` takes no `{key}`"))),
            None => Ok(self),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct List {
    #[serde(default)]
    pub(super) workflow: Option<WorkflowName>,
    #[serde(default)]
    pub(super) task: Option<TaskId>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stop {
    pub(super) run: RunId,
}
