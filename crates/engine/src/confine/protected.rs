//! What of a workspace no agent writes whatever a policy allows: what steers Botpipe, and what steers
//! agents, editors and shells that people start there themselves.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const NAMES: [&str; 17] = [
    "botpipe.yaml",
    "botpipe.yml",
    "workflows",
    ".botpipe",
    ".claude",
    ".codex",
    ".gemini",
    ".cursor",
    ".agents",
    ".mcp.json",
    ".vscode",
    ".idea",
    ".envrc",
    ".bashrc",
    ".bash_profile",
    ".zshrc",
    ".profile",
];

/// Their names at the top of a workspace.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    NAMES.into_iter()
}

/// What is there, and what is not and must not come to be.
pub(super) fn of(workspace: &Path) -> (BTreeSet<PathBuf>, BTreeSet<PathBuf>) {
    let names = NAMES.iter().map(|name| workspace.join(name));
    names.partition(|path| path.symlink_metadata().is_ok())
}
