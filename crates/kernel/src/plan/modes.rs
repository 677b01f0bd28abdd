//! The modes of a policy: each a short list of words, from the strictest on.

use serde::{Deserialize, Serialize};

macro_rules! modes {
    ($($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $variant:ident $word:literal,)+ })+) => { $(
        $(#[$doc])*
        ///
        /// Ordered: of two, the lesser allows less.
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(rename_all = "snake_case")]
        pub enum $name {
            $($(#[$of])* $variant,)+
        }

        impl $name {
            /// All of them with their words in a file, the strictest first.
            pub const ALL: &'static [(&'static str, Self)] = &[$(($word, Self::$variant),)+];

            /// The word in a file.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }
    )+ };
}

modes! {
    /// How far processes are confined.
    SandboxMode {
        /// Nothing may be written.
        ReadOnly "read_only",
        /// What `allow_write` names may be written, and temporary folders.
        WorkspaceWrite "workspace_write",
        /// As whoever started the run.
        DangerFullAccess "danger_full_access",
    }

    /// What an agent may do without being allowed to by a person.
    PermissionMode {
        /// Nothing that needs a permission.
        DenyAll "deny_all",
        /// Nothing, but a person is asked.
        Ask "ask",
        /// Edits of files; for the rest a person is asked.
        AutoEdit "auto_edit",
        /// Everything that the sandbox allows.
        FullAutoSandboxed "full_auto_sandboxed",
        /// Everything, also outside a sandbox of its own.
        FullAutoUnsandboxed "full_auto_unsandboxed",
    }

    /// What processes may reach.
    NetworkMode {
        /// This machine's loopback, and for an agent its model.
        None "none",
        /// The same, and the domains and presets that are named.
        Limited "limited",
        /// Everything.
        Full "full",
    }

    /// What becomes of a control that nobody enforces.
    Validation {
        /// The run does not begin.
        Fail "fail",
        /// It begins, and the report says so.
        Warn "warn",
        /// It begins.
        Ignore "ignore",
    }
}
