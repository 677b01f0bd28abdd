//! One layer of settings as plain data: what a file, the environment or the options say, and where.

use std::collections::BTreeMap;
use std::env;
use std::fmt;
use std::path::PathBuf;

use botpipe_kernel::plan::{OnLimit, PolicyLayer, Spending};
use botpipe_kernel::run::{Interface, McpServer};
use serde::Serialize;

use crate::harness::Kind;

/// Where a value comes from.
///
/// # Shape
/// `{"kind":"file","path":"botpipe.yaml","line":2}`, `{"kind":"option","name":"--model"}`,
/// `{"kind":"variable","name":"BOTPIPE_MODEL"}`, `{"kind":"default"}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Origin {
    File { path: String, line: usize },
    Option { name: &'static str },
    Variable { name: &'static str },
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => write!(f, "{path}:{line}"),
            Self::Option { name } => f.write_str(name),
            Self::Variable { name } => write!(f, "${name}"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A value and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting<T> {
    pub value: T,
    pub origin: Origin,
}

impl<T> Setting<T> {
    /// A value that an option gives.
    pub fn option(name: &'static str, value: T) -> Self {
        Self { value, origin: Origin::Option { name } }
    }
}

/// A provider that can be the configured one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Agent {
    Harness(Kind),
    /// Any program.
    Command,
}

impl Agent {
    /// All of them, by name.
    pub const ALL: [(&'static str, Self); 4] = [
        ("codex", Self::Harness(Kind::Codex)),
        ("claude", Self::Harness(Kind::Claude)),
        ("acp", Self::Harness(Kind::Acp)),
        ("command", Self::Command),
    ];

    /// Its name, as it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Harness(kind) => kind.name(),
            Self::Command => "command",
        }
    }

    /// The one of that name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find_map(|(known, agent)| (known == name).then_some(agent))
    }
}

/// What a layer says of a harness.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HarnessLayer {
    pub program: Option<Setting<PathBuf>>,
    pub model: Option<Setting<String>>,
    pub effort: Option<Setting<String>>,
    pub base_url: Option<Setting<String>>,
    pub args: Option<Setting<Vec<String>>>,
    pub instructions: Option<Setting<bool>>,
    pub hooks: Option<Setting<bool>>,
    /// For Codex alone.
    pub interface: Option<Setting<Interface>>,
    pub mcp_servers: BTreeMap<String, Setting<McpServer>>,
}

impl HarnessLayer {
    /// These, and of `below` what these do not say.
    pub(super) fn over(mut self, below: &Self) -> Self {
        self.program = self.program.or_else(|| below.program.clone());
        self.model = self.model.or_else(|| below.model.clone());
        self.effort = self.effort.or_else(|| below.effort.clone());
        self.base_url = self.base_url.or_else(|| below.base_url.clone());
        self.args = self.args.or_else(|| below.args.clone());
        self.instructions = self.instructions.or_else(|| below.instructions.clone());
        self.hooks = self.hooks.or_else(|| below.hooks.clone());
        self.interface = self.interface.or_else(|| below.interface.clone());
        for (name, server) in &below.mcp_servers {
            self.mcp_servers.entry(name.clone()).or_insert_with(|| server.clone());
        }
        self
    }

    /// The name of the first option that speaks of a harness.
    pub fn first_option(&self) -> Option<&'static str> {
        let origins = [
            self.model.as_ref().map(|it| &it.origin),
            self.effort.as_ref().map(|it| &it.origin),
            self.base_url.as_ref().map(|it| &it.origin),
            self.program.as_ref().map(|it| &it.origin),
            self.instructions.as_ref().map(|it| &it.origin),
            self.hooks.as_ref().map(|it| &it.origin),
            self.interface.as_ref().map(|it| &it.origin),
        ];
        origins.into_iter().flatten().find_map(|origin| match origin {
            Origin::Option { name } => Some(*name),
            _ => None,
        })
    }
}

/// What one file, the environment or the options say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layer {
    pub agent: Option<Setting<Agent>>,
    /// For the provider the layer names, or for any.
    pub any: HarnessLayer,
    pub codex: HarnessLayer,
    pub claude: HarnessLayer,
    /// The program and the arguments of `command`.
    pub command: Option<Setting<Vec<String>>>,
    pub max_steps: Option<Setting<u32>>,
    /// In the units of each kind.
    pub budget: Vec<(Spending, Setting<u64>)>,
    pub on_limit: Option<Setting<OnLimit>>,
    /// Nobody is there to be asked.
    pub full_auto: Option<Setting<bool>>,
    /// Of a repository's file an author's, else a ceiling.
    pub policy: Option<Setting<PolicyLayer>>,
}

impl Layer {
    /// What the layer says of a harness.
    pub(super) fn of_harness(&self, kind: Kind) -> HarnessLayer {
        let nothing = HarnessLayer::default();
        let specific = match kind {
            Kind::Codex => &self.codex,
            Kind::Claude => &self.claude,
            Kind::Acp => &nothing,
        };
        let named = self.agent.as_ref().map(|it| it.value);
        let holds = named.is_none_or(|named| named == Agent::Harness(kind));
        if holds { specific.clone().over(&self.any) } else { specific.clone() }
    }

    /// What the environment says.
    ///
    /// # Errors
    /// In words: a variable whose value is none that it takes, or one that is written like a variable of Botpipe's and is
    /// none. Others of that beginning are for programs, and may be here where Botpipe is started by one.
    pub(super) fn of_environment() -> Result<Self, String> {
        let names = env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        if let Some(problem) = names.filter_map(|name| miswritten(&name)).min() {
            return Err(problem);
        }
        if let Some(problem) = crate::confine::site::wrong_grant() {
            return Err(problem);
        }
        let read = |name: &'static str| -> Result<Option<Setting<String>>, String> {
            match env::var(name) {
                Ok(value) if value.trim().is_empty() => Ok(None),
                Ok(value) => Ok(Some(Setting { value, origin: Origin::Variable { name } })),
                Err(env::VarError::NotPresent) => Ok(None),
                Err(env::VarError::NotUnicode(_)) => Err(format!("${name} is not UTF-8")),
            }
        };
        let agent = read("BOTPIPE_PROVIDER")?
            .map(|Setting { value, origin }| match Agent::of(&value) {
                Some(value) => Ok(Setting { value, origin }),
                None => Err(format!(
                    "{origin} names no provider that can be configured: it is `codex`, `claude` or \
                     `command`, not `{}`",
                    value.escape_debug()
                )),
            })
            .transpose()?;
        let any = HarnessLayer {
            model: read("BOTPIPE_MODEL")?,
            effort: read("BOTPIPE_MODEL_EFFORT")?,
            base_url: read("BOTPIPE_BASE_URL")?,
            ..HarnessLayer::default()
        };
        Ok(Self { agent, any, ..Self::default() })
    }
}

/// The variables of Botpipe's own environment.
const VARIABLES: [&str; 7] = [
    "BOTPIPE_PROVIDER",
    "BOTPIPE_MODEL",
    "BOTPIPE_MODEL_EFFORT",
    "BOTPIPE_BASE_URL",
    "BOTPIPE_ALLOW_READ",
    "BOTPIPE_ALLOW_WRITE",
    "BOTPIPE_ALLOW_CONNECT",
];

/// What is said of a name that was meant to be one of them.
fn miswritten(name: &str) -> Option<String> {
    if !name.to_ascii_uppercase().starts_with("BOTPIPE") || VARIABLES.contains(&name) {
        return None;
    }
    let distance = |known: &&&str| strsim::damerau_levenshtein(&name.to_ascii_uppercase(), known);
    let near = VARIABLES.iter().min_by_key(distance).filter(|near| distance(near) <= SLIPS)?;
    Some(format!("${name} is no variable of Botpipe's; did you mean `{near}`?"))
}

/// The letters that a name may differ in and still be meant.
const SLIPS: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_was_meant_is_told_and_no_other() {
        let told = miswritten("BOTPIPE_ALOW_WRITE").unwrap();
        assert_eq!(
            told,
            "$BOTPIPE_ALOW_WRITE is no variable of Botpipe's; did you mean `BOTPIPE_ALLOW_WRITE`?"
        );
        assert!(miswritten("BOTPIPE_Model").unwrap().ends_with("did you mean `BOTPIPE_MODEL`?"));
        for name in
            ["BOTPIPE_MODEL", "BOTPIPE_TURN", "BOTPIPE_ROLE", "BOTPIPE_REQUIRE_CODEX", "HOME"]
        {
            assert_eq!(miswritten(name), None, "{name}");
        }
    }
}
