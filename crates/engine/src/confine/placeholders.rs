//! Files and folders that stand in for missing ones while programs run, so that those cannot be made.
//! Written down before they are made, and removed when the last program that needs them has ended; what
//! an owner that died left behind is removed by the next.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Placeholder;

/// How many programs need each.
static NEEDED: Mutex<BTreeMap<PathBuf, usize>> = Mutex::new(BTreeMap::new());

fn needed() -> MutexGuard<'static, BTreeMap<PathBuf, usize>> {
    NEEDED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a program needs to stand there. Dropped, it is removed, unless others need it or it was used.
#[derive(Debug, Default)]
pub(crate) struct Placeholders {
    ours: Vec<Placeholder>,
    list: Option<PathBuf>,
}

impl Placeholders {
    /// Makes what is missing. `list` is where it is written down first.
    pub(crate) fn make(wanted: &[Placeholder], list: Option<&Path>) -> io::Result<Self> {
        let mut made = Self { ours: Vec::new(), list: list.map(Path::to_owned) };
        let mut needed = needed();
        for placeholder in wanted {
            let path = &placeholder.path;
            if let Some(count) = needed.get_mut(path) {
                *count += 1;
                made.ours.push(placeholder.clone());
                continue;
            }
            if fs::symlink_metadata(path).is_ok() {
                continue; // somebody made it since it was looked for
            }
            if let Some(list) = list {
                write_down(list, placeholder)?;
            }
            match placeholder.contents {
                None => fs::create_dir(path)?,
                Some(contents) => fs::write(path, contents)?,
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
        if let Some(list) = self.list.take().filter(|_| needed.is_empty()) {
            drop(fs::remove_file(list));
        }
    }
}

/// Removes one that is as it was made; what somebody put there stays.
fn remove(contents: Option<&str>, path: &Path) {
    match contents {
        None => drop(fs::remove_dir(path)),
        Some(contents) => {
            if fs::read_to_string(path).is_ok_and(|now| now == contents) {
                drop(fs::remove_file(path));
            }
        }
    }
}

/// # Shape
/// A line of JSON: `["/w/.git/commondir",".\n"]`, `null` for a folder.
fn write_down(list: &Path, placeholder: &Placeholder) -> io::Result<()> {
    let line = serde_json::to_string(&(&placeholder.path, placeholder.contents))?;
    let mut file = fs::OpenOptions::new().create(true).append(true).open(list)?;
    file.write_all(line.as_bytes())?;
    file.write_all(b"\n")
}

/// Removes what an owner that died left behind, by its list.
pub(crate) fn clear(list: &Path) {
    let Ok(text) = fs::read_to_string(list) else { return };
    for line in text.lines().rev() {
        let Ok((path, contents)) = serde_json::from_str::<(PathBuf, Option<String>)>(line) else {
            continue;
        };
        if !needed().contains_key(&path) {
            remove(contents.as_deref(), &path);
        }
    }
    drop(fs::remove_file(list));
}
