//! A turn of a harness: its program started, its protocol spoken, what came of it told.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use botpipe_kernel::ids::{Digest, TurnId};
use botpipe_kernel::plan::NetworkMode;
use botpipe_kernel::run::{
    Evidence, FailureClass, Harness, Hold, Input, Interface, Process, SessionUse, TurnResult,
};
use botpipe_providers::{
    Access, Asked, Codec, CommandLine, Failure, Report, Sign, Want, acp, claude, codex,
};
use botpipe_sandbox::{Containment, Identity, Launch};

use super::Trouble;
use super::clocks::Clocks;
use super::confined::{Confined, Program, Refusals, confine, tell};
use super::hold;
use super::leave::{self, Asking, Said};
use super::turn::{Activity, SIGTERM, end_of, millis};
use crate::confine::View;
use crate::confine::refused::Told;
use crate::confine::site::Needs;
use crate::driver::Driver;
use crate::harness::key::{self, Place};
use crate::harness::{self, Kind};
use crate::limits::Login;
use crate::plain;
use crate::policy;
use crate::process::{self, Reply, Spec, Stream, Watch};
use crate::request::Notice;

/// Asks a harness.
pub(super) fn ask(
    driver: &mut Driver<'_>,
    turn: TurnId,
    kind: Kind,
    harness: &Harness,
    prompt: &str,
    session: Option<&SessionUse>,
) -> Result<Input, Trouble> {
    let login = login_of(kind, harness);
    if let Some(hold) = hold::of_login(&login) {
        return Ok(Input::TurnHeld { turn, hold });
    }
    harness::prepare(kind, harness, driver.desk.layout.root())
        .map_err(|message| Trouble::Stuck { message })?;
    let cwd = driver.desk.layout.root().display().to_string();
    let new_session = new_session(driver, &turn);
    let token = session.and_then(|session| session.token.as_deref());
    let from = session.and_then(|session| session.from.as_deref());
    let (goes_on, from) = match (token, from) {
        (Some(thread), Some(checkpoint)) if is_exec(harness) => {
            let home = Path::new(harness.home.as_deref().unwrap_or_default());
            if let Err(why) = harness::branch(home, thread, checkpoint, &new_session) {
                return Ok(lost(turn, &why));
            }
            (Some(new_session.as_str()), None)
        }
        asked => asked,
    };
    let known = session.and_then(|session| driver.run.sessions.get(&session.key));
    // Their makers' machines would reach for them what this one may not.
    let step = driver.current_step()?;
    let holds = policy::of_run(&driver.run, (&step, turn.role), &driver.desk.layout);
    let network = holds.network == NetworkMode::Full;
    let stuck = |message| Trouble::Stuck { message };
    let key = key::place(kind, harness, &driver.run.pass_env, &holds).map_err(stuck)?;
    let needs = Needs::of_harness(kind, harness, &key).map_err(stuck)?;
    let inside = match (&key, &needs.api) {
        (Place::Outside(kept), Some(api)) => &kept.inside(harness, api.port),
        _ => harness,
    };
    let access = Access { network, ..policy::UNCONFINED };
    let asks = leave::asks(&holds, kind, harness)?;
    let rules = &leave::rules(&holds, kind, harness)?;
    let asked = Asked {
        harness: inside,
        prompt,
        cwd: &cwd,
        session: goes_on,
        from,
        new_session: &new_session,
        session_cost: session.map_or(0, |session| session.cost),
        session_usage: &known.map(|known| known.usage.clone()).unwrap_or_default(),
        access: &access,
        asks,
        rules,
        has_login: harness::has_login(kind, harness),
        has_variable: &|name| key.uses(name),
    };
    let (mut line, mut codec) = codec_of(kind, &asked);
    line.pass.retain(|name| !key.withholds(name, kind, harness, &driver.run.pass_env));
    if let Place::Outside(kept) = &key {
        line.env.extend(kept.variables());
    }
    let (spec, refusals) = spec(driver, &turn, (harness, needs), line, codec.as_mut())?;
    let log = Activity::create(driver, &turn)?;
    let stop = driver.stop;
    let failed = driver.current_visit()?.attempts;
    let asking = Asking::new(holds.permission_mode);
    let mut listener = Listener {
        driver,
        turn: &turn,
        codec: codec.as_mut(),
        token,
        log,
        asking,
        refusals,
        trouble: None,
    };
    let ended = process::run(spec, &mut listener, stop);
    let (log, trouble, asking) = (listener.log, listener.trouble, listener.asking);
    let mut refusals = listener.refusals;
    refusals.hear(&[&ended.stderr]);
    if let Some(trouble) = trouble {
        return Err(trouble);
    }
    let Some(end) = end_of(&ended.how) else { return Err(Trouble::Stopped) };
    for Told { sentence, .. } in tell(driver, &refusals) {
        log.told(&sentence)?;
    }
    let stderr = driver.desk.redactor.redact(&ended.stderr.text).into_owned();
    let report = codec.close(&end, &stderr);
    // Of a turn that stands still nothing has come yet.
    for note in report.notes.iter().filter(|_| asking.wanted.is_none()) {
        driver.progress.notice(&Notice::Note { text: note });
    }
    let record = transcript_of(driver, kind, harness, &report);
    let evidence = Evidence {
        activity: log.finish(),
        transcript: transcript(driver, record.as_deref()),
        checkpoint: checkpoint(harness, &report, record.as_deref()),
        usage: report.usage.clone(),
        took_ms: millis(ended.elapsed.saturating_sub(asking.held)),
        leftover: ended.leftover,
    };
    if let Some(wanted) = asking.wanted {
        let tree = driver.desk.snapshots.take().ok();
        return Ok(Input::PermissionWanted { turn, wanted, used: asking.used, evidence, tree });
    }
    let (result, pause) = result_of(driver, report, failed, &login)?;
    Ok(Input::TurnEnded { turn, result, evidence, pause })
}

/// How a harness is started for a turn, and its protocol.
pub(crate) fn codec_of(kind: Kind, asked: &Asked<'_>) -> (CommandLine, Box<dyn Codec>) {
    match kind {
        Kind::Codex => {
            let codec: Box<dyn Codec> = match asked.harness.interface {
                Some(Interface::Exec) => Box::new(codex::Exec::new(asked)),
                Some(Interface::AppServer) | None => Box::new(codex::Protocol::new(asked)),
            };
            (codex::command_line(asked), codec)
        }
        Kind::Claude => (claude::command_line(asked), Box::new(claude::Protocol::new(asked))),
        Kind::Acp => (acp::command_line(asked), Box::new(acp::Protocol::new(asked))),
    }
}

fn login_of(kind: Kind, harness: &Harness) -> Login {
    let set = |name: &&&str| std::env::var_os(name).is_some_and(|it| !it.is_empty());
    Login::of(kind, harness, key::variables(kind).iter().find(set).copied())
}

fn spec(
    driver: &mut Driver<'_>,
    turn: &TurnId,
    (harness, needs): (&Harness, Needs),
    line: CommandLine,
    codec: &mut dyn Codec,
) -> Result<(Spec, Refusals), Trouble> {
    let step = driver.current_step()?;
    let mut extra = driver.turn_environment(turn)?;
    extra.extend(surroundings(harness, line.env));
    let pass: Vec<String> = driver.run.pass_env.iter().cloned().chain(line.pass).collect();
    let launch = Launch {
        program: PathBuf::from(&harness.program),
        args: line.args.into_iter().map(Into::into).collect(),
        cwd: driver.desk.layout.root().to_owned(),
        env: Vec::new(),
        containment: Containment::Auto,
        stage1: driver.parts.stage1.clone(),
        mark: Some(driver.mark_path(turn)),
        confinement: None,
    };
    let program =
        Program { role: turn.role, view: View::of(turn.role), needs, pass: &pass, extra: &extra };
    let Confined { launch, outside, limits, refusals } = confine(driver, &step, &program, launch)?;
    let clocks = Clocks::of(&driver.run, &step, turn.role, true);
    let spec = Spec {
        outside,
        limits,
        stdin: codec.open().into_bytes(),
        talks: codec.converses(),
        opening: clocks.opening,
        wall: clocks.wall,
        idle: clocks.idle,
        idle_busy: clocks.idle_busy,
        stall: clocks.stall,
        capture_limit: KEPT_OUTPUT,
        interrupt: Some(INTERRUPT),
        grace: GRACE,
        ..Spec::of(launch)
    };
    Ok((spec, refusals))
}

/// The variables that are set for a harness.
pub(crate) fn surroundings(
    harness: &Harness,
    mut env: Vec<(String, String)>,
) -> Vec<(String, String)> {
    let temporary = harness.home.as_ref().and_then(|it| harness::temporary_folder(Path::new(it)));
    env.extend(temporary.map(|it| ("TMPDIR".to_owned(), it.display().to_string())));
    env
}

/// The result of a turn, and the pause a failure of its class asks for.
fn result_of(
    driver: &mut Driver<'_>,
    report: Report,
    failed: u32,
    login: &Login,
) -> Result<(TurnResult, Option<Hold>), Trouble> {
    match report.result {
        Ok(text) => {
            let text = driver.desk.redactor.redact(&text).into_owned();
            Ok((TurnResult::Completed { text: driver.keep(&text)?, exit: None }, None))
        }
        Err(failure) => {
            let message = driver.desk.redactor.redact(&failure.message).into_owned();
            let failure = Failure { message: shortened(message), ..failure };
            let pause = hold::after(&failure, failed, login);
            let Failure { class, message, .. } = failure;
            Ok((TurnResult::Failed { class, message }, pause))
        }
    }
}

fn shortened(message: String) -> String {
    match message.char_indices().nth(MESSAGE_CHARS) {
        Some((at, _)) => format!("{} […]", &message[..at]),
        None => message,
    }
}

/// Where the conversation stands after a turn that went well: as the codec says, else how long its record
/// is.
fn checkpoint(harness: &Harness, report: &Report, record: Option<&Path>) -> Option<String> {
    let length = || fs::metadata(record?).ok().map(|it| it.len().to_string());
    let by_record = is_exec(harness) && report.result.is_ok();
    report.checkpoint.clone().or_else(|| by_record.then(length).flatten())
}

fn is_exec(harness: &Harness) -> bool {
    harness.interface == Some(Interface::Exec)
}

/// A turn that could not be asked, for want of the conversation it was to begin from.
fn lost(turn: TurnId, why: &str) -> Input {
    let class = FailureClass::SessionLost;
    let message = format!("its conversation cannot be begun from its checkpoint: {why}");
    let result = TurnResult::Failed { class, message };
    Input::TurnEnded { turn, result, evidence: Evidence::default(), pause: None }
}

/// Where the harness's own record of the conversation is: what it said, else what is found.
fn transcript_of(
    driver: &Driver<'_>,
    kind: Kind,
    harness: &Harness,
    report: &Report,
) -> Option<PathBuf> {
    let home = Path::new(harness.home.as_deref()?);
    if let Some(path) = &report.transcript {
        return harness::kept_in(home, Path::new(path));
    }
    let visit = driver.run.visit.as_ref()?;
    let token = driver.run.sessions.get(&visit.session()?.key)?.token.as_ref()?;
    let record = (kind == Kind::Codex).then(|| harness::rollout(home, token)).flatten()?;
    harness::kept_in(home, &record)
}

/// The harness's own record of the conversation as an object, redacted. One that is missing or very
/// large is none: the event stream is kept in any case.
fn transcript(driver: &Driver<'_>, path: Option<&Path>) -> Option<Digest> {
    let path = path?;
    let bytes = plain::read(path, TRANSCRIPT_LIMIT).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let kept = driver.desk.redactor.redact(&text);
    driver.parts.objects.put(kept.as_bytes()).ok()
}

/// Speaks for the codec while a program runs: facts to the journal, lines to the side file.
struct Listener<'d, 'a, 't> {
    driver: &'d mut Driver<'a>,
    turn: &'t TurnId,
    codec: &'t mut dyn Codec,
    /// The conversation that was asked for.
    token: Option<&'t str>,
    log: Activity,
    asking: Asking,
    refusals: Refusals,
    trouble: Option<Trouble>,
}

impl Watch for Listener<'_, '_, '_> {
    fn started(&mut self, stage1: &Identity) {
        let process = Process {
            pid: stage1.pid,
            start_ticks: stage1.start_ticks,
            boot_id: Some(stage1.boot_id.clone()),
        };
        self.tell(Input::TurnStarted { turn: self.turn.clone(), process });
    }

    fn line(&mut self, stream: Stream, line: &str) -> Reply {
        if stream == Stream::Stderr {
            self.keep(stream, line);
            return Reply { waits: true, ..Reply::default() };
        }
        let heard = self.codec.hear(line);
        self.refusals.hear_message(line);
        if heard.sign == Sign::Passing {
            self.log.alive();
        } else {
            self.keep(stream, line);
        }
        if let Some(say) = &heard.say {
            let say = self.driver.desk.redactor.redact(say).into_owned();
            self.driver.show(self.turn, &say);
        }
        if let Some(token) = heard.session
            && self.token != Some(token.as_str())
        {
            self.tell(Input::SessionKnown { turn: self.turn.clone(), token });
        }
        let reply = Reply {
            send: heard.send.into_bytes(),
            finished: heard.finished,
            waits: heard.sign == Sign::Waiting,
            busy: heard.busy,
            ..Reply::default()
        };
        heard.wants.iter().fold(reply, |reply, want| self.answer(want, reply))
    }

    fn more(&mut self) -> Option<Vec<u8>> {
        match self.driver.hear_people() {
            Ok(true) => {}
            Ok(false) => return None,
            Err(error) => {
                self.give_up(Trouble::Fatal(error));
                return None;
            }
        }
        let words = self.said()?;
        let send = self.codec.steer(&words)?;
        self.tell(Input::SaidDelivered { turn: self.turn.clone() });
        Some(send.into_bytes())
    }

    fn leave_off(&mut self) -> Option<Vec<u8>> {
        self.codec.leave_off().map(String::into_bytes)
    }
}

impl Listener<'_, '_, '_> {
    /// What no turn was told yet.
    fn said(&self) -> Option<String> {
        let said = self.driver.run.said.iter().map(|said| self.driver.parts.text(&said.text));
        let said: Vec<String> = said.collect::<Result<_, _>>().ok()?;
        (!said.is_empty()).then(|| said.join("\n\n"))
    }

    /// Answers what the turn asks leave for, or has it left off.
    fn answer(&mut self, want: &Want, mut reply: Reply) -> Reply {
        let before = self.asking.held;
        let said = self.asking.say(self.driver, self.turn, want);
        reply.held += self.asking.held.saturating_sub(before);
        match said {
            Ok(Said::Answer(leave)) => {
                reply.send.extend(self.codec.give_leave(&want.id, &leave).into_bytes());
            }
            Ok(Said::Nobody) => reply.leave_off = true,
            Ok(Said::Nothing) => {}
            Err(error) => self.give_up(Trouble::Fatal(error)),
        }
        reply
    }

    fn keep(&mut self, stream: Stream, line: &str) {
        let line = self.driver.desk.redactor.redact(line).into_owned();
        if let Err(trouble) = self.log.line(stream, &line) {
            self.give_up(trouble);
        }
    }

    fn tell(&mut self, input: Input) {
        if let Err(error) = self.driver.tell_soon(input) {
            self.give_up(Trouble::Fatal(error));
        }
    }

    /// Nothing more can be written: the program is ended rather than run unrecorded.
    fn give_up(&mut self, trouble: Trouble) {
        if self.trouble.is_none() {
            self.trouble = Some(trouble);
            self.driver.stop.request(SIGTERM);
        }
    }
}

/// The name of a conversation that this turn begins, a UUID: the same run and turn give the same, and
/// no others do.
fn new_session(driver: &Driver<'_>, turn: &TurnId) -> String {
    let id = format!("{}/{turn}", driver.desk.run_id);
    let digest = botpipe_journal::digest_of(id.as_bytes());
    let hex = digest.as_str();
    // Version 8: made of what its maker likes.
    let parts = [&hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32]];
    format!("{}-{}-8{}-8{}-{}", parts[0], parts[1], parts[2], parts[3], parts[4])
}

/// How long a harness may take to end once it is interrupted, as Ctrl-C would.
const INTERRUPT: Duration = Duration::from_secs(3);
/// How long it may take after SIGTERM, before everything is killed.
const GRACE: Duration = Duration::from_secs(2);
/// Bytes of each stream that are kept for messages; all of it is in the side file.
const KEPT_OUTPUT: usize = 64 << 10;
/// The largest transcript that is kept.
const TRANSCRIPT_LIMIT: u64 = 64 << 20;
/// Characters of a failure's message that are recorded.
const MESSAGE_CHARS: usize = 2_000;
