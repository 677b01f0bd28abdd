//! Laws of what agents ask leave for: an answer is good for what was asked, and once is once.

use botpipe_kernel::ids::{Digest, TurnId};
use botpipe_kernel::run::{Event, Leave, QuestionKind, Run};

use crate::said_permission::wanted;

/// What is known of the answers in the turn that goes on, from the events alone.
#[derive(Default)]
pub(crate) struct Leaves {
    /// The turn that waits for an answer.
    asked: Option<TurnId>,
    given: Vec<(Digest, Leave)>,
    /// Something was allowed for a whole conversation.
    always: bool,
}

/// What the world's agents ask for.
pub(crate) const COMMANDS: [&str; 3] = ["a", "bb", "ccc"];

impl Leaves {
    /// Holds an event against what is known; `open`: whether its turn goes on.
    pub(crate) fn event(&mut self, event: &Event, open: impl Fn(&TurnId) -> bool) {
        match event {
            Event::QuestionAsked { question } => {
                let QuestionKind::Permission { turn, used, .. } = &question.kind else { return };
                self.asked = Some(turn.clone());
                for done in used {
                    let once = |it: &(Digest, Leave)| it.0 == *done && it.1 == Leave::Once;
                    if let Some(at) = self.given.iter().position(once) {
                        self.given.remove(at);
                    }
                }
            }
            Event::PermissionAnswered { turn, permission } => {
                let waited = self.asked.take().as_ref() == Some(turn);
                assert!(waited || open(turn), "{turn} was answered, and asked for nothing");
                self.always |= permission.leave == Leave::Always;
                self.given.push((permission.wanted.exact.clone(), permission.leave));
            }
            Event::TurnEnded { .. } | Event::RunCancelled => self.given.clear(),
            _ => {}
        }
    }

    /// Holds what the run says against it.
    pub(crate) fn check(&self, run: &Run) {
        for command in COMMANDS {
            let wanted = wanted(command);
            let of = |leave| {
                let same = |it: &&(Digest, Leave)| it.0 == wanted.exact && it.1 == leave;
                self.given.iter().filter(same).count()
            };
            let once = of(Leave::Once);
            let said = |done: usize| {
                let used = vec![wanted.exact.clone(); done];
                run.permitted(&wanted, &used).map(|it| it.leave)
            };
            if of(Leave::Denied) > 0 {
                assert_eq!(said(0), Some(Leave::Denied), "`{command}` was denied");
            } else if !self.always {
                assert_eq!(said(0).is_some(), once > 0, "`{command}`: {once} times");
                assert_eq!(said(once), None, "`{command}` was allowed {once} times, and is again");
            }
        }
    }
}
