//! Steps that run nothing: they wait for a person, a time or a signal.

use serde::{Deserialize, Serialize};

use crate::ids::{ArtifactName, Digest, SignalName};

/// What an `ask` step asks a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    /// Template of the question, by digest.
    pub question: Digest,
    /// The only answers accepted, when not empty. One that is a route's tag takes that route.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
    /// JSON Schema of the answer, by digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Digest>,
    /// What the answer is about; also among the step's `requires`. An answer counts only for these as
    /// they were when it was asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shows: Vec<ArtifactName>,
    /// Milliseconds after which the route `timed_out` is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

/// What a `wait` step waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitFor {
    /// So many milliseconds.
    Span { ms: u64 },
    /// A moment: the template of one, by digest.
    Moment { at: Digest },
    /// A signal from outside.
    Signal {
        name: SignalName,
        /// Milliseconds after which the route `timed_out` is taken.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timeout_ms: Option<u64>,
    },
}
