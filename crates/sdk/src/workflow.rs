//! A workflow that checked.

use std::fmt;
use std::path::Path;

use botpipe_engine::catalog;
use botpipe_kernel::ids::Digest;
use botpipe_lang::{Compiled, Diagnostic, Severity, compile};

/// A workflow that checked: what a run is started from.
#[derive(Debug, Clone)]
pub struct Workflow {
    compiled: Compiled,
}

/// Why there is no workflow to run.
#[derive(Debug)]
pub enum NotRunnable {
    /// It was not found, or its file cannot be read.
    Unknown(catalog::Error),
    /// Its file breaks rules of the language; all of them, by place.
    Wrong { file: String, diagnostics: Vec<Diagnostic> },
}

impl Workflow {
    /// Finds a workflow by name or path, as `botpipe run` does: the workspace's own, the repository's,
    /// the shipped ones; first wins. Everything about it is checked.
    ///
    /// # Errors
    /// [`NotRunnable`].
    pub fn find(workspace: impl AsRef<Path>, reference: &str) -> Result<Self, NotRunnable> {
        let found = catalog::find(workspace.as_ref(), reference).map_err(NotRunnable::Unknown)?;
        let (source, files) = found.load().map_err(NotRunnable::Unknown)?;
        let compiled = compile(&source, files.as_ref());
        if compiled.plan.is_none() {
            let diagnostics = compiled.diagnostics;
            return Err(NotRunnable::Wrong { file: source.name, diagnostics });
        }
        Ok(Self { compiled })
    }

    /// Digest of its plan: the same for the same meaning, however it was written.
    pub fn digest(&self) -> Option<&Digest> {
        self.compiled.plan_digest.as_ref()
    }

    /// Warnings of its file.
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.compiled.diagnostics
    }

    pub(crate) fn compiled(&self) -> &Compiled {
        &self.compiled
    }
}

impl fmt::Display for NotRunnable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(error) => error.fmt(f),
            Self::Wrong { file, diagnostics } => {
                write!(f, "`{file}` does not check")?;
                for diagnostic in diagnostics.iter().filter(|it| it.severity == Severity::Error) {
                    write!(f, "\n{}: {}", diagnostic.code, diagnostic.message)?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for NotRunnable {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unknown(error) => Some(error),
            Self::Wrong { .. } => None,
        }
    }
}
