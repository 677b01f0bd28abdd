//! What the host sees of an attempt: trees as they are, processes that carry a mark, files they hold open.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use sha2::{Digest, Sha256};

/// A tree by path: kind, mode, owner, time and content of everything in it.
pub fn tree(root: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(path) = open.pop() {
        let Ok(about) = path.symlink_metadata() else { continue };
        let content = if about.is_dir() {
            open.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|it| it.path()));
            "directory".to_owned()
        } else if about.is_symlink() {
            format!("link to {:?}", fs::read_link(&path).ok())
        } else if about.is_file() {
            let bytes = fs::read(&path).unwrap_or_default();
            format!("{:?}", Sha256::digest(&bytes))
        } else {
            "special".to_owned()
        };
        let mode = about.permissions().mode();
        let says = format!(
            "{mode:o} {} {} {} {}.{} {content}",
            about.uid(),
            about.gid(),
            if about.is_dir() { 0 } else { about.size() },
            about.mtime(),
            about.mtime_nsec()
        );
        found.insert(path.display().to_string(), says);
    }
    found
}

/// The processes whose command line speaks of `word`.
pub(super) fn speaking_of(word: &str) -> Vec<i32> {
    let with_word = |pid: &i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.windows(word.len()).any(|part| part == word.as_bytes())
    };
    pids().filter(with_word).collect()
}

fn pids() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|it| it.file_name().to_str()?.parse().ok())
}

/// Looks for a file that is held open, until it is dropped.
pub(super) struct Lookout {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<bool>>,
}

impl Lookout {
    /// For files whose name has `name`, held by Python processes that run `low.py` of this ground.
    pub(super) fn new(name: &str, ground: &Path) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (name, ground) =
            (name.to_owned(), ground.join("work/tools/low.py").display().to_string());
        let until = stop.clone();
        let thread = thread::spawn(move || {
            let mut seen = false;
            while !seen && !until.load(Ordering::Relaxed) {
                seen = speaking_of(&ground).into_iter().any(|pid| holds(pid, &name));
                thread::sleep(Duration::from_millis(30));
            }
            seen
        });
        Self { stop, thread: Some(thread) }
    }

    /// Whether it was seen.
    pub(super) fn seen(mut self) -> bool {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().is_some_and(|thread| thread.join().unwrap_or(false))
    }
}

fn holds(pid: i32, name: &str) -> bool {
    let files = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    files
        .filter_map(|file| fs::read_link(file.path()).ok())
        .any(|target| target.to_string_lossy().contains(name))
}
