//! What lies beside a workflow that is built: files on disk, texts at hand, other workflows.

use std::collections::BTreeMap;
use std::path::PathBuf;

use botpipe_engine::catalog;
use botpipe_lang::{FileProblem, Files, Folder, InMemory, SourceFile};

use crate::Workflow;

/// Texts at hand come first, then the files of a folder.
#[derive(Debug, Clone, Default)]
pub(crate) struct Beside {
    pub(super) texts: BTreeMap<String, String>,
    pub(super) folder: Option<PathBuf>,
    /// Where workflows are looked for by name.
    pub(super) workspace: Option<PathBuf>,
    pub(super) workflows: Vec<Workflow>,
}

impl Files for Beside {
    fn read(&self, relative: &str) -> Result<String, FileProblem> {
        let texts: InMemory = self.texts.clone().into_iter().collect();
        match (texts.read(relative), &self.folder) {
            (Err(FileProblem::Missing), Some(folder)) => Folder::new(folder).read(relative),
            (found, _) => found,
        }
    }

    fn workflow(&self, reference: &str) -> Result<(SourceFile, Box<dyn Files>), String> {
        let mut at_hand = self.workflows.iter().filter(|it| it.name() == reference);
        if let Some(first) = at_hand.next() {
            if at_hand.any(|other| other.digest() != first.digest()) {
                return Err(format!("two different workflows are called `{reference}`"));
            }
            return first.load().map_err(|error| in_words(&error));
        }
        let Some(workspace) = &self.workspace else {
            return Err(format!(
                "there is no workflow `{reference}` at hand, and no workspace to look for it in"
            ));
        };
        let found = catalog::find(workspace, reference).and_then(|found| found.load());
        found.map_err(|error| in_words(&error))
    }
}

fn in_words(error: &catalog::Error) -> String {
    match error.hint() {
        Some(hint) => format!("{error}; {hint}"),
        None => error.to_string(),
    }
}
