//! What of a workspace no agent writes whatever a policy allows: what steers Botpipe, and what steers
//! agents, editors and shells that people start there themselves.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What people run of their own accord, such as the builds of a project and their settings, is not among them: it is
/// their work, and does what its sources do.
const NAMES: [&str; 107] = [
    "botpipe.yaml",
    "botpipe.yml",
    WORKFLOWS,
    ".botpipe",
    // Agents: not what only instructs them (`AGENTS.md`), but what starts servers and commands.
    ".claude",
    ".claude.json",
    ".codex",
    ".gemini",
    ".cursor",
    ".agents",
    ".opencode",
    "opencode.json",
    "opencode.jsonc",
    ".mcp.json",
    ".aider.conf.yml",
    ".amazonq",
    ".amp",
    ".augment",
    ".continue",
    ".crush.json",
    "crush.json",
    ".factory",
    ".github/hooks",
    ".grok",
    ".junie",
    ".kilocode",
    ".kiro",
    ".openhands",
    ".pi",
    ".qwen",
    ".roo",
    ".rovodev",
    ".trae",
    ".windsurf",
    // Editors.
    ".vscode",
    ".idea",
    ".zed",
    ".fleet",
    ".nova",
    ".helix",
    ".devcontainer",
    ".devcontainer.json",
    ".dir-locals.el",
    ".dir-locals-2.el",
    ".exrc",
    ".vimrc",
    ".lvimrc",
    ".vim",
    ".nvim",
    ".nvimrc",
    ".nvim.lua",
    // Shells, and what sets them up in a folder.
    ".envrc",
    ".autoenv",
    ".autoenv.zsh",
    "mise.toml",
    ".mise.toml",
    "mise.local.toml",
    ".mise.local.toml",
    ".mise",
    "mise/config.toml",
    "mise/config.local.toml",
    "mise/conf.d",
    ".config/mise.toml",
    ".config/mise.local.toml",
    ".bashrc",
    ".bash_profile",
    ".bash_login",
    ".bash_logout",
    ".bash_aliases",
    ".zshrc",
    ".zshenv",
    ".zprofile",
    ".zlogin",
    ".zlogout",
    ".profile",
    ".config/fish",
    // Other version control, whose settings run programs at any command, such as that of a prompt. Git's own are
    // found where they are.
    ".hg/hgrc",
    ".hg/hgrc-not-shared",
    ".hg/sharedpath",
    ".jj/repo/config.toml",
    ".sl/config",
    // Of a home, where that is the workspace.
    ".gitconfig",
    ".hgrc",
    ".xprofile",
    ".emacs",
    ".emacs.d",
    ".config/emacs",
    ".config/nvim",
    ".config/zsh",
    ".cshrc",
    ".tcshrc",
    ".login",
    ".kshrc",
    ".inputrc",
    ".tmux.conf",
    ".config/tmux",
    ".pam_environment",
    ".xsession",
    ".xsessionrc",
    ".xinitrc",
    ".local/bin",
    ".config/git",
    ".config/mise",
    ".config/environment.d",
    ".config/systemd",
    ".config/autostart",
    ".config/botpipe",
];

/// Many projects have a folder of this name for something else: it is kept where a workflow lies in it.
const WORKFLOWS: &str = "workflows";

/// Their names at the top of a workspace.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    NAMES.into_iter()
}

/// What is there, and what is not and must not come to be.
pub(super) fn of(workspace: &Path) -> (BTreeSet<PathBuf>, BTreeSet<PathBuf>) {
    let there = there(workspace, NAMES.iter().map(|name| workspace.join(name)));
    let paths = NAMES.iter().map(|name| workspace.join(name));
    paths.partition(|path| there.contains(path) && !is_ordinary(path))
}

/// Those of these paths that are there. Most lie directly in a folder, whose names are soon read if they are not many.
pub(super) fn there(folder: &Path, paths: impl Iterator<Item = PathBuf>) -> BTreeSet<PathBuf> {
    let names: Option<BTreeSet<std::ffi::OsString>> = fs::read_dir(folder).ok().and_then(|all| {
        // A file system may find a name by other letters.
        let name = |entry: fs::DirEntry| entry.file_name().to_ascii_lowercase();
        let names = all.take(FEW + 1).map(|entry| entry.map(name));
        names.collect::<Result<_, _>>().ok().filter(|names: &BTreeSet<_>| names.len() <= FEW)
    });
    let is_there = |path: &PathBuf| match (&names, path.strip_prefix(folder)) {
        (Some(names), Ok(inside))
            if !names.contains(&inside.iter().next().unwrap_or_default().to_ascii_lowercase()) =>
        {
            false
        }
        _ => path.symlink_metadata().is_ok(),
    };
    paths.filter(is_there).collect()
}

/// Names of a folder that are read rather than asked for one by one.
const FEW: usize = 500;

/// What of a path that must not come to be has come to be: of a folder that was somebody else's, the workflows.
pub(super) fn come_to_be(path: &Path) -> Vec<PathBuf> {
    if path.ends_with(WORKFLOWS) && !path.is_symlink() && path.is_dir() {
        return workflows(path);
    }
    vec![path.to_owned()]
}

/// A folder that only has the name of one of ours.
fn is_ordinary(path: &Path) -> bool {
    let ours = path.ends_with(WORKFLOWS);
    ours && !path.is_symlink() && path.is_dir() && workflows(path).is_empty()
}

/// The workflows of a folder, as `botpipe run` finds them there, and links that may lead to some.
fn workflows(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let all = entries.filter_map(|path| {
        let name = path.file_name()?.to_string_lossy().into_owned();
        let inner = path.join("sop.yaml");
        if name.ends_with(".sop.yaml") || (path.is_symlink() && inner.symlink_metadata().is_ok()) {
            return Some(path);
        }
        inner.symlink_metadata().is_ok().then_some(inner)
    });
    let mut all: Vec<PathBuf> = all.collect();
    all.sort();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manual_names_every_one() {
        let manual = include_str!("../../../../docs/policy.md");
        let unknown: Vec<_> =
            names().filter(|name| !manual.contains(&format!("`{name}`"))).collect();
        assert!(unknown.is_empty(), "docs/policy.md does not name {unknown:?}");
    }

    #[test]
    fn a_folder_is_kept_where_a_workflow_lies_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let ours = folder.path().join(WORKFLOWS);
        let kept = || of(folder.path()).0.contains(&ours);
        assert!(!kept());
        fs::create_dir_all(ours.join("deploy")).unwrap();
        fs::write(ours.join("deploy/pipeline.yaml"), "").unwrap();
        assert!(!kept());
        assert!(come_to_be(&ours).is_empty());
        fs::write(ours.join("deploy/sop.yaml"), "").unwrap();
        assert!(kept());
        assert_eq!(come_to_be(&ours), [ours.join("deploy/sop.yaml")]);
        fs::rename(ours.join("deploy/sop.yaml"), ours.join("deploy.sop.yaml")).unwrap();
        assert!(kept());
        fs::remove_dir_all(&ours).unwrap();
        std::os::unix::fs::symlink("elsewhere", &ours).unwrap();
        assert!(kept());
        assert_eq!(come_to_be(&ours), std::slice::from_ref(&ours));
    }
}
