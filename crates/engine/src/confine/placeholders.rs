//! Files and folders that stand in for missing ones while programs run, so that those cannot be made. They
//! are removed when the last program that needs them has ended; one that an owner left behind who died is
//! known by what it holds, and taken over by the next.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Placeholder;
use crate::plain::peek_text;

/// How many programs need each.
static NEEDED: Mutex<BTreeMap<PathBuf, usize>> = Mutex::new(BTreeMap::new());

fn needed() -> MutexGuard<'static, BTreeMap<PathBuf, usize>> {
    NEEDED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether what is at a path only stands in for something that is missing.
pub(super) fn stands_in(path: &Path) -> bool {
    needed().contains_key(path)
}

/// Whether something is at a path that does not only stand in.
pub(super) fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok() && !stands_in(path)
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
            if let Some(count) = needed.get_mut(path) {
                *count += 1;
                made.ours.push(placeholder.clone());
                continue;
            }
            match (fs::symlink_metadata(path), placeholder.contents) {
                (Ok(_), contents) if !is_as_made(contents, path) => {
                    continue; // somebody made it since it was looked for
                }
                (Ok(there), Some(contents)) if there.is_file() => fs::write(path, contents)?,
                (Ok(_), _) => {}
                (Err(_), None) => fs::create_dir(path)?,
                (Err(_), Some(contents)) => fs::write(path, contents)?,
            }
            needed.insert(path.clone(), 1);
            made.ours.push(placeholder.clone());
        }
        Ok(made)
    }
}

impl Drop for Placeholders {
    fn drop(&mut self) {
        let mut needed = needed();
        for placeholder in self.ours.iter().rev() {
            let Some(count) = needed.get_mut(&placeholder.path) else { continue };
            *count -= 1;
            if *count == 0 {
                needed.remove(&placeholder.path);
                remove(placeholder.contents, &placeholder.path);
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
    fn what_somebody_made_stays() {
        let folder = tempfile::tempdir().unwrap();
        let wanted = wanted(folder.path());
        fs::write(&wanted.path, "../other\n").unwrap();
        drop(Placeholders::make(std::slice::from_ref(&wanted)).unwrap());
        assert_eq!(fs::read_to_string(&wanted.path).unwrap(), "../other\n");
    }
}
