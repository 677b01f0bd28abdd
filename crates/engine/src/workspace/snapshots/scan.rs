//! Walks the workspace and writes its tree, reading only files that may have changed.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use git2::{ObjectType, Oid};
use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::content::{self, read};
use super::objects::Objects;
use super::rules::{Rules, is_ignored};
use super::tree;
use crate::confine::left_out::LeftOut;
use crate::workspace::Error;
use crate::workspace::layout::Layout;

/// What `stat` says of a file, cut to 32 bits each as a git index keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Seconds and nanoseconds.
    pub(super) ctime: (u32, u32),
    pub(super) mtime: (u32, u32),
    pub(super) device: u32,
    pub(super) inode: u32,
    pub(super) size: u32,
    /// As git writes it: a file, a program, a link.
    pub(super) mode: u32,
}

/// A file that was read.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) stamp: Stamp,
    pub(super) id: Oid,
    /// Its last change was seen to lie before the clock tick in which it was read: a later change
    /// cannot leave the same stamp. Otherwise it is read again next time.
    pub(super) settled: bool,
    /// The walk that last met it.
    pub(super) seen: u32,
}

/// What is known of a folder from the walks before.
#[derive(Debug, Default)]
pub(super) struct Folder {
    pub(super) files: HashMap<Box<[u8]>, Known>,
    pub(super) folders: HashMap<Box<[u8]>, Folder>,
    /// Names the rules leave out; a folder's with `/` at its end.
    ignored: HashSet<Vec<u8>>,
    rules: Option<FolderRules>,
    /// The tree as written, and its id.
    tree: Option<(Vec<u8>, Oid)>,
    seen: u32,
}

#[derive(Debug)]
struct FolderRules {
    stamp: Stamp,
    settled: bool,
    text: Vec<u8>,
    rules: Arc<Rules>,
}

impl Folder {
    /// The folder of that name below, made if it is new.
    pub(super) fn child(&mut self, name: &[u8]) -> &mut Self {
        self.folders.entry(name.into()).or_default()
    }

    /// Knows a file by its path.
    pub(super) fn at(&mut self, path: &[u8], known: Known) {
        let mut names: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
        let Some(name) = names.pop() else { return };
        let folder = names.into_iter().fold(self, |folder, name| folder.child(name));
        folder.files.insert(name.into(), known);
    }
}

/// The walker of one workspace.
pub(super) struct Scan {
    root: PathBuf,
    pub(super) known: Folder,
    /// A file of ours, touched to learn the file system's own time.
    clock: File,
    outer: Vec<Arc<Rules>>,
    /// What may not be read: no copy of it is made.
    denied: LeftOut,
    /// The workspace's path from the top of the user's repository.
    prefix: Vec<u8>,
    walk: u32,
    unsaved: usize,
    /// What the last walk left out.
    pub(super) left: Left,
}

/// What of a workspace is in no snapshot although no rule says so.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// Files that are too long for one.
    pub(super) too_long: BTreeSet<PathBuf>,
    /// Files and folders that whoever runs this has no right to read.
    pub(super) closed: BTreeSet<PathBuf>,
}

/// One walk under way.
struct Walk<'w> {
    objects: &'w Objects<'w>,
    root: &'w Path,
    chain: Vec<Arc<Rules>>,
    denied: &'w LeftOut,
    /// What of it has other names now, by paths in the workspace.
    others: BTreeSet<PathBuf>,
    /// Where it stands: the full path, of which the first `prefix` bytes lead to the workspace.
    path: Vec<u8>,
    prefix: usize,
    /// The file system's time when it started.
    now: (i128, i128),
    number: u32,
    depth: usize,
    hashed: usize,
    left: Left,
}

impl Scan {
    pub(super) fn new(
        root: &Path,
        folder: &Path,
        outer: Vec<Arc<Rules>>,
        prefix: Vec<u8>,
        known: Folder,
    ) -> Result<Self, Error> {
        let clock = folder.join("clock");
        let clock = File::create(&clock).map_err(Error::io("write", clock))?;
        Ok(Self {
            root: root.to_owned(),
            known,
            clock,
            outer,
            denied: LeftOut::default(),
            prefix,
            walk: 0,
            unsaved: 0,
            left: Left::default(),
        })
    }

    /// Leaves out what matches, from the next walk on.
    pub(super) fn leave_out(&mut self, denied: LeftOut) {
        self.denied = denied;
        self.walk = 0;
    }

    /// How many files were read since the knowledge was last saved.
    pub(super) fn unsaved(&self) -> usize {
        self.unsaved
    }

    pub(super) fn saved(&mut self) {
        self.unsaved = 0;
    }

    /// Forgets what is known, so that every file is read and stored again.
    pub(super) fn forget(&mut self) {
        self.known = Folder::default();
    }

    /// Walks, writes what is new, and gives the tree's id.
    pub(super) fn take(&mut self, objects: &Objects<'_>) -> Result<Oid, Error> {
        let fail = |error: Errno| Error::io("read the workspace", &self.root)(error.into());
        let now = self.file_system_time().map_err(fail)?;
        let others = self.denied.others(&self.root);
        let others = others.map_err(Error::io("look for what may not be read in", &self.root))?;
        let root = fs::open(&self.root, FOLDER_FLAGS, Mode::empty()).map_err(fail)?;
        // The rules were read by another process, or never: each path is asked again.
        let fresh = self.walk == 0;
        self.walk += 1;
        let mut walk = Walk {
            objects,
            root: &self.root,
            chain: self.outer.clone(),
            denied: &self.denied,
            others,
            path: self.prefix.clone(),
            prefix: self.prefix.len(),
            now,
            number: self.walk,
            depth: 0,
            hashed: 0,
            left: Left::default(),
        };
        let done = walk.folder(&root, &mut self.known, fresh);
        self.unsaved += walk.hashed;
        self.left = walk.left;
        match done? {
            Some(id) => Ok(id),
            None => objects.write(ObjectType::Tree, b""),
        }
    }

    /// What was known of a file at the last walk.
    pub(super) fn stamp(&self, path: &[u8]) -> Option<Stamp> {
        let mut names: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
        let name = names.pop()?;
        let folder =
            names.iter().try_fold(&self.known, |folder, name| folder.folders.get(*name))?;
        folder.files.get(name).map(|known| known.stamp)
    }

    fn file_system_time(&self) -> Result<(i128, i128), Errno> {
        let now = fs::Timespec { tv_sec: 0, tv_nsec: fs::UTIME_NOW };
        fs::futimens(&self.clock, &fs::Timestamps { last_access: now, last_modification: now })?;
        let stat = fs::fstat(&self.clock)?;
        Ok((stat.st_mtime.into(), stat.st_mtime_nsec.into()))
    }
}

impl Walk<'_> {
    /// The tree of a folder; `None` when nothing in it belongs to a snapshot.
    fn folder(
        &mut self,
        fd: &OwnedFd,
        known: &mut Folder,
        fresh: bool,
    ) -> Result<Option<Oid>, Error> {
        known.seen = self.number;
        if self.depth > MAX_DEPTH {
            return Err(self.fail("take a snapshot of folders nested deeper than 256", Errno::LOOP));
        }
        let names = self.names(fd)?;
        let top = self.depth == 0;
        if !top && is_repository(fd, &names) {
            *known = Folder { seen: self.number, ..Folder::default() };
            return Ok(None);
        }
        let rules_before = self.chain.len();
        let fresh = self.rules(fd, &names, known)? || fresh;
        if fresh {
            known.ignored.clear();
        }
        let mut entries = Vec::with_capacity(names.len());
        for (name, kind) in names {
            if tree::is_git(&name) || (top && name == Layout::FOLDER.as_bytes()) {
                continue;
            }
            if let Some((mode, id)) = self.entry(fd, &name, kind, known, fresh)? {
                entries.push(tree::Entry { mode, name, id });
            }
        }
        self.chain.truncate(rules_before);
        known.files.retain(|_, file| file.seen == self.number);
        known.folders.retain(|_, folder| folder.seen == self.number);
        if entries.is_empty() {
            return Ok(None);
        }
        let bytes = tree::encode(&mut entries);
        if let Some((before, id)) = &known.tree
            && *before == bytes
        {
            return Ok(Some(*id));
        }
        let id = self.objects.write(ObjectType::Tree, &bytes)?;
        known.tree = Some((bytes, id));
        Ok(Some(id))
    }

    /// One name of a folder: its mode and object, or `None` when it does not count.
    fn entry(
        &mut self,
        fd: &OwnedFd,
        name: &[u8],
        kind: FileType,
        known: &mut Folder,
        fresh: bool,
    ) -> Result<Option<(u32, Oid)>, Error> {
        let before = self.path.len();
        if before > 0 {
            self.path.push(b'/');
        }
        self.path.extend_from_slice(name);
        let is_folder = kind == FileType::Directory;
        let found = if self.left_out(name, is_folder, known, fresh) {
            Ok(None)
        } else if is_folder {
            match fs::openat(fd, OsStr::from_bytes(name), FOLDER_FLAGS, Mode::empty()) {
                Ok(below) => {
                    self.depth += 1;
                    let tree = self.folder(&below, known.child(name), fresh);
                    self.depth -= 1;
                    tree.map(|tree| tree.map(|id| (tree::FOLDER, id)))
                }
                Err(error) => self.unless_gone(error).map(|()| None),
            }
        } else {
            self.file(fd, name, known)
        };
        self.path.truncate(before);
        found
    }

    /// Whether the rules leave out the path where the walk stands.
    fn left_out(&self, name: &[u8], is_folder: bool, known: &mut Folder, fresh: bool) -> bool {
        let inside = self.inside();
        if self.denied.names(inside) || self.others.contains(inside) {
            return true;
        }
        let mut key = name.to_vec();
        if is_folder {
            key.push(b'/');
        }
        if !fresh {
            let in_before = if is_folder {
                known.folders.contains_key(name)
            } else {
                known.files.contains_key(name)
            };
            if in_before {
                return false;
            }
            if known.ignored.contains(&key) {
                return true;
            }
        }
        let ignored = is_ignored(&self.chain, &self.path, is_folder);
        if ignored {
            known.ignored.insert(key);
        }
        ignored
    }

    fn file(
        &mut self,
        fd: &OwnedFd,
        name: &[u8],
        known: &mut Folder,
    ) -> Result<Option<(u32, Oid)>, Error> {
        let os_name = OsStr::from_bytes(name);
        let stat = match fs::statat(fd, os_name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(error) => return self.unless_gone(error).map(|()| None),
        };
        let Some(stamp) = stamp_of(&stat) else { return Ok(None) };
        if let Some(file) = known.files.get_mut(name)
            && file.settled
            && file.stamp == stamp
        {
            file.seen = self.number;
            return Ok(Some((stamp.mode, file.id)));
        }
        let (stat, content) = match read(fd, os_name, stat) {
            Ok(Some(read)) => read,
            Ok(None) => return Ok(None),
            Err(error) => return self.unless_gone(error).map(|()| None),
        };
        let Some(stamp) = stamp_of(&stat) else { return Ok(None) };
        let Some(id) = content.store(self.objects)? else {
            self.left.too_long.insert(self.inside().to_owned());
            return Ok(None);
        };
        self.hashed += 1;
        let settled = self.is_settled(&stat);
        known.files.insert(name.into(), Known { stamp, id, settled, seen: self.number });
        Ok(Some((stamp.mode, id)))
    }

    /// Puts a folder's own rules in force; tells whether they changed.
    fn rules(
        &mut self,
        fd: &OwnedFd,
        names: &[(Vec<u8>, FileType)],
        known: &mut Folder,
    ) -> Result<bool, Error> {
        let there =
            names.iter().any(|(name, kind)| name == IGNORE && *kind == FileType::RegularFile);
        if !there {
            return Ok(known.rules.take().is_some());
        }
        let name = OsStr::from_bytes(IGNORE);
        let Ok(stat) = fs::statat(fd, name, AtFlags::SYMLINK_NOFOLLOW) else {
            return Ok(known.rules.take().is_some());
        };
        if let Some(rules) = &known.rules
            && rules.settled
            && stamp_of(&stat) == Some(rules.stamp)
        {
            self.chain.push(Arc::clone(&rules.rules));
            return Ok(false);
        }
        let read = match read(fd, name, stat) {
            // As git does; that it is left out itself is told.
            Err(Errno::ACCESS) => None,
            read => read.map_err(|error| self.fail("read the `.gitignore` of", error))?,
        };
        let Some((stat, content)) = read else { return Ok(known.rules.take().is_some()) };
        let text = content::text(content);
        let Some(stamp) = stamp_of(&stat) else { return Ok(known.rules.take().is_some()) };
        let settled = self.is_settled(&stat);
        if let Some(rules) = &mut known.rules
            && rules.text == text
        {
            (rules.stamp, rules.settled) = (stamp, settled);
            self.chain.push(Arc::clone(&rules.rules));
            return Ok(false);
        }
        let rules = Arc::new(Rules::parse(&self.path, &text));
        self.chain.push(Arc::clone(&rules));
        known.rules = Some(FolderRules { stamp, settled, text, rules });
        Ok(true)
    }

    fn names(&self, fd: &OwnedFd) -> Result<Vec<(Vec<u8>, FileType)>, Error> {
        let fail = |error| self.fail("read the folder", error);
        let mut names = Vec::new();
        for entry in fs::Dir::read_from(fd).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let mut kind = entry.file_type();
            if kind == FileType::Unknown {
                let Ok(stat) = fs::statat(fd, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
                kind = FileType::from_raw_mode(stat.st_mode);
            }
            if matches!(kind, FileType::Directory | FileType::RegularFile | FileType::Symlink) {
                names.push((name.to_bytes().to_vec(), kind));
            }
        }
        names.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        Ok(names)
    }

    fn is_settled(&self, stat: &Stat) -> bool {
        (i128::from(stat.st_ctime), i128::from(stat.st_ctime_nsec)) < self.now
    }

    /// A file that vanished or became something else while we looked is not there, and one that may not be read is
    /// left out; any other failure is one.
    fn unless_gone(&mut self, error: Errno) -> Result<(), Error> {
        match error {
            Errno::ACCESS => {
                self.left.closed.insert(self.inside().to_owned());
                Ok(())
            }
            Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::INVAL => Ok(()),
            error => Err(self.fail("take a snapshot of", error)),
        }
    }

    /// Where it stands, from the workspace on.
    fn inside(&self) -> &Path {
        let below = self.path.get(self.prefix..).unwrap_or_default();
        Path::new(OsStr::from_bytes(below.strip_prefix(b"/").unwrap_or(below)))
    }

    fn fail(&self, what: &'static str, error: Errno) -> Error {
        Error::io(what, self.root.join(self.inside()))(error.into())
    }
}

/// The stamp of a file or link; `None` for anything else.
pub(super) fn stamp_of(stat: &Stat) -> Option<Stamp> {
    let mode = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile if stat.st_mode & 0o100 != 0 => tree::PROGRAM,
        FileType::RegularFile => tree::FILE,
        FileType::Symlink => tree::LINK,
        _ => return None,
    };
    Some(Stamp {
        ctime: (low32(stat.st_ctime), low32(stat.st_ctime_nsec)),
        mtime: (low32(stat.st_mtime), low32(stat.st_mtime_nsec)),
        device: low32(stat.st_dev),
        inode: low32(stat.st_ino),
        size: low32(stat.st_size),
        mode,
    })
}

fn low32(number: impl Into<i128>) -> u32 {
    u32::try_from(number.into() & 0xffff_ffff).unwrap_or(0)
}

/// Whether a folder is the top of a repository: git's own is in it, and is one.
pub(super) fn is_repository(fd: impl AsFd, names: &[(Vec<u8>, FileType)]) -> bool {
    names.iter().any(|(name, kind)| match kind {
        _ if name != b".git" => false,
        FileType::RegularFile => true,
        _ => fs::statat(&fd, ".git/HEAD", AtFlags::empty()).is_ok(),
    })
}

pub(super) const FOLDER_FLAGS: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const IGNORE: &[u8] = b".gitignore";
const MAX_DEPTH: usize = 256;
