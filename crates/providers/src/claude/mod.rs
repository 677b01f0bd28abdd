//! Claude Code over `stream-json` with its control channel: JSON lines on its standard streams.
//!
//! # Source
//! Claude Code 2.1.330, measured; the recordings that the tests read are made from it by a test.

mod command;
mod failure;
mod permission;
mod protocol;
mod wire;

pub use command::{command_line, resume_line};
pub use protocol::Protocol;

/// The oldest version known to work: it was driven through `ralph_loop` by hand.
pub const FLOOR: [u64; 3] = [2, 1, 197];
/// The newest version that the tests drive.
pub const TESTED: [u64; 3] = [2, 1, 330];
/// The name of its program.
pub const PROGRAM: &str = "claude";
/// Where its models are.
pub const SERVICE: &str = "https://api.anthropic.com";
/// Variables that hold its login.
pub const LOGIN_VARIABLES: [&str; 3] =
    ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"];
