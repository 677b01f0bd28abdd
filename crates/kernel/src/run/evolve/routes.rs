//! What follows from outcomes, routes and worklists: where the run goes, and what it keeps.

use std::collections::BTreeMap;

use crate::ids::{ArtifactName, Digest, ItemId, StepId, WorklistName};
use crate::plan::{Action, Step, Target};
use crate::run::event::Event;
use crate::run::facts::{FileStamp, Item, ItemStatus, Ref, Verdict};
use crate::run::state::{Entry, Phase, Run};
use crate::run::values::{Accepted, Led};
use crate::run::worklists::{Refreshing, WorklistState};

impl Run {
    pub(super) fn routed(&mut self, event: &Event) {
        match event {
            Event::ItemsRead { worklist, source, items } => {
                self.items_read(worklist, source, items);
            }
            Event::ItemsRejected { worklist, why } => self.items_rejected(worklist, why),
            Event::ItemsExhausted { step, to, .. } => {
                self.next = None;
                let step = self.plan.clone().step(step).cloned();
                if let Some(step) = step {
                    self.lead(&step, to, None, None, None);
                }
            }
            Event::OutcomeForced { tag, .. } => {
                self.with_visit(|visit| {
                    visit.phase = Phase::Handing { tag: tag.clone() };
                    visit.outcome =
                        Some(Accepted { tag: tag.clone(), payload: None, fields: None });
                });
            }
            Event::OutcomeAccepted { tag, payload, fields, .. } => {
                self.judged |= self.is_judged();
                self.last_payload.clone_from(payload);
                let (tag, payload, fields) = (tag.clone(), payload.clone(), fields.clone());
                self.with_visit(|visit| visit.outcome = Some(Accepted { tag, payload, fields }));
            }
            Event::RouteTaken { visit, to, completed, handoff, tag, .. } => {
                self.last_route = Some(tag.clone());
                self.last_why = None;
                let step = self.plan.clone().step(&visit.step).cloned();
                if let Some(step) = step {
                    let verdict = step.route(tag).and_then(|route| route.verdict);
                    let outcome = self.visit.as_mut().and_then(|visit| visit.outcome.take());
                    self.led = outcome.map(|outcome| Led { route: tag.clone(), outcome });
                    let action = step.route(tag).map(|route| route.action.clone());
                    let action = action.unwrap_or_else(|| Action::To(to.clone()));
                    let (completed, handoff) = (completed.as_ref(), handoff.as_ref());
                    self.route_taken(&step, to, &action, completed, handoff, verdict);
                }
            }
            Event::SourceDrifted { worklist, source, .. } => {
                if let Some(list) = self.worklists.get_mut(worklist) {
                    list.drifted = Some(source.clone());
                }
            }
            Event::OutputSet { value } => {
                self.output = Some(value.clone());
                self.output_owed = false;
            }
            Event::StateSet { visit, changes } => self.values.set(visit, changes),
            Event::WorklistChanged { worklist, change } => self.worklist_changed(worklist, change),
            Event::StatusWritten { worklist, stamp, .. } => {
                self.status_written(worklist, stamp.as_ref());
            }
            _ => {}
        }
    }

    fn items_read(&mut self, worklist: &WorklistName, source: &Digest, items: &[Item]) {
        let state = WorklistState::read(source, items, self.worklists.get(worklist));
        self.worklists.insert(worklist.clone(), state);
        self.reread.remove(worklist);
        self.refreshing = None;
    }

    fn items_rejected(&mut self, worklist: &WorklistName, why: &str) {
        let plan = self.plan.clone();
        let writer = plan
            .worklists
            .get(worklist)
            .and_then(|list| plan.writers(list.artifact()?).next().map(|step| step.id.clone()));
        // It is read again once its writer has mended it.
        self.refreshing = None;
        self.reread.insert(worklist.clone());
        if let Some(step) = writer {
            self.next = Some(Entry {
                step,
                again: false,
                handoff: Some(Ref::Inline(why.to_owned())),
                answer: None,
                files: None,
            });
        }
    }

    fn route_taken(
        &mut self,
        step: &Step,
        to: &Target,
        action: &Action,
        completed: Option<&ItemId>,
        handoff: Option<&Ref>,
        verdict: Option<Verdict>,
    ) {
        self.judged |= self.is_judged();
        let files = self.visit.take().and_then(|visit| visit.entry_files);
        let same_item = matches!(action, Action::To(_));
        if let Some(worklist) = step.scope.as_ref().filter(|_| !same_item) {
            self.work_on(step, worklist, action, completed);
        }
        self.lead(step, to, handoff, files.filter(|_| same_item).as_ref(), verdict);
    }

    /// Whether the visit in progress was judged: by its judge, or by the checks that came before; a hook that
    /// answers instead of the work judges nothing.
    fn is_judged(&self) -> bool {
        let (Some(step), Some(visit)) = (self.current_step(), &self.visit) else { return false };
        step.judges() && (visit.turns.contains_key(&step.deciding_role()) || visit.sealed.is_some())
    }

    /// What a route does to its worklist.
    fn work_on(
        &mut self,
        step: &Step,
        worklist: &WorklistName,
        action: &Action,
        completed: Option<&ItemId>,
    ) {
        let told = self.is_told(worklist);
        let Some(state) = self.worklists.get_mut(worklist) else { return };
        let item = completed.or(state.item().map(|item| &item.id)).cloned();
        let mut owed = None;
        match (action, &item) {
            (Action::CompleteAndAdvance { .. }, Some(item)) => {
                state.complete(item);
                state.first();
                owed = Some(ItemStatus::Completed);
            }
            (Action::CompleteCurrent { .. }, Some(item)) => {
                state.complete(item);
                owed = Some(ItemStatus::Completed);
            }
            (Action::Reset { .. }, Some(item)) => {
                state.reset(item);
                owed = Some(ItemStatus::Planned);
            }
            (Action::Advance { .. }, _) => state.advance(),
            (Action::Refresh { exhausted, .. }, _) => {
                let (worklist, step) = (worklist.clone(), step.id.clone());
                self.refreshing = Some(Refreshing { worklist, step, exhausted: exhausted.clone() });
            }
            (Action::To(_), _) | (_, None) => {}
        }
        if let (Some(status), Some(item), true) = (owed, item, told) {
            self.owe_status(worklist, item, status);
        }
    }

    /// Whether the file a list was read from is told of its items' statuses.
    pub(super) fn is_told(&self, worklist: &WorklistName) -> bool {
        let list = self.plan.worklists.get(worklist);
        list.is_some_and(|list| list.status.is_some() && list.artifact().is_some())
    }

    /// Notes where the run goes from a step.
    pub(super) fn lead(
        &mut self,
        from: &Step,
        to: &Target,
        handoff: Option<&Ref>,
        files: Option<&BTreeMap<ArtifactName, FileStamp>>,
        verdict: Option<Verdict>,
    ) {
        let own = match self.judged {
            _ if self.worklists.values().any(|list| list.dropped.contains(&true)) => {
                Verdict::Rejected
            }
            true => Verdict::Accepted,
            false => Verdict::None,
        };
        let enter = |step: &StepId, again: bool| {
            Some(Entry {
                step: step.clone(),
                again,
                handoff: handoff.cloned(),
                answer: None,
                files: files.filter(|_| again).cloned(),
            })
        };
        match to {
            Target::Step(id) => self.next = enter(id, *id == from.id && files.is_some()),
            Target::SelfStep | Target::AwaitInput => self.next = enter(&from.id, files.is_some()),
            Target::Finish => {
                self.ending = Some(verdict.unwrap_or(own));
                self.output_owed = self.plan.output.is_some();
            }
            Target::Fail => self.ending = Some(Verdict::Rejected),
        }
    }

    fn status_written(&mut self, worklist: &WorklistName, stamp: Option<&FileStamp>) {
        self.status_owed.pop_front();
        if let (Some(state), Some(stamp)) = (self.worklists.get_mut(worklist), stamp) {
            state.source = stamp.digest.clone();
        }
        let source = self.plan.worklists.get(worklist).and_then(|list| list.artifact().cloned());
        if let (Some(source), Some(stamp), Some(next)) = (source, stamp, &mut self.next)
            && let Some(files) = &mut next.files
        {
            files.insert(source, stamp.clone());
        }
    }
}
