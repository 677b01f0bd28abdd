//! A scratch workspace, and programs run in it with a clock and an eye on their memory.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The binary that is measured.
pub(crate) const BOTPIPE: &str = env!("CARGO_BIN_EXE_botpipe");

/// A scratch workspace with a workflow.
///
/// It stays until [`Place::remove_all`]: files that were removed just now make the creation of others
/// slower for some seconds.
pub(crate) struct Place {
    folder: PathBuf,
}

static ALL: Mutex<Vec<TempDir>> = Mutex::new(Vec::new());

/// What one process took.
pub(crate) struct Took {
    pub(crate) code: i32,
    pub(crate) wall: Duration,
}

impl Place {
    /// On the build's own disk, so that it does not lie in memory; where that is the temporary folder's too, there: a
    /// folder beside the build is one of our own repository, which programs in it would be given.
    pub(crate) fn new() -> Self {
        let (beside, usual) = (Path::new(env!("CARGO_TARGET_TMPDIR")), std::env::temp_dir());
        let device = |path: &Path| fs::metadata(path).unwrap().dev();
        let at = if device(beside) == device(&usual) { usual } else { beside.to_owned() };
        let made = tempfile::tempdir_in(at).unwrap();
        let folder = made.path().to_owned();
        ALL.lock().unwrap().push(made);
        Self { folder }
    }

    /// Removes every place there was.
    pub(crate) fn remove_all() {
        ALL.lock().unwrap().clear();
    }

    pub(crate) fn path(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn write(&self, relative: &str, text: &str) -> PathBuf {
        let path = self.path().join(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// The binary, to be run here.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(BOTPIPE);
        command.args(args).current_dir(self.path());
        command
    }

    /// Runs the binary to its end.
    pub(crate) fn botpipe(&self, args: &[&str]) -> Took {
        took(&mut self.command(args), b"")
    }

    /// Bytes of the database and its log.
    pub(crate) fn journal(&self) -> u64 {
        ["botpipe.db", "botpipe.db-wal"]
            .iter()
            .filter_map(|name| fs::metadata(self.path().join(".botpipe").join(name)).ok())
            .map(|file| file.len())
            .sum()
    }
}

/// Runs a program to its end, feeding it, with nothing shown.
pub(crate) fn took(command: &mut Command, stdin: &[u8]) -> Took {
    let start = Instant::now();
    let child = start_of(command, stdin);
    let code = end_of(child);
    Took { code, wall: start.elapsed() }
}

/// The same with an eye on its memory: the most it ever had, in bytes, as last seen while it ran.
pub(crate) fn watched(command: &mut Command) -> (Took, u64) {
    let start = Instant::now();
    let child = start_of(command, b"");
    let pid = child.id();
    let eye = thread::spawn(move || {
        let mut most = 0;
        while let Some(now) = high_water(pid) {
            most = most.max(now);
            thread::sleep(Duration::from_millis(25));
        }
        most
    });
    let code = end_of(child);
    let took = Took { code, wall: start.elapsed() };
    (took, eye.join().unwrap())
}

fn start_of(command: &mut Command, stdin: &[u8]) -> Child {
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    // A program that does not read is not wrong.
    let _unread = child.stdin.take().unwrap().write_all(stdin);
    child
}

fn end_of(mut child: Child) -> i32 {
    child.wait().unwrap().code().unwrap_or(-1)
}

/// `VmHWM` of a process; nothing once it has ended.
fn high_water(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kilobytes: u64 = line.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes << 10)
}

/// Milliseconds.
pub(crate) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
