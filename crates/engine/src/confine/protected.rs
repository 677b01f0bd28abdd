//! What of a workspace no agent writes whatever a policy allows: what steers Botpipe, and what steers
//! agents, editors and shells that people start there themselves.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::{home as homes, record};

/// What people run of their own accord, such as the builds of a project and their settings, is not among them: it is
/// their work, and does what its sources do.
const NAMES: [&str; 114] = [
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
    ".opencode.json",
    "opencode.json",
    "opencode.jsonc",
    ".mcp.json",
    ".aider.conf.yml",
    ".amazonq",
    ".amp",
    ".augment",
    ".clinerules/hooks",
    ".codebuddy",
    "codebuff.json",
    ".continue",
    ".crush.json",
    "crush.json",
    ".factory",
    ".github/hooks",
    ".grok",
    ".iflow",
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
    ".sl/sharedpath",
    ".lazygit.yml",
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

/// What else nobody writes in a workspace that is somebody's home: a project may have folders of these names.
const OF_A_HOME: [&str; 8] = [
    ".cargo/bin",
    ".cargo/env",
    ".config/direnv",
    ".config/gdb",
    ".gdbearlyinit",
    ".gdbinit",
    ".lldbinit",
    ".local/state/botpipe",
];

/// Those of [`OF_A_HOME`] and more, relative to a home.
#[cfg(test)]
fn names_of_home() -> impl Iterator<Item = &'static str> {
    OF_A_HOME.into_iter().chain(["bin"])
}

/// Settings of shells; those that Debian gives everybody put `bin` of the home first in the `PATH`.
const SHELLS: [&str; 6] =
    [".profile", ".bash_profile", ".bash_login", ".bashrc", ".zprofile", ".zshrc"];

/// What of a home is there, and what is not and must not come to be: with what would prove who somebody is.
pub(super) fn of_home(home: &Path) -> (BTreeSet<PathBuf>, BTreeSet<PathBuf>) {
    // In a repository it is a project's.
    let is_project = home.join(".git").exists();
    let has_shell =
        || !is_project && SHELLS.iter().any(|name| home.join(name).symlink_metadata().is_ok());
    let bin = has_shell().then_some("bin");
    let all = OF_A_HOME.into_iter().chain(bin).map(|name| home.join(name));
    // Botpipe makes more there, and keeps it itself.
    let own = record::folder_of_person();
    let all = all.filter(|path| !own.as_ref().is_some_and(|own| own.starts_with(path)));
    let (there, mut missing): (BTreeSet<_>, BTreeSet<_>) =
        all.partition(|path| path.symlink_metadata().is_ok());
    missing.extend(homes::all_secrets(home).filter(|path| path.symlink_metadata().is_err()));
    (there, missing)
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
        let all = names().chain(names_of_home());
        let unknown: Vec<_> = all.filter(|name| !manual.contains(&format!("`{name}`"))).collect();
        assert!(unknown.is_empty(), "docs/policy.md does not name {unknown:?}");
    }

    /// `.ssh/authorized_keys` lets others in, and what lies in `bin` runs before what the system has.
    #[test]
    fn of_a_home_more_is_kept_and_no_key_comes_to_be() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at(".cargo/bin")).unwrap();
        fs::create_dir(at("bin")).unwrap();
        fs::create_dir(at(".aws")).unwrap();
        let (there, missing) = of_home(folder.path());
        assert_eq!(there, BTreeSet::from([at(".cargo/bin")]));
        for name in [".ssh", ".netrc", ".config/gh", ".cargo/env", ".gdbinit", ".config/direnv"] {
            assert!(missing.contains(&at(name)), "{name}");
        }
        assert!(!missing.contains(&at(".aws")));
        fs::write(at(".profile"), "").unwrap();
        assert!(of_home(folder.path()).0.contains(&at("bin")));
        let (there, missing) = of(folder.path());
        assert!(!there.contains(&at("bin")) && !missing.contains(&at(".ssh")));
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
