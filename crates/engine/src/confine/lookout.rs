//! What no program may bring into being, where nothing can be laid over it beforehand: it is looked for once
//! the program has ended, and put aside under another name. Nothing is destroyed.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, renameat, statat};
use rustix::io::Errno;

use super::git;
use super::paths::shown;
use super::placeholders::{is_as_made, is_held};
use super::protected;
use super::replaced::Was;
use crate::plain;
use crate::workspace::layout::Layout;

/// Looks out from before a program starts until it has ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Lookout {
    pub(in crate::confine) workspace: PathBuf,
    /// What is written beside it.
    pub(in crate::confine) written: Vec<PathBuf>,
    /// What was not there, and must not come to be; with a text, it may be a file of just that, or an empty
    /// folder: something that stands in.
    pub(in crate::confine) missing: BTreeMap<PathBuf, Option<String>>,
    /// What was there of git; what comes to be may not have it run programs.
    pub(in crate::confine) repositories: Option<git::Known>,
    /// What was kept, as it was: people may replace it while a program runs.
    pub(in crate::confine) kept: BTreeMap<PathBuf, Was>,
}

impl Lookout {
    /// Puts aside what came to be, and says so in a sentence for each.
    pub(super) fn look(&self) -> Vec<String> {
        let mut told = Vec::new();
        self.look_and_tell(&mut |sentence| told.push(sentence));
        told
    }

    /// The same, and `tell` gets each sentence as soon as it is true.
    pub(super) fn look_and_tell(&self, tell: &mut dyn FnMut(String)) {
        let there = protected::there(&self.workspace, self.missing.keys().cloned());
        let missing = self.missing.iter().filter(|(path, stand_in)| {
            let is_folder = || path.symlink_metadata().is_ok_and(|it| it.is_dir());
            let stands = |text: &String| {
                (!path.ends_with(Layout::FOLDER) || is_folder()) && is_as_made(Some(text), path)
            };
            // A first run began meanwhile, of a Botpipe that lives: no program of ours does any more.
            let is_others = || path.ends_with(Layout::FOLDER) && is_held(path);
            there.contains(*path) && !stand_in.as_ref().is_some_and(stands) && !is_others()
        });
        let (by_links, plain): (Vec<_>, Vec<_>) = missing
            .map(|(path, _)| (path, self.link_to(path)))
            .partition(|(_, link)| link.is_some());
        let why = "steers Botpipe, or an agent or editor on this machine";
        for path in plain.into_iter().flat_map(|(path, _)| protected::come_to_be(path)) {
            put_aside(&path, path.parent().unwrap_or(&path), why).map(&mut *tell);
        }
        for (path, link) in by_links {
            // It may be gone with what it leads to, where the link was there before.
            if let Some(link) = link.filter(|_| path.symlink_metadata().is_ok()) {
                put_aside(&link, link.parent().unwrap_or(&link), why).map(&mut *tell);
            }
        }
        if let Some(known) = &self.repositories {
            git::look(&self.workspace, known, put_aside, tell);
        }
        let none = git::Known::default();
        let known = self.repositories.as_ref().unwrap_or(&none);
        let judged = |(path, was): (&PathBuf, &Was)| {
            was.judge(path, (&self.workspace, known), put_replaced_aside)
        };
        self.kept.iter().filter_map(judged).for_each(tell);
    }

    /// The workspace, and after it what is written beside it.
    pub(super) fn areas(&self) -> Vec<PathBuf> {
        [&self.workspace].into_iter().chain(&self.written).cloned().collect()
    }

    /// The first link on the way to something in the workspace.
    fn link_to(&self, path: &Path) -> Option<PathBuf> {
        let above = path.ancestors().skip(1);
        let inside =
            above.take_while(|it| *it != self.workspace && it.starts_with(&self.workspace));
        inside.filter(|it| it.is_symlink()).last().map(Path::to_owned)
    }

    /// Also looks for what is kept and replaced meanwhile, from what is there now. `steers`: it has others run
    /// something.
    pub(super) fn keep(&mut self, kept: &BTreeMap<PathBuf, bool>) {
        let none = git::Known::default();
        let known = self.repositories.as_ref().unwrap_or(&none);
        let was = |path: &PathBuf, steers| Was::of(path, steers, &self.workspace, known);
        self.kept = kept.iter().map(|(path, steers)| (path.clone(), was(path, *steers))).collect();
    }

    /// What programs that still run did not find there is not taken for there before this one: they may have made it.
    /// What has gone since it was found was put aside as one of them ended.
    pub(super) fn amid(&mut self, others: &[Self]) {
        let around: BTreeSet<PathBuf> = self
            .missing
            .keys()
            .chain(self.kept.keys())
            .filter_map(|it| it.parent())
            .map(Path::to_owned)
            .collect();
        for other in others {
            let ours = |path: &Path| path.parent().is_some_and(|folder| around.contains(folder));
            for (path, text) in other.missing.iter().filter(|(path, _)| ours(path)) {
                self.kept.remove(path);
                self.missing.entry(path.clone()).or_insert_with(|| text.clone());
            }
            for (path, was) in &mut self.kept {
                if let Some(before) = other.kept.get(path) {
                    was.clone_from(before);
                }
            }
            if let (Some(known), Some(others)) = (&mut self.repositories, &other.repositories) {
                known.amid(others, &other.workspace);
            }
        }
        if let Some(known) = &mut self.repositories {
            known.without_what_is_gone();
            known.without_what_none_leads_to(&self.workspace);
        }
        let gone = self.kept.extract_if(.., |path, _| path.symlink_metadata().is_err());
        self.missing.extend(gone.map(|(path, _)| (path, None)));
    }
}

/// Renames it out of the way, into a folder above it: to a name that no program can have taken, where the usual one is.
/// No link is on the way there: programs that still run may put one.
fn put_aside(path: &Path, into: &Path, why: &str) -> Option<String> {
    moved(path, into, &format!("was made by a program and {why}"))
}

fn put_replaced_aside(path: &Path, why: &str) -> Option<String> {
    let what = "was replaced while a program ran, may hold what it wrote, and";
    moved(path, path.parent().unwrap_or(path), &format!("{what} {why}"))
}

fn moved(path: &Path, into: &Path, what: &str) -> Option<String> {
    let (folder, name) = plain::split(path).ok()?;
    let from = shown(path);
    let both = || Ok::<_, io::Error>((plain::folder(folder)?, plain::folder(into)?));
    let moved = both().and_then(|(opened, to)| {
        let free = |ending: String| {
            let mut other = as_short(name, LONGEST_NAME - ending.len());
            other.push(ending);
            let there = statat(&to, &other, AtFlags::SYMLINK_NOFOLLOW);
            (there.err() == Some(Errno::NOENT)).then_some(other)
        };
        let usual =
            (0..10).map(|n| if n == 0 { ".refused".to_owned() } else { format!(".refused-{n}") });
        let others = std::iter::repeat_with(|| format!(".refused-{:016x}", random()));
        let mut all = usual.chain(others.take(TRIES));
        let aside = all.find_map(free).ok_or(io::ErrorKind::AlreadyExists)?;
        renamed((&opened, name), (&to, &aside)).map(|()| into.join(aside))
    });
    Some(match moved {
        Ok(aside) => {
            format!("`{from}` {what}: it is now `{}`; make it yourself to permit it", shown(&aside))
        }
        Err(error) => {
            format!("`{from}` {what}, and could not be moved: {error}; remove it before you go on")
        }
    })
}

/// Bytes of a name, on every file system that Linux has (`NAME_MAX` of limits.h).
const LONGEST_NAME: usize = 255;
/// Names that are tried beside the usual ones.
const TRIES: usize = 10;

/// As much of a name as fits, and no part of a letter.
fn as_short(name: &OsStr, most: usize) -> OsString {
    let bytes = name.as_bytes();
    let whole = |at: &usize| bytes.get(*at).is_none_or(|byte| byte & 0xc0 != 0x80);
    let end = (0..=most.min(bytes.len())).rev().find(whole).unwrap_or_default();
    OsStr::from_bytes(&bytes[..end]).to_owned()
}

/// A number that nobody knows beforehand.
pub(super) fn random() -> u64 {
    std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), ())
}

/// Also where a program has taken the right to write away from a folder.
fn renamed(
    (folder, name): (&OwnedFd, &OsStr),
    (into, other): (&OwnedFd, &OsStr),
) -> io::Result<()> {
    match renameat(folder, name, into, other) {
        Err(Errno::ACCESS | Errno::PERM) => {}
        done => return Ok(done?),
    }
    let before = [folder, into].map(opened_up);
    let done = renameat(folder, name, into, other);
    for (own, mode) in before.into_iter().flatten().rev() {
        fs::set_permissions(&own, mode)?;
    }
    Ok(done?)
}

/// Gives its owner all rights to a folder, by its handle, which goes through no name. What it had before is told.
fn opened_up(folder: &OwnedFd) -> io::Result<(PathBuf, fs::Permissions)> {
    let own = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd()));
    let before = fs::metadata(&own)?.permissions();
    let mut open = before.clone();
    open.set_mode(before.mode() | 0o700);
    fs::set_permissions(&own, open)?;
    Ok((own, before))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told of something that was not there and came to be.
    fn told(path: &Path) -> Vec<String> {
        let workspace = path.parent().unwrap().to_owned();
        let missing = [(path.to_owned(), None)].into();
        Lookout { workspace, missing, ..Lookout::default() }.look()
    }

    #[test]
    fn what_has_the_longest_name_is_put_aside_under_a_shorter_one() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().canonicalize().unwrap();
        for letter in ["a", "\u{e9}"] {
            let path = top.join(letter.repeat(255 / letter.len()));
            for _ in 0..12 {
                fs::write(&path, "").unwrap();
                let told = told(&path);
                assert!(told[0].contains("it is now"), "{told:?}");
                assert!(!path.exists());
            }
        }
    }

    #[test]
    fn nothing_stands_in_for_our_folder_but_an_empty_one() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().canonicalize().unwrap();
        let own = top.join(Layout::FOLDER);
        let missing = [(own.clone(), Some(String::new()))].into();
        let lookout = Lookout { workspace: top.clone(), missing, ..Lookout::default() };
        fs::create_dir(&own).unwrap();
        assert_eq!(lookout.look(), [""; 0]);
        fs::remove_dir(&own).unwrap();
        fs::write(&own, "").unwrap();
        assert_eq!(lookout.look().len(), 1);
        fs::create_dir(top.join("empty")).unwrap();
        std::os::unix::fs::symlink("empty", &own).unwrap();
        assert_eq!(lookout.look().len(), 1);
    }

    #[test]
    fn the_folder_of_another_botpipe_that_lives_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().canonicalize().unwrap();
        let own = top.join(Layout::FOLDER);
        let layout = Layout::open(&top).unwrap();
        layout.create().unwrap();
        let held = layout.hold().unwrap();
        assert_eq!(told(&own), [""; 0]);
        drop(held);
        assert_eq!(told(&own).len(), 1);
        assert!(!own.exists());
    }
}
