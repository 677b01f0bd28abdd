//! A run's events as they are printed, and followed until the run rests.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _};
use std::path::Path;
use std::thread;
use std::time::Duration;

use botpipe_engine::activity::{Line, Tail, Words};
use botpipe_engine::engine::RunView;
use botpipe_engine::process::Stream;
use botpipe_engine::trace::{turn_of, turns};
use botpipe_engine::{Engine, Error};
use botpipe_journal::Stored;
use botpipe_kernel::ids::{Digest, TurnId};
use botpipe_kernel::run::{Event, Lifecycle, Ref, Run, TurnResult};
use serde_json::json;

use crate::term::clock::moment;
use crate::term::end::End;
use crate::term::exit;
use crate::term::failure::Failure;
use crate::term::output::{one_line, printable, say, tell};
use crate::term::words;

/// What is printed of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    Words,
    Events,
    /// What the turns printed.
    Raw,
}

/// How far a run was printed.
pub(super) struct Log<'a> {
    engine: &'a Engine,
    view: &'a RunView,
    shown: Shown,
    only: Option<&'a TurnId>,
    /// Folded as far as it was printed.
    run: Run,
    seq: u64,
    /// What the present turn says is shown from here on.
    live: bool,
    turn: Option<Listened>,
    terminal: bool,
}

/// A turn that is listened to.
struct Listened {
    turn: TurnId,
    tail: Tail,
    words: Words,
}

impl<'a> Log<'a> {
    /// # Errors
    /// A turn that the run does not have.
    pub(super) fn begin(
        engine: &'a Engine,
        view: &'a RunView,
        shown: Shown,
        follow: bool,
        only: Option<&'a TurnId>,
    ) -> Result<Self, Failure> {
        if let Some(turn) = only {
            let known = turns(view);
            if !follow && !known.contains(turn) {
                return Err(Error::NoTurn { turn: turn.clone(), known }.into());
            }
        }
        Ok(Self {
            engine,
            view,
            shown,
            only,
            run: Run::new(view.state.plan.clone()),
            seq: 0,
            live: follow && shown == Shown::Words,
            turn: None,
            terminal: io::stdout().is_terminal(),
        })
    }

    /// Prints more events; false when nobody reads them.
    pub(super) fn print(&mut self, events: &[Stored]) -> bool {
        events.iter().all(|stored| {
            self.seq = stored.seq;
            self.run.evolve(&stored.event);
            let about = turn_of(&stored.event);
            if self.only.is_some_and(|only| about != Some(only)) {
                return true;
            }
            match &stored.event {
                Event::TurnOwed { turn, .. } => {
                    let over = |it: &Stored| {
                        let end = matches!(
                            it.event,
                            Event::TurnEnded { .. } | Event::TurnInterrupted { .. }
                        );
                        end && turn_of(&it.event) == Some(turn)
                    };
                    let listens = self.shown == Shown::Raw
                        || self.live && !(self.seq <= last(self.view) && events.iter().any(over));
                    self.line(stored) && (!listens || self.listen(turn))
                }
                Event::TurnEnded { turn, activity, .. } => {
                    self.hear() && self.heard(turn, activity.as_ref()) && self.line(stored)
                }
                Event::TurnInterrupted { .. } => {
                    let read = self.hear();
                    self.turn = None;
                    read && self.line(stored)
                }
                _ => self.hear() && self.line(stored),
            }
        })
    }

    /// Prints an event.
    fn line(&self, stored: &Stored) -> bool {
        match self.shown {
            Shown::Raw => true,
            Shown::Events => {
                let line = json!({ "seq": stored.seq, "at": stored.at, "event": stored.event });
                say(&format!("{line}\n"))
            }
            Shown::Words => {
                let Some(words) = words::of(&stored.event, &self.run) else { return true };
                let mut line = format!("{} {words}\n", moment(stored.at));
                if let Event::TurnEnded { turn, .. } = &stored.event
                    && let Some(path) = self.engine.activity_file(&self.view.summary, turn)
                {
                    let _ = writeln!(line, "{:20}output: {}", "", path.display());
                    for refused in self.engine.refused(&self.view.summary, turn) {
                        let _ = writeln!(line, "{:20}refused: {}", "", one_line(&refused, 1000));
                    }
                }
                if let Some(limit) = self.limit_of(&stored.event) {
                    let _ = writeln!(line, "{:20}{}", "", one_line(&limit, 400));
                }
                say(&line)
            }
        }
    }

    /// What a command says of a limit that it went beyond, where that is the end of a text too long for the event.
    fn limit_of(&self, event: &Event) -> Option<String> {
        let Event::TurnEnded { result: TurnResult::Completed { text, exit: Some(exit) }, .. } =
            event
        else {
            return None;
        };
        let is_long = matches!(text, Ref::Object(_)) && i32::from(exit::BEYOND) == *exit;
        let text = is_long.then(|| self.engine.text(text).ok())??;
        words::beyond(&text).map(str::to_owned)
    }

    /// Begins to listen to a turn.
    fn listen(&mut self, turn: &TurnId) -> bool {
        if self.shown == Shown::Raw {
            tell(&format!("turn {turn}"));
        }
        let tail = self.engine.tail(&self.view.summary, turn);
        let words = self.engine.words(&self.run, turn);
        self.turn = Some(Listened { turn: turn.clone(), tail, words });
        self.hear()
    }

    /// Prints what the turn said since.
    fn hear(&mut self) -> bool {
        let Some(Listened { tail, words, .. }) = &mut self.turn else { return true };
        let (shown, terminal) = (self.shown, self.terminal);
        let mut each = |line: Line| match shown {
            Shown::Raw => raw(&line, terminal),
            Shown::Words | Shown::Events => match words.of(&line) {
                Some(words) => {
                    let words = one_line(&words, 400);
                    words.is_empty() || say(&format!("{:20}| {words}\n", ""))
                }
                None => true,
            },
        };
        match tail.more(&mut each) {
            Ok(read) => read,
            Err(error) => {
                tell(&format!("note: could not read `{}`: {error}", tail.path().display()));
                self.turn = None;
                true
            }
        }
    }

    /// The turn has ended: what was read of it is what was recorded, or else that is said.
    fn heard(&mut self, turn: &TurnId, recorded: Option<&Digest>) -> bool {
        let Some(it) = self.turn.take_if(|it| it.turn == *turn) else { return true };
        let path = it.tail.path().to_owned();
        if !it.tail.is_intact(recorded) {
            let why = if path.is_file() { "is not what was recorded" } else { "is gone" };
            tell(&format!("note: what turn {turn} said {why}: `{}`", path.display()));
        }
        true
    }

    /// Goes on until the run rests; the run's exit code.
    pub(super) fn follow(mut self, workspace: &Path, named: bool) -> Result<u8, Failure> {
        let mut looks = 0;
        let summary = loop {
            thread::sleep(PAUSE);
            // First who moves it, then what happened: an owner lets go after its last event.
            let summary = self.engine.look(self.view)?;
            let more = self.engine.events_after(&summary.run, self.seq)?;
            if !self.print(&more) || !self.hear() {
                return Ok(exit::OK);
            }
            let moves = matches!(
                self.run.lifecycle,
                Lifecycle::Unstarted | Lifecycle::Running | Lifecycle::Held(_)
            );
            looks = if moves || !more.is_empty() { 0 } else { looks + 1 };
            // One who rests lets go soon; a person in the conversation of a run does not.
            if more.is_empty() && (!summary.owned || looks == PATIENCE) {
                break summary;
            }
        };
        let end = End {
            run: &summary.run,
            task: &summary.task,
            workflow: &summary.workflow,
            state: &self.run,
            output: self.engine.output(&self.run),
            folder: &self.view.folder,
            workspace,
            named,
            owned: summary.owned,
        };
        tell(end.text().trim_end());
        Ok(exit::of_lifecycle(&self.run.lifecycle))
    }
}

/// Prints what a turn printed, where it printed it; at a terminal it moves no cursor.
fn raw(line: &Line, terminal: bool) -> bool {
    match line.stream {
        Stream::Stdout if terminal => say(&format!("{}\n", printable(&line.text))),
        Stream::Stdout => say(&format!("{}\n", line.text)),
        Stream::Stderr => {
            tell(&printable(&line.text));
            true
        }
    }
}

fn last(view: &RunView) -> u64 {
    view.summary.events
}

/// Between two looks at a run that is followed.
const PAUSE: Duration = Duration::from_millis(200);
/// How many looks an owner may take to let go of a run that rests.
const PATIENCE: u32 = 25;
