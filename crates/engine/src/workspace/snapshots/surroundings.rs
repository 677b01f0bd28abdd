//! Finds the user's own repository around the workspace; reads it, never opens it for writing.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::plain;
use crate::repository::{Git, is_of_another_format};

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
            let borrowable = are_plain(&objects) && !is_of_another_format(&common);
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

/// Whether there are files only in a folder of objects and in those that it borrows from: for a pipe that a program put
/// there, whoever reads it waits.
fn are_plain(objects: &Path) -> bool {
    let mut lenders = vec![objects.to_owned()];
    let mut known = BTreeSet::new();
    while let Some(lender) = lenders.pop() {
        if known.contains(&lender) {
            continue;
        }
        if known.len() == MOST_LENDERS || !holds_files_only(&lender) {
            return false;
        }
        let others = plain::peek_text(&lender.join("info/alternates")).unwrap_or_default();
        let others = others.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        // One that is not there lends nothing.
        lenders.extend(others.filter_map(|line| lender.join(line).canonicalize().ok()));
        known.insert(lender);
    }
    true
}

fn holds_files_only(objects: &Path) -> bool {
    if !plain::is_folder(objects) {
        return false;
    }
    let mut next = vec![(objects.to_owned(), 0)];
    while let Some((folder, depth)) = next.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { return false };
        for entry in entries {
            let found = entry.and_then(|entry| Ok((entry.path(), entry.file_type()?)));
            let Ok((path, mut kind)) = found else { return false };
            if kind.is_symlink() {
                let Ok(led) = fs::metadata(&path) else { continue };
                kind = led.file_type();
            }
            if kind.is_dir() && depth < DEEPEST {
                next.push((path, depth + 1));
            } else if !kind.is_file() && !kind.is_dir() {
                return false;
            }
        }
    }
    true
}

/// As far as folders lie in one of objects: `info/commit-graphs`.
const DEEPEST: u32 = 2;

/// More than anybody borrows from.
const MOST_LENDERS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_would_wait_for_lends_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let [first, second] = ["one", "two"].map(|name| folder.path().join(name));
        for objects in [&first, &second] {
            fs::create_dir_all(objects.join("info/commit-graphs")).unwrap();
            fs::create_dir_all(objects.join("pack")).unwrap();
            fs::write(objects.join("pack/pack-1.idx"), "").unwrap();
        }
        // One that borrows of itself ends as well.
        fs::write(first.join("info/alternates"), "# of\n../two\n/nowhere\n").unwrap();
        fs::write(second.join("info/alternates"), first.to_str().unwrap()).unwrap();
        assert!(!are_plain(&folder.path().join("none")));
        assert!(are_plain(&first) && are_plain(&second));
        for name in ["pack/pack-2.idx", "pack/multi-pack-index", "ab", "info/commit-graphs/chain"] {
            let pipe = second.join(name);
            rustix::fs::mknodat(
                rustix::fs::CWD,
                &pipe,
                rustix::fs::FileType::Fifo,
                rustix::fs::Mode::RUSR,
                0,
            )
            .unwrap();
            assert!(!are_plain(&second), "{name}");
            assert!(!are_plain(&first), "{name} of a lender");
            fs::remove_file(pipe).unwrap();
        }
    }
}
