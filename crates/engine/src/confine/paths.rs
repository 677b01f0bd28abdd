//! What a path of a policy means: relative ones in the workspace, `~/` in the home, `/` as it stands.

use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use super::{Refusal, Site, within};
pub(super) use crate::policy::lexical;

/// A path as a sentence has it: of one that is long enough for a program to fill a terminal with, the beginning.
pub(super) fn shown(path: &Path) -> String {
    let mut shown = path.display().to_string();
    if let Some((end, _)) = shown.char_indices().nth(LONGEST_SHOWN) {
        shown.truncate(end);
        shown.push('…');
    }
    shown
}

const LONGEST_SHOWN: usize = 500;

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
            permit: match error.kind() {
                ErrorKind::NotFound => "make it first".to_owned(),
                _ => "a folder on its way has to let you in".to_owned(),
            },
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

/// Paths as one word of a shell's, with `:` between two: what is told to be typed is typed as it stands.
pub(super) fn in_shell<'a>(paths: impl IntoIterator<Item = &'a Path>) -> String {
    let all: Vec<String> = paths.into_iter().map(|path| path.display().to_string()).collect();
    let word = all.join(":");
    let plain = |c: char| c.is_alphanumeric() || "/._-+@:,=%".contains(c);
    if word.chars().all(plain) { word } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

/// Whether a text of a policy is a pattern rather than a path.
pub(super) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '[', '{'])
}

/// Whether a path leads through what programs write, link by link: where it ends is then their word.
pub(crate) fn is_theirs(path: &Path, written: &[PathBuf]) -> bool {
    let mut at = PathBuf::from("/");
    // A relative one, as in a `PATH`, is ours.
    let Ok(path) = std::path::absolute(path) else { return true };
    let mut left: Vec<PathBuf> = parts(&path);
    let mut links = 0;
    while let Some(part) = left.pop() {
        match part.components().next() {
            Some(Component::ParentDir) => drop(at.pop()),
            Some(Component::Normal(name)) => {
                at.push(name);
                if within(&at, written) {
                    return true;
                }
                if let Ok(target) = std::fs::read_link(&at) {
                    links += 1;
                    // A root among its parts leads to the root.
                    at.pop();
                    left.extend(parts(&target));
                }
            }
            Some(Component::RootDir) => at = PathBuf::from("/"),
            _ => {}
        }
        if links > MOST_LINKS {
            return true;
        }
    }
    false
}

/// The parts of a path, the last one first.
fn parts(path: &Path) -> Vec<PathBuf> {
    path.components().rev().map(|part| PathBuf::from(part.as_os_str())).collect()
}

/// As many links as the kernel follows.
const MOST_LINKS: usize = 40;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::in_shell;

    #[test]
    fn what_is_to_be_typed_is_one_word_of_a_shells() {
        for (paths, word) in [
            (&["/a/b.c"][..], "/a/b.c"),
            (&["/a", "/b c"], "'/a:/b c'"),
            (&["/Mein Projekt/über"], "'/Mein Projekt/über'"),
            (&["/it's $HOME"], r"'/it'\''s $HOME'"),
        ] {
            assert_eq!(in_shell(paths.iter().map(Path::new)), word);
        }
    }
}
