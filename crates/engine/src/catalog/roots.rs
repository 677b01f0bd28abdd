//! The roots, first wins: the workspace's own workflows, the repository's, the shipped ones.

use std::fs;
use std::path::{Path, PathBuf};

use botpipe_lang::metadata;

use super::found::{Found, Origin};
use super::shipped::shipped;
use crate::workspace::layout::Layout;

/// Every workflow of every root, in the order in which they win.
pub(super) fn all(workspace: &Path) -> Vec<Found> {
    let [own, repo] = folders(workspace);
    let mut found = in_folder(&own, Origin::Workspace);
    found.extend(in_folder(&repo, Origin::Repo));
    found.extend(built_in());
    for found in &mut found {
        workspace.clone_into(&mut found.workspace);
    }
    found
}

/// The roots as a person would name them.
pub(super) fn names(workspace: &Path) -> Vec<String> {
    let folders = folders(workspace).into_iter();
    folders
        .map(|folder| format!("`{}/`", folder.display()))
        .chain(["the workflows shipped with botpipe".to_owned()])
        .collect()
}

/// The folders of workflows, named as the person named the workspace: so that a place can be
/// clicked on, and reads the same on every machine.
fn folders(workspace: &Path) -> [PathBuf; 2] {
    let base = if workspace == Path::new(".") { Path::new("") } else { workspace };
    [base.join(Layout::FOLDER).join(FOLDER_NAME), base.join(FOLDER_NAME)]
}

/// What the file name of a workflow says its name is; `None` for any other file.
pub(super) fn stem(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    if name == FOLDER_FILE {
        return path.parent()?.file_name()?.to_str().map(str::to_owned);
    }
    name.strip_suffix(FILE_SUFFIX).filter(|stem| !stem.is_empty()).map(str::to_owned)
}

/// A workflow as its text describes it.
pub(super) fn describe(path: PathBuf, stem: String, origin: Origin, text: Option<&str>) -> Found {
    let words = text.map(metadata).unwrap_or_default();
    Found {
        name: words.name.unwrap_or_else(|| stem.clone()),
        stem,
        title: words.title,
        description: words.description,
        aliases: words.aliases,
        origin,
        path,
        shadowed_by: None,
        link: None,
        workspace: PathBuf::new(),
    }
}

fn in_folder(folder: &Path, origin: Origin) -> Vec<Found> {
    // A root that is not there, or may not be read, has no workflows.
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .map(|path| if path.is_dir() { path.join(FOLDER_FILE) } else { path })
        .filter(|path| stem(path).is_some() && path.is_file())
        .collect();
    paths.sort();
    let described = paths.into_iter().filter_map(|path| {
        let stem = stem(&path)?;
        let mut found = describe(path, stem, origin, None);
        if let Ok((source, _)) = found.load() {
            found = describe(found.path, found.stem, origin, Some(&source.text));
        }
        Some(found)
    });
    described.collect()
}

fn built_in() -> impl Iterator<Item = Found> {
    shipped("").filter_map(|file| {
        let path = Path::new(file.path);
        let depth = path.components().count();
        let stem = stem(path).filter(|_| depth <= 2)?;
        Some(describe(path.to_owned(), stem, Origin::Shipped, Some(file.text)))
    })
}

/// The file of a workflow that is a folder.
pub(super) const FOLDER_FILE: &str = "sop.yaml";
const FILE_SUFFIX: &str = ".sop.yaml";
const FOLDER_NAME: &str = "workflows";
