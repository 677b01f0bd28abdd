//! Who does the turns of a step, where its author says so.

use serde::{Deserialize, Serialize};

/// The agent program of a step's turns, or of one of them: another than the run's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TurnProvider {
    /// Any program: prompt on stdin, answer on stdout.
    Command { program: String, args: Vec<String> },
    /// A harness by its name, set up as it is configured where the run is started.
    Harness {
        name: String,
        /// In the place of the configured one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        model: Option<String>,
    },
}

impl TurnProvider {
    /// The name it goes by in a run: `claude`, `claude:opus`, `command`.
    pub fn name(&self) -> String {
        match self {
            Self::Command { .. } => "command".to_owned(),
            Self::Harness { name, model: None } => name.clone(),
            Self::Harness { name, model: Some(model) } => format!("{name}:{model}"),
        }
    }
}
