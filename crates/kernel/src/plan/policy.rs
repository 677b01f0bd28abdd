//! What an agent's turns may do, as an author asks for it.

use serde::{Deserialize, Serialize};

/// A policy of a workflow, a step or a turn. What is `None` is left to the layer outside it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox_mode: Option<SandboxMode>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkMode>,
    /// Paths outside the workspace that may be written as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_write: Option<Vec<String>>,
}

impl Policy {
    /// This policy with what it leaves open taken from the one outside it.
    #[must_use]
    pub fn over(self, outer: &Self) -> Self {
        Self {
            sandbox_mode: self.sandbox_mode.or(outer.sandbox_mode),
            network: self.network.or(outer.network),
            allow_write: self.allow_write.or_else(|| outer.allow_write.clone()),
        }
    }
}

/// How far an agent's commands are confined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SandboxMode {
    /// Nothing may be written.
    ReadOnly,
    /// The workspace, temporary folders and `allow_write` may be written.
    WorkspaceWrite,
    /// As whoever started the run.
    DangerFullAccess,
}

impl SandboxMode {
    /// The word in a file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReadOnly => "read_only",
            Self::WorkspaceWrite => "workspace_write",
            Self::DangerFullAccess => "danger_full_access",
        }
    }
}

/// What an agent's commands may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NetworkMode {
    Full,
    None,
}

impl NetworkMode {
    /// The word in a file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::None => "none",
        }
    }
}
