//! The pinned ACP agent as the tests drive it: `codex-acp`, on the pinned Codex CLI.

use std::path::{Path, PathBuf};

use crate::codex;

/// The words that start the agent, if `npm ci` has installed it, with Codex's binary for its
/// `CODEX_PATH`.
pub fn command() -> Option<(Vec<String>, PathBuf)> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("acp/node_modules/@agentclientprotocol/codex-acp/dist/index.js");
    let codex = codex::binary()?;
    let words = vec!["node".to_owned(), script.display().to_string()];
    script.is_file().then_some((words, codex))
}
