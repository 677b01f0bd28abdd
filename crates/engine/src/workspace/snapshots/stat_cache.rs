//! What is known of the files between processes: a git index that nobody stages into.

use std::path::Path;

use git2::{Index, IndexEntry, IndexTime};

use super::objects::Objects;
use super::scan::{Folder, Known, Stamp};

/// Its name in the snapshot repository.
pub(super) const NAME: &str = "index";

/// Reads it; an index that cannot be read is as good as none. Entries whose object is gone are left
/// out, so that the file is read and stored again.
pub(super) fn load(path: &Path, objects: &Objects<'_>) -> Folder {
    let mut top = Folder::default();
    let Ok(index) = Index::open(path) else { return top };
    for entry in index.iter() {
        if !objects.has(entry.id) {
            continue;
        }
        let stamp = Stamp {
            ctime: (entry.ctime.seconds().cast_unsigned(), entry.ctime.nanoseconds()),
            mtime: (entry.mtime.seconds().cast_unsigned(), entry.mtime.nanoseconds()),
            device: entry.dev,
            inode: entry.ino,
            size: entry.file_size,
            mode: entry.mode,
        };
        top.at(&entry.path, Known { stamp, id: entry.id, settled: true, seen: 0 });
    }
    top
}

/// Writes it at once, in place of the one before.
pub(super) fn save(path: &Path, top: &Folder) -> Result<(), git2::Error> {
    let mut index = Index::open(path)?;
    index.clear()?;
    let mut open: Vec<(Vec<u8>, &Folder)> = vec![(Vec::new(), top)];
    while let Some((place, folder)) = open.pop() {
        for (name, known) in folder.files.iter().filter(|(_, known)| known.settled) {
            index.add(&entry(super::tree::join(&place, name), known))?;
        }
        for (name, below) in &folder.folders {
            open.push((super::tree::join(&place, name), below));
        }
    }
    index.write()
}

fn entry(path: Vec<u8>, known: &Known) -> IndexEntry {
    let time =
        |(seconds, nanoseconds): (u32, u32)| IndexTime::new(seconds.cast_signed(), nanoseconds);
    IndexEntry {
        ctime: time(known.stamp.ctime),
        mtime: time(known.stamp.mtime),
        dev: known.stamp.device,
        ino: known.stamp.inode,
        mode: known.stamp.mode,
        uid: 0,
        gid: 0,
        file_size: known.stamp.size,
        id: known.id,
        flags: 0,
        flags_extended: 0,
        path,
    }
}
