//! The names in a workspace, read once and kept: a later look reads only the folders that changed since.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::{deep, side_by_side};

/// The names in a workspace by the folders they are in.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    /// By the path relative to the workspace; the workspace itself is the empty one.
    folders: BTreeMap<PathBuf, Arc<Folder>>,
}

#[derive(Debug, Clone)]
struct Folder {
    stamp: Stamp,
    entries: Vec<Entry>,
    /// Its files that had another name somewhere when it was read. A name that is made in the workspace has
    /// its folder read again; one that is made outside for a file of the workspace does not.
    linked: Vec<Inode>,
    /// An attribute by which an overlay would hide what is in it.
    hiding: Option<String>,
    /// Its pipes and sockets.
    doors: Vec<OsString>,
}

/// A file whatever it is called: its device, and its number there.
pub(super) type Inode = (u64, u64);

/// One name in a folder.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) name: OsString,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Folder,
    Link,
    Socket,
    Other,
}

/// What tells that the names in a folder are still the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    device: u64,
    changed: (i64, i64),
    /// It had not changed for a while when it was read: a change in the same tick of the file system's
    /// clock would show no difference.
    settled: bool,
}

/// Longer than a tick of any file system's clock in use (ext4 and btrfs: up to 10 ms; some: 1 s or 2 s).
const TICK: Duration = Duration::from_secs(3);

/// What the last look through a state found.
struct Shared {
    /// The files with several names that the workspace had then.
    of_workspace: BTreeSet<Inode>,
    /// Those of them that are of the state.
    of_state: BTreeSet<Inode>,
}

/// By the folder of the state.
static SHARED: Mutex<BTreeMap<PathBuf, Shared>> = Mutex::new(BTreeMap::new());

/// What is known of workspaces by their paths.
static KNOWN: Mutex<BTreeMap<PathBuf, Arc<Names>>> = Mutex::new(BTreeMap::new());

/// What is not looked through in a workspace: what is ours, and what is of git alone and long.
pub(super) fn not_entered() -> Vec<PathBuf> {
    vec![".botpipe".into(), ".git/objects".into()]
}

/// The same of any other folder, where nothing is ours.
pub(super) fn of_git_alone() -> Vec<PathBuf> {
    vec![".git/objects".into()]
}

/// Names of a workspace as they are now, and its folders that whoever runs this has no right to read. Folders in
/// `without` are not entered.
///
/// # Errors
/// A folder that cannot be read for another reason, or the workspace itself: what is in it cannot be judged.
pub(super) fn names(
    workspace: &Path,
    without: &[PathBuf],
) -> io::Result<(Arc<Names>, Vec<PathBuf>)> {
    let (names, unread) = as_far_as_read(workspace, without);
    let closed = unread.into_iter().map(|(path, e)| {
        if e.kind() == io::ErrorKind::PermissionDenied && path != workspace {
            return Ok(path);
        }
        Err(io::Error::new(e.kind(), format!("`{}`: {e}", path.display())))
    });
    Ok((names, closed.collect::<io::Result<_>>()?))
}

/// The same of all that can be read, and what cannot.
pub(super) fn as_far_as_read(
    workspace: &Path,
    without: &[PathBuf],
) -> (Arc<Names>, Vec<(PathBuf, io::Error)>) {
    let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let before = known().get(workspace).map(Arc::clone).unwrap_or_default();
    let (mut now, mut unread) = (Names::default(), Vec::new());
    let mut level = vec![PathBuf::new()];
    while !level.is_empty() {
        let read = side_by_side::map(&level, |folder| {
            look(&workspace.join(folder), before.folders.get(folder))
        });
        let mut inner = Vec::new();
        for (folder, read) in level.into_iter().zip(read) {
            let read = match read {
                Ok(read) => read,
                // Gone since its name was read.
                Err(e) if e.kind() == io::ErrorKind::NotFound && !folder.as_os_str().is_empty() => {
                    continue;
                }
                Err(e) => {
                    unread.push((workspace.join(folder), e));
                    continue;
                }
            };
            let folders = read.entries.iter().filter(|entry| entry.kind == Kind::Folder);
            let folders = folders.map(|entry| folder.join(&entry.name));
            inner.extend(folders.filter(|inner| !without.contains(inner)));
            now.folders.insert(folder, read);
        }
        level = inner;
    }
    let now = Arc::new(now);
    known().insert(workspace.to_owned(), Arc::clone(&now));
    (now, unread)
}

/// Forgets all names: a program that nothing held may have given files names anywhere, which no folder of a
/// workspace shows.
pub(super) fn forget() {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner).clear();
    SHARED.lock().unwrap_or_else(PoisonError::into_inner).clear();
}

/// What is in folders that changed since these names were read, or may have.
pub(super) fn changed(workspace: &Path, before: &Names) -> Vec<PathBuf> {
    let folders: Vec<_> = before.folders.iter().collect();
    let now = side_by_side::map(&folders, |(folder, read)| {
        let path = workspace.join(folder);
        // One that cannot be read is gone.
        let now = look(&path, Some(read)).ok().filter(|now| !Arc::ptr_eq(now, read))?;
        Some((path, now))
    });
    let within = |(path, now): (PathBuf, Arc<Folder>)| {
        now.entries.iter().map(|entry| path.join(&entry.name)).collect::<Vec<_>>()
    };
    now.into_iter().flatten().flat_map(within).collect()
}

/// Every other name in the workspace of these files, and of those in these folders (hard links). `state` is
/// the folder of ours, which holds all that ever happened.
pub(super) fn other_names(
    known: &BTreeSet<PathBuf>,
    workspace: &Path,
    state: &Path,
    names: &Names,
) -> BTreeSet<PathBuf> {
    let others = known.iter().filter(|path| *path != state);
    let mut inodes = several_names(others.cloned().collect());
    if known.contains(state) {
        inodes.extend(of_state(state, names.linked()));
    }
    if inodes.is_empty() {
        return BTreeSet::new();
    }
    let files = names.entries().filter(|(_, entry)| entry.kind == Kind::Other);
    let files = files.map(|(path, _)| workspace.join(path));
    files
        .filter(|path| fs::symlink_metadata(path).is_ok_and(|it| inodes.contains(&inode(&it))))
        .filter(|path| !known.contains(path))
        .collect()
}

/// Those of some files that are of the state. It holds all that ever happened, so it is looked through only
/// when they are others than before. No confined program can make a name in it for a file of the workspace,
/// or the other way round (they are on mounts of their own); of what an unconfined one did, see [`forget`].
fn of_state(state: &Path, linked: BTreeSet<Inode>) -> BTreeSet<Inode> {
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if linked.is_empty() {
        shared.remove(state);
        return linked;
    }
    if let Some(before) = shared.get(state).filter(|before| before.of_workspace == linked) {
        return before.of_state.clone();
    }
    let found = several_names(vec![state.to_owned()]);
    let found: BTreeSet<Inode> = found.intersection(&linked).copied().collect();
    shared.insert(state.to_owned(), Shared { of_workspace: linked, of_state: found.clone() });
    found
}

/// Those of these files, and of the files in these folders, that have several names.
pub(super) fn several_names(mut next: Vec<PathBuf>) -> BTreeSet<Inode> {
    let mut inodes = BTreeSet::new();
    while let Some(path) = next.pop() {
        let Ok(status) = fs::symlink_metadata(&path) else { continue };
        if status.is_dir() {
            let entries = fs::read_dir(&path).into_iter().flatten().flatten();
            next.extend(entries.map(|entry| entry.path()));
        } else if status.is_file() && status.nlink() > 1 {
            inodes.insert(inode(&status));
        }
    }
    inodes
}

pub(super) fn inode(status: &fs::Metadata) -> Inode {
    (status.dev(), status.ino())
}

/// Whether something has not changed for a while: by the time of its change, which nobody can set, unlike that of its
/// contents.
pub(super) fn has_settled(status: &fs::Metadata) -> bool {
    let seconds = u64::try_from(status.ctime()).unwrap_or(0);
    let age =
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
    age.is_ok_and(|age| age > TICK)
}

fn look(path: &Path, before: Option<&Arc<Folder>>) -> io::Result<Arc<Folder>> {
    let reached = deep::reach(path)?;
    let path = reached.path();
    let status = fs::symlink_metadata(path)?;
    let changed = (status.ctime(), status.ctime_nsec());
    let settled = has_settled(&status);
    let stamp = Stamp { inode: status.ino(), device: status.dev(), changed, settled };
    if let Some(before) = before.filter(|before| before.stamp.settled && before.stamp == stamp) {
        return Ok(Arc::clone(before));
    }
    let (mut entries, mut linked, mut doors) = (Vec::new(), Vec::new(), Vec::new());
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        let kind = match kind {
            kind if kind.is_dir() => Kind::Folder,
            kind if kind.is_symlink() => Kind::Link,
            kind if kind.is_socket() => Kind::Socket,
            _ => {
                // One that is gone by now has no name.
                let status = entry.metadata().ok().filter(|status| status.nlink() > 1);
                linked.extend(status.as_ref().map(inode));
                if kind.is_fifo() || kind.is_socket() {
                    doors.push(entry.file_name());
                }
                Kind::Other
            }
        };
        entries.push(Entry { name: entry.file_name(), kind });
    }
    Ok(Arc::new(Folder { stamp, entries, linked, doors, hiding: hiding(path)? }))
}

/// The first of a folder's attributes that an overlay heeds. Setting one changes the folder's stamp.
fn hiding(folder: &Path) -> io::Result<Option<String>> {
    let mut names = vec![0; 1 << 10];
    let length = loop {
        match rustix::fs::llistxattr(folder, &mut names) {
            Ok(length) => break length,
            Err(rustix::io::Errno::RANGE) if names.len() < 1 << 16 => names.resize(1 << 16, 0),
            Err(rustix::io::Errno::NOTSUP | rustix::io::Errno::NOENT) => return Ok(None),
            Err(e) => return Err(e.into()),
        }
    };
    let mut names = names[..length].split(|byte| *byte == 0);
    let found = names.find(|name| name.starts_with(b"user.overlay."));
    Ok(found.map(|name| String::from_utf8_lossy(name).into_owned()))
}

impl Names {
    /// Every folder, the workspace first.
    pub(super) fn folders(&self) -> impl Iterator<Item = &Path> {
        self.folders.keys().map(PathBuf::as_path)
    }

    /// Every folder, and the names in it.
    pub(super) fn all(&self) -> impl Iterator<Item = (&Path, &[Entry])> {
        self.folders.iter().map(|(folder, read)| (folder.as_path(), read.entries.as_slice()))
    }

    /// A folder with an attribute by which an overlay would hide what is in it.
    pub(super) fn hiding(&self) -> Option<(&Path, &str)> {
        self.folders.iter().find_map(|(folder, read)| Some((&**folder, read.hiding.as_deref()?)))
    }

    /// Whether this is a folder of it, by its path relative to it.
    pub(super) fn has(&self, folder: &Path) -> bool {
        self.folders.contains_key(folder)
    }

    /// Its pipes and sockets, each relative to it.
    pub(super) fn doors(&self) -> impl Iterator<Item = PathBuf> {
        self.folders
            .iter()
            .flat_map(|(folder, read)| read.doors.iter().map(move |name| folder.join(name)))
    }

    /// Its files that have several names, in it or elsewhere.
    pub(super) fn linked(&self) -> BTreeSet<Inode> {
        self.folders.values().flat_map(|read| &read.linked).copied().collect()
    }

    /// Everything in it, with its path relative to the workspace.
    pub(super) fn entries(&self) -> impl Iterator<Item = (PathBuf, &Entry)> {
        self.folders.iter().flat_map(|(folder, read)| {
            read.entries.iter().map(move |entry| (folder.join(&entry.name), entry))
        })
    }

    /// Everything below a folder, with its path relative to the workspace.
    pub(super) fn below<'a>(
        &'a self,
        folder: &'a Path,
    ) -> impl Iterator<Item = (PathBuf, Kind)> + 'a {
        let inside = self.folders.range(folder.to_owned()..);
        let inside = inside.take_while(move |(path, _)| path.starts_with(folder));
        inside.flat_map(|(folder, read)| {
            read.entries.iter().map(move |entry| (folder.join(&entry.name), entry.kind))
        })
    }

    /// Its sockets. No path is made for what is none: there are many files.
    pub(super) fn sockets(&self) -> impl Iterator<Item = PathBuf> {
        self.folders.iter().flat_map(|(folder, read)| {
            let found = read.entries.iter().filter(|entry| entry.kind == Kind::Socket);
            found.map(move |entry| folder.join(&entry.name))
        })
    }

    /// The folders that hold this name, and what it is there.
    pub(super) fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (PathBuf, Kind)> + 'a {
        self.folders.iter().flat_map(move |(folder, read)| {
            let found = read.entries.iter().filter(move |entry| entry.name == name);
            found.map(move |entry| (folder.join(name), entry.kind))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::{forget, names, other_names};

    fn seen(folder: &Path) -> BTreeSet<PathBuf> {
        names(folder, &[PathBuf::from("left")]).unwrap().0.entries().map(|(path, _)| path).collect()
    }

    /// Whatever changes between two looks, the second tells the truth: what was kept is never believed
    /// when it may be old.
    #[test]
    fn every_look_sees_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("a/b")).unwrap();
        fs::create_dir_all(at("left/inner")).unwrap();
        let mut expected: BTreeSet<PathBuf> =
            ["a", "a/b", "left"].into_iter().map(PathBuf::from).collect();
        assert_eq!(seen(folder.path()), expected);
        for round in 0..50 {
            let name = format!("a/b/{round}");
            fs::write(at(&name), "").unwrap();
            expected.insert(name.into());
            assert_eq!(seen(folder.path()), expected, "made in the same tick as the last look");
            if round % 3 == 0 {
                fs::rename(at("a/b"), at("a/moved")).unwrap();
                fs::create_dir(at("a/b")).unwrap();
                let moved = expected.iter().map(|path| match path.strip_prefix("a/b") {
                    Ok(rest) if rest.as_os_str().is_empty() => PathBuf::from("a/moved"),
                    Ok(rest) => Path::new("a/moved").join(rest),
                    Err(_) => path.clone(),
                });
                expected = moved.collect();
                expected.insert("a/b".into());
                assert_eq!(seen(folder.path()), expected, "another folder of the same name");
                fs::remove_dir_all(at("a/moved")).unwrap();
                expected.retain(|path| !path.starts_with("a/moved"));
                assert_eq!(seen(folder.path()), expected);
            }
        }
    }

    /// Who may write a folder can set the time of its contents, and the next change must be seen all the same.
    #[test]
    fn a_folder_that_seems_old_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("old")).unwrap();
        let long_ago = std::time::SystemTime::now() - std::time::Duration::from_hours(1);
        let pretend = || {
            let old = fs::File::open(folder.path().join("old")).unwrap();
            old.set_modified(long_ago).unwrap();
        };
        for name in ["one", "two", "three"] {
            fs::write(folder.path().join("old").join(name), "").unwrap();
            pretend();
            assert!(seen(folder.path()).contains(&Path::new("old").join(name)));
        }
        let (names, _) = names(folder.path(), &[]).unwrap();
        assert!(!names.folders[Path::new("old")].stamp.settled);
    }

    /// Also one that is made when the state was looked through before, and found nothing.
    #[test]
    fn a_file_of_the_state_is_known_by_every_name_it_gets() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("left/objects/ab")).unwrap();
        fs::create_dir(at("out")).unwrap();
        fs::write(at("left/objects/ab/cd"), "kept").unwrap();
        let known = BTreeSet::from([at("left")]);
        let others = || {
            let (names, _) = names(folder.path(), &[PathBuf::from("left")]).unwrap();
            other_names(&known, folder.path(), &at("left"), &names)
        };
        assert_eq!(others(), BTreeSet::new());
        // As a build makes them.
        fs::write(at("out/lib"), "").unwrap();
        fs::hard_link(at("out/lib"), at("out/lib-1")).unwrap();
        assert_eq!(others(), BTreeSet::new());
        fs::hard_link(at("left/objects/ab/cd"), at("out/one")).unwrap();
        assert_eq!(others(), BTreeSet::from([at("out/one")]));
        fs::hard_link(at("left/objects/ab/cd"), at("two")).unwrap();
        assert_eq!(others(), BTreeSet::from([at("out/one"), at("two")]));
        fs::remove_file(at("out/one")).unwrap();
        assert_eq!(others(), BTreeSet::from([at("two")]));
    }

    /// Nothing of the workspace shows it when one of its files gets a name elsewhere.
    #[test]
    fn a_name_made_outside_for_a_settled_file_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for made in ["w/d", "w/left", "secret"] {
            fs::create_dir_all(at(made)).unwrap();
        }
        for file in ["w/d/key", "w/d/log", "w/d/one"] {
            fs::write(at(file), "").unwrap();
        }
        // Something always has two names, as in a build's folder.
        fs::hard_link(at("w/d/one"), at("w/d/two")).unwrap();
        std::thread::sleep(super::TICK + std::time::Duration::from_millis(1100));
        let known = BTreeSet::from([at("secret"), at("w/left")]);
        let others = || {
            let (names, _) = names(&at("w"), &[PathBuf::from("left")]).unwrap();
            other_names(&known, &at("w"), &at("w/left"), &names)
        };
        assert_eq!(others(), BTreeSet::new());
        fs::hard_link(at("w/d/key"), at("secret/id")).unwrap();
        assert_eq!(others(), BTreeSet::from([at("w/d/key")]));
        // In the state: by a program that nothing held.
        for (file, name) in [("w/d/log", "w/left/log"), ("w/d/one", "w/left/one")] {
            fs::hard_link(at(file), at(name)).unwrap();
        }
        forget();
        let all = ["w/d/key", "w/d/log", "w/d/one", "w/d/two"];
        assert_eq!(others(), all.map(at).into_iter().collect());
    }

    #[test]
    fn what_has_settled_is_kept_and_what_changes_then_is_told() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("a/b")).unwrap();
        std::thread::sleep(super::TICK + std::time::Duration::from_millis(1100));
        let (first, _) = names(folder.path(), &[]).unwrap();
        let (second, _) = names(folder.path(), &[]).unwrap();
        let same = |path: &str| {
            let path = Path::new(path);
            std::sync::Arc::ptr_eq(&first.folders[path], &second.folders[path])
        };
        assert!(same("") && same("a") && same("a/b"));
        assert_eq!(super::changed(folder.path(), &second), Vec::<PathBuf>::new());
        fs::write(folder.path().join("a/b/new"), "").unwrap();
        assert_eq!(super::changed(folder.path(), &second), [folder.path().join("a/b/new")]);
        assert!(seen(folder.path()).contains(Path::new("a/b/new")));
    }
}
