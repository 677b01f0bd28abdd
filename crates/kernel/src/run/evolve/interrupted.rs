//! What follows from a turn that was cut off: going on, starting over, or a person's word.

use crate::ids::{RouteTag, TurnId};
use crate::plan::OnInterrupt;
use crate::run::conversation::Conversation;
use crate::run::effect::TurnCause;
use crate::run::facts::{InterruptCause, QuestionKind, Ref, SnapshotId};
use crate::run::questions::{RESTART, RESTORE, edited_question, interrupted_question};
use crate::run::state::{Lifecycle, Phase, Run};

impl Run {
    pub(super) fn turn_interrupted(
        &mut self,
        turn: &TurnId,
        cause: &InterruptCause,
        tree: Option<&SnapshotId>,
        then: OnInterrupt,
    ) {
        self.with_visit(|visit| {
            let base = visit.base_of(turn).cloned();
            let again = TurnId { start: turn.start + 1, ..turn.clone() };
            visit.phase = match (then, base) {
                (OnInterrupt::Ask, base) => Phase::Asking {
                    turn: turn.clone(),
                    cause: cause.clone(),
                    question: Box::new(interrupted_question(turn, base.is_some())),
                },
                (OnInterrupt::Restart, Some(to)) => Phase::Restoring {
                    turn: turn.clone(),
                    cause: cause.clone(),
                    to,
                    expected: tree.cloned(),
                },
                (OnInterrupt::Resume, _) | (OnInterrupt::Restart, None) => Phase::Preparing {
                    turn: again,
                    cause: TurnCause::Resumed { cause: cause.clone() },
                },
            };
        });
    }

    /// The turn's conversation remembers work that is no longer there, so another is begun: from where it
    /// stood when that tree was recorded, if it can be.
    pub(super) fn tree_restored(&mut self) {
        let Some(visit) = &mut self.visit else { return };
        let Phase::Restoring { turn, cause, .. } = &visit.phase else { return };
        let turn = turn.clone();
        visit.restarting = Some((turn.clone(), cause.clone()));
        visit.phase = Phase::Entering;
        let mut checkpoints = visit.checkpoints.clone();
        let session =
            self.current_step().and_then(|step| self.session_of(step, &turn.visit, turn.role));
        if let Some(conversation) = session.as_ref().and_then(|it| self.sessions.get_mut(&it.key)) {
            let at = session.and_then(|it| checkpoints.remove(&it.key));
            *conversation = Conversation::back_to(at);
        }
    }

    pub(super) fn restore_refused(&mut self, turn: &TurnId, changed: &[String]) {
        self.with_visit(|visit| {
            if let Phase::Restoring { cause, .. } = &visit.phase {
                visit.phase = Phase::Asking {
                    turn: turn.clone(),
                    cause: cause.clone(),
                    question: Box::new(edited_question(turn, changed)),
                };
            }
        });
    }

    pub(super) fn answer_accepted(&mut self, answer: &Ref, tag: Option<&RouteTag>) {
        let Lifecycle::Waiting(question) =
            std::mem::replace(&mut self.lifecycle, Lifecycle::Running)
        else {
            return;
        };
        if let QuestionKind::Code { turn } = &question.kind {
            return self.with_visit(|visit| {
                visit.answer = Some(answer.clone());
                visit.phase = visit.next_of(turn.role);
            });
        }
        // What was answered is an event of its own, and the turn is on its way already.
        if let QuestionKind::Permission { .. } = &question.kind {
            return;
        }
        if let QuestionKind::Child { branch, .. } = &question.kind {
            self.call_cut();
            return self.child_answered(branch, answer);
        }
        if matches!(question.kind, QuestionKind::Route { .. }) {
            if let Some(next) = &mut self.next {
                next.answer = Some(answer.clone());
            }
            return;
        }
        if let (QuestionKind::Step { visit }, Some(tag)) = (&question.kind, tag) {
            return self.settle(visit, tag, answer.clone());
        }
        let restore = matches!(answer, Ref::Inline(text) if text == RESTART || text == RESTORE);
        self.with_visit(|visit| {
            let Phase::Asking { turn, cause, .. } = &visit.phase else { return };
            let (turn, cause) = (turn.clone(), cause.clone());
            visit.phase = match visit.base_of(&turn).cloned() {
                Some(to) if restore => Phase::Restoring { turn, cause, to, expected: None },
                _ => Phase::Preparing {
                    turn: TurnId { start: turn.start + 1, ..turn },
                    cause: TurnCause::Resumed { cause },
                },
            };
        });
    }
}
