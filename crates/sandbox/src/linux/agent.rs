//! The last steps before the agent's program: its own session, clean signals, three descriptors.

use std::ffi::{CStr, CString, OsStr, c_int};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use super::confine::{self, Filter};
use super::message::Part;
use super::plan::Plan;
use super::sys::{self, Pid};
use crate::Refused;

/// Why no agent was started.
pub(super) enum NotStarted {
    /// The program, or its directory.
    Part { what: Part, errno: i32 },
    /// The confinement.
    Refused(Refused),
}

/// Starts the agent and returns once its program is executed. `ignored`: signals that this process ignores.
pub(super) fn start(
    plan: &Plan,
    filter: Option<&Filter>,
    stdio: &[OwnedFd],
    ignored: &[c_int],
) -> Result<Pid, NotStarted> {
    let mut failed = None;
    let pid = sys::spawn(|| failed = Some(become_agent(plan, filter, stdio, ignored)))
        .map_err(|e| NotStarted::Part { what: Part::Program, errno: errno(&e) })?;
    match failed {
        // It was executed, or killed before it was: that shows when it is collected.
        None => Ok(pid),
        Some(why) => {
            sys::wait_for(pid);
            Err(why)
        }
    }
}

/// Executes the program; comes back only with the reason why not.
fn become_agent(
    plan: &Plan,
    filter: Option<&Filter>,
    stdio: &[OwnedFd],
    ignored: &[c_int],
) -> NotStarted {
    let (what, error) = match prepare(stdio, ignored) {
        Err(e) => (Part::Program, e),
        Ok(()) => match std::env::set_current_dir(OsStr::from_bytes(plan.cwd.as_bytes())) {
            Err(e) => (Part::WorkingDirectory, e),
            Ok(()) => match confine(plan, filter) {
                Err(refused) => return NotStarted::Refused(refused),
                Ok(()) if plan.program.is_empty() => answer(plan),
                Ok(()) => (Part::Program, execute(plan)),
            },
        },
    };
    NotStarted::Part { what, errno: errno(&error) }
}

/// Probes in place of a program: comes back only if they cannot be answered.
fn answer(plan: &Plan) -> (Part, io::Error) {
    let probes: Vec<&[u8]> = plan.argv.iter().skip(1).map(CString::as_bytes).collect();
    match confine::probe::answer(&probes) {
        Ok(()) => sys::exit_now(0),
        Err(e) => (Part::Program, e),
    }
}

fn confine(plan: &Plan, filter: Option<&Filter>) -> Result<(), Refused> {
    match (&plan.confinement, filter) {
        (Some(confinement), Some(filter)) => confine::give_up(confinement, filter),
        _ => Ok(()),
    }
}

fn prepare(stdio: &[OwnedFd], ignored: &[c_int]) -> io::Result<()> {
    sys::new_session()?;
    for (fd, at) in stdio.iter().zip(0..) {
        sys::place(fd.as_fd(), at)?;
    }
    sys::close_on_exec_all_but_standard()?;
    sys::reset_signals(ignored);
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
        if sys::is_missing(&candidate) {
            continue;
        }
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
