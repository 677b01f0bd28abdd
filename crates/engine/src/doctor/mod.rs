//! What stands between a person and a run: what is installed, what is configured, and what is ready.
//!
//! Nothing is written and no model is asked. Of a login it is seen whether its file or variable is
//! there, never what it holds.

mod login;
mod machine;
mod provider;
mod sandbox;

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::config::Settings;

pub use provider::{Installed, ProviderState};

/// How something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Ok,
    /// Runs go; something may surprise.
    Warning,
    /// Runs do not go.
    Problem,
}

/// One thing that was looked at.
///
/// # Shape
/// `{"name":"git","state":"warning","says":"…","next":"…"}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub name: &'static str,
    pub state: State,
    /// How it stands, in words.
    pub says: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl Finding {
    fn ok(name: &'static str, says: impl Into<String>) -> Self {
        Self { name, state: State::Ok, says: says.into(), next: None }
    }

    fn warning(name: &'static str, says: impl Into<String>, next: impl Into<String>) -> Self {
        Self { name, state: State::Warning, says: says.into(), next: Some(next.into()) }
    }

    fn problem(name: &'static str, says: impl Into<String>, next: impl Into<String>) -> Self {
        Self { state: State::Problem, ..Self::warning(name, says, next) }
    }
}

/// All that was looked at.
///
/// # Shape
/// `{"ready":true,"providers":[…],"machine":[…]}`
#[derive(Debug, Clone, Serialize)]
pub struct Checkup {
    /// Whether what is configured is ready, and the machine too.
    pub ready: bool,
    pub providers: Vec<ProviderState>,
    pub machine: Vec<Finding>,
}

/// Looks at everything; each program is given its own deadline, all at once.
pub fn check(settings: &Settings, workspace: &Path, stage1: Option<&PathBuf>) -> Checkup {
    let providers = provider::states(settings, workspace, stage1);
    let machine = machine::findings(workspace, stage1);
    let of_machine = machine.iter().all(|it| it.state != State::Problem);
    let configured = providers.iter().filter(|it| it.configured.is_some());
    let ready = of_machine && configured.into_iter().all(|it| it.ready);
    Checkup { ready, providers, machine }
}
