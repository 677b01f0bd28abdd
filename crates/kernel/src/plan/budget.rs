//! What a run may spend.

use serde::{Deserialize, Serialize};

/// Bounds of a run's spending; `None`: none. Reaching one stops the run before the next turn.
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
