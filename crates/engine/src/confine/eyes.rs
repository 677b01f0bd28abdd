//! What is seen while a program runs: names that it may not read turn up, and what it may not write is replaced.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use botpipe_sandbox::{Cover, Watcher, Watching, watch};

use super::denied::Watched;
use super::guard::Log;
use super::lookout::Lookout;
use super::replaced::Was;
use super::{Files, scan};
use crate::workspace::layout::Layout;

/// What is looked at.
#[derive(Debug, Clone, Default)]
pub(super) struct Eyes {
    denied: Option<Watched>,
    /// What is kept, as it was.
    kept: BTreeMap<PathBuf, Was>,
    /// The folders on the way to each, in what is written.
    ways: BTreeSet<PathBuf>,
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
        let ways = kept.keys().flat_map(|path| way(path)).collect();
        Self { denied: files.watched.clone(), kept, ways }
    }

    /// Watches from here on, and looks at what came to be before.
    ///
    /// # Errors
    /// Nobody can watch for what may not be read.
    pub(super) fn open(&self, cover: Cover, log: &Log) -> io::Result<Option<Watching>> {
        let of_denied = self.denied.iter().flat_map(|it| &it.folders).cloned();
        let folders: BTreeSet<PathBuf> = of_denied.chain(self.ways.iter().cloned()).collect();
        if folders.is_empty() {
            return Ok(None);
        }
        let folders: Vec<PathBuf> = folders.into_iter().collect();
        let open = Open { eyes: self.clone(), cover: Arc::new(cover), log: Arc::clone(log) };
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
            scan::changed(workspace, names).iter().for_each(|path| open.found(path));
        }
        for (path, was) in &self.kept {
            if was.is_replaced(path) {
                open.found(path);
            }
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
    cover: Arc<Cover>,
    log: Log,
}

impl Watcher for Open {
    fn found(&self, path: &Path) {
        let is_kept = self.eyes.kept.contains_key(path);
        if self.eyes.is_denied(path) || (is_kept && path.ends_with(Layout::FOLDER)) {
            self.cover.path(path);
        } else if is_kept {
            self.cover.keep(path);
        } else if self.eyes.ways.contains(path) {
            self.cover.pin(path);
        }
    }

    fn enters(&self, folder: &Path) -> bool {
        self.eyes.may_hold_denied(folder) || self.eyes.ways.contains(folder)
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
