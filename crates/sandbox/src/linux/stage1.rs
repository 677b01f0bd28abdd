//! Stage 1: our own binary with an empty environment. It stands between Botpipe and init: forwards
//! commands down and words up, and ends everything when Botpipe or the fork server falls silent.

use std::fs::File;
use std::io::{self, ErrorKind, PipeReader, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use super::confine::{Kind, Namespaces, likely};
use super::fork_server::{self, Taken};
use super::ids::Ids;
use super::init::{self, Setting};
use super::message::Message;
use super::plan;
use super::sys::{self, Fork, Pid, Reaped, SIGKILL};
use super::tree::{self, Reach};
use crate::{Account, Containment, Exit, How, Refused};

/// The first argument of a stage 1 and of the fork server; a stage 1 that is started for its launch has no other.
pub(super) const SENTINEL: &str = "__sandbox-stage-1";
/// The second argument of the fork server, and so of every stage 1 that comes from it.
pub(super) const SERVE: &str = "serve";

/// The second argument of a stage 1 that is started before its launch is known.
pub(super) const EARLY: &str = "early";

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
        (None, _) => run_alone(None),
        (Some(word), None) if word == EARLY => run_alone(Some(MOST_LIKELY)),
        (Some(word), None) if word == SERVE => fork_server::serve(),
        _ => return,
    };
    // Nobody hears an error: Botpipe sees that stage 1 ended without a word.
    sys::exit_now(if ran.is_ok() { 0 } else { 125 });
}

/// A child of Botpipe's own, for one launch; it gets ready for one of this kind while it waits for it.
fn run_alone(meanwhile: Option<Kind>) -> io::Result<()> {
    let botpipe = take_socket()?;
    sys::notice_children();
    sys::new_session()?;
    let Some(kind) = meanwhile else { return attend(botpipe, None, None) };
    match get_ready(kind, &[], botpipe) {
        Ok((ready, botpipe)) => attend(botpipe, None, Some(ready)),
        Err(botpipe) => attend(botpipe, None, None),
    }
}

/// What a launch that is not known yet will most likely be.
const MOST_LIKELY: Kind = Kind { namespaces: Namespaces::ConfinedWithNetwork, files: true };

/// The socket a fresh process was given as its standard input; the only other descriptors it keeps
/// are the standard three, all `/dev/null`.
pub(super) fn take_socket() -> io::Result<UnixStream> {
    sys::close_all_but_standard();
    let socket = UnixStream::from(sys::copy_of_stdin()?);
    sys::place(io::stdout().as_fd(), 0)?; // nothing below inherits the socket as its input
    Ok(socket)
}

/// An init that was forked before its launch is known.
pub(super) struct Ready {
    begun: Begun,
    kind: Kind,
    /// Who is who in its namespace was told when it was made.
    account: Option<Account>,
    /// The mounts that it has a copy of, as they were.
    mounts: File,
}

/// Forks an init into its namespaces, so that a launch need not wait for what all of its kind have in common, nor for
/// what is `likely` with it. `keep` is what init shall not hold open; it comes back. An error: not here, or not now.
pub(super) fn get_ready<T>(kind: Kind, likely: &[u8], keep: T) -> Result<(Ready, T), T> {
    let Ok(mounts) = File::open("/proc/self/mountinfo") else { return Err(keep) };
    let account = likely::account(likely);
    match begin((Reach::Namespace, kind, account), likely, (keep, mounts)) {
        Ok((begun, (keep, mounts))) => Ok((Ready { begun, kind, account, mounts }, keep)),
        Err((_, (keep, _))) => Err(keep),
    }
}

impl Ready {
    /// Whether it still lives, and sees the mounts that are there now.
    fn is_fresh(&self) -> bool {
        matches!(sys::reap(), Ok(Reaped::NobodyYet))
            && matches!(sys::mounts_changed(self.mounts.as_fd()), Ok(false))
    }

    fn dismiss(self) {
        drop(self.begun.commands);
        sys::wait_for(self.begun.init);
    }
}

/// Attends one launch to its end; `server` is a handle on the fork server it shall not outlive, and
/// what tells that server that its spare was taken.
pub(super) fn attend(
    mut botpipe: UnixStream,
    server: Option<(OwnedFd, Taken)>,
    ready: Option<Ready>,
) -> io::Result<()> {
    let (plan, stdio) = plan::receive(&mut botpipe)?;
    let kind = plan::kind_of(&plan).ok_or(ErrorKind::InvalidData)?;
    let mut containment = plan::containment_of(&plan).ok_or(ErrorKind::InvalidData)?;
    if kind.namespaces != Namespaces::Plain {
        containment = Containment::Namespace;
    }
    let reach = match containment {
        Containment::Subreaper => Reach::Tree,
        Containment::Auto | Containment::Namespace => Reach::Namespace,
    };
    let account = plan::account_of(&plan);
    let (server, taken) = server.unzip();
    let taken = taken.map(|taken| taken.by(kind));
    let hands = Hands { stdio, botpipe, server, taken };
    let ready = ready.and_then(|ready| {
        let fits = reach == Reach::Namespace && ready.kind == kind && ready.account == account;
        if fits && ready.is_fresh() {
            return Some(ready.begun);
        }
        ready.dismiss();
        None
    });
    let (why, mut hands) = match contain((reach, kind, account), &plan, ready, hands)? {
        Verdict::Over { unheard } => return leave_mark(&plan, unheard),
        Verdict::Refused(why, hands) => (why, hands),
    };
    if containment != Containment::Auto {
        return Message::Refused(why).send(&mut hands.botpipe);
    }
    Message::FallsBack(why).send(&mut hands.botpipe)?;
    match contain((Reach::Tree, kind, None), &plan, None, hands)? {
        Verdict::Over { unheard } => leave_mark(&plan, unheard),
        Verdict::Refused(why, mut hands) => Message::Refused(why).send(&mut hands.botpipe),
    }
}

/// Tells whoever comes later when everything had ended, where Botpipe was not there to hear it.
fn leave_mark(plan: &[u8], unheard: Option<SystemTime>) -> io::Result<()> {
    match (plan::mark_of(plan), unheard) {
        // Never through a link, nor over what somebody put there.
        (Some(mark), Some(ended)) => File::create_new(mark)?.set_modified(ended),
        _ => Ok(()),
    }
}

/// What stage 1 holds for a launch, and init must not: kept open there, it would hide our death.
struct Hands {
    stdio: [OwnedFd; plan::DESCRIPTORS],
    botpipe: UnixStream,
    server: Option<OwnedFd>,
    taken: Option<Taken>,
}

/// How one attempt to contain the agent went.
enum Verdict {
    /// Everything was said and everything has ended; `unheard`, and when, if Botpipe was gone.
    Over { unheard: Option<SystemTime> },
    /// Nothing was started; what another attempt needs comes back.
    Refused(Refused, Hands),
}

/// An init, forked.
struct Begun {
    init: Pid,
    /// What it hears us by: the launch, then commands; dropped, it ends everything.
    commands: UnixStream,
    words: PipeReader,
}

/// Forks an init; `keep` is closed there.
fn begin<T>(
    (reach, kind, account): (Reach, Kind, Option<Account>),
    likely: &[u8],
    keep: T,
) -> Result<(Begun, T), (Refused, T)> {
    let refused = |e: &io::Error| {
        let errno = e.raw_os_error().unwrap_or(libc::EIO);
        Refused { step: "new-namespaces".to_owned(), errno }
    };
    let (ends, pipe) = match (UnixStream::pair(), io::pipe()) {
        (Ok(ends), Ok(pipe)) => (ends, pipe),
        (Err(e), _) | (_, Err(e)) => return Err((refused(&e), keep)),
    };
    let ((mut commands, heard), (words, report)) = (ends, pipe);
    let outside = sys::ids();
    let confined = kind.namespaces != Namespaces::Plain;
    let flags = match reach {
        Reach::Tree => 0,
        Reach::Namespace => kind.namespaces.flags(outside.0),
    };
    let ids = (flags & libc::CLONE_NEWUSER != 0).then(|| match account {
        Some(account) => Ids::of_root_and(account),
        None if confined => Ids::confined(outside),
        None => Ids::as_outside(outside),
    });
    let setting = Setting { reach, ids, kind, likely };
    match sys::fork(flags) {
        Err(e) => Err((refused(&e), keep)),
        Ok(Fork::Child) => {
            drop((keep, commands, words));
            init::run(&setting, heard, report)
        }
        Ok(Fork::Parent(init)) => {
            if let Some(ids) = setting.ids.filter(|ids| ids.account().is_some()) {
                if let Err(why) = ids.map_of(init) {
                    drop(commands);
                    sys::wait_for(init);
                    return Err((why, keep));
                }
                // An init that is gone is noticed by its words.
                drop(commands.write_all(&[init::MAPPED]));
            }
            Ok((Begun { init, commands, words }, keep))
        }
    }
}

fn contain(
    (reach, kind, account): (Reach, Kind, Option<Account>),
    plan: &[u8],
    ready: Option<Begun>,
    hands: Hands,
) -> io::Result<Verdict> {
    if reach == Reach::Tree {
        sys::become_subreaper()?; // for the day that init is killed
    }
    let (begun, hands) = match ready {
        Some(begun) => (begun, hands),
        None => match begin((reach, kind, account), &[], hands) {
            Ok(begun) => begun,
            Err((why, hands)) => return Ok(Verdict::Refused(why, hands)),
        },
    };
    let Begun { init, commands, words } = begun;
    // An init that is gone is noticed by its words.
    drop(plan::send(&commands, plan, hands.stdio.each_ref().map(AsFd::as_fd)));
    let Hands { stdio, botpipe, server, taken } = hands;
    let oversight = Oversight {
        reach,
        plan,
        init,
        botpipe,
        server,
        taken,
        commands: Some(commands),
        words,
        stdio: Some(stdio),
        deadline: None,
        orphaned: false,
    };
    oversight.run()
}

/// Stage 1 while init runs.
struct Oversight<'a> {
    reach: Reach,
    plan: &'a [u8],
    init: Pid,
    botpipe: UnixStream,
    /// Readable once the fork server is gone.
    server: Option<OwnedFd>,
    /// Until the program runs.
    taken: Option<Taken>,
    /// Where init hears us; dropped, it ends everything.
    commands: Option<UnixStream>,
    words: PipeReader,
    /// Kept for another attempt until the agent runs.
    stdio: Option<[OwnedFd; plan::DESCRIPTORS]>,
    /// When init, told to end everything, is killed itself.
    deadline: Option<Instant>,
    /// The fork server is gone. Botpipe most likely dies as well then, even if its end of the socket
    /// is not closed yet: it is not relied upon to hear anything.
    orphaned: bool,
}

impl Oversight<'_> {
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
                self.orphaned = true;
                self.end_everything();
            } else if commanded {
                self.forward();
            }
            if told {
                let mut buffer = [0; 256];
                let size = self.words.read(&mut buffer)?;
                if size == 0 {
                    return Ok(self.lost());
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
                            if let Some(taken) = self.taken.take() {
                                let plan = plan::decode(self.plan);
                                taken.by_one_like(plan.and_then(|plan| plan.confinement).as_ref());
                            }
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
        let (botpipe, server, taken) = (self.botpipe, self.server, self.taken);
        let hands = Hands { stdio, botpipe, server, taken };
        Ok(Verdict::Refused(why, hands))
    }

    fn over(mut self, last: &Message) -> Verdict {
        let ended = SystemTime::now();
        let heard = self.say(last) && !self.orphaned;
        // Something stuck in the kernel would keep a namespace's init, and so us, for ever.
        let survived = matches!(last, Message::Ended(Exit { survivors: 1.., .. }));
        self.commands = None; // it waits for that
        if !survived {
            sys::wait_for(self.init);
        }
        Verdict::Over { unheard: (!heard && !survived).then_some(ended) }
    }

    /// Init was killed: a namespace has ended with it, a tree has come up to us.
    fn lost(mut self) -> Verdict {
        sys::wait_for(self.init);
        let rest = match self.reach {
            Reach::Namespace => tree::Ended::default(),
            Reach::Tree => tree::end_all(Reach::Tree, None),
        };
        let how = How::Signalled(SIGKILL);
        let (leftover, survivors) = (rest.leftover, rest.survivors);
        let exit = Exit { how, leftover, survivors, beyond: None };
        let (ended, survived) = (SystemTime::now(), exit.survivors > 0);
        let heard = self.say(&Message::Ended(exit)) && !self.orphaned;
        Verdict::Over { unheard: (!heard && !survived).then_some(ended) }
    }

    /// False when Botpipe is gone; its commands ending tell that as well.
    fn say(&mut self, message: &Message) -> bool {
        message.send(&mut self.botpipe).is_ok()
    }
}

/// How long init, told to end everything, may take: longer than it gives the processes.
const INIT_PATIENCE: Duration = Duration::from_secs(4);
