//! What another process asks of the one that owns a run.

use serde::{Deserialize, Serialize};

/// A request to the owner of a run.
///
/// # Shape
/// Stored as JSON: `"cancel"`, `{"say":{"id":"…","text":"…"}}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// End the run.
    Cancel,
    /// Tell this to the agent; what is said outlives the owner it was said to.
    Say { id: String, text: String },
}

/// A request and its number, by which it is taken off the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub n: i64,
    pub request: Request,
}
