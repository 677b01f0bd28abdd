//! What a person is asked about a turn that was cut off, and the answers there are.

use super::facts::{Question, QuestionKind};
use crate::ids::TurnId;

/// The answers to an interrupted turn, and to a tree that somebody edited.
pub(super) const RESUME: &str = "resume";
pub(super) const RESTART: &str = "restart";
pub(super) const KEEP: &str = "keep";
pub(super) const RESTORE: &str = "restore";

pub(super) fn interrupted_question(turn: &TurnId, has_base: bool) -> Question {
    let (more, restart) = if has_base {
        ("; `restart`: put the tree back to where the turn began and ask again.", Some(RESTART))
    } else {
        (". There is no snapshot of where the turn began, so nothing can be put back.", None)
    };
    Question {
        kind: QuestionKind::Interrupted { turn: turn.clone() },
        text: format!("Turn {turn} was interrupted. `resume`: go on with the tree as it is{more}"),
        choices: [Some(RESUME), restart].into_iter().flatten().map(str::to_owned).collect(),
        schema: None,
        shown: Vec::new(),
        until: None,
    }
}

pub(super) fn edited_question(turn: &TurnId, changed: &[String]) -> Question {
    let shown = changed.iter().take(5).map(|path| format!("`{path}`")).collect::<Vec<_>>();
    let more = changed.len().saturating_sub(shown.len());
    let tail = if more > 0 { format!(" and {more} more") } else { String::new() };
    Question {
        kind: QuestionKind::Edited { turn: turn.clone() },
        text: format!(
            "The tree was to be put back for turn {turn}, but it was changed since it was last \
             recorded: {}{tail}. `keep`: go on with the tree as it is; `restore`: put it back (a \
             snapshot of the present tree is kept).",
            shown.join(", ")
        ),
        choices: vec![KEEP.to_owned(), RESTORE.to_owned()],
        schema: None,
        shown: Vec::new(),
        until: None,
    }
}
