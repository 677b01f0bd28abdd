//! Makes sure that a power cut finds what was written: a few files one by one, many with all that the file
//! system holds back.
//!
//! All of it may be much that nobody here waits for: the copies of branches, or what other programs write.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;

use super::apply::open_folder;
use super::tree;

/// So many files are written down one by one.
const FEW: usize = 128;

/// All that the file system holds back.
pub(super) fn sync(place: &OwnedFd) {
    #[cfg(target_os = "linux")]
    let _unsupported = rustix::fs::syncfs(place);
    #[cfg(not(target_os = "linux"))]
    let _unsupported = rustix::fs::fsync(place);
}

/// Files below `top` that were written or removed, and the folders they are in.
pub(super) fn sync_paths<'p>(top: &OwnedFd, paths: impl Iterator<Item = &'p Vec<u8>>) {
    let paths: Vec<_> = paths.take(FEW + 1).collect();
    if paths.len() > FEW || one_by_one(top, &paths).is_err() {
        sync(top);
    }
}

fn one_by_one(top: &OwnedFd, paths: &[&Vec<u8>]) -> Result<(), Errno> {
    let gone = |error: &Errno| matches!(*error, Errno::NOENT | Errno::NOTDIR | Errno::LOOP);
    let mut folders = BTreeSet::new();
    for path in paths {
        let mut above = tree::parent(path);
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let name = path[above.len()..].strip_prefix(b"/").unwrap_or(path);
        let file = open_folder(top, above)
            .and_then(|folder| openat(&folder, OsStr::from_bytes(name), flags, Mode::empty()));
        match file {
            Ok(file) => rustix::fs::fsync(file)?,
            Err(error) if gone(&error) => {}
            Err(error) => return Err(error),
        }
        while folders.insert(above) && !above.is_empty() {
            above = tree::parent(above);
        }
    }
    for folder in folders {
        match open_folder(top, folder) {
            Ok(folder) => rustix::fs::fsync(folder)?,
            Err(error) if gone(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// By its time it says since when objects may not be on the disk.
const SETTLED: &str = "settled";

/// All objects and refs of the snapshot repository `folder`, whoever wrote them, and those it borrows.
///
/// Only what is newer than the last time is looked at.
pub(super) fn settle(folder: &Path, places: &[PathBuf]) -> io::Result<()> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let began = folder.join(format!("settling-{}-{number}", std::process::id()));
    File::create(&began)?;
    let since = match fs::metadata(folder.join(SETTLED)) {
        Ok(it) => Some((it.mtime(), it.mtime_nsec())),
        Err(_) => None,
    };
    let settled = fresh(folder, places, since).and_then(|fresh| {
        let Some(fresh) = fresh else { return Ok(false) };
        for path in fresh {
            match File::open(path) {
                Ok(it) => it.sync_all()?,
                // What is being written has another name by now, and is the next one's.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    });
    if !settled.unwrap_or(false) {
        for place in places {
            sync(&File::open(place)?.into());
        }
    }
    fs::rename(began, folder.join(SETTLED))
}

/// Removes what killed processes left.
pub(super) fn remove_unfinished(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().as_bytes().starts_with(b"settling-") {
            let _gone = fs::remove_file(entry.path());
        }
    }
}

/// The files that are not known to be on the disk, and after them their folders; `None`: too many.
fn fresh(
    folder: &Path,
    places: &[PathBuf],
    since: Option<(i64, i64)>,
) -> io::Result<Option<Vec<PathBuf>>> {
    let mut folders = vec![folder.join("refs/kept"), folder.join("refs"), folder.to_owned()];
    for place in places {
        folders.extend((0..=255).map(|byte: u8| place.join(format!("{byte:02x}"))));
        folders.extend([place.join("pack"), place.clone()]);
    }
    let (mut files, mut changed) = (Vec::new(), Vec::new());
    for folder in folders {
        let found = match fs::metadata(&folder) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        // A file gets there by its name, and keeps its content.
        if Some((found.mtime(), found.mtime_nsec())) < since {
            continue;
        }
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let Ok(found) = entry.metadata() else { continue };
            if found.is_file() && Some((found.ctime(), found.ctime_nsec())) >= since {
                files.push(entry.path());
            }
            if files.len() > FEW {
                return Ok(None);
            }
        }
        changed.push(folder);
    }
    files.extend(changed);
    Ok(Some(files))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_since_the_last_time_is_fresh_and_much_of_it_is_too_much() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("objects");
        fs::create_dir_all(place.join("ab")).unwrap();
        fs::create_dir_all(place.join("pack")).unwrap();
        let places = [place.clone()];
        let since = || {
            fs::metadata(folder.path().join(SETTLED)).ok().map(|it| (it.mtime(), it.mtime_nsec()))
        };
        let names = || {
            let fresh = fresh(folder.path(), &places, since()).unwrap()?;
            let files = fresh.into_iter().filter(|path| path.is_file());
            Some(files.map(|it| it.file_name().unwrap().to_owned()).collect::<Vec<_>>())
        };
        fs::write(place.join("ab/one"), "1").unwrap();
        assert_eq!(names().unwrap(), ["one"]);
        settle(folder.path(), &places).unwrap();
        // What came in the very moment may be taken twice.
        while {
            fs::write(place.join("clock"), "").unwrap();
            fs::metadata(place.join("clock")).unwrap().ctime_nsec()
        } == since().unwrap().1
        {}
        fs::write(place.join("pack/two"), "2").unwrap();
        assert!(names().unwrap().contains(&"two".into()));
        settle(folder.path(), &places).unwrap();
        for n in 0..=FEW {
            fs::write(place.join(format!("ab/{n}")), "3").unwrap();
        }
        assert_eq!(names(), None);
        settle(folder.path(), &places).unwrap();
        let left = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 2, "objects and the mark");
    }
}
