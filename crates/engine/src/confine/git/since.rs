//! What changed of git since a program started: beside it others may run, and people use git.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::path::Path;

use super::known::Known;
use super::made;
use crate::workspace::layout::Layout;

impl Known {
    /// What another program that still runs has not found there is not known to this one either: the other may have
    /// made it. `workspace` is the other's.
    pub(in crate::confine) fn amid(&mut self, other: &Self, workspace: &Path) {
        let seen = |path: &Path| {
            // What is Botpipe's own is not looked through from without.
            let inside = path.starts_with(workspace)
                && !other.only_beside
                && !path.starts_with(workspace.join(Layout::FOLDER));
            inside || other.beside.iter().any(|beside| path.starts_with(Path::new(beside)))
        };
        self.folders.retain(|path, had_settings| {
            let known = other.folders.get(path);
            *had_settings &= known.is_none_or(|had| *had);
            known.is_some() || !seen(path)
        });
        let both = |path: &OsString, others: &BTreeSet<OsString>| {
            others.contains(path) || !seen(Path::new(path))
        };
        self.links.retain(|path| both(path, &other.links));
        self.closed.retain(|path| both(path, &other.closed));
        self.programs.retain(|path, programs| {
            let mut left = other.programs.get(path).cloned().unwrap_or_default();
            programs.retain(|program| {
                let at = left.iter().position(|it| it == program);
                !seen(path) || at.map(|at| left.swap_remove(at)).is_some()
            });
            !programs.is_empty()
        });
    }

    /// Forgets what is gone: the program that made it has ended since, and it was put aside.
    pub(in crate::confine) fn without_what_is_gone(&mut self) {
        let is_gone = |path: &Path| {
            path.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
        };
        self.folders.retain(|path, _| !is_gone(&path.join("HEAD")));
        self.links.retain(|path| !is_gone(Path::new(path)));
        self.programs.retain(|path, _| !is_gone(path));
    }
}

/// What settings of git's say that is not plainly harmless, each with a digest; `None`: this is no file of such settings.
pub(in crate::confine) fn settings_of(
    file: &Path,
    workspace: &Path,
    known: &Known,
) -> Option<Vec<(String, String)>> {
    let is_named = ["config", "config.worktree"].iter().any(|name| file.ends_with(name));
    let folder = file.parent().filter(|_| is_named)?;
    let is_gits = folder.ancestors().any(|above| known.folders.contains_key(above));
    is_gits.then(|| made::all_strange(file, folder, workspace))
}
