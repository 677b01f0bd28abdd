//! What of a workspace no agent writes whatever a policy allows: what steers Botpipe, and what steers
//! agents and editors that people start there themselves.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::Placeholder;

/// Folders; where one is missing, an empty one stands in for it while a program runs.
const FOLDERS: [&str; 9] = [
    ".claude",
    ".codex",
    ".gemini",
    ".cursor",
    ".agents",
    ".vscode",
    ".idea",
    "workflows",
    ".mcp.json",
];

/// Files; those that are missing cannot be kept from being made, and are looked for afterwards.
const FILES: [&str; 8] = [
    "botpipe.yaml",
    "botpipe.yml",
    ".mcp.json",
    ".gitmodules",
    ".envrc",
    ".bashrc",
    ".zshrc",
    ".profile",
];

/// What is there, and what has to stand in for what is not.
pub(super) fn of(workspace: &Path) -> (BTreeSet<PathBuf>, BTreeSet<Placeholder>) {
    let mut there = BTreeSet::new();
    let mut missing = BTreeSet::new();
    for name in FOLDERS {
        let path = workspace.join(name);
        if path.symlink_metadata().is_ok() {
            there.insert(path);
        } else {
            missing.insert(Placeholder { path, contents: None });
        }
    }
    let files = FILES.iter().map(|name| workspace.join(name));
    there.extend(files.filter(|path| path.symlink_metadata().is_ok()));
    (there, missing)
}
