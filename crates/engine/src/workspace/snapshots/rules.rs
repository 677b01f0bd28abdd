//! Ignore rules: `.gitignore` files, the repository's exclude file, the user's own ignore file.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::surroundings::Surroundings;
use crate::plain;

/// The rules of one ignore file.
#[derive(Debug)]
pub(super) struct Rules {
    /// How many bytes of a full path lead to the file's folder.
    skip: usize,
    rules: Gitignore,
}

impl Rules {
    /// Reads the text of an ignore file that lies in `folder` (a full path, empty at the top).
    /// A line that is no pattern is left out, as git does.
    pub(super) fn parse(folder: &[u8], text: &[u8]) -> Self {
        let mut builder = GitignoreBuilder::new("");
        for line in String::from_utf8_lossy(text).lines() {
            let _unreadable_pattern = builder.add_line(None, line);
        }
        let skip = if folder.is_empty() { 0 } else { folder.len() + 1 };
        Self { skip, rules: builder.build().unwrap_or_else(|_| Gitignore::empty()) }
    }

    fn says(&self, path: &[u8], is_folder: bool) -> Option<bool> {
        let path = Path::new(OsStr::from_bytes(path.get(self.skip..)?));
        match self.rules.matched(path, is_folder) {
            Match::None => None,
            Match::Ignore(_) => Some(true),
            Match::Whitelist(_) => Some(false),
        }
    }
}

/// Whether the rules in force leave a path out; the later of `chain` is asked first.
///
/// Full paths start at the top of the user's repository, or at the workspace where there is none.
pub(super) fn is_ignored(chain: &[Arc<Rules>], path: &[u8], is_folder: bool) -> bool {
    chain.iter().rev().find_map(|rules| rules.says(path, is_folder)).unwrap_or(false)
}

/// The rules that come from outside the workspace, weakest first, and the workspace's full path.
///
/// Where the rules above ignore the workspace itself they are not asked at all: it was chosen to be
/// worked in.
pub(super) fn from_outside(workspace: &Path, around: &Surroundings) -> (Vec<Arc<Rules>>, Vec<u8>) {
    let mut chain = Vec::new();
    let (global, _unreadable) = GitignoreBuilder::new("").build_global();
    if !global.is_empty() {
        chain.push(Arc::new(Rules { skip: 0, rules: global }));
    }
    let own = around.exclude.as_deref().and_then(|file| plain::read(file, plain::SMALL).ok());
    if let Some(text) = own {
        chain.push(Arc::new(Rules::parse(b"", &text)));
    }
    let Some(top) = &around.top else { return (chain, Vec::new()) };
    let Ok(below) = workspace.strip_prefix(top) else { return (chain, Vec::new()) };
    let mut above = chain.clone();
    let mut folder = top.clone();
    let mut full: Vec<u8> = Vec::new();
    for part in below.components() {
        if let Ok(text) = plain::read(&folder.join(".gitignore"), plain::SMALL) {
            above.push(Arc::new(Rules::parse(&full, &text)));
        }
        if !full.is_empty() {
            full.push(b'/');
        }
        full.extend_from_slice(part.as_os_str().as_bytes());
        folder.push(part);
        if is_ignored(&above, &full, true) {
            return (chain, Vec::new());
        }
    }
    (above, full)
}
