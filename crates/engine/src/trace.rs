//! Everything that is kept of a turn: what it was asked, what it was allowed, what came of it.

use std::path::PathBuf;

use botpipe_journal::Stored;
use botpipe_kernel::ids::{Digest, TurnId};
use botpipe_kernel::run::{Event, Process, Provider, Ref, SessionUse, TurnResult, Usage};

use crate::engine::{Engine, RunView};
use crate::error::Error;
use crate::prompt::parts_of;

/// What is kept of a turn.
#[derive(Debug)]
pub struct Trace {
    pub turn: TurnId,
    /// The agent it was asked of; `None` for a script.
    pub agent: Option<Provider>,
    /// What it was asked, as the author's prompt was rendered; a script's command.
    pub prompt: String,
    /// What the engine appended to it.
    pub contract: Option<String>,
    /// Digest of the request, as a cassette knows it.
    pub request: Option<Digest>,
    /// The policy in force; JSON.
    pub policy: Option<String>,
    pub session: Option<SessionUse>,
    /// The harness's name of the conversation, where it named it in this turn.
    pub named: Option<String>,
    pub process: Option<Process>,
    /// The events about it.
    pub events: Vec<Stored>,
    /// The side file with everything it said, where it is there, and its digest at the turn's end.
    pub activity: (Option<PathBuf>, Option<Digest>),
    /// Whether that file is what was recorded.
    pub intact: bool,
    /// The harness's own record of the conversation, an object.
    pub transcript: Option<Digest>,
    pub usage: Option<Usage>,
    pub took_ms: Option<u64>,
    pub leftover: u32,
    /// How it ended; `None`: it has not.
    pub result: Option<TurnResult>,
    /// What it answered.
    pub answer: Option<String>,
}

impl Engine {
    /// What is kept of a run's turns, or of one of them, in the order in which they were asked.
    ///
    /// # Errors
    /// [`Error::NoTurn`]; an object that is missing or damaged.
    pub fn trace(&self, view: &RunView, only: Option<&TurnId>) -> Result<Vec<Trace>, Error> {
        let mut traces: Vec<Trace> = Vec::new();
        let (mut agent, mut policy) = (None, None);
        for stored in &view.events {
            match &stored.event {
                Event::RunCreated { provider, .. } => agent.clone_from(provider),
                Event::FellBack { provider, .. } => agent = Some(provider.clone()),
                Event::TurnOwed { turn, policy: now, .. } => {
                    // A turn without one has that of the turn before.
                    policy = now.clone().or(policy);
                    if only.is_none_or(|only| only == turn) {
                        let own = view.state.own_provider(turn);
                        let own = own.and_then(|_| view.state.provider_of_turn(turn));
                        let agent = own.or_else(|| agent.clone());
                        traces.push(self.owed(&stored.event, agent.as_ref(), policy.as_ref())?);
                    }
                }
                _ => {}
            }
            let about = turn_of(&stored.event);
            let trace = traces.iter_mut().rev().find(|trace| Some(&trace.turn) == about);
            if let Some(trace) = trace {
                self.add(trace, &stored.event)?;
                trace.events.push(stored.clone());
            }
        }
        if let (Some(turn), true) = (only, traces.is_empty()) {
            let known = turns(view);
            return Err(Error::NoTurn { turn: turn.clone(), known });
        }
        for trace in &mut traces {
            let mut tail = self.tail(&view.summary, &trace.turn);
            trace.activity.0 = tail.path().is_file().then(|| tail.path().to_owned());
            let read = tail.more(&mut |_| true).is_ok();
            trace.intact = read && tail.is_intact(trace.activity.1.as_ref());
        }
        Ok(traces)
    }

    /// A turn as it was asked.
    fn owed(
        &self,
        event: &Event,
        agent: Option<&Provider>,
        policy: Option<&Ref>,
    ) -> Result<Trace, Error> {
        let Event::TurnOwed { turn, prompt, request, session, .. } = event else {
            return Err(Error::Internal { message: "no turn is owed by that".to_owned() });
        };
        let text = self.text(prompt)?;
        let (prompt, contract) = parts_of(&text);
        Ok(Trace {
            turn: turn.clone(),
            agent: agent.filter(|_| !turn.role.is_code()).cloned(),
            prompt: prompt.to_owned(),
            contract: contract.map(str::to_owned),
            request: request.clone(),
            policy: policy.map(|policy| self.text(policy)).transpose()?,
            session: session.clone(),
            named: None,
            process: None,
            events: Vec::new(),
            activity: (None, None),
            intact: true,
            transcript: None,
            usage: None,
            took_ms: None,
            leftover: 0,
            result: None,
            answer: None,
        })
    }

    fn add(&self, trace: &mut Trace, event: &Event) -> Result<(), Error> {
        match event {
            Event::TurnStarted { process, .. } => trace.process = Some(process.clone()),
            Event::SessionKnown { token, .. } => trace.named = Some(token.clone()),
            Event::TurnEnded { result, activity, transcript, usage, took_ms, leftover, .. } => {
                trace.activity.1.clone_from(activity);
                trace.transcript.clone_from(transcript);
                trace.usage.clone_from(usage);
                trace.took_ms = Some(*took_ms);
                trace.leftover = *leftover;
                trace.result = Some(result.clone());
                trace.answer = match result {
                    TurnResult::Completed { text, .. } => Some(self.text(text)?),
                    TurnResult::Failed { .. } => None,
                };
            }
            _ => {}
        }
        Ok(())
    }
}

/// The turns of a run, in the order in which they were asked.
pub fn turns(view: &RunView) -> Vec<TurnId> {
    let owed = view.events.iter().filter_map(|stored| match &stored.event {
        Event::TurnOwed { turn, .. } => Some(turn.clone()),
        _ => None,
    });
    owed.collect()
}

/// The turn an event is about.
pub fn turn_of(event: &Event) -> Option<&TurnId> {
    match event {
        Event::TurnOwed { turn, .. }
        | Event::TurnStarted { turn, .. }
        | Event::SessionKnown { turn, .. }
        | Event::TurnEnded { turn, .. }
        | Event::TurnInterrupted { turn, .. }
        | Event::RestoreRefused { turn, .. }
        | Event::AttemptRejected { turn, .. }
        | Event::SaidDelivered { turn } => Some(turn),
        _ => None,
    }
}
