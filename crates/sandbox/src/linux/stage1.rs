//! Stage 1: our own binary with an empty environment. It stands between Botpipe and init: forwards
//! commands down and words up, and ends everything when Botpipe or the fork server falls silent.

use std::io::{self, ErrorKind, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::fork_server;
use super::init;
use super::message::Message;
use super::plan::{self, Plan};
use super::sys::{self, Fork, Pid, SIGKILL};
use super::tree::{self, Reach};
use crate::{Containment, Exit, How, Refused};

/// The first argument of a stage 1 and of the fork server; a stage 1 started alone has no other.
pub(super) const SENTINEL: &str = "__sandbox-stage-1";
/// The second argument of the fork server, and so of every stage 1 that comes from it.
pub(super) const SERVE: &str = "serve";

/// Whether this binary's `main` can become a stage 1.
static ASKED: AtomicBool = AtomicBool::new(false);

pub(super) fn can_be_entered() -> bool {
    ASKED.load(Ordering::Relaxed)
}

pub(crate) fn enter_if_stage1() {
    ASKED.store(true, Ordering::Relaxed);
    let mut args = std::env::args_os().skip(1);
    if args.next().is_none_or(|a| a != SENTINEL) {
        return;
    }
    let ran = match (args.next(), args.next()) {
        (None, _) => run_alone(),
        (Some(word), None) if word == SERVE => fork_server::serve(),
        _ => return,
    };
    // Nobody hears an error: Botpipe sees that stage 1 ended without a word.
    sys::exit_now(if ran.is_ok() { 0 } else { 125 });
}

/// A child of Botpipe's own, for one launch.
fn run_alone() -> io::Result<()> {
    let botpipe = take_socket()?;
    sys::notice_children();
    sys::new_session()?;
    attend(botpipe, None)
}

/// The socket a fresh process was given as its standard input; the only other descriptors it keeps
/// are the standard three, all `/dev/null`.
pub(super) fn take_socket() -> io::Result<UnixStream> {
    sys::close_all_but_standard();
    let socket = UnixStream::from(sys::copy_of_stdin()?);
    sys::place(io::stdout().as_fd(), 0)?; // nothing below inherits the socket as its input
    Ok(socket)
}

/// Attends one launch to its end; `server` is the fork server it shall not outlive.
pub(super) fn attend(mut botpipe: UnixStream, server: Option<OwnedFd>) -> io::Result<()> {
    let (size, stdio) = sys::receive_with_descriptors(botpipe.as_fd())?;
    let size = usize::try_from(u64::from_ne_bytes(size)).map_err(io::Error::other)?;
    let mut bytes = vec![0; size];
    botpipe.read_exact(&mut bytes)?;
    let plan = plan::decode(&bytes).ok_or(ErrorKind::InvalidData)?;
    drop(bytes);

    let first = match plan.containment {
        Containment::Subreaper => Reach::Tree,
        Containment::Auto | Containment::Namespace => Reach::Namespace,
    };
    let Verdict::Refused { why, stdio, mut botpipe, server } =
        contain(first, &plan, stdio, botpipe, server)?
    else {
        return Ok(());
    };
    if plan.containment != Containment::Auto {
        return Message::Refused(why).send(&mut botpipe);
    }
    Message::FallsBack(why).send(&mut botpipe)?;
    match contain(Reach::Tree, &plan, stdio, botpipe, server)? {
        Verdict::Over => Ok(()),
        Verdict::Refused { why, mut botpipe, .. } => Message::Refused(why).send(&mut botpipe),
    }
}

/// How one attempt to contain the agent went.
enum Verdict {
    /// Everything was said and everything has ended.
    Over,
    /// Nothing was started; what another attempt needs comes back.
    Refused { why: Refused, stdio: [OwnedFd; 3], botpipe: UnixStream, server: Option<OwnedFd> },
}

fn contain(
    reach: Reach,
    plan: &Plan,
    stdio: [OwnedFd; 3],
    botpipe: UnixStream,
    server: Option<OwnedFd>,
) -> io::Result<Verdict> {
    let (commands, forward) = io::pipe()?;
    let (words, report) = io::pipe()?;
    // Root needs no user namespace, and one that maps a single id would cut it off from all others.
    let (user, group) = sys::ids();
    let (flags, map) = match (reach, user) {
        (Reach::Tree, _) => (0, None),
        (Reach::Namespace, 0) => (sys::NEW_PID_AND_MOUNT, None),
        (Reach::Namespace, _) => (sys::NEW_USER_PID_AND_MOUNT, Some((user, group))),
    };
    if reach == Reach::Tree {
        sys::become_subreaper()?; // for the day that init is killed
    }
    match sys::fork(flags) {
        Err(e) => {
            let errno = e.raw_os_error().unwrap_or(libc::EIO);
            let why = Refused { step: "new-namespaces".to_owned(), errno };
            Ok(Verdict::Refused { why, stdio, botpipe, server })
        }
        Ok(Fork::Child) => {
            // Ends of stage 1's own: kept open here, they would hide its death.
            drop((forward, words, botpipe, server));
            init::run(reach, map, plan, stdio, commands, report)
        }
        Ok(Fork::Parent(init)) => {
            drop((commands, report));
            let oversight = Oversight {
                reach,
                init,
                botpipe,
                server,
                commands: Some(forward),
                words,
                stdio: Some(stdio),
                deadline: None,
            };
            oversight.run()
        }
    }
}

/// Stage 1 while init runs.
struct Oversight {
    reach: Reach,
    init: Pid,
    botpipe: UnixStream,
    /// Readable once the fork server is gone.
    server: Option<OwnedFd>,
    /// Where init hears us; dropped, it ends everything.
    commands: Option<PipeWriter>,
    words: PipeReader,
    /// Kept for another attempt until the agent runs.
    stdio: Option<[OwnedFd; 3]>,
    /// When init, told to end everything, is killed itself.
    deadline: Option<Instant>,
}

impl Oversight {
    fn run(mut self) -> io::Result<Verdict> {
        let mut heard = Vec::new();
        loop {
            let patience = self.deadline.map(|d| d.saturating_duration_since(Instant::now()));
            let [commanded, told, orphaned] = self.wait(patience)?;
            if self.deadline.is_some_and(|d| d <= Instant::now()) {
                // It is our child and not collected yet, so the number is still its own.
                sys::kill(self.init, SIGKILL)?;
                self.deadline = None;
            }
            if orphaned {
                self.end_everything();
            } else if commanded {
                self.forward();
            }
            if told {
                let mut buffer = [0; 256];
                let size = self.words.read(&mut buffer)?;
                if size == 0 {
                    return self.lost();
                }
                heard.extend_from_slice(&buffer[..size]);
                while let Some(end) = heard.iter().position(|b| *b == b'\n') {
                    let line: Vec<u8> = heard.drain(..=end).collect();
                    let message = str::from_utf8(&line).ok().and_then(Message::parse);
                    match message.ok_or(ErrorKind::InvalidData)? {
                        Message::Refused(why) => return self.refused(why),
                        Message::Started(proc) => {
                            self.stdio = None; // the agent's own now
                            self.say(&Message::Started(proc));
                        }
                        last => return Ok(self.over(&last)),
                    }
                }
            }
        }
    }

    /// Which of Botpipe, init and the server's end there is something from.
    fn wait(&self, patience: Option<Duration>) -> io::Result<[bool; 3]> {
        let (botpipe, words) = (self.botpipe.as_fd(), self.words.as_fd());
        match (&self.commands, &self.server) {
            (Some(_), Some(server)) => {
                sys::wait_readable([botpipe, words, server.as_fd()], patience)
            }
            (Some(_), None) => {
                let [commanded, told] = sys::wait_readable([botpipe, words], patience)?;
                Ok([commanded, told, false])
            }
            (None, _) => {
                let [told] = sys::wait_readable([words], patience)?;
                Ok([false, told, false])
            }
        }
    }

    /// Hands Botpipe's commands down. Its silence is a command as well: end everything.
    fn forward(&mut self) {
        let mut buffer = [0; 16];
        let size = self.botpipe.read(&mut buffer).unwrap_or(0);
        let bytes = &buffer[..size];
        if bytes.is_empty() || bytes.contains(&init::KILL) {
            self.end_everything();
        } else if let Some(commands) = &mut self.commands {
            // An init that is gone is noticed by its words ending.
            drop(commands.write_all(bytes));
        }
    }

    fn end_everything(&mut self) {
        self.commands = None;
        self.deadline = Some(Instant::now() + INIT_PATIENCE);
    }

    fn refused(self, why: Refused) -> io::Result<Verdict> {
        sys::wait_for(self.init);
        let stdio = self.stdio.ok_or(ErrorKind::InvalidData)?;
        Ok(Verdict::Refused { why, stdio, botpipe: self.botpipe, server: self.server })
    }

    fn over(mut self, last: &Message) -> Verdict {
        self.say(last);
        // Something stuck in the kernel would keep a namespace's init, and so us, for ever.
        if !matches!(last, Message::Ended(Exit { survivors: 1.., .. })) {
            sys::wait_for(self.init);
        }
        Verdict::Over
    }

    /// Init was killed: a namespace has ended with it, a tree has come up to us.
    fn lost(self) -> io::Result<Verdict> {
        sys::wait_for(self.init);
        let rest = match self.reach {
            Reach::Namespace => tree::Ended::default(),
            Reach::Tree => tree::end_all(Reach::Tree, None),
        };
        let how = How::Signalled(SIGKILL);
        let exit = Exit { how, leftover: rest.leftover, survivors: rest.survivors };
        let mut botpipe = self.botpipe;
        Message::Ended(exit).send(&mut botpipe)?;
        Ok(Verdict::Over)
    }

    fn say(&mut self, message: &Message) {
        // A Botpipe that is gone is noticed by its commands ending.
        drop(message.send(&mut self.botpipe));
    }
}

/// How long init, told to end everything, may take: longer than it gives the processes.
const INIT_PATIENCE: Duration = Duration::from_secs(4);
