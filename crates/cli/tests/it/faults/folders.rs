//! Folders that may not be read or written: refused with their name, and all is well once they may.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::process::Command;

use super::{GOOD, NOTE, Running, inside_own_mounts, mount, resume_finishes, says, until_go};
use crate::place::{Place, Said};

#[test]
fn a_file_stands_where_our_folder_should_be() {
    let place = Place::with("note", NOTE);
    let file = place.write(".botpipe", "mine");
    let said = Running::of(&place, GOOD).end().ends(2);
    says(&said, &[".botpipe` is not a folder: move it away"]);
    place.say(&["runs", "list"]).ends(0);
    place.say(&["resume", "note", "t1"]).ends(3);
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    fs::remove_file(file).unwrap();
    Running::of(&place, GOOD).end().ends(0);
}

#[test]
fn a_folder_of_records_on_a_read_only_disk() {
    if !inside_own_mounts("faults::folders::a_folder_of_records_on_a_read_only_disk") {
        return;
    }
    let place = Place::with("note", NOTE);
    let disk = place.path().join(".botpipe");
    fs::create_dir(&disk).unwrap();
    mount(&["-t", "tmpfs", "-o", "size=8m", "none"], &disk);
    mount(&["-o", "remount,ro"], &disk);
    let said = Running::of(&place, GOOD).end().ends(1);
    says(&said, &[".botpipe` cannot be written", "Read-only file system"]);
    mount(&["-o", "remount,rw"], &disk);
    Running::of(&place, &until_go("exit 3")).end().ends(1);
    mount(&["-o", "remount,ro"], &disk);
    // To look is allowed, to go on is not.
    for args in [&["runs", "list"][..], &["runs", "show", "note", "t1"], &["logs", "note", "t1"]] {
        place.say(args).ends(0);
    }
    place.write("go", "");
    for args in [&["resume", "note", "t1"][..], &["cancel", "note", "t1"]] {
        let said = place.say(args).ends(1);
        says(&said, &[".botpipe/botpipe.db` cannot be written"]);
    }
    mount(&["-o", "remount,rw"], &disk);
    resume_finishes(&place);
    let done = Command::new("umount").arg("-l").arg(&disk).status().unwrap();
    assert!(done.success());
}

#[test]
fn a_disk_that_turns_read_only_in_a_turn() {
    if !inside_own_mounts("faults::folders::a_disk_that_turns_read_only_in_a_turn") {
        return;
    }
    let place = Place::with("note", NOTE);
    let disk = place.path().join(".botpipe");
    fs::create_dir(&disk).unwrap();
    mount(&["-t", "tmpfs", "-o", "size=8m", "none"], &disk);
    // Nobody holds a file open for writing there: as after an error of the disk.
    let waits = format!("{GOOD}\ntouch here; until [ -e went ]; do sleep 0.02; done");
    let run = Running::of(&place, &until_go(&waits));
    super::wait_for(&place, "here");
    let changed = Command::new("mount").args(["-o", "remount,ro"]).arg(&disk).output().unwrap();
    place.write("went", "");
    let said = run.end();
    if changed.status.success() {
        says(&said.ends(1), &["cannot be written", "botpipe resume note t1"]);
        mount(&["-o", "remount,rw"], &disk);
    }
    resume_finishes(&place);
    let done = Command::new("umount").arg("-l").arg(&disk).status().unwrap();
    assert!(done.success());
}

/// Runs the command as nobody in particular, who is kept out by modes. `None` where we cannot be them.
#[expect(clippy::print_stderr, reason = "what was not tested must be seen")]
fn as_nobody(command: &Command) -> Option<Said> {
    let may = Command::new("setpriv").args(["--reuid=65534", "--clear-groups", "true"]).status();
    if !may.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: this user may not become another one");
        return None;
    }
    let mut other = Command::new("setpriv");
    other.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    other.arg(command.get_program()).args(command.get_args());
    other.current_dir("/").env("NO_COLOR", "1").env("HOME", "/nonexistent");
    Some(crate::place::said(&other.output().unwrap()))
}

/// A workspace that belongs to nobody in particular, and the binary where they can reach it.
fn others(place: &Place) -> Option<impl Fn(&[&str]) -> Option<Said>> {
    let own = |path: &Path| chown(path, Some(65534), Some(65534));
    for name in [".", "workflows", "workflows/note.sop.yaml"] {
        if own(&place.path().join(name)).is_err() {
            return None;
        }
    }
    let tools = tempfile::tempdir().unwrap();
    allow(tools.path(), 0o755);
    let program = tools.path().join("botpipe");
    fs::copy(env!("CARGO_BIN_EXE_botpipe"), &program).unwrap();
    let folder = place.path().to_owned();
    Some(move |args: &[&str]| {
        let _kept = &tools;
        let mut command = Command::new(&program);
        let split = args.iter().position(|arg| *arg == "--").unwrap_or(args.len());
        command.args(&args[..split]).arg("--workspace").arg(&folder).args(&args[split..]);
        as_nobody(&command)
    })
}

fn allow(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn modes_that_keep_us_out() {
    let place = Place::with("note", NOTE);
    let Some(other) = others(&place) else { return };
    let agent = until_go("exit 3");
    let run =
        ["run", "note", "x", "--task", "t1", "--provider", "command", "--", "sh", "-c", &agent];
    // The workspace may not be written.
    allow(place.path(), 0o555);
    let Some(said) = other(&run) else { return };
    says(&said.ends(1), &[".botpipe` cannot be written", "give this user write permission there"]);
    // Nor read.
    allow(place.path(), 0o000);
    let said = other(&run).unwrap();
    assert_eq!(said.code, 1, "{said:?}");
    says(&said, &["Permission denied", place.path().to_str().unwrap()]);
    allow(place.path(), 0o755);
    says(&other(&run).unwrap().ends(1), &["`sh` ended with exit code 3"]);
    // What is recorded may not be written any more.
    let records = place.path().join(".botpipe");
    let database = records.join("botpipe.db");
    allow(&database, 0o444);
    allow(&records, 0o555);
    place.write("go", "");
    other(&["runs", "list"]).unwrap().ends(0);
    says(&other(&["resume", "note", "t1"]).unwrap().ends(1), &["botpipe.db` cannot be written"]);
    // Nor read.
    allow(&database, 0o000);
    for args in [&["runs", "list"][..], &["resume", "note", "t1"]] {
        says(&other(args).unwrap().ends(1), &["botpipe.db`", "cannot be"]);
    }
    allow(&database, 0o644);
    allow(&records, 0o755);
    other(&["resume", "note", "t1"]).unwrap().ends(0);
}

#[test]
fn an_agent_that_takes_our_right_to_write() {
    let place = Place::with("note", NOTE);
    let Some(other) = others(&place) else { return };
    let agent =
        format!("if [ -e go ]; then {GOOD}\nelse {GOOD}; chmod 555 . .botpipe .botpipe/*; fi");
    let run =
        ["run", "note", "x", "--task", "t1", "--provider", "command", "--", "sh", "-c", &agent];
    let Some(said) = other(&run) else { return };
    // It had the files open, so it may well have gone on; else it says what it may not.
    says(&said, &[]);
    let freed = Command::new("chmod").args(["-R", "u+rwX"]).arg(place.path()).status().unwrap();
    assert!(freed.success());
    if said.code != 0 {
        assert_eq!(said.code, 1, "{said:?}");
        says(&said, &["botpipe resume note t1"]);
    }
    place.write("go", "");
    other(&["resume", "note", "t1"]).unwrap().ends(0);
}

/// As the data of a service in a container, which is another user's: no reason to refuse all work beside it. What
/// one's own program closes is closed to the next one too, which could open it again and was not judged.
#[test]
fn folders_that_may_not_be_read_are_left_to_whom_they_are() {
    let place = Place::with("note", NOTE);
    let Some(other) = others(&place) else { return };
    for (name, owner) in [("data/server", 1), ("shut", 65534)] {
        let folder = place.path().join(name);
        fs::create_dir_all(folder.join("deep")).unwrap();
        fs::write(folder.join("deep/.env"), "the secret").unwrap();
        for path in [folder.join("deep/.env"), folder.join("deep"), folder.clone()] {
            chown(path, Some(owner), Some(owner)).unwrap();
        }
        allow(&folder, if owner == 1 { 0o700 } else { 0o000 });
    }
    let script = "for it in data/server shut; do ls $it; chmod 700 $it; \
                  cat $it/deep/.env; done; ls data";
    let policy = "{ deny_read: [\"**/.env\"], allow_write: [.] }";
    place.write("p.yaml", policy);
    let file = place.path().join("p.yaml");
    let sandboxed = ["sandbox", "--policy", file.to_str().unwrap(), "--", "sh", "-c", script];
    let Some(said) = other(&sandboxed) else { return };
    assert_eq!(said.ends(0).out, "server\n");
    let agent = format!("{script}\n{GOOD}");
    let run =
        ["run", "note", "x", "--task", "t1", "--provider", "command", "--", "sh", "-c", &agent];
    let said = other(&run).unwrap().ends(0);
    says(&said, &["snapshots leave out what you have no right to read: `data/server`, `shut`"]);
    let modes = ["data/server", "shut"].map(|name| {
        let status = fs::metadata(place.path().join(name)).unwrap();
        status.permissions().mode() & 0o777
    });
    assert_eq!(modes, [0o700, 0o000]);
    // Whoever may read it sees in it what there is to judge.
    allow(&place.path().join("shut"), 0o700);
    let said =
        other(&["sandbox", "--policy", file.to_str().unwrap(), "--", "cat", "shut/deep/.env"]);
    says(&said.unwrap().ends(1), &["`deny_read: **/.env` hides it"]);
}
