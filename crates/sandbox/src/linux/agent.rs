//! The last steps before the agent's program: its own session, clean signals, three descriptors.

use std::ffi::{CStr, CString, OsStr};
use std::io::{self, ErrorKind, PipeWriter, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use super::message::Part;
use super::plan::Plan;
use super::sys::{self, Fork, Pid};

/// Why no agent was started.
pub(super) struct NotStarted {
    pub(super) what: Part,
    pub(super) errno: i32,
}

/// Starts the agent and returns once its program is executed.
pub(super) fn start(plan: &Plan, stdio: &[OwnedFd; 3]) -> Result<Pid, NotStarted> {
    let own = |e: io::Error| NotStarted { what: Part::Program, errno: errno(&e) };
    // Exec closes the writing end, so an end without a word means that the program runs.
    let (mut failure, tell) = io::pipe().map_err(own)?;
    match sys::fork(0).map_err(own)? {
        Fork::Child => {
            drop(failure);
            become_agent(plan, stdio, tell)
        }
        Fork::Parent(pid) => {
            drop(tell);
            let mut word = Vec::new();
            failure.read_to_end(&mut word).map_err(own)?;
            let (Some((part, errno)), true) = (word.split_first(), word.len() == 5) else {
                return Ok(pid);
            };
            sys::wait_for(pid);
            let errno = errno.try_into().map_or(libc::EIO, i32::from_ne_bytes);
            let what = if *part == CWD { Part::WorkingDirectory } else { Part::Program };
            Err(NotStarted { what, errno })
        }
    }
}

const CWD: u8 = b'd';
const PROGRAM: u8 = b'p';

fn become_agent(plan: &Plan, stdio: &[OwnedFd; 3], mut tell: PipeWriter) -> ! {
    let (part, error) = match prepare(stdio) {
        Err(e) => (PROGRAM, e),
        Ok(()) => match std::env::set_current_dir(OsStr::from_bytes(plan.cwd.as_bytes())) {
            Err(e) => (CWD, e),
            Ok(()) => (PROGRAM, execute(plan)),
        },
    };
    let mut word = vec![part];
    word.extend_from_slice(&errno(&error).to_ne_bytes());
    // If init is gone there is nobody to tell.
    drop(tell.write_all(&word));
    sys::exit_now(127)
}

fn prepare(stdio: &[OwnedFd; 3]) -> io::Result<()> {
    sys::new_session()?;
    for (fd, at) in stdio.iter().zip(0..) {
        sys::place(fd.as_fd(), at)?;
    }
    sys::close_on_exec_all_but_standard()?;
    sys::reset_signals();
    Ok(())
}

/// Executes the program, or the first of its name on the path of its own environment.
fn execute(plan: &Plan) -> io::Error {
    if plan.program.as_bytes().contains(&b'/') {
        return sys::exec(&plan.program, &plan.argv, &plan.env);
    }
    let path = plan.env.iter().find_map(|v| v.as_bytes().strip_prefix(b"PATH="));
    let mut best = io::Error::from_raw_os_error(libc::ENOENT);
    for directory in path.unwrap_or(b"/usr/bin:/bin").split(|b| *b == b':') {
        let Some(candidate) = join(directory, &plan.program) else { continue };
        let error = sys::exec(&candidate, &plan.argv, &plan.env);
        match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => {}
            // Another directory may hold one that may be executed.
            ErrorKind::PermissionDenied => best = error,
            _ => return error,
        }
    }
    best
}

fn join(directory: &[u8], name: &CStr) -> Option<CString> {
    let directory = if directory.is_empty() { b"." } else { directory };
    CString::new([directory, b"/", name.to_bytes()].concat()).ok()
}

fn errno(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EIO)
}
