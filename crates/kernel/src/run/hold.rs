//! A run that waits for a time to come, and what a run has spent.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::facts::Stop;
use super::harness::{FailureClass, Usage};
use super::state::{Place, Run};
use crate::ids::StepId;
use crate::plan::{Budget, OnLimit, Spending, Step};

/// Why nothing is asked for a while, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    pub class: FailureClass,
    /// What the harness said.
    pub message: String,
    /// Milliseconds since the epoch when it was begun.
    pub since: u64,
    /// Milliseconds since the epoch when it is over.
    pub until: u64,
    /// The login that is held, in words; nothing for a short pause of this run alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<String>,
    /// Whether the owner stays meanwhile.
    #[serde(default)]
    pub on_limit: OnLimit,
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.class.as_str(), self.message)
    }
}

/// What all turns of a run spent together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Spent {
    /// Turns of agents that ended, well or not.
    #[serde(skip_serializing_if = "is_default")]
    pub turns: u32,
    /// Those of them that reported no usage.
    #[serde(skip_serializing_if = "is_default")]
    pub turns_unknown: u32,
    /// Those that reported usage but no cost.
    #[serde(skip_serializing_if = "is_default")]
    pub turns_unpriced: u32,
    /// Milliseconds that they took.
    #[serde(skip_serializing_if = "is_default")]
    pub wall_ms: u64,
    /// The sum of what was reported; its `cost` is the sum of the known costs.
    #[serde(skip_serializing_if = "is_default")]
    pub usage: Usage,
}

pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Spent {
    /// Adds a turn.
    pub(super) fn add(&mut self, usage: Option<&Usage>, took_ms: u64) {
        self.turns += 1;
        self.wall_ms = self.wall_ms.saturating_add(took_ms);
        let Some(usage) = usage else {
            self.turns_unknown += 1;
            return;
        };
        self.usage.add(usage);
        self.turns_unpriced += u32::from(usage.cost.is_none());
    }

    /// Adds what a turn spent before it was cut off: it is the same turn that goes on, and counts once.
    pub(super) fn add_in_vain(&mut self, usage: Option<&Usage>, took_ms: u64) {
        self.wall_ms = self.wall_ms.saturating_add(took_ms);
        if let Some(usage) = usage {
            self.usage.add(usage);
        }
    }
}

impl Spent {
    /// Adds what a child spent since it was last counted at `before`.
    pub(super) fn add_since(&mut self, now: &Self, before: &Self) {
        self.turns += now.turns.saturating_sub(before.turns);
        self.turns_unknown += now.turns_unknown.saturating_sub(before.turns_unknown);
        self.turns_unpriced += now.turns_unpriced.saturating_sub(before.turns_unpriced);
        self.wall_ms = self.wall_ms.saturating_add(now.wall_ms.saturating_sub(before.wall_ms));
        self.usage.add(&now.usage.since(&before.usage));
    }

    /// How much of a kind was spent, as far as it is known.
    pub fn of(&self, kind: Spending) -> u64 {
        match kind {
            Spending::Cost => self.usage.cost.unwrap_or(0),
            Spending::Tokens => self.usage.input.saturating_add(self.usage.output),
            Spending::Turns => u64::from(self.turns),
            Spending::Wall => self.wall_ms,
        }
    }
}

/// A budget that holds for the visit in progress, and what was spent of it.
#[derive(Debug, Clone)]
pub struct Purse {
    /// The step whose it is; `None`: the run's.
    pub step: Option<StepId>,
    pub budget: Budget,
    pub spent: Spent,
}

impl Purse {
    /// How much of a kind is left, beside what is promised; the stop where nothing is. `None`: that is
    /// not bounded.
    pub fn left(&self, of: Spending, promised: u64) -> Option<Result<u64, Stop>> {
        let (limit, spent) = (self.budget.of(of)?, self.spent.of(of));
        let left = limit.saturating_sub(spent).saturating_sub(promised);
        Some(if left > 0 { Ok(left) } else { Err(self.stop(of, limit, spent)) })
    }

    fn stop(&self, of: Spending, limit: u64, spent: u64) -> Stop {
        match self.step.clone() {
            Some(step) => Stop::StepBudget { step, of, limit, spent },
            None => Stop::Budget { of, limit, spent },
        }
    }
}

impl Run {
    /// What a step may spend in all its visits (per item where it is scoped).
    pub fn budget_of(&self, step: &Step) -> Budget {
        self.raised_budgets.get(&step.id).cloned().unwrap_or_default().or(&step.budget)
    }

    /// The budgets that hold now: the run's, and that of the step it is at.
    pub fn purses(&self) -> Vec<Purse> {
        let (budget, spent) = (self.budget.clone(), self.spent.clone());
        let of_run = Purse { step: None, budget, spent };
        let of_step = self.visit.as_ref().zip(self.current_step()).map(|(visit, step)| Purse {
            step: Some(step.id.clone()),
            budget: self.budget_of(step),
            spent: self.spent_at.get(&Place::of(&visit.id)),
        });
        std::iter::once(of_run).chain(of_step).collect()
    }

    /// The first bound that is reached.
    pub(super) fn reached(&self) -> Option<Stop> {
        let purses = self.purses();
        let left =
            |purse: &Purse| Spending::ALL.into_iter().find_map(|of| purse.left(of, 0)?.err());
        purses.iter().find_map(left)
    }

    /// Counts what was spent, for the run and for the step it is at.
    pub(super) fn spend(&mut self, add: impl Fn(&mut Spent)) {
        add(&mut self.spent);
        let Some(place) = self.visit.as_ref().map(|visit| Place::of(&visit.id)) else { return };
        let mut spent = self.spent_at.get(&place);
        add(&mut spent);
        self.spent_at.set(place, spent);
    }
}
