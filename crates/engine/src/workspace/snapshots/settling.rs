//! A copy of files that is not known to be on the disk: recognised after a power cut, and settled when it
//! has been there for a while.
//!
//! A copy is made of a snapshot and can be made again, so nothing waits until its files are on the disk. A
//! mark that is there before the copy names the boot in which it was made: in another boot a marked copy
//! may lack what was never written.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use super::durable::sync;
use crate::workspace::files;

/// In the folder of a worktree.
const MARK: &str = "unsettled";

/// By then the kernel has written most of it by itself, and the rest costs little.
const AFTER: Duration = Duration::from_secs(40);

/// Says, durably, that what comes is not known to be on the disk.
pub(super) fn mark(folder: &Path) -> io::Result<()> {
    let mark = folder.join(MARK);
    files::replace(&mark, boot().as_bytes(), 0o644)?;
    files::sync_folder_of(&mark)
}

/// Whether a power cut may have left a part of what is there.
pub(super) fn may_be_torn(folder: &Path) -> bool {
    fs::read(folder.join(MARK)).is_ok_and(|made| made != boot().as_bytes() || made.is_empty())
}

/// The present boot; nothing, where that cannot be told.
fn boot() -> String {
    botpipe_sandbox::own_identity().map(|own| own.boot_id).unwrap_or_default()
}

/// Settles a copy that is worked on for longer. Dropped, it no longer does.
#[derive(Debug)]
pub struct Settling {
    _leaves: Sender<()>,
}

impl Settling {
    /// Begins to wait, where the copy in that folder is not settled yet.
    pub(super) fn begin(folder: PathBuf) -> Option<Self> {
        if !folder.join(MARK).exists() {
            return None;
        }
        let (leaves, left) = channel::<()>();
        let wait = move || {
            if left.recv_timeout(AFTER) == Err(RecvTimeoutError::Timeout) {
                // Where it cannot be settled the mark stays, and says so.
                let _stays = settle(&folder);
            }
        };
        let thread = thread::Builder::new().name("botpipe-settle".to_owned()).spawn(wait);
        thread.is_ok().then_some(Self { _leaves: leaves })
    }
}

fn settle(folder: &Path) -> io::Result<()> {
    sync(&File::open(folder)?.into());
    fs::remove_file(folder.join(MARK))?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_of_another_boot_tells_that_a_copy_may_be_torn_until_it_is_settled() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        assert!(!may_be_torn(path) && Settling::begin(path.to_owned()).is_none());
        mark(path).unwrap();
        assert!(!may_be_torn(path), "made in this boot");
        assert!(Settling::begin(path.to_owned()).is_some());
        for other in ["another", ""] {
            fs::write(path.join(MARK), other).unwrap();
            assert!(may_be_torn(path));
        }
        settle(path).unwrap();
        assert!(!may_be_torn(path) && !path.join(MARK).exists());
    }
}
