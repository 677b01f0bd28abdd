//! Writes a whole snapshot into a folder that nobody else knows yet.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;

use botpipe_kernel::run::SnapshotId;
use git2::ObjectType;
use rustix::fs::Stat;
use rustix::io::Errno;

use super::objects::{NotWritten, Objects};
use super::scan::{Folder, Known, stamp_of};
use super::tree::{self, Leaf, Paths};
use crate::workspace::Error;

/// What was written.
pub(super) struct CheckedOut {
    pub(super) files: Paths,
    /// Its files as they are now: who looks again need not read them.
    pub(super) known: Folder,
}

/// Writes every file and link of `snapshot` below `to`, an empty folder; `clock` is a file of ours on the
/// same file system.
///
/// # Errors
/// [`Error::Damaged`] when the snapshot is not whole, [`Error::Io`] when a place cannot be written.
pub(super) fn checkout(
    objects: &Objects<'_>,
    snapshot: &SnapshotId,
    to: &Path,
    clock: &Path,
) -> Result<CheckedOut, Error> {
    let paths = tree::flatten(objects, snapshot)?;
    let mut stats = Vec::with_capacity(paths.len());
    let mut made: &[u8] = b"";
    for (path, leaf) in &paths {
        let place = to.join(OsStr::from_bytes(path));
        let folder = tree::parent(path);
        if folder != made {
            let folder = to.join(OsStr::from_bytes(folder));
            fs::create_dir_all(&folder).map_err(Error::io("make", folder))?;
            made = tree::parent(path);
        }
        let stat = write(objects, *leaf, &place).map_err(|not| match not {
            NotWritten::Io(error) => Error::io("write", place)(error),
            NotWritten::Broken(broken) => {
                let path = String::from_utf8_lossy(path);
                tree::damaged(snapshot, format!("its `{path}`: {}", broken.0))
            }
        })?;
        stats.push((path, leaf.id, stat));
    }
    let now = file_system_time(clock).map_err(Error::io("write", clock))?;
    let mut known = Folder::default();
    for (path, id, stat) in stats {
        // One of the present clock tick could change and look the same.
        let settled = (i128::from(stat.st_ctime), i128::from(stat.st_ctime_nsec)) < now;
        if let Some(stamp) = stamp_of(&stat) {
            known.at(path, Known { stamp, id, settled, seen: 0 });
        }
    }
    Ok(CheckedOut { files: paths, known })
}

/// The file system's own time, by a file of ours that is written now.
fn file_system_time(clock: &Path) -> io::Result<(i128, i128)> {
    let stat = rustix::fs::fstat(fs::File::create(clock)?)?;
    Ok((stat.st_mtime.into(), stat.st_mtime_nsec.into()))
}

fn write(objects: &Objects<'_>, leaf: Leaf, place: &Path) -> Result<Stat, NotWritten> {
    let io = |error: Errno| NotWritten::Io(error.into());
    if leaf.mode == tree::LINK {
        let target = objects.read(leaf.id, ObjectType::Blob)?;
        symlink(OsStr::from_bytes(&target), place).map_err(NotWritten::Io)?;
        return rustix::fs::lstat(place).map_err(io);
    }
    let permissions = if leaf.mode == tree::PROGRAM { 0o777 } else { 0o666 };
    let file = objects.write_to(leaf.id, place, permissions)?;
    rustix::fs::fstat(&file).map_err(io)
}
