//! What a snapshot of the workspace holds, and that the user's repository does not notice.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use botpipe_engine::workspace::layout::Layout;
use botpipe_engine::workspace::snapshots::Snapshots;
use botpipe_kernel::run::SnapshotId;
use tempfile::TempDir;

fn open(root: &Path) -> Snapshots {
    Snapshots::open(&Layout::open(root).unwrap()).unwrap()
}

fn write(root: &Path, path: &str, text: &str) {
    let place = root.join(path);
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    fs::write(place, text).unwrap();
}

fn git(root: &Path, args: &[&str]) -> String {
    let mut command = Command::new("git");
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("GIT_")) {
        command.env_remove(name);
    }
    let output = command
        .args(["-c", "user.name=t", "-c", "user.email=t@example.org"])
        .args(["-c", "protocol.file.allow=always"])
        .args(args)
        .current_dir(root)
        .output()
        .unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The paths of a snapshot, as git itself reads them out of the private repository.
fn paths(root: &Path, snapshot: &SnapshotId) -> Vec<String> {
    let store = root.join(".botpipe/snapshots.git");
    let store = format!("--git-dir={}", store.display());
    let listed = git(root, &[&store, "ls-tree", "-r", "--name-only", "--full-tree", &snapshot.0]);
    listed.lines().map(str::to_owned).collect()
}

#[test]
fn a_plain_folder_has_snapshots_without_what_is_ignored() {
    let folder = TempDir::new().unwrap();
    let root = folder.path();
    write(root, ".gitignore", "*.log\n/target/\n!keep.log\n");
    write(root, "a.txt", "a");
    write(root, "a.log", "no");
    write(root, "keep.log", "yes");
    write(root, "target/x", "no");
    write(root, "sub/target/x", "yes");
    write(root, "sub/.gitignore", "/local\n!b.log\n");
    write(root, "sub/local", "no");
    write(root, "sub/b.log", "yes");
    symlink("/etc", root.join("link")).unwrap();
    fs::create_dir(root.join("empty")).unwrap();
    let snapshot = open(root).take().unwrap();
    let expected =
        [".gitignore", "a.txt", "keep.log", "link", "sub/.gitignore", "sub/b.log", "sub/target/x"];
    assert_eq!(paths(root, &snapshot), expected);
}

#[test]
fn a_change_is_seen_at_once_and_only_it() {
    let folder = TempDir::new().unwrap();
    let root = folder.path();
    for n in 0..20 {
        write(root, &format!("d{}/f{n}", n % 3), "same length");
    }
    let mut snapshots = open(root);
    let mut before = snapshots.take().unwrap();
    // The same length within the same clock tick: only the content tells.
    for n in 0..50 {
        write(root, "d1/f1", &format!("round {n:02}"));
        let now = snapshots.take().unwrap();
        assert_eq!(snapshots.changed(&before, &now).unwrap(), ["d1/f1"], "round {n}");
        assert_eq!(snapshots.take().unwrap(), now);
        before = now;
    }
    drop(snapshots);
    let mut snapshots = open(root);
    assert_eq!(snapshots.take().unwrap(), before);
    fs::set_permissions(root.join("d2/f2"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::remove_file(root.join("d0/f0")).unwrap();
    write(root, "d0/f0/now-a-folder", "x");
    let now = snapshots.take().unwrap();
    let changed = snapshots.changed(&before, &now).unwrap();
    assert_eq!(changed, ["d0/f0", "d0/f0/now-a-folder", "d2/f2"]);
}

#[test]
fn what_was_changed_since_a_moment_is_told_by_ctimes() {
    let folder = TempDir::new().unwrap();
    let root = folder.path();
    for file in ["a", "b", "sub/c", "sub/d", "gone/deep/e"] {
        write(root, file, "before");
    }
    let mut snapshots = open(root);
    let before = snapshots.take().unwrap();
    write(root, "a", "early");
    fs::remove_file(root.join("sub/c")).unwrap();
    let moment = ctime_of(&root.join("sub")).max(ctime_of(&root.join("a")));
    let mut since = || {
        let now = snapshots.take().unwrap();
        snapshots.changed_since(&before, &now, moment).unwrap()
    };
    assert!(since().is_empty());
    // The clock of the file system has to tick.
    while ctime_of(&root.join("b")) <= moment {
        write(root, "b", "late");
    }
    assert_eq!(since(), ["b"]);
    // Moved over it with the times of the old one.
    let copied = Command::new("cp").args(["-p", "a", "sub/d"]).current_dir(root).status();
    assert!(copied.unwrap().success());
    assert_eq!(since(), ["b", "sub/d"]);
    // Of what is gone the nearest folder tells, or what stands in its place.
    fs::remove_file(root.join("gone/deep/e")).unwrap();
    assert_eq!(since(), ["b", "gone/deep/e", "sub/d"]);
    fs::remove_dir_all(root.join("gone")).unwrap();
    write(root, "gone", "now a file");
    assert_eq!(since(), ["b", "gone", "gone/deep/e", "sub/d"]);
}

fn ctime_of(path: &Path) -> u64 {
    let meta = fs::symlink_metadata(path).unwrap();
    (meta.ctime() * 1_000 + meta.ctime_nsec() / 1_000_000).try_into().unwrap()
}

#[test]
fn new_ignore_rules_hold_for_files_already_known() {
    let folder = TempDir::new().unwrap();
    let root = folder.path();
    write(root, "a.log", "1");
    write(root, "sub/b.log", "1");
    let mut snapshots = open(root);
    let all = snapshots.take().unwrap();
    write(root, ".gitignore", "*.log\n");
    let fewer = snapshots.take().unwrap();
    assert_eq!(paths(root, &fewer), [".gitignore"]);
    fs::remove_file(root.join(".gitignore")).unwrap();
    assert_eq!(snapshots.take().unwrap(), all);
}

#[test]
fn the_users_repository_is_not_touched_and_lends_its_objects() {
    let folder = TempDir::new().unwrap();
    let root = folder.path();
    git(root, &["init", "-q"]);
    write(root, "committed", "committed");
    write(root, "staged", "one");
    git(root, &["add", "-A"]);
    git(root, &["commit", "-qm", "first"]);
    write(root, "staged", "two");
    git(root, &["add", "staged"]);
    write(root, "untracked", "untracked");
    write(root, ".git/info/exclude", "excluded\n");
    write(root, "excluded", "no");
    let listing = || {
        let files = Command::new("find").args([".git", "-type", "f"]).current_dir(root).output();
        let mut files: Vec<String> =
            String::from_utf8(files.unwrap().stdout).unwrap().lines().map(str::to_owned).collect();
        files.sort();
        files
            .iter()
            .map(|path| (path.clone(), fs::read(root.join(path)).unwrap()))
            .collect::<Vec<_>>()
    };
    let before = listing();
    let mut snapshots = open(root);
    let snapshot = snapshots.take().unwrap();
    write(root, "committed", "changed");
    snapshots.take().unwrap();
    snapshots.restore(&snapshot).unwrap();
    assert_eq!(paths(root, &snapshot), ["committed", "staged", "untracked"]);
    assert_eq!(before, listing());
    let blob = git(root, &["rev-parse", "HEAD:committed"]);
    let blob = blob.trim();
    let own = format!(".botpipe/snapshots.git/objects/{}/{}", &blob[..2], &blob[2..]);
    assert!(!root.join(own).exists(), "a committed file is borrowed");
}

#[test]
fn a_subfolder_of_a_repository_follows_the_rules_above_it() {
    let folder = TempDir::new().unwrap();
    git(folder.path(), &["init", "-q"]);
    write(folder.path(), ".gitignore", "*.log\n/app/build/\n/scratch/*\n");
    let app = folder.path().join("app");
    write(&app, "a.log", "no");
    write(&app, "build/x", "no");
    write(&app, "deep/build/x", "yes");
    let snapshot = open(&app).take().unwrap();
    assert_eq!(paths(&app, &snapshot), ["deep/build/x"]);
    // A workspace that is itself ignored was chosen all the same.
    let scratch = folder.path().join("scratch/work");
    write(&scratch, "x", "yes");
    let snapshot = open(&scratch).take().unwrap();
    assert_eq!(paths(&scratch, &snapshot), ["x"]);
}

#[test]
fn a_linked_worktree_and_submodules() {
    let folder = TempDir::new().unwrap();
    let (main, module) = (folder.path().join("main"), folder.path().join("module"));
    for root in [&main, &module] {
        fs::create_dir(root).unwrap();
        git(root, &["init", "-q"]);
        write(root, "file", "text");
        git(root, &["add", "-A"]);
        git(root, &["commit", "-qm", "first"]);
    }
    write(&main, ".git/info/exclude", "excluded\n");
    git(&main, &["submodule", "--quiet", "add", "../module", "vendored"]);
    git(&main, &["commit", "-qm", "module"]);
    write(&main, "nested/new/.git/HEAD", "ref: refs/heads/x");
    write(&main, "nested/new/file", "not ours");
    let snapshot = open(&main).take().unwrap();
    assert_eq!(paths(&main, &snapshot), [".gitmodules", "file"]);
    git(&main, &["worktree", "add", "-q", "../linked"]);
    let linked = folder.path().join("linked");
    write(&linked, "excluded", "no");
    write(&linked, "dirty", "yes");
    let snapshot = open(&linked).take().unwrap();
    assert_eq!(paths(&linked, &snapshot), [".gitmodules", "dirty", "file"]);
}

#[test]
fn a_stale_lock_and_a_torn_cache_do_not_matter() {
    let folder = TempDir::new().unwrap();
    let root = folder.path();
    write(root, "a", "a");
    let first = open(root).take().unwrap();
    let store = root.join(".botpipe/snapshots.git");
    fs::write(store.join("index.lock"), "").unwrap();
    fs::write(store.join("index"), "DIRC torn").unwrap();
    let mut snapshots = open(root);
    assert_eq!(snapshots.take().unwrap(), first);
    drop(snapshots);
    // Objects that were lost are written again.
    fs::remove_dir_all(store.join("objects")).unwrap();
    fs::create_dir(store.join("objects")).unwrap();
    let mut snapshots = open(root);
    assert_eq!(snapshots.take().unwrap(), first);
    assert_eq!(snapshots.read(&first, Path::new("a")).unwrap().unwrap(), b"a");
    // So is a creation cut short.
    fs::remove_file(store.join("botpipe-ready")).unwrap();
    fs::remove_file(store.join("HEAD")).unwrap();
    assert_eq!(open(root).take().unwrap(), first);
}

#[test]
fn an_empty_workspace_has_a_snapshot_too() {
    let folder = TempDir::new().unwrap();
    let mut snapshots = open(folder.path());
    let empty = snapshots.take().unwrap();
    write(folder.path(), "a/b", "x");
    snapshots.take().unwrap();
    let restored = snapshots.restore(&empty).unwrap();
    assert_eq!(restored.tree, empty);
    assert!(!folder.path().join("a").exists());
}

#[test]
fn a_file_that_claims_any_length_is_left_out_and_costs_no_memory() {
    let folder = TempDir::new().unwrap();
    let root = folder.path();
    write(root, "a", "a");
    let mut snapshots = open(root);
    let before = snapshots.take().unwrap();
    let long = fs::File::create(root.join("long")).unwrap();
    // As much as a file system allows.
    assert!([1 << 50, 1 << 43, 1 << 34].iter().any(|length| long.set_len(*length).is_ok()));
    fs::File::create(root.join(".gitignore")).unwrap().set_len(1 << 34).unwrap();
    let now = snapshots.take().unwrap();
    assert_eq!(now, before, "neither is in it");
    // It stands where a file is wanted, and cannot be kept.
    fs::write(root.join("a"), "b").unwrap();
    let after = snapshots.take().unwrap();
    fs::File::create(root.join("a")).unwrap().set_len(1 << 34).unwrap();
    let error = snapshots.restore(&after).unwrap_err().to_string();
    assert!(error.contains("longer than what can be kept"), "{error}");
    fs::remove_file(root.join("a")).unwrap();
    snapshots.restore(&after).unwrap();
    assert_eq!(fs::read(root.join("a")).unwrap(), b"b");
}

/// More than is read at once, and all of it is stored, proven and put back.
#[test]
fn a_long_file_is_stored_piece_by_piece() {
    let folder = TempDir::new().unwrap();
    let root = folder.path();
    let content: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
    fs::write(root.join("long"), &content).unwrap();
    let mut snapshots = open(root);
    let before = snapshots.take().unwrap();
    assert_eq!(paths(root, &before), ["long"]);
    fs::write(root.join("long"), "short").unwrap();
    snapshots.restore(&before).unwrap();
    assert_eq!(fs::read(root.join("long")).unwrap(), content);
    let id = git(root, &["hash-object", "--no-filters", "long"]);
    let store = format!("--git-dir={}", root.join(".botpipe/snapshots.git").display());
    assert_eq!(git(root, &[&store, "cat-file", "-s", id.trim()]).trim(), "12000000");
    let left = fs::read_dir(root.join(".botpipe/snapshots.git/objects")).unwrap();
    let left: Vec<_> = left.map(|it| it.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with("tmp")), "{left:?}");
    // One that was damaged meanwhile is told, and not put in place.
    let object = root.join(".botpipe/snapshots.git/objects").join(&id[..2]).join(id[2..].trim());
    fs::set_permissions(&object, fs::Permissions::from_mode(0o644)).unwrap();
    let whole = fs::read(&object).unwrap();
    fs::write(&object, &whole[..whole.len() / 2]).unwrap();
    fs::write(root.join("long"), "short").unwrap();
    let error = snapshots.restore(&before).unwrap_err().to_string();
    assert!(error.contains("is damaged"), "{error}");
    assert_eq!(fs::read(root.join("long")).unwrap(), b"short");
}
