//! What is covered in place, since no layer can leave it out: denied files of trees that are written, sockets, closed
//! folders.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use botpipe_sandbox::Layer;

use super::Work;
use crate::confine::denied::{Denied, Watched};
use crate::confine::links::is_seen;
use crate::confine::scan::Names;
use crate::confine::{Refusal, Rules, covered, history, sockets, within};

impl Work<'_> {
    /// What may not be read, where it cannot be hidden.
    pub(super) fn cover(
        &mut self,
        rules: &Rules<'_>,
        denied: Denied,
        names: &Arc<Names>,
    ) -> Result<(), Refusal> {
        let is_hidden = |path: &Path| {
            path.starts_with(self.workspace()) && !within(path, &self.roots) && !self.parts
        };
        let denied_there = denied.there.iter().filter(|path| !path.starts_with(&self.site.state));
        let open: Vec<PathBuf> = denied_there.filter(|path| !is_hidden(path)).cloned().collect();
        covered::few_enough("deny_read", open.len())?;
        for path in &open {
            if path.symlink_metadata().is_ok_and(|it| !it.is_symlink()) {
                self.pin(path);
                self.upper.push(Layer::Masked(path.clone()));
            }
        }
        let folders: Vec<PathBuf> =
            names.folders().map(|folder| self.workspace().join(folder)).collect();
        let seen = |path: &Path| is_seen(&self.lower, path);
        history::check((rules.deny_read, &denied), self.site, names, &seen)?;
        if let Some(patterns) = denied.patterns
            && !folders.is_empty()
        {
            let workspace = self.workspace().to_owned();
            self.files.watched =
                Some(Watched { workspace, folders, names: Arc::clone(names), patterns });
        }
        self.files.denied = denied.there.into_iter().collect();
        Ok(())
    }

    pub(super) fn close_sockets(&mut self, names: &Names) {
        for socket in sockets::seen(self.site, names, &[&self.lower, &self.upper], &self.empty) {
            self.pin(&socket);
            self.upper.push(Layer::Masked(socket));
        }
    }

    /// A program may do no more in there than whoever runs it, not even where it could give itself the right to: what
    /// is in there was not judged.
    pub(super) fn close_folders(&mut self) {
        for folder in self.files.closed.clone() {
            self.pin(&folder);
            self.upper.push(Layer::Masked(folder));
        }
    }
}
