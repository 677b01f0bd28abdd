//! The harnesses of this version: found on the machine, asked for their version, given a home.

mod find;
mod home;
mod interface;
pub(crate) mod key;
mod place;
mod rollout;
mod version;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use botpipe_kernel::run::{Harness, Interface, McpServer, Provider};
use botpipe_providers::{claude, codex};

pub use find::FindError;
pub(crate) use find::{find, program};
pub(crate) use home::{has_login, login_file, own_home, prepare, stored_login, temporary_folder};
pub(crate) use place::state_folder;
pub(crate) use rollout::{branch, kept_in, rollout, says};
pub use version::{Reading, Version, VersionError, read};

use crate::error::Error;

/// A harness that Botpipe speaks to in its own protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Codex,
    Claude,
    /// Any agent that speaks the Agent Client Protocol.
    Acp,
}

impl Kind {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Codex, Self::Claude, Self::Acp];

    /// The harness of a provider and its settings, if it is one.
    pub fn of(provider: &Provider) -> Option<(Self, &Harness)> {
        match provider {
            Provider::Codex(harness) => Some((Self::Codex, harness)),
            Provider::Claude(harness) => Some((Self::Claude, harness)),
            Provider::Acp(harness) => Some((Self::Acp, harness)),
            Provider::Command { .. } | Provider::Replay { .. } => None,
        }
    }

    /// Its name, as it is chosen and recorded.
    pub fn name(self) -> &'static str {
        match self {
            Self::Codex => "codex",
            Self::Claude => "claude",
            Self::Acp => "acp",
        }
    }

    /// The program it is looked for under, in `PATH`; nothing for one that must be named.
    pub fn program(self) -> &'static str {
        match self {
            Self::Codex => codex::PROGRAM,
            Self::Claude => claude::PROGRAM,
            Self::Acp => "",
        }
    }

    /// The oldest version that is known to work.
    pub fn floor(self) -> Version {
        match self {
            Self::Codex => Version(codex::FLOOR),
            Self::Claude => Version(claude::FLOOR),
            Self::Acp => Version([0; 3]),
        }
    }

    /// The newest version that is tested.
    pub fn tested(self) -> Version {
        match self {
            Self::Codex => Version(codex::TESTED),
            Self::Claude => Version(claude::TESTED),
            Self::Acp => Version([u64::MAX; 3]),
        }
    }

    /// What to do when it is not there.
    pub fn install_hint(self) -> &'static str {
        match self {
            Self::Codex => "install it with `npm install -g @openai/codex`, or say where it is",
            Self::Claude => {
                "install it with `npm install -g @anthropic-ai/claude-code`, or say where it is"
            }
            Self::Acp => "name the agent: `--provider acp -- PROGRAM ARGS…`",
        }
    }
}

/// A harness and its settings, as a person chose them.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub kind: Kind,
    /// Where its program is; `None`: in `PATH`.
    pub program: Option<PathBuf>,
    pub model: Option<String>,
    pub effort: Option<String>,
    /// The model's address.
    pub base_url: Option<String>,
    /// Further arguments of its program.
    pub args: Vec<String>,
    /// Whether instruction files of the workspace are read.
    pub instructions: bool,
    /// Whether the project's own hooks and settings are in force.
    pub hooks: bool,
    pub mcp_servers: BTreeMap<String, McpServer>,
    /// Which of Codex's interfaces, for Codex; `None`: the app server if there is one.
    pub interface: Option<Interface>,
}

impl Wanted {
    /// A harness with nothing set.
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            program: None,
            model: None,
            effort: None,
            base_url: None,
            args: Vec::new(),
            instructions: false,
            hooks: false,
            mcp_servers: BTreeMap::new(),
            interface: None,
        }
    }
}

/// The harness of a new run, and what is worth a warning.
#[derive(Debug, Clone)]
pub struct Chosen {
    pub provider: Provider,
    pub notes: Vec<String>,
}

/// Finds a harness and reads its version; nothing is asked of a model, and nothing is written.
///
/// # Errors
/// No such program; one that does not tell its version, or an older one than is known to work.
pub fn choose(choice: Wanted, workspace: &Path, stage1: Option<&PathBuf>) -> Result<Chosen, Error> {
    let kind = choice.kind;
    let trouble = |message: String| Error::Harness { name: kind.name(), message };
    if kind == Kind::Acp && choice.program.is_none() {
        return Err(trouble(format!("no agent is named; {}", kind.install_hint())));
    }
    let program = find(kind, choice.program.as_deref(), workspace)
        .map_err(|error| trouble(format!("{error}; {}", kind.install_hint())))?;
    if let Some(setting) = not_portable(&choice) {
        return Err(trouble(format!(
            "`{setting}` means nothing to ACP agents in general; give it to the agent itself, by its \
             arguments or its own settings"
        )));
    }
    if kind == Kind::Acp {
        return acp(choice, &program).map_err(trouble);
    }
    let (version, newer) = usable(kind, &program, stage1).map_err(trouble)?;
    let mut notes = Vec::from_iter(newer);
    let (interface, interface_because) = match kind {
        Kind::Codex => interface::choose(choice.interface, &program, stage1).map_err(trouble)?,
        Kind::Claude | Kind::Acp => (None, None),
    };
    notes.extend(interface_because.as_ref().map(|why| {
        format!(
            "{why}, so Codex is driven by `codex exec --json`: no word of it before a whole message, no \
             reset time of a limit, and it is interrupted by signals"
        )
    }));
    let text = |path: &Path| {
        path.to_str().map(str::to_owned).ok_or_else(|| {
            trouble(format!("the path `{}` is not UTF-8, so it cannot be recorded", path.display()))
        })
    };
    let workspace = workspace.canonicalize().unwrap_or_else(|_| workspace.to_owned());
    let home = home::folder(kind, &workspace).map_err(trouble)?;
    let harness = Box::new(Harness {
        program: text(&program)?,
        version: version.to_string(),
        digest: None,
        home: Some(text(&home)?),
        model: choice.model,
        effort: choice.effort,
        base_url: choice.base_url,
        args: choice.args,
        instructions: choice.instructions,
        hooks: choice.hooks,
        mcp_servers: choice.mcp_servers,
        interface,
        interface_because,
    });
    let provider = match kind {
        Kind::Codex => Provider::Codex(harness),
        Kind::Claude => Provider::Claude(harness),
        Kind::Acp => Provider::Acp(harness),
    };
    Ok(Chosen { provider, notes })
}

/// The version of a harness's program, and a warning where it is newer than what is tested.
///
/// # Errors
/// In words: it does not tell its version, or is older than what works.
pub(crate) fn usable(
    kind: Kind,
    program: &Path,
    stage1: Option<&PathBuf>,
) -> Result<(Version, Option<String>), String> {
    let Reading { version } = read(kind, program, stage1).map_err(|error| error.to_string())?;
    if version < kind.floor() {
        return Err(format!(
            "`{}` is version {version}, and {} is the oldest that works with Botpipe; update it",
            program.display(),
            kind.floor()
        ));
    }
    let newer = (version > kind.tested()).then(|| {
        format!(
            "{} {version} is newer than the newest version Botpipe is tested with ({})",
            kind.name(),
            kind.tested()
        )
    });
    Ok((version, newer))
}

/// The setting that an agent of any make cannot be given.
fn not_portable(wanted: &Wanted) -> Option<&'static str> {
    let set = [
        ("model", wanted.model.is_some()),
        ("model_effort", wanted.effort.is_some()),
        ("base_url", wanted.base_url.is_some()),
        ("instructions", wanted.instructions),
        ("hooks", wanted.hooks),
    ];
    set.into_iter().find_map(|(name, set)| (set && wanted.kind == Kind::Acp).then_some(name))
}

/// An ACP agent tells its version only when it is spoken to, and keeps its own home.
fn acp(choice: Wanted, program: &Path) -> Result<Chosen, String> {
    let program = program.to_str().ok_or_else(|| {
        format!("the path `{}` is not UTF-8, so it cannot be recorded", program.display())
    })?;
    let harness = Box::new(Harness {
        program: program.to_owned(),
        version: "unknown".to_owned(),
        args: choice.args,
        mcp_servers: choice.mcp_servers,
        ..Harness::default()
    });
    Ok(Chosen { provider: Provider::Acp(harness), notes: Vec::new() })
}
