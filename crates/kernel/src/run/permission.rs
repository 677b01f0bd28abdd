//! What an agent asks leave for before it does it, and what a person says to that.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::event::Event;
use super::facts::{Question, QuestionKind};
use super::state::Run;
use crate::ids::{Digest, TurnId};

/// Something that an agent's harness asks leave for, as a person is shown it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    pub kind: WantedKind,
    /// The command; of an edit, the paths.
    pub what: String,
    /// What the edit changes, as far as it is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The folder that a command is to run in, where that is not the turn's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// Why, in the agent's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Of all that was asked: an answer is good for this and for nothing else.
    pub exact: Digest,
    /// Of what `always` is good for: the same command, or edits of the same files.
    pub alike: Digest,
}

/// What kind of thing it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WantedKind {
    /// A command is to be run.
    Command,
    /// Files are to be edited.
    Edit,
    /// Something is to be reached by one of the harness's own tools.
    Network,
    /// A tool of the harness is to be used that is none of these.
    Tool,
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = &self.what;
        match self.kind {
            WantedKind::Command => write!(f, "run `{what}`")?,
            WantedKind::Edit => write!(f, "edit `{what}`")?,
            WantedKind::Network => write!(f, "reach `{what}`")?,
            WantedKind::Tool => write!(f, "use `{what}`")?,
        }
        match &self.cwd {
            Some(cwd) => write!(f, " in `{cwd}`"),
            None => Ok(()),
        }
    }
}

/// What a person says to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Leave {
    /// It is denied, for as long as the turn goes on.
    Denied,
    /// This once.
    Once,
    /// For as long as the conversation goes on, also for what is alike.
    Always,
}

/// Something that was asked for, and the answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Permission {
    pub wanted: Wanted,
    pub leave: Leave,
    /// What the person said beside it; the agent is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What the turn that goes on asked leave for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permissions {
    /// What was answered, and stands.
    pub given: Vec<Permission>,
    /// How often it was answered so far, in all starts of the turn.
    pub answered: u32,
}

impl Leave {
    /// Reads an answer: `y`, `a` or `n` (or `yes`, `always`, `no`), and words for the agent behind it.
    pub fn read(answer: &str) -> Option<(Self, Option<String>)> {
        let answer = answer.trim();
        let end = answer.find(|it: char| !it.is_ascii_alphabetic()).unwrap_or(answer.len());
        let (word, rest) = answer.split_at(end);
        let leave = match word.to_ascii_lowercase().as_str() {
            "y" | "yes" => Self::Once,
            "a" | "always" => Self::Always,
            "n" | "no" => Self::Denied,
            _ => return None,
        };
        let apart = rest.is_empty() || rest.starts_with([' ', '\t', '\n', ',', ':', ';', '.']);
        let words = rest.trim_start_matches([',', ':', ';', '.']).trim();
        apart.then(|| (leave, Some(words.to_owned()).filter(|it| !it.is_empty())))
    }
}

/// The words there are for an answer; each may be followed by words for the agent.
pub(super) const CHOICES: [&str; 3] = ["y", "a", "n"];

pub(super) fn question(turn: &TurnId, wanted: &Wanted, used: Vec<Digest>) -> Question {
    let mut text = format!("Turn {turn} asks to {wanted}.");
    for more in [&wanted.why, &wanted.detail].into_iter().flatten() {
        text.push('\n');
        text.push_str(more.trim_end());
    }
    text.push_str(
        "\n`y`: this once; `a`: whenever it asks for that again in this conversation; `n`: no. What \
         follows the letter is told to the agent.",
    );
    Question {
        kind: QuestionKind::Permission {
            turn: turn.clone(),
            wanted: Box::new(wanted.clone()),
            used,
        },
        text,
        choices: CHOICES.map(str::to_owned).to_vec(),
        schema: None,
        shown: Vec::new(),
        until: None,
    }
}

impl Run {
    /// What holds for something that is wanted now: an answer that was given to the same before.
    ///
    /// `used`: what was allowed once, and has been done since the turn was started.
    pub fn permitted(&self, wanted: &Wanted, used: &[Digest]) -> Option<&Permission> {
        let visit = self.visit.as_ref()?;
        let same = |it: &&Permission| it.wanted.exact == wanted.exact;
        let denied =
            visit.permissions.given.iter().filter(same).find(|it| it.leave == Leave::Denied);
        let always = visit
            .session()
            .and_then(|it| self.sessions.get(&it.key))
            .and_then(|it| it.permissions.iter().find(|it| it.wanted.alike == wanted.alike));
        let once = visit.permissions.given.iter().filter(same).filter(|it| it.leave == Leave::Once);
        let done = used.iter().filter(|it| **it == wanted.exact).count();
        denied.or(always).or_else(|| once.skip(done).last())
    }

    /// A person answered.
    pub(super) fn permission_answered(&mut self, event: &Event) {
        let Event::PermissionAnswered { turn, permission } = event else { return };
        let key = self.visit.as_ref().and_then(|visit| visit.keys.get(&turn.role)).cloned();
        if let (Leave::Always, Some(key)) = (permission.leave, key) {
            self.sessions.entry(key).or_default().permissions.push((**permission).clone());
        }
        self.with_visit(|visit| {
            visit.permissions.answered += 1;
            visit.permissions.given.push((**permission).clone());
        });
    }

    /// What was allowed once, and is done, is not allowed again.
    pub(super) fn permissions_used(&mut self, used: &[Digest]) {
        self.with_visit(|visit| {
            let given = &mut visit.permissions.given;
            for done in used {
                let spent = |it: &Permission| it.leave == Leave::Once && it.wanted.exact == *done;
                if let Some(at) = given.iter().position(spent) {
                    given.remove(at);
                }
            }
        });
    }
}
