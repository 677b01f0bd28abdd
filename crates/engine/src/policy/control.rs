//! The controls of a policy by their names, and where the value of one comes from.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! controls {
    ($($name:ident $word:literal,)+) => {
        /// A control of a policy.
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        pub enum Control {
            $(#[serde(rename = $word)] $name,)+
        }

        impl Control {
            /// All of them, in the order in which they are shown.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// Its key in a file; one that stands below another with a dot.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)+
                }
            }
        }
    };
}

controls! {
    SandboxMode "sandbox_mode",
    PermissionMode "permission_mode",
    AllowRead "allow_read",
    DenyRead "deny_read",
    AllowWrite "allow_write",
    DenyWrite "deny_write",
    Network "network",
    Domains "network_domains",
    Presets "network_presets",
    DenyDomains "deny_network_domains",
    LocalBinding "allow_local_binding",
    AllowPermissions "allow_permissions",
    AskPermissions "ask_permissions",
    DenyPermissions "deny_permissions",
    AllowVariables "environment.allow",
    DenyVariables "environment.deny",
    SetVariables "environment.set",
    Wall "limits.wall",
    Cpu "limits.cpu",
    Memory "limits.memory",
    FileSize "limits.file_size",
    Output "limits.output",
    Processes "limits.processes",
    Validation "validation",
    Strict "strict",
}

impl fmt::Display for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which layer the value of a control comes from; of several that narrow it, the last one.
///
/// # Shape
/// `{"kind":"default"}`, `{"kind":"repository","path":"botpipe.yaml"}`, `{"kind":"step"}`
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Origin {
    Default,
    /// The repository's settings.
    Repository {
        path: String,
    },
    Workflow,
    Step,
    Turn,
    /// An operator's file.
    Ceiling {
        path: String,
    },
}

impl Origin {
    /// In whose file or part of a file a line stands, to follow the line.
    pub(crate) fn whose(&self) -> String {
        match self {
            Self::Default => "in the workflow, or a file of `--policy`,".to_owned(),
            Self::Repository { path } => format!("in `{path}`"),
            Self::Workflow | Self::Step | Self::Turn => format!("of the {self}"),
            Self::Ceiling { path } => format!("in `{path}`, which narrows it,"),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Repository { path } => f.write_str(path),
            Self::Workflow => f.write_str("workflow"),
            Self::Step => f.write_str("step"),
            Self::Turn => f.write_str("turn"),
            Self::Ceiling { path } => write!(f, "ceiling {path}"),
        }
    }
}
