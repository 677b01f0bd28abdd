//! What a run waits for from outside, and what comes from there.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::facts::{Finding, FindingState, Ref};
use crate::ids::{ArtifactName, Digest, SignalName, VisitId};

/// Something sent to a run by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signal {
    /// Given by whoever sends it: the same sent twice counts once.
    pub id: String,
    pub name: SignalName,
    /// JSON; nothing when nothing came with it.
    #[serde(default, skip_serializing_if = "Ref::is_nothing")]
    pub payload: Ref,
}

/// What a step waits for; at least one of the two.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wait {
    pub visit: VisitId,
    /// Milliseconds since the epoch when the time has come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<SignalName>,
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.signal {
            Some(name) => write!(f, "step `{}` waits for signal `{name}`", self.visit.step),
            None => write!(f, "step `{}` waits for its time", self.visit.step),
        }
    }
}

/// An artifact as it was when a person was asked about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shown {
    pub artifact: ArtifactName,
    /// Relative to the workspace.
    pub path: String,
    pub digest: Digest,
}

impl Shown {
    /// What was found, as it is shown; `None` where there is nothing valid.
    pub(super) fn of(finding: &Finding) -> Option<Self> {
        let (FindingState::Good { digest } | FindingState::Stale { digest }) = &finding.state
        else {
            return None;
        };
        let (artifact, path) = (finding.artifact.clone(), finding.path.clone());
        Some(Self { artifact, path, digest: digest.clone() })
    }
}
