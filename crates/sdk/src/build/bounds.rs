//! What bounds a run: budget, limits, retries, policy; and who does its turns.

use std::time::Duration;

use botpipe_kernel::plan::{NetworkMode, PermissionMode, SandboxMode, Validation};

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
        for (key, value) in bounds.keys.entries {
            self.keys.set(&key, value);
        }
        self
    }
}

/// What each process of a step, with all that it starts, may use. Sizes are in bytes.
///
/// ```
/// use std::time::Duration;
///
/// use botpipe::build::Bounds;
///
/// let bounds = Bounds::new().wall(Duration::from_mins(20)).memory(2 << 30).processes(200);
/// # let _ = bounds;
/// ```
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Bounds {
    keys: Map,
}

impl Bounds {
    /// No bound yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Time on the clock.
    pub fn wall(self, most: Duration) -> Self {
        self.with("wall", duration(most))
    }

    /// Time of the processor.
    pub fn cpu(self, most: Duration) -> Self {
        self.with("cpu", duration(most))
    }

    /// Memory.
    pub fn memory(self, bytes: u64) -> Self {
        self.with("memory", format!("{bytes}B"))
    }

    /// One file that is written.
    pub fn file_size(self, bytes: u64) -> Self {
        self.with("file_size", format!("{bytes}B"))
    }

    /// What it prints.
    pub fn output(self, bytes: u64) -> Self {
        self.with("output", format!("{bytes}B"))
    }

    /// Processes and threads at a time.
    pub fn processes(self, most: u32) -> Self {
        self.with("processes", most)
    }

    fn with(mut self, key: &str, value: impl Into<Node>) -> Self {
        self.keys.set(key, value);
        self
    }
}

/// Which variables processes see.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Environment {
    keys: Map,
}

impl Environment {
    /// Those that pass anyway.
    pub fn new() -> Self {
        Self::default()
    }

    /// Of those that pass anyway, only these.
    pub fn allow(mut self, names: impl IntoIterator<Item: Into<String>>) -> Self {
        self.keys.extend_below("allow", texts(names));
        self
    }

    /// None of these; `*` stands for any characters.
    pub fn deny(mut self, names: impl IntoIterator<Item: Into<String>>) -> Self {
        self.keys.extend_below("deny", texts(names));
        self
    }

    /// Sets a variable for every process. The value is recorded.
    pub fn set(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.keys.put_below("set", name, value.into());
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

/// What the processes of a step may do.
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

    /// What an agent may do without being allowed to by a person.
    pub fn permission_mode(mut self, mode: PermissionMode) -> Self {
        self.keys.set("permission_mode", mode.as_str());
        self
    }

    /// All that may be read, beside what programs need to start.
    pub fn allow_read(self, paths: impl IntoIterator<Item: Into<String>>) -> Self {
        self.list("allow_read", paths)
    }

    /// Paths and globs that nothing reads.
    pub fn deny_read(self, paths: impl IntoIterator<Item: Into<String>>) -> Self {
        self.list("deny_read", paths)
    }

    /// All that may be written; `.` is the workspace, and paths in it narrow it.
    pub fn allow_write(self, paths: impl IntoIterator<Item: Into<String>>) -> Self {
        self.list("allow_write", paths)
    }

    /// Paths and globs that nothing writes.
    pub fn deny_write(self, paths: impl IntoIterator<Item: Into<String>>) -> Self {
        self.list("deny_write", paths)
    }

    /// With [`NetworkMode::Limited`]: `host`, `host:port`, `*.host`.
    pub fn network_domains(self, domains: impl IntoIterator<Item: Into<String>>) -> Self {
        self.list("network_domains", domains)
    }

    /// With [`NetworkMode::Limited`]: `cargo`, `npm`, `pypi`, `go`, `github`, `debian`.
    pub fn network_presets(self, names: impl IntoIterator<Item: Into<String>>) -> Self {
        self.list("network_presets", names)
    }

    /// Domains that are not reached, whatever allows them.
    pub fn deny_network_domains(self, domains: impl IntoIterator<Item: Into<String>>) -> Self {
        self.list("deny_network_domains", domains)
    }

    /// Whether servers may listen on this machine.
    pub fn allow_local_binding(mut self, allow: bool) -> Self {
        self.keys.set("allow_local_binding", allow);
        self
    }

    /// Rules of the provider's own, such as `Bash(make test)`.
    pub fn allow_permissions(self, rules: impl IntoIterator<Item: Into<String>>) -> Self {
        self.list("allow_permissions", rules)
    }

    /// What a person is asked for.
    pub fn ask_permissions(self, rules: impl IntoIterator<Item: Into<String>>) -> Self {
        self.list("ask_permissions", rules)
    }

    /// What is never done.
    pub fn deny_permissions(self, rules: impl IntoIterator<Item: Into<String>>) -> Self {
        self.list("deny_permissions", rules)
    }

    /// Which variables processes see.
    pub fn environment(mut self, environment: Environment) -> Self {
        self.keys.set("environment", environment.keys);
        self
    }

    /// What becomes of a control that nobody enforces.
    pub fn validation(mut self, validation: Validation) -> Self {
        self.keys.set("validation", validation.as_str());
        self
    }

    /// Whether a control counts as enforced only where nothing of it is left open.
    pub fn strict(mut self, strict: bool) -> Self {
        self.keys.set("strict", strict);
        self
    }

    /// What each process may use.
    pub fn limits(mut self, bounds: Bounds) -> Self {
        self.keys.set("limits", bounds);
        self
    }

    fn list(mut self, key: &str, texts_of: impl IntoIterator<Item: Into<String>>) -> Self {
        self.keys.extend_below(key, texts(texts_of));
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

as_maps!(Bounds, Budget, Limits, Retry, Policy, Provider);

impl From<TurnProvider> for Node {
    fn from(provider: TurnProvider) -> Self {
        match provider.keys.entries.as_slice() {
            // A name that has nothing beside it stands by itself.
            [(key, name)] if key == "name" => name.clone(),
            _ => provider.keys.into(),
        }
    }
}
