//! What follows from functions that are called, and from hooks.

use crate::ids::{ItemId, Role, TurnId, WorklistName};
use crate::plan::{Step, Target, Work};
use crate::run::calls::{Callback, Calling, Leaving, WorklistChange};
use crate::run::children::{ChildPlan, Children};
use crate::run::effect::TurnCause;
use crate::run::event::Event;
use crate::run::facts::{ItemStatus, Ref};
use crate::run::state::{Phase, Run, Visit};

impl Run {
    pub(super) fn called(&mut self, event: &Event) {
        match event {
            Event::CallbackOwed { turn, key, ask, child, .. } => {
                let callback = Callback {
                    key: key.clone(),
                    ask: ask.clone(),
                    child: child.as_ref().map(|child| child.branch.clone()),
                    answer: None,
                    is_answered: false,
                };
                self.with_visit(|visit| visit.callback_owed(turn, callback, child.as_deref()));
            }
            Event::CallbackAnswered { answer, .. } => {
                self.with_visit(|visit| visit.callback_answered(answer.as_ref()));
            }
            Event::HookEnded { turn } => {
                let Some(step) = self.current_step().cloned() else { return };
                self.with_visit(|visit| visit.hook_ended(&step, turn.role));
            }
            Event::ExitPicked { tag, handoff, question, changes, hook, .. } => {
                let leaving = Leaving {
                    tag: tag.clone(),
                    handoff: handoff.clone(),
                    question: question.clone(),
                    changes: changes.clone(),
                };
                self.with_visit(|visit| {
                    visit.leaving = Some(Box::new(leaving));
                    visit.phase = visit.next_of(*hook);
                });
            }
            Event::Redirected { to, handoff, why, .. } => {
                self.last_why.clone_from(why);
                self.redirected(to, handoff.as_ref());
            }
            _ => {}
        }
    }

    fn redirected(&mut self, to: &Target, handoff: Option<&Ref>) {
        let Some(step) = self.current_step().cloned() else { return };
        let files = self.visit.take().and_then(|visit| visit.entry_files);
        self.led = None;
        self.lead(&step, to, handoff, files.as_ref(), None);
    }

    /// Whoever called the function is gone: once there is an answer, it is called again.
    pub(super) fn call_cut(&mut self) {
        self.with_visit(|visit| {
            if let Some(calling) = &mut visit.calling {
                calling.is_cut = true;
            }
        });
    }

    pub(super) fn worklist_changed(&mut self, worklist: &WorklistName, change: &WorklistChange) {
        let told = self.is_told(worklist);
        let Some(state) = self.worklists.get_mut(worklist) else { return };
        let owed = match change {
            WorklistChange::Complete { item } => {
                state.complete(item);
                Some((item.clone(), ItemStatus::Completed))
            }
            WorklistChange::Reset { item } => {
                state.reset(item);
                Some((item.clone(), ItemStatus::Planned))
            }
            WorklistChange::Advance => {
                state.advance();
                None
            }
            WorklistChange::Refresh => {
                self.reread.insert(worklist.clone());
                None
            }
        };
        if let Some((item, status)) = owed.filter(|_| told) {
            self.owe_status(worklist, item, status);
        }
    }

    /// The source is to be told an item's status; what it was to be told before is out of date.
    pub(super) fn owe_status(&mut self, worklist: &WorklistName, item: ItemId, status: ItemStatus) {
        self.status_owed.retain(|(list, known, _)| (list, known) != (worklist, &item));
        self.status_owed.push_back((worklist.clone(), item, status));
    }
}

impl Visit {
    /// The next turn of a role in this visit.
    pub(in crate::run) fn next_of(&self, role: Role) -> Phase {
        let n = self.turns.get(&role).map_or(1, |n| n + 1);
        let turn = TurnId { visit: self.id.clone(), role, n, start: 1 };
        Phase::Preparing { turn, cause: TurnCause::First }
    }

    /// What a visit comes to after a hook before its work; `None`: at its beginning.
    pub(super) fn before_work(&self, step: &Step, after: Option<Role>) -> Phase {
        const ORDER: [Role; 2] = [Role::Before, Role::BeforeProducer];
        let from = after.and_then(|role| ORDER.iter().position(|it| *it == role));
        let mut open = ORDER.iter().skip(from.map_or(0, |at| at + 1));
        if let Some(role) = open.find(|role| step.hooks.of(**role).is_some()) {
            return self.next_of(*role);
        }
        match step.work {
            Work::Ask { .. } => Phase::Posing { changed: Vec::new(), until: None },
            Work::Wait { .. } => Phase::Arming,
            Work::Group { .. } => Phase::Planning,
            _ => self.next_of(step.first_role()),
        }
    }

    fn hook_ended(&mut self, step: &Step, role: Role) {
        let next = match role {
            Role::Before | Role::BeforeProducer => Some(self.before_work(step, Some(role))),
            Role::AfterProducer => Some(Phase::Checking),
            Role::BeforeVerifier => Some(self.next_of(Role::Verifier)),
            _ => {
                let tag = self.leaving.as_ref().map(|leaving| &leaving.tag);
                let hook = tag.and_then(|tag| step.leaving_hook(Some(role), tag));
                hook.map(|hook| self.next_of(hook))
            }
        };
        if let Some(next) = next {
            self.phase = next;
        }
    }

    fn callback_owed(&mut self, turn: &TurnId, callback: Callback, child: Option<&ChildPlan>) {
        let Phase::Turning { prompt, .. } = &self.phase else { return };
        let calling = self.calling.get_or_insert_with(|| {
            Box::new(Calling {
                turn: turn.clone(),
                prompt: prompt.clone(),
                callbacks: Vec::new(),
                children: Children::of(Vec::new()),
                is_cut: false,
            })
        });
        calling.turn = turn.clone();
        calling.prompt = prompt.clone();
        calling.is_cut = false;
        calling.callbacks.push(callback);
        self.phase = Phase::Answering;
        if let Some(child) = child {
            calling.children.add(child.clone());
            self.asked_children += 1;
            self.phase = Phase::Children;
        }
    }

    fn callback_answered(&mut self, answer: Option<&Ref>) {
        let Some(calling) = &mut self.calling else { return };
        if let Some(callback) = calling.callbacks.last_mut() {
            callback.answer = answer.cloned();
            callback.is_answered = true;
        }
        let (turn, prompt) = (calling.turn.clone(), calling.prompt.clone());
        self.phase = Phase::Turning { turn, prompt, session: None, process: None };
    }
}
