//! Files and folders that stand in for missing ones while programs run, so that those cannot be made. They
//! are removed when the last program that needs them has ended, of whichever Botpipe; one that an owner left behind who died is
//! known by what it holds, and taken over by the next.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{FlockOperation, OFlags, flock};

use super::Placeholder;
use crate::plain::{self, peek_text};

/// One that programs of this process need.
struct Needed {
    by: usize,
    /// Held by a shared lock: another Botpipe that needs it holds one too, and whoever goes last removes it.
    held: File,
}

static NEEDED: Mutex<BTreeMap<PathBuf, Needed>> = Mutex::new(BTreeMap::new());

fn needed() -> MutexGuard<'static, BTreeMap<PathBuf, Needed>> {
    NEEDED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether what is at a path only stands in for something that is missing: for a program of this process, or of
/// another Botpipe.
pub(super) fn stands_in(path: &Path) -> bool {
    let others = || {
        let empty = fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none());
        let locked = |file: File| flock(&file, FlockOperation::NonBlockingLockExclusive).is_err();
        empty && open(path).is_ok_and(locked)
    };
    needed().contains_key(path) || others()
}

/// Whether something is at a path that does not only stand in.
pub(super) fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok() && !stands_in(path)
}

fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)
}

/// What a program needs to stand there. Dropped, it is removed, unless others need it or it was used.
#[derive(Debug, Default)]
pub(crate) struct Placeholders {
    ours: Vec<Placeholder>,
}

impl Placeholders {
    /// Makes what is missing.
    pub(crate) fn make(wanted: &[Placeholder]) -> io::Result<Self> {
        let mut made = Self::default();
        let mut needed = needed();
        for placeholder in wanted {
            let path = &placeholder.path;
            if let Some(known) = needed.get_mut(path) {
                known.by += 1;
                made.ours.push(placeholder.clone());
                continue;
            }
            let mut tries = 0..TRIES;
            let held = loop {
                match stand(placeholder) {
                    Err(error)
                        if error.kind() == io::ErrorKind::NotFound && tries.next().is_some() => {}
                    done => break done?,
                }
            };
            let Some(held) = held else { continue };
            needed.insert(path.clone(), Needed { by: 1, held });
            made.ours.push(placeholder.clone());
        }
        Ok(made)
    }
}

/// How often one is made again that another Botpipe removes meanwhile.
const TRIES: usize = 100;

/// Makes one and holds it; nothing where somebody made something else there since it was looked for.
///
/// # Errors
/// `NotFound`: it was removed meanwhile.
fn stand(placeholder: &Placeholder) -> io::Result<Option<File>> {
    let path = &placeholder.path;
    match (fs::symlink_metadata(path), placeholder.contents) {
        (Ok(_), contents) if !is_as_made(contents, path) => return Ok(None),
        (Ok(there), Some(contents)) if there.is_file() => {
            // A program may have written more to it.
            if there.len() != contents.len() as u64
                || plain::peek(path, plain::SMALL)? != contents.as_bytes()
            {
                fs::write(path, contents)?;
            }
        }
        (Ok(_), _) => {}
        (Err(_), None) => fs::create_dir(path)?,
        (Err(_), Some(contents)) => fs::write(path, contents)?,
    }
    let held = open(path)?;
    flock(&held, FlockOperation::LockShared)?;
    let (ours, now) = (held.metadata()?, fs::symlink_metadata(path)?);
    let same = (ours.dev(), ours.ino()) == (now.dev(), now.ino());
    if same { Ok(Some(held)) } else { Err(io::ErrorKind::NotFound.into()) }
}

impl Drop for Placeholders {
    fn drop(&mut self) {
        let mut needed = needed();
        for placeholder in self.ours.iter().rev() {
            let path = &placeholder.path;
            let Some(known) = needed.get_mut(path) else { continue };
            known.by -= 1;
            if known.by > 0 {
                continue;
            }
            let held = needed.remove(path).map(|known| known.held);
            let last = |held: &File| flock(held, FlockOperation::NonBlockingLockExclusive).is_ok();
            if held.as_ref().is_some_and(last) {
                remove(placeholder.contents, path);
            }
        }
    }
}

/// Whether what is there is what would be made: an empty folder, or a file of these contents, as far as they
/// were written by an owner who died.
pub(super) fn is_as_made(contents: Option<&str>, path: &Path) -> bool {
    let is = |contents: &str| peek_text(path).is_some_and(|now| contents.starts_with(&now));
    fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none()) || contents.is_some_and(is)
}

/// Removes one that is as it was made; what somebody put there stays.
fn remove(contents: Option<&str>, path: &Path) {
    match contents {
        None => drop(fs::remove_dir(path)),
        Some(contents) => {
            if peek_text(path).is_some_and(|now| now == contents) {
                drop(fs::remove_file(path));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(folder: &Path) -> Placeholder {
        Placeholder { path: folder.join("commondir"), contents: Some(".\n") }
    }

    /// An owner may die between making the file and writing it.
    #[test]
    fn one_that_was_begun_is_finished_and_goes_with_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let wanted = wanted(folder.path());
        for left in [None, Some(""), Some("."), Some(".\n")] {
            if let Some(left) = left {
                fs::write(&wanted.path, left).unwrap();
            }
            let stands = Placeholders::make(std::slice::from_ref(&wanted)).unwrap();
            assert_eq!(fs::read_to_string(&wanted.path).unwrap(), ".\n", "{left:?}");
            drop(stands);
            assert!(!wanted.path.exists(), "{left:?}");
        }
    }

    #[test]
    fn one_that_another_botpipe_needs_stays_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let hooks = Placeholder { path: folder.path().join("hooks"), contents: None };
        let stands = Placeholders::make(std::slice::from_ref(&hooks)).unwrap();
        // As another process holds it.
        let other = open(&hooks.path).unwrap();
        flock(&other, FlockOperation::LockShared).unwrap();
        drop(stands);
        assert!(hooks.path.is_dir());
        assert!(!is_there(&hooks.path), "it only stands in, for the other");
        drop(other);
        assert!(is_there(&hooks.path), "nobody needs it: it is somebody's own");
    }

    #[test]
    fn what_somebody_made_stays() {
        let folder = tempfile::tempdir().unwrap();
        let wanted = wanted(folder.path());
        fs::write(&wanted.path, "../other\n").unwrap();
        drop(Placeholders::make(std::slice::from_ref(&wanted)).unwrap());
        assert_eq!(fs::read_to_string(&wanted.path).unwrap(), "../other\n");
    }
}
