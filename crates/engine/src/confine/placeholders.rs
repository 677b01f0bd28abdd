//! Files and folders that stand in for missing ones while programs run, so that those cannot be made. They
//! are removed when the last program that needs them has ended, of whichever Botpipe; one that an owner left behind who died is
//! known by what it holds, and taken over by the next.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::{
    AtFlags, FlockOperation, Mode, OFlags, Stat, flock, fstat, mkdirat, openat, statat, unlinkat,
};
use rustix::io::Errno;

use super::Placeholder;
use crate::account;
use crate::plain::{self, peek_text};
use crate::process::StopSwitch;

/// One that programs of this process need.
struct Needed {
    by: usize,
    stands: Stands,
}

/// One that stands, by one handle: there may be many.
struct Stands {
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
        empty && is_held(path)
    };
    needed().contains_key(path) || others()
}

/// Whether somebody who lives holds what is at a path by a lock.
pub(super) fn is_held(path: &Path) -> bool {
    let locked = |file: File| flock(&file, FlockOperation::NonBlockingLockExclusive).is_err();
    open(path).is_ok_and(locked)
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
    ///
    /// # Errors
    /// One that cannot be made, or that a program does not let go of, by its path.
    pub(crate) fn make(wanted: &[Placeholder], stop: &StopSwitch) -> io::Result<Self> {
        let mut made = Self::default();
        let mut needed = needed();
        for placeholder in wanted {
            let path = &placeholder.path;
            if let Some(known) = needed.get_mut(path) {
                known.by += 1;
                made.ours.push(placeholder.clone());
                continue;
            }
            let stands = keep_trying(placeholder, stop).map_err(|error| told(path, &error))?;
            let Some(stands) = stands else { continue };
            needed.insert(path.clone(), Needed { by: 1, stands });
            made.ours.push(placeholder.clone());
        }
        Ok(made)
    }
}

fn told(path: &Path, error: &io::Error) -> io::Error {
    let path = path.display();
    let mut text = format!("`{path}` has to stand in for what is not there: {error}");
    if error.kind() == io::ErrorKind::PermissionDenied {
        text += "; who may not write in the workspace can have `sandbox_mode: read_only`";
    }
    io::Error::new(error.kind(), text)
}

/// How often one is made again that another Botpipe removes meanwhile.
const TRIES: usize = 100;

/// How long another may hold one alone: a Botpipe does while it removes it. A program can for as long as it runs.
const PATIENCE: Duration = Duration::from_secs(2);
const BETWEEN: Duration = Duration::from_millis(20);

fn keep_trying(placeholder: &Placeholder, stop: &StopSwitch) -> io::Result<Option<Stands>> {
    let mut tries = 0..TRIES;
    let until = Instant::now() + PATIENCE;
    loop {
        match stand(placeholder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && tries.next().is_some() => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if stop.wait(BETWEEN).is_some() {
                    return Err(io::Error::other("it was asked to stop"));
                }
                if Instant::now() > until {
                    return Err(io::Error::other(
                        "a program that runs in the workspace holds it by a lock; end that program first",
                    ));
                }
            }
            done => return done,
        }
    }
}

/// Makes one and holds it; nothing where somebody made something else there since it was looked for.
///
/// # Errors
/// `NotFound`: it was removed meanwhile. Others: it cannot be made, or a link is on the way.
fn stand(placeholder: &Placeholder) -> io::Result<Option<Stands>> {
    let (folder, name) = plain::split(&placeholder.path)?;
    let folder = plain::folder(folder)?;
    let contents = placeholder.contents.map(str::as_bytes);
    let made = match contents {
        None => mkdirat(&folder, name, Mode::from_raw_mode(0o777)),
        Some(_) => openat(&folder, name, NEW, Mode::from_raw_mode(0o666)).map(drop),
    };
    let is_made = made.is_ok();
    match made {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(error.into()),
    }
    let held = match openat(&folder, name, LOOKED_AT, Mode::empty()) {
        Ok(held) => File::from(held),
        // A link, or a socket.
        Err(Errno::LOOP | Errno::NXIO | Errno::ACCESS) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    if is_made {
        account::inherit(&folder, &held);
    }
    let there = held.metadata()?;
    match contents {
        _ if there.is_dir() => {
            if !plain::names(&held)?.is_empty() {
                return Ok(None);
            }
        }
        Some(contents) if there.is_file() => {
            let mut now = Vec::new();
            (&held).take(contents.len() as u64 + 1).read_to_end(&mut now)?;
            if !contents.starts_with(&now) {
                return Ok(None);
            }
            if now != contents {
                let file = File::from(openat(&folder, name, FINISHED, Mode::empty())?);
                let same = file.metadata()?.ino() == there.ino();
                if !same || there.nlink() != 1 {
                    return Ok(None);
                }
                file.write_all_at(contents, 0)?;
            }
        }
        _ => return Ok(None),
    }
    flock(&held, FlockOperation::NonBlockingLockShared)?;
    let (ours, now) = (fstat(&held)?, statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW)?);
    let same = (ours.st_dev, ours.st_ino) == (now.st_dev, now.st_ino);
    if same { Ok(Some(Stands { held })) } else { Err(io::ErrorKind::NotFound.into()) }
}

const NEW: OFlags = OFlags::WRONLY.union(OFlags::CREATE).union(OFlags::EXCL).union(OFlags::CLOEXEC);
const LOOKED_AT: OFlags =
    OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);
const FINISHED: OFlags =
    OFlags::WRONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

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
            let Some(Needed { stands, .. }) = needed.remove(path) else { continue };
            let last = flock(&stands.held, FlockOperation::NonBlockingLockExclusive).is_ok();
            if last {
                stands.remove(placeholder.contents, path);
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

impl Stands {
    /// Removes it if it is as it was made; what somebody put there stays.
    fn remove(&self, contents: Option<&str>, path: &Path) {
        // Programs that run may have put links in the place of folders: none is followed.
        let Ok((folder, name)) = plain::split(path) else { return };
        let Ok(folder) = plain::folder(folder) else { return };
        let there = statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW);
        let ours = fstat(&self.held);
        let same = |a: &Stat, b: &Stat| (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino);
        if !matches!((&there, &ours), (Ok(there), Ok(ours)) if same(there, ours)) {
            return;
        }
        let is_as_made = || {
            let Some(contents) = contents else { return true };
            let mut now = vec![0; contents.len() + 1];
            let read = self.held.read_at(&mut now, 0).unwrap_or(now.len());
            &now[..read] == contents.as_bytes()
        };
        // A folder goes only while it is empty.
        let flags = if contents.is_none() { AtFlags::REMOVEDIR } else { AtFlags::empty() };
        if is_as_made() {
            let _ = unlinkat(&folder, name, flags);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(folder: &Path) -> Placeholder {
        Placeholder { path: folder.join("commondir"), contents: Some("./\n") }
    }

    fn made(wanted: &[Placeholder]) -> io::Result<Placeholders> {
        Placeholders::make(wanted, &StopSwitch::new())
    }

    /// An owner may die between making the file and writing it.
    #[test]
    fn one_that_was_begun_is_finished_and_goes_with_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let wanted = wanted(folder.path());
        for left in [None, Some(""), Some("."), Some("./\n")] {
            if let Some(left) = left {
                fs::write(&wanted.path, left).unwrap();
            }
            let stands = made(std::slice::from_ref(&wanted)).unwrap();
            assert_eq!(fs::read_to_string(&wanted.path).unwrap(), "./\n", "{left:?}");
            drop(stands);
            assert!(!wanted.path.exists(), "{left:?}");
        }
    }

    #[test]
    fn one_that_another_botpipe_needs_stays_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let hooks = Placeholder { path: folder.path().join("hooks"), contents: None };
        let stands = made(std::slice::from_ref(&hooks)).unwrap();
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
    fn one_that_a_program_locks_is_waited_for_no_longer_than_a_moment() {
        let folder = tempfile::tempdir().unwrap();
        let hooks = Placeholder { path: folder.path().join("hooks"), contents: None };
        fs::create_dir(&hooks.path).unwrap();
        let program = open(&hooks.path).unwrap();
        flock(&program, FlockOperation::LockExclusive).unwrap();
        let refused = made(std::slice::from_ref(&hooks)).unwrap_err().to_string();
        assert!(refused.contains("hooks` has to stand in"), "{refused}");
        assert!(refused.contains("a program that runs in the workspace holds it"), "{refused}");
        let stop = StopSwitch::new();
        stop.request(15);
        let began = Instant::now();
        assert!(Placeholders::make(std::slice::from_ref(&hooks), &stop).is_err());
        assert!(began.elapsed() < PATIENCE);
        drop(program);
        drop(made(std::slice::from_ref(&hooks)).unwrap());
        assert!(!hooks.path.exists());
    }

    /// A program that runs may put a link there, or in the place of a folder above, at any moment.
    #[test]
    fn nothing_is_made_or_written_through_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().canonicalize().unwrap();
        let host = place.join("host");
        fs::create_dir(&host).unwrap();
        fs::write(host.join("file"), "").unwrap();
        fs::create_dir(place.join("git")).unwrap();
        std::os::unix::fs::symlink(host.join("file"), place.join("git/commondir")).unwrap();
        drop(made(&[wanted(&place.join("git"))]).unwrap());
        std::os::unix::fs::symlink(&host, place.join("way")).unwrap();
        assert!(made(&[wanted(&place.join("way"))]).is_err());
        assert_eq!(fs::read(host.join("file")).unwrap(), b"");
        assert_eq!(fs::read_dir(&host).unwrap().count(), 1);
    }

    #[test]
    fn what_somebody_made_stays() {
        let folder = tempfile::tempdir().unwrap();
        let wanted = wanted(folder.path());
        fs::write(&wanted.path, "../other\n").unwrap();
        drop(made(std::slice::from_ref(&wanted)).unwrap());
        assert_eq!(fs::read_to_string(&wanted.path).unwrap(), "../other\n");
    }
}
