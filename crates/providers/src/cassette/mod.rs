//! A cassette: recorded turns that are played in the place of an agent.

mod difference;
mod read;
mod write;

use std::collections::BTreeMap;

use botpipe_kernel::ids::Digest;
use botpipe_kernel::run::FailureClass;

use difference::difference;

/// Recorded turns of one run and all below it, keyed by the way to them: the turn's path, of a run below
/// as `review/1/lint:fix/1/worker/1`.
///
/// # Shape
/// ```json
/// { "cassette": 2, "workflow": "ralph_loop", "recorded": "with codex",
///   "events": ["run_created workflow=ralph_loop", "…"],
///   "turns": { "plan/1/producer/1": {
///     "request": "<sha256 of the request>", "asked": ["the request,", "line by line"],
///     "activity": ["reads README.md"],
///     "artifacts": { "work": { "text": "…" } },
///     "patch": { "{{ workflow.folder }}/notes.md": { "text": "…" }, "old.txt": null },
///     "answer": "final text, or a list of its lines" } } }
/// ```
/// Only `answer` (or `failed`) must be there. Without a `request` a turn is played whatever is asked;
/// with `asked` a mismatch can say which line differs. `text` may be a list of lines; a file that is no
/// text has `hex` instead. `artifacts` are files by the name the workflow gives them, `patch` are others
/// by path. A turn path has no count of starts, so a turn that was interrupted plays the same recording
/// again; files are whole, so playing twice is playing once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cassette {
    pub workflow: String,
    /// How it came about, for people.
    pub recorded: String,
    /// What the recorded run did, one fact a line; empty: not known.
    pub events: Vec<String>,
    /// In the order in which they ended.
    pub turns: Vec<(String, Recording)>,
}

/// One recorded turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    /// Digest of the request it answered; `None`: it answers any.
    pub request: Option<Digest>,
    /// That request's text.
    pub asked: Option<String>,
    /// What the agent was seen doing.
    pub activity: Vec<String>,
    /// Artifacts it left, by name.
    pub artifacts: BTreeMap<String, FilePatch>,
    /// Other files it left, by path relative to the workspace.
    pub patch: BTreeMap<String, FilePatch>,
    pub end: RecordedEnd,
}

/// How a recorded turn ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordedEnd {
    Answer(String),
    Failed { class: FailureClass, message: String },
}

/// What a turn left of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FilePatch {
    Write { bytes: Vec<u8>, executable: bool },
    Delete,
}

/// A text that is no cassette.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {why}")]
pub struct CassetteError {
    /// The turn, or the line of the text.
    pub place: String,
    pub why: String,
}

/// No recording fits a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    #[error(
        "the cassette has no turn `{turn}`{}{}",
        nearest.as_ref().map(|near| format!(" (the nearest is `{near}`)")).unwrap_or_default(),
        below(difference.as_ref())
    )]
    NoTurn {
        turn: String,
        nearest: Option<String>,
        /// Of what is asked to what the nearest was asked.
        difference: Option<String>,
    },
    #[error(
        "turn `{turn}` was recorded for another request (recorded {recorded}, asked {asked}): its \
         prompt or contract changed since; record again, or play it loosely with `--loose`{}",
        below(difference.as_ref())
    )]
    Request { turn: String, recorded: String, asked: String, difference: Option<String> },
}

fn below(difference: Option<&String>) -> String {
    difference.map(|text| format!("\n  {text}")).unwrap_or_default()
}

impl Cassette {
    /// Version of the format that is written; every older one is read.
    pub const FORMAT: u32 = 2;

    /// The recording of a turn, when it answers this request; `asked` is the request's text, so that a
    /// mismatch can say what differs.
    ///
    /// # Errors
    /// [`Mismatch`]; with `loose`, only when the turn is not there at all.
    pub fn play(
        &self,
        turn: &str,
        request: &Digest,
        asked: &str,
        loose: bool,
    ) -> Result<&Recording, Mismatch> {
        let differs =
            |it: &Recording| it.asked.as_ref().and_then(|recorded| difference(recorded, asked));
        let Some(recording) = self.turn(turn) else {
            let nearest = self.nearest(turn);
            return Err(Mismatch::NoTurn {
                turn: turn.to_owned(),
                nearest: nearest.map(|(path, _)| path.clone()),
                difference: nearest.and_then(|(_, near)| differs(near)),
            });
        };
        match &recording.request {
            Some(recorded) if !loose && recorded != request => Err(Mismatch::Request {
                turn: turn.to_owned(),
                recorded: recorded.short().to_owned(),
                asked: request.short().to_owned(),
                difference: differs(recording),
            }),
            _ => Ok(recording),
        }
    }

    /// Whether the recording of a turn was made for this request, or for any.
    pub fn fits(&self, turn: &str, request: &Digest) -> bool {
        self.turn(turn).is_some_and(|it| it.request.as_ref().is_none_or(|made| made == request))
    }

    fn turn(&self, turn: &str) -> Option<&Recording> {
        self.turns.iter().find(|(path, _)| path == turn).map(|(_, recording)| recording)
    }

    /// The recorded turn that shares the longest beginning, then the longest end.
    fn nearest(&self, turn: &str) -> Option<&(String, Recording)> {
        let same = |a: &mut dyn Iterator<Item = (u8, u8)>| a.take_while(|(a, b)| a == b).count();
        let shared = |other: &str| {
            let ends = &mut turn.bytes().rev().zip(other.bytes().rev());
            (same(&mut turn.bytes().zip(other.bytes())), same(ends))
        };
        let best = self.turns.iter().max_by_key(|(path, _)| shared(path))?;
        (shared(&best.0).0 > 0).then_some(best)
    }
}
