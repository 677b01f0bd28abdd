//! From a reference (a name, an alias, a path) to a workflow.

use std::path::{Path, PathBuf};

use super::error::Error;
use super::found::{Found, Origin};
use super::roots;
use crate::workspace::layout::Layout;

/// Every workflow, in the order in which they win; shadowed ones say by whom.
///
/// # Errors
/// [`Error::Workspace`] when the workspace is not there.
pub fn list(workspace: &Path) -> Result<Vec<Found>, Error> {
    Layout::open(workspace)?;
    let mut all = roots::all(workspace);
    for at in 1..all.len() {
        let (before, rest) = all.split_at_mut(at);
        let winner = before.iter().find(|found| found.name == rest[0].name);
        rest[0].shadowed_by = winner.map(Found::place);
    }
    Ok(all)
}

/// The workflow a reference means. Names win over names of files and folders, these over aliases.
///
/// # Errors
/// [`Error::Unknown`] with what there is; [`Error::NoFile`] and [`Error::NoSop`] for a path.
pub fn find(workspace: &Path, reference: &str) -> Result<Found, Error> {
    Layout::open(workspace)?;
    if is_path(reference) {
        return at_path(workspace, reference);
    }
    let all = list(workspace)?;
    let tests: [&dyn Fn(&Found) -> bool; 3] =
        [&|found| found.name == reference, &|found| found.stem == reference, &|found| {
            found.aliases.iter().any(|alias| alias == reference)
        }];
    for test in tests {
        if let Some(found) = all.iter().find(|found| test(found)) {
            return Ok(found.clone());
        }
    }
    if Path::new(reference).is_dir() {
        return at_path(workspace, reference);
    }
    let mut known: Vec<String> = Vec::new();
    for found in all.iter().filter(|found| found.shadowed_by.is_none()) {
        known.push(found.name.clone());
    }
    let aliases = all.iter().flat_map(|found| &found.aliases);
    let near = nearest(reference, known.iter().chain(aliases));
    let roots = roots::names(workspace);
    Err(Error::Unknown { reference: reference.to_owned(), near, known, roots })
}

/// A path has a separator, or ends as a file does.
pub(super) fn is_path(reference: &str) -> bool {
    let extension = Path::new(reference).extension().and_then(|it| it.to_str());
    reference.contains('/')
        || reference == "."
        || reference == ".."
        || extension.is_some_and(|it| it.eq_ignore_ascii_case("yaml") || it == "yml")
}

/// The workflow at a path: relative to where the person stands, else to the workspace.
pub(super) fn at_path(workspace: &Path, reference: &str) -> Result<Found, Error> {
    let typed = PathBuf::from(reference);
    let there = [typed.clone(), workspace.join(reference)].into_iter().find(|path| path.exists());
    let Some(mut path) = there else { return Err(Error::NoFile { path: typed }) };
    if path.is_dir() {
        let file = path.join(roots::FOLDER_FILE);
        if !file.is_file() {
            return Err(Error::NoSop { path });
        }
        path = file;
    }
    // A link the person named is followed; what the file itself names stays within its folder.
    let link = path.is_symlink().then(|| path.clone());
    if link.is_some() {
        path = path
            .canonicalize()
            .map_err(|error| Error::Unreadable { path: path.clone(), why: error.to_string() })?;
    }
    let absolute = path.canonicalize().unwrap_or_else(|_| path.clone());
    let stem = roots::stem(&absolute).or_else(|| Some(path.file_stem()?.to_str()?.to_owned()));
    let stem = stem.unwrap_or_else(|| "workflow".to_owned());
    let found = roots::describe(path, stem, Origin::Path, None);
    let (source, _) = found.load()?;
    let found = roots::describe(found.path, found.stem, Origin::Path, Some(&source.text));
    Ok(Found { link, workspace: workspace.to_owned(), ..found })
}

/// The name that was probably meant.
fn nearest<'a>(written: &str, names: impl Iterator<Item = &'a String>) -> Option<String> {
    let fold = |name: &str| name.to_lowercase().replace('-', "_");
    let low = fold(written);
    let allowed = (low.chars().count() / 3).clamp(1, 3);
    names
        .map(|name| (strsim::damerau_levenshtein(&low, &fold(name)), name))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, name)| (*distance, (*name).clone()))
        .map(|(_, name)| name.clone())
}
