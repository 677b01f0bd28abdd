//! The workflow as a whole: its data, its worklists, its steps.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Budget, Output, Policy, StateScope, Step, Worklist};
use crate::ids::{ArtifactName, Digest, Role, StepId, WorkflowName, WorklistName};

/// A workflow checked and lowered.
///
/// Long texts (prompts, schemas, handoffs) are held by digest; whoever compiled the plan keeps them
/// beside it. The plan's own digest is that of its canonical JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Version of this shape. See [`Plan::FORMAT`].
    pub format: u32,
    pub name: WorkflowName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    pub entry: StepId,
    pub input: Input,
    /// JSON Schema (an object) of the parameters, with defaults, by digest.
    pub params: Digest,
    pub artifacts: BTreeMap<ArtifactName, Artifact>,
    pub worklists: BTreeMap<WorklistName, Worklist>,
    /// In file order: the default route leads to the next one.
    pub steps: Vec<Step>,
    pub limits: Limits,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<Provider>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
    #[serde(default, skip_serializing_if = "Budget::is_none")]
    pub budget: Budget,
    /// JSON Schema (an object) of what is kept for the run, by digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<Digest>,
    /// What a run that reaches FINISH gives back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Output>,
}

impl Plan {
    /// The version of the plan's shape that this crate reads and writes.
    pub const FORMAT: u32 = 1;

    /// The step of that name.
    pub fn step(&self, id: &StepId) -> Option<&Step> {
        self.steps.iter().find(|step| &step.id == id)
    }

    /// What a role of a step may do: its turn's policy over the step's, over the workflow's.
    pub fn policy_of(&self, step: &Step, role: Role) -> Policy {
        let turn = step.turn(role).and_then(|turn| turn.policy.as_deref());
        let layers = [turn, step.policy.as_deref(), self.policy.as_ref()].into_iter().flatten();
        layers.cloned().reduce(|inner, outer| inner.over(&outer)).unwrap_or_default()
    }

    /// The steps that write an artifact, in file order.
    pub fn writers<'a>(&'a self, artifact: &'a ArtifactName) -> impl Iterator<Item = &'a Step> {
        self.steps.iter().filter(move |step| step.writes().any(|name| name == artifact))
    }

    /// JSON Schema of a scope of the state, as a step sees it.
    pub fn state_schema(&self, scope: StateScope, step: Option<&Step>) -> Option<Digest> {
        match scope {
            StateScope::Run => self.state.clone(),
            StateScope::Step => step?.state.clone(),
            StateScope::Item => step?.item_state.clone(),
        }
    }

    /// Whether any step's outcome is a judgement: a verifier's, or one gated by checks.
    pub fn judges(&self) -> bool {
        self.steps.iter().any(Step::judges)
    }
}

/// What a run is started with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// JSON Schema (an object) by digest.
    pub schema: Digest,
    /// The one required string field, which the run's message fills when no input is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_field: Option<String>,
}

/// A declared file contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Artifact {
    pub format: Format,
    /// Template of the path, relative to the workflow's folder, or to the owner step's folder.
    pub path: String,
    /// The step that declared it in place; `None` for a workflow's artifact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<StepId>,
    /// JSON Schema of the content by digest; JSON artifacts only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Digest>,
    /// Must exist on every route of the step that writes it, unless the route says otherwise.
    #[serde(default)]
    pub required: bool,
}

/// What an artifact's bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    Json,
    Md,
    Text,
    Raw,
}

impl Format {
    /// The key an author writes.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Md => "md",
            Self::Text => "text",
            Self::Raw => "raw",
        }
    }
}

/// Bounds of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Visits of all steps together.
    pub max_steps: u32,
}

impl Limits {
    /// Visits of a run when the author sets no bound.
    pub const DEFAULT_MAX_STEPS: u32 = 1000;
}

/// The agent program a workflow names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Provider {
    /// Any program: prompt on stdin, answer on stdout.
    Command { program: String, args: Vec<String> },
    /// A cassette; the path is as authored, relative to the workflow's file.
    Replay { cassette: String, loose: bool },
}
