//! Repositories of builds: plain ones, in folders that git ignores and builds fill. Tests make them and make them anew,
//! and a build fetches what it depends on into one; they are judged afterwards, as any that a program makes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::known::Found;
use super::made::{common_of, strange};
use crate::confine::build_output;
use crate::confine::scan::Names;

/// The folders of git's own that are a build's, among those that were found in a workspace.
pub(super) fn of(workspace: &Path, names: &Names, found: &Found) -> BTreeSet<PathBuf> {
    let own = workspace.join(".git");
    let mut nested = found.folders.iter().filter(|folder| !folder.starts_with(&own)).peekable();
    if nested.peek().is_none() {
        return BTreeSet::new();
    }
    let (outputs, _) = build_output::folders(workspace, names);
    let is_of_a_build = |folder: &Path| {
        let inside = folder.strip_prefix(workspace).unwrap_or(folder);
        // One that is itself called as builds call their folders is a person's.
        outputs.iter().any(|output| inside.starts_with(output) && inside != output)
    };
    let is_plain =
        |folder: &Path| strange(folder, workspace).is_none() && common_of(folder) == Ok(None);
    nested.filter(|it| is_of_a_build(it) && is_plain(it)).cloned().collect()
}
