//! Where builds put what they make: folders that git ignores. They take it where a policy allows no
//! write, and it is gone with the program.

use std::path::{Path, PathBuf};

use ignore::gitignore::GitignoreBuilder;

use super::scan::{Kind, Names};
use crate::plain;

/// Names that builds and tests of ordinary projects use.
const NAMES: [&str; 24] = [
    "target",
    "node_modules",
    "dist",
    "build",
    "out",
    "bin",
    "obj",
    "coverage",
    "venv",
    ".venv",
    ".tox",
    ".nox",
    ".eggs",
    "__pycache__",
    ".pytest_cache",
    ".mypy_cache",
    ".ruff_cache",
    ".next",
    ".nuxt",
    ".turbo",
    ".cache",
    ".gradle",
    ".nyc_output",
    "htmlcov",
];

/// The folders, relative to the workspace: those that are there, and those that are not but would be
/// ignored at its top.
pub(super) fn folders(workspace: &Path, names: &Names) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let mut rules = GitignoreBuilder::new(workspace);
    // A file that cannot be read ignores nothing, which shows as a refused write.
    let text = plain::read(&workspace.join(".gitignore"), plain::SMALL).unwrap_or_default();
    for line in String::from_utf8_lossy(&text).lines() {
        drop(rules.add_line(None, line));
    }
    let Ok(rules) = rules.build() else { return (Vec::new(), Vec::new()) };
    let ignored = |path: &Path| rules.matched_path_or_any_parents(path, true).is_ignore();
    let mut there: Vec<PathBuf> = NAMES
        .iter()
        .flat_map(|name| names.named(name))
        .filter(|(path, kind)| *kind == Kind::Folder && ignored(path))
        .map(|(path, _)| path)
        .collect();
    there.sort();
    there.dedup_by(|path, before| path.starts_with(&*before));
    let missing = NAMES.iter().map(PathBuf::from);
    let missing =
        missing.filter(|name| workspace.join(name).symlink_metadata().is_err() && ignored(name));
    (there, missing.collect())
}
