//! Git in a workspace: what makes the host run code (hooks, configuration) is not written by agents, and
//! what history still tells is no secret.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use globset::GlobSet;

use super::paths::lexical;
use super::scan::{Kind, Names};
use super::{Gap, Placeholder};

/// Git's own folders, and what of them is kept.
#[derive(Debug, Clone, Default)]
pub(super) struct Kept {
    /// Folders outside the workspace that commits are written to: a work tree's, a submodule's.
    pub(super) outside: Vec<PathBuf>,
    /// Files and folders that are there.
    pub(super) there: BTreeSet<PathBuf>,
    /// What is not there, and must not come to be.
    pub(super) missing: BTreeSet<Placeholder>,
    pub(super) gaps: Vec<Gap>,
}

/// Of a folder of git's own, what says what the host runs.
const STEERING: [&str; 4] = ["config", "config.worktree", "hooks", "info/attributes"];

/// Finds every folder of git's own that a program in the workspace could write.
pub(super) fn kept(workspace: &Path, names: &Names) -> Kept {
    let mut kept = Kept::default();
    for (path, kind) in names.named(".git") {
        let path = workspace.join(path);
        match kind {
            Kind::Folder => keep(&path, &mut kept),
            // A link or a file leads elsewhere: it must not be bent.
            Kind::Link | Kind::Other => {
                kept.there.insert(path.clone());
                if let Some(folder) = leads_to(&path).filter(|it| !it.starts_with(workspace)) {
                    outside(&path, &folder, &mut kept);
                }
            }
        }
    }
    kept
}

/// Where a `.git` file leads.
fn leads_to(file: &Path) -> Option<PathBuf> {
    let text = fs::read_to_string(file).ok()?;
    let to = text.strip_prefix("gitdir:")?.trim();
    lexical(&file.parent()?.join(to)).canonicalize().ok()
}

/// A folder of git's own outside the workspace is written only if it names the workspace as its own.
fn outside(file: &Path, folder: &Path, kept: &mut Kept) {
    let back = fs::read_to_string(folder.join("gitdir")).ok();
    let ours = back.is_some_and(|back| Path::new(back.trim()) == file);
    let common = fs::read_to_string(folder.join("commondir")).ok();
    let common = common.and_then(|common| folder.join(common.trim()).canonicalize().ok());
    match common.filter(|_| ours) {
        Some(common) => {
            keep(&common, kept);
            kept.outside.push(common);
        }
        None => kept.gaps.push(Gap {
            control: "allow_write",
            what: format!(
                "`{}` leads to `{}`, outside the workspace: commits need that in `allow_write`",
                file.display(),
                folder.display()
            ),
        }),
    }
}

fn keep(folder: &Path, kept: &mut Kept) {
    let empty = |path: PathBuf| Placeholder { path, contents: None };
    for name in STEERING {
        let path = folder.join(name);
        if fs::symlink_metadata(&path).is_ok() {
            kept.there.insert(path);
        } else if name == "hooks" {
            kept.missing.insert(empty(path));
        } else if name == "config.worktree" && own_settings_of_work_trees(folder) {
            kept.missing.insert(Placeholder { path, contents: Some("") });
        }
    }
    // With such a file git takes its configuration from elsewhere. This one says: from here.
    let common = folder.join("commondir");
    if fs::symlink_metadata(&common).is_ok() {
        kept.there.insert(common);
    } else {
        kept.missing.insert(Placeholder { path: common, contents: Some(".\n") });
    }
    for below in ["modules", "worktrees"] {
        let mut next = vec![folder.join(below)];
        while let Some(path) = next.pop() {
            for entry in fs::read_dir(&path).into_iter().flatten().flatten() {
                let path = entry.path();
                if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    continue;
                }
                if !path.join("HEAD").is_file() {
                    next.push(path); // a module's name may hold slashes
                } else if below == "modules" {
                    keep(&path, kept);
                } else {
                    let steering = ["config.worktree", "commondir", "gitdir"];
                    let there = steering.map(|name| path.join(name));
                    kept.there.extend(there.into_iter().filter(|path| path.exists()));
                }
            }
        }
    }
}

/// Whether each work tree has settings of its own, in a file that may be missing.
fn own_settings_of_work_trees(folder: &Path) -> bool {
    let config = fs::read_to_string(folder.join("config")).unwrap_or_default();
    config.to_lowercase().contains("worktreeconfig")
}

/// The first file that patterns deny and that git still tells: in its index, or in a commit that some
/// reference leads to.
pub(super) fn still_tells(workspace: &Path, patterns: &GlobSet) -> Option<(PathBuf, Where)> {
    if !workspace.join(".git").exists() {
        return None;
    }
    let index = listed(workspace, &["ls-files", "-z", "--cached"]);
    if let Some(found) = index.into_iter().find(|path| patterns.is_match(path)) {
        return Some((found, Where::Index));
    }
    let history = ["log", "--all", "--reflog", "--no-renames", "--name-only", "-z", "--format="];
    let told = listed(workspace, &history);
    told.into_iter().find(|path| patterns.is_match(path)).map(|path| (path, Where::History))
}

/// Where git still tells a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Where {
    Index,
    History,
}

/// What git lists, with nothing of the repository's own being run.
fn listed(workspace: &Path, args: &[&str]) -> Vec<PathBuf> {
    use std::os::unix::ffi::OsStrExt as _;
    let output = Command::new("git")
        .args(["-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "--no-pager"])
        .args(args)
        .current_dir(workspace)
        .env("GIT_OPTIONAL_LOCKS", "0")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    let bytes = output.map(|output| output.stdout).unwrap_or_default();
    let names = bytes.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    names
        .map(|name| name.strip_prefix(b"\n").unwrap_or(name))
        .map(|name| PathBuf::from(std::ffi::OsStr::from_bytes(name)))
        .collect()
}
