//! Botpipe's side of a contained program: it starts stage 1, talks to it, and ends it.

use std::io::{self, PipeReader, PipeWriter, Read as _, Write};
use std::net::{Shutdown, TcpListener};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::message::{Heard, Message, Part, Words};
use super::process::{self, Process};
use super::{OWN_BINARY, early, fork_server, init, plan, procfs, stage1, sys};
use crate::{Answer, Error, Exit, How, Identity, Launch, Network, Probe, Refused, Used};

/// A program that runs in containment. Dropped before its end, it is killed with its whole tree.
#[derive(Debug)]
pub struct Contained {
    stdin: Option<PipeWriter>,
    stdout: Option<PipeReader>,
    stderr: Option<PipeReader>,
    identity: Identity,
    used: Used,
    accepted: usize,
    listeners: Vec<TcpListener>,
    stage1: Stage1,
}

#[derive(Debug)]
struct Stage1 {
    process: Process,
    /// Commands go down this socket, words come up.
    words: Words,
    exit: Option<Exit>,
}

pub(crate) fn start(launch: &Launch, input: &[u8]) -> Result<Contained, Error> {
    let plan = plan::encode(launch)?;
    let path = match &launch.stage1 {
        Some(path) => path.clone(),
        None if stage1::can_be_entered() => PathBuf::from(OWN_BINARY),
        None => return Err(Error::NoStage1),
    };
    let pipes = |source| Error::System { doing: "make the pipes of a program", source };
    let (agent_stdin, mut stdin) = io::pipe().map_err(pipes)?;
    sys::never_block(stdin.as_fd()).map_err(pipes)?;
    // A fresh pipe with a reader takes what fits, and does not fail.
    let accepted = if input.is_empty() { 0 } else { stdin.write(input).unwrap_or(0) };
    let (stdout, agent_stdout) = io::pipe().map_err(pipes)?;
    let (stderr, agent_stderr) = io::pipe().map_err(pipes)?;

    let (handed, theirs) = UnixStream::pair().map_err(pipes)?;
    let tell = |socket: &UnixStream| {
        let own = [agent_stdin.as_fd(), agent_stdout.as_fd(), agent_stderr.as_fd(), theirs.as_fd()];
        // What a stage 1 that is gone did not take shows below: it ends without a word.
        drop(plan::send(socket, &plan, own));
    };
    let (socket, process, identity) = start_stage1(&path, &tell)?;
    drop((agent_stdin, agent_stdout, agent_stderr, theirs));
    let mut stage1 = Stage1 { process, words: Words::new(socket), exit: None };
    let used = match stage1.first_words(launch, &path) {
        Ok(used) => used,
        Err(error) => {
            stage1.abandon();
            return Err(error);
        }
    };
    let Some(identity) = identity else {
        stage1.abandon();
        let source = io::Error::from(io::ErrorKind::NotFound);
        return Err(Error::System { doing: "read the start time of stage 1 in /proc", source });
    };
    let listeners = match receive_listeners(launch, &handed) {
        Ok(listeners) => listeners,
        Err(source) => {
            stage1.abandon();
            return Err(Error::System { doing: "take the listeners of a network", source });
        }
    };
    let (stdin, stdout, stderr) = (Some(stdin), Some(stdout), Some(stderr));
    Ok(Contained { stdin, stdout, stderr, identity, used, accepted, listeners, stage1 })
}

pub(crate) fn probe(launch: &Launch, probes: &[Probe]) -> Result<Vec<Answer>, Error> {
    let args = probes.iter().map(Probe::words).collect();
    let launch = Launch { program: PathBuf::new(), args, mark: None, ..launch.clone() };
    let mut running = start(&launch, &[])?;
    let mut said = String::new();
    let read = running.stdout.take().map(|mut it| it.read_to_string(&mut said));
    running.wait();
    let answers: Option<Vec<Answer>> = said
        .lines()
        .map(|line| match line.parse().ok()? {
            0 => Some(Ok(())),
            number => Some(Err(number)),
        })
        .collect();
    match (read, answers) {
        (Some(Ok(_)), Some(answers)) if answers.len() == probes.len() => Ok(answers),
        _ => Err(Error::Unanswered),
    }
}

fn receive_listeners(launch: &Launch, from: &UnixStream) -> io::Result<Vec<TcpListener>> {
    let network = launch.confinement.as_ref().map(|confinement| &confinement.network);
    let Some(Network::Own { doors }) = network else { return Ok(Vec::new()) };
    doors
        .iter()
        .map(|_| {
            let (_, [listener]) = sys::receive_with_descriptors::<1, 1>(from.as_fd())?;
            Ok(TcpListener::from(listener))
        })
        .collect()
}

/// Gets a stage 1 from the fork server, or one of our own where the kernel has no handles on
/// processes, and tells it the launch.
fn start_stage1(
    path: &Path,
    tell: &dyn Fn(&UnixStream),
) -> Result<(UnixStream, Process, Option<Identity>), Error> {
    if fork_server::usable() {
        let (socket, forked) = fork_server::fork(path, tell)?;
        let identity = match forked.start_ticks {
            0 => None,
            ticks if procfs::is_ours() => procfs::identity_of(forked.pid, ticks),
            _ => None,
        };
        let process = Process::Forked { handle: forked.handle, server: forked.server };
        return Ok((socket, process, identity));
    }
    let failed = |source| Error::Stage1 { path: path.to_owned(), source };
    let (socket, child) = if let Some(early) = early::take(path) {
        early
    } else {
        let (socket, theirs) = UnixStream::pair().map_err(failed)?;
        let child = process::start(path, &[stage1::SENTINEL], theirs.into());
        (socket, child.map_err(failed)?)
    };
    let identity = procfs::process_identity(child.id());
    tell(&socket);
    Ok((socket, Process::Child(child), identity))
}

impl Contained {
    /// Bytes of its input that it was given at its start: the rest is to be written.
    pub fn accepted(&self) -> usize {
        self.accepted
    }

    /// The writing end of the program's standard input, once. It never blocks: a write to a full
    /// pipe fails with `WouldBlock`.
    pub fn take_stdin(&mut self) -> Option<PipeWriter> {
        self.stdin.take()
    }

    /// The reading end of the program's standard output, once.
    pub fn take_stdout(&mut self) -> Option<PipeReader> {
        self.stdout.take()
    }

    /// The reading end of the program's standard error, once.
    pub fn take_stderr(&mut self) -> Option<PipeReader> {
        self.stderr.take()
    }

    /// The listeners of the doors of its network, in order, once. What connects meanwhile waits.
    pub fn take_listeners(&mut self) -> Vec<TcpListener> {
        std::mem::take(&mut self.listeners)
    }

    /// What covers files of a confined program while it runs.
    ///
    /// # Errors
    /// The kernel's, when there are no descriptors left.
    pub fn cover(&self) -> io::Result<Cover> {
        Ok(Cover { socket: self.stage1.words.socket().try_clone()? })
    }

    /// The process number of stage 1, which lives at least as long as the program's tree.
    pub fn pid(&self) -> u32 {
        self.identity.pid
    }

    /// The identity of stage 1.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What contains the program.
    pub fn used(&self) -> &Used {
        &self.used
    }

    /// Waits until the program and everything it started have ended. Later calls say the same.
    /// A stage 1 that was killed took everything along: that is an end by signal 9.
    pub fn wait(&mut self) -> Exit {
        loop {
            if let Some(exit) = self.stage1.ended(None) {
                self.stage1.process.wait(); // it has nothing left to do but to end
                return exit;
            }
        }
    }

    /// The end, if it is known by now; stage 1 itself may take a moment longer. To be asked when
    /// there is something to read (see [`AsFd`]).
    pub fn try_wait(&mut self) -> Option<Exit> {
        self.stage1.ended(Some(Duration::ZERO))
    }

    /// Sends SIGINT to the process group the program leads, as Ctrl-C at a terminal would.
    pub fn interrupt(&self) {
        self.say(init::INTERRUPT);
    }

    /// Sends SIGTERM to the process group the program leads.
    pub fn terminate(&self) {
        self.say(init::TERMINATE);
    }

    /// Sends SIGHUP to the process group the program leads, as a terminal that is gone would.
    pub fn hang_up(&self) {
        self.say(init::HANG_UP);
    }

    /// Has the process group the program leads stand still.
    pub fn freeze(&self) {
        self.say(init::FREEZE);
    }

    /// Has it go on.
    pub fn thaw(&self) {
        self.say(init::THAW);
    }

    /// Kills the program and everything it started. [`Contained::wait`] tells when it is done.
    pub fn kill(&self) {
        self.say(init::KILL);
    }

    /// Gives up on an orderly end: stage 1 itself is killed, and with it everything below it.
    /// For a stage 1 that does not answer, such as one that somebody stopped.
    pub fn abandon(&self) {
        // Whoever waits hears the silence, and kills stage 1.
        drop(self.stage1.words.socket().shutdown(Shutdown::Both));
    }

    fn say(&self, word: u8) {
        // A stage 1 that is gone has already ended everything.
        drop(self.stage1.words.socket().write_all(&[word]));
    }
}

/// Covers files of a confined program while it runs.
#[derive(Debug)]
pub struct Cover {
    socket: UnixStream,
}

impl Cover {
    /// Covers what is at a path now: from here on it can neither be read nor written there. A program
    /// whose file cannot be covered is killed.
    pub fn path(&self, path: &Path) {
        self.say(init::COVER, path);
    }

    /// Keeps what is at a path now from being written there from here on. A program whose file cannot be kept is
    /// killed.
    pub fn keep(&self, path: &Path) {
        self.say(init::KEEP, path);
    }

    /// Keeps the folder at a path from being moved away there. A program whose folder cannot be kept is killed.
    pub fn pin(&self, path: &Path) {
        self.say(init::PIN, path);
    }

    /// Kills the program and everything it started.
    pub fn end(&self) {
        drop((&self.socket).write_all(&[init::KILL]));
    }

    fn say(&self, word: u8, path: &Path) {
        let digits =
            |byte: &u8| [byte >> 4, byte & 0xf].map(|d| b"0123456789abcdef"[usize::from(d)]);
        let path = path.as_os_str().as_bytes().iter().flat_map(digits);
        let words: Vec<u8> = [word].into_iter().chain(path).chain([init::OVER]).collect();
        // A stage 1 that is gone has already ended everything.
        drop((&self.socket).write_all(&words));
    }
}

/// Readable when [`Contained::try_wait`] may know more.
impl AsFd for Contained {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stage1.words.socket().as_fd()
    }
}

impl Drop for Contained {
    fn drop(&mut self) {
        self.stage1.abandon();
    }
}

impl Stage1 {
    /// Listens until the program runs, or it is known why it does not.
    fn first_words(&mut self, launch: &Launch, path: &Path) -> Result<Used, Error> {
        let mut fell_back: Option<Refused> = None;
        loop {
            match self.words.next(None) {
                Heard::Nothing => {}
                Heard::Word(Message::FallsBack(why)) => fell_back = Some(why),
                Heard::Word(Message::Started(Some(proc))) => return Ok(Used::Namespace { proc }),
                Heard::Word(Message::Started(None)) => {
                    return Ok(Used::Subreaper { refused: fell_back });
                }
                Heard::Word(Message::Refused(Refused { step, errno })) => {
                    let source = io::Error::from_raw_os_error(errno);
                    return Err(Error::Refused { step, source });
                }
                Heard::Word(Message::NotStarted { what, errno }) => {
                    let source = io::Error::from_raw_os_error(errno);
                    return Err(match what {
                        Part::Program => Error::Program { program: launch.program.clone(), source },
                        Part::WorkingDirectory => {
                            Error::WorkingDirectory { path: launch.cwd.clone(), source }
                        }
                    });
                }
                Heard::Word(Message::Ended(_)) | Heard::End => {
                    return Err(Error::Silent { path: path.to_owned() });
                }
            }
        }
    }

    /// Listens for the end as long as this, or until something is said.
    fn ended(&mut self, patience: Option<Duration>) -> Option<Exit> {
        if self.exit.is_none() {
            self.exit = match self.words.next(patience) {
                Heard::Word(Message::Ended(exit)) => {
                    self.process.forget();
                    Some(exit)
                }
                Heard::Nothing | Heard::Word(_) => None,
                Heard::End => {
                    // Killed by others, or given up by us: in either case this ends the rest.
                    self.process.kill();
                    self.process.wait();
                    let how = How::Signalled(sys::SIGKILL);
                    Some(Exit { how, leftover: 0, survivors: 0, beyond: None })
                }
            };
        }
        self.exit.clone()
    }

    /// Ends stage 1, and so everything below it, whatever state it is in.
    fn abandon(&mut self) {
        if self.exit.is_some() {
            return;
        }
        drop(self.words.socket().shutdown(Shutdown::Both));
        self.process.wait_for(STAGE1_PATIENCE);
        self.process.kill();
        self.process.wait();
    }
}

/// How long stage 1 may take to end everything before it is killed: longer than it gives init.
const STAGE1_PATIENCE: Duration = Duration::from_secs(6);
