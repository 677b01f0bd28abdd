//! Where the tests play: a folder, a marker no other process carries, and an eye on `/proc`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Who plays the parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum User {
    /// Whoever runs the tests.
    Own,
    /// The user nobody, when root runs the tests.
    Nobody,
}

/// A folder that every user may enter and write, the program in it, and a marker.
pub(crate) struct Stage {
    pub(crate) folder: PathBuf,
    pub(crate) program: PathBuf,
    pub(crate) marker: String,
}

impl Stage {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let marker = format!("sandbox-test-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(&marker);
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
        let program = folder.join("program");
        // Not by this process: while a test beside this one forks, a file written here is held open
        // by that child too, and cannot be executed.
        let from = env!("CARGO_BIN_EXE_sandbox-test-program");
        assert!(Command::new("cp").arg(from).arg(&program).status().unwrap().success());
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        Self { folder, program, marker }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The test program as a command of that user, with piped output and nothing to read.
    pub(crate) fn command(&self, user: User, args: &[&str]) -> Command {
        let mut command = match user {
            User::Own => Command::new(&self.program),
            User::Nobody => {
                let mut command = Command::new("setpriv");
                command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
                command.arg(&self.program);
                command
            }
        };
        command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        command
    }

    /// Runs the test program to its end and returns what it printed.
    pub(crate) fn output(&self, user: User, args: &[&str]) -> String {
        text(self.command(user, args).spawn().unwrap())
    }

    /// A shell script for an agent that leaves a process behind which has left its session, has no
    /// descriptors and is nobody's child; then waits until that one writes; then does `then`.
    pub(crate) fn escape(&self, then: &str) -> String {
        let (program, beats) = (self.program.display(), self.beats());
        let (beats, marker) = (beats.display(), &self.marker);
        format!(
            "(setsid {program} beat {beats} {marker} <&- >&- 2>&- &)\n\
             while ! [ -s {beats} ]; do :; done\n{then}"
        )
    }

    /// The file the escaped process writes to.
    pub(crate) fn beats(&self) -> PathBuf {
        self.file("beats")
    }

    /// Processes that carry the marker in their arguments.
    pub(crate) fn marked(&self) -> Vec<u32> {
        self.marked_with("")
    }

    /// Processes that carry the marker and this word in their arguments.
    pub(crate) fn marked_with(&self, word: &str) -> Vec<u32> {
        fs::read_dir("/proc")
            .unwrap()
            .flatten()
            .filter_map(|entry| {
                let pid = entry.file_name().to_str()?.parse().ok()?;
                let line = fs::read(entry.path().join("cmdline")).ok()?;
                let line = String::from_utf8_lossy(&line).into_owned();
                (line.contains(&self.marker) && line.contains(word)).then_some(pid)
            })
            .collect()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.folder));
    }
}

/// The users this run of the tests can play.
pub(crate) fn users() -> Vec<User> {
    let root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    if !root {
        println!("NOTE: not root, so only the path of this user is shown");
        return vec![User::Own];
    }
    if Command::new("setpriv").arg("--version").output().is_err() {
        println!("SKIPPED: no setpriv here, so the path of a user other than root is NOT shown");
        return vec![User::Own];
    }
    vec![User::Own, User::Nobody]
}

/// What a child printed, once it has ended.
pub(crate) fn text(child: Child) -> String {
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
}

/// Waits for something that must come true; half a minute is forever.
pub(crate) fn until(what: &str, done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(30), "never came true: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The children of a process, whichever of its threads started them.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = threads.filter_map(|t| fs::read_to_string(t.path().join("children")).ok());
    lists
        .flat_map(|l| l.split_whitespace().filter_map(|n| n.parse().ok()).collect::<Vec<_>>())
        .collect()
}

/// The lines that start with a word.
pub(crate) fn lines<'a>(text: &'a str, word: &str) -> Vec<&'a str> {
    text.lines().filter(|l| l.starts_with(word)).collect()
}

pub(crate) fn as_str(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The launches a server attends: its forks whose init has something below it, so not the spare.
pub(crate) fn stages_1(server: u32) -> Vec<u32> {
    let attends = |fork: &u32| children(*fork).iter().any(|init| !children(*init).is_empty());
    children(server).into_iter().filter(attends).collect()
}

pub(crate) fn kill_9(pid: u32) {
    assert!(Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
}
