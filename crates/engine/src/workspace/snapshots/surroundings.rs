//! Finds the user's own repository around the workspace; reads it, never opens it for writing.

use std::fs;
use std::path::{Path, PathBuf};

/// What of the user's repository matters to snapshots.
#[derive(Debug, Default)]
pub(super) struct Surroundings {
    /// The working tree's top folder, at or above the workspace.
    pub(super) top: Option<PathBuf>,
    /// The object folder to borrow from.
    pub(super) objects: Option<PathBuf>,
    /// Where its head and index are, and where all else is.
    pub(super) git: Option<(PathBuf, PathBuf)>,
    /// The repository's own ignore file.
    pub(super) exclude: Option<PathBuf>,
}

impl Surroundings {
    /// Looks from the workspace upwards. Linked worktrees and submodules name their repository in a
    /// `.git` file.
    pub(super) fn find(workspace: &Path) -> Self {
        for top in workspace.ancestors() {
            let Some(git) = git_folder(top) else { continue };
            let common = match fs::read_to_string(git.join("commondir")) {
                Ok(text) => git.join(text.trim_end()),
                Err(_) => git.clone(),
            };
            let objects = common.join("objects");
            let borrowable = objects.is_dir() && !is_sha256(&common);
            return Self {
                top: Some(top.to_owned()),
                objects: borrowable.then(|| objects.canonicalize().ok()).flatten(),
                exclude: Some(common.join("info/exclude")),
                git: Some((git, common)),
            };
        }
        Self::default()
    }
}

/// The objects of the repository around a workspace, for those to read who borrow them; `None` where there
/// are none, or a link stands in their place.
pub(crate) fn objects_around(workspace: &Path) -> Option<PathBuf> {
    let (_, common) = Surroundings::find(workspace).git?;
    let objects = common.canonicalize().ok()?.join("objects");
    fs::symlink_metadata(&objects).is_ok_and(|it| it.is_dir()).then_some(objects)
}

/// The repository folder of a working tree whose top this is.
fn git_folder(top: &Path) -> Option<PathBuf> {
    let git = top.join(".git");
    let found = fs::metadata(&git).ok()?;
    if found.is_dir() {
        return git.join("HEAD").exists().then_some(git);
    }
    let text = fs::read_to_string(&git).ok()?;
    Some(top.join(text.strip_prefix("gitdir:")?.trim()))
}

/// Objects of another hash cannot be borrowed.
fn is_sha256(common: &Path) -> bool {
    fs::read_to_string(common.join("config")).is_ok_and(|config| {
        config.lines().any(|line| {
            let line = line.replace([' ', '\t'], "").to_ascii_lowercase();
            line == "objectformat=sha256"
        })
    })
}
