//! Runs a program under a tracer that stops it before and after everything it does to the world.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// A moment between two deeds of the traced program.
#[derive(Debug, Clone)]
pub(super) struct Point {
    /// Counted from 0 over all threads.
    pub(super) n: usize,
    /// Whether the deed is done.
    pub(super) after: bool,
    /// The system call.
    pub(super) call: &'static str,
    /// What it is done to: a path, or the name of a pipe.
    pub(super) target: String,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = if self.after { "after" } else { "before" };
        write!(f, "{moment} {} {}", self.call, self.target)
    }
}

/// What happens at a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The program goes on.
    Pass,
    /// SIGKILL, now: a deed not done yet is never done.
    Kill,
}

/// How the traced program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    Exited(i32),
    Signalled(Signal),
}

/// Runs `command` to its end; `at` is asked at every point.
///
/// Threads of the program are followed, programs it starts are not. The command's standard input
/// is empty. It is killed after two minutes whatever happens.
///
/// # Source
/// ptrace(2): with `PTRACE_SEIZE` a SIGKILL in a stop before a system call keeps it from being done.
pub(super) fn trace(
    command: &mut Command,
    at: &mut dyn FnMut(&Point) -> Verdict,
) -> io::Result<Ended> {
    let mut gate = Command::new("sh");
    gate.args(["-c", "read go; exec \"$0\" \"$@\" </dev/null"]);
    gate.arg(command.get_program()).args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        gate.current_dir(folder);
    }
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => gate.env(name, value),
            None => gate.env_remove(name),
        };
    }
    gate.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = gate.spawn()?;
    let main = Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX));
    let options = Options::PTRACE_O_TRACESYSGOOD
        | Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_TRACEEXEC
        | Options::PTRACE_O_EXITKILL;
    if let Err(error) = ptrace::seize(main, options) {
        child.kill()?;
        child.wait()?;
        return Err(error.into());
    }
    if let Some(mut go) = child.stdin.take() {
        go.write_all(b"\n")?;
    }
    let (over, watched) = mpsc::channel::<()>();
    let guard = thread::spawn(move || {
        if watched.recv_timeout(LIMIT) == Err(mpsc::RecvTimeoutError::Timeout) {
            let _ = kill(main, Signal::SIGKILL);
        }
    });
    let ended = follow(main, at);
    drop(over);
    drop(guard.join());
    Ok(ended?)
}

fn follow(main: Pid, at: &mut dyn FnMut(&Point) -> Verdict) -> Result<Ended, Errno> {
    let mut started = false;
    let mut count = 0;
    loop {
        // Only children of this thread: other threads may trace programs of their own.
        let (pid, signal) =
            match waitpid(None, Some(WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD))? {
                WaitStatus::Exited(pid, code) if pid == main => return Ok(Ended::Exited(code)),
                WaitStatus::Signaled(pid, signal, _) if pid == main => {
                    return Ok(Ended::Signalled(signal));
                }
                WaitStatus::PtraceSyscall(pid) => {
                    if let Some(mut point) = started.then(|| deed(pid)).flatten() {
                        point.n = count;
                        count += 1;
                        if at(&point) == Verdict::Kill {
                            kill(main, Signal::SIGKILL)?;
                            continue;
                        }
                    }
                    (pid, None)
                }
                WaitStatus::PtraceEvent(pid, _, event) => {
                    started |= event == libc::PTRACE_EVENT_EXEC;
                    (pid, None)
                }
                WaitStatus::Stopped(pid, signal) => (pid, Some(signal)),
                _ => continue,
            };
        match ptrace::syscall(pid, signal) {
            // Killed meanwhile: the wait will say so.
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(error) => return Err(error),
        }
    }
}

/// The deed that a stopped thread is about to do, or has just done well.
fn deed(pid: Pid) -> Option<Point> {
    let info = ptrace::syscall_info(pid).ok()?;
    let registers = ptrace::getregs(pid).ok()?;
    let after = match info.op {
        libc::PTRACE_SYSCALL_INFO_ENTRY => false,
        libc::PTRACE_SYSCALL_INFO_EXIT => true,
        _ => return None,
    };
    // Negative: the call failed, so nothing was done.
    if after && registers.rax.cast_signed() < 0 {
        return None;
    }
    let number = registers.orig_rax.cast_signed();
    let (call, subject) =
        CALLS.iter().find(|(_, known, _)| *known == number).map(|it| (it.0, it.2))?;
    let argument = |n: usize| [registers.rdi, registers.rsi, registers.rdx, registers.r10][n];
    let target = match subject {
        Subject::Descriptor => descriptor(pid, argument(0)),
        Subject::Path(n) => text(pid, argument(n)),
        Subject::Created if argument(2) & CREATES == 0 => return None,
        Subject::Created => text(pid, argument(1)),
        Subject::Process => {
            let flags = match number {
                libc::SYS_clone3 => word(pid, argument(0))?,
                libc::SYS_clone => argument(0),
                _ => 0,
            };
            // A thread is no deed: nobody outside sees it.
            if flags & u64::from(libc::CLONE_THREAD.cast_unsigned()) != 0 {
                return None;
            }
            "a process".to_owned()
        }
    };
    Some(Point { n: 0, after, call, target })
}

/// What a call works on, and where its arguments have it.
#[derive(Clone, Copy)]
enum Subject {
    /// An open file, in the first argument.
    Descriptor,
    /// A path, in the argument counted from 0.
    Path(usize),
    /// A path that `openat` creates or empties.
    Created,
    /// A new process.
    Process,
}

/// The calls that change what others see.
const CALLS: &[(&str, i64, Subject)] = &[
    ("write", libc::SYS_write, Subject::Descriptor),
    ("writev", libc::SYS_writev, Subject::Descriptor),
    ("pwrite64", libc::SYS_pwrite64, Subject::Descriptor),
    ("pwritev", libc::SYS_pwritev, Subject::Descriptor),
    ("pwritev2", libc::SYS_pwritev2, Subject::Descriptor),
    ("sendto", libc::SYS_sendto, Subject::Descriptor),
    ("sendfile", libc::SYS_sendfile, Subject::Descriptor),
    ("copy_file_range", libc::SYS_copy_file_range, Subject::Descriptor),
    ("fsync", libc::SYS_fsync, Subject::Descriptor),
    ("fdatasync", libc::SYS_fdatasync, Subject::Descriptor),
    ("ftruncate", libc::SYS_ftruncate, Subject::Descriptor),
    ("fallocate", libc::SYS_fallocate, Subject::Descriptor),
    ("fchmod", libc::SYS_fchmod, Subject::Descriptor),
    ("openat", libc::SYS_openat, Subject::Created),
    ("rename", libc::SYS_rename, Subject::Path(1)),
    ("renameat", libc::SYS_renameat, Subject::Path(3)),
    ("renameat2", libc::SYS_renameat2, Subject::Path(3)),
    ("link", libc::SYS_link, Subject::Path(1)),
    ("linkat", libc::SYS_linkat, Subject::Path(3)),
    ("symlink", libc::SYS_symlink, Subject::Path(1)),
    ("symlinkat", libc::SYS_symlinkat, Subject::Path(2)),
    ("mkdir", libc::SYS_mkdir, Subject::Path(0)),
    ("mkdirat", libc::SYS_mkdirat, Subject::Path(1)),
    ("rmdir", libc::SYS_rmdir, Subject::Path(0)),
    ("unlink", libc::SYS_unlink, Subject::Path(0)),
    ("unlinkat", libc::SYS_unlinkat, Subject::Path(1)),
    ("chmod", libc::SYS_chmod, Subject::Path(0)),
    ("fchmodat", libc::SYS_fchmodat, Subject::Path(1)),
    ("utimensat", libc::SYS_utimensat, Subject::Path(1)),
    ("fork", libc::SYS_fork, Subject::Process),
    ("vfork", libc::SYS_vfork, Subject::Process),
    ("clone", libc::SYS_clone, Subject::Process),
    ("clone3", libc::SYS_clone3, Subject::Process),
];

/// Flags of `openat` with which a file appears or loses its content.
const CREATES: u64 = (libc::O_CREAT | libc::O_TRUNC).cast_unsigned() as u64;

/// What a program may take at most.
const LIMIT: Duration = Duration::from_mins(2);

fn descriptor(pid: Pid, number: u64) -> String {
    let link = fs::read_link(format!("/proc/{pid}/fd/{number}"));
    link.map_or_else(|_| format!("descriptor {number}"), |path| path.display().to_string())
}

/// The string at an address of the traced program.
fn text(pid: Pid, address: u64) -> String {
    let mut bytes = [0; 512];
    let length = memory(pid, address, &mut bytes).unwrap_or(0);
    let text = bytes[..length].split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}

fn word(pid: Pid, address: u64) -> Option<u64> {
    let mut bytes = [0; 8];
    (memory(pid, address, &mut bytes).ok()? == bytes.len()).then(|| u64::from_ne_bytes(bytes))
}

fn memory(pid: Pid, address: u64, bytes: &mut [u8]) -> io::Result<usize> {
    File::open(format!("/proc/{pid}/mem"))?.read_at(bytes, address)
}
