//! Files of git's own that name files of a work tree, by which git reads and writes them: it trusts that they lie there.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::made;
use super::named::Named;
use super::settings::{self, Links};
use crate::confine::deep;
use crate::confine::links::follow;
use crate::confine::scan;
use crate::git_index::{self, Unread};
use crate::plain;

/// What tells that an index is still the same: where it is on the disk, and when it was changed.
pub(super) type Stamp = (u64, u64, i64, i64, u64);

/// The indexes in one of git's own folders that would show it if they changed from now on. They may be long.
pub(super) fn settled(folder: &Path) -> BTreeMap<PathBuf, Stamp> {
    let all = indexes(folder).into_iter().map(|name| folder.join(name));
    let settled = all.filter_map(|path| {
        let there = fs::symlink_metadata(&path).ok().filter(scan::has_settled)?;
        Some((path, stamp(&there)))
    });
    settled.collect()
}

fn stamp(there: &Metadata) -> Stamp {
    (there.dev(), there.ino(), there.ctime(), there.ctime_nsec(), there.size())
}

fn indexes(at: &Path) -> Vec<OsString> {
    let entries = fs::read_dir(at).into_iter().flatten().flatten();
    // The one that git reads first may say that others belong to it.
    let is_one = |name: &OsString| name == "index" || name.as_bytes().starts_with(b"sharedindex.");
    entries.map(|entry| entry.file_name()).filter(is_one).collect()
}

/// Those in one of git's own folders that name what is no file of the work tree, such as a hook; and why. Indexes that
/// are as they were are not read.
pub(super) fn strange(folder: &Path, before: &BTreeMap<PathBuf, Stamp>) -> Vec<(PathBuf, String)> {
    let Ok(reached) = deep::reach(folder) else { return Vec::new() };
    let at = reached.path();
    let indexes = indexes(at).into_iter().filter_map(|name| {
        let (path, file) = (folder.join(&name), at.join(&name));
        let now = fs::symlink_metadata(&file).ok().map(|there| stamp(&there));
        let is_new = now.is_none() || before.get(&path) != now.as_ref();
        is_new.then(|| (path, of_index(&file, folder)))
    });
    let resolved = (folder.join(RESOLVED), of_resolved(&at.join(RESOLVED), folder));
    let all = indexes.chain([resolved]);
    all.filter_map(|(path, why)| Some((path, why?))).collect()
}

fn of_index(file: &Path, folder: &Path) -> Option<String> {
    // What is no file git does not read.
    let opened = plain::open(file).ok()?;
    let hash = if has_long_names(folder) { 32 } else { 20 };
    let mut strange = None;
    let read = git_index::names(opened, hash, &mut |name| {
        if strange.is_none() && !is_of_tree(name) {
            strange = Some(format!("it names `{}`", String::from_utf8_lossy(name)));
        }
    });
    match read {
        Ok(()) => strange,
        Err(Unread::NoIndex) => None,
        Err(Unread::Strange(why)) => Some(why),
    }
}

/// What conflicts there are whose resolution git remembers: it reads these files when a commit is made.
///
/// # Source
/// `read_rr` of git 2.47, `rerere.c`.
const RESOLVED: &str = "MERGE_RR";

fn of_resolved(file: &Path, folder: &Path) -> Option<String> {
    let bytes = plain::read(file, plain::SMALL).ok()?;
    let lines = bytes.split(|byte| *byte == 0);
    let mut names = lines.filter_map(|line| line.splitn(2, |byte| *byte == b'\t').nth(1));
    let tree = tree_of(folder).and_then(|tree| tree.canonicalize().ok());
    // A link may lead anywhere.
    let leads = |name: &[u8]| {
        tree.as_ref()
            .is_none_or(|tree| !follow(&tree.join(OsStr::from_bytes(name))).links.is_empty())
    };
    let name = names.find(|name| !is_of_tree(name) || leads(name))?;
    Some(format!("it names `{}`", String::from_utf8_lossy(name)))
}

/// The top of the work tree that a folder is of.
fn tree_of(folder: &Path) -> Option<PathBuf> {
    if folder.ends_with(".git") {
        return folder.parent().map(Path::to_owned);
    }
    let back = plain::read(&folder.join("gitdir"), plain::SMALL).ok();
    let back = back.map(|back| folder.join(OsStr::from_bytes(back.trim_ascii_end())));
    if let Some(back) = back {
        return back.parent().map(Path::to_owned);
    }
    let mut named = Named::default();
    named.add(&folder.join("config"), None).ok()?;
    named.tree
}

/// Whether the objects have names of the longer kind.
fn has_long_names(folder: &Path) -> bool {
    let common = made::common_of(folder).ok().flatten();
    let file = common.as_deref().unwrap_or(folder).join("config");
    let bytes = settings::bytes_of(&file, Links::Followed).ok().flatten().unwrap_or_default();
    let all = settings::parse(&bytes).map(|read| read.all).unwrap_or_default();
    let last = all.into_iter().rev().find(|it| it.name == "extensions.objectformat");
    last.and_then(|it| it.value).is_some_and(|value| value == b"sha256")
}

/// As git itself judges a path before it is in an index; a folder that is not checked out ends in a slash.
///
/// # Source
/// `verify_path` of git 2.47, `read-cache.c`.
fn is_of_tree(name: &[u8]) -> bool {
    let mut parts = name.strip_suffix(b"/").unwrap_or(name).split(|byte| *byte == b'/');
    let is_one = |part: &[u8]| {
        !matches!(part, b"" | b"." | b"..")
            && !part.eq_ignore_ascii_case(b".git")
            && !part.contains(&0)
    };
    // One that only says which of another index it replaces has no name.
    name.is_empty() || parts.all(is_one)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn strange(folder: &Path) -> Vec<(PathBuf, String)> {
        super::strange(folder, &BTreeMap::new())
    }

    #[test]
    fn an_index_is_read_again_when_it_has_changed() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        git(folder, "git init -q .; echo a > xgit; git add xgit");
        assert_eq!(
            settled(&folder.join(".git")),
            BTreeMap::new(),
            "it may change in the same tick"
        );
        std::thread::sleep(std::time::Duration::from_millis(4100));
        let before = settled(&folder.join(".git"));
        assert_eq!(before.len(), 1);
        let file = folder.join(".git/index");
        let modified = fs::metadata(&file).unwrap().modified().unwrap();
        renamed(folder, b"xgit", b".git");
        // Who may write it may set that, and not the time of the change.
        fs::File::options().write(true).open(&file).unwrap().set_modified(modified).unwrap();
        assert_eq!(super::strange(&folder.join(".git"), &before).len(), 1);
    }

    /// Git in a folder, which it makes all of this in.
    fn git(folder: &Path, script: &str) {
        let mut shell = Command::new("sh");
        shell.args(["-ec", script]).current_dir(folder).env("GIT_CONFIG_GLOBAL", "/dev/null");
        for role in ["AUTHOR", "COMMITTER"] {
            shell.env(format!("GIT_{role}_NAME"), "a").env(format!("GIT_{role}_EMAIL"), "a@b");
        }
        let output = shell.output().unwrap();
        assert!(output.status.success(), "{script}: {output:?}");
    }

    /// The same index, with another name of the same length in it.
    fn renamed(folder: &Path, from: &[u8], to: &[u8]) {
        let file = folder.join(".git/index");
        let bytes = fs::read(&file).unwrap();
        let at = bytes.windows(from.len()).position(|it| it == from).unwrap();
        let bytes = [&bytes[..at], to, &bytes[at + from.len()..]].concat();
        fs::write(file, bytes).unwrap();
    }

    #[test]
    fn an_index_of_every_kind_is_read() {
        let long = "l".repeat(200);
        let long = [&long[..]; 21].join("/");
        for (format, version) in [("sha1", 2), ("sha1", 4), ("sha256", 2), ("sha256", 4)] {
            let folder = tempfile::tempdir().unwrap();
            let folder = folder.path();
            let makes = format!(
                "git init -q --object-format={format} .; mkdir -p d/e; echo a > d/e/f; echo b > d/xgit; echo c > d/y
                 git update-index --index-version {version}; git config index.threads 2
                 git add .; git add -N d/y; git update-index --add --cacheinfo 100644,$(git hash-object d/y),{long}"
            );
            git(folder, &makes);
            let bytes = fs::read(folder.join(".git/index")).unwrap();
            let hash = if format == "sha1" { 20 } else { 32 };
            let number = u32::from_be_bytes(bytes[4..8].try_into().unwrap());
            assert!([version, 3].contains(&number), "{number}");
            let file = folder.canonicalize().unwrap().join(".git/index");
            let opened = plain::open(&file).map_err(std::io::Error::from).unwrap();
            let mut found = Vec::new();
            git_index::names(opened, hash, &mut |name| found.push(name.to_vec())).unwrap();
            let expected = ["d/e/f", "d/xgit", "d/y", &long[..]].map(|it| it.as_bytes().to_vec());
            assert_eq!(found, expected, "{format} {version}");
            assert_eq!(strange(&folder.join(".git")), Vec::new());
            git(
                folder,
                "git rm -q --cached d/y; git commit -qm x; git update-index --split-index; git add d/y",
            );
            assert_eq!(strange(&folder.join(".git")), Vec::new());
            git(folder, "git update-index --no-split-index; rm .git/sharedindex.*");
            renamed(folder, b"xgit", b".gIt");
            let told = strange(&folder.join(".git"));
            assert!(told[0].1.contains("it names `d/.gIt`"), "{told:?}");
        }
    }

    #[test]
    fn an_index_of_many_names_says_where_parts_of_it_begin() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        git(
            folder,
            "git init -q .; h=$(echo | git hash-object -w --stdin); git config index.threads 2; git config index.version 4
             for i in $(seq 30000); do printf \"100644 $h 0\td/$i\n\"; done | git update-index --index-info",
        );
        let file = folder.join(".git/index");
        let bytes = fs::read(&file).unwrap();
        let at = bytes.windows(4).position(|it| it == b"IEOT").unwrap();
        assert_eq!(strange(&folder.join(".git")), Vec::new());
        let mut other = bytes.clone();
        other[at + 8 + 4 + 8 + 3] ^= 4;
        fs::write(&file, other).unwrap();
        assert_eq!(strange(&folder.join(".git")).len(), 1, "git would begin elsewhere");
        let at = bytes.windows(4).rposition(|it| it == b"EOIE").unwrap();
        let mut other = bytes.clone();
        other[at + 11] ^= 4;
        fs::write(&file, other).unwrap();
        assert_eq!(strange(&folder.join(".git")).len(), 1, "git would look for that elsewhere");
        fs::write(&file, &bytes[..bytes.len() - 2000]).unwrap();
        assert_eq!(strange(&folder.join(".git")).len(), 1, "nobody knows");
    }

    #[test]
    fn an_index_whose_names_are_longer_than_any_path_is_not_read_on() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        git(
            folder,
            "git init -q .; h=$(echo | git hash-object -w --stdin); git config index.version 4
             n=$(head -c 100000 /dev/zero | tr '\\0' a)
             for i in $(seq 1000 1099); do printf \"100644 $h 0\t$n$i\n\"; done | git update-index --index-info",
        );
        let told = strange(&folder.join(".git"));
        assert!(told[0].1.contains("longer than any path"), "{told:?}");
    }

    #[test]
    fn what_git_checks_out_lies_in_the_work_tree() {
        for name in ["a", "a/b.git", ".gitignore", "a/.github/x", "folder/", "..a/...", ""] {
            assert!(is_of_tree(name.as_bytes()), "{name}");
        }
        for name in
            [".git/hooks/x", "a/.GIT", "../x", "a/../x", "/x", "a//x", "./x", ".git/", "a\0b"]
        {
            assert!(!is_of_tree(name.as_bytes()), "{name}");
        }
    }
}
