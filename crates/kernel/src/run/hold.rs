//! A run that waits for a time to come, and what a run has spent.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::facts::Stop;
use super::harness::{FailureClass, Usage};
use crate::plan::{Budget, OnLimit, Spending};

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

/// The first bound that is reached, and how much was spent.
pub(super) fn reached(budget: &Budget, spent: &Spent) -> Option<Stop> {
    let kinds = [Spending::Cost, Spending::Tokens, Spending::Turns, Spending::Wall];
    kinds.into_iter().find_map(|of| {
        let (limit, spent) = (budget.of(of)?, spent.of(of));
        (spent >= limit).then_some(Stop::Budget { of, limit, spent })
    })
}
