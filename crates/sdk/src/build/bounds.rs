//! What bounds a run: budget, limits, retries, policy; and who does its turns.

use std::time::Duration;

use botpipe_kernel::plan::{NetworkMode, SandboxMode};

use super::tree::{Map, Node, duration, texts};

/// What a run, or a step of it, may spend.
///
/// ```
/// use std::time::Duration;
///
/// use botpipe::build::Budget;
///
/// let budget = Budget::new().usd(2.5).turns(40).wall(Duration::from_hours(2));
/// # let _ = budget;
/// ```
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Budget {
    keys: Map,
}

impl Budget {
    /// No bound yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// US dollars.
    pub fn usd(self, most: f64) -> Self {
        self.with("usd", most)
    }

    /// Tokens in and out.
    pub fn tokens(self, most: u64) -> Self {
        self.with("tokens", most)
    }

    /// Turns of agents.
    pub fn turns(self, most: u32) -> Self {
        self.with("turns", most)
    }

    /// Time on the clock.
    pub fn wall(self, most: Duration) -> Self {
        self.with("wall", duration(most))
    }

    fn with(mut self, key: &str, value: impl Into<Node>) -> Self {
        self.keys.set(key, value);
        self
    }
}

/// Bounds of a run that are no budget.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Limits {
    keys: Map,
}

impl Limits {
    /// As without.
    pub fn new() -> Self {
        Self::default()
    }

    /// Visits of steps in a run.
    pub fn max_steps(mut self, most: u32) -> Self {
        self.keys.set("max_steps", most);
        self
    }
}

/// What is done about a turn whose work cannot be used.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Retry {
    keys: Map,
}

impl Retry {
    /// As without.
    pub fn new() -> Self {
        Self::default()
    }

    /// Attempts in all.
    pub fn max_attempts(mut self, most: u32) -> Self {
        self.keys.set("max_attempts", most);
        self
    }
}

/// What an agent's commands may do.
///
/// ```
/// use botpipe::build::{NetworkMode, Policy, SandboxMode};
///
/// let careful = Policy::new().sandbox_mode(SandboxMode::ReadOnly).network(NetworkMode::None);
/// # let _ = careful;
/// ```
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Policy {
    keys: Map,
}

impl Policy {
    /// Nothing is asked for yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// How far they are confined.
    pub fn sandbox_mode(mut self, mode: SandboxMode) -> Self {
        self.keys.set("sandbox_mode", mode.as_str());
        self
    }

    /// What they may reach.
    pub fn network(mut self, mode: NetworkMode) -> Self {
        self.keys.set("network", mode.as_str());
        self
    }

    /// `.` for the workspace, and paths outside it, that may be written.
    pub fn allow_write(mut self, paths: impl IntoIterator<Item: Into<String>>) -> Self {
        self.keys.extend_below("allow_write", texts(paths));
        self
    }
}

/// Who does the turns when a run is started without a provider.
#[derive(Debug, Clone)]
#[must_use]
pub struct Provider {
    keys: Map,
}

impl Provider {
    /// Any program and its arguments: the prompt on its standard input, the answer on its output.
    pub fn command(words: impl IntoIterator<Item: Into<String>>) -> Self {
        let mut keys = Map::default();
        keys.extend_below("command", texts(words));
        Self { keys }
    }

    /// A recording beside the workflow.
    pub fn replay(cassette: impl Into<String>) -> Self {
        Self { keys: Map::of("replay", cassette.into()) }
    }

    /// A recording beside the workflow that is played although prompts changed.
    pub fn replay_loosely(cassette: impl Into<String>) -> Self {
        let mut provider = Self::replay(cassette);
        provider.keys.set("loose", true);
        provider
    }
}

macro_rules! as_maps {
    ($($named:ident),+) => { $(
        impl From<$named> for Node {
            fn from(named: $named) -> Self {
                named.keys.into()
            }
        }
    )+ };
}

as_maps!(Budget, Limits, Retry, Policy, Provider);
