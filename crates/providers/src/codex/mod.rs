//! The Codex CLI: through its app server, newline-delimited JSON-RPC on its standard streams, or else
//! through `codex exec --json`.
//!
//! # Source
//! Codex CLI 0.169.0, measured; the fields read here are held against the schema that an installed
//! Codex generates (`codex app-server generate-json-schema`) by a test.

mod branch;
mod command;
mod exec;
mod failure;
mod home;
mod items;
mod leave;
mod protocol;

pub use branch::branch;
pub use command::{SERVICE, command_line, resume_line};
pub use exec::Exec;
pub use home::{HomeError, Keyed, config_of, endpoints_of, keyed_of};
pub use protocol::Protocol;

use crate::harness::SandboxMode;

/// The oldest version whose app server is known to work.
pub const FLOOR: [u64; 3] = [0, 160, 0];
/// The newest version that the tests drive.
pub const TESTED: [u64; 3] = [0, 169, 0];
/// The name of its program.
pub const PROGRAM: &str = "codex";
/// Variables that hold its login; the agent's commands never see them.
pub const LOGIN_VARIABLES: [&str; 2] = ["CODEX_API_KEY", "OPENAI_API_KEY"];

/// Codex's own word for a sandbox mode.
pub fn sandbox_word(mode: SandboxMode) -> &'static str {
    match mode {
        SandboxMode::ReadOnly => "read-only",
        SandboxMode::WorkspaceWrite => "workspace-write",
        SandboxMode::DangerFullAccess => "danger-full-access",
    }
}
