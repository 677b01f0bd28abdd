//! What a run, or a step of it, may spend.

use serde::{Deserialize, Serialize};

/// Bounds of what a run or a step spends; `None`: none. Reaching one stops the run before the next turn.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Millionths of a US dollar, by the harness's own estimates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<u64>,
    /// Tokens of input and output together, as the harness reports them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Turns of agents, those that failed included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turns: Option<u32>,
    /// Milliseconds of all turns of agents together; waiting is free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wall_ms: Option<u64>,
}

impl Budget {
    /// Whether nothing is bounded.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// The kinds that are bounded, and how far.
    pub fn bounds(&self) -> impl Iterator<Item = (Spending, u64)> {
        Spending::ALL.into_iter().filter_map(|of| Some((of, self.of(of)?)))
    }

    /// The bound of a kind.
    pub fn of(&self, kind: Spending) -> Option<u64> {
        match kind {
            Spending::Cost => self.cost,
            Spending::Tokens => self.tokens,
            Spending::Turns => self.turns.map(u64::from),
            Spending::Wall => self.wall_ms,
        }
    }

    /// The narrower of two in every kind.
    #[must_use]
    pub fn within(self, other: &Self) -> Self {
        fn least<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
            one.into_iter().chain(other).min()
        }
        Self {
            cost: least(self.cost, other.cost),
            tokens: least(self.tokens, other.tokens),
            turns: least(self.turns, other.turns),
            wall_ms: least(self.wall_ms, other.wall_ms),
        }
    }

    /// This budget with what it leaves open taken from another.
    #[must_use]
    pub fn or(self, other: &Self) -> Self {
        Self {
            cost: self.cost.or(other.cost),
            tokens: self.tokens.or(other.tokens),
            turns: self.turns.or(other.turns),
            wall_ms: self.wall_ms.or(other.wall_ms),
        }
    }
}

/// One kind of spending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spending {
    /// Millionths of a US dollar.
    Cost,
    Tokens,
    Turns,
    /// Milliseconds.
    Wall,
}

impl Spending {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Cost, Self::Tokens, Self::Turns, Self::Wall];

    /// An amount in words.
    pub fn amount(self, n: u64) -> String {
        match self {
            Self::Cost => format!("${}.{:02}", n / 1_000_000, n / 10_000 % 100),
            Self::Tokens => format!("{n} tokens"),
            Self::Turns => format!("{n} turns"),
            Self::Wall if n < 60_000 => format!("{}.{}s", n / 1000, n / 100 % 10),
            Self::Wall => format!("{}m{:02}s", n / 60_000, n / 1000 % 60),
        }
    }

    /// The key in a file, and the end of the option that raises it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cost => "usd",
            Self::Tokens => "tokens",
            Self::Turns => "turns",
            Self::Wall => "wall",
        }
    }
}
