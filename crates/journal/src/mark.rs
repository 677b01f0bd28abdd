//! Head marks: how far each run was known to be durable, outside the database.
//!
//! A database whose log lost its tail (a flipped byte ends it silently) still looks whole from inside.
//! `.botpipe/heads/<run>` names the last event that was durable, so the loss is seen. A mark is written
//! after the commit and never synced: it may lag behind the database, never run ahead of it.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use botpipe_kernel::ids::{Digest, RunId};

use crate::objects::digest_of;

const FOLDER: &str = "heads";

/// The last event of a run that was durable when the mark was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) seq: u64,
    pub(crate) hash: [u8; 32],
}

impl Mark {
    /// # Shape
    /// One line of fixed length: the sequence in 20 digits, the hash in hex, and the first 12 hex
    /// digits of the digest of both.
    fn line(&self) -> String {
        let text = format!("{:020} {}", self.seq, Digest::from_bytes(self.hash));
        let check = digest_of(text.as_bytes());
        format!("{text} {}\n", check.short())
    }

    /// Reads a mark back; `None` for one that is torn or altered, which is evidence of nothing.
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let seq = words.next()?.parse().ok()?;
        let hash = words.next()?;
        let mut bytes = [0; 32];
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(hash.get(2 * i..2 * i + 2)?, 16).ok()?;
        }
        let mark = Self { seq, hash: bytes };
        (mark.line() == line).then_some(mark)
    }
}

/// Where a run's mark is.
pub(crate) fn path(root: &Path, run: &RunId) -> PathBuf {
    root.join(FOLDER).join(run.as_str())
}

/// The mark of a run, if there is a readable one.
pub(crate) fn read(root: &Path, run: &RunId) -> Option<Mark> {
    Mark::parse(&fs::read_to_string(path(root, run)).ok()?)
}

/// The runs that have a mark.
pub(crate) fn runs(root: &Path) -> Vec<RunId> {
    let Ok(entries) = fs::read_dir(root.join(FOLDER)) else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// The marks of one writer, their files kept open.
pub(crate) struct Marks {
    folder: PathBuf,
    files: HashMap<RunId, File>,
}

impl Marks {
    pub(crate) fn new(root: &Path) -> Self {
        Self { folder: root.join(FOLDER), files: HashMap::new() }
    }

    /// Notes that a run is durable up to `mark`.
    ///
    /// What goes wrong here goes unsaid: the events are durable, and an old mark only sees less.
    pub(crate) fn write(&mut self, run: &RunId, mark: &Mark) {
        if !self.files.contains_key(run) {
            let Ok(file) = self.open(run) else { return };
            self.files.insert(run.clone(), file);
        }
        if let Some(file) = self.files.get(run) {
            let _ = file.write_all_at(mark.line().as_bytes(), 0);
        }
    }

    /// Closes the mark of a run that is no longer written here.
    pub(crate) fn close(&mut self, run: &RunId) {
        self.files.remove(run);
    }

    fn open(&self, run: &RunId) -> std::io::Result<File> {
        fs::create_dir_all(&self.folder)?;
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(self.folder.join(run.as_str()))
    }
}
