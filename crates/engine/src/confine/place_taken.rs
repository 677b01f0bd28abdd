//! Botpipe's own folder where there is none yet: its place is taken while programs run, so that none of them makes it,
//! and a first run that begins meanwhile finds it and fills it. What is in such a folder is Botpipe's, then.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use super::placeholders::is_there;
use super::within;
use crate::workspace::layout::Layout;

/// The places that are taken, in a workspace and in what else is written. Where whoever runs this may not write
/// either, there can be no first run: what a program makes there is looked for once it has ended. So it is in an empty
/// folder, which whoever fills it (`git clone`, `git worktree add`) wants empty.
pub(super) fn of(workspace: &Path, roots: &[PathBuf]) -> Vec<PathBuf> {
    let others = roots.iter().filter(|root| !root.starts_with(workspace)).map(PathBuf::as_path);
    let tops = [workspace].into_iter().chain(others).filter(|top| within(top, roots));
    let writable = tops.filter(|top| top.is_dir() && access(*top, Access::WRITE_OK).is_ok());
    let own = |name: &std::ffi::OsStr| name == Layout::FOLDER;
    let has_more = |top: &&Path| {
        fs::read_dir(top).is_ok_and(|entries| entries.flatten().any(|it| !own(&it.file_name())))
    };
    let writable = writable.filter(has_more);
    writable.map(|top| top.join(Layout::FOLDER)).filter(|own| is_free(own)).collect()
}

/// Nothing is there, or an empty folder: one that stands in for others, or that an owner left behind who died.
fn is_free(own: &Path) -> bool {
    let Ok(there) = fs::symlink_metadata(own) else { return true };
    there.is_dir()
        && (!is_there(own) || fs::read_dir(own).is_ok_and(|mut entries| entries.next().is_none()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_taken_until_something_is_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().canonicalize().unwrap();
        let taken = || !of(&top, std::slice::from_ref(&top)).is_empty();
        assert!(!taken(), "it is to be filled");
        fs::write(top.join("file"), "").unwrap();
        assert!(taken());
        fs::create_dir(top.join(Layout::FOLDER)).unwrap();
        assert!(taken(), "it was left behind");
        fs::write(top.join(Layout::FOLDER).join(".gitignore"), "").unwrap();
        assert!(!taken());
        assert!(
            of(&top, &[top.join("src")]).is_empty(),
            "nothing of the workspace's top is written"
        );
    }
}
