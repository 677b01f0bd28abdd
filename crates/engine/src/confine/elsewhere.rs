//! Folders of git's own that lie outside the workspace: of a work tree's repository, of a submodule, of the repository
//! that the workspace is a folder of. Commits need them.
//!
//! What a file says of where git has its folder may have been written by a program. So a folder outside is opened only
//! where it names the workspace back by files of its own, which no program of the workspace could write, and where what
//! is opened follows from its own place alone.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::git::Kept;
use super::{Gap, paths::lexical};

/// Where a `.git` file or link leads.
pub(super) fn leads_to(file: &Path) -> Option<PathBuf> {
    let status = fs::symlink_metadata(file).ok()?;
    if status.is_symlink() {
        return file.canonicalize().ok();
    }
    let text = read(file)?;
    let to = text.strip_prefix("gitdir:")?.trim();
    lexical(&file.parent()?.join(to)).canonicalize().ok()
}

/// The folder that a work tree's own folder shares with the others of its repository: git puts it at
/// `COMMON/worktrees/NAME`, and its `commondir` says no other.
pub(super) fn common_of(folder: &Path) -> Option<PathBuf> {
    let worktrees = folder.parent().filter(|it| it.ends_with("worktrees"))?;
    let common = worktrees.parent()?;
    let says = read(&folder.join("commondir"))?;
    let says = folder.join(says.trim()).canonicalize().ok()?;
    (says == common).then_some(says)
}

/// A folder of git's own that a `.git` file leads to: opened for the workspace's own, whose name no program replaces.
pub(super) fn found(workspace: &Path, file: &Path, folder: &Path, kept: &mut Kept) {
    let own = file.parent() == Some(workspace);
    let of_work_tree = common_of(folder).filter(|_| {
        let back = read(&folder.join("gitdir"));
        back.is_some_and(|back| Path::new(back.trim()) == file)
    });
    let of_module = || {
        let tree = work_tree_of(folder)?;
        (Some(tree.as_path()) == file.parent()).then(|| folder.to_owned())
    };
    match of_work_tree.or_else(of_module) {
        Some(open) if own => {
            super::git::keep(&open, kept);
            kept.outside.push(open);
        }
        _ => kept.gaps.push(Gap {
            control: "allow_write",
            what: format!(
                "`{}` leads to `{}`, outside the workspace: commits need that in `allow_write`",
                file.display(),
                folder.display()
            ),
        }),
    }
}

/// Where a submodule's folder says that its files are.
fn work_tree_of(folder: &Path) -> Option<PathBuf> {
    let config = read(&folder.join("config"))?;
    let said = config.lines().find_map(|line| {
        let (key, value) = line.split_once('=')?;
        key.trim().eq_ignore_ascii_case("worktree").then(|| value.trim())
    })?;
    folder.join(said).canonicalize().ok()
}

/// The repository that the workspace is a folder of: the caller's own, and not one of a whole home.
pub(super) fn above(workspace: &Path, kept: &mut Kept) {
    if fs::symlink_metadata(workspace.join(".git")).is_ok() {
        return;
    }
    let Some(top) = workspace.ancestors().skip(1).find(|top| top.join(".git").exists()) else {
        return;
    };
    let git = top.join(".git");
    let own = |path: &Path| {
        fs::symlink_metadata(path).is_ok_and(|it| it.is_dir() && it.uid() == caller())
    };
    let home = std::env::var_os("HOME").and_then(|home| PathBuf::from(home).canonicalize().ok());
    let of_home = home.is_some_and(|home| home.starts_with(top));
    if own(top) && own(&git) && is_git(&git) && !of_home {
        super::git::keep(&git, kept);
        kept.outside.push(git);
    }
}

/// Folders of git's own in what a policy opens outside the workspace.
pub(super) fn in_roots(workspace: &Path, roots: &[PathBuf]) -> Vec<PathBuf> {
    let outside = roots.iter().filter(|root| !root.starts_with(workspace));
    let own = outside.flat_map(|root| [root.clone(), root.join(".git")]);
    // Of the repository that such a root is a part of, too.
    let above = workspace.ancestors().skip(1).map(|top| top.join(".git"));
    let above = above.filter(|git| super::within(git, roots));
    let mut found: Vec<PathBuf> = own.chain(above).filter(|git| is_git(git)).collect();
    found.sort();
    found.dedup();
    found
}

/// Whether git takes a folder for its own.
fn is_git(folder: &Path) -> bool {
    folder.join("HEAD").symlink_metadata().is_ok()
        && ["objects", "refs"].iter().all(|name| folder.join(name).is_dir())
}

fn caller() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// A short text file.
fn read(path: &Path) -> Option<String> {
    let status = fs::metadata(path).ok()?;
    let short = status.is_file() && status.len() <= MOST_BYTES;
    short.then(|| fs::read_to_string(path).ok()).flatten()
}

/// More than any such file holds.
const MOST_BYTES: u64 = 1 << 20;
