//! What follows from outcomes, routes and worklists: where the run goes, and what it keeps.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ids::{ArtifactName, Digest, ItemId, StepId, WorklistName};
use crate::plan::{Step, Target};
use crate::run::event::Event;
use crate::run::facts::{FileStamp, Item, ItemStatus, Ref, Verdict};
use crate::run::state::{Entry, Phase, Run, WorklistState};
use crate::run::values::{Accepted, Led};

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
                self.judged |= self.current_step().is_some_and(Step::judges);
                self.last_payload.clone_from(payload);
                let (tag, payload, fields) = (tag.clone(), payload.clone(), fields.clone());
                self.with_visit(|visit| visit.outcome = Some(Accepted { tag, payload, fields }));
            }
            Event::RouteTaken { visit, to, completed, handoff, tag } => {
                self.last_route = Some(tag.clone());
                let step = self.plan.clone().step(&visit.step).cloned();
                if let Some(step) = step {
                    let verdict = step.route(tag).and_then(|route| route.verdict);
                    let outcome = self.visit.as_mut().and_then(|visit| visit.outcome.take());
                    self.led = outcome.map(|outcome| Led { route: tag.clone(), outcome });
                    self.route_taken(&step, to, completed.as_ref(), handoff.as_ref(), verdict);
                }
            }
            Event::StateSet { visit, changes } => self.values.set(visit, changes),
            Event::StatusWritten { worklist, stamp, .. } => {
                self.status_written(worklist, stamp.as_ref());
            }
            _ => {}
        }
    }

    fn items_read(&mut self, worklist: &WorklistName, source: &Digest, items: &[Item]) {
        let done = items.iter().map(|item| item.status == ItemStatus::Completed).collect();
        let mut state = WorklistState {
            source: source.clone(),
            items: Arc::new(items.to_vec()),
            done,
            current: None,
        };
        state.current = state.first_open(None);
        self.worklists.insert(worklist.clone(), state);
    }

    fn items_rejected(&mut self, worklist: &WorklistName, why: &str) {
        let plan = self.plan.clone();
        let writer = plan
            .worklists
            .get(worklist)
            .and_then(|list| plan.writers(&list.from).next().map(|step| step.id.clone()));
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
        completed: Option<&ItemId>,
        handoff: Option<&Ref>,
        verdict: Option<Verdict>,
    ) {
        self.judged |= step.judges();
        let files = self.visit.take().and_then(|visit| visit.entry_files);
        if let (Some(item), Some(worklist)) = (completed, &step.scope) {
            self.complete(worklist.clone(), item);
        }
        let files = files.filter(|_| completed.is_none());
        self.lead(step, to, handoff, files.as_ref(), verdict);
    }

    fn complete(&mut self, worklist: WorklistName, item: &ItemId) {
        let Some(state) = self.worklists.get_mut(&worklist) else { return };
        if let Some(at) = state.items.iter().position(|other| &other.id == item) {
            state.done[at] = true;
            state.current = state.first_open(None);
        }
        if self.plan.worklists.get(&worklist).is_some_and(|list| list.status.is_some()) {
            self.status_owed = Some((worklist, item.clone(), ItemStatus::Completed));
        }
    }

    /// Notes where the run goes from a step.
    fn lead(
        &mut self,
        from: &Step,
        to: &Target,
        handoff: Option<&Ref>,
        files: Option<&BTreeMap<ArtifactName, FileStamp>>,
        verdict: Option<Verdict>,
    ) {
        let own = if self.judged { Verdict::Accepted } else { Verdict::None };
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
            Target::Finish => self.ending = Some(verdict.unwrap_or(own)),
            Target::Fail => self.ending = Some(Verdict::Rejected),
        }
    }

    fn status_written(&mut self, worklist: &WorklistName, stamp: Option<&FileStamp>) {
        self.status_owed = None;
        if let (Some(state), Some(stamp)) = (self.worklists.get_mut(worklist), stamp) {
            state.source = stamp.digest.clone();
        }
        let source = self.plan.worklists.get(worklist).map(|list| list.from.clone());
        if let (Some(source), Some(stamp), Some(next)) = (source, stamp, &mut self.next)
            && let Some(files) = &mut next.files
        {
            files.insert(source, stamp.clone());
        }
    }
}
