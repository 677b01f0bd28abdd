//! Writes a whole snapshot into a folder that nobody else knows yet.

use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::Path;

use botpipe_kernel::run::SnapshotId;
use git2::ObjectType;
use rustix::fs::Stat;

use super::objects::Objects;
use super::scan::{Folder, Known, stamp_of};
use super::tree::{self, Paths};
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
        let content = objects.read(leaf.id, ObjectType::Blob).map_err(|broken| {
            let path = String::from_utf8_lossy(path);
            tree::damaged(snapshot, format!("its `{path}`: {}", broken.0))
        })?;
        let folder = tree::parent(path);
        if folder != made {
            let folder = to.join(OsStr::from_bytes(folder));
            fs::create_dir_all(&folder).map_err(Error::io("make", folder))?;
            made = tree::parent(path);
        }
        let stat = write(&place, leaf.mode, &content).map_err(Error::io("write", place))?;
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

fn write(place: &Path, mode: u32, content: &[u8]) -> io::Result<Stat> {
    if mode == tree::LINK {
        symlink(OsStr::from_bytes(content), place)?;
        return Ok(rustix::fs::lstat(place)?);
    }
    let permissions = if mode == tree::PROGRAM { 0o777 } else { 0o666 };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(permissions).open(place)?;
    file.write_all(content)?;
    Ok(rustix::fs::fstat(&file)?)
}
