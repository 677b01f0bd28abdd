//! A workflow that checked.

use std::fmt;
use std::path::{Path, PathBuf};

use botpipe_engine::catalog;
use botpipe_kernel::ids::Digest;
use botpipe_lang::{Compiled, Diagnostic, Files, Severity, SourceFile, compile};

use crate::build::{Beside, WorkflowBuilder};

/// A workflow that checked: what a run is started from.
#[derive(Debug, Clone)]
pub struct Workflow {
    compiled: Compiled,
    source: SourceFile,
    origin: Origin,
}

/// Where the files beside it are.
#[derive(Debug, Clone)]
enum Origin {
    Found(catalog::Found),
    Built(Beside),
}

/// Why there is no workflow to run. Its `Debug` is its words too: what a `main` that returns it prints.
pub enum NotRunnable {
    /// It was not found, or its file cannot be read.
    Unknown(catalog::Error),
    /// It breaks rules of the language.
    Wrong {
        /// Its file; of one that was built, its name.
        file: String,
        /// What the diagnostics point into.
        text: String,
        /// All that is wrong, by place.
        diagnostics: Vec<Diagnostic>,
    },
}

impl Workflow {
    /// Begins to build a workflow: see [`build`](crate::build).
    pub fn builder(name: impl Into<String>) -> WorkflowBuilder {
        WorkflowBuilder::new(name.into())
    }

    /// Finds a workflow by name or path, as `botpipe run` does: the workspace's own, the repository's,
    /// the shipped ones; first wins. Everything about it is checked.
    ///
    /// # Errors
    /// [`NotRunnable`].
    pub fn find(workspace: impl AsRef<Path>, reference: &str) -> Result<Self, NotRunnable> {
        let found = catalog::find(workspace.as_ref(), reference).map_err(NotRunnable::Unknown)?;
        let (source, files) = found.load().map_err(NotRunnable::Unknown)?;
        Self::checked(source, files.as_ref(), Origin::Found(found))
    }

    pub(crate) fn built(source: SourceFile, beside: Beside) -> Result<Self, NotRunnable> {
        let files = beside.clone();
        Self::checked(source, &files, Origin::Built(beside))
    }

    fn checked(source: SourceFile, files: &dyn Files, origin: Origin) -> Result<Self, NotRunnable> {
        let compiled = compile(&source, files);
        if compiled.plan.is_none() {
            let SourceFile { name: file, text } = source;
            return Err(NotRunnable::Wrong { file, text, diagnostics: compiled.diagnostics });
        }
        Ok(Self { compiled, source, origin })
    }

    /// What runs call it.
    pub fn name(&self) -> &str {
        self.compiled.plan.as_ref().map_or("", |plan| plan.name.as_str())
    }

    /// Its text: of a file, or what the builder wrote.
    pub fn text(&self) -> &str {
        &self.source.text
    }

    /// Digest of its plan: the same for the same meaning, however it was written.
    pub fn digest(&self) -> Option<&Digest> {
        self.compiled.plan_digest.as_ref()
    }

    /// Warnings about it.
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.compiled.diagnostics
    }

    pub(crate) fn compiled(&self) -> &Compiled {
        &self.compiled
    }

    /// The files that say what it does, for its run to keep from its programs.
    pub(crate) fn sources(&self) -> Vec<PathBuf> {
        match &self.origin {
            Origin::Found(found) => found.sources(),
            Origin::Built(_) => Vec::new(),
        }
    }

    /// Its text and what lies beside it, for another workflow that starts it.
    pub(crate) fn load(&self) -> Result<(SourceFile, Box<dyn Files>), catalog::Error> {
        match &self.origin {
            Origin::Found(found) => found.load(),
            Origin::Built(beside) => Ok((self.source.clone(), Box::new(beside.clone()))),
        }
    }
}

impl fmt::Display for NotRunnable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(error) => error.fmt(f),
            Self::Wrong { file, text, diagnostics } => {
                write!(f, "`{file}` does not check")?;
                for diagnostic in diagnostics.iter().filter(|it| it.severity == Severity::Error) {
                    write!(f, "\n{}: {}", diagnostic.code, diagnostic.message)?;
                    if let Some(place) = diagnostic.labels.first()
                        && let Some(line) = text.lines().nth(place.line - 1)
                    {
                        write!(f, "\n  {} | {}", place.line, line.trim_end())?;
                    }
                    if let Some(help) = &diagnostic.help {
                        write!(f, "\n  help: {help}")?;
                    }
                }
                Ok(())
            }
        }
    }
}

impl fmt::Debug for NotRunnable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
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
