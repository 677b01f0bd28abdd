//! What may befall a run: signals, disks, rivals, damage, odd input, odd agents; each ends clearly, and goes on.

mod agents;
mod database;
mod disk;
mod folders;
mod inputs;
mod leases;
mod signals;

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::place::{Place, Said};

/// One step that leaves a note; the agent's answer picks how the run ends.
const NOTE: &str = "\
sop: 1
name: note
title: Write a note
input:
  request: { type: string }
artifacts:
  note: { md: note.md, required: true }
steps:
  - id: write
    prompt: \"Write: {{ input.request }}\"
    writes: [note]
    routes:
      done: FINISH
      again: SELF
";

/// A workflow whose agents are in no sandbox.
fn open(workflow: &str) -> String {
    format!("{workflow}policy: {{ sandbox_mode: danger_full_access, network: full }}\n")
}

/// A shell line that does the work of `NOTE` as asked.
const GOOD: &str = r#"cat > /dev/null; echo a note > "$BOTPIPE_WORKFLOW_FOLDER/note.md"
    echo '{"outcome": {"tag": "done"}}'"#;

/// An agent that does `bad` until a file `go` stands in the workspace, and then its work.
fn until_go(bad: &str) -> String {
    format!("if [ -e go ]; then {GOOD}\nelse {bad}\nfi")
}

/// A run in the background, what it says in files beside the workspace.
struct Running {
    child: Child,
    said: tempfile::TempDir,
}

impl Running {
    fn start(command: &mut Command) -> Self {
        let said = tempfile::tempdir().unwrap();
        let file = |name| File::create(said.path().join(name)).unwrap();
        let child = command.stdout(file("out")).stderr(file("err")).spawn().unwrap();
        Self { child, said }
    }

    /// `run note` with a shell script as the agent.
    fn of(place: &Place, agent: &str) -> Self {
        Self::start(&mut started(place, agent))
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    /// Waits for its end.
    fn end(mut self) -> Said {
        let code = self.child.wait().unwrap().code().unwrap_or(-1);
        let read = |name| fs::read_to_string(self.said.path().join(name)).unwrap();
        Said { code, out: read("out"), err: read("err") }
    }

    fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }
}

fn started(place: &Place, agent: &str) -> Command {
    let mut command = place.command(&["run", "note", "x", "--task", "t1"]);
    command.args(["--provider", "command", "--", "sh", "-c", agent]);
    command.stdin(Stdio::null());
    command
}

/// Waits until something is so; fails when it never is.
#[track_caller]
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < Duration::from_mins(1), "{what} never came");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Waits for a file that the agent makes.
#[track_caller]
fn wait_for(place: &Place, file: &str) {
    wait_until(file, || place.path().join(file).exists());
}

/// The processes at work in a folder: those of agents have it as theirs, in any pid namespace.
fn processes_in(folder: &Path) -> Vec<String> {
    let folder = folder.canonicalize().unwrap();
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter(|entry| fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd == folder))
        .map(|entry| {
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).replace('\0', " ")
        })
        .collect()
}

/// Nothing is left of an agent.
#[track_caller]
pub(crate) fn nothing_is_left(place: &Place) {
    let since = Instant::now();
    loop {
        let left = processes_in(place.path());
        if left.is_empty() {
            return;
        }
        assert!(since.elapsed() < Duration::from_secs(20), "left: {left:?}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// The run finishes when it is resumed, and its note is there.
#[track_caller]
fn resume_finishes(place: &Place) -> Said {
    place.write("go", "");
    let said = place.say(&["resume", "note", "t1"]).ends(0);
    let note = place.path().join(".botpipe/tasks/t1/wf_note/note.md");
    assert_eq!(fs::read_to_string(note).unwrap(), "a note\n");
    said
}

/// It failed as a person can use it: no panic, and all these words.
#[track_caller]
fn says(said: &Said, words: &[&str]) {
    assert!(!said.err.contains("internal error") && !said.err.contains("panicked"), "{}", said.err);
    for word in words {
        assert!(said.err.contains(word), "no `{word}` in:\n{}", said.err);
    }
}

/// Runs a test again where it may mount: a mount namespace of its own, so that nothing leaks.
/// True in there; false outside, where the work is done or cannot be (then it says so).
#[expect(clippy::print_stderr, reason = "what was not tested must be seen")]
fn inside_own_mounts(test: &str) -> bool {
    const INSIDE: &str = "BOTPIPE_TEST_INSIDE";
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let may = Command::new("unshare")
        .args(["-m", "sh", "-c", "mount -t tmpfs none /mnt"])
        .stderr(Stdio::null())
        .status();
    if !may.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED {test}: this user may not mount a file system of its own");
        return false;
    }
    let output = Command::new("unshare")
        .arg("-m")
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    false
}

fn mount(args: &[&str], place: &Path) {
    let output = Command::new("mount").args(args).arg(place).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
