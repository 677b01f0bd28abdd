//! Links among what is kept: whoever follows one reads what it leads to, so that is kept as well.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::paths::{as_far_as_there, lexical};
use super::scan::{Kind, Names};

/// The links among these files and in these folders, and what each leads to, by its own name.
pub(super) fn of(
    kept: &BTreeSet<PathBuf>,
    workspace: &Path,
    names: &Names,
) -> BTreeMap<PathBuf, PathBuf> {
    let mut found = BTreeMap::new();
    let mut add = |path: PathBuf| {
        if let Ok(to) = fs::read_link(&path) {
            let from = path.parent().unwrap_or(Path::new("/"));
            found.insert(path.clone(), as_far_as_there(&lexical(&from.join(to))));
        }
    };
    for path in kept {
        add(path.clone());
        if let Ok(inside) = path.strip_prefix(workspace) {
            let links = names.below(inside).filter(|(_, kind)| *kind == Kind::Link);
            links.for_each(|(link, _)| add(workspace.join(link)));
        } else {
            // One level: what lies deeper is no hook.
            let entries = fs::read_dir(path).into_iter().flatten().flatten();
            entries.for_each(|entry| add(entry.path()));
        }
    }
    found
}
