//! What is neither a file nor a folder in git's own folders: git would write, read or wait where it leads.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

use crate::confine::deep;

/// By its path; of a link, what is written in it.
pub(super) type Odd = BTreeMap<std::path::PathBuf, Option<OsString>>;

/// What is odd in one of git's own folders and in all that are in it. What git itself makes is not.
pub(super) fn of(folder: &Path) -> Odd {
    let mut all = Odd::new();
    let whole = folder.components().any(|part| part.as_os_str() == ".git");
    let mut next = vec![folder.to_owned()];
    while let Some(within) = next.pop() {
        let Ok(reached) = deep::reach(&within) else { continue };
        let inside = within.strip_prefix(folder).unwrap_or(Path::new(""));
        for entry in fs::read_dir(reached.path()).into_iter().flatten().flatten() {
            let (name, Ok(kind)) = (entry.file_name(), entry.file_type()) else { continue };
            // Not everything in a folder of another name is git's.
            if !whole && inside.as_os_str().is_empty() && !is_of_git(&name) {
                continue;
            }
            let path = within.join(&name);
            if kind.is_dir() {
                if !is_of_objects(inside, &name) {
                    next.push(path);
                }
            } else if kind.is_symlink() {
                let to = fs::read_link(entry.path()).unwrap_or_default();
                if !is_reference(&inside.join(&name), &to) && !is_lock(&name, &to) {
                    all.insert(path, Some(to.into_os_string()));
                }
            } else if kind.is_fifo() || kind.is_char_device() || kind.is_block_device() {
                all.insert(path, None);
            }
        }
    }
    all
}

/// A folder of objects, of which there are many. One that is a repository is looked at as such.
fn is_of_objects(inside: &Path, name: &OsStr) -> bool {
    let elsewhere = inside
        .components()
        .any(|it| [OsStr::new("refs"), OsStr::new("logs")].contains(&it.as_os_str()));
    let name = name.as_bytes();
    !elsewhere
        && inside.ends_with("objects")
        && name.len() == 2
        && name.iter().all(u8::is_ascii_hexdigit)
}

/// A reference as git had them once, and has them with `core.preferSymlinkRefs`: nobody follows it.
///
/// # Source
/// `read_ref_internal` of git 2.47, `refs/files-backend.c`, and its `check_refname_format`.
fn is_reference(inside: &Path, to: &Path) -> bool {
    let mut above = inside.components().map(std::path::Component::as_os_str);
    let is_one = inside.ends_with("HEAD") || above.clone().any(|part| part == "refs");
    let part = |part: &[u8]| {
        let usual = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.+@#=,".contains(byte);
        !part.is_empty()
            && part.iter().all(usual)
            && !part.starts_with(b".")
            && !part.ends_with(b".")
            && !part.ends_with(b".lock")
            && !part.windows(2).any(|pair| pair == b"..")
    };
    let to = to.as_os_str().as_bytes();
    is_one
        && !above.any(|part| part == "logs")
        && to.strip_prefix(b"refs/").is_some_and(|rest| rest.split(|byte| *byte == b'/').all(part))
}

/// The lock of an editor that has a message of git's open: it says whose it is, and leads nowhere else.
fn is_lock(name: &OsStr, to: &Path) -> bool {
    name.as_bytes().starts_with(b".#") && !to.as_os_str().as_bytes().contains(&b'/')
}

/// Names in the folder of a repository that is not called `.git`.
fn is_of_git(name: &OsStr) -> bool {
    const NAMES: [&str; 22] = [
        "branches",
        "commondir",
        "config",
        "config.worktree",
        "description",
        "gc.log",
        "gc.pid",
        "gitdir",
        "hooks",
        "index",
        "info",
        "logs",
        "modules",
        "objects",
        "packed-refs",
        "rebase-apply",
        "rebase-merge",
        "refs",
        "reftable",
        "remotes",
        "rr-cache",
        "sequencer",
    ];
    let bytes = name.as_bytes();
    let starts = [&b"sharedindex."[..], b"shallow", b"worktrees"];
    NAMES.iter().any(|it| name == *it)
        || starts.iter().any(|start| bytes.starts_with(start))
        || bytes.ends_with(b".lock")
        || bytes.iter().all(|byte| byte.is_ascii_uppercase() || *byte == b'_')
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_git_makes_is_not_odd() {
        let folder = tempfile::tempdir().unwrap();
        let git = folder.path().join(".git");
        fs::create_dir_all(git.join("logs/refs/heads")).unwrap();
        fs::create_dir_all(git.join("refs/remotes/origin")).unwrap();
        fs::create_dir_all(git.join("objects/ab")).unwrap();
        let is_odd = |name: &str, to: &str| {
            symlink(to, git.join(name)).unwrap();
            let found = of(&git).contains_key(&git.join(name));
            fs::remove_file(git.join(name)).unwrap();
            found
        };
        assert!(!is_odd("HEAD", "refs/heads/main"));
        assert!(!is_odd("refs/remotes/origin/HEAD", "refs/remotes/origin/a-b/c.d"));
        assert!(!is_odd(".#COMMIT_EDITMSG", "me@host.12:34"));
        assert!(!is_odd("objects/ab/cd", "anywhere"), "they are many");
        for to in
            ["refs/../../x", "refs//x", "refs/a.lock", "/refs/x", "../x", "refs/.x", "refs/a b"]
        {
            assert!(is_odd("HEAD", to), "{to}");
        }
        for name in ["logs/HEAD", "logs/refs/heads/main", "FETCH_HEAD", "index", "objects/pack"] {
            assert!(is_odd(name, "refs/heads/main"), "{name}");
        }
        assert!(is_odd(".#COMMIT_EDITMSG", "../x"));
    }

    #[test]
    fn a_repository_by_another_name_may_have_more_than_gits_own_in_it() {
        let folder = tempfile::tempdir().unwrap();
        symlink("AGENTS.md", folder.path().join("CLAUDE.md")).unwrap();
        assert_eq!(of(folder.path()), Odd::new());
        symlink("x", folder.path().join("FETCH_HEAD")).unwrap();
        assert_eq!(of(folder.path()).len(), 1);
    }
}
