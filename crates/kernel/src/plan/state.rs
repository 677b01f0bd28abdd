//! Where a value of a run's state lives, and what a route puts there.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ids::Digest;

/// How long a value is kept, and for whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StateScope {
    /// For the whole run.
    Run,
    /// For a step.
    Step,
    /// For a step and an item.
    Item,
}

impl StateScope {
    /// Every one, with the word in files and templates.
    pub const ALL: [(&'static str, Self); 3] =
        [("state", Self::Run), ("step_state", Self::Step), ("item_state", Self::Item)];

    /// The word in files and templates.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Run => "state",
            Self::Step => "step_state",
            Self::Item => "item_state",
        }
    }
}

/// A key of the state: `state.round`, `step_state.tries`, `item_state.note`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct StatePlace {
    pub scope: StateScope,
    /// Never empty.
    pub key: String,
}

impl fmt::Display for StatePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.scope.as_str(), self.key)
    }
}

impl FromStr for StatePlace {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no place of a state, such as `state.round`");
        let (root, key) = text.split_once('.').ok_or_else(wrong)?;
        let scope = StateScope::ALL.iter().find(|(word, _)| *word == root).map(|(_, it)| *it);
        let scope = scope.filter(|_| !key.is_empty()).ok_or_else(wrong)?;
        Ok(Self { scope, key: key.to_owned() })
    }
}

impl From<StatePlace> for String {
    fn from(place: StatePlace) -> Self {
        place.to_string()
    }
}

impl TryFrom<String> for StatePlace {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// What a route puts into a place of the state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assignment {
    pub place: StatePlace,
    /// Expression of the value, by digest.
    pub value: Digest,
}
