//! Worklists in motion: what is done of them, and where a route leads by what is left.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::facts::{Item, ItemStatus};
use super::state::Run;
use crate::ids::{Digest, ItemId, StepId, WorklistName};
use crate::plan::{Action, Step, Target};

/// A worklist as read, and how far it is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorklistState {
    /// Digest of what it was read from.
    pub source: Digest,
    pub items: Arc<Vec<Item>>,
    /// Completed, by position.
    pub done: Vec<bool>,
    /// Left behind without being completed, by position.
    pub dropped: Vec<bool>,
    /// Position of the current item.
    pub current: Option<usize>,
    /// What the source was when a difference from `source` was last told.
    pub drifted: Option<Digest>,
}

impl WorklistState {
    /// The current item.
    pub fn item(&self) -> Option<&Item> {
        self.current.and_then(|at| self.items.get(at))
    }

    /// A list as it was read; what is known of the same items from before holds on.
    pub(super) fn read(source: &Digest, items: &[Item], before: Option<&Self>) -> Self {
        let known = |id: &ItemId| {
            let before = before?;
            Some((before, before.position(id)?))
        };
        let done = |item: &Item| {
            item.status == ItemStatus::Completed
                || known(&item.id).is_some_and(|(before, at)| before.done[at])
        };
        let dropped = |item: &Item| known(&item.id).is_some_and(|(before, at)| before.dropped[at]);
        let mut state = Self {
            source: source.clone(),
            items: Arc::new(items.to_vec()),
            done: items.iter().map(done).collect(),
            dropped: items.iter().map(dropped).collect(),
            current: None,
            drifted: None,
        };
        let same = before.and_then(Self::item).and_then(|item| state.position(&item.id));
        state.current = same.filter(|at| state.is_open(*at)).or_else(|| state.first_open(None));
        state
    }

    fn position(&self, id: &ItemId) -> Option<usize> {
        self.items.iter().position(|item| &item.id == id)
    }

    fn is_open(&self, at: usize) -> bool {
        !self.done[at] && !self.dropped[at]
    }

    /// The first item that is open, were `also` completed too.
    pub(super) fn first_open(&self, also: Option<&ItemId>) -> Option<usize> {
        let other = |at: &usize| also.is_none_or(|id| id != &self.items[*at].id);
        (0..self.items.len()).find(|at| self.is_open(*at) && other(at))
    }

    /// The first open item after the current one.
    fn next_open(&self) -> Option<usize> {
        let after = self.current.map_or(0, |at| at + 1);
        (after..self.items.len()).find(|at| self.is_open(*at))
    }

    /// Marks an item completed.
    pub(super) fn complete(&mut self, id: &ItemId) {
        if let Some(at) = self.position(id) {
            self.done[at] = true;
        }
    }

    /// Goes to the first open item.
    pub(super) fn first(&mut self) {
        self.current = self.first_open(None);
    }

    /// Leaves the current item behind, and goes to the next open one.
    pub(super) fn advance(&mut self) {
        let next = self.next_open();
        if let Some(at) = self.current.filter(|at| !self.done[*at]) {
            self.dropped[at] = true;
        }
        self.current = next;
    }

    /// Opens an item again.
    pub(super) fn reset(&mut self, id: &ItemId) {
        if let Some(at) = self.position(id) {
            self.done[at] = false;
            self.dropped[at] = false;
        }
    }
}

/// A list that a route wants read again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refreshing {
    pub worklist: WorklistName,
    /// Whose route it was.
    pub step: StepId,
    /// Where it leads when nothing is open.
    pub exhausted: Target,
}

/// What taking a route comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) to: Target,
    pub(super) completed: Option<ItemId>,
    pub(super) dropped: Option<ItemId>,
    pub(super) reset: Option<ItemId>,
}

impl Run {
    /// Where an action leads, given what the worklist would have left.
    pub(super) fn way(&self, step: &Step, action: &Action) -> Way {
        let worklist = step.scope.as_ref().and_then(|name| self.worklists.get(name));
        let item = worklist.and_then(WorklistState::item).map(|item| item.id.clone());
        let stay =
            |to: &Target| Way { to: to.clone(), completed: None, dropped: None, reset: None };
        match action {
            Action::To(target) => stay(target),
            Action::Refresh { next, .. } => stay(next),
            Action::CompleteCurrent { next } => Way { completed: item, ..stay(next) },
            Action::Reset { next } => Way { reset: item, ..stay(next) },
            Action::CompleteAndAdvance { next, exhausted } => {
                let open = worklist.and_then(|list| list.first_open(item.as_ref()));
                Way { completed: item, ..stay(if open.is_some() { next } else { exhausted }) }
            }
            Action::Advance { next, exhausted } => {
                let open = worklist.and_then(WorklistState::next_open);
                let at = worklist.and_then(|list| list.current.filter(|at| !list.done[*at]));
                let dropped = item.filter(|_| at.is_some());
                Way { dropped, ..stay(if open.is_some() { next } else { exhausted }) }
            }
        }
    }

    /// Whether what the run gives back is to be evaluated now.
    pub(super) fn owes_output(&self) -> bool {
        self.output_owed
            && self.visit.is_none()
            && self.ending.is_some()
            && self.to_read().is_none()
    }

    /// Whether a list has to be read before the run goes on: because a route wants it again, or because
    /// the next step works on its items.
    pub(super) fn to_read(&self) -> Option<&WorklistName> {
        if self.visit.is_some() {
            return None;
        }
        if let Some(refreshing) = &self.refreshing {
            return Some(&refreshing.worklist);
        }
        let next = self.next.as_ref().filter(|_| self.ending.is_none())?;
        let scope = self.plan.step(&next.step)?.scope.as_ref()?;
        let unread = !self.worklists.contains_key(scope) || self.reread.contains(scope);
        unread.then_some(scope)
    }
}
