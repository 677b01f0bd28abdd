//! Work trees of git that a program made where only the program saw them: they are gone with it, and git does not say so.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::git_files::{common_folder, own_folder};
use crate::plain;
use crate::policy::lexical;

/// Those that a repository knew before a program started, by the names it has for them.
#[derive(Debug)]
pub(super) struct Known {
    folder: PathBuf,
    names: BTreeSet<OsString>,
}

/// A path that is longer is none.
const LONGEST: u64 = 4096;
/// Work trees that are told of one program.
const MOST: usize = 20;

impl Known {
    /// Of the repository that a workspace is, or is a folder of.
    pub(super) fn of(workspace: &Path) -> Option<Self> {
        let git = workspace.ancestors().map(|folder| folder.join(".git")).find(|it| it.exists())?;
        let folder = common_folder(&own_folder(&git)).join("worktrees");
        let names = names_in(&folder);
        Some(Self { folder, names })
    }

    /// A sentence for each that came since and that leads to nothing on the host.
    pub(super) fn gone(&self) -> Vec<String> {
        let now = names_in(&self.folder);
        let gone = now.difference(&self.names).filter_map(|name| {
            let own = self.folder.join(name);
            let text = String::from_utf8(plain::read(&own.join("gitdir"), LONGEST).ok()?).ok()?;
            let git = lexical(&own.join(text.trim_end()));
            let tree = git.parent().filter(|_| git.ends_with(".git"))?;
            tree.symlink_metadata().is_err().then(|| {
                let shown = tree.display();
                format!(
                    "the work tree `{shown}` was in memory and is gone with what was written to it (`git worktree \
                     prune` forgets it); made beforehand (`mkdir`) and named in `allow_write`, as in \
                     `allow_write: [., {shown}]`, it stays"
                )
            })
        });
        gone.take(MOST).collect()
    }
}

fn names_in(folder: &Path) -> BTreeSet<OsString> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_work_tree_that_came_and_is_not_there_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().canonicalize().unwrap().join(name);
        let make = |name: &str, leads: &str| {
            fs::create_dir_all(at("w/.git/worktrees").join(name)).unwrap();
            fs::write(at("w/.git/worktrees").join(name).join("gitdir"), leads).unwrap();
        };
        make("before", &format!("{}\n", at("lost/.git").display()));
        fs::create_dir_all(at("w/src")).unwrap();
        let known = Known::of(&at("w/src")).unwrap();
        fs::create_dir(at("there")).unwrap();
        make("there", &format!("{}\n", at("there/.git").display()));
        make("gone", &format!("{}\n", at("gone/.git").display()));
        make("relative", "../../../../beside/.git\n");
        make("strange", "x\n");
        let told = known.gone();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].starts_with(&format!("the work tree `{}` was", at("gone").display())));
        assert!(told[1].contains(&format!("`{}` was in memory", at("beside").display())));
    }
}
