//! The files that git opens in a repository, looked at before it is asked: a program may have put there what it would
//! wait for, or read for ever.

use std::collections::BTreeSet;
use std::fs::{self, Metadata};
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use crate::process::StopSwitch;
use crate::{plain, repository};

/// The folder that a `.git` is or leads to.
pub(super) fn own_folder(git: &Path) -> PathBuf {
    let led = repository::leads_to(git).unwrap_or_else(|| git.to_owned());
    led.canonicalize().unwrap_or(led)
}

/// The folder that it shares with other working trees, or itself.
pub(super) fn common_folder(own: &Path) -> PathBuf {
    let common = plain::peek_text(&own.join("commondir")).unwrap_or_default();
    let common = own.join(common.trim_end_matches(repository::LINE_ENDS));
    common.canonicalize().unwrap_or(common)
}

/// The folders of all working trees that share its objects, its own first.
pub(super) fn all_folders(own: &Path) -> Vec<PathBuf> {
    let common = common_folder(own);
    let others = fs::read_dir(common.join("worktrees")).into_iter().flatten().flatten();
    let others = others.map(|it| it.path()).filter(|it| is_file(&it.join("HEAD")));
    let mut all = vec![own.to_owned()];
    let others: BTreeSet<PathBuf> = others.take(MOST_TREES).chain([common]).collect();
    all.extend(others.into_iter().filter(|it| it != own));
    all
}

const MOST_TREES: usize = 256;

fn is_file(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|it| it.is_file())
}

/// What stands in git's way, in words.
///
/// # Errors
/// The first file that is none, or has no end; a folder that cannot be read.
pub(super) fn look_through(
    own: &Path,
    (workspace, stop): (&Path, &StopSwitch),
) -> Result<(), String> {
    let common = common_folder(own);
    let mut next: Vec<(PathBuf, bool)> = vec![(common, false)];
    if !own.starts_with(&next[0].0) {
        next.push((own.to_owned(), false));
    }
    let mut lenders: BTreeSet<PathBuf> = BTreeSet::new();
    while let Some((folder, objects)) = next.pop() {
        if stop.requested().is_some() {
            return Err("it was asked to stop".to_owned());
        }
        let told = |error: std::io::Error| format!("`{}`: {error}", folder.display());
        for entry in fs::read_dir(&folder).map_err(told)? {
            let entry = entry.map_err(told)?;
            let kind = entry.file_type().map_err(told)?;
            let path = entry.path();
            if kind.is_dir() {
                next.push((path, objects || entry.file_name() == "objects"));
                continue;
            }
            // Objects are many, and a long one is mapped.
            let mapped = objects && kind.is_file() && !folder.ends_with("info");
            let found = if mapped { None } else { fs::metadata(&path).ok() };
            if let Some(wrong) = found.as_ref().and_then(wrong) {
                let inside = path.strip_prefix(workspace).unwrap_or(&path);
                return Err(format!("`{}` {wrong}; remove it", inside.display()));
            }
            if objects && path.ends_with("info/alternates") {
                let others = lenders_in(&path).into_iter().filter(|it| lenders.insert(it.clone()));
                next.extend(others.map(|it| (it, true)));
                if lenders.len() > MOST_TREES {
                    return Err(format!("it borrows objects of more than {MOST_TREES} folders"));
                }
            }
        }
    }
    Ok(())
}

/// The folders that objects are borrowed from, as a file of them says.
fn lenders_in(alternates: &Path) -> Vec<PathBuf> {
    let objects = alternates.ancestors().nth(2).unwrap_or(Path::new("/"));
    let text = plain::peek_text(alternates).unwrap_or_default();
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.filter_map(|line| objects.join(line).canonicalize().ok()).collect()
}

/// A socket is opened by nobody, and git's own watcher has one.
fn wrong(found: &Metadata) -> Option<&'static str> {
    let kind = found.file_type();
    if kind.is_fifo() || kind.is_char_device() || kind.is_block_device() {
        Some("is no file, and git would read it")
    } else if found.is_file() && found.len() > LARGEST {
        Some("is longer than anything that git keeps there (1 GiB)")
    } else {
        None
    }
}

/// An index of ten million files has about as much.
const LARGEST: u64 = 1 << 30;

/// The objects that files beside the references name: where a merge, a fetch or a rebase is, or was.
pub(super) fn beside_references(folders: &[PathBuf]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for folder in folders {
        let names = fs::read_dir(folder).into_iter().flatten().flatten();
        let heads = names.map(|it| it.file_name().to_string_lossy().into_owned());
        let heads = heads.filter(|name| name.ends_with("_HEAD"));
        for name in heads.chain(STANDS.map(str::to_owned)).take(MOST_TREES) {
            let text = plain::peek_text(&folder.join(name)).unwrap_or_default();
            let words = text.split(|c: char| !c.is_ascii_alphanumeric());
            let ids = words.filter(|it| {
                matches!(it.len(), 40 | 64) && it.bytes().all(|byte| byte.is_ascii_hexdigit())
            });
            found.extend(ids.take(MOST_IDS).map(str::to_owned));
        }
    }
    found
}

const MOST_IDS: usize = 1000;

/// # Source
/// git 2.47: `sequencer.c`, `builtin/am.c`.
const STANDS: [&str; 9] = [
    "HEAD",
    "rebase-merge/orig-head",
    "rebase-merge/onto",
    "rebase-merge/stopped-sha",
    "rebase-merge/amend",
    "rebase-apply/orig-head",
    "rebase-apply/onto",
    "rebase-apply/original-commit",
    "sequencer/head",
];

#[cfg(test)]
mod tests {
    use super::*;

    /// What is looked at would else be another folder than git opens.
    #[test]
    fn a_file_with_two_spaces_leads_where_git_goes() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().canonicalize().unwrap().join(name);
        for name in ["s/ ..", "s/t/.git", "t/.git"] {
            fs::create_dir_all(at(name)).unwrap();
        }
        fs::write(at("s/.git"), "gitdir:  ../../t/.git\n").unwrap();
        assert_eq!(own_folder(&at("s/.git")), at("s/t/.git"));
    }
}
