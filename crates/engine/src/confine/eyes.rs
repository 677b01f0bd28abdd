//! What is seen while a program runs: names that it may not read turn up, and what it may not write is replaced.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use botpipe_sandbox::{Cover, Watcher, Watching, watch};

use super::denied::Watched;
use super::guard::Log;
use super::lookout::Lookout;
use super::replaced::{Identity, Was, identity};
use super::{Files, scan};
use crate::workspace::layout::Layout;

/// What is looked at.
#[derive(Debug, Clone, Default)]
pub(super) struct Eyes {
    denied: Option<Watched>,
    /// What is kept, as it was.
    kept: BTreeMap<PathBuf, Was>,
    /// The folders on the way to each, in what is written.
    ways: BTreeMap<PathBuf, Identity>,
}

impl Eyes {
    pub(super) fn of(files: Option<&Files>, lookout: Option<&Lookout>) -> Self {
        let (Some(files), Some(lookout)) = (files, lookout) else {
            let denied = files.and_then(|files| files.watched.clone());
            return Self { denied, ..Self::default() };
        };
        let way = |path: &Path| {
            let around: Vec<PathBuf> = path.ancestors().skip(1).map(Path::to_owned).collect();
            around.into_iter().take_while(|folder| super::within(folder, &files.written))
        };
        let kept = lookout.kept.clone();
        let ways: BTreeSet<PathBuf> = kept.keys().flat_map(|path| way(path)).collect();
        let ways =
            ways.into_iter().filter_map(|path| Some((path.clone(), identity(&path)?))).collect();
        Self { denied: files.watched.clone(), kept, ways }
    }

    /// Watches from here on, and looks at what came to be before.
    ///
    /// # Errors
    /// Nobody can watch for what may not be read.
    pub(super) fn open(&self, cover: Cover, log: &Log) -> io::Result<Option<Watching>> {
        let of_denied = self.denied.iter().flat_map(|it| &it.folders).cloned();
        let folders: BTreeSet<PathBuf> = of_denied.chain(self.ways.keys().cloned()).collect();
        if folders.is_empty() {
            return Ok(None);
        }
        let folders: Vec<PathBuf> = folders.into_iter().collect();
        let laid = self.kept.iter().filter_map(|(path, was)| Some((path.clone(), was.identity()?)));
        let laid = laid.chain(self.ways.clone()).collect();
        let open = Open {
            eyes: self.clone(),
            laid: Arc::new(Mutex::new(laid)),
            cover: Arc::new(cover),
            log: Arc::clone(log),
        };
        let watching = match watch(&folders, open.clone()) {
            Ok(watching) => Some(watching),
            Err(error) if self.denied.is_some() => return Err(error),
            Err(error) => {
                log(&format!(
                    "nobody watches for what is replaced while the program runs ({error}): it is looked at once the \
                     program has ended"
                ));
                None
            }
        };
        if let Some(Watched { workspace, names, .. }) = &self.denied {
            for path in scan::changed(workspace, names) {
                if self.is_denied(&path) {
                    open.cover.path(&path);
                }
            }
        }
        // Outer ones first.
        for path in self.ways.keys().chain(self.kept.keys()) {
            open.look_at(path);
        }
        Ok(watching)
    }

    fn is_denied(&self, path: &Path) -> bool {
        self.denied.as_ref().is_some_and(|watched| {
            let inside = path.strip_prefix(&watched.workspace);
            inside.is_ok_and(|inside| watched.patterns.is_match(inside))
        })
    }

    fn may_hold_denied(&self, folder: &Path) -> bool {
        self.denied.as_ref().is_some_and(|watched| folder.starts_with(&watched.workspace))
    }
}

/// Open eyes, and the hand that covers.
#[derive(Clone)]
struct Open {
    eyes: Eyes,
    /// What something is laid over that is kept.
    laid: Arc<Mutex<BTreeMap<PathBuf, Identity>>>,
    cover: Arc<Cover>,
    log: Log,
}

impl Open {
    /// Keeps again what is kept, and the folders on the way to it, where something else is there by now.
    fn look_at(&self, path: &Path) {
        let is_kept = self.eyes.kept.contains_key(path);
        if !is_kept && !self.eyes.ways.contains_key(path) {
            return;
        }
        let Some(now) = identity(path) else { return };
        let before = {
            let mut laid = self.laid.lock().unwrap_or_else(PoisonError::into_inner);
            laid.insert(path.to_owned(), now)
        };
        if before == Some(now) {
            return;
        }
        if is_kept && path.ends_with(Layout::FOLDER) {
            self.cover.path(path);
        } else if is_kept {
            self.cover.keep(path);
        } else {
            self.cover.pin(path);
        }
    }
}

impl Watcher for Open {
    fn found(&self, path: &Path) {
        if self.eyes.is_denied(path) {
            self.cover.path(path);
        } else {
            self.look_at(path);
        }
    }

    fn enters(&self, folder: &Path) -> bool {
        self.eyes.may_hold_denied(folder) || self.eyes.ways.contains_key(folder)
    }

    fn lost(&self, folder: &Path, why: &io::Error) {
        let shown = folder.display();
        if self.eyes.may_hold_denied(folder) {
            (self.log)(&format!(
                "the program was ended: `{shown}` turned up and could not be watched ({why}), and what may not be read \
                 could turn up in it; raise `fs.inotify.max_user_watches`, or deny by names of one place"
            ));
            self.cover.end();
        } else {
            (self.log)(&format!(
                "`{shown}` could not be watched ({why}): what is kept in it is looked at once the program has ended"
            ));
        }
    }
}
