//! A command in the sandbox, outside of any run: for people who want to see what a policy means. The same
//! code path as a step's.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use botpipe_egress::Host;
use botpipe_kernel::plan::{SandboxMode, Validation};
use botpipe_sandbox::{Contained, Containment, Exit, How, Launch};
use rustix::process::Signal;
use rustix::termios::tcgetpgrp;

use super::guard::{self, Guard, Log, in_one_line};
use super::refused::{MORE, MOST_TOLD, Reasons, complaints};
use super::whole::{Compiled, Surroundings, compile};
use super::{Refusal, report};
use crate::environment;
use crate::policy::{Control, Held, Limit, Resolved, Unkept, of_command};
use crate::process::{Capture, Outside as _, StopSwitch};

/// A command to run in the sandbox.
#[derive(Debug)]
pub struct Command {
    /// Its program and arguments.
    pub argv: Vec<OsString>,
    /// Where it runs.
    pub workspace: PathBuf,
    /// What binds it.
    pub policy: Resolved,
    /// Files that say so, which it may not write.
    pub sources: Vec<PathBuf>,
    /// Where names lead, instead of asking.
    pub resolve: BTreeMap<Host, SocketAddr>,
    /// Variables that pass beside the engine's own list, as whoever runs it says himself.
    pub pass: Vec<String>,
    /// The binary that becomes stage 1; without one, the running binary.
    pub stage1: Option<PathBuf>,
}

/// How a command in the sandbox ended.
#[derive(Debug)]
pub enum Ended {
    /// By itself.
    Exited(i32),
    /// By a signal.
    Signalled(i32),
    /// It went beyond a limit of its policy: a sentence that goes on from its name.
    Exceeded(String),
}

/// Why a command was not started.
#[derive(Debug, thiserror::Error)]
pub enum NotRun {
    /// The policy cannot be enforced here.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The workspace cannot be entered.
    #[error("enter the workspace `{}`: {source}", path.display())]
    Workspace {
        /// As it was given.
        path: PathBuf,
        /// The kernel's reason.
        source: io::Error,
    },
    /// The workspace is none.
    #[error(transparent)]
    Place(#[from] crate::workspace::Error),
    /// The command could not be executed.
    #[error("{source}")]
    Program {
        /// There is none of that name.
        missing: bool,
        /// What was tried.
        source: botpipe_sandbox::Error,
    },
    /// There is a sandbox around us.
    #[error(
        "this is in a sandbox of Botpipe's already, and none can be built within; run the command itself"
    )]
    Inside,
    /// The sandbox could not be built.
    #[error("{0}")]
    Sandbox(botpipe_sandbox::Error),
    /// What stands around the program could not be set up.
    #[error("set the sandbox up: {0}")]
    Guard(io::Error),
}

impl Command {
    /// Runs the command to its end, with this process's own input; what it prints goes to `out` and `err`. `told` hears of every refusal, as a
    /// sentence with the line that would permit it.
    ///
    /// # Errors
    /// The command was not started.
    pub fn run(
        &self,
        stop: &StopSwitch,
        (out, err): (impl io::Write + Send + 'static, impl io::Write + Send + 'static),
        told: impl Fn(&str) + Send + Sync + 'static,
    ) -> Result<Ended, NotRun> {
        let told: Log = Arc::new(move |sentence| told(&in_one_line(sentence)));
        let Started { running, guard, reasons, passed } = match self.start(&told, stop) {
            // It was given up for that.
            Err(NotRun::Refused(_)) if let Some(signal) = stop.requested() => {
                return Ok(Ended::Signalled(signal));
            }
            started => started?,
        };
        let (ended, printed) = attend(running, &Held::of(&self.policy), stop, (out, err));
        let found = printed.iter().flat_map(|text| complaints(text));
        let mut known = BTreeSet::new();
        for found in found.filter_map(|complaint| reasons.as_ref()?.told(&complaint)) {
            if !known.insert(found.sentence.clone()) {
                continue;
            }
            if known.len() > MOST_TOLD {
                told(MORE);
                break;
            }
            told(&found.sentence);
        }
        if !matches!(ended, Ended::Exited(0)) {
            let names = std::env::vars_os().map(|(name, _)| name);
            let printed: Vec<&str> = printed.iter().map(String::as_str).collect();
            let (rules, own) = (&self.policy.environment, environment::Lets::OwnPolicy);
            for sentence in environment::missed(names, rules, &passed, &printed, own) {
                told(&sentence);
            }
        }
        drop(guard);
        Ok(ended)
    }

    /// Runs the command with no input and nothing of its output heard, held to no clock, by the fork server as
    /// steps are: for a bench.
    ///
    /// # Errors
    /// The command was not started.
    pub fn run_unheard(&self) -> Result<Exit, NotRun> {
        let silent: Log = Arc::new(|_| {});
        let Started { mut running, guard, .. } = self.start(&silent, &StopSwitch::new())?;
        drop((running.take_stdin(), running.take_stdout(), running.take_stderr()));
        let (exit, _) = wait(&Mutex::new(running), None);
        drop(guard);
        Ok(exit)
    }

    /// Refuses, or tells of, what of the policy nobody keeps.
    fn settle(&self, compiled: &Compiled, told: &Log) -> Result<(), NotRun> {
        let policy = &self.policy;
        let mut open = of_command(policy);
        let controls = report::of(compiled, policy, &[], false);
        // What `strict` refuses was said above, as far as it shows without compiling.
        let known = |watched: &report::Kept| {
            open.iter().any(|it| [watched.control, Control::Strict].contains(&it.control))
        };
        let watched = report::watched(&controls, policy).filter(|watched| !known(watched));
        if let Some(watched) = watched {
            open.push(Unkept {
                control: Control::Strict,
                what: format!("`{}` is only kept in part (`strict`)", watched.control),
                permit: "`strict: false` permits it".to_owned(),
            });
        }
        for Unkept { control, what, permit } in open {
            if !policy.may_go_unkept(control) {
                return Err(Refusal { control: control.as_str(), what, permit }.into());
            }
            if policy.validation == Validation::Warn {
                told(&what);
            }
        }
        Ok(())
    }

    fn start(&self, told: &Log, stop: &StopSwitch) -> Result<Started, NotRun> {
        let workspace = self.workspace.canonicalize();
        let workspace = workspace
            .map_err(|source| NotRun::Workspace { path: self.workspace.clone(), source })?;
        if botpipe_sandbox::is_inside() {
            return Err(NotRun::Inside);
        }
        if workspace.parent().is_none() {
            return Err(crate::workspace::Error::Root.into());
        }
        if !workspace.is_dir() {
            return Err(crate::workspace::Error::NotAFolder { path: workspace }.into());
        }
        let mut site = super::site::of_person(workspace.clone(), None);
        site.stop = stop.clone();
        let sources = self.sources.iter().flat_map(|source| super::by_all_links(source));
        site.kept.extend(sources.filter(|source| source.starts_with(&workspace)));
        let surroundings = Surroundings {
            resolve: self.resolve.clone(),
            own_policy: true,
            ..Surroundings::default()
        };
        guard::take_over(&workspace, told);
        let compiled = compile(&self.policy, &site, &surroundings)?;
        self.settle(&compiled, told)?;
        if self.policy.sandbox_mode == SandboxMode::DangerFullAccess {
            told(
                "no sandbox around the files of this command: `sandbox_mode: danger_full_access` in its policy; \
                 `sandbox_mode: workspace_write` keeps one",
            );
        }
        let open = compiled.files.iter().flat_map(|files| &files.gaps);
        for gap in open.filter(|gap| gap.control == "allow_write") {
            told(&gap.what);
        }
        compiled.files.iter().flat_map(|files| &files.unshown).for_each(|it| told(&it.what));
        let reasons = Reasons::of(&compiled, &self.policy, &site);
        let guard = Guard::stand(&compiled, stop, Arc::clone(told));
        let guard = guard.map_err(NotRun::Guard)?;
        let rules = &self.policy.environment;
        let mut variables =
            environment::confined(std::env::vars_os(), &self.pass, rules, &compiled.variables);
        if compiled.files.is_some() {
            environment::sign_nothing(&mut variables);
        }
        let passed = variables.clone();
        let launch = Launch {
            program: self.argv.first().map(PathBuf::from).unwrap_or_default(),
            args: self.argv.iter().skip(1).cloned().collect(),
            cwd: workspace,
            env: variables,
            containment: Containment::Namespace,
            stage1: self.stage1.clone(),
            mark: None,
            confinement: compiled.confinement,
        };
        let mut running = launch.start().map_err(|error| match &error {
            botpipe_sandbox::Error::Program { source, .. } => {
                let missing = source.kind() == io::ErrorKind::NotFound;
                let denied = source.kind() == io::ErrorKind::PermissionDenied;
                let why = reasons.as_ref().filter(|_| missing || denied).zip(self.argv.first());
                let why = why.and_then(|(why, name)| why.told_of_program(Path::new(name), missing));
                if let Some(why) = why {
                    told(&why.sentence);
                }
                NotRun::Program { missing, source: error }
            }
            _ => NotRun::Sandbox(error),
        })?;
        guard.serve(&mut running).map_err(NotRun::Guard)?;
        Ok(Started { running, guard, reasons, passed })
    }
}

/// A command that runs, and what stands around it.
struct Started {
    running: Contained,
    guard: Guard,
    /// Why files are refused to it.
    reasons: Option<Reasons>,
    /// Its variables.
    passed: Vec<(OsString, OsString)>,
}

/// Bytes of each stream that are looked through for refusals: its head and its tail.
const LOOKED_THROUGH: usize = 1 << 20;

/// Carries the streams until the program has ended; how it did, and what it printed, as far as that is kept.
fn attend(
    mut running: Contained,
    limits: &Held,
    stop: &StopSwitch,
    (out, err): (impl io::Write + Send + 'static, impl io::Write + Send + 'static),
) -> (Ended, Vec<String>) {
    if let Some(stdin) = running.take_stdin() {
        // It ends with the process: a read of a terminal cannot be called off.
        std::thread::spawn(move || hand_on(stdin));
    }
    let (stdout, stderr) = (running.take_stdout(), running.take_stderr());
    let running = Arc::new(Mutex::new(running));
    let printed = Arc::new(Printed::new(limits.bounds.output, &running));
    let counted = Arc::clone(&printed);
    let stdout = stdout.map(|from| std::thread::spawn(move || carry(from, out, &counted)));
    let counted = Arc::clone(&printed);
    let stderr = stderr.map(|from| std::thread::spawn(move || carry(from, err, &counted)));
    let ringing = Arc::clone(&running);
    let pass_on = move |signal: Option<i32>| {
        let running = ringing.lock().unwrap_or_else(PoisonError::into_inner);
        match signal.and_then(Signal::from_named_raw) {
            Some(Signal::INT) => running.interrupt(),
            Some(Signal::HUP) => running.hang_up(),
            Some(Signal::TSTP) => running.freeze(),
            Some(Signal::CONT) => running.thaw(),
            Some(Signal::KILL) => running.kill(),
            Some(_) => running.terminate(),
            None => {}
        }
    };
    // One that came before anybody listened.
    pass_on(stop.requested());
    let bell = stop.bell_of(pass_on);
    let (exit, out_of_time) = wait(&running, limits.bounds.wall_ms.map(Duration::from_millis));
    drop(bell);
    let streams = [stdout, stderr].into_iter().flatten();
    let said: Vec<String> = streams.filter_map(|stream| stream.join().ok()).collect();
    let limit = match exit.beyond {
        _ if out_of_time => Some(Limit::Wall),
        _ if printed.too_much.load(Ordering::Relaxed) => Some(Limit::Output),
        beyond => beyond.map(Limit::from),
    };
    let ended = match (limit, exit.how) {
        (Some(limit), _) => Ended::Exceeded(limits.exceeded(limit)),
        (None, How::Exited(code)) => Ended::Exited(code),
        (None, How::Signalled(_))
            if stop.insisted()
                && let Some(signal) = stop.requested() =>
        {
            Ended::Signalled(signal)
        }
        (None, How::Signalled(signal)) => Ended::Signalled(signal),
    };
    (ended, said)
}

/// Hands our own input on to the program, until one of both ends.
fn hand_on(mut to: io::PipeWriter) {
    let mut input = io::stdin();
    let mut buffer = vec![0; 64 << 10];
    loop {
        wait_for_our_turn(&input);
        match input.read(&mut buffer) {
            Ok(size @ 1..) if write_all_of(&mut to, &buffer[..size]).is_ok() => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            _ => return,
        }
    }
}

/// Waits, at a terminal, until something can be read there and it is ours to read: a read in the background would
/// stop us, and with us a command that reads nothing.
fn wait_for_our_turn(input: &io::Stdin) {
    use std::os::fd::AsFd as _;
    // Of what is no terminal, or not that of our session, nobody stops us from reading.
    let in_front = || match tcgetpgrp(input) {
        Ok(front) => front == rustix::process::getpgrp(),
        Err(_) => true,
    };
    if !input.is_terminal() {
        return;
    }
    loop {
        if !in_front() {
            std::thread::sleep(TURN);
        } else if crate::process::readable(input.as_fd(), Some(TURN)) && in_front() {
            return;
        }
    }
}

/// How often it is looked whether the terminal is ours.
const TURN: Duration = Duration::from_millis(100);

/// What the program has printed, on both streams.
struct Printed {
    bytes: AtomicU64,
    most: Option<u64>,
    too_much: AtomicBool,
    by: Arc<Mutex<Contained>>,
}

impl Printed {
    fn new(most: Option<u64>, by: &Arc<Mutex<Contained>>) -> Self {
        let (bytes, too_much) = (AtomicU64::new(0), AtomicBool::new(false));
        Self { bytes, most, too_much, by: Arc::clone(by) }
    }

    /// Whether as much more may be printed; else the program is killed.
    fn may(&self, more: usize) -> bool {
        let more = u64::try_from(more).unwrap_or(u64::MAX);
        let before = self.bytes.fetch_add(more, Ordering::Relaxed);
        if self.most.is_none_or(|most| before.saturating_add(more) <= most) {
            return true;
        }
        if !self.too_much.swap(true, Ordering::Relaxed) {
            self.by.lock().unwrap_or_else(PoisonError::into_inner).kill();
        }
        false
    }
}

fn wait(running: &Mutex<Contained>, wall: Option<Duration>) -> (Exit, bool) {
    use std::os::fd::AsFd as _;
    let lock = || running.lock().unwrap_or_else(PoisonError::into_inner);
    let deadline = wall.map(|wall| std::time::Instant::now() + wall);
    let words = lock().as_fd().try_clone_to_owned();
    let mut killed = false;
    loop {
        if let Some(exit) = lock().try_wait() {
            return (exit, killed);
        }
        let left = deadline.map(|at| at.saturating_duration_since(std::time::Instant::now()));
        if left.is_some_and(|left| left.is_zero()) && !killed {
            lock().kill();
            killed = true;
        }
        let patience = if killed { None } else { left };
        match &words {
            Ok(words) => {
                crate::process::readable(words.as_fd(), patience);
            }
            Err(_) => return (lock().wait(), killed),
        }
    }
}

/// The pipe never blocks: a full one is waited for.
fn write_all_of(pipe: &mut io::PipeWriter, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match pipe.write(bytes) {
            Ok(size) => bytes = &bytes[size..],
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

fn carry(mut from: io::PipeReader, mut to: impl io::Write, printed: &Printed) -> String {
    let mut kept = Capture::new(LOOKED_THROUGH);
    let mut buffer = vec![0; 64 << 10];
    while let Ok(size @ 1..) = from.read(&mut buffer) {
        if !printed.may(size) {
            continue;
        }
        kept.push(&buffer[..size]);
        // A reader that is gone is gone for the program too: its next write says so to it, as in any pipeline.
        if to.write_all(&buffer[..size]).and_then(|()| to.flush()).is_err() {
            break;
        }
    }
    kept.finish().text
}
