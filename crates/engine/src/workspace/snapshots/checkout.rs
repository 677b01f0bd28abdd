//! Writes a whole snapshot into a folder that nobody else knows yet.

use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::Path;

use botpipe_kernel::run::SnapshotId;
use git2::ObjectType;

use super::objects::Objects;
use super::tree::{self, Paths};
use crate::workspace::Error;

/// Writes every file and link of `snapshot` below `to`, an empty folder; what was written.
///
/// # Errors
/// [`Error::Damaged`] when the snapshot is not whole, [`Error::Io`] when a place cannot be written.
pub(super) fn checkout(
    objects: &Objects<'_>,
    snapshot: &SnapshotId,
    to: &Path,
) -> Result<Paths, Error> {
    let paths = tree::flatten(objects, snapshot)?;
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
        write(&place, leaf.mode, &content).map_err(Error::io("write", place))?;
    }
    Ok(paths)
}

fn write(place: &Path, mode: u32, content: &[u8]) -> io::Result<()> {
    if mode == tree::LINK {
        return symlink(OsStr::from_bytes(content), place);
    }
    let permissions = if mode == tree::PROGRAM { 0o777 } else { 0o666 };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(permissions).open(place)?;
    file.write_all(content)
}
