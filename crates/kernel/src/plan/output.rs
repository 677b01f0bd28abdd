//! What a run that reaches FINISH gives back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::{ArtifactName, Digest};

/// A run's result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Output {
    pub from: OutputSource,
    /// JSON Schema of the whole, by digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Digest>,
}

/// Where a result comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputSource {
    /// An object: the expression of each of its keys, by digest.
    Values(BTreeMap<String, Digest>),
    /// The content of a JSON artifact.
    Artifact(ArtifactName),
}
