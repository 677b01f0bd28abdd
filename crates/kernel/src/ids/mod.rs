//! Names and ids: what may stand in them, how they are written and read.

mod turn;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};

pub use turn::{Role, TurnId, VisitId};

/// A name or id that may not be used, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdError {
    /// What kind of id it was to be, as a person would say it: `task id`.
    pub what: &'static str,
    /// The text as given.
    pub value: String,
    /// The rule it breaks.
    pub rule: &'static str,
}

impl fmt::Display for IdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (shown, more) = match self.value.char_indices().nth(SHOWN_CHARS) {
            Some((end, _)) => (&self.value[..end], "…"),
            None => (self.value.as_str(), ""),
        };
        write!(f, "`{}{more}` is no {}: {}", shown.escape_debug(), self.what, self.rule)
    }
}

impl std::error::Error for IdError {}

/// As much of a bad id as a message shows: it comes from people and agents, and may be of any length.
const SHOWN_CHARS: usize = 120;

/// Longest id in bytes: ids become file names beside other words.
pub const MAX_ID_BYTES: usize = 100;

const FOLDER_RULE: &str =
    "use 1 to 100 letters, digits, `.`, `_` or `-`, starting with a letter, a digit or `_`";
const NAME_RULE: &str = "use 1 to 100 letters, digits, `_` or `-`, starting with a letter or `_`";

/// Ids that become folder names: no separators, no leading dot, nothing a shell or path would read.
fn folder_safe(text: &str) -> bool {
    let mut bytes = text.bytes();
    text.len() <= MAX_ID_BYTES
        && bytes.next().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

/// Names an author gives: usable in paths, tags and messages.
fn name_safe(text: &str) -> bool {
    let mut bytes = text.bytes();
    text.len() <= MAX_ID_BYTES
        && bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $valid:path, $rule:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(String);

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                if $valid(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(IdError { what: $what, value: text.to_owned(), rule: $rule })
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id!(
    /// One execution of one plan for one task.
    RunId, "run id", folder_safe, FOLDER_RULE
);
text_id!(
    /// The operator's piece of work; a folder under `.botpipe/tasks/`.
    TaskId, "task id", folder_safe, FOLDER_RULE
);
text_id!(
    /// One of a worklist's items; comes from a file an agent wrote, so it is checked before use.
    ItemId, "item id", folder_safe, FOLDER_RULE
);
text_id!(
    /// A workflow's name.
    WorkflowName, "workflow name", name_safe, NAME_RULE
);
text_id!(
    /// A step's name within its workflow.
    StepId, "step id", name_safe, NAME_RULE
);
text_id!(
    /// A worklist's name; also the template root of its current item's alias.
    WorklistName, "worklist name", name_safe, NAME_RULE
);
text_id!(
    /// An artifact's name within its workflow.
    ArtifactName, "artifact name", name_safe, NAME_RULE
);
text_id!(
    /// A route's tag: what a provider answers to pick it.
    RouteTag, "route tag", name_safe, NAME_RULE
);
text_id!(
    /// A branch of a step's children: a step's name, or what tells an item of its list.
    BranchId, "branch id", folder_safe, FOLDER_RULE
);
text_id!(
    /// A signal's name: what a step waits for, and what is sent.
    SignalName, "signal name", name_safe, NAME_RULE
);
text_id!(
    /// A function of the program that hosts a run.
    FunctionName, "function name", folder_safe, FOLDER_RULE
);
text_id!(
    /// A check's name within its step.
    CheckName, "check name", name_safe, NAME_RULE
);

impl RunId {
    /// The id of the run's child of that number, started in its visit of that number.
    ///
    /// # Shape
    /// `r1.4-0` is the first child of the fourth visit of `r1`; its own children are `r1.4-0.1-0` and so
    /// on. `None`: nested so deep that the name would be too long for a folder.
    pub fn child(&self, visit: u32, index: u32) -> Option<Self> {
        format!("{self}.{visit}-{index}").parse().ok()
    }

    /// The id of the run that a function asked for as the visit's so many-th; counts from 0.
    ///
    /// # Shape
    /// `r1.4-c0`; otherwise as [`RunId::child`].
    pub fn asked_child(&self, visit: u32, index: u32) -> Option<Self> {
        format!("{self}.{visit}-c{index}").parse().ok()
    }

    /// The id of the run that nobody else started: the one that is resumed, answered and cancelled.
    #[must_use]
    pub fn root(&self) -> Self {
        Self(self.0.split('.').next().unwrap_or_default().to_owned())
    }

    /// Whether another run started it.
    pub fn is_child(&self) -> bool {
        self.0.contains('.')
    }
}

text_id!(
    /// A named session's name.
    SessionName, "session name", name_safe, NAME_RULE
);

/// The SHA-256 of some bytes, as 64 lower-case hex digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Digest(String);

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl Digest {
    /// The digest's 32 bytes, written in hex.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = String::with_capacity(64);
        for byte in bytes {
            for digit in [byte >> 4, byte & 15] {
                text.push(char::from(DIGITS[usize::from(digit)]));
            }
        }
        Self(text)
    }

    /// The 64 hex digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first 12 digits: enough for a person.
    pub fn short(&self) -> &str {
        &self.0[..12]
    }
}

impl FromStr for Digest {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        if text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            Ok(Self(text.to_owned()))
        } else {
            Err(IdError {
                what: "digest",
                value: text.to_owned(),
                rule: "a digest is 64 lower-case hex digits",
            })
        }
    }
}

impl TryFrom<String> for Digest {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_is_named_by_its_parent_and_its_place() {
        let root: RunId = "r01-2-0".parse().unwrap();
        let child = root.child(4, 0).unwrap().child(1, 12).unwrap();
        assert_eq!(child.as_str(), "r01-2-0.4-0.1-12");
        assert!(child.is_child() && child.root() == root && !root.is_child());
        let deep = (0..40).try_fold(root, |run, _| run.child(1, 0));
        assert_eq!(deep, None);
    }

    #[test]
    fn an_id_never_leaves_its_folder() {
        for text in ["", ".", "..", "../x", "/x", "a/b", "a\\b", ".hidden", "a\0b", "-rf", "ä"] {
            assert!(text.parse::<TaskId>().is_err(), "{text:?}");
            assert!(text.parse::<ItemId>().is_err(), "{text:?}");
        }
        assert!("csv-export_1.2".parse::<TaskId>().is_ok());
        assert!("a".repeat(101).parse::<TaskId>().is_err());
    }
}
