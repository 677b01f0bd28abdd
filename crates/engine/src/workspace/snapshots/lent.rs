//! A repository of its own for a copy of the files: with the user's head, refs, index and objects as
//! they are now, and nothing by which the user's could be changed.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use git2::{Config, ConfigLevel, Index, IndexEntryExtendedFlag};

use super::surroundings::Surroundings;
use super::tree::Paths;
use crate::workspace::{Error, files};

/// What is copied, and for which files.
pub(super) struct Lent<'l> {
    pub(super) around: &'l Surroundings,
    /// The workspace's path from the top of the user's repository, and the files of the copy below it.
    pub(super) prefix: &'l Path,
    pub(super) files: &'l Paths,
}

impl Lent<'_> {
    /// Makes the repository folder `to`, which is not there yet.
    ///
    /// Hooks, remotes, stashes and reflogs are not copied. Files of the index that the copy leaves out
    /// though the user has them (ignored, of a submodule, outside the workspace) are marked as not
    /// checked out, so that git does not call them deleted.
    ///
    /// # Errors
    /// [`Error::Io`] when something cannot be read or written.
    pub(super) fn make(&self, to: &Path) -> Result<(), Error> {
        self.write(to).map_err(Error::io("make a repository in", to))?;
        // What git alone understands of an index stays as it is.
        let _as_copied = self.mark(&to.join("index"));
        Ok(())
    }

    fn write(&self, to: &Path) -> io::Result<()> {
        for folder in ["objects/info", "refs/heads", "info"] {
            fs::create_dir_all(to.join(folder))?;
        }
        fs::write(to.join("config"), CONFIG)?;
        let (Some((git, common)), Some(objects)) = (&self.around.git, &self.around.objects) else {
            return fs::write(to.join("HEAD"), UNBORN);
        };
        borrow(to, objects)?;
        // Settings that cannot be read are git's own defaults.
        let _defaults = configure(&common.join("config"), &to.join("config"));
        for name in ["packed-refs", "shallow", "info/exclude", "info/attributes"] {
            copy(&common.join(name), &to.join(name))?;
        }
        copy_refs(&common.join("refs"), &to.join("refs"))?;
        copy(&git.join("index"), &to.join("index"))?;
        for entry in fs::read_dir(git)?.flatten() {
            // The rest of an index that is split.
            if entry.file_name().as_bytes().starts_with(b"sharedindex.") {
                copy(&entry.path(), &to.join(entry.file_name()))?;
            }
        }
        // Last: without a head git takes it for no repository.
        fs::copy(git.join("HEAD"), to.join("HEAD")).map(drop)
    }

    fn mark(&self, index: &Path) -> Result<(), git2::Error> {
        if !index.exists() {
            return Ok(());
        }
        let Some(top) = &self.around.top else { return Ok(()) };
        let mut index = Index::open(index)?;
        let entries: Vec<_> = index.iter().collect();
        for mut entry in entries {
            let path = Path::new(OsStr::from_bytes(&entry.path));
            let below = path.strip_prefix(self.prefix).ok();
            let copied = below.is_some_and(|it| self.files.contains_key(it.as_os_str().as_bytes()));
            let conflicted = entry.flags & STAGE != 0;
            let deleted = below.is_some() && fs::symlink_metadata(top.join(path)).is_err();
            if copied || conflicted || deleted {
                continue;
            }
            entry.flags_extended |= IndexEntryExtendedFlag::SKIP_WORKTREE.bits();
            index.add(&entry)?;
        }
        index.write()
    }
}

/// Names the objects to borrow, also after the workspace was moved. A folder in which somebody put a
/// link is left alone: it could lead to the user's repository.
pub(super) fn borrow(to: &Path, objects: &Path) -> io::Result<()> {
    let info = to.join("objects/info");
    let alternates = info.join("alternates");
    let line = [objects.as_os_str().as_bytes(), b"\n"].concat();
    let plain = [to, &to.join("objects"), &info].into_iter().all(is_folder);
    let same = || fs::read(&alternates).is_ok_and(|is| is == line);
    if !plain || line[..line.len() - 1].contains(&b'\n') || same() {
        return Ok(());
    }
    files::replace(&alternates, &line, 0o644)
}

/// Whether a folder is there, and no link to one.
pub(super) fn is_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|it| it.is_dir())
}

/// Who commits, and how files are compared with what is committed.
fn configure(from: &Path, to: &Path) -> Result<(), git2::Error> {
    let from = Config::open(from)?;
    let mut to = Config::open(to)?;
    let mut copied: Vec<(String, String)> = Vec::new();
    from.entries(None)?.for_each(|entry| {
        let (Ok(name), Ok(value)) = (entry.name(), entry.value()) else { return };
        let below = SECTIONS.iter().any(|section| name.starts_with(section));
        if (below || KEYS.contains(&name)) && entry.level() != ConfigLevel::System {
            copied.push((name.to_owned(), value.to_owned()));
        }
    })?;
    for (name, value) in copied {
        to.set_str(&name, &value)?;
    }
    Ok(())
}

/// Copies the files below a folder of refs; what is locked or stashed stays where it is.
fn copy_refs(from: &Path, to: &Path) -> io::Result<()> {
    let mut open: Vec<(PathBuf, PathBuf)> = vec![(from.to_owned(), to.to_owned())];
    while let Some((from, to)) = open.pop() {
        fs::create_dir_all(&to)?;
        for entry in fs::read_dir(&from)? {
            let entry = entry?;
            let name = entry.file_name();
            let (place, target) = (entry.path(), to.join(&name));
            if entry.file_type()?.is_dir() {
                open.push((place, target));
            } else if name != "stash" && !name.into_vec().ends_with(b".lock") {
                copy(&place, &target)?;
            }
        }
    }
    Ok(())
}

/// Copies a file that may not be there.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    match fs::copy(from, to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The bits of an index entry that say which side of a conflict it is.
const STAGE: u16 = 0x3000;

const UNBORN: &str = "ref: refs/heads/main\n";

const CONFIG: &str = "\
[core]
\trepositoryformatversion = 0
\tfilemode = true
\tbare = false
\tlogallrefupdates = true
";

const SECTIONS: [&str; 6] = ["user.", "author.", "committer.", "filter.", "diff.", "merge."];

const KEYS: [&str; 7] = [
    "core.autocrlf",
    "core.eol",
    "core.safecrlf",
    "core.filemode",
    "core.symlinks",
    "core.ignorecase",
    "core.precomposeunicode",
];
