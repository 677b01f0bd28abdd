//! Botpipe's side of a contained program: it starts stage 1, talks to it, and ends it.

use std::io::{self, BufRead, BufReader, PipeReader, PipeWriter, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::message::{Message, Part};
use super::process::{self, Process};
use super::{fork_server, init, plan, procfs, stage1, sys};
use crate::{Error, Exit, How, Identity, Launch, Refused, Used};

/// A program that runs in containment. Dropped before its end, it is killed with its whole tree.
#[derive(Debug)]
pub struct Contained {
    stdin: Option<PipeWriter>,
    stdout: Option<PipeReader>,
    stderr: Option<PipeReader>,
    identity: Identity,
    used: Used,
    /// Commands go this way; words come back through a second handle on it in `stage1`.
    socket: UnixStream,
    stage1: Mutex<Stage1>,
}

#[derive(Debug)]
struct Stage1 {
    process: Process,
    words: BufReader<UnixStream>,
    exit: Option<Exit>,
}

pub(crate) fn start(launch: &Launch) -> Result<Contained, Error> {
    let plan = plan::encode(launch)?;
    let path = match &launch.stage1 {
        Some(path) => path.clone(),
        None if stage1::can_be_entered() => PathBuf::from("/proc/self/exe"),
        None => return Err(Error::NoStage1),
    };
    let pipes = |source| Error::System { doing: "make the pipes of a program", source };
    let (agent_stdin, stdin) = io::pipe().map_err(pipes)?;
    let (stdout, agent_stdout) = io::pipe().map_err(pipes)?;
    let (stderr, agent_stderr) = io::pipe().map_err(pipes)?;

    let size = (plan.len() as u64).to_ne_bytes();
    let tell = |mut socket: &UnixStream| {
        let fds = [agent_stdin.as_fd(), agent_stdout.as_fd(), agent_stderr.as_fd()];
        // What a stage 1 that is gone did not take shows below: it ends without a word.
        drop(sys::send_with_descriptors(socket.as_fd(), &size, fds).and(socket.write_all(&plan)));
    };
    let (socket, mut process, identity) = start_stage1(&path, &tell)?;
    drop((agent_stdin, agent_stdout, agent_stderr));
    let words = match socket.try_clone() {
        Ok(words) => BufReader::new(words),
        Err(source) => {
            process.kill();
            process.wait();
            return Err(pipes(source));
        }
    };
    let mut stage1 = Stage1 { process, words, exit: None };
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
    let (stdin, stdout, stderr) = (Some(stdin), Some(stdout), Some(stderr));
    Ok(Contained { stdin, stdout, stderr, identity, used, socket, stage1: Mutex::new(stage1) })
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
    let (socket, theirs) = UnixStream::pair().map_err(failed)?;
    let child = process::start(path, &[stage1::SENTINEL], theirs.into()).map_err(failed)?;
    let identity = procfs::process_identity(child.id());
    tell(&socket);
    Ok((socket, Process::Child(child), identity))
}

impl Contained {
    /// The writing end of the program's standard input, once.
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
    pub fn wait(&self) -> Exit {
        self.stage1.lock().unwrap_or_else(PoisonError::into_inner).wait()
    }

    /// Sends SIGTERM to the process group the program leads, as a terminal would.
    pub fn terminate(&self) {
        self.say(init::TERMINATE);
    }

    /// Kills the program and everything it started. [`Contained::wait`] tells when it is done.
    pub fn kill(&self) {
        self.say(init::KILL);
    }

    /// Gives up on an orderly end: stage 1 itself is killed, and with it everything below it.
    /// For a stage 1 that does not answer, such as one that somebody stopped.
    pub fn abandon(&self) {
        // Whoever waits hears the silence, and kills stage 1.
        drop(self.socket.shutdown(Shutdown::Both));
    }

    fn say(&self, word: u8) {
        // A stage 1 that is gone has already ended everything.
        drop((&self.socket).write_all(&[word]));
    }
}

impl Drop for Contained {
    fn drop(&mut self) {
        self.stage1.get_mut().unwrap_or_else(PoisonError::into_inner).abandon();
    }
}

impl Stage1 {
    /// Listens until the program runs, or it is known why it does not.
    fn first_words(&mut self, launch: &Launch, path: &Path) -> Result<Used, Error> {
        let mut fell_back: Option<Refused> = None;
        loop {
            match self.next_word() {
                Some(Message::FallsBack(why)) => fell_back = Some(why),
                Some(Message::Started(Some(proc))) => return Ok(Used::Namespace { proc }),
                Some(Message::Started(None)) => {
                    return Ok(Used::Subreaper { refused: fell_back });
                }
                Some(Message::Refused(Refused { step, errno })) => {
                    let source = io::Error::from_raw_os_error(errno);
                    return Err(Error::Refused { step, source });
                }
                Some(Message::NotStarted { what, errno }) => {
                    let source = io::Error::from_raw_os_error(errno);
                    return Err(match what {
                        Part::Program => Error::Program { program: launch.program.clone(), source },
                        Part::WorkingDirectory => {
                            Error::WorkingDirectory { path: launch.cwd.clone(), source }
                        }
                    });
                }
                Some(Message::Ended(_)) | None => {
                    return Err(Error::Silent { path: path.to_owned() });
                }
            }
        }
    }

    /// The next thing stage 1 says; `None` when it has ended.
    fn next_word(&mut self) -> Option<Message> {
        let mut line = String::new();
        match self.words.read_line(&mut line) {
            Ok(0) | Err(_) => None,
            Ok(_) => Message::parse(&line),
        }
    }

    fn wait(&mut self) -> Exit {
        if let Some(exit) = &self.exit {
            return exit.clone();
        }
        let exit = loop {
            match self.next_word() {
                Some(Message::Ended(exit)) => break exit,
                Some(_) => {}
                None => {
                    // Killed by others, or given up by us: in either case this ends the rest.
                    self.process.kill();
                    break Exit { how: How::Signalled(sys::SIGKILL), leftover: 0, survivors: 0 };
                }
            }
        };
        self.process.wait(); // it has nothing left to do but to end
        self.exit = Some(exit.clone());
        exit
    }

    /// Ends stage 1, and so everything below it, whatever state it is in.
    fn abandon(&mut self) {
        if self.exit.is_some() {
            return;
        }
        drop(self.words.get_ref().shutdown(Shutdown::Both));
        self.process.wait_for(STAGE1_PATIENCE);
        self.process.kill();
        self.process.wait();
    }
}

/// How long stage 1 may take to end everything before it is killed: longer than it gives init.
const STAGE1_PATIENCE: Duration = Duration::from_secs(6);
