//! A restore brings the tree back and destroys nothing.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use botpipe_engine::workspace::Error;
use botpipe_engine::workspace::layout::Layout;
use botpipe_engine::workspace::snapshots::Snapshots;
use proptest::prelude::*;
use tempfile::TempDir;

fn open(root: &Path) -> Snapshots {
    Snapshots::open(&Layout::open(root).unwrap()).unwrap()
}

fn write(root: &Path, path: &str, text: &str) {
    let place = root.join(path);
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    fs::write(place, text).unwrap();
}

fn read(root: &Path, path: &str) -> String {
    fs::read_to_string(root.join(path)).unwrap()
}

fn mode(root: &Path, path: &str) -> u32 {
    fs::metadata(root.join(path)).unwrap().permissions().mode() & 0o777
}

#[test]
fn the_hard_cases() {
    let folder = TempDir::new().unwrap();
    let root = folder.path();
    write(root, ".gitignore", "*.o\n");
    write(root, "file-to-folder", "file");
    write(root, "folder-to-file/a/b", "deep");
    write(root, "program", "#!/bin/sh\n");
    fs::set_permissions(root.join("program"), fs::Permissions::from_mode(0o755)).unwrap();
    write(root, "private", "one");
    fs::set_permissions(root.join("private"), fs::Permissions::from_mode(0o600)).unwrap();
    symlink("program", root.join("link")).unwrap();
    write(root, "deleted/only", "here");
    write(root, "x.o", "ignored one");
    let mut snapshots = open(root);
    let first = snapshots.take().unwrap();

    fs::remove_file(root.join("file-to-folder")).unwrap();
    write(root, "file-to-folder/new", "x");
    fs::create_dir_all(root.join("file-to-folder/empty/below")).unwrap();
    fs::remove_dir_all(root.join("folder-to-file")).unwrap();
    write(root, "folder-to-file", "file");
    fs::set_permissions(root.join("program"), fs::Permissions::from_mode(0o644)).unwrap();
    write(root, "private", "two");
    fs::remove_file(root.join("link")).unwrap();
    symlink("/etc/passwd", root.join("link")).unwrap();
    fs::remove_dir_all(root.join("deleted")).unwrap();
    write(root, "untracked/new", "somebody's");
    write(root, "y.o", "ignored two");
    let second = snapshots.take().unwrap();

    let restored = snapshots.restore(&first).unwrap();
    assert_eq!((restored.kept.clone(), restored.tree), (second.clone(), first.clone()));
    assert_eq!(read(root, "file-to-folder"), "file");
    assert_eq!(read(root, "folder-to-file/a/b"), "deep");
    assert_eq!(mode(root, "program"), 0o755);
    assert_eq!((read(root, "private").as_str(), mode(root, "private")), ("one", 0o600));
    assert_eq!(fs::read_link(root.join("link")).unwrap(), Path::new("program"));
    assert_eq!(read(root, "deleted/only"), "here");
    assert!(!root.join("untracked").exists());
    assert_eq!(
        (read(root, "x.o").as_str(), read(root, "y.o").as_str()),
        ("ignored one", "ignored two")
    );
    let kept = snapshots.read(&restored.kept, Path::new("untracked/new")).unwrap().unwrap();
    assert_eq!(kept, b"somebody's");

    // And back again; doing it twice changes nothing.
    assert_eq!(snapshots.restore(&second).unwrap().tree, second);
    assert_eq!(snapshots.restore(&second).unwrap().kept, second);
    let refs = fs::read_dir(root.join(".botpipe/snapshots.git/refs/kept")).unwrap().count();
    assert_eq!(refs, 2);
}

#[test]
fn an_ignored_file_is_never_deleted_or_lost() {
    let folder = TempDir::new().unwrap();
    let root = folder.path();
    write(root, "notes", "in the snapshot");
    write(root, "place", "a file");
    let mut snapshots = open(root);
    let first = snapshots.take().unwrap();
    // Ignored by now: one that the snapshot has, and one it has not.
    write(root, ".gitignore", "notes\nsecret\nplace/x\n");
    write(root, "notes", "edited since");
    write(root, "secret", "stays");
    let restored = snapshots.restore(&first).unwrap();
    assert_eq!(read(root, "notes"), "in the snapshot");
    assert_eq!(read(root, "secret"), "stays");
    assert_eq!(restored.left, ["secret"]);
    let kept = snapshots.read(&restored.kept, Path::new("notes")).unwrap().unwrap();
    assert_eq!(kept, b"edited since");
    // What is kept can be brought back, though its own rules ignore a file in it.
    snapshots.restore(&restored.kept).unwrap();
    assert_eq!(read(root, "notes"), "edited since");

    // A folder with an ignored file where a file must be: refused, untouched.
    fs::remove_file(root.join("place")).unwrap();
    write(root, "place/x", "ignored");
    write(root, "place/y", "not ignored");
    let error = snapshots.restore(&first).unwrap_err().to_string();
    assert!(error.contains("`place` is a folder with ignored files"), "{error}");
    assert!(error.contains("nothing was changed"), "{error}");
    assert_eq!(
        (read(root, "place/x").as_str(), read(root, "place/y").as_str()),
        ("ignored", "not ignored")
    );
    assert_eq!(read(root, "notes"), "edited since");
}

#[test]
fn a_link_is_never_followed_out_of_the_workspace() {
    let folder = TempDir::new().unwrap();
    let outside = TempDir::new().unwrap();
    let root = folder.path();
    write(root, "a/b", "inside");
    write(outside.path(), "b", "outside");
    let mut snapshots = open(root);
    let first = snapshots.take().unwrap();
    fs::remove_dir_all(root.join("a")).unwrap();
    symlink(outside.path(), root.join("a")).unwrap();
    snapshots.restore(&first).unwrap();
    assert_eq!(read(root, "a/b"), "inside");
    assert_eq!(read(outside.path(), "b"), "outside");
    assert!(fs::symlink_metadata(root.join("a")).unwrap().is_dir());
}

#[test]
fn a_folder_that_became_a_repository_is_refused() {
    let folder = TempDir::new().unwrap();
    let root = folder.path();
    write(root, "sub/file", "one");
    let mut snapshots = open(root);
    let first = snapshots.take().unwrap();
    write(root, "sub/file", "two");
    git2::Repository::init(root.join("sub")).unwrap();
    let error = snapshots.restore(&first).unwrap_err();
    assert!(matches!(&error, Error::InTheWay { path, .. } if path == "sub"), "{error}");
    assert_eq!(read(root, "sub/file"), "two");
}

#[test]
fn a_damaged_snapshot_changes_nothing() {
    let folder = TempDir::new().unwrap();
    let root = folder.path();
    write(root, "a", "first");
    write(root, "b", "first of b");
    let mut snapshots = open(root);
    let first = snapshots.take().unwrap();
    write(root, "a", "second");
    write(root, "b", "second of b");
    snapshots.take().unwrap();
    let blob = git2::Oid::hash_object(git2::ObjectType::Blob, b"first of b").unwrap().to_string();
    let object = root.join(".botpipe/snapshots.git/objects").join(&blob[..2]).join(&blob[2..]);
    let good = fs::read(&object).unwrap();
    fs::set_permissions(&object, fs::Permissions::from_mode(0o644)).unwrap();
    for bad in [Some(&good[..good.len() / 2]), Some(&[][..]), None] {
        match bad {
            Some(bytes) => fs::write(&object, bytes).unwrap(),
            None => fs::remove_file(&object).unwrap(),
        }
        let error = open(root).restore(&first).unwrap_err().to_string();
        assert!(error.contains("its `b`") && error.contains("nothing was changed"), "{error}");
        assert_eq!((read(root, "a").as_str(), read(root, "b").as_str()), ("second", "second of b"));
    }
    fs::write(&object, good).unwrap();
    open(root).restore(&first).unwrap();
    assert_eq!(read(root, "b"), "first of b");
    let error = snapshots.restore(&botpipe_kernel::run::SnapshotId("0".repeat(40))).unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
}

#[test]
fn what_is_kept_outlives_the_users_objects() {
    let folder = TempDir::new().unwrap();
    let root = folder.path();
    let repository = git2::Repository::init(root).unwrap();
    write(root, "dir/a", "first");
    let mut snapshots = open(root);
    let first = snapshots.take().unwrap();
    // Staged, so that the user's repository has the object and ours borrows it.
    write(root, "dir/a", "staged, never committed");
    let mut index = repository.index().unwrap();
    index.add_path(Path::new("dir/a")).unwrap();
    index.write().unwrap();
    let restored = snapshots.restore(&first).unwrap();
    fs::remove_dir_all(root.join(".git")).unwrap();
    let snapshots = open(root);
    let kept = snapshots.read(&restored.kept, Path::new("dir/a")).unwrap().unwrap();
    assert_eq!(kept, b"staged, never committed");
}

/// A tree to write: path to (kind, content).
type Tree = BTreeMap<String, (u8, String)>;

/// Few names on few levels, so that two trees often have a folder where the other has a file.
fn trees() -> impl Strategy<Value = Tree> {
    let path = prop::collection::vec(prop::sample::select(vec!["a", "b", "a.b", "c d"]), 1..4);
    let leaf = (0..3u8, prop::sample::select(vec!["", "x", "yy", "a longer text\n"]));
    prop::collection::vec((path, leaf), 0..12).prop_map(|leaves| {
        let mut tree = Tree::new();
        for (path, (kind, text)) in leaves {
            let path = path.join("/");
            let clash = tree.keys().any(|other| {
                other.starts_with(&format!("{path}/")) || path.starts_with(&format!("{other}/"))
            });
            if !clash {
                // A link's target is never empty.
                let text = if kind == 2 { format!("to-{}", text.len()) } else { text.to_owned() };
                tree.insert(path, (kind, text));
            }
        }
        tree
    })
}

fn become_tree(root: &Path, tree: &Tree) {
    for entry in fs::read_dir(root).unwrap().map(Result::unwrap) {
        if entry.file_name() == ".botpipe" {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            fs::remove_dir_all(entry.path()).unwrap();
        } else {
            fs::remove_file(entry.path()).unwrap();
        }
    }
    for (path, (kind, text)) in tree {
        let place = root.join(path);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        if *kind == 2 {
            symlink(text, place).unwrap();
        } else {
            fs::write(&place, text).unwrap();
            let mode = if *kind == 1 { 0o755 } else { 0o644 };
            fs::set_permissions(&place, fs::Permissions::from_mode(mode)).unwrap();
        }
    }
}

fn tree_of(root: &Path, folder: &str, tree: &mut Tree) {
    for entry in fs::read_dir(root.join(folder)).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
        let kind = entry.file_type().unwrap();
        if path == ".botpipe" {
        } else if kind.is_dir() {
            tree_of(root, &path, tree);
        } else if kind.is_symlink() {
            let target = fs::read_link(entry.path()).unwrap();
            tree.insert(path, (2, target.into_os_string().into_string().unwrap()));
        } else {
            let program = u8::from(mode(root, &path) & 0o100 != 0);
            let text = read(root, &path);
            tree.insert(path, (program, text));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_tree_comes_back_and_the_other_is_kept(a in trees(), b in trees()) {
        let folder = TempDir::new().unwrap();
        let root = folder.path();
        let mut snapshots = open(root);
        become_tree(root, &a);
        let first = snapshots.take().unwrap();
        become_tree(root, &b);
        let restored = snapshots.restore(&first).unwrap();
        let mut now = Tree::new();
        tree_of(root, "", &mut now);
        prop_assert_eq!(&now, &a);
        prop_assert_eq!(&restored.tree, &first);
        snapshots.restore(&restored.kept).unwrap();
        let mut now = Tree::new();
        tree_of(root, "", &mut now);
        prop_assert_eq!(&now, &b);
    }
}
