//! Why a run stands where it stands: what it waits for, since when, until when, what unblocks it.

mod next;
mod remedy;
mod work;

use botpipe_journal::{Owner, RunFilter, Stored};
use botpipe_kernel::ids::{RouteTag, RunId, TaskId, TurnId, VisitId, WorkflowName};
use botpipe_kernel::plan::{OnInterrupt, OnLimit};
use botpipe_kernel::run::{Event, Hold, Lifecycle, Phase, Question, Run, Stop, Verdict, Wait};

pub use next::{Next, next};
pub use work::{Deadline, Work};

use crate::Engine;
use crate::driver::now;
use crate::engine::RunView;
use crate::error::Error;
use crate::request::{RunRef, RunSummary};

/// Why a run stands where it stands.
#[derive(Debug)]
pub struct Why {
    pub summary: RunSummary,
    /// Milliseconds since the epoch when this was looked at.
    pub at: u64,
    /// Milliseconds since the epoch when it came to stand so.
    pub since: u64,
    /// Milliseconds since the epoch when it goes on or is ended, where that is known.
    pub until: Option<u64>,
    pub cause: Cause,
    /// What unblocks it, in a sentence; nothing where nothing does.
    pub unblocks: Option<String>,
    /// The same as a command, where one does it.
    pub next: Option<Next>,
    /// How many things people said that no turn was told yet.
    pub unheard: usize,
    /// Another run that has to let go of the workspace first.
    pub behind: Option<Holder>,
}

/// What a run waits for, or why it stands.
#[derive(Debug)]
pub enum Cause {
    /// Somebody moves it.
    Works(Work),
    /// Nobody moves it any more, though it was never let go.
    OwnerLost {
        /// The turn that was cut off, and what is done about it.
        turn: Option<(TurnId, OnInterrupt)>,
        /// Milliseconds since the epoch by which the owner was gone; 0 when nobody knows.
        gone_by: u64,
    },
    /// A person has to answer.
    Asks {
        question: Question,
        /// JSON Schema of the answer.
        schema: Option<String>,
    },
    /// A time has to come.
    Held {
        hold: Hold,
        /// Somebody waits for it, and goes on by itself.
        attended: bool,
    },
    /// A step waits for a time or a signal.
    Awaits {
        wait: Wait,
        /// Somebody waits for it, and goes on by itself.
        attended: bool,
    },
    Stopped {
        stop: Stop,
        /// The turn that is asked when it goes on.
        turn: Option<TurnId>,
    },
    Finished {
        verdict: Verdict,
        /// The last route that was taken.
        by: Option<(VisitId, RouteTag)>,
    },
    Cancelled,
}

/// A run that somebody moves.
#[derive(Debug, Clone)]
pub struct Holder {
    pub run: RunId,
    pub task: TaskId,
    pub workflow: WorkflowName,
    pub owner: Option<Owner>,
}

impl Engine {
    /// Why a run stands where it stands.
    ///
    /// # Errors
    /// As [`Engine::show`].
    pub fn why(&self, which: &RunRef) -> Result<Why, Error> {
        let view = self.show(which)?;
        let owned = view.summary.owned;
        let cause = self.cause(&view)?;
        let over = view.state.lifecycle.is_ended();
        let behind = if owned || over { None } else { self.behind(&view)? };
        let unblocks = unblocks(&cause, &view.state);
        let (since, until) = span(&cause, &view.events);
        Ok(Why {
            at: now(),
            since,
            until,
            unblocks,
            next: next(&view.state, owned),
            unheard: view.state.said.len(),
            behind,
            cause,
            summary: view.summary,
        })
    }

    fn cause(&self, view: &RunView) -> Result<Cause, Error> {
        let (run, owned) = (&view.state, view.summary.owned);
        let turn = running_turn(run);
        Ok(match &run.lifecycle {
            Lifecycle::Waiting(question) => {
                let schema = question.schema.as_ref().map(|it| self.text(it)).transpose()?;
                Cause::Asks { question: question.clone(), schema }
            }
            Lifecycle::Held(hold) => Cause::Held {
                hold: hold.clone(),
                attended: owned && hold.on_limit != OnLimit::Pause,
            },
            Lifecycle::Awaiting(wait) => Cause::Awaits { wait: wait.clone(), attended: owned },
            Lifecycle::Stopped(stop) => Cause::Stopped { stop: stop.clone(), turn: at(run) },
            Lifecycle::Finished(verdict) => Cause::Finished {
                verdict: *verdict,
                by: view.events.iter().rev().find_map(|stored| match &stored.event {
                    Event::RouteTaken { visit, tag, .. } => Some((visit.clone(), tag.clone())),
                    _ => None,
                }),
            },
            Lifecycle::Cancelled => Cause::Cancelled,
            Lifecycle::Unstarted | Lifecycle::Running if owned => {
                Cause::Works(Work::of(view, |turn| self.activity_file(&view.summary, turn)))
            }
            Lifecycle::Unstarted | Lifecycle::Running => Cause::OwnerLost {
                turn: turn.map(|turn| {
                    let step = run.current_step();
                    (turn, step.map_or(OnInterrupt::Resume, |step| step.on_interrupt))
                }),
                gone_by: view.summary.gone_by,
            },
        })
    }

    /// Who holds the workspace, when it is another run.
    fn behind(&self, view: &RunView) -> Result<Option<Holder>, Error> {
        let runs = self.parts.journal.runs(&RunFilter::default())?;
        let other = runs.into_iter().map(|row| crate::engine::summary_of(&row));
        Ok(other.into_iter().find(|it| it.owned && it.run != view.summary.run).map(|it| Holder {
            run: it.run,
            task: it.task,
            workflow: it.workflow,
            owner: it.owner,
        }))
    }
}

/// The turn that has begun and has no end.
fn running_turn(run: &Run) -> Option<TurnId> {
    match &run.visit.as_ref()?.phase {
        Phase::Turning { turn, .. } => Some(turn.clone()),
        _ => None,
    }
}

/// The turn a run stands before, or in.
fn at(run: &Run) -> Option<TurnId> {
    match &run.visit.as_ref()?.phase {
        Phase::Preparing { turn, .. }
        | Phase::Turning { turn, .. }
        | Phase::Judging { turn, .. }
        | Phase::Restoring { turn, .. }
        | Phase::Asking { turn, .. } => Some(turn.clone()),
        Phase::Entering
        | Phase::Checking
        | Phase::Sealing
        | Phase::Handing { .. }
        | Phase::Planning
        | Phase::Children
        | Phase::Answering
        | Phase::Merging
        | Phase::Applying
        | Phase::Posing { .. }
        | Phase::Arming => None,
    }
}

/// Since when, and until when.
fn span(cause: &Cause, events: &[Stored]) -> (u64, Option<u64>) {
    let last = events.last().map_or(0, |stored| stored.at);
    let when = |is: fn(&Event) -> bool| {
        let found = events.iter().rev().find(|stored| is(&stored.event));
        found.map_or(last, |stored| stored.at)
    };
    match cause {
        Cause::Works(work) => (work.since, work.until()),
        Cause::OwnerLost { gone_by, .. } => (if *gone_by > 0 { *gone_by } else { last }, None),
        Cause::Asks { .. } => (when(|it| matches!(it, Event::QuestionAsked { .. })), None),
        Cause::Held { hold, .. } => (hold.since, Some(hold.until)),
        Cause::Awaits { wait, .. } => {
            (when(|it| matches!(it, Event::WaitBegun { .. })), wait.until)
        }
        Cause::Stopped { .. } => (when(|it| matches!(it, Event::RunStopped { .. })), None),
        Cause::Finished { .. } => (when(|it| matches!(it, Event::RunFinished { .. })), None),
        Cause::Cancelled => (when(|it| matches!(it, Event::RunCancelled)), None),
    }
}

/// What unblocks it, in a sentence.
fn unblocks(cause: &Cause, run: &Run) -> Option<String> {
    Some(match cause {
        Cause::Works(_) => "nothing has to be done: it works; look on, or tell it something".into(),
        Cause::OwnerLost { turn: None, .. } => {
            "resume it: all that was recorded stands, and it goes on from there".into()
        }
        Cause::OwnerLost { turn: Some((_, then)), .. } => match then {
            OnInterrupt::Resume => {
                "resume it: the turn that was cut off is asked again, on the files as they are"
                    .into()
            }
            OnInterrupt::Restart => {
                "resume it: files are put back to where the turn began, and it is asked again"
                    .into()
            }
            OnInterrupt::Ask => "resume it: it then asks what to do about the turn".into(),
        },
        Cause::Asks { question, .. } if question.choices.is_empty() => "an answer".into(),
        Cause::Asks { .. } => "one of the choices".into(),
        Cause::Held { hold, attended } => time(hold.until, *attended),
        Cause::Awaits { wait: Wait { signal: Some(name), .. }, .. } => format!("signal `{name}`"),
        Cause::Awaits { wait, attended } => time(wait.until.unwrap_or_default(), *attended),
        Cause::Stopped { stop, .. } => remedy::of_stop(stop, run.asked_provider().as_ref()),
        Cause::Finished { .. } | Cause::Cancelled => return None,
    })
}

/// What unblocks a run that a time holds: milliseconds since the epoch.
fn time(until: u64, attended: bool) -> String {
    if attended {
        "the time: its owner waits and goes on by itself".into()
    } else if until > now() {
        "the time; nobody waits for it, so resume the run (now or later: whoever does waits)".into()
    } else {
        "the time has come: resume it".into()
    }
}
