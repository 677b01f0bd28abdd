//! What is neither a file nor a folder in git's own folders: git would write, read or wait where it leads.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use crate::confine::deep;
use crate::confine::scan::{self, Inode};

/// By its path; of a link, what is written in it.
pub(super) type Odd = BTreeMap<PathBuf, Option<OsString>>;

/// What outer ones of git's own folders say of one that is in them.
#[derive(Clone, Copy)]
struct Above<'a> {
    /// The outermost.
    top: &'a Path,
    logs: bool,
    references: bool,
}

/// Looks through git's own folders, each folder in them once, whichever and however many it is in: a program can make
/// as many as it likes in each other.
#[derive(Default)]
pub(super) struct Looked(BTreeSet<Inode>);

impl Looked {
    /// Gives `each` what is odd in these folders and in all that are in them, with the outermost one that it is in. What
    /// git itself makes is not. Nothing of these may be in others of git's that are looked through later.
    pub(super) fn of<'a>(
        &mut self,
        folders: &BTreeSet<&'a Path>,
        each: &mut dyn FnMut(&'a Path, PathBuf, Option<OsString>),
    ) {
        let mut reached = BTreeMap::new();
        // Outer ones come before those that are in them.
        for folder in folders {
            let above = reached.remove(*folder);
            let whole =
                above.is_some() || folder.components().any(|part| part.as_os_str() == ".git");
            let above = above.unwrap_or(Above { top: folder, logs: false, references: false });
            let mut next = vec![folder.to_path_buf()];
            while let Some(within) = next.pop() {
                let Ok(way) = deep::reach(&within) else { continue };
                let Ok(there) = fs::metadata(way.path()) else { continue };
                if !self.0.insert(scan::inode(&there)) {
                    continue;
                }
                let inside = within.strip_prefix(folder).unwrap_or(Path::new(""));
                let entries = fs::read_dir(way.path()).into_iter().flatten().flatten();
                // What is put aside while they are read would be among them.
                for entry in entries.collect::<Vec<_>>() {
                    let (name, Ok(kind)) = (entry.file_name(), entry.file_type()) else { continue };
                    // Not everything in a folder of another name is git's.
                    if !whole && inside.as_os_str().is_empty() && !is_of_git(&name) {
                        continue;
                    }
                    let path = within.join(&name);
                    let above = above.of(&inside.join(&name));
                    if kind.is_dir() {
                        if is_of_objects(inside, &name, above) {
                            continue;
                        }
                        if folders.contains(&*path) {
                            reached.insert(path, above);
                        } else {
                            next.push(path);
                        }
                    } else if kind.is_symlink() {
                        let to = fs::read_link(entry.path()).unwrap_or_default();
                        let reference = !above.logs && is_reference(&inside.join(&name), &to);
                        if !reference && !is_lock(&name, &to) {
                            each(above.top, path, Some(to.into_os_string()));
                        }
                    } else if kind.is_fifo() || kind.is_char_device() || kind.is_block_device() {
                        each(above.top, path, None);
                    }
                }
            }
        }
    }
}

impl Above<'_> {
    /// The same, of what has this path in the folder.
    fn of(self, inside: &Path) -> Self {
        let has = |part: &str| inside.components().any(|it| it.as_os_str() == part);
        let (logs, references) = (self.logs || has("logs"), self.references || has("refs"));
        Self { logs, references, ..self }
    }
}

/// A folder of objects, of which there are many. One that is a repository is looked at as such.
fn is_of_objects(inside: &Path, name: &OsStr, above: Above<'_>) -> bool {
    let elsewhere = above.logs || above.references;
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

    fn of(folder: &Path) -> Odd {
        let mut all = Odd::new();
        Looked::default().of(&BTreeSet::from([folder]), &mut |_, path, to| {
            all.insert(path, to);
        });
        all
    }

    #[test]
    fn folders_of_gits_that_are_in_each_other_are_looked_through_once_each() {
        let top = tempfile::tempdir().unwrap();
        let mut folders = vec![top.path().join(".git")];
        for depth in 0..200 {
            // Two of three are looked at themselves.
            let name = if depth % 3 == 0 { "plain" } else { ".git" };
            folders.push(folders[depth].join(name));
        }
        fs::create_dir_all(deep::reach(&folders[200]).unwrap().path()).unwrap();
        symlink("refs/x", folders[200].join("logs")).unwrap();
        symlink("/x", folders[100].join("index")).unwrap();
        let all: BTreeSet<&Path> =
            folders.iter().map(PathBuf::as_path).filter(|it| it.ends_with(".git")).collect();
        assert_eq!(all.len(), 134);
        let mut told = Vec::new();
        let mut looked = Looked::default();
        looked.of(&all, &mut |top, path, _| told.push((top, path)));
        let found = [folders[100].join("index"), folders[200].join("logs")];
        let expected: Vec<_> = found.into_iter().map(|path| (&*folders[0], path)).collect();
        assert_eq!(told, expected, "each once, and in the outermost");
        assert_eq!(looked.0.len(), folders.len(), "each folder is read once");
        told.clear();
        looked.of(&BTreeSet::from([&*folders[0]]), &mut |top, path, _| told.push((top, path)));
        assert_eq!(told, Vec::new(), "nor by another way");
    }

    #[test]
    fn a_repository_among_references_of_another_is_looked_at_as_both() {
        let top = tempfile::tempdir().unwrap();
        let (outer, logs) = (top.path().join("outer"), top.path().join("outer/logs/inner"));
        let inner = outer.join("refs/inner");
        fs::create_dir_all(logs.join("refs")).unwrap();
        fs::create_dir_all(&inner).unwrap();
        let odd = [inner.join("any"), inner.join("index"), logs.join("refs/HEAD")];
        symlink("/x", &odd[0]).unwrap();
        symlink("refs/x", &odd[1]).unwrap();
        symlink("refs/x", &odd[2]).unwrap();
        let all = BTreeSet::from([&*outer, &*inner, &*logs]);
        let mut told = BTreeSet::new();
        Looked::default().of(&all, &mut |_, path, _| {
            told.insert(path);
        });
        assert_eq!(told, BTreeSet::from(odd));
    }

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
