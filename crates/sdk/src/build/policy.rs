//! What the processes of a step may do: modes, paths, network, rules, variables, and bounds of each.

use std::time::Duration;

use botpipe_kernel::plan::{NetworkMode, PermissionMode, SandboxMode, Validation};

use super::tree::{Map, Node, duration, texts};

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

    pub(super) fn into_keys(self) -> Map {
        self.keys
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
        self.keys.push_below("set", name, value.into());
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

impl From<Bounds> for Node {
    fn from(bounds: Bounds) -> Self {
        bounds.keys.into()
    }
}

impl From<Policy> for Node {
    fn from(policy: Policy) -> Self {
        policy.keys.into()
    }
}
