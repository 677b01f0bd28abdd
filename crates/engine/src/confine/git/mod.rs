//! Git in a workspace: what makes the host run code (hooks, configuration) is not written by agents.

mod builds;
mod kept;
mod known;
mod look;
mod made;
mod named;
mod odd;
mod paths;
mod plain;
mod settings;
mod since;
mod states;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

pub(super) use self::known::Known;
pub(super) use self::look::look;
use self::settings::Links;
pub(super) use self::since::settings_of;
use super::elsewhere;
use super::paths::shown;
use super::placeholders::{is_as_made, is_there};
use super::scan::{self, Kind, Names};
use super::{Gap, Placeholder, Refusal, Site, within};
use crate::repository;

/// Git's own folders, and what of them is kept.
#[derive(Debug, Clone, Default)]
pub(super) struct Kept {
    /// Folders outside the workspace that commits are written to: a work tree's, a submodule's.
    pub(super) outside: Vec<PathBuf>,
    /// Files and folders that are there.
    pub(super) there: BTreeSet<PathBuf>,
    /// What is not there, and must not come to be.
    pub(super) missing: BTreeSet<Placeholder>,
    /// What is not there, what their settings name, and what others would look for beside.
    pub(super) named: BTreeSet<PathBuf>,
    /// The repositories, by their `.git`.
    repositories: BTreeSet<PathBuf>,
    /// What to compare with once a program has ended.
    pub(super) known: Known,
    pub(super) gaps: Vec<Gap>,
}

impl Kept {
    /// Refuses what nothing can be laid over, before the way to each of many is gone through.
    pub(super) fn check_lengths(&self) -> Result<(), Refusal> {
        let missing = self.missing.iter().map(|it| &it.path);
        let mut all = self.there.iter().chain(missing).chain(&self.named);
        let Some(path) = all.find(|path| path.as_os_str().len() >= LONGEST) else { return Ok(()) };
        Err(Refusal {
            control: "allow_write",
            what: format!(
                "a folder called `.git`, or a repository, lies so deep in `{}` that what git runs cannot be kept there: its \
                 path has {LONGEST} bytes and more",
                shown(path)
            ),
            permit: "remove it, or move it to fewer folders".to_owned(),
        })
    }
}

/// No path of so many bytes is taken in one piece (`PATH_MAX` of limits.h counts the byte at its end).
const LONGEST: usize = 4096;

/// Of a folder of git's own, what says what the host runs.
const STEERING: [&str; 4] = ["config", "config.worktree", "hooks", "info/attributes"];

/// Of the same, what says where git fetches from; older gits made some of these, and leave them empty.
const PLACES: [&str; 2] = ["branches", "remotes"];

/// Of a repository's, what is not git's and has others run something: settings of lazygit, and what says to shells that
/// they may run what lies in `bin`.
const OF_OTHERS: [&str; 2] = ["lazygit.yml", "safe"];

/// Whether it is a folder that is not empty.
fn has_entries(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some())
}

/// Finds every folder of git's own that a program in the workspace could write.
pub(super) fn kept(site: &Site, names: &Names, roots: &[PathBuf]) -> Result<Kept, Refusal> {
    let mut found = known::Found::in_names(&site.workspace, names);
    let of_builds = builds::of(&site.workspace, names, &found);
    found.folders.retain(|folder| !of_builds.contains(folder));
    let mut kept = of_all(&site.workspace, names, roots, &of_builds);
    for root in roots.iter().filter(|it| !it.starts_with(&site.workspace) && it.is_dir()) {
        // What cannot be read there the program can neither read nor write.
        let (names, _) = scan::as_far_as_read(root, &scan::of_git_alone());
        let there = known::Found::in_names(root, &names);
        kept.there.extend(there.links.iter().cloned());
        kept.known.beside.insert(root.clone().into_os_string());
        found.folders.extend(there.folders);
        found.links.extend(there.links);
    }
    for folder in &found.folders {
        if kept.knows(folder) {
            continue;
        }
        if folder.join("objects").exists() || !folder.join("commondir").exists() {
            keep(folder, &mut kept);
        } else {
            keep_of_work_tree(folder, &mut kept, false);
        }
    }
    if !roots.is_empty() || !site.places.is_empty() {
        let trees = kept.note(site, found, roots);
        kept.keep_named(site, &trees, roots)?;
    }
    Ok(kept)
}

fn of_all(
    workspace: &Path,
    names: &Names,
    roots: &[PathBuf],
    of_builds: &BTreeSet<PathBuf>,
) -> Kept {
    let mut kept = Kept::default();
    for (path, kind) in names.named(".git") {
        let path = workspace.join(path);
        kept.repositories.insert(path.clone());
        match kind {
            Kind::Folder if of_builds.contains(&path) => {}
            Kind::Folder => keep(&path, &mut kept),
            // A link or a file leads elsewhere: it must not be bent.
            Kind::Link | Kind::Socket | Kind::Other => {
                kept.there.insert(path.clone());
                if let Some(folder) =
                    repository::leads_to(&path).filter(|it| !it.starts_with(workspace))
                {
                    if within(&folder, roots) {
                        keep(&folder, &mut kept);
                        // What all work trees of that repository share steers this one too.
                        if let Some(common) = repository::shared(&folder) {
                            keep(&common, &mut kept);
                        }
                    } else {
                        elsewhere::found(workspace, &path, &folder, &mut kept);
                    }
                }
            }
        }
    }
    elsewhere::above(workspace, &mut kept);
    for folder in elsewhere::in_roots(workspace, roots) {
        keep(&folder, &mut kept);
    }
    kept
}

pub(super) fn keep(folder: &Path, kept: &mut Kept) {
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
    kept.there
        .extend(PLACES.map(|name| folder.join(name)).into_iter().filter(|it| has_entries(it)));
    let others = OF_OTHERS.map(|name| folder.join(name)).into_iter();
    let (there, missing): (Vec<_>, Vec<_>) =
        others.filter(|_| folder.ends_with(".git")).partition(|path| is_there(path));
    kept.there.extend(there);
    kept.named.extend(missing);
    // With such a file git takes its configuration from elsewhere. This one says: from here.
    let common = folder.join("commondir");
    let ours = is_as_made(Some(OWN), &common);
    if is_there(&common) && !ours {
        kept.there.insert(common);
    } else if folder.join("reftable").is_dir() {
        // Git locks such references twice, and fails, where there is one.
        kept.named.insert(common);
    } else {
        kept.missing.insert(Placeholder { path: common, contents: Some(OWN) });
    }
    let own = own_settings_of_work_trees(folder);
    for path in folders_in(&folder.join("worktrees")) {
        keep_of_work_tree(&path, kept, own);
    }
    let mut next = folders_in(&folder.join("modules"));
    while let Some(path) = next.pop() {
        // Some of it may have been taken away, to be put back when the rest is written.
        let parts = PARTS.iter().filter(|part| is_there(&path.join(part))).count();
        if parts > 0 {
            keep(&path, kept);
        }
        // A module's name may hold slashes.
        if parts < PARTS.len() {
            let inner = folders_in(&path).into_iter();
            next.extend(
                inner.filter(|it| parts == 0 || !OF_A_MODULE.iter().any(|of| it.ends_with(of))),
            );
        }
    }
}

/// What there is in a module of git's.
const PARTS: [&str; 4] = ["HEAD", "config", "objects", "refs"];

/// Folders in one.
const OF_A_MODULE: [&str; 6] = ["objects", "refs", "logs", "hooks", "info", "modules"];

fn folders_in(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    folders.map(|entry| entry.path()).collect()
}

/// Keeps what steers one work tree. `own`: it may have settings of its own.
fn keep_of_work_tree(folder: &Path, kept: &mut Kept, own: bool) {
    let steering = ["config.worktree", "commondir", "gitdir"].map(|name| folder.join(name));
    kept.there.extend(steering.into_iter().filter(|path| is_there(path)));
    let path = folder.join("config.worktree");
    if own && !is_there(&path) {
        kept.missing.insert(Placeholder { path, contents: Some("") });
    }
}

/// A `commondir` that leads nowhere else. One that was left behind is taken for what it is.
const OWN: &str = "./\n";

/// Whether each work tree has settings of its own, in a file that may be missing.
fn own_settings_of_work_trees(folder: &Path) -> bool {
    let name = b"worktreeconfig";
    match settings::bytes_of(&folder.join("config"), Links::Followed) {
        Ok(None) => false,
        Ok(Some(bytes)) => bytes.to_ascii_lowercase().windows(name.len()).any(|it| it == name),
        Err(_) => true,
    }
}
