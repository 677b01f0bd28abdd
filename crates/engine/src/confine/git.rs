//! Git in a workspace: what makes the host run code (hooks, configuration) is not written by agents.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::paths::lexical;
use super::placeholders::{is_as_made, is_there};
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
    /// What is not there, and what their settings name.
    pub(super) named: BTreeSet<PathBuf>,
    /// The repositories, by their `.git`.
    pub(super) repositories: BTreeSet<PathBuf>,
    pub(super) gaps: Vec<Gap>,
}

/// Of a folder of git's own, what says what the host runs.
const STEERING: [&str; 4] = ["config", "config.worktree", "hooks", "info/attributes"];

/// Finds every folder of git's own that a program in the workspace could write.
pub(super) fn kept(workspace: &Path, names: &Names, roots: &[PathBuf]) -> Kept {
    let mut kept = of_all(workspace, names, roots);
    let configs: Vec<PathBuf> =
        kept.there.iter().filter(|path| path.ends_with("config")).cloned().collect();
    for config in configs {
        let base = config.ancestors().find(|above| above.ends_with(".git"));
        let base = base.and_then(Path::parent).unwrap_or(workspace);
        for path in named_by(&config, base) {
            if is_there(&path) {
                kept.there.insert(path);
            } else {
                kept.named.insert(path);
            }
        }
    }
    kept
}

fn of_all(workspace: &Path, names: &Names, roots: &[PathBuf]) -> Kept {
    let mut kept = Kept::default();
    for (path, kind) in names.named(".git") {
        let path = workspace.join(path);
        kept.repositories.insert(path.clone());
        match kind {
            Kind::Folder => keep(&path, &mut kept),
            // A link or a file leads elsewhere: it must not be bent.
            Kind::Link | Kind::Other => {
                kept.there.insert(path.clone());
                if let Some(folder) = leads_to(&path).filter(|it| !it.starts_with(workspace)) {
                    if super::within(&folder, roots) {
                        keep(&folder, &mut kept);
                        // What all work trees of that repository share steers this one too.
                        if let Some(common) = common_of(&folder) {
                            keep(&common, &mut kept);
                        }
                    } else {
                        outside(&path, &folder, &mut kept);
                    }
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

/// The folder that a work tree's own folder shares with the others of its repository.
fn common_of(folder: &Path) -> Option<PathBuf> {
    let common = fs::read_to_string(folder.join("commondir")).ok()?;
    folder.join(common.trim()).canonicalize().ok()
}

/// A folder of git's own outside the workspace is written only if it names the workspace as its own.
fn outside(file: &Path, folder: &Path, kept: &mut Kept) {
    let back = fs::read_to_string(folder.join("gitdir")).ok();
    let ours = back.is_some_and(|back| Path::new(back.trim()) == file);
    match common_of(folder).filter(|_| ours) {
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
        if is_there(&path) {
            kept.there.insert(path);
        } else if name == "hooks" {
            kept.missing.insert(empty(path));
        } else if name == "config.worktree" && own_settings_of_work_trees(folder) {
            kept.missing.insert(Placeholder { path, contents: Some("") });
        }
    }
    // With such a file git takes its configuration from elsewhere. This one says: from here.
    let common = folder.join("commondir");
    let ours = is_as_made(Some(OWN), &common);
    if is_there(&common) && !ours {
        kept.there.insert(common);
    } else {
        kept.missing.insert(Placeholder { path: common, contents: Some(OWN) });
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
                    let own = path.join("config.worktree");
                    if own_settings_of_work_trees(folder) && !is_there(&own) {
                        kept.missing.insert(Placeholder { path: own, contents: Some("") });
                    }
                }
            }
        }
    }
}

/// A `commondir` that leads nowhere else. One that was left behind is taken for what it is.
const OWN: &str = ".\n";

/// Files and folders that the configuration of a repository names: what it includes, and its hooks.
fn named_by(config: &Path, base: &Path) -> Vec<PathBuf> {
    let text = fs::read_to_string(config).unwrap_or_default();
    let (mut section, mut named) = (String::new(), Vec::new());
    for line in text.lines().map(str::trim) {
        if let Some(head) = line.strip_prefix('[') {
            section = head.to_lowercase();
        }
        let setting = line.rsplit(']').next().unwrap_or(line);
        let Some((key, value)) = setting.split_once('=') else { continue };
        let (key, value) = (key.trim().to_lowercase(), value.trim().trim_matches('"'));
        // An include is found from its file, hooks from the work tree.
        let from = match key.as_str() {
            "path" if section.starts_with("include") => config.parent(),
            "hookspath" | "attributesfile" | "excludesfile" if section.starts_with("core") => {
                Some(base)
            }
            _ => None,
        };
        named.extend(from.filter(|_| !value.is_empty()).map(|from| lexical(&from.join(value))));
    }
    named
}

/// Whether a `.git` makes git run programs: hooks, or settings that name programs.
pub(super) fn steers(path: &Path) -> bool {
    if !path.is_dir() {
        // It leads to another repository, whose settings hold in this folder.
        return leads_to(path).is_some_and(|to| steers(&to));
    }
    let hooks = fs::read_dir(path.join("hooks")).into_iter().flatten().flatten();
    let hooks = hooks.filter(|hook| !hook.file_name().to_string_lossy().ends_with(".sample"));
    let settings = ["config", "config.worktree"].map(|name| path.join(name));
    hooks.count() > 0
        || path.join("commondir").exists()
        || settings.iter().any(|file| {
            let text = fs::read_to_string(file).unwrap_or_default().to_lowercase();
            STEERING_SETTINGS.iter().any(|word| text.contains(word))
        })
}

/// Settings of git whose values are programs, or name files that hold such settings.
///
/// # Source
/// git-config(1) of git 2.47.
const STEERING_SETTINGS: [&str; 20] = [
    "fsmonitor",
    "hookspath",
    "sshcommand",
    "gitproxy",
    "askpass",
    "editor",
    "pager",
    "include",
    "[alias",
    "[filter",
    "[diff",
    "[merge",
    "[difftool",
    "[mergetool",
    "helper",
    "uploadpack",
    "receivepack",
    "program",
    "command",
    "update =",
];

/// The lists of rebases that stand in these repositories.
pub(super) fn lists_of_rebases(repositories: &BTreeSet<PathBuf>) -> Vec<PathBuf> {
    let names = ["rebase-merge/git-rebase-todo", "rebase-merge/git-rebase-todo.backup"];
    let all = repositories.iter().flat_map(|git| names.iter().map(move |name| git.join(name)));
    all.filter(|path| path.is_file()).collect()
}

/// Whether a list of a rebase has git run programs.
pub(super) fn runs_programs(todo: &Path) -> bool {
    let text = fs::read_to_string(todo).unwrap_or_default();
    text.lines().any(|line| {
        let word = line.split_whitespace().next().unwrap_or_default();
        matches!(word, "exec" | "x")
    })
}

/// Whether each work tree has settings of its own, in a file that may be missing.
fn own_settings_of_work_trees(folder: &Path) -> bool {
    let config = fs::read_to_string(folder.join("config")).unwrap_or_default();
    config.to_lowercase().contains("worktreeconfig")
}
