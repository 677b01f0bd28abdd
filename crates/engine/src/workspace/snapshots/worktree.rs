//! A branch's own copy of the files: where it lies, how it is made, and how it goes.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use botpipe_kernel::ids::{RunId, TaskId};
use botpipe_kernel::run::SnapshotId;

use super::checkout::{CheckedOut, checkout};
use super::lent::{self, Lent};
use super::settling::{Settling, mark, may_be_torn};
use super::stat_cache;
use super::store::Stored;
use super::surroundings::Surroundings;
use crate::account;
use crate::plain;
use crate::workspace::layout::{Layout, WorkspacePath};
use crate::workspace::{Error, files};

/// The files of one run, apart from those of the run that started it.
///
/// # Shape
/// ```text
/// .botpipe/worktrees/<run>/files/<name>/   as the folder it is a copy of is called
///   .git/                                  where that is a repository: its own, see `lent`
///   …                                      the files, as a snapshot has them
///   .botpipe/tasks/<task>                  leads to the workspace's: artifacts are there
/// .botpipe/worktrees/<run>/index           what is known of the files
/// .botpipe/worktrees/<run>/unsettled       while they may not be on the disk, see `settling`
/// .botpipe/worktrees/<run>/torn/           what a power cut left of the files, made anew since
/// ```
/// Where the workspace is a folder within a repository, `<name>` is the repository's, and the files
/// are as deep below it.
#[derive(Debug)]
pub struct Worktree {
    folder: WorkspacePath,
    /// The copy of the repository's top folder, or of the workspace.
    top: PathBuf,
    /// The workspace's path below it.
    prefix: PathBuf,
    /// Of what it is a copy.
    of: Layout,
    layout: Layout,
}

impl Worktree {
    /// That of a run below one that works in `of`. Nothing is made.
    pub fn of(of: &Layout, run: &RunId) -> Self {
        let folder = of.worktree(run);
        let around = Surroundings::find(of.root());
        let top = around.top.unwrap_or_else(|| of.root().to_owned());
        let prefix = of.root().strip_prefix(&top).map(Path::to_owned).unwrap_or_default();
        let files = folder.absolute.join("files");
        let mut top = files.join(top.file_name().unwrap_or("workspace".as_ref()));
        if !top.exists() {
            // Its name stays, also when the workspace is called otherwise by now.
            let made = fs::read_dir(&files).into_iter().flatten().flatten().next();
            top = made.map_or(top, |made| made.path());
        }
        let layout = of.with_root(top.join(&prefix));
        Self { folder, top, prefix, of: of.clone(), layout }
    }

    /// The places of whoever works in it.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The folder with the files, from the workspace on.
    pub fn relative(&self) -> String {
        let below = self.layout.root().strip_prefix(&self.folder.absolute);
        let below = below.map(|it| format!("/{}", it.display())).unwrap_or_default();
        format!("{}{below}", self.folder.relative)
    }

    pub fn is_there(&self) -> bool {
        self.layout.root().is_dir()
    }

    /// Makes it with the files of a snapshot; all of it is there, or nothing. What is there already stays,
    /// unless a power cut came before it was settled. Tells in words what of the user's repository it lacks.
    ///
    /// # Errors
    /// [`Error::Damaged`] when the snapshot is not whole, [`Error::Io`] when a place cannot be
    /// written.
    pub fn make(&self, snapshot: &SnapshotId) -> Result<Option<String>, Error> {
        let own = &self.folder.absolute;
        if may_be_torn(own) {
            self.put_aside()?;
        }
        if self.is_there() {
            return Ok(None);
        }
        let new = own.join("new");
        // Left by one who was killed.
        remove(&new)?;
        let root = new.join(&self.prefix);
        fs::create_dir_all(&root).map_err(Error::io("make", &root))?;
        mark(own).map_err(Error::io("mark what is made in", own))?;
        let stored = Stored::open(&self.of, &Surroundings::find(self.of.home()))?;
        let objects = stored.objects()?;
        let CheckedOut { files, known } = checkout(&objects, snapshot, &root, &own.join("clock"))?;
        let around = Surroundings::find(self.of.root());
        let lent = Lent { around: &around, prefix: &self.prefix, files: &files };
        let lacks = around.top.as_ref().map(|_| lent.make(&new.join(".git"))).transpose()?;
        if let Some(account) = account::of(self.of.root()) {
            account::give_whole(&new, account).map_err(Error::io("give away", &new))?;
        }
        // Only a cache: without it the files are read once more.
        let _not_saved = stat_cache::save(&own.join(stat_cache::NAME), &known);
        let put = || {
            self.top.parent().map_or(Ok(()), fs::create_dir_all)?;
            fs::rename(&new, &self.top)
        };
        put().map_err(Error::io("put in place", &self.top))?;
        Ok(lacks.flatten())
    }

    /// Puts away what a power cut may have left a part of, where a person can look at it.
    fn put_aside(&self) -> Result<(), Error> {
        let own = &self.folder.absolute;
        let (files, torn) = (own.join("files"), own.join("torn"));
        // What is known of those files is not true of others.
        put_away(&own.join(stat_cache::NAME)).map_err(Error::io("remove what is known in", own))?;
        if files.exists() {
            remove(&torn)?;
            fs::rename(&files, &torn).map_err(Error::io("put away", files))?;
        }
        Ok(())
    }

    /// Has it settled when it is worked on for longer, as long as what is returned is kept.
    pub fn settling(&self) -> Option<Settling> {
        Settling::begin(self.folder.absolute.clone())
    }

    /// Leads it to the artifacts of a task and to the objects it borrows, wherever the workspace is now.
    ///
    /// # Errors
    /// [`Error::Io`] when a place cannot be written.
    pub fn lead(&self, task: &TaskId) -> Result<(), Error> {
        let here = self.layout.root().join(Layout::FOLDER);
        let to = self.layout.task(task);
        let tasks = here.join("tasks");
        let lead = || {
            plain::make(&to)?;
            // Whatever stands there by now leads nowhere else.
            for folder in [&here, &tasks] {
                if !lent::is_folder(folder) {
                    put_away(folder)?;
                    fs::create_dir(folder)?;
                }
            }
            files::replace(&here.join(".gitignore"), b"*\n", 0o644)?;
            let link = tasks.join(task.as_str());
            if fs::read_link(&link).is_ok_and(|is| is == to) {
                return Ok(());
            }
            put_away(&link)?;
            symlink(&to, &link)
        };
        lead().map_err(Error::io("lead to the artifacts from", &here))?;
        let git = self.top.join(".git");
        match Surroundings::find(self.of.root()).objects {
            Some(objects) => lent::borrow(&git, &objects).map_err(Error::io("write to", git)),
            None => Ok(()),
        }
    }

    /// Removes it, with all that is in it.
    ///
    /// # Errors
    /// [`Error::Io`] when something in it cannot be removed.
    pub fn remove(&self) -> Result<(), Error> {
        remove(&self.folder.absolute)
    }
}

/// Lets us remove what is in a folder and those below it; what cannot be changed stays as it is.
fn open_up(folder: &Path) {
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        let _not_ours = fs::set_permissions(&folder, fs::Permissions::from_mode(0o700));
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        open.extend(entries.map(|it| it.path()).filter(|path| lent::is_folder(path)));
    }
}

/// Removes a file or link, where one is.
fn put_away(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn remove(folder: &Path) -> Result<(), Error> {
    let mut removed = fs::remove_dir_all(folder);
    if removed.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied) {
        // Some tools leave folders behind in which nothing may be removed.
        open_up(folder);
        removed = fs::remove_dir_all(folder);
    }
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::io("remove", folder)(error))
        }
        _ => Ok(()),
    }
}
