//! The files of a home that a person's settings of git name, so that git works inside as it does outside: what
//! they include, and what is ignored and has attributes everywhere.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use botpipe_sandbox::{Layer, Text};

use super::paths::is_theirs;
use super::within;
use crate::plain;
use crate::policy::lexical;

/// Where git looks for the settings of a person, and for the others without being told.
const FOUND: [&str; 4] =
    [".gitconfig", ".config/git/config", ".config/git/ignore", ".config/git/attributes"];

/// As many includes within each other as git follows itself.
///
/// # Source
/// `config.c` of git 2.47: `MAX_INCLUDE_DEPTH`.
const DEEPEST: usize = 10;
/// A file that is longer is not looked into, and one behind a link not shown.
const LONGEST: u64 = 256 << 10;
/// Files that are shown at most.
const MOST: usize = 50;

/// Layers that show them, to be read. Nothing of what programs write (`written`) is among them: it would name what
/// else they are to see.
pub(super) fn layers(home: &Path, written: &[PathBuf]) -> Vec<Layer> {
    let secrets: Vec<PathBuf> = super::home::all_secrets(home).collect();
    let mut seen = BTreeSet::new();
    let mut left: Vec<(PathBuf, usize)> = FOUND.iter().map(|name| (home.join(name), 0)).collect();
    let mut layers = Vec::new();
    while let Some((path, depth)) = left.pop() {
        if seen.len() == MOST || !path.starts_with(home) || !seen.insert(path.clone()) {
            continue;
        }
        let Some(found) = found(&path, written) else { continue };
        if within(&path, &secrets) || within(&found, &secrets) {
            continue;
        }
        let text = plain::peek(&found, LONGEST).ok().and_then(|it| String::from_utf8(it).ok());
        if let Some(text) = &text
            && depth < DEEPEST
        {
            left.extend(named(text, &path, home).into_iter().map(|it| (it, depth + 1)));
        }
        if found == path {
            layers.push(Layer::Shown(path));
        } else if let Some(text) = text.filter(|text| !text.contains('\0')) {
            // Behind a link, as who keeps all such files in one folder has them: the folder itself is not seen.
            layers.push(Layer::Text(Text { at: path, text }));
        }
    }
    layers
}

/// The file that a path leads to, where that is no program's word.
fn found(path: &Path, written: &[PathBuf]) -> Option<PathBuf> {
    path.symlink_metadata().ok()?;
    let found = path.canonicalize().ok()?;
    (found.is_file() && !is_theirs(path, written)).then_some(found)
}

/// What a file of settings names.
fn named(text: &str, file: &Path, home: &Path) -> Vec<PathBuf> {
    let mut section = String::new();
    let mut named = Vec::new();
    for line in text.lines().map(str::trim) {
        let mut setting = line;
        if let Some(head) = line.strip_prefix('[') {
            // A name in quotes may hold a bracket.
            let end = head.rfind(']').unwrap_or(head.len());
            section = head[..end].to_lowercase();
            setting = head.get(end + 1..).unwrap_or_default();
        }
        let Some((key, value)) = setting.split_once('=') else { continue };
        let of = section.split([' ', '\t', '"']).next().unwrap_or_default();
        let meant = matches!(
            (of, key.trim().to_lowercase().as_str()),
            ("include" | "includeif", "path")
                | ("core", "excludesfile" | "attributesfile")
                | ("commit", "template")
                | ("blame", "ignorerevsfile")
        );
        named.extend(meant.then(|| absolute(value, file, home)).flatten());
    }
    named
}

/// A path as git reads it: of the home, or from the file that names it.
fn absolute(value: &str, file: &Path, home: &Path) -> Option<PathBuf> {
    let value = value.trim();
    let value = match value.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next().unwrap_or_default(),
        None => value.split([';', '#']).next().unwrap_or_default().trim_end(),
    };
    let path = match value.strip_prefix("~/") {
        Some(inside) => home.join(inside),
        None if value.is_empty() || value.starts_with(['~', '%']) => return None,
        None => file.parent()?.join(value),
    };
    Some(lexical(&path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn shown(home: &Path, written: &[PathBuf]) -> Vec<String> {
        let at = |layer: Layer| match layer {
            Layer::Shown(at) => at,
            Layer::Text(text) => text.at,
            other => panic!("{other:?}"),
        };
        let mut all: Vec<String> = layers(home, written)
            .into_iter()
            .map(|layer| at(layer).strip_prefix(home).unwrap().display().to_string())
            .collect();
        all.sort();
        all
    }

    #[test]
    fn what_the_settings_name_is_shown_and_no_secret() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().canonicalize().unwrap();
        for name in [".ssh", "dots", ".config/git"] {
            fs::create_dir_all(home.join(name)).unwrap();
        }
        let files = [
            (
                "dots/gitconfig",
                "[core]\n\texcludesFile = ~/.ignored ; all\n[include] path = \"~/.local one\"\n\
                 [includeIf \"gitdir:~/a]b/\"]\n  path = .work\n[include]\npath = ~/.ssh/config\n\
                 path = /etc/passwd\npath=~/../outside\npath = ~/.git-credentials\npath = none\n",
            ),
            (".ignored", ""),
            (".local one", "[include]\n\tpath=dots/deep\n"),
            (".work", "[core]\nattributesfile = ~/.attributes\n[include]\npath = .gitconfig"),
            (".attributes", ""),
            ("dots/deep", ""),
            ("dots/other", ""),
            (".ssh/config", ""),
            (".git-credentials", ""),
            (".config/git/ignore", ""),
        ];
        for (name, text) in files {
            fs::write(home.join(name), text).unwrap();
        }
        std::os::unix::fs::symlink("dots/gitconfig", home.join(".gitconfig")).unwrap();
        let expected = [
            ".attributes",
            ".config/git/ignore",
            ".gitconfig",
            ".ignored",
            ".local one",
            ".work",
            "dots/deep",
        ];
        assert_eq!(shown(&home, &[]), expected);
    }

    /// The settings lie in a repository that an agent works on: they would show it what it names.
    #[test]
    fn what_programs_write_names_nothing_more() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().canonicalize().unwrap();
        fs::create_dir(home.join("dots")).unwrap();
        fs::write(home.join("dots/gitconfig"), "[include]\npath = ~/diary\n").unwrap();
        fs::write(home.join("diary"), "").unwrap();
        std::os::unix::fs::symlink("dots/gitconfig", home.join(".gitconfig")).unwrap();
        let written = [home.join("dots")];
        assert_eq!(shown(&home, &written), [""; 0]);
        // It leads on from there.
        fs::remove_file(home.join("dots/gitconfig")).unwrap();
        std::os::unix::fs::symlink("../diary", home.join("dots/gitconfig")).unwrap();
        assert_eq!(shown(&home, &[]), [".gitconfig"]);
        assert_eq!(shown(&home, &written), [""; 0]);
    }
}
