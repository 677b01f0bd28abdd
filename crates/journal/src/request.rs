//! What another process asks of the one that owns a run.

use serde::{Deserialize, Serialize};

/// A request to the owner of a run.
///
/// # Shape
/// Stored as JSON, `"cancel"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// End the run.
    Cancel,
}
