//! Whether git has the content of files that may not be read, whatever it calls it: as an object that a tag, a note,
//! another name or nothing leads to.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use git2::{ObjectType, Oid};
use sha2::{Digest as _, Sha256};

use crate::plain;

/// Files that may not be read, as far as their contents are looked for: so many, and so much of them.
pub(super) struct Contents {
    files: Vec<PathBuf>,
    /// Their numbers, sizes and times of change, which nobody can set.
    pub(super) stamp: String,
    /// The youngest of those times.
    pub(super) newest: i64,
}

impl Contents {
    /// Those of these files, and of the files in these folders.
    pub(super) fn of(there: &BTreeSet<PathBuf>) -> Self {
        let mut all = Self { files: Vec::new(), stamp: String::new(), newest: 0 };
        let mut next = Vec::new();
        let (mut left, mut looked) = (MOST_BYTES, 0);
        // What is named before what is in folders.
        for path in there.iter().rev() {
            match fs::symlink_metadata(path) {
                Ok(found) if found.is_dir() => next.push(path.clone()),
                Ok(found) => all.add(path.clone(), &found, &mut left),
                Err(_) => {}
            }
        }
        while let Some(folder) = next.pop().filter(|_| looked < MOST_NAMES) {
            // It tells itself.
            if folder.ends_with(".git") {
                continue;
            }
            let mut entries: Vec<PathBuf> =
                fs::read_dir(&folder).into_iter().flatten().flatten().map(|it| it.path()).collect();
            entries.sort();
            looked += entries.len();
            for path in entries {
                match fs::symlink_metadata(&path) {
                    Ok(found) if found.is_dir() => next.push(path),
                    Ok(found) => all.add(path, &found, &mut left),
                    Err(_) => {}
                }
            }
        }
        all
    }

    fn add(&mut self, path: PathBuf, found: &Metadata, left: &mut u64) {
        let size = found.len();
        // Every repository has the content of an empty file.
        if !found.is_file() || size == 0 || size > *left || self.files.len() == MOST_FILES {
            return;
        }
        *left -= size;
        self.newest = self.newest.max(found.ctime());
        let (number, time) = (found.ino(), (found.ctime(), found.ctime_nsec()));
        let _ = write!(self.stamp, "{number} {size} {} {};", time.0, time.1);
        self.files.push(path);
    }

    /// Each with what git would call its content.
    pub(super) fn ids(&self) -> impl Iterator<Item = (&Path, Vec<String>)> {
        self.files.iter().map(|path| (path.as_path(), ids_of(path)))
    }
}

/// What git would call the content of a file: as it is, and with the ends of lines that `core.autocrlf` and `eol`
/// have it store. Its filters are programs that a repository names, and are not asked.
pub(super) fn ids_of(path: &Path) -> Vec<String> {
    let Ok(bytes) = plain::peek(path, MOST_BYTES) else { return Vec::new() };
    let mut ids = names_of(&bytes);
    if bytes.windows(2).any(|pair| pair == b"\r\n") {
        let ends = bytes.iter().zip(bytes.iter().skip(1).chain([&0]));
        let other: Vec<u8> =
            ends.filter(|pair| *pair != (&b'\r', &b'\n')).map(|(byte, _)| *byte).collect();
        ids.extend(names_of(&other));
    }
    ids
}

/// Git's name of a content, by either of its hashes.
pub(super) fn names_of(bytes: &[u8]) -> Vec<String> {
    let mut sha256 = Sha256::new();
    sha256.update(format!("blob {}\0", bytes.len()));
    sha256.update(bytes);
    let sha256 = sha256.finalize().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    let sha1 = Oid::hash_object(ObjectType::Blob, bytes).map(|id| id.to_string());
    sha1.into_iter().chain([sha256]).collect()
}

const MOST_FILES: usize = 4096;
/// Names in denied folders that are looked at, at each start: not all of them are of files.
const MOST_NAMES: usize = 16_384;
const MOST_BYTES: u64 = 64 << 20;

#[cfg(test)]
mod tests {
    use std::fs;

    #[test]
    fn a_content_has_the_names_that_git_gives_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "a\r\nb\r").unwrap();
        let ids = super::ids_of(&file);
        // As `git hash-object --no-filters` says of it, and of `a\nb\r`.
        assert_eq!(ids[0], "26826e823a1c31b4f413acfd693f3b78dedfcbb8");
        assert_eq!(ids[2], "8fca5113c44fb2b61ab8a3ba4894b4eb94f77de6");
        assert_eq!(ids.len(), 4);
    }
}
