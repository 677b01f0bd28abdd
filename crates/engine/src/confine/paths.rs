//! What a path of a policy means: relative ones in the workspace, `~/` in the home, `/` as it stands.

use std::path::{Path, PathBuf};

use super::{Refusal, Site};
pub(super) use crate::policy::lexical;

/// The absolute path that is meant, with its dots resolved as text.
pub(super) fn absolute(written: &str, site: &Site) -> PathBuf {
    let joined = match (written.strip_prefix("~/"), &site.home) {
        (Some(rest), Some(home)) => home.join(rest),
        _ if written == "~" => site.home.clone().unwrap_or_else(|| PathBuf::from("~")),
        _ => site.workspace.join(written),
    };
    lexical(&joined)
}

/// The path, if no link is crossed on the way to it: a grant must not widen by one.
pub(super) fn straight(
    control: &'static str,
    written: &str,
    path: &Path,
) -> Result<PathBuf, Refusal> {
    let refused = |what: String| Refusal {
        control,
        what: format!("`{control}: {written}` {what}"),
        permit: "name the path it leads to".to_owned(),
    };
    match path.canonicalize() {
        Ok(found) if found == path => Ok(found),
        Ok(found) => Err(refused(format!("goes through a link, to `{}`", found.display()))),
        Err(error) => Err(Refusal {
            permit: "make it first; a name that ends in `/` is made as a folder".to_owned(),
            ..refused(format!("cannot be opened: {error}"))
        }),
    }
}

/// The part of a path that is there, with the links on its way followed, and the rest as it stands.
pub(super) fn as_far_as_there(path: &Path) -> PathBuf {
    for ancestor in path.ancestors() {
        if let (Ok(found), Ok(rest)) = (ancestor.canonicalize(), path.strip_prefix(ancestor)) {
            return if rest.as_os_str().is_empty() { found } else { found.join(rest) };
        }
    }
    path.to_owned()
}

/// Whether a text of a policy is a pattern rather than a path.
pub(super) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '[', '{'])
}
