//! Git asked about a workspace.

use std::ffi::OsStr;
use std::io::{self, Read, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use super::{StopSwitch, search};

/// What git answers in a folder to what it is asked, and to what it reads of us. Agents write `written`: no program in
/// there is taken for git. Nothing of the repository's own is run, so it may be somebody else's; how long it takes, how much it says and how much memory it has are bounded, since
/// a repository can be made so that it never ends.
///
/// # Errors
/// What git said, why there is none, or that `stop` was thrown.
pub(crate) fn asked_of_git(
    folder: &Path,
    args: &[&str],
    told: Vec<u8>,
    (written, stop): (&[PathBuf], &StopSwitch),
) -> Result<Vec<u8>, String> {
    let none = "there is no `git` in PATH but where agents write";
    let child = git_alone(&search::outside(Path::new("git"), written).ok_or(none)?)
        .args(["-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"])
        .args([
            "-c",
            "log.showSignature=false",
            "-c",
            "log.showRoot=true",
            "-c",
            "log.follow=false",
            // A file of the working tree.
            "-c",
            "log.mailmap=false",
        ])
        .args(["-c", "safe.directory=*", "--no-pager", "--no-replace-objects"])
        .args(args)
        .current_dir(folder)
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env("GIT_NO_LAZY_FETCH", "1")
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    let (ended, [answer, said]) = attend(child, told, stop)?;
    if !ended.success() {
        let said = String::from_utf8_lossy(&said);
        return Err(said.lines().next().unwrap_or("it says nothing").to_owned());
    }
    Ok(answer)
}

/// An answer that is a list of names, which end in a zero byte.
pub(crate) fn names_of(answer: &[u8]) -> Vec<PathBuf> {
    let names = answer.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    names
        .map(|name| name.strip_prefix(b"\n").unwrap_or(name))
        .map(|name| PathBuf::from(OsStr::from_bytes(name)))
        .collect()
}

/// Longer than the history of a large repository takes.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long a stop goes unheard.
const LISTEN: Duration = Duration::from_millis(50);
/// The longest answer: the names of a million files.
const MOST_ANSWERED: u64 = 256 << 20;
const MOST_SAID: u64 = 1 << 16;
/// Bytes that git may have beside what it maps.
#[cfg(target_os = "linux")]
const MEMORY: u64 = 4 << 30;

/// Reads what it says as long as all goes well, and ends it otherwise.
fn attend(
    child: Child,
    told: Vec<u8>,
    stop: &StopSwitch,
) -> Result<(ExitStatus, [Vec<u8>; 2]), String> {
    let mut git = Running(child);
    git.bound();
    let until = Instant::now() + PATIENCE;
    if let Some(mut to) = git.0.stdin.take() {
        // It need not read all of it.
        thread::spawn(move || drop(to.write_all(&told)));
    }
    let (tell, hear) = mpsc::channel();
    let streams: [Option<(Box<dyn Read + Send>, u64)>; 2] = [
        git.0.stdout.take().map(|it| (Box::new(it) as _, MOST_ANSWERED)),
        git.0.stderr.take().map(|it| (Box::new(it) as _, MOST_SAID)),
    ];
    for (n, stream) in streams.into_iter().enumerate() {
        let Some((stream, most)) = stream else { continue };
        let tell = tell.clone();
        thread::spawn(move || drop(tell.send((n, most, read(stream, most)))));
    }
    drop(tell);
    let mut read = [Vec::new(), Vec::new()];
    loop {
        match hear.recv_timeout(LISTEN) {
            Ok((n, most, bytes)) => {
                let bytes = bytes.map_err(|error| error.to_string())?;
                if bytes.len() as u64 > most {
                    return Err(format!("it says more than {most} bytes"));
                }
                read[n] = bytes;
            }
            Err(RecvTimeoutError::Timeout) => check(until, stop)?,
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    loop {
        match git.0.try_wait() {
            Ok(Some(ended)) => return Ok((ended, read)),
            Ok(None) => check(until, stop)?,
            Err(error) => return Err(error.to_string()),
        }
        thread::sleep(Duration::from_millis(1));
    }
}

fn check(until: Instant, stop: &StopSwitch) -> Result<(), String> {
    if stop.requested().is_some() {
        return Err("it was asked to stop".to_owned());
    }
    if Instant::now() > until {
        return Err(format!("it was not done after {} s", PATIENCE.as_secs()));
    }
    Ok(())
}

/// One byte more than the most tells that there were more.
fn read(stream: impl Read, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    stream.take(most + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Git at work; dropped, it is ended.
struct Running(Child);

impl Running {
    #[cfg(target_os = "linux")]
    fn bound(&self) {
        use rustix::process::{Pid, Resource, Rlimit, prlimit};
        let pid = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw);
        let limit = Rlimit { current: Some(MEMORY), maximum: Some(MEMORY) };
        // One that has less already keeps that, and one that is over needs none.
        let _ = pid.map(|pid| prlimit(Some(pid), Resource::Data, limit));
    }

    #[cfg(not(target_os = "linux"))]
    fn bound(&self) {}
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            // It may have ended just now.
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

/// A git that starts nothing: a program in the workspace may have written its settings.
///
/// # Source
/// git 2.47, git-config(1) and git(1). Lists of names ask no filter, no driver of diffs and no alias. A clone
/// that left objects out fetches them where they are missed, by whatever its settings name: since git 2.44
/// `GIT_NO_LAZY_FETCH` forbids it, for older ones no protocol is allowed.
fn git_alone(git: &Path) -> Command {
    let mut git = Command::new(git);
    botpipe_sandbox::with_usual_open_files(&mut git);
    git.args(["-c", "protocol.allow=never", "-c", "core.alternateRefsCommand=false"]);
    git.env("GIT_NO_LAZY_FETCH", "1").env("GIT_ALLOW_PROTOCOL", "none");
    git.env("GIT_TERMINAL_PROMPT", "0");
    for name in ELSEWHERE {
        git.env_remove(name);
    }
    git
}

/// What a git that starts Botpipe, from a hook, says of its own repository.
const ELSEWHERE: [&str; 7] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_COMMON_DIR",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_NAMESPACE",
];
