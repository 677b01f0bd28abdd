//! Finds the user's own repository around the workspace; reads it, never opens it for writing.

use std::fs;
use std::path::{Path, PathBuf};

use crate::plain;
use crate::repository::{Git, is_sha256};

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
    /// Looks from the workspace upwards.
    pub(super) fn find(workspace: &Path) -> Self {
        for top in workspace.ancestors() {
            let Some(git) = Git::of(top) else { continue };
            let top = Some(top.to_owned());
            let Git::Own { git, common } = git else { return Self { top, ..Self::default() } };
            let objects = common.join("objects");
            let borrowable = are_plain(&objects) && !is_sha256(&common);
            return Self {
                top,
                objects: borrowable.then_some(objects),
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
    Some(common.join("objects")).filter(|objects| are_plain(objects))
}

/// Whether objects lie in a folder, and what names others is no pipe, for which whoever reads it waits.
fn are_plain(objects: &Path) -> bool {
    let others = fs::symlink_metadata(objects.join("info/alternates"));
    plain::is_folder(objects) && others.map_or(true, |others| others.is_file())
}
