//! Which test files there are: beside the workflows of a workspace, beside a named one, or at a path.

use std::fs;
use std::path::{Path, PathBuf};

use botpipe_lang::{FileProblem, Files, Folder, InMemory, SourceFile};

use crate::catalog::{self, Found, Origin, shipped};
use crate::scratch::NewFile;

/// The ending of a test file's name.
const SUFFIX: &str = ".test.yaml";

/// The folder a test file lies in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Beside {
    Disk(PathBuf),
    /// Of a workflow inside the program, from the shipped root on: `ralph_loop`.
    Shipped(String),
}

/// Why there is nothing to test.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    #[error(transparent)]
    Catalog(#[from] catalog::Error),
    #[error("`{name}` has no tests: none of the files `*.test.yaml` in {place} is about it")]
    None { name: String, place: String },
    #[error("`{}` is no test file: its name does not end with `.test.yaml`", path.display())]
    NoTest { path: PathBuf },
    #[error("could not read `{}`: {why}", path.display())]
    Unreadable { path: PathBuf, why: String },
}

impl Beside {
    /// The files of the folder.
    pub(super) fn files(&self) -> Box<dyn Files> {
        match self {
            Self::Disk(folder) => Box::new(Folder::new(folder)),
            Self::Shipped(folder) => {
                let prefix = format!("{folder}/");
                let files = shipped(&prefix).map(|file| (file.path, file.text));
                Box::new(files.collect::<InMemory>())
            }
        }
    }

    /// The same place, for people.
    pub(super) fn place(&self, name: &str) -> String {
        match self {
            Self::Disk(folder) if folder.as_os_str() == "." => name.to_owned(),
            Self::Disk(folder) => folder.join(name).display().to_string(),
            Self::Shipped(folder) => format!("shipped:{folder}/{name}"),
        }
    }

    /// Everything below a folder of the folder: path, text, executable.
    pub(super) fn below(&self, folder: &str) -> Result<Vec<(String, String, bool)>, String> {
        match self {
            Self::Disk(root) => below(&root.join(folder)),
            Self::Shipped(root) => {
                let prefix = format!("{root}/{folder}/");
                let files: Vec<_> = shipped(&prefix)
                    .map(|it| NewFile { path: it.path, text: it.text, executable: it.executable })
                    .map(|it| (it.path.to_owned(), it.text.to_owned(), it.executable))
                    .collect();
                if files.is_empty() { Err("there is no such folder".to_owned()) } else { Ok(files) }
            }
        }
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = match self {
            Self::Disk(folder) => fs::read_dir(folder)
                .into_iter()
                .flatten()
                .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
                .collect(),
            Self::Shipped(folder) => {
                shipped(&format!("{folder}/")).map(|file| file.path.to_owned()).collect()
            }
        };
        names.retain(|name| name.ends_with(SUFFIX) && !name.contains('/'));
        names.sort();
        names
    }

    fn read(&self, name: &str) -> Result<SourceFile, FindError> {
        let place = self.place(name);
        let text = self.files().read(name).map_err(|problem| FindError::Unreadable {
            path: PathBuf::from(&place),
            why: match problem {
                FileProblem::Missing => "there is no such file".to_owned(),
                FileProblem::NotText => "it is not UTF-8 text".to_owned(),
                FileProblem::TooLarge => "it is too large".to_owned(),
                FileProblem::Outside => "a link leads out of its folder".to_owned(),
                FileProblem::Unreadable { reason } => reason,
            },
        })?;
        Ok(SourceFile { name: place, text })
    }
}

/// The test files that are meant: of every workflow of the workspace without a word; else of each
/// named workflow, in each named folder, or each named file.
///
/// # Errors
/// [`FindError`], for the first that leads nowhere.
pub fn find(workspace: &Path, named: &[String]) -> Result<Vec<(Beside, SourceFile)>, FindError> {
    let mut found: Vec<(Beside, String)> = Vec::new();
    let mut add = |beside: Beside, name: String| {
        if !found.contains(&(beside.clone(), name.clone())) {
            found.push((beside, name));
        }
    };
    if named.is_empty() {
        for workflow in catalog::list(workspace)? {
            let beside = beside(&workflow);
            if workflow.origin != Origin::Shipped {
                for name in beside.names() {
                    add(beside.clone(), name);
                }
            }
        }
    }
    for name in named {
        let path = Path::new(name);
        if path.is_file() && !name.ends_with("sop.yaml") {
            let (Some(file), true) =
                (path.file_name().and_then(|it| it.to_str()), name.ends_with(SUFFIX))
            else {
                return Err(FindError::NoTest { path: path.to_owned() });
            };
            let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
            add(Beside::Disk(folder.unwrap_or(Path::new(".")).to_owned()), file.to_owned());
            continue;
        }
        if path.is_dir() && !path.join("sop.yaml").is_file() {
            for folder in folders(path) {
                let beside = Beside::Disk(folder);
                for name in beside.names() {
                    add(beside.clone(), name);
                }
            }
            continue;
        }
        let workflow = catalog::find(workspace, name)?;
        let beside = beside(&workflow);
        let names = beside.names();
        let about = names.into_iter().filter(|test| is_about(test, &workflow)).collect::<Vec<_>>();
        if about.is_empty() {
            let place = format!("`{}`", beside.place(""));
            return Err(FindError::None { name: name.clone(), place });
        }
        for name in about {
            add(beside.clone(), name);
        }
    }
    found
        .into_iter()
        .map(|(beside, name)| {
            let source = beside.read(&name)?;
            Ok((beside, source))
        })
        .collect()
}

/// Whether a test file belongs to a workflow: all of a folder do, in a folder of several those that
/// begin with its name.
fn is_about(test: &str, workflow: &Found) -> bool {
    let whole = workflow.path.file_name().is_some_and(|name| name == "sop.yaml");
    let rest = test.strip_prefix(workflow.stem.as_str());
    whole || rest.is_some_and(|rest| rest.starts_with('.'))
}

fn beside(workflow: &Found) -> Beside {
    let folder = workflow.path.parent().filter(|it| !it.as_os_str().is_empty());
    match workflow.origin {
        Origin::Shipped => {
            Beside::Shipped(folder.map(|it| it.display().to_string()).unwrap_or_default())
        }
        _ => Beside::Disk(folder.unwrap_or(Path::new(".")).to_owned()),
    }
}

/// A folder and all below it that are not hidden.
fn folders(root: &Path) -> Vec<PathBuf> {
    let mut all = vec![root.to_owned()];
    let mut at = 0;
    while let Some(folder) = all.get(at).cloned() {
        let mut below: Vec<PathBuf> = fs::read_dir(&folder)
            .into_iter()
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.is_dir() && !path.is_symlink() && !is_hidden(path))
            .collect();
        below.sort();
        all.extend(below);
        at += 1;
    }
    all
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().and_then(|it| it.to_str()).is_none_or(|name| name.starts_with('.'))
}

fn below(root: &Path) -> Result<Vec<(String, String, bool)>, String> {
    if !root.is_dir() {
        return Err("there is no such folder".to_owned());
    }
    let mut found = Vec::new();
    for folder in folders(root) {
        for entry in fs::read_dir(&folder).map_err(|error| error.to_string())? {
            let path = entry.map_err(|error| error.to_string())?.path();
            let Ok(relative) = path.strip_prefix(root) else { continue };
            if !path.is_file() || path.is_symlink() {
                continue;
            }
            let said = |error: std::io::Error| format!("`{}`: {error}", relative.display());
            let text = fs::read_to_string(&path).map_err(said)?;
            let mode = path.metadata().map_err(said)?;
            let executable =
                std::os::unix::fs::PermissionsExt::mode(&mode.permissions()) & 0o111 != 0;
            found.push((relative.display().to_string(), text, executable));
        }
    }
    Ok(found)
}
