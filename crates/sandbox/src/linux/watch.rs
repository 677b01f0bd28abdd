//! Names that turn up in folders while a program runs, as the kernel tells them (inotify(7)).

use std::collections::HashMap;
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

/// Watches folders until it is dropped.
#[derive(Debug)]
pub struct Watching {
    thread: Option<JoinHandle<()>>,
    /// Dropped, the thread ends.
    stop: Option<io::PipeWriter>,
}

/// Watches these folders, and those that turn up in them. `found` is called with every path that is
/// made there or moved there, and with what a folder that turns up already holds.
///
/// # Errors
/// A folder that cannot be watched: there may be too many (`fs.inotify.max_user_watches`).
pub(crate) fn watch(
    folders: &[PathBuf],
    found: impl Fn(&Path) + Send + 'static,
) -> io::Result<Watching> {
    let kernel = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
    let mut watched = Watched { kernel, folders: HashMap::new() };
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
                Ok([false, true]) => watched.read(&found),
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
}

impl Watched {
    fn add(&mut self, folder: &Path) -> io::Result<()> {
        let flags = WatchFlags::CREATE
            | WatchFlags::MOVED_TO
            | WatchFlags::ONLYDIR
            | WatchFlags::DONT_FOLLOW;
        let id = inotify::add_watch(&self.kernel, folder, flags)?;
        self.folders.insert(id, folder.to_owned());
        Ok(())
    }

    fn read(&mut self, found: &impl Fn(&Path)) {
        let mut turned_up = Vec::new();
        let mut lost = false;
        {
            let mut buffer = [const { MaybeUninit::uninit() }; 16 << 10];
            let mut reader = Reader::new(&self.kernel, &mut buffer);
            while let Ok(event) = reader.next() {
                lost |= event.events().contains(ReadFlags::QUEUE_OVERFLOW);
                let (Some(folder), Some(name)) = (self.folders.get(&event.wd()), event.file_name())
                else {
                    continue;
                };
                let path = folder.join(OsStr::from_bytes(name.to_bytes()));
                turned_up.push((path, event.events().contains(ReadFlags::ISDIR)));
            }
        }
        for (path, is_folder) in turned_up {
            self.turned_up(&path, is_folder, found);
        }
        if lost {
            let folders: Vec<PathBuf> = self.folders.values().cloned().collect();
            for folder in &folders {
                self.inside(folder, found);
            }
        }
    }

    fn turned_up(&mut self, path: &Path, is_folder: bool, found: &impl Fn(&Path)) {
        found(path);
        // A folder that cannot be watched any more is looked through once.
        if is_folder {
            drop(self.add(path));
            self.inside(path, found);
        }
    }

    fn inside(&mut self, folder: &Path, found: &impl Fn(&Path)) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if !self.folders.values().any(|known| *known == entry.path()) {
                self.turned_up(&entry.path(), is_folder, found);
            }
        }
    }
}
