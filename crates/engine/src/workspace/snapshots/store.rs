//! The private repository of snapshots: opens it, takes snapshots into it, compares and reads them.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use botpipe_kernel::run::SnapshotId;
use git2::{Config, ObjectType, Repository, RepositoryInitOptions};

use super::objects::{Objects, remove_unfinished};
use super::scan::{Left, Scan};
use super::surroundings::Surroundings;
use super::{durable, rules, stat_cache, tree};
use crate::confine::left_out::LeftOut;
use crate::workspace::layout::Layout;
use crate::workspace::{Error, files};

/// Snapshots of a workspace's tree.
///
/// A snapshot is a git tree of every file and link that no ignore rule leaves out, without
/// `.botpipe/` and `.git`. The user's repository, if there is one, is only read: rules come from it
/// and objects are borrowed from it through alternates.
///
/// - Rules alone decide: a file the user tracks although a rule ignores it is not in a snapshot.
/// - A folder below that is a repository of its own (a submodule too) is left alone, whole.
/// - A file that is longer than 1 GiB, as one with holes may claim to be, is not in a snapshot; neither is
///   what whoever runs this has no right to read.
/// - Empty folders, pipes, sockets and devices are not in a snapshot; of modes only whether a file
///   may be executed is.
/// - Snapshots need no refs: the repository is never collected (`gc.auto` is 0 and
///   `gc.pruneExpire` is `never`). Those kept before a restore have one, `refs/kept/<n>`, and own
///   all that the restore was about to remove.
///
/// Owned by whoever holds the workspace's lease: locks left by a killed process are removed.
pub struct Snapshots {
    pub(super) root: PathBuf,
    /// `snapshots.git` itself.
    pub(super) folder: PathBuf,
    /// What belongs to this tree alone: what is known of its files, what is about to be restored.
    pub(super) own: PathBuf,
    pub(super) repository: Repository,
    pub(super) scan: Scan,
    /// Object folders: our own, then the one borrowed from.
    places: Vec<PathBuf>,
    /// What was told to be left out.
    told: BTreeSet<PathBuf>,
}

impl std::fmt::Debug for Snapshots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshots").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl Snapshots {
    /// Opens the workspace's snapshot repository, making it where it is missing, and removes what a
    /// killed process left half done in it.
    ///
    /// # Errors
    /// [`Error::NotWritable`], [`Error::Io`] and [`Error::Git`] when it cannot be made or opened.
    pub fn open(layout: &Layout) -> Result<Self, Error> {
        remove_stale_locks(&layout.snapshots());
        remove_unfinished(&layout.snapshots().join("objects"));
        Self::open_beside(layout)
    }

    /// As [`open`](Self::open), beside others of this process that have it open and may be writing.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_beside(layout: &Layout) -> Result<Self, Error> {
        let around = Surroundings::find(layout.home());
        let Stored { folder, repository, places } = Stored::open(layout, &around)?;
        // A copy of the files is ignored by the rules it was made with.
        let (outer, prefix) = rules::from_outside(layout.home(), &around);
        let own = match layout.own_folder() {
            Some(own) => own,
            None => folder.clone(),
        };
        let known = {
            let odb = repository.odb().map_err(Error::git("open the objects"))?;
            stat_cache::load(&own.join(stat_cache::NAME), &Objects::new(odb, &places))
        };
        let scan = Scan::new(layout.root(), &folder, outer, prefix, known)?;
        Ok(Self {
            root: layout.root().to_owned(),
            folder,
            own,
            repository,
            scan,
            places,
            told: BTreeSet::new(),
        })
    }

    pub(super) fn objects(&self) -> Result<Objects<'_>, Error> {
        objects(&self.repository, &self.places)
    }

    /// Whether the user's repository lends us objects.
    pub(super) fn borrows(&self) -> bool {
        self.places.len() > 1
    }

    /// Makes no copy of what may not be read.
    pub(crate) fn leave_out(&mut self, denied: LeftOut) {
        self.scan.leave_out(denied);
    }

    /// What the last snapshot lacks although no rule says so, in words, unless that was told before.
    pub(crate) fn news(&mut self) -> Vec<String> {
        let Left { too_long, closed } = &self.scan.left;
        let all = [("is longer than 1 GiB", too_long), ("you have no right to read", closed)];
        let mut told = Vec::new();
        for (what, left) in all {
            let news = left.iter().filter(|path| !self.told.contains(*path)).take(MOST_TOLD);
            let news: Vec<String> = news.map(|path| format!("`{}`", path.display())).collect();
            if !news.is_empty() {
                told.push(format!(
                    "snapshots leave out what {what}: {}; it is neither put back nor merged from a branch",
                    news.join(", ")
                ));
            }
        }
        self.told.extend(too_long.iter().chain(closed).cloned());
        told
    }

    /// Takes a snapshot of the tree as it is. Files that did not change since they were last read
    /// are not read again.
    ///
    /// # Errors
    /// [`Error::Io`] when a file or folder that is not ignored cannot be read.
    pub fn take(&mut self) -> Result<SnapshotId, Error> {
        let id = self.scan.take(&objects(&self.repository, &self.places)?)?;
        if self.scan.unsaved() > SAVE_AFTER {
            self.save();
        }
        Ok(SnapshotId(id.to_string()))
    }

    /// The paths at which two snapshots differ, in order; a path that is no text is shown lossily.
    ///
    /// # Errors
    /// [`Error::Damaged`] when one of them cannot be read.
    pub fn changed(&self, a: &SnapshotId, b: &SnapshotId) -> Result<Vec<String>, Error> {
        let paths = tree::differences(&self.objects()?, a, b)?;
        Ok(paths.iter().map(|path| String::from_utf8_lossy(path).into_owned()).collect())
    }

    /// Those of the [paths](Self::changed) at which two snapshots differ that were changed after
    /// `time`, in milliseconds since the epoch, as the workspace's present ctimes tell. Of a path
    /// that is gone the nearest folder tells that is there.
    ///
    /// # Errors
    /// [`Error::Damaged`] when one of them cannot be read.
    pub fn changed_since(
        &self,
        a: &SnapshotId,
        b: &SnapshotId,
        time: u64,
    ) -> Result<Vec<String>, Error> {
        let time = i64::try_from(time).unwrap_or(i64::MAX);
        let mut paths = tree::differences(&self.objects()?, a, b)?;
        paths.retain(|path| {
            let place = self.root.join(OsStr::from_bytes(path));
            let inside = place.ancestors().take_while(|it| it.starts_with(&self.root));
            let found = inside.map(fs::symlink_metadata).find_map(Result::ok);
            found.is_none_or(|it| it.ctime() * 1_000 + it.ctime_nsec() / 1_000_000 > time)
        });
        Ok(paths.iter().map(|path| String::from_utf8_lossy(path).into_owned()).collect())
    }

    /// A file's content (a link's target) in a snapshot; `None` when it has no such file.
    ///
    /// # Errors
    /// [`Error::Damaged`] when the snapshot or the content cannot be read.
    pub fn read(&self, snapshot: &SnapshotId, path: &Path) -> Result<Option<Vec<u8>>, Error> {
        let objects = self.objects()?;
        let paths = tree::flatten(&objects, snapshot)?;
        let Some(leaf) = paths.get(path.as_os_str().as_bytes()) else { return Ok(None) };
        let content = objects.read(leaf.id, ObjectType::Blob).map_err(|broken| {
            tree::damaged(snapshot, format!("its `{}`: {}", path.display(), broken.0))
        })?;
        Ok(Some(content))
    }

    /// Has what was written on the disk: events will cite it.
    pub(super) fn settle(&self) -> Result<(), Error> {
        durable::settle(&self.folder, &self.places)
            .map_err(Error::io("bring to the disk what is in", &self.folder))
    }

    /// Writes down what is known of the files, so that the next process need not read them again.
    fn save(&mut self) {
        // Only a cache: failing to write it costs time later, nothing else.
        let _not_saved = stat_cache::save(&self.own.join(stat_cache::NAME), &self.scan.known);
        self.scan.saved();
    }
}

/// The private repository, opened, and where objects are.
pub(super) struct Stored {
    folder: PathBuf,
    repository: Repository,
    places: Vec<PathBuf>,
}

impl Stored {
    pub(super) fn open(layout: &Layout, around: &Surroundings) -> Result<Self, Error> {
        layout.create()?;
        let folder = layout.snapshots();
        if !folder.join("botpipe-ready").exists() {
            create(&folder)?;
        }
        borrow(&folder, around.objects.as_deref())?;
        let repository =
            Repository::open_bare(&folder).map_err(Error::git("open what is stored"))?;
        let lent = around.objects.iter().cloned();
        let places = std::iter::once(folder.join("objects")).chain(lent).collect();
        Ok(Self { folder, repository, places })
    }

    pub(super) fn objects(&self) -> Result<Objects<'_>, Error> {
        objects(&self.repository, &self.places)
    }
}

impl Drop for Snapshots {
    fn drop(&mut self) {
        if self.scan.unsaved() > 0 {
            self.save();
        }
    }
}

fn objects<'r>(repository: &'r Repository, places: &'r [PathBuf]) -> Result<Objects<'r>, Error> {
    let odb = repository.odb().map_err(Error::git("open the objects"))?;
    Ok(Objects::new(odb, places))
}

fn create(folder: &Path) -> Result<(), Error> {
    let mut options = RepositoryInitOptions::new();
    options.bare(true).external_template(false).mkpath(true).initial_head("kept");
    Repository::init_opts(folder, &options).map_err(Error::git("make a place for snapshots"))?;
    let set = || {
        let mut config = Config::open(&folder.join("config"))?;
        config.set_i32("gc.auto", 0)?;
        config.set_str("gc.pruneExpire", "never")
    };
    set().map_err(Error::git("write the settings"))?;
    // Last, so that a creation cut short is done again.
    let ready = folder.join("botpipe-ready");
    files::replace(&ready, b"1\n", 0o644).map_err(Error::io("write", ready))
}

/// Names the user's objects as alternates, where there are any; those that are lent no more are not read.
fn borrow(folder: &Path, objects: Option<&Path>) -> Result<(), Error> {
    let alternates = folder.join("objects/info/alternates");
    let Some(objects) = objects else {
        let _absent = fs::remove_file(alternates);
        return Ok(());
    };
    let line = [objects.as_os_str().as_bytes(), b"\n"].concat();
    if line[..line.len() - 1].contains(&b'\n') || fs::read(&alternates).is_ok_and(|is| is == line) {
        return Ok(());
    }
    let info = folder.join("objects/info");
    fs::create_dir_all(&info).map_err(Error::io("make", &info))?;
    files::replace(&alternates, &line, 0o644).map_err(Error::io("write", &alternates))
}

/// Locks here are those of a process that was killed: the lease has one owner.
fn remove_stale_locks(folder: &Path) {
    let refs = fs::read_dir(folder.join("refs/kept")).into_iter().flatten().flatten();
    let locks =
        refs.map(|entry| entry.path()).filter(|path| path.extension() == Some("lock".as_ref()));
    let named = ["index.lock", "config.lock", "HEAD.lock", "packed-refs.lock"];
    durable::remove_unfinished(folder);
    for lock in named.iter().map(|name| folder.join(name)).chain(locks) {
        let _absent = fs::remove_file(lock);
    }
}

/// So many names are told at once.
const MOST_TOLD: usize = 10;

/// So many files read make it worth to write the stat cache.
const SAVE_AFTER: usize = 256;
