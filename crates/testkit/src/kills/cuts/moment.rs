//! Where a turn is cut off: a moment inside it that can be seen from outside, and holds until the kill.

use std::fmt;

use serde_json::{Value, json};

/// What the agent is at when Botpipe is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moment {
    /// The CLI is started and has not asked the model yet.
    Starting,
    /// The model has the turn's first request and has not begun to answer.
    Asked,
    /// A command of the agent's runs, half of its work done.
    Command,
    /// The model has the result of a first command and has not begun to answer.
    Between,
    /// The model is in the middle of its last message.
    Answering,
}

impl Moment {
    /// All of them.
    pub(super) const ALL: [Self; 5] =
        [Self::Starting, Self::Asked, Self::Command, Self::Between, Self::Answering];

    /// The rule that brings a start of a turn to this moment, and holds it there.
    pub(super) fn rule(self, start: &str) -> Value {
        let name = rule_of(start);
        let when = [format!("^- Step: .* turn `{}`", regex::escape(start))];
        let half =
            "Half of what I have to say is said when the connection falls silent. ".repeat(8);
        match self {
            Self::Starting | Self::Asked => {
                json!({ "name": name, "when": when, "say": "never", "silent": "at_once" })
            }
            Self::Command => {
                let run = [format!("{}exec sleep {ASLEEP}", half_done(start))];
                json!({ "name": name, "when": when, "run": run, "say": "never" })
            }
            Self::Between => {
                let run = ["cat README.md"];
                json!({ "name": name, "when": when, "run": run, "say": "never", "silent": "at_once" })
            }
            Self::Answering => {
                let run = ["cat README.md"];
                json!({ "name": name, "when": when, "run": run, "say": half, "silent": "halfway" })
            }
        }
    }

    /// Whether the agent had run a command, or begun to, by then.
    pub(super) fn acted(self) -> bool {
        !matches!(self, Self::Starting | Self::Asked)
    }
}

/// The file that a command left half done in this turn, if it is a turn that works on files.
pub(super) fn half_file(turn: &str) -> Option<&'static str> {
    match turn {
        "implement[item-1]/1/producer/1" | "implement[item-1]/2/producer/1" => Some("src/greet.sh"),
        "implement[item-2]/1/producer/1" => Some("tests/greet_test.sh"),
        _ => None,
    }
}

fn half_done(start: &str) -> String {
    let turn = start.split('~').next().unwrap_or(start);
    let half = |file| format!("mkdir -p \"$(dirname {file})\" && echo half > {file} && ");
    half_file(turn).map(half).unwrap_or_default()
}

/// The name of the rule that holds a start of a turn.
pub(super) fn rule_of(start: &str) -> String {
    format!("held: {start}")
}

/// How long the command that is cut off would sleep, in seconds: a number that nobody else sleeps.
pub(super) const ASLEEP: &str = "613";

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Starting => "the CLI starts, the model is not asked yet",
            Self::Asked => "the model is asked, no answer yet",
            Self::Command => "a command runs",
            Self::Between => "the model is asked again after a command",
            Self::Answering => "the model is in the middle of its answer",
        })
    }
}
