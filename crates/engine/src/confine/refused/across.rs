//! What is neither renamed nor linked from one folder to another: each that is laid by itself is a mount, and the
//! kernel takes no name from one to another (EXDEV of rename(2) and link(2)).

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use botpipe_kernel::plan::SandboxMode;
use botpipe_sandbox::Layer;

use super::{Complaint, Reasons, Told};
use crate::confine::paths::absolute;
use crate::confine::whole::{Surroundings, compile};
use crate::policy::Control;

impl Reasons {
    /// Of two names, or of the one that was told.
    pub(super) fn not_across(&self, complaint: &Complaint) -> Option<Told> {
        let paths = complaint.paths.iter().map(|path| self.meant(complaint, path));
        let mut paths: Vec<PathBuf> = paths.collect::<Option<_>>()?;
        paths.reverse();
        let (first, last) = (paths.first()?, paths.last()?);
        let apart = self.laid_at(first) != self.laid_at(last);
        // Of one name it is not known where it was to go.
        if !self.keeps_files || (first != last && (!apart || device(first) != device(last))) {
            return None;
        }
        let shown: Vec<String> =
            paths.iter().map(|path| format!("`{}`", self.shown(path))).collect();
        let permit = match self.in_one(&paths) {
            Some(line) => format!("{line} permits it"),
            None => "no policy permits it; copy it there, and remove the old one".to_owned(),
        };
        let sentence = format!(
            "{} is not renamed or linked from one folder to another that is kept by itself: {permit}",
            shown.join(" or ")
        );
        Some(Told { sentence, of_unseen: false })
    }

    /// The list that has the whole workspace written, where all of them are in one folder then.
    fn in_one(&self, paths: &[PathBuf]) -> Option<String> {
        let whole = &self.site.workspace;
        let is_apart = self.policy.sandbox_mode == SandboxMode::WorkspaceWrite
            && !self.written.contains(whole)
            && paths.iter().all(|path| path.starts_with(whole));
        if !is_apart {
            return None;
        }
        let beside = |list: &[String]| {
            let beside = list.iter().filter(|it| !absolute(it, &self.site).starts_with(whole));
            beside.cloned().chain([".".to_owned()]).collect::<Vec<String>>()
        };
        let line = self.lines(Control::AllowWrite, |list| Some(beside(list)));
        let mut wider = self.policy.clone();
        wider.allow_write = beside(&wider.allow_write);
        let compiled = compile(&wider, &self.site, &Surroundings::default()).ok()?;
        let opened = Self::of(&compiled, &wider, &self.site)?;
        let places: Vec<Option<&Path>> = paths.iter().map(|path| opened.laid_at(path)).collect();
        places.windows(2).all(|two| two[0] == two[1]).then_some(line)
    }

    /// The folder that is laid and has a path in it.
    fn laid_at(&self, path: &Path) -> Option<&Path> {
        self.layers.iter().rev().map(Layer::path).find(|at| path.starts_with(at))
    }
}

/// Where the host keeps it.
fn device(path: &Path) -> Option<u64> {
    let there = path.ancestors().find_map(|path| path.symlink_metadata().ok());
    there.map(|there| there.dev())
}
