//! What no program may bring into being, where nothing can be laid over it beforehand: it is looked for once
//! the program has ended, and put aside under another name. Nothing is destroyed.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::git;
use super::placeholders::is_as_made;
use super::protected;
use super::scan;

/// Looks out from before a program starts until it has ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Lookout {
    pub(super) workspace: PathBuf,
    /// What was not there, and must not come to be; with a text, it may be a file of just that, or an empty
    /// folder: something that stands in.
    pub(super) missing: BTreeMap<PathBuf, Option<String>>,
    /// The repositories that were there, by their `.git`; in others nothing may steer git.
    pub(super) repositories: Option<BTreeSet<PathBuf>>,
}

impl Lookout {
    /// Puts aside what came to be, and says so in a sentence for each.
    pub(super) fn look(&self) -> Vec<String> {
        let mut told = Vec::new();
        for (path, stand_in) in &self.missing {
            let there = fs::symlink_metadata(path).is_ok();
            if !there || stand_in.as_ref().is_some_and(|text| is_as_made(Some(text), path)) {
                continue;
            }
            for path in protected::come_to_be(path) {
                let why = "steers Botpipe, or an agent or editor on this machine";
                told.extend(put_aside(&path, why));
            }
        }
        if let Some(known) = &self.repositories {
            told.extend(self.look_at_git(known));
        }
        told
    }

    fn look_at_git(&self, known: &BTreeSet<PathBuf>) -> Vec<String> {
        let without = [PathBuf::from(".botpipe"), PathBuf::from(".git/objects")];
        // What cannot be read by us cannot be read by our git either.
        let Ok(names) = scan::names(&self.workspace, &without) else { return Vec::new() };
        let mut told = Vec::new();
        for (path, _) in names.named(".git") {
            let path = self.workspace.join(path);
            if !known.contains(&path) && git::steers(&path) {
                told.extend(put_aside(&path, "is a repository that makes git run programs"));
            }
        }
        // A rebase that stands goes on with whatever its list says.
        for todo in git::lists_of_rebases(known) {
            if git::runs_programs(&todo) {
                told.extend(put_aside(&todo, "makes `git rebase --continue` run programs"));
            }
        }
        told
    }
}

/// Renames it out of the way.
fn put_aside(path: &Path, why: &str) -> Option<String> {
    let name = path.file_name()?;
    let aside = (0..1000).find_map(|n| {
        let mut other = OsString::from(name);
        other.push(if n == 0 { ".refused".to_owned() } else { format!(".refused-{n}") });
        let other = path.with_file_name(other);
        fs::symlink_metadata(&other).is_err().then_some(other)
    })?;
    let done = fs::rename(path, &aside);
    let shown = path.display();
    Some(match done {
        Ok(()) => format!(
            "`{shown}` was made by a program and {why}: it is now `{}`; make it yourself to permit it",
            aside.display()
        ),
        Err(error) => {
            format!("`{shown}` was made by a program and {why}, and could not be moved: {error}")
        }
    })
}

/// What is looked out for is written down, in case its owner dies: held by a lock while the owner lives.
#[derive(Debug)]
pub(super) struct Written {
    path: PathBuf,
    _file: File,
}

impl Written {
    /// Writes it down in a folder of ours.
    pub(super) fn down(folder: &Path, lookout: &Lookout) -> io::Result<Self> {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let n = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = folder.join(format!("{PREFIX}{}-{n}", std::process::id()));
        let mut file = OpenOptions::new().create(true).write(true).truncate(true).open(&path)?;
        flock(&file, FlockOperation::LockExclusive)?;
        let text =
            serde_json::to_vec(&(&lookout.workspace, &lookout.missing, &lookout.repositories))?;
        file.write_all(&text)?;
        Ok(Self { path, _file: file })
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.path));
    }
}

const PREFIX: &str = "lookout-";

/// Looks for what owners that died were looking out for.
pub(super) fn take_over(folder: &Path) -> Vec<String> {
    let mut told = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        let path = entry.path();
        let Ok(file) = File::open(&path) else { continue };
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            continue; // its owner lives
        }
        let text = fs::read(&path).unwrap_or_default();
        if let Ok((workspace, missing, repositories)) = serde_json::from_slice(&text) {
            told.extend(Lookout { workspace, missing, repositories }.look());
        }
        drop(fs::remove_file(&path));
    }
    told
}
