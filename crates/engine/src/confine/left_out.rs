//! What no copy is made of: what may not be read, by its names, by every other name of its files, and by what
//! denied links lead to.

use std::collections::BTreeSet;
use std::env;
use std::io;
use std::path::{Path, PathBuf};

use globset::GlobSet;

use super::scan::{self, Kind};
use super::{denied, paths::lexical};
use crate::workspace::layout::Layout;

/// What a run may not read of its workspace, wherever that has its files.
#[derive(Debug, Clone, Default)]
pub(crate) struct LeftOut {
    patterns: GlobSet,
}

impl LeftOut {
    /// By patterns as policies write them, in this workspace.
    pub(crate) fn of(written: &[String], workspace: &Path) -> Self {
        let home = env::var_os("HOME").map(PathBuf::from);
        let inside = written.iter().filter_map(|text| {
            let path = match (text.strip_prefix("~/"), &home) {
                (Some(rest), Some(home)) => home.join(rest),
                _ => workspace.join(text),
            };
            let folder = if text.ends_with('/') { "/" } else { "" };
            let inside = lexical(&path).strip_prefix(workspace).ok()?.to_str()?.to_owned();
            Some(inside + folder)
        });
        Self { patterns: denied::patterns_in(workspace, &inside.collect::<Vec<_>>()) }
    }

    /// Whether a path in the workspace is denied by its name.
    pub(crate) fn names(&self, path: &Path) -> bool {
        self.patterns.is_match(path)
    }

    /// What is denied of this folder, which has the workspace's files, by other names than the patterns'.
    ///
    /// # Errors
    /// A folder that cannot be read: what is in it cannot be judged.
    pub(crate) fn others(&self, root: &Path) -> io::Result<BTreeSet<PathBuf>> {
        if self.patterns.is_empty() {
            return Ok(BTreeSet::new());
        }
        let (names, _) = scan::names(root, &[Layout::FOLDER.into(), ".git/objects".into()])?;
        let (mut known, mut led_to) = (BTreeSet::new(), BTreeSet::new());
        for (path, entry) in names.entries().filter(|(path, _)| self.names(path)) {
            let path = root.join(path);
            if entry.kind == Kind::Link {
                led_to.extend(path.canonicalize());
            }
            known.insert(path);
        }
        // The workspace as a whole is left out by no link to it.
        led_to.retain(|path| path.starts_with(root) && path != root);
        known.extend(led_to.iter().cloned());
        let twins = scan::other_names(&known, root, &root.join(Layout::FOLDER), &names);
        let others = twins.into_iter().chain(led_to);
        Ok(others.filter_map(|path| Some(path.strip_prefix(root).ok()?.to_owned())).collect())
    }
}
