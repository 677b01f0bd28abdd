//! Running a turn to its end: an agent's program, a script, or a recording.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use botpipe_kernel::ids::{Digest, Role, TurnId};
use botpipe_kernel::run::{Evidence, Input, Process, Ref, SessionUse, TurnResult};
use botpipe_providers::ProgramEnd;
use botpipe_sandbox::{Containment, Identity, Launch};

use super::Trouble;
use super::clocks::Clocks;
use super::confined::{Confined, Program, confine, tell};
use super::desk::Agent;
use crate::confine::View;
use crate::confine::refused::Told;
use crate::confine::site::Needs;
use crate::driver::Driver;
use crate::process::{self, Clock, Ended, How, Reply, Spec, Stream, Watch};
use crate::prompt::control_line;
use crate::workspace::files::Hasher;

/// Bytes of an answer that are kept.
const ANSWER_LIMIT: usize = 16 << 20;

/// Runs a turn.
pub(super) fn run(
    driver: &mut Driver<'_>,
    turn: TurnId,
    prompt: &Ref,
    session: Option<SessionUse>,
) -> Result<Input, Trouble> {
    driver.desk.settle().map_err(Trouble::Fatal)?;
    if turn.role.is_code() {
        let step = driver.current_step()?;
        let (code, _) = super::code::of_turn(driver, &step, &turn)?;
        if code.function().is_some() {
            return super::call::run(driver, turn, prompt);
        }
        let prompt = driver.text_of(prompt)?;
        let argv = vec!["sh".to_owned(), "-c".to_owned(), prompt];
        return run_program(driver, turn, &argv, Vec::new());
    }
    let prompt = driver.text_of(prompt)?;
    driver.begin_recording(&turn);
    let ended = ask_agent(driver, turn.clone(), &prompt, session)?;
    driver.end_recording(&turn, &prompt, &ended);
    Ok(ended)
}

fn ask_agent(
    driver: &mut Driver<'_>,
    turn: TurnId,
    prompt: &str,
    session: Option<SessionUse>,
) -> Result<Input, Trouble> {
    let step = driver.current_step()?;
    match driver.agent_of(&step, turn.role).map_err(Trouble::Fatal)? {
        Some(Agent::Command { program, args }) => {
            let mut argv = vec![program];
            argv.extend(args);
            drop(session);
            run_program(driver, turn, &argv, prompt.as_bytes().to_vec())
        }
        Some(Agent::Replay { cassette, loose }) => {
            super::replay::play(driver, turn, prompt, &cassette, loose)
        }
        Some(Agent::Harness { kind, harness }) => {
            super::ask::ask(driver, turn, kind, &harness, prompt, session.as_ref())
        }
        None => Err(Trouble::Stuck { message: "the run has no agent program to ask".to_owned() }),
    }
}

fn run_program(
    driver: &mut Driver<'_>,
    turn: TurnId,
    argv: &[String],
    stdin: Vec<u8>,
) -> Result<Input, Trouble> {
    let step = driver.current_step()?;
    let extra = driver.turn_environment(&turn)?;
    let launch = Launch {
        program: PathBuf::from(&argv[0]),
        args: argv[1..].iter().map(Into::into).collect(),
        cwd: driver.desk.layout.root().to_owned(),
        env: Vec::new(),
        containment: Containment::Auto,
        stage1: driver.parts.stage1.clone(),
        mark: Some(driver.mark_path(&turn)),
        confinement: None,
    };
    let needs = if turn.role.is_code() {
        Needs::default()
    } else {
        Needs::of_program(&argv[0], &argv[1..])
    };
    let pass = driver.run.pass_env.clone();
    let program =
        Program { role: turn.role, view: View::of(turn.role), needs, pass: &pass, extra: &extra };
    let Confined { launch, outside, limits, mut refusals } =
        confine(driver, &step, &program, launch)?;
    let clocks = Clocks::of(&driver.run, &step, turn.role, false);
    let spec = Spec {
        outside,
        limits,
        stdin,
        wall: clocks.wall,
        idle: clocks.idle,
        capture_limit: ANSWER_LIMIT,
        ..Spec::of(launch)
    };
    let stop = driver.stop;
    let log = Activity::create(driver, &turn)?;
    let mut watcher = Watcher { driver, turn: &turn, log, trouble: None };
    let ended = process::run(spec, &mut watcher, stop);
    let (log, trouble) = (watcher.log, watcher.trouble);
    if let Some(trouble) = trouble {
        return Err(trouble);
    }
    if matches!(ended.how, How::Stopped { .. }) {
        return Err(Trouble::Stopped);
    }
    refusals.hear(&[&ended.stdout, &ended.stderr]);
    if turn.role.is_code() && !matches!(ended.how, How::Exited(0)) {
        refusals.missed(&[&ended.stdout, &ended.stderr]);
    }
    for Told { sentence, .. } in tell(driver, &refusals) {
        log.told(&sentence)?;
    }
    let activity = log.finish();
    let result = result_of(driver, &turn, &argv[0], &ended)?;
    let evidence = Evidence {
        activity,
        took_ms: millis(ended.elapsed),
        leftover: ended.leftover,
        ..Evidence::default()
    };
    Ok(Input::TurnEnded { turn, result, evidence, pause: None })
}

/// As events count time.
pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// What the end of a program means for its turn.
fn result_of(
    driver: &mut Driver<'_>,
    turn: &TurnId,
    program: &str,
    ended: &Ended,
) -> Result<TurnResult, Trouble> {
    if let How::Exceeded { what } = &ended.how
        && turn.role.is_code()
    {
        return beyond(driver, what, ended);
    }
    let end = match end_of(&ended.how) {
        // A script's exit code picks its route.
        Some(ProgramEnd::Exited(_)) if turn.role.is_code() => ProgramEnd::Exited(0),
        Some(end) => end,
        None => return Err(Trouble::Stopped),
    };
    let stderr = driver.desk.redactor.redact(&ended.stderr.text).into_owned();
    if let Err((class, message)) = botpipe_providers::result_of(program, &end, &stderr) {
        return Ok(TurnResult::Failed { class, message });
    }
    let step = driver.current_step()?;
    let text = match turn.role {
        Role::Script => super::validate::printed(&driver.run.plan, &step, ended),
        _ => Cow::Borrowed(ended.stdout.text.as_str()),
    };
    let redactor = &driver.desk.redactor;
    // What a hook says is JSON, and stays that without the secrets in it.
    let control = turn.role.is_hook().then(|| control_line(&text, |it| redactor.redact_json(it)));
    let text = control.flatten().unwrap_or_else(|| redactor.redact(&text).into_owned());
    let text = driver.keep(&text)?;
    let exit = match ended.how {
        How::Exited(code) if turn.role.is_code() => Some(code),
        _ => None,
    };
    Ok(TurnResult::Completed { text, exit })
}

/// What a command beyond a limit of its policy came to: it fails as itself, and is not run again, since no provider
/// is at fault and the next time it would go beyond it as well.
fn beyond(driver: &Driver<'_>, what: &str, ended: &Ended) -> Result<TurnResult, Trouble> {
    let mut text = driver.desk.redactor.redact(&ended.stdout.text).into_owned();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(BEYOND_A_LIMIT);
    text.push_str(what);
    Ok(TurnResult::Completed { text: driver.keep(&text)?, exit: Some(BEYOND) })
}

/// How a line begins that tells of a refusal.
pub(crate) const TOLD: &str = "botpipe sandbox: ";

/// The exit code of a command beyond a limit, as `botpipe sandbox` has it.
const BEYOND: i32 = 124;
/// How the last line begins of what such a command came to.
const BEYOND_A_LIMIT: &str = "botpipe: the command ";

/// Whether a command was ended by a limit of its policy. One that says so of itself is taken at its word: it gains
/// nothing by it.
pub(super) fn went_beyond(text: &str, exit: i32) -> bool {
    exit == BEYOND && text.lines().last().is_some_and(|line| line.starts_with(BEYOND_A_LIMIT))
}

/// How a program ended, for the one who judges what it means; `None`: we were told to stop.
pub(super) fn end_of(how: &How) -> Option<ProgramEnd> {
    Some(match how {
        How::Exited(code) => ProgramEnd::Exited(*code),
        How::Signalled(signal) => ProgramEnd::Signalled(*signal),
        How::SpawnFailed { what, .. } => ProgramEnd::NotStarted { what: what.clone() },
        How::Dismissed | How::LeftOff => ProgramEnd::Dismissed,
        How::Exceeded { what } => ProgramEnd::Exceeded { what: what.clone() },
        How::TimedOut { clock, after } => {
            let clock = match clock {
                Clock::Wall => botpipe_providers::Clock::Wall,
                Clock::Opening => botpipe_providers::Clock::Opening,
                Clock::Idle => botpipe_providers::Clock::Idle,
                Clock::Stall => botpipe_providers::Clock::Stall,
            };
            ProgramEnd::TimedOut { clock, after: *after }
        }
        How::Stopped { .. } => return None,
    })
}

/// Looks on while a program runs: facts to the journal, lines to the side file and the watchers.
struct Watcher<'d, 'a, 't> {
    driver: &'d mut Driver<'a>,
    turn: &'t TurnId,
    log: Activity,
    trouble: Option<Trouble>,
}

impl Watch for Watcher<'_, '_, '_> {
    fn started(&mut self, stage1: &Identity) {
        let process = Process {
            pid: stage1.pid,
            start_ticks: stage1.start_ticks,
            boot_id: Some(stage1.boot_id.clone()),
        };
        let turn = self.turn.clone();
        if let Err(error) = self.driver.tell_soon(Input::TurnStarted { turn, process }) {
            self.give_up(Trouble::Fatal(error));
        }
    }

    fn line(&mut self, stream: Stream, line: &str) -> Reply {
        let line = self.driver.desk.redactor.redact(line).into_owned();
        if let Err(trouble) = self.log.line(stream, &line) {
            self.give_up(trouble);
        }
        self.driver.show(self.turn, &line);
        Reply::default()
    }

    fn more(&mut self) -> Option<Vec<u8>> {
        // It cannot be told now; the next turn is.
        if let Err(error) = self.driver.hear_people() {
            self.give_up(Trouble::Fatal(error));
        }
        None
    }
}

impl Watcher<'_, '_, '_> {
    /// Nothing more can be written: the program is ended rather than run unrecorded.
    fn give_up(&mut self, trouble: Trouble) {
        if self.trouble.is_none() {
            self.trouble = Some(trouble);
            self.driver.stop.request(SIGTERM);
        }
    }
}

pub(super) const SIGTERM: i32 = 15;

/// The side file with everything a turn said, redacted; its digest is journalled with the end.
///
/// It is made with the first line. An agent may remove it meanwhile, with the folder it lies in: what
/// was said is digested as it is said, and nothing is read back.
pub(super) struct Activity {
    path: PathBuf,
    file: RefCell<Option<(File, Hasher)>>,
    /// When the file last showed that the turn lives.
    shown: Cell<Instant>,
}

impl Activity {
    pub(super) fn create(driver: &Driver<'_>, turn: &TurnId) -> Result<Self, Trouble> {
        let path = driver.activity_path(turn);
        let activity = Self { path, file: RefCell::new(None), shown: Cell::new(Instant::now()) };
        activity.make_folder().map_err(|error| activity.trouble(&error))?;
        Ok(activity)
    }

    /// Adds a line: `{"s":"out","l":"…"}`.
    pub(super) fn line(&self, stream: Stream, line: &str) -> Result<(), Trouble> {
        let from = match stream {
            Stream::Stdout => "out",
            Stream::Stderr => "err",
        };
        let row = format!("{}\n", serde_json::json!({ "s": from, "l": line }));
        self.add(row.as_bytes()).map_err(|error| self.trouble(&error))
    }

    /// Adds what Botpipe itself tells of a refusal, as what is no word of the program's:
    /// `{"s":"err","l":"botpipe sandbox: …","by":"botpipe"}`.
    pub(super) fn told(&self, sentence: &str) -> Result<(), Trouble> {
        let line = format!("{TOLD}{sentence}");
        let row = format!("{}\n", serde_json::json!({ "s": "err", "l": line, "by": "botpipe" }));
        self.add(row.as_bytes()).map_err(|error| self.trouble(&error))
    }

    fn add(&self, row: &[u8]) -> io::Result<()> {
        let mut slot = self.file.borrow_mut();
        if slot.is_none() {
            self.make_folder()?;
            *slot = Some((File::create(&self.path)?, Hasher::default()));
        }
        let Some((file, digest)) = slot.as_mut() else { return Ok(()) };
        self.shown.set(Instant::now());
        file.write_all(row)?;
        digest.update(row);
        Ok(())
    }

    /// Shows by the file's time that a line came which is not kept, to whoever asks for the last sign of
    /// life; now and then is enough, and a time that cannot be set is no loss.
    pub(super) fn alive(&self) {
        if self.shown.get().elapsed() < Duration::from_secs(1) {
            return;
        }
        self.shown.set(Instant::now());
        if let Some((file, _)) = self.file.borrow().as_ref() {
            drop(file.set_modified(SystemTime::now()));
        }
    }

    fn make_folder(&self) -> io::Result<()> {
        self.path.parent().map_or(Ok(()), |folder| crate::plain::make(folder).map(drop))
    }

    /// The digest of what was said; `None` when nothing was.
    pub(super) fn finish(self) -> Option<Digest> {
        self.file.into_inner().map(|(_, digest)| digest.finish())
    }

    fn trouble(&self, error: &io::Error) -> Trouble {
        let message = format!(
            "could not write `{}`: {error}; see that it can be written, then go on",
            self.path.display()
        );
        Trouble::Stuck { message }
    }
}
