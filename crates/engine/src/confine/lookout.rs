//! What no program may bring into being, where nothing can be laid over it beforehand: it is looked for once
//! the program has ended, and put aside under another name. Nothing is destroyed.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FlockOperation, OFlags, flock, renameat, statat};
use rustix::io::Errno;

use super::git;
use super::placeholders::is_as_made;
use super::protected;
use crate::plain;

/// Looks out from before a program starts until it has ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Lookout {
    pub(super) workspace: PathBuf,
    /// What was not there, and must not come to be; with a text, it may be a file of just that, or an empty
    /// folder: something that stands in.
    pub(in crate::confine) missing: BTreeMap<PathBuf, Option<String>>,
    /// What was there of git; what comes to be may not have it run programs.
    pub(super) repositories: Option<git::Known>,
}

impl Lookout {
    /// Puts aside what came to be, and says so in a sentence for each.
    pub(super) fn look(&self) -> Vec<String> {
        let mut told = Vec::new();
        let there = protected::there(&self.workspace, self.missing.keys().cloned());
        let missing = self.missing.iter().filter(|(path, stand_in)| {
            let stands = |text: &String| is_as_made(Some(text), path);
            there.contains(*path) && !stand_in.as_ref().is_some_and(stands)
        });
        let (by_links, plain): (Vec<_>, Vec<_>) = missing
            .map(|(path, _)| (path, self.link_to(path)))
            .partition(|(_, link)| link.is_some());
        let why = "steers Botpipe, or an agent or editor on this machine";
        for path in plain.into_iter().flat_map(|(path, _)| protected::come_to_be(path)) {
            told.extend(put_aside(&path, path.parent().unwrap_or(&path), why));
        }
        for (path, link) in by_links {
            // It may be gone with what it leads to, where the link was there before.
            if let Some(link) = link.filter(|_| path.symlink_metadata().is_ok()) {
                told.extend(put_aside(&link, link.parent().unwrap_or(&link), why));
            }
        }
        if let Some(known) = &self.repositories {
            told.extend(git::look(&self.workspace, known, put_aside));
        }
        told
    }

    /// The first link on the way to something in the workspace.
    fn link_to(&self, path: &Path) -> Option<PathBuf> {
        let above = path.ancestors().skip(1);
        let inside =
            above.take_while(|it| *it != self.workspace && it.starts_with(&self.workspace));
        inside.filter(|it| it.is_symlink()).last().map(Path::to_owned)
    }

    /// What of a list that was found in a folder of ours is about the workspace of that folder: nothing else is moved
    /// for its sake.
    fn of(mut self, state: &Path) -> Option<Self> {
        let workspace = self.workspace.clone();
        let ours = Some(workspace.as_path()) == state.parent() || workspace.starts_with(state);
        self.missing.retain(|path, _| path.starts_with(&workspace));
        self.repositories = self.repositories.map(|known| known.in_folder(&workspace));
        ours.then_some(self)
    }
}

/// Renames it out of the way, into a folder above it: to a name that no program can have taken, where the usual one is.
/// No link is on the way there: programs that still run may put one.
fn put_aside(path: &Path, into: &Path, why: &str) -> Option<String> {
    let (folder, name) = plain::split(path).ok()?;
    let shown = path.display();
    let both = || Ok::<_, io::Error>((plain::folder(folder)?, plain::folder(into)?));
    let moved = both().and_then(|(opened, to)| {
        let free = |ending: String| {
            let mut other = OsString::from(name);
            other.push(ending);
            statat(&to, &other, AtFlags::SYMLINK_NOFOLLOW).is_err().then_some(other)
        };
        let usual =
            (0..10).map(|n| if n == 0 { ".refused".to_owned() } else { format!(".refused-{n}") });
        let mut all = usual.chain(std::iter::repeat_with(|| format!(".refused-{:016x}", random())));
        let aside = all.find_map(free).ok_or(io::ErrorKind::AlreadyExists)?;
        renamed((&opened, name), (&to, &aside)).map(|()| into.join(aside))
    });
    Some(match moved {
        Ok(aside) => format!(
            "`{shown}` was made by a program and {why}: it is now `{}`; make it yourself to permit it",
            aside.display()
        ),
        Err(error) => format!(
            "`{shown}` was made by a program and {why}, and could not be moved: {error}; remove it before you go on"
        ),
    })
}

/// A number that nobody knows beforehand.
fn random() -> u64 {
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
/// More than any list holds.
const MOST_BYTES: u64 = 64 << 20;

/// Looks for what owners that died were looking out for.
pub(super) fn take_over(folder: &Path) -> Vec<String> {
    let mut told = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        let path = entry.path();
        // A program may have made the folder before we did, and put anything there.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file =
            OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(&path);
        let Ok(file) = file else { continue };
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            continue; // its owner lives
        }
        let mut text = Vec::new();
        drop((&file).take(MOST_BYTES).read_to_end(&mut text));
        if let Ok((workspace, missing, repositories)) = serde_json::from_slice(&text) {
            let found = Lookout { workspace, missing, repositories };
            told.extend(found.of(folder).iter().flat_map(Lookout::look));
        }
        drop(fs::remove_file(&path));
    }
    told
}
