//! A folder of its own for each test, a journal in it, and owners in other processes.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use botpipe_journal::{Error, Journal, Lease, NewRun, Owner};
use botpipe_kernel::ids::RunId;
use botpipe_kernel::run::Event;

/// A folder that is removed at the end.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("journal-{}-{n}", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// The `.botpipe` folder, not yet made.
    pub(crate) fn root(&self) -> PathBuf {
        self.0.join(".botpipe")
    }

    /// Another place in the folder.
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Copies the files of a `.botpipe` folder as a power cut would leave them: without shared memory.
pub(crate) fn copy_cold(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            copy_cold(&path, &to.join(name));
        } else if !name.ends_with("-shm") {
            fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

/// Us, as an owner.
pub(crate) fn me() -> Owner {
    Owner::current("the test")
}

/// Run `name` of task `t` and workflow `w`.
pub(crate) fn new_run(name: &str) -> NewRun {
    NewRun { run: run(name), task: id("t"), workflow: id("w"), at: 1_700_000_000_000 }
}

pub(crate) fn run(name: &str) -> RunId {
    id(name)
}

pub(crate) fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

/// An event that says `why`.
pub(crate) fn said(why: &str) -> Event {
    Event::ItemsRejected { worklist: id("items"), why: why.to_owned() }
}

/// Appends one event that says `why`.
pub(crate) fn append(journal: &Journal, lease: &Lease, why: &str) -> Result<u64, Error> {
    journal.append(lease, 7, &[said(why)], None).map(|appended| appended.last_seq)
}

/// What the events of a run say.
pub(crate) fn sayings(journal: &Journal, name: &str) -> Vec<String> {
    let stored = journal.read(&run(name)).unwrap();
    stored
        .into_iter()
        .map(|stored| match stored.event {
            Event::ItemsRejected { why, .. } => why,
            other => other.kind().to_owned(),
        })
        .collect()
}

/// An owner in another process.
pub(crate) struct OtherOwner {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl OtherOwner {
    /// Starts it; it has the journal open when this returns.
    pub(crate) fn start(root: &Path, run: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_journal-test-program"))
            .args(["hold".as_ref(), root.as_os_str(), run.as_ref()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let mut other = Self { child, stdin, stdout };
        assert_eq!(other.hear(), "ready");
        other
    }

    /// Tells it to go on.
    pub(crate) fn tell(&mut self) {
        self.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    }

    /// Its next word.
    pub(crate) fn hear(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills it where it stands.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for OtherOwner {
    fn drop(&mut self) {
        self.stdin = None;
        let _ = self.child.wait();
    }
}
