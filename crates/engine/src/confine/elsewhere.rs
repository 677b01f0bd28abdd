//! Folders of git's own that lie outside the workspace: of a work tree's repository, of a submodule, of the repository
//! that the workspace is a folder of. Commits need them.
//!
//! What a file says of where git has its folder may have been written by a program. So a folder outside is opened only
//! where it names the workspace back by files of its own, which no program of the workspace could write, and where what
//! is opened follows from its own place alone.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::Gap;
use super::git::Kept;
use crate::repository::{self, is_git};

/// A folder of git's own that a `.git` file leads to: opened for the workspace's own, whose name no program replaces.
pub(super) fn found(workspace: &Path, file: &Path, folder: &Path, kept: &mut Kept) {
    let own = file.parent() == Some(workspace);
    match repository::named_back(file, folder) {
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

/// The repository that the workspace is a folder of: the caller's own, and not one of a whole home.
pub(super) fn above(workspace: &Path, kept: &mut Kept) {
    if fs::symlink_metadata(workspace.join(".git")).is_ok() {
        return;
    }
    let Some(top) = workspace.ancestors().skip(1).find(|top| top.join(".git").exists()) else {
        return;
    };
    let git = top.join(".git");
    let owner = owner_of(workspace);
    let own =
        |path: &Path| fs::symlink_metadata(path).is_ok_and(|it| it.is_dir() && it.uid() == owner);
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

/// Whoever programs of the workspace run as.
fn owner_of(workspace: &Path) -> u32 {
    let account = crate::account::of(workspace).map(|account| account.user);
    account.unwrap_or_else(|| rustix::process::geteuid().as_raw())
}
