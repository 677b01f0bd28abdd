//! Worklists: where their items come from, and which of them a run works on.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{ArtifactName, Digest};

/// An ordered set of items, read when first touched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Worklist {
    pub from: ItemSource,
    /// Key of the array in an artifact or in what a script prints.
    pub collection: String,
    /// Keys of an item's id, title and status.
    pub id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Which items; `None`: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub select: Option<Selection>,
    /// How long a script may run; milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

impl Worklist {
    /// The artifact its items are read from, and their status written to.
    pub fn artifact(&self) -> Option<&ArtifactName> {
        match &self.from {
            ItemSource::Artifact(name) => Some(name),
            ItemSource::Param(_) | ItemSource::State(_) | ItemSource::Script(_) => None,
        }
    }
}

/// Where items come from.
///
/// # Shape
/// As text: `work`, `params.modules`, `state.found`, `run:<digest of the command's template>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum ItemSource {
    /// A JSON artifact.
    Artifact(ArtifactName),
    /// A parameter.
    Param(String),
    /// A key of the run's state.
    State(String),
    /// What a command prints: its template, by digest.
    Script(Digest),
}

impl fmt::Display for ItemSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Artifact(name) => f.write_str(name.as_str()),
            Self::Param(key) => write!(f, "params.{key}"),
            Self::State(key) => write!(f, "state.{key}"),
            Self::Script(command) => write!(f, "run:{}", command.as_str()),
        }
    }
}

impl From<ItemSource> for String {
    fn from(source: ItemSource) -> Self {
        source.to_string()
    }
}

impl TryFrom<String> for ItemSource {
    type Error = crate::ids::IdError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        if let Some(key) = text.strip_prefix("params.") {
            return Ok(Self::Param(key.to_owned()));
        }
        if let Some(key) = text.strip_prefix("state.") {
            return Ok(Self::State(key.to_owned()));
        }
        match text.strip_prefix("run:") {
            Some(command) => command.parse().map(Self::Script),
            None => text.parse().map(Self::Artifact),
        }
    }
}

/// Which items of a list a run works on: templates, by digest; what renders to nothing is not said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Selection {
    /// `all`, `single`, `up_to` or `from_to`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Digest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<Digest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Digest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Digest>,
}
