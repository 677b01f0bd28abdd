//! Init: the process right above the agent. It collects every orphan, and when the agent ends, or
//! the command or the silence from above says so, it leaves nothing behind.

use std::fs::File;
use std::io::{self, PipeWriter, Read};
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use super::agent::{self, NotStarted};
use super::confine::{self, Ahead, Kind, Masks, Namespaces};
use super::ids::Ids;
use super::message::{Message, Part};
use super::meter::Meter;
use super::plan;
use super::procfs;
use super::sys::{self, Pid, Reaped, SIGKILL};
use super::tree::{self, Reach};
use crate::{Bound, Bounds, Exit, How, Proc, Refused};

/// The namespaces that init is born into.
#[derive(Debug, Clone)]
pub(super) struct Setting<'a> {
    pub(super) reach: Reach,
    /// Of a user namespace, when there is one.
    pub(super) ids: Option<Ids>,
    pub(super) kind: Kind,
    /// What will be launched, most likely.
    pub(super) likely: &'a [u8],
}

impl Setting<'_> {
    /// They are those of a confinement.
    fn confined(&self) -> bool {
        self.kind.namespaces != Namespaces::Plain
    }

    fn host_root(&self) -> bool {
        self.ids.as_ref().is_some_and(Ids::host_root)
    }
}

/// Stage 1's word for: interrupt the agent.
pub(super) const INTERRUPT: u8 = b'I';
/// Stage 1's word for: ask the agent to end.
pub(super) const TERMINATE: u8 = b'T';
/// Stage 1's word for: tell the agent that its terminal is gone.
pub(super) const HANG_UP: u8 = b'H';
/// Stage 1's word for: have the agent stand still. In a session that nobody at a terminal leads, only SIGSTOP does.
pub(super) const FREEZE: u8 = b'Z';
/// Stage 1's word for: have it go on.
pub(super) const THAW: u8 = b'G';
/// Stage 1's word for: end everything. So does the end of the pipe.
pub(super) const KILL: u8 = b'K';

/// Stage 1's word for: cover the path that follows, in hexadecimal digits and ended by [`OVER`]: none
/// of them is another word.
pub(super) const COVER: u8 = b'C';
/// Stage 1's first word where it tells the kernel which numbers there are: they are told.
pub(super) const MAPPED: u8 = b'M';
/// Stage 1's word for: keep what is at the path that follows from being written; the path as that of [`COVER`].
pub(super) const KEEP: u8 = b'P';
/// Stage 1's word for: keep the folder at the path that follows from being moved away; the path as that of [`COVER`].
pub(super) const PIN: u8 = b'N';
/// The end of a path.
pub(super) const OVER: u8 = b'\n';

/// What the agent's process group is sent at a word.
fn signal_of(word: u8) -> Option<libc::c_int> {
    match word {
        INTERRUPT => Some(sys::SIGINT),
        TERMINATE => Some(sys::SIGTERM),
        HANG_UP => Some(sys::SIGHUP),
        FREEZE => Some(sys::SIGSTOP),
        THAW => Some(sys::SIGCONT),
        _ => None,
    }
}

/// Runs as init until nothing is left below. The launch comes through `commands` once this is set
/// up; when none comes, there is nothing to do.
pub(super) fn run(setting: &Setting<'_>, mut commands: UnixStream, mut report: PipeWriter) -> ! {
    let reach = setting.reach;
    let message = match set_up(setting, &mut commands) {
        Err(refused) => Message::Refused(refused),
        Ok(Readied { proc, signals, ignored }) => {
            let ahead = setting
                .confined()
                .then(|| confine::ahead(setting.kind, setting.likely, setting.host_root()));
            let Ok((bytes, descriptors)) = plan::receive(&mut commands) else { sys::exit_now(0) };
            let begun = begin(&bytes, &descriptors, setting, (proc, ahead, &ignored));
            drop(descriptors); // else nobody would ever see the end of the agent's output
            match begun {
                Err(NotStarted::Part { what, errno }) => Message::NotStarted { what, errno },
                Err(NotStarted::Refused(why)) => Message::Refused(why),
                Ok(begun) => {
                    // A stage 1 that is gone also ended its socket: seen at once below.
                    drop(Message::Started(begun.proc).send(&mut report));
                    let exit = attend(reach, &begun, &mut commands, signals);
                    drop(Message::Ended(exit).send(&mut report));
                    // What is left goes with this process, and that is slow: whoever waits hears first.
                    while next_byte(&mut commands).is_some() {}
                    sys::exit_now(0)
                }
            }
        }
    };
    drop(message.send(&mut report));
    sys::exit_now(0)
}

/// An agent that runs.
struct Begun {
    agent: Pid,
    proc: Option<Proc>,
    masks: Option<Masks>,
    bounds: Bounds,
}

/// Builds the confinement, if there is one, and starts the agent.
fn begin(
    bytes: &[u8],
    descriptors: &[OwnedFd; plan::DESCRIPTORS],
    setting: &Setting<'_>,
    (proc, ahead, ignored): (Option<Proc>, Option<Result<Ahead, Refused>>, &[libc::c_int]),
) -> Result<Begun, NotStarted> {
    // It was not written by us.
    let unknown = NotStarted::Part { what: Part::Program, errno: libc::EBADMSG };
    let Some(plan) = plan::decode(bytes) else { return Err(unknown) };
    let Some(confinement) = &plan.confinement else {
        let agent = agent::start(&plan, None, &descriptors[..3], ignored)?;
        return Ok(Begun { agent, proc, masks: None, bounds: Bounds::default() });
    };
    let ahead = ahead.ok_or(unknown)?.map_err(NotStarted::Refused)?;
    hand_over(setting, &descriptors[..3]);
    let built = confine::build(confinement, ahead, setting.host_root());
    let built = built.map_err(NotStarted::Refused)?;
    hand_out(&built.listeners, &descriptors[3]).map_err(|e| {
        let errno = e.raw_os_error().unwrap_or(libc::EIO);
        NotStarted::Refused(Refused { step: "hand-out-listeners".to_owned(), errno })
    })?;
    let agent = agent::start(&plan, Some(&built.filter), &descriptors[..3], ignored)?;
    let (proc, masks, bounds) = (Some(built.proc), built.masks, confinement.bounds.clone());
    Ok(Begun { agent, proc, masks, bounds })
}

/// Gives the pipes that root made to the account: a script opens them by `/dev/stdout`. Where it cannot be, they are
/// written as they are all the same.
fn hand_over(setting: &Setting<'_>, pipes: &[OwnedFd]) {
    use rustix::fs::{Gid, Uid, fchown};
    let Some((user, group)) = setting.ids.as_ref().and_then(Ids::account) else { return };
    for pipe in pipes {
        let _ = fchown(pipe, Some(Uid::from_raw(user)), Some(Gid::from_raw(group)));
    }
}

/// Botpipe serves them; here they would only keep a port busy that nobody answers.
fn hand_out(listeners: &[TcpListener], to: &OwnedFd) -> io::Result<()> {
    for listener in listeners {
        sys::send_with_descriptors(to.as_fd(), &[0], [listener.as_fd()])?;
    }
    Ok(())
}

/// What init has before it knows the launch.
struct Readied {
    proc: Option<Proc>,
    /// Readable when a child has ended.
    signals: OwnedFd,
    /// Signals that are ignored here.
    ignored: Vec<libc::c_int>,
}

fn set_up(setting: &Setting<'_>, commands: &mut UnixStream) -> Result<Readied, Refused> {
    let refused = |step: &str| {
        let step = step.to_owned();
        move |e: io::Error| Refused { step, errno: e.raw_os_error().unwrap_or(libc::EIO) }
    };
    let proc = match setting.reach {
        Reach::Namespace => {
            sys::die_with_parent().map_err(refused("parent-death-signal"))?;
            setting.ids.as_ref().map_or(Ok(()), |ids| become_known(ids, commands))?;
            // A confinement makes one itself, last of all.
            (!setting.confined()).then(own_proc)
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
    Ok(Readied { proc, signals, ignored: sys::ignored_signals() })
}

/// Has the numbers of a new user namespace mean something, and becomes the account that the program is.
fn become_known(ids: &Ids, commands: &mut UnixStream) -> Result<(), Refused> {
    let Some((user, group)) = ids.account() else { return ids.map_own() };
    if next_byte(commands) != Some(MAPPED) {
        sys::exit_now(0); // they could not be told: stage 1 knows why
    }
    let refused = |step: &str, e: io::Error| {
        let errno = e.raw_os_error().unwrap_or(libc::EIO);
        Refused { step: step.to_owned(), errno }
    };
    sys::become_user(user, group).map_err(|e| refused("become-user", e))?;
    sys::die_with_parent().map_err(|e| refused("parent-death-signal", e))
}

/// A container that covers parts of its `/proc` may not have a second one: then the host's stays.
fn own_proc() -> Proc {
    match sys::keep_mounts_to_ourselves().and_then(|()| sys::mount_proc()) {
        Ok(()) => Proc::Fresh,
        Err(_) => Proc::Host,
    }
}

fn attend(reach: Reach, begun: &Begun, commands: &mut UnixStream, signals: OwnedFd) -> Exit {
    let mut signals = File::from(signals);
    let mut status = None;
    let mut meter = Meter::of(&begun.bounds);
    let mut beyond = None;
    while status.is_none() {
        let patience = meter.as_ref().map(Meter::patience);
        let Ok([commanded, signalled]) =
            sys::wait_readable([commands.as_fd(), signals.as_fd()], patience)
        else {
            break; // cannot be attended any more: end it rather than lose it
        };
        if commanded {
            match next_byte(commands) {
                Some(word @ (COVER | KEEP | PIN))
                    if cover(word, commands, begun.masks.as_ref()).is_ok() => {}
                word => match word.and_then(signal_of) {
                    Some(signal) => drop(sys::kill(-begun.agent, signal)),
                    None => break,
                },
            }
        }
        if signalled {
            // The record says only that somebody ended; who, is asked below.
            drop(signals.read(&mut [0; 128]));
        }
        while let Ok(Reaped::Ended(pid, ended)) = sys::reap() {
            if pid == begun.agent {
                status = Some(ended);
            }
        }
        if status.is_none() {
            beyond = meter.as_mut().and_then(Meter::look);
        }
        if beyond.is_some() {
            break;
        }
    }
    let rest = tree::end_all(reach, status.is_none().then_some(begun.agent));
    let how = status.or(rest.agent).map_or(How::Signalled(SIGKILL), how);
    let beyond = beyond.or_else(|| told_by(how, &begun.bounds));
    Exit { how, leftover: rest.leftover, survivors: rest.survivors, beyond }
}

/// The bound that the kernel ended a program for, or a program of a shell's.
fn told_by(how: How, bounds: &Bounds) -> Option<Bound> {
    let ended_by = |signal: i32| matches!(how, How::Signalled(it) if it == signal);
    let or_told = |signal: i32| ended_by(signal) || how == How::Exited(128 + signal);
    let taken = |most: u64| {
        let own = procfs::stat("self");
        own.is_some_and(|own| Meter::milliseconds_of(own.waited_time) >= most)
    };
    if bounds.file_size.is_some() && or_told(libc::SIGXFSZ) {
        return Some(Bound::FileSize);
    }
    let by_cpu = ended_by(SIGKILL) || or_told(libc::SIGXCPU);
    bounds.cpu.filter(|most| by_cpu && taken(*most)).map(|_| Bound::Cpu)
}

/// What cannot be covered is not left open: the program ends.
fn cover(word: u8, commands: &mut UnixStream, masks: Option<&Masks>) -> io::Result<()> {
    let bad = || io::Error::from(io::ErrorKind::InvalidData);
    let mut path = Vec::new();
    loop {
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|d| u8::try_from(d).ok());
        match next_byte(commands).ok_or_else(bad)? {
            OVER => break,
            high => {
                let low = next_byte(commands).ok_or_else(bad)?;
                path.push(digit(high).ok_or_else(bad)? << 4 | digit(low).ok_or_else(bad)?);
            }
        }
    }
    let masks = masks.ok_or_else(bad)?;
    match word {
        KEEP => masks.keep(&path),
        PIN => masks.pin(&path),
        _ => masks.cover(&path),
    }
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
