//! What bounds a run: budget, limits, retries; and who does its turns.

use std::time::Duration;

use super::policy::Bounds;
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

    /// What each process of a step may use that says nothing else.
    pub fn processes(mut self, bounds: Bounds) -> Self {
        for (key, value) in bounds.into_keys().entries {
            self.keys.set(&key, value);
        }
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

/// Who does the turns of a step, or one of them: another than the run's provider.
///
/// ```
/// use botpipe::build::{Step, Turn, TurnProvider};
///
/// let step = Step::produce("fix", "Fix it.")
///     .verify(Turn::new("Is it fixed?").provider(TurnProvider::claude().model("opus")))
///     .provider(TurnProvider::codex());
/// # let _ = step;
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct TurnProvider {
    keys: Map,
}

impl TurnProvider {
    /// Codex, as it is configured where the run is started.
    pub fn codex() -> Harness {
        Harness { keys: Map::of("name", "codex") }
    }

    /// Claude Code, as it is configured where the run is started.
    pub fn claude() -> Harness {
        Harness { keys: Map::of("name", "claude") }
    }

    /// The ACP agent that is configured where the run is started.
    pub fn acp() -> Self {
        Self { keys: Map::of("name", "acp") }
    }

    /// Any program and its arguments: the prompt on its standard input, the answer on its output.
    pub fn command(words: impl IntoIterator<Item: Into<String>>) -> Self {
        let mut keys = Map::default();
        keys.extend_below("command", texts(words));
        Self { keys }
    }
}

/// A harness by its name.
#[derive(Debug, Clone)]
#[must_use]
pub struct Harness {
    keys: Map,
}

impl Harness {
    /// In the place of the configured one.
    pub fn model(mut self, model: impl Into<String>) -> Self {
        self.keys.set("model", model.into());
        self
    }
}

impl From<Harness> for TurnProvider {
    fn from(harness: Harness) -> Self {
        Self { keys: harness.keys }
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

as_maps!(Budget, Limits, Retry, Provider);

impl From<TurnProvider> for Node {
    fn from(provider: TurnProvider) -> Self {
        match provider.keys.entries.as_slice() {
            // A name that has nothing beside it stands by itself.
            [(key, name)] if key == "name" => name.clone(),
            _ => provider.keys.into(),
        }
    }
}
