//! A person in a conversation of a run, by the harness's own interactive resume.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use botpipe_kernel::ids::{StepId, TurnId};
use botpipe_kernel::run::{
    Attached, Event, Input, Phase, Provider, Refusal, Run, SessionKey, Usage,
};
use botpipe_providers::{Asked, CommandLine, Rules, claude, codex};
use botpipe_sandbox::{Containment, Launch};

use crate::driver::Driver;
use crate::engine::{Engine, RunView, owner};
use crate::error::Error;
use crate::harness::{self, Kind};
use crate::inbox::Inbox;
use crate::perform::{About, Desk, surroundings};
use crate::process::{StopSwitch, attended};
use crate::request::{RunRef, Silent};
use crate::workspace::redact::Redactor;
use crate::{environment, policy};

/// Which conversation is meant: the last one of a step, of a name, or of all.
#[derive(Debug, Clone, Default)]
pub struct Pick {
    pub step: Option<StepId>,
    /// A session's key, or the harness's own name of it.
    pub session: Option<String>,
}

/// A conversation of a run, and how a person goes on in it.
#[derive(Debug)]
pub struct Conversation {
    /// The last turn in it.
    pub turn: TurnId,
    pub session: SessionKey,
    /// The harness's own name of it.
    pub token: String,
    /// The command line, its program first; redacted.
    pub words: Vec<String>,
    /// The variables that are set for it, redacted; others pass by name.
    pub env: Vec<(String, String)>,
    pub cwd: PathBuf,
    launch: Launch,
}

/// What came of a person's visit.
#[derive(Debug)]
pub struct Left {
    /// What the harness ended with; 128 and the signal that ended it.
    pub code: i32,
    /// Files that changed meanwhile.
    pub changed: Vec<String>,
}

impl Engine {
    /// The conversation that is meant; nothing is started.
    ///
    /// # Errors
    /// No such run or conversation; one that a turn may be in; an agent that has none.
    pub fn conversation(&self, which: &RunRef, pick: &Pick) -> Result<Conversation, Error> {
        let view = self.show(which)?;
        if let (Some(by), true) = (&view.summary.owner, view.summary.owned) {
            let summary = &view.summary;
            return Err(Error::Journal(botpipe_journal::Error::Busy {
                run: summary.run.clone(),
                task: summary.task.clone(),
                workflow: summary.workflow.clone(),
                owner: Box::new(by.clone()),
            }));
        }
        self.pick(&view, pick)
    }

    /// Lets a person go on in a conversation, with the terminal of this process; nobody moves the run
    /// meanwhile, and its next turn is told.
    ///
    /// # Errors
    /// As [`Engine::conversation`]; a run that is over, or that somebody moves; a program that cannot
    /// be started.
    pub fn attach(&self, which: &RunRef, pick: &Pick, stop: &StopSwitch) -> Result<Left, Error> {
        let row = self.find(which)?;
        let lease = self.parts.journal.acquire(&row.run, &owner("attach"))?;
        let view = self.show(&RunRef { run: Some(row.run.clone()), ..which.clone() })?;
        let conversation = self.pick(&view, pick)?;
        let about = About::of(&self.parts, &row, &view.state)?;
        let layout = self.parts.layout.where_recorded(view.state.workspace.as_deref());
        let mut desk = Desk::set_up_in(&self.parts, about, layout)?;
        if let Some((kind, harness)) = view.state.holder(&conversation.session).and_then(Kind::of) {
            harness::prepare(kind, harness, desk.layout.root())
                .map_err(|message| Error::Attach { message })?;
        }
        let tree = desk.snapshots.take()?;
        let Conversation { session, token, launch, .. } = conversation;
        let attached = Attached { session, token, tree: Some(tree.clone()) };
        let (inbox, cancelled) = (Inbox::default(), AtomicBool::new(false));
        let mut driver = Driver {
            parts: &self.parts,
            lease: &lease,
            seq: view.events.last().map_or(0, |stored| stored.seq),
            run: view.state,
            pending: Vec::new(),
            desk,
            progress: &Silent,
            stop,
            inbox: &inbox,
            cancelled: &cancelled,
        };
        if driver.run.lifecycle.is_ended() {
            return Err(Error::Refused { refusal: Refusal::Ended });
        }
        driver.tell(Input::Attach { attached })?;
        driver.append()?;
        let code = attended::run(&launch, stop).map_err(|error| Error::Attach {
            message: format!("could not start `{}`: {error}", launch.program.display()),
        })?;
        let now = driver.desk.snapshots.take()?;
        let changed = driver.desk.snapshots.changed(&tree, &now)?;
        Ok(Left { code, changed })
    }

    fn pick(&self, view: &RunView, pick: &Pick) -> Result<Conversation, Error> {
        let run = &view.state;
        if let Some(Phase::Turning { turn, .. }) = run.visit.as_ref().map(|visit| &visit.phase) {
            let message = format!(
                "turn {turn} was cut off and nobody has settled that yet; `resume` the run first"
            );
            return Err(Error::Attach { message });
        }
        // Where nobody has any, it is said why.
        let has_some = |it: &Provider| matches!(it, Provider::Codex(_) | Provider::Claude(_));
        let mut cast = run.provider.iter().chain(run.providers.values());
        if !cast.any(has_some) {
            return Err(Error::Attach { message: why_not(run.provider.as_ref()) });
        }
        let all = conversations(view);
        let found = all.iter().rev().find(|(turn, key, token)| {
            let of_step = pick.step.as_ref().is_none_or(|step| turn.visit.step == *step);
            let named = |name: &String| key.0 == *name || token == name;
            of_step && pick.session.as_ref().is_none_or(named)
        });
        let (turn, session, token) = found.cloned().ok_or_else(|| none(&all))?;
        let step = run.plan.step(&turn.visit.step);
        let step = step.ok_or_else(|| none(&all))?;
        let held = run.holder(&session);
        let (kind, harness) = held
            .filter(|it| matches!(it, Provider::Codex(_) | Provider::Claude(_)))
            .and_then(Kind::of)
            .ok_or_else(|| Error::Attach { message: why_not(held) })?;
        let layout = self.parts.layout.where_recorded(run.workspace.as_deref());
        let root = layout.root();
        let cwd = root.display().to_string();
        let asked = Asked {
            harness,
            prompt: "",
            cwd: &cwd,
            session: Some(&token),
            from: None,
            new_session: "",
            session_cost: 0,
            session_usage: &Usage::default(),
            access: &policy::of_their_own(&policy::of_run(run, (step, turn.role), &layout)),
            asks: false,
            rules: &Rules::NONE,
            has_login: harness::has_login(kind, harness),
            has_variable: &|name| std::env::var_os(name).is_some_and(|it| !it.is_empty()),
        };
        let line = match kind {
            Kind::Claude => claude::resume_line(&asked, &token),
            Kind::Codex | Kind::Acp => codex::resume_line(&asked, &token),
        };
        let CommandLine { args, env, pass } = line;
        let env = surroundings(harness, env);
        let pass: Vec<String> = run.pass_env.iter().cloned().chain(pass).collect();
        let redactor = Redactor::new(std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        }));
        let shown = |text: &String| redactor.redact(text).into_owned();
        Ok(Conversation {
            words: std::iter::once(&harness.program).chain(&args).map(shown).collect(),
            env: env.iter().map(|(name, value)| (name.clone(), shown(value))).collect(),
            cwd: root.to_owned(),
            launch: Launch {
                program: PathBuf::from(&harness.program),
                args: args.into_iter().map(Into::into).collect(),
                cwd: root.to_owned(),
                env: environment::build(std::env::vars_os(), &pass, &env),
                containment: Containment::Auto,
                stage1: None,
                mark: None,
                confinement: None,
            },
            turn,
            session,
            token,
        })
    }
}

/// The conversations that can be gone on with, as turns were asked in them.
fn conversations(view: &RunView) -> Vec<(TurnId, SessionKey, String)> {
    let mut all = Vec::new();
    let mut asked: Option<(TurnId, SessionKey)> = None;
    for stored in &view.events {
        match &stored.event {
            Event::TurnOwed { turn, session: Some(session), .. } => {
                asked = Some((turn.clone(), session.key.clone()));
                let token = session.token.clone();
                all.extend(token.map(|token| (turn.clone(), session.key.clone(), token)));
            }
            Event::SessionKnown { turn, token } => {
                let of = asked.as_ref().filter(|(of, _)| of == turn);
                all.extend(of.map(|(turn, key)| (turn.clone(), key.clone(), token.clone())));
            }
            _ => {}
        }
    }
    let run: &Run = &view.state;
    // Others are lost, or of a harness before this one.
    let current = |key: &SessionKey| run.sessions.get(key).and_then(|it| it.token.clone());
    all.retain(|(_, key, token)| current(key) == Some(token.clone()));
    all
}

fn none(all: &[(TurnId, SessionKey, String)]) -> Error {
    let mut known: Vec<String> = all
        .iter()
        .map(|(turn, key, _)| format!("`{}` (step {})", key.0, turn.visit.step))
        .collect();
    known.dedup();
    let message = if known.is_empty() {
        "the run has no conversation yet that could be gone on with".to_owned()
    } else {
        format!("the run has no such conversation; it has {}", known.join(", "))
    };
    Error::NoConversation { message }
}

/// Why there is nothing to go on in.
fn why_not(provider: Option<&Provider>) -> String {
    let why = match provider {
        Some(Provider::Acp(_)) => {
            "the Agent Client Protocol has no way for a person to go on in a conversation; ask the agent \
             itself for one"
        }
        Some(Provider::Command { .. }) => {
            "`command` starts a program anew for each turn, so it has no conversation to go on in"
        }
        Some(Provider::Replay { .. }) => "a recording has no conversation to go on in",
        Some(Provider::Codex(_) | Provider::Claude(_)) | None => {
            "the run asks no agent, so it has no conversation"
        }
    };
    format!("{why}; `botpipe say` tells its next turn something")
}
