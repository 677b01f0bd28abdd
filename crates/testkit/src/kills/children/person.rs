//! Whoever sits in front of the run: looks at it, and gives the command it needs next.

use std::process::Command;

use serde_json::Value;

use super::look::ROOT;
use crate::kills::ground::{Ground, Programs, TASK};

/// What a run needs of a person.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Need {
    /// To be started: nothing is recorded.
    #[default]
    Run,
    /// To be taken up.
    Resume,
    /// An answer to the question of this number.
    Answer(usize),
    /// The signal of this number.
    Signal(usize),
    /// An answer or a signal that nobody knows of.
    Unknown,
    /// Nothing more.
    Nothing,
}

impl Need {
    /// What `runs show --json` says that a run needs.
    pub(super) fn of(show: &str) -> Self {
        let show: Value = serde_json::from_str(show).unwrap_or_default();
        let known = |all: &[(&str, &str)], it: &str| all.iter().position(|(name, _)| *name == it);
        if let Some(text) = show["question"]["text"].as_str() {
            return known(&QUESTIONS, text).map_or(Self::Unknown, Self::Answer);
        }
        if show["wait"]["signal"].is_string() {
            let visit = show["wait"]["visit"].as_str().unwrap_or_default();
            return known(&SIGNALS, visit).map_or(Self::Unknown, Self::Signal);
        }
        let over = show["state"].as_str().is_some_and(|state| state.starts_with("finished"));
        if over { Self::Nothing } else { Self::Resume }
    }

    /// The command that gives it; none where there is none to give.
    pub(super) fn command(self, ground: &Ground, programs: &Programs) -> Option<Command> {
        let botpipe = |words: &[&str]| Some(ground.botpipe(&programs.botpipe, words));
        match self {
            Self::Run => {
                Some(ground.with_agent(programs, &["run", ROOT, "Do it.", "--task", TASK]))
            }
            Self::Resume => botpipe(&["resume", ROOT, TASK]),
            Self::Answer(n) => botpipe(&["answer", ROOT, TASK, "--answer", QUESTIONS[n].1]),
            Self::Signal(n) => botpipe(&["signal", ROOT, TASK, "go", "--id", SIGNALS[n].1]),
            Self::Unknown | Self::Nothing => None,
        }
    }
}

/// What the run asks, in order, and what is answered: the first far below it, the second by itself.
pub(super) const QUESTIONS: [(&str, &str); 2] = [("How many?", "seven"), ("Which colour?", "blue")];

/// Who waits for a signal, in order, and the id of the one that is sent then; both wait for the same name.
pub(super) const SIGNALS: [(&str, &str); 2] = [("first/1", "one"), ("second/1", "two")];

/// What an unkilled run needs, in order.
pub(super) const NEEDS: [Need; 5] =
    [Need::Run, Need::Answer(0), Need::Answer(1), Need::Signal(0), Need::Signal(1)];
