//! What git still tells of files that nobody may read.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use globset::GlobSet;

use crate::process::listed_by_git;

/// The first file that patterns deny and that git still tells: in its index, or in a commit that some
/// reference leads to. `written` are the patterns as a policy says them.
pub(in crate::confine) fn still_tells(
    workspace: &Path,
    written: &[String],
    patterns: &GlobSet,
) -> Option<(PathBuf, Where)> {
    if !workspace.join(".git").exists() {
        return None;
    }
    let index = listed_by_git(workspace, &["ls-files", "-z", "--cached"]);
    if let Some(found) = index.into_iter().find(|path| patterns.is_match(path)) {
        return Some((found, Where::Index));
    }
    // A history is long: it is asked once for each state of the references.
    let refs = listed_by_git(workspace, &["for-each-ref", "--format=%(objectname)%00"]);
    let head = fs::read_to_string(workspace.join(".git/logs/HEAD")).map(|log| log.len());
    let key = format!("{}\n{written:?}\n{refs:?}\n{head:?}", workspace.display());
    let known = || ASKED.lock().unwrap_or_else(PoisonError::into_inner);
    let answer = known().get(&key).cloned();
    let found = answer.unwrap_or_else(|| {
        let found = in_history(workspace, written, patterns);
        known().insert(key, found.clone());
        found
    });
    found.map(|path| (path, Where::History))
}

/// What histories told, by what was asked of which state.
static ASKED: Mutex<BTreeMap<String, Option<PathBuf>>> = Mutex::new(BTreeMap::new());

fn in_history(workspace: &Path, written: &[String], patterns: &GlobSet) -> Option<PathBuf> {
    let inside = written.iter().filter(|text| !text.starts_with(['/', '~']));
    let specs = inside.flat_map(|text| {
        let whole = text.strip_suffix("/**").or_else(|| text.strip_suffix('/')).unwrap_or(text);
        [format!(":(top,glob){whole}"), format!(":(top,glob){whole}/**")]
    });
    let mut args: Vec<String> =
        ["log", "--all", "--reflog", "--no-renames", "--name-only", "-z", "--format=", "-1", "--"]
            .map(str::to_owned)
            .to_vec();
    args.extend(specs);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    listed_by_git(workspace, &args).into_iter().find(|path| patterns.is_match(path))
}

/// Where git still tells a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::confine) enum Where {
    Index,
    History,
}
