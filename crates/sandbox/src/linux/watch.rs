//! Names that turn up in folders while a program runs, as the kernel tells them (inotify(7)).

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};

use super::sys;
use crate::Watcher;

/// Watches folders until it is dropped.
#[derive(Debug)]
pub struct Watching {
    thread: Option<JoinHandle<()>>,
    /// Dropped, the thread ends.
    stop: Option<io::PipeWriter>,
}

/// Watches these folders, and those that turn up in them and are entered.
///
/// # Errors
/// A folder that cannot be watched: there may be too many (`fs.inotify.max_user_watches`).
pub(crate) fn watch(folders: &[PathBuf], watcher: impl Watcher) -> io::Result<Watching> {
    let kernel = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
    let mut watched = Watched { kernel, folders: HashMap::new(), closed: BTreeSet::new() };
    for folder in folders {
        match watched.add(folder) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            added => added?,
        }
    }
    let (stopped, stop) = io::pipe()?;
    let thread = thread::Builder::new().name("sandbox-watch".to_owned()).spawn(move || {
        loop {
            let ready = sys::wait_readable([stopped.as_fd(), watched.kernel.as_fd()], None);
            match ready {
                Ok([false, true]) => watched.read(&watcher),
                Ok([false, false]) => {}
                Ok([true, _]) | Err(_) => return,
            }
        }
    })?;
    Ok(Watching { thread: Some(thread), stop: Some(stop) })
}

impl Drop for Watching {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

struct Watched {
    kernel: OwnedFd,
    folders: HashMap<i32, PathBuf>,
    /// Folders that nobody may look into now: they are watched once somebody may.
    closed: BTreeSet<PathBuf>,
}

impl Watched {
    fn add(&mut self, folder: &Path) -> io::Result<()> {
        let flags = WatchFlags::CREATE
            | WatchFlags::MOVED_TO
            | WatchFlags::ATTRIB
            | WatchFlags::ONLYDIR
            | WatchFlags::DONT_FOLLOW;
        let id = inotify::add_watch(&self.kernel, folder, flags)?;
        self.folders.insert(id, folder.to_owned());
        Ok(())
    }

    fn read(&mut self, watcher: &impl Watcher) {
        let mut turned_up = Vec::new();
        let mut lost = false;
        {
            let mut buffer = [const { MaybeUninit::uninit() }; 16 << 10];
            let mut reader = Reader::new(&self.kernel, &mut buffer);
            while let Ok(event) = reader.next() {
                lost |= event.events().contains(ReadFlags::QUEUE_OVERFLOW);
                if event.events().contains(ReadFlags::IGNORED) {
                    self.folders.remove(&event.wd());
                }
                let (Some(folder), Some(name)) = (self.folders.get(&event.wd()), event.file_name())
                else {
                    continue;
                };
                let path = folder.join(OsStr::from_bytes(name.to_bytes()));
                if !event.events().contains(ReadFlags::ATTRIB) || self.closed.remove(&path) {
                    turned_up.push((path, event.events().contains(ReadFlags::ISDIR)));
                }
            }
        }
        for (path, is_folder) in turned_up {
            self.turned_up(&path, is_folder, watcher);
        }
        if lost {
            let all: BTreeSet<PathBuf> = self.folders.values().cloned().collect();
            let inner = |folder: &PathBuf| folder.ancestors().skip(1).any(|it| all.contains(it));
            for folder in all.iter().filter(|folder| !inner(folder)) {
                self.inside(folder, watcher);
            }
        }
    }

    fn turned_up(&mut self, path: &Path, is_folder: bool, watcher: &impl Watcher) {
        watcher.found(path);
        if !is_folder || !watcher.enters(path) {
            return;
        }
        match self.add(path) {
            Ok(()) => {}
            Err(error) => match error.kind() {
                // It is gone, or something else by now, which is told in its turn.
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => return,
                io::ErrorKind::PermissionDenied => {
                    self.closed.insert(path.to_owned());
                }
                _ => watcher.lost(path, &error),
            },
        }
        self.inside(path, watcher);
    }

    fn inside(&mut self, folder: &Path, watcher: &impl Watcher) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            self.turned_up(&entry.path(), is_folder, watcher);
        }
    }
}
