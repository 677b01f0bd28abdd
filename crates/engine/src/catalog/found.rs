//! A workflow that was found: its names and words, where it lies, its text.

use std::fmt;
use std::path::{Path, PathBuf};

use botpipe_lang::{FileProblem, Files, Folder, InMemory, SourceFile};

use super::error::Error;
use super::find::{at_path, find, is_path};
use super::shipped::shipped;

/// A workflow of the catalogue; not checked, perhaps not even well-formed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// As its file says, else as the file or folder is called.
    pub name: String,
    /// What the file or folder is called.
    pub stem: String,
    pub title: Option<String>,
    pub description: Option<String>,
    pub aliases: Vec<String>,
    pub origin: Origin,
    /// Its file; relative to the shipped root for a shipped one.
    pub path: PathBuf,
    /// The place of the workflow that is found by this name instead.
    pub shadowed_by: Option<String>,
    /// The link that a person named it by.
    pub(super) link: Option<PathBuf>,
    /// The workspace it was looked for in: others that it starts are looked for there too.
    pub(super) workspace: PathBuf,
}

/// Where a workflow comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// `.botpipe/workflows/`.
    Workspace,
    /// `workflows/`: came with the repository.
    Repo,
    /// Named by its path.
    Path,
    /// Inside the program.
    Shipped,
}

impl Origin {
    /// The word shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Workspace => "workspace",
            Self::Repo => "repo",
            Self::Path => "path",
            Self::Shipped => "shipped",
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Found {
    /// Where it lies, for people: a path, or `shipped:ralph_loop/sop.yaml`.
    pub fn place(&self) -> String {
        let path = self.path.display();
        if self.origin == Origin::Shipped { format!("shipped:{path}") } else { path.to_string() }
    }

    /// Its text and the files beside it, for `botpipe_lang::compile`.
    ///
    /// # Errors
    /// [`Error::NoFile`] and [`Error::Unreadable`], when the file is gone or cannot be read.
    pub fn load(&self) -> Result<(SourceFile, Box<dyn Files>), Error> {
        let folder = self.path.parent().unwrap_or(&self.path);
        let file = self.path.file_name().unwrap_or_default().to_string_lossy();
        let files: Box<dyn Files> = if self.origin == Origin::Shipped {
            let prefix = format!("{}/", folder.display());
            let prefix = if folder.as_os_str().is_empty() { String::new() } else { prefix };
            let files: InMemory = shipped(&prefix).map(|file| (file.path, file.text)).collect();
            Box::new(files)
        } else if folder.as_os_str().is_empty() {
            Box::new(Folder::new("."))
        } else {
            Box::new(Folder::new(folder))
        };
        let text = files.read(&file).map_err(|problem| self.unreadable(problem))?;
        let own = (self.origin != Origin::Shipped).then(|| folder.to_owned());
        let files = with_workflows(files, own, &self.workspace);
        Ok((SourceFile { name: self.place(), text }, files))
    }

    /// What says what it does, where it lies at no place of its kind, which is kept in any case: its file, or the folder
    /// that is all its own.
    pub fn sources(&self) -> Vec<PathBuf> {
        if self.origin != Origin::Path {
            return Vec::new();
        }
        let folder = self.path.parent().filter(|_| self.path.ends_with("sop.yaml"));
        let folder = folder.filter(|folder| !is_same(folder, &self.workspace));
        let own = folder.unwrap_or(&self.path).to_owned();
        self.link.iter().cloned().chain([own]).collect()
    }

    fn unreadable(&self, problem: FileProblem) -> Error {
        let path = self.path.clone();
        let why = match problem {
            FileProblem::Missing => return Error::NoFile { path },
            FileProblem::Outside => "a link on its path leads out of its folder".to_owned(),
            FileProblem::NotText => "it is not UTF-8 text".to_owned(),
            FileProblem::TooLarge => "it is too large".to_owned(),
            FileProblem::Unreadable { reason } => reason,
        };
        Error::Unreadable { path, why }
    }
}

/// Whether both lead to one place; one that leads nowhere is taken for the same, to be careful.
fn is_same(folder: &Path, other: &Path) -> bool {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    match (folder.canonicalize(), other.canonicalize()) {
        (Ok(folder), Ok(other)) => other.starts_with(folder),
        _ => true,
    }
}

/// The files beside a workflow, with the other workflows of its workspace; `folder` is where they are, on disk.
pub(crate) fn with_workflows(
    files: Box<dyn Files>,
    folder: Option<PathBuf>,
    workspace: &Path,
) -> Box<dyn Files> {
    Box::new(Beside { files, folder, workspace: workspace.to_owned() })
}

/// The files beside a workflow, and the other workflows of its workspace.
struct Beside {
    files: Box<dyn Files>,
    /// `None` for a shipped one, which has none on disk.
    folder: Option<PathBuf>,
    workspace: PathBuf,
}

impl Files for Beside {
    fn read(&self, relative: &str) -> Result<String, FileProblem> {
        self.files.read(relative)
    }

    fn workflow(&self, reference: &str) -> Result<(SourceFile, Box<dyn Files>), String> {
        let words = |error: Error| match error.hint() {
            Some(hint) => format!("{error}; {hint}"),
            None => error.to_string(),
        };
        // A path is meant as the author of this file sees it.
        let beside = self.folder.as_ref().map(|folder| folder.join(reference));
        let found = match beside.filter(|path| is_path(reference) && path.exists()) {
            Some(path) => at_path(&self.workspace, &path.to_string_lossy()),
            None => find(&self.workspace, reference),
        };
        found.and_then(|found| found.load()).map_err(words)
    }
}
