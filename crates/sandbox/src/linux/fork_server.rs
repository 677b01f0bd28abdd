//! The fork server: our own binary, started once, of which every stage 1 is a fork. A launch so
//! pays for no exec, relocation and page faults of a large binary but the first.
//!
//! Botpipe sends one byte with a socket for each launch. One fork, the spare, is always there and
//! waits for it, with an init already in its namespaces that has set up what does not depend on it,
//! and what it needs if it is like the last; the server makes another as soon as it is taken. The
//! spare talks to Botpipe over the socket of its launch and sends a handle on itself first, so that
//! Botpipe can wait for it and kill it although it is no child of its own.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, PipeWriter, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::parent_id;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, mpsc};
use std::thread;

use super::confine::{Kind, Namespaces, likely};
use super::sys::{self, Fork};
use super::{early, process, procfs, stage1};
use crate::{Confinement, Error};

/// What a fork says first: its number and its start time, with a handle on itself.
const FIRST_WORDS: usize = 12;
/// The one byte of a request.
const REQUEST: &[u8; 1] = b"L";

/// The spare's word to the server: Botpipe is gone.
const OVER: u8 = b'O';

/// The server's side: keeps a spare until Botpipe is gone.
pub(super) fn serve() -> io::Result<()> {
    let control = stage1::take_socket()?;
    sys::new_session()?;
    // The end of the socket says that Botpipe is gone; this also meets a server that was stopped.
    sys::die_with_parent()?;
    std::env::set_current_dir("/")?;
    sys::ignore_children();
    let server = std::process::id();
    let mut in_vain = 0;
    // The next launch is most likely like the last.
    let mut kind = Kind { namespaces: Namespaces::Plain, files: false };
    let mut likely = Vec::new();
    loop {
        if in_vain == FORKS_IN_VAIN {
            // Rather than for ever, nothing is tried until a launch comes. Its socket is closed,
            // which tells Botpipe; the next may be luckier.
            match sys::receive_with_descriptors::<1, 1>(control.as_fd()) {
                Err(e) if !may_go_on(&e) => return Ok(()),
                _ => in_vain = 0,
            }
        }
        let Ok((mut told, tell)) = io::pipe() else {
            in_vain = FORKS_IN_VAIN;
            continue;
        };
        match sys::fork(0) {
            Ok(Fork::Child) => {
                drop(told);
                return be_spare(control, server, tell, (kind, &likely));
            }
            Ok(Fork::Parent(_)) => {
                drop(tell);
                let mut word = [0];
                match told.read(&mut word) {
                    Ok(1) if word[0] == OVER => return Ok(()),
                    Ok(1) => {
                        kind = Kind::from_byte(word[0]).unwrap_or(kind);
                        likely.clear();
                        if told.read_to_end(&mut likely).is_err() {
                            likely.clear();
                        }
                        in_vain = 0;
                    }
                    _ => in_vain += 1, // it was killed, or could not get ready
                }
            }
            Err(_) => in_vain = FORKS_IN_VAIN,
        }
    }
}

/// Spares in a row that are lost before they are taken; then the server stops trying.
const FORKS_IN_VAIN: u32 = 3;

/// Waits for a launch, and attends it to its end.
fn be_spare(
    control: UnixStream,
    server: u32,
    tell: PipeWriter,
    (kind, likely): (Kind, &[u8]),
) -> io::Result<()> {
    sys::die_with_parent()?;
    sys::notice_children();
    sys::new_session()?;
    let handle = sys::open_process(server)?;
    if parent_id() != server {
        return Ok(()); // gone already, and the number may be another's
    }
    let own = sys::open_process(std::process::id())?;
    let start_ticks = procfs::stat("self").map_or(0, |s| s.start_ticks);
    let mut words = [0; FIRST_WORDS];
    words[..4].copy_from_slice(&std::process::id().to_ne_bytes());
    words[4..].copy_from_slice(&start_ticks.to_ne_bytes());
    let ((control, mut tell, handle, own), ready) =
        match stage1::get_ready(kind, likely, (control, tell, handle, own)) {
            Ok((ready, kept)) => (kept, Some(ready)),
            Err(kept) => (kept, None),
        };

    let botpipe = loop {
        match sys::receive_with_descriptors::<1, 1>(control.as_fd()) {
            Ok((_, [botpipe])) => break UnixStream::from(botpipe),
            Err(e) if may_go_on(&e) => {}
            Err(_) => return tell.write_all(&[OVER]),
        }
    };
    drop(control); // kept open here, it would hide the end of the server
    // From here on the end of the server ends the launch in order.
    sys::outlive_parent()?;
    if parent_id() != server {
        return Ok(());
    }
    sys::send_with_descriptors(botpipe.as_fd(), &words, [own.as_fd()])?;
    drop(own);
    stage1::attend(botpipe, Some((handle, Taken { tell, kind, likely: Vec::new() })), ready)
}

/// Dropped, it tells the server that its spare was taken, and by what kind of launch. That is once the program runs: until then
/// another spare would only be in its way.
#[derive(Debug)]
pub(super) struct Taken {
    tell: PipeWriter,
    kind: Kind,
    /// What the next will most likely need.
    likely: Vec<u8>,
}

impl Taken {
    /// By a launch with this confinement; the next may be one like it.
    pub(super) fn by_one_like(mut self, confinement: Option<&Confinement>) {
        self.likely = likely::after(confinement);
    }

    /// By a launch of this kind.
    pub(super) fn by(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        // A server that is gone is noticed by its handle.
        let words: Vec<u8> = [&[self.kind.byte()], &*self.likely].concat();
        drop(self.tell.write_all(&words));
    }
}

/// A request whose socket did not arrive is asked again.
fn may_go_on(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::Interrupted)
}

/// Botpipe's end of a server. The server ends when the last of these is dropped.
#[derive(Debug)]
pub(super) struct Server {
    control: UnixStream,
}

/// A stage 1 that came from a server.
pub(super) struct Forked {
    pub(super) pid: u32,
    /// 0 when it could not read its own.
    pub(super) start_ticks: u64,
    pub(super) handle: OwnedFd,
    /// Kept while it lives: a server that was given up still ends its own launches in order.
    pub(super) server: Arc<Server>,
}

/// Whether this kernel has the handles that a stage 1 of a server is held by, and one is wanted.
pub(super) fn usable() -> bool {
    static USABLE: OnceLock<bool> = OnceLock::new();
    if early::launches_once() {
        return false;
    }
    *USABLE.get_or_init(|| {
        sys::open_process(std::process::id())
            .is_ok_and(|own| sys::signal_process(own.as_fd(), 0).is_ok())
    })
}

static SERVERS: Mutex<BTreeMap<PathBuf, Arc<Server>>> = Mutex::new(BTreeMap::new());

fn servers() -> MutexGuard<'static, BTreeMap<PathBuf, Arc<Server>>> {
    SERVERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has a stage 1 forked that talks over the other end of the socket that comes back. `tell` sends
/// it the launch; it is called again if a server is found dead and another takes its place.
pub(super) fn fork(path: &Path, tell: &dyn Fn(&UnixStream)) -> Result<(UnixStream, Forked), Error> {
    let mut again = true;
    loop {
        let server = server_of(path)?;
        let pair = |source| Error::System { doing: "make the socket of a launch", source };
        let (ours, theirs) = UnixStream::pair().map_err(pair)?;
        let asked = sys::send_with_descriptors(server.control.as_fd(), REQUEST, [theirs.as_fd()]);
        drop(theirs);
        if asked.is_ok() {
            tell(&ours);
        }
        let heard = asked.and_then(|()| sys::receive_with_descriptors(ours.as_fd()));
        let error = match heard {
            Ok((words, [handle])) => {
                let words: [u8; FIRST_WORDS] = words;
                let (pid, ticks) = words.split_at(4);
                let pid = pid.try_into().map_or(0, u32::from_ne_bytes);
                let start_ticks = ticks.try_into().map_or(0, u64::from_ne_bytes);
                return Ok((ours, Forked { pid, start_ticks, handle, server }));
            }
            Err(error) => error,
        };
        // The server died, maybe long ago, or could not fork. Nothing of the launch has begun: a
        // stage 1 reads it only after its first words.
        let mut servers = servers();
        if servers.get(path).is_some_and(|known| Arc::ptr_eq(known, &server)) {
            servers.remove(path);
        }
        drop(servers);
        if !again {
            return Err(match error.kind() {
                ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => {
                    Error::Silent { path: path.to_owned() }
                }
                _ => Error::Stage1 { path: path.to_owned(), source: error },
            });
        }
        again = false;
    }
}

fn server_of(path: &Path) -> Result<Arc<Server>, Error> {
    // Held while one starts: launches of several threads share it from the first on.
    let mut servers = servers();
    if let Some(server) = servers.get(path) {
        return Ok(Arc::clone(server));
    }
    let failed = |source| Error::Stage1 { path: path.to_owned(), source };
    let (control, theirs) = UnixStream::pair().map_err(failed)?;
    start(path.to_owned(), theirs.into()).map_err(failed)?;
    let server = Arc::new(Server { control });
    servers.insert(path.to_owned(), Arc::clone(&server));
    Ok(server)
}

/// Starts a server from a thread that lasts as long as it: with that thread the server would end.
fn start(path: PathBuf, socket: OwnedFd) -> io::Result<()> {
    let (tell, told) = mpsc::channel();
    thread::Builder::new().name("sandbox-server".to_owned()).stack_size(STACK).spawn(
        move || match process::start(&path, &[stage1::SENTINEL, stage1::SERVE], socket) {
            Ok(mut server) => {
                drop(tell.send(Ok(())));
                drop(server.wait());
            }
            Err(error) => drop(tell.send(Err(error))),
        },
    )?;
    told.recv().unwrap_or_else(|_| Err(io::Error::from(ErrorKind::BrokenPipe)))
}

const STACK: usize = 256 << 10;
