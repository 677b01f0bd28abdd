//! Behaviour of the engine.
#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

mod catalog;
mod process;
mod prompt;
mod prompt_answer;
mod prompt_input;
mod workspace;
mod workspace_redact;
mod workspace_restore;
mod workspace_snapshots;
