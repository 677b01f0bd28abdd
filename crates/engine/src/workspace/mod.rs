//! The workspace on disk: where things live, artifacts, worklists, snapshots of the tree, redaction.

pub mod artifacts;
mod error;
pub(crate) mod files;
pub mod layout;
pub mod redact;
pub mod selection;
pub mod snapshots;
pub mod worklists;

pub use error::Error;
