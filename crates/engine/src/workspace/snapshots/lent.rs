//! A repository of its own for a copy of the files: with the user's head, refs, index and objects as
//! they are now, and nothing by which the user's could be changed.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use git2::{Config, ConfigLevel, Index, IndexEntryExtendedFlag};

use super::surroundings::Surroundings;
use super::tree::Paths;
use crate::git_index::{self, Unread};
use crate::plain::{self, NoFile};
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
    /// Hooks, remotes, stashes and reflogs are not copied. Nor is what is no regular file: programs write in the
    /// user's repository, and what a link there leads to may be kept from them. Files of the index that the copy leaves out
    /// though the user has them (ignored, of a submodule, outside the workspace) are marked as not
    /// checked out, so that git does not call them deleted.
    ///
    /// Tells in words what of the user's is missing though it should be there.
    ///
    /// # Errors
    /// [`Error::Io`] when something cannot be read or written.
    pub(super) fn make(&self, to: &Path) -> Result<Option<String>, Error> {
        let mut copies = Copies { to, left_out: Vec::new() };
        self.write(&mut copies).map_err(Error::io("make a repository in", to))?;
        // What git alone understands of an index stays as it is.
        let unmarked = match readable(&to.join("index")) {
            Ok(()) => {
                let _as_copied = self.mark(&to.join("index"));
                None
            }
            Err(why) => Some(format!(
                "the repository's `index` is copied for a branch as it is ({why}): git there may call files deleted"
            )),
        };
        let told: Vec<String> =
            self.missing(&copies.left_out).into_iter().chain(unmarked).collect();
        Ok((!told.is_empty()).then(|| told.join("; ")))
    }

    fn missing(&self, left_out: &[String]) -> Option<String> {
        let why = match (&self.around.git, &self.around.objects) {
            (None, _) => Some("leads to a repository that does not name this folder as its own"),
            (_, None) => Some(
                "has no objects to lend: they lie behind a link, or have names of another kind, or its references lie in \
                 tables",
            ),
            _ => None,
        };
        if let Some(why) = why {
            let git = self.around.top.as_ref()?.join(".git");
            return Some(format!("`{}` {why}, so branches have nothing of it", git.display()));
        }
        (!left_out.is_empty()).then(|| {
            format!(
                "of the repository a branch has no copy of what is a link, or no file: `{}`",
                left_out.join("`, `")
            )
        })
    }

    fn write(&self, copies: &mut Copies<'_>) -> io::Result<()> {
        let to = copies.to;
        for folder in ["objects/info", "refs/heads", "info"] {
            fs::create_dir_all(to.join(folder))?;
        }
        fs::write(to.join("config"), CONFIG)?;
        let (Some((git, common)), Some(objects)) = (&self.around.git, &self.around.objects) else {
            return fs::write(to.join("HEAD"), UNBORN);
        };
        borrow(to, objects)?;
        let (git, common) = (plain::folder(git)?, plain::folder(common)?);
        // Settings that cannot be read are git's own defaults.
        let _defaults = configure(&common, copies);
        for name in ["packed-refs", "shallow"] {
            copies.copy(&common, name.as_ref(), Path::new(name))?;
        }
        if let Ok(info) = plain::folder_at(&common, "info".as_ref()) {
            for name in ["exclude", "attributes"] {
                copies.copy(&info, name.as_ref(), &Path::new("info").join(name))?;
            }
        }
        match plain::folder_at(&common, "refs".as_ref()) {
            Ok(refs) => copies.refs(refs)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(_) => copies.left_out.push("refs".to_owned()),
        }
        copies.copy(&git, "index".as_ref(), Path::new("index"))?;
        for name in plain::names(&git)? {
            // The rest of an index that is split.
            if name.as_bytes().starts_with(b"sharedindex.") {
                copies.copy(&git, &name, Path::new(&name))?;
            }
        }
        // Last: without a head git takes it for no repository.
        let has_head = copies.copy(&git, "HEAD".as_ref(), Path::new("HEAD"))?;
        if has_head { Ok(()) } else { fs::write(to.join("HEAD"), UNBORN) }
    }

    fn mark(&self, index: &Path) -> Result<(), git2::Error> {
        if !index.exists() {
            return Ok(());
        }
        let Some(top) = &self.around.top else { return Ok(()) };
        let mut index = Index::open(index)?;
        // One is put in the place of another of the same name.
        for at in 0..index.len() {
            let Some(mut entry) = index.get(at) else { break };
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

/// Whether an index may be read as a whole: libgit2 holds every name of it, and a program may have written them. A branch
/// has none in which objects have longer names.
fn readable(index: &Path) -> Result<(), String> {
    const HASH: usize = 20;
    let opened = match plain::open(index) {
        Ok(opened) => opened,
        Err(NoFile::Missing) => return Ok(()),
        Err(no) => return Err(io::Error::from(no).to_string()),
    };
    match git_index::names(opened, HASH, &mut |_| ()) {
        Ok(()) | Err(Unread::NoIndex) => Ok(()),
        Err(Unread::Strange(why)) => Err(why),
    }
}

/// Names the objects to borrow, also after the workspace was moved. A folder in which somebody put a
/// link is left alone: it could lead to the user's repository.
pub(super) fn borrow(to: &Path, objects: &Path) -> io::Result<()> {
    let info = to.join("objects/info");
    let alternates = info.join("alternates");
    let line = [objects.as_os_str().as_bytes(), b"\n"].concat();
    let plain = [to, &to.join("objects"), &info].into_iter().all(is_folder);
    let same = || plain::read(&alternates, plain::SMALL).is_ok_and(|is| is == line);
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
fn configure(common: impl AsFd, copies: &mut Copies<'_>) -> Result<(), git2::Error> {
    let name = Path::new("config.lent");
    let copied = copies.to.join(name);
    let settings = copies.copy(common, "config".as_ref(), name);
    let settings = settings.and_then(|_| without_includes(&copied));
    let set = || set(&copied, &copies.to.join("config"));
    let done = settings.map_or(Ok(()), |()| set());
    let _absent = fs::remove_file(&copied);
    done
}

/// Settings of other files are not taken: whose file it is, and whether it is one, is a program's word.
fn without_includes(config: &Path) -> io::Result<()> {
    let text = plain::read(config, plain::SMALL)?;
    let mut taken = true;
    let lines = text.split_inclusive(|byte| *byte == b'\n').filter(|line| {
        let line = line.to_ascii_lowercase();
        let includes = line.windows(INCLUDE.len()).any(|part| part == INCLUDE);
        taken = !includes && (taken || line.trim_ascii_start().starts_with(b"["));
        taken
    });
    fs::write(config, lines.collect::<Vec<_>>().concat())
}

fn set(from: &Path, to: &Path) -> Result<(), git2::Error> {
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

/// What is copied to a folder, and what should have been and is no file.
struct Copies<'t> {
    to: &'t Path,
    left_out: Vec<String>,
}

impl Copies<'_> {
    /// Copies the files below a folder of refs; what is locked or stashed stays where it is.
    fn refs(&mut self, from: OwnedFd) -> io::Result<()> {
        let mut open: Vec<(OwnedFd, PathBuf)> = vec![(from, "refs".into())];
        while let Some((from, to)) = open.pop() {
            fs::create_dir_all(self.to.join(&to))?;
            for name in plain::names(&from)? {
                let target = to.join(&name);
                if let Ok(below) = plain::folder_at(&from, &name) {
                    if open.len() < MOST_FOLDERS {
                        open.push((below, target));
                    } else {
                        self.left_out.push(target.display().to_string());
                    }
                } else if name != "stash" && !name.as_bytes().ends_with(b".lock") {
                    self.copy(&from, &name, &target)?;
                }
            }
        }
        Ok(())
    }

    /// Copies a regular file of an open folder; whether there is one.
    fn copy(&mut self, from: impl AsFd, name: &OsStr, to: &Path) -> io::Result<bool> {
        let opened = match plain::open_at(from, name) {
            Ok(opened) if opened.metadata.len() <= LARGEST => opened,
            Err(NoFile::Missing) => return Ok(false),
            Ok(_) | Err(NoFile::Other(_)) => {
                self.left_out.push(to.with_file_name(name).display().to_string());
                return Ok(false);
            }
            Err(NoFile::Failed(error)) => return Err(error),
        };
        io::copy(&mut opened.file.take(LARGEST), &mut fs::File::create_new(self.to.join(to))?)?;
        Ok(true)
    }
}

const INCLUDE: &[u8] = b"[include";

/// The largest file that is copied.
const LARGEST: u64 = git_index::LONGEST;

/// So many folders of refs are open at a time, and no more.
const MOST_FOLDERS: usize = 256;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_that_would_take_all_memory_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap().join("index");
        assert_eq!(readable(&path), Ok(()), "there is none");
        Index::open(&path).unwrap().write().unwrap();
        assert_eq!(readable(&path), Ok(()));
        // A name that goes on and on.
        let entry = [&[0; 60][..], &[0x0f, 0xff], &vec![b'a'; 1 << 20]].concat();
        let head = [&b"DIRC"[..], &[0, 0, 0, 2], &[0, 0, 0, 1]].concat();
        fs::write(&path, [head, entry].concat()).unwrap();
        let told = readable(&path).unwrap_err();
        assert!(told.contains("longer than any path"), "{told}");
    }
}
