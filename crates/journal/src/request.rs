//! What another process asks of the one that owns a run.

use botpipe_kernel::ids::SignalName;
use serde::{Deserialize, Serialize};

/// A request to the owner of a run.
///
/// # Shape
/// Stored as JSON: `"cancel"`, `{"say":{"id":"…","text":"…"}}`,
/// `{"signal":{"id":"…","name":"…","payload":"…"}}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// End the run.
    Cancel,
    /// Tell this to the agent; what is said outlives the owner it was said to.
    Say { id: String, text: String },
    /// Give this to the step that waits for it; the payload is JSON, or nothing.
    Signal { id: String, name: SignalName, payload: String },
}

/// A request and its number, by which it is taken off the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub n: i64,
    pub request: Request,
}
