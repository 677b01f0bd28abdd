//! The files beside a workflow: prompts, schemas; on disk or built in.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read as _};
use std::path::{Component, Path, PathBuf};

use crate::source::SourceFile;

/// Reads the texts a workflow names by path.
pub trait Files {
    /// The text of a file; `relative` is as authored, relative to the workflow's own file.
    fn read(&self, relative: &str) -> Result<String, FileProblem>;

    /// Another workflow by its name, alias or path, and the files beside it; the error says in words
    /// what is there instead.
    ///
    /// # Errors
    /// There is none, or there is nowhere to look.
    fn workflow(&self, reference: &str) -> Result<(SourceFile, Box<dyn Files>), String> {
        Err(format!("there is no workflow `{reference}` to be found from here"))
    }
}

/// Why a file named by a workflow could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileProblem {
    /// There is no such file.
    Missing,
    /// The path is absolute, contains `..`, or a link on it leads out of the workflow's folder.
    Outside,
    /// The bytes are not UTF-8.
    NotText,
    /// More than 16 MiB.
    TooLarge,
    /// Anything else; the words of the operating system.
    Unreadable {
        /// What went wrong.
        reason: String,
    },
}

/// Largest text a workflow may name.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// A folder on disk; nothing outside it can be read through it.
#[derive(Debug, Clone)]
pub struct Folder {
    root: PathBuf,
}

impl Folder {
    /// The folder a workflow's file lies in.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }
}

impl Files for Folder {
    fn read(&self, relative: &str) -> Result<String, FileProblem> {
        if !stays_inside(relative) {
            return Err(FileProblem::Outside);
        }
        let root = self.root.canonicalize().map_err(|error| problem(&error))?;
        let path = root.join(relative).canonicalize().map_err(|error| problem(&error))?;
        if !path.starts_with(&root) {
            return Err(FileProblem::Outside);
        }
        let about = path.metadata().map_err(|error| problem(&error))?;
        if !about.is_file() {
            return Err(FileProblem::Unreadable { reason: "it is not a regular file".to_owned() });
        }
        let file = std::fs::File::open(&path).map_err(|error| problem(&error))?;
        let mut bytes = Vec::new();
        file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(|error| problem(&error))?;
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(FileProblem::TooLarge);
        }
        String::from_utf8(bytes).map_err(|_| FileProblem::NotText)
    }
}

fn problem(error: &std::io::Error) -> FileProblem {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => FileProblem::Missing,
        _ => FileProblem::Unreadable { reason: error.to_string() },
    }
}

/// Files held in memory, by relative path: workflows built into the program.
#[derive(Debug, Clone, Default)]
pub struct InMemory {
    files: BTreeMap<String, String>,
}

impl<P: Into<String>, T: Into<String>> FromIterator<(P, T)> for InMemory {
    fn from_iter<I: IntoIterator<Item = (P, T)>>(files: I) -> Self {
        Self { files: files.into_iter().map(|(path, text)| (path.into(), text.into())).collect() }
    }
}

impl Files for InMemory {
    fn read(&self, relative: &str) -> Result<String, FileProblem> {
        if !stays_inside(relative) {
            return Err(FileProblem::Outside);
        }
        let plain = relative.strip_prefix("./").unwrap_or(relative);
        self.files.get(plain).cloned().ok_or(FileProblem::Missing)
    }
}

/// Whether a relative path, read without following links, stays below where it starts.
pub(crate) fn stays_inside(relative: &str) -> bool {
    !relative.is_empty()
        && !relative.contains(['\\', '\0'])
        && Path::new(relative)
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}
