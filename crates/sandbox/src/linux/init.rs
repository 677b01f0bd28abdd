//! Init: the process right above the agent. It collects every orphan, and when the agent ends, or
//! the command or the silence from above says so, it leaves nothing behind.

use std::fs::{self, File};
use std::io::{self, PipeWriter, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use super::agent::{self, NotStarted};
use super::message::{Message, Part};
use super::plan;
use super::procfs;
use super::sys::{self, Pid, Reaped, SIGINT, SIGKILL, SIGTERM};
use super::tree::{self, Reach};
use crate::{Exit, How, Proc, Refused};

/// Stage 1's word for: interrupt the agent.
pub(super) const INTERRUPT: u8 = b'I';
/// Stage 1's word for: ask the agent to end.
pub(super) const TERMINATE: u8 = b'T';
/// Stage 1's word for: end everything. So does the end of the pipe.
pub(super) const KILL: u8 = b'K';

/// Runs as init until nothing is left below. The launch comes through `commands` once this is set
/// up; when none comes, there is nothing to do.
pub(super) fn run(
    reach: Reach,
    ids_to_map: Option<(u32, u32)>,
    mut commands: UnixStream,
    mut report: PipeWriter,
) -> ! {
    let message = match set_up(reach, ids_to_map) {
        Err(refused) => Message::Refused(refused),
        Ok((proc, signals)) => {
            let Ok((bytes, stdio)) = plan::receive(&mut commands) else { sys::exit_now(0) };
            match plan::decode(&bytes).ok_or(UNREADABLE).and_then(|p| agent::start(&p, &stdio)) {
                Err(not) => Message::NotStarted { what: not.what, errno: not.errno },
                Ok(agent) => {
                    drop(stdio); // else nobody would ever see the end of the agent's output
                    // A stage 1 that is gone also ended its socket: seen at once below.
                    drop(Message::Started(proc).send(&mut report));
                    Message::Ended(attend(reach, agent, &mut commands, signals))
                }
            }
        }
    };
    drop(message.send(&mut report));
    sys::exit_now(0)
}

/// A launch that cannot be read was not written by us.
const UNREADABLE: NotStarted = NotStarted { what: Part::Program, errno: libc::EBADMSG };

fn set_up(
    reach: Reach,
    ids_to_map: Option<(u32, u32)>,
) -> Result<(Option<Proc>, OwnedFd), Refused> {
    let refused = |step: &str| {
        let step = step.to_owned();
        move |e: io::Error| Refused { step, errno: e.raw_os_error().unwrap_or(libc::EIO) }
    };
    let proc = match reach {
        Reach::Namespace => {
            sys::die_with_parent().map_err(refused("parent-death-signal"))?;
            ids_to_map.map_or(Ok(()), map_ids_to_themselves)?;
            Some(own_proc())
        }
        Reach::Tree => {
            sys::become_subreaper().map_err(refused("child-subreaper"))?;
            if !procfs::is_ours() {
                return Err(refused("proc-of-this-namespace")(io::Error::from_raw_os_error(
                    libc::ENOENT,
                )));
            }
            None
        }
    };
    let signals = sys::child_signals().map_err(refused("child-signals"))?;
    Ok((proc, signals))
}

/// Keeps the ids inside a new user namespace as they are outside.
fn map_ids_to_themselves((user, group): (u32, u32)) -> Result<(), Refused> {
    for (step, text) in [
        ("setgroups", "deny".to_owned()),
        ("uid_map", format!("{user} {user} 1")),
        ("gid_map", format!("{group} {group} 1")),
    ] {
        fs::write(format!("/proc/self/{step}"), text).map_err(|e| Refused {
            step: step.to_owned(),
            errno: e.raw_os_error().unwrap_or(libc::EIO),
        })?;
    }
    Ok(())
}

/// A container that covers parts of its `/proc` may not have a second one: then the host's stays.
fn own_proc() -> Proc {
    match sys::keep_mounts_to_ourselves().and_then(|()| sys::mount_proc()) {
        Ok(()) => Proc::Fresh,
        Err(_) => Proc::Host,
    }
}

fn attend(reach: Reach, agent: Pid, commands: &mut UnixStream, signals: OwnedFd) -> Exit {
    let mut signals = File::from(signals);
    let mut status = None;
    while status.is_none() {
        let Ok([commanded, signalled]) =
            sys::wait_readable([commands.as_fd(), signals.as_fd()], None)
        else {
            break; // cannot be attended any more: end it rather than lose it
        };
        if commanded {
            match next_byte(commands) {
                Some(INTERRUPT) => drop(sys::kill(-agent, SIGINT)),
                Some(TERMINATE) => drop(sys::kill(-agent, SIGTERM)),
                Some(_) | None => break,
            }
        }
        if signalled {
            // The record says only that somebody ended; who, is asked below.
            drop(signals.read(&mut [0; 128]));
        }
        while let Ok(Reaped::Ended(pid, ended)) = sys::reap() {
            if pid == agent {
                status = Some(ended);
            }
        }
    }
    let rest = tree::end_all(reach, status.is_none().then_some(agent));
    let how = status.or(rest.agent).map_or(How::Signalled(SIGKILL), how);
    Exit { how, leftover: rest.leftover, survivors: rest.survivors }
}

fn next_byte(from: &mut impl Read) -> Option<u8> {
    let mut byte = [0];
    from.read_exact(&mut byte).ok().map(|()| byte[0])
}

fn how(status: ExitStatus) -> How {
    match (status.code(), status.signal()) {
        (Some(code), _) => How::Exited(code),
        (None, signal) => How::Signalled(signal.unwrap_or(SIGKILL)),
    }
}
