//! Computing that is no agent's: a shell command, or a function of the program that hosts the run.

use serde::{Deserialize, Serialize};

use crate::ids::{Digest, FunctionName, Role};

/// Code that a step runs, as its work or as a hook.
///
/// # Shape
/// The digest of a command's template, or a call: `{"function": "score", "with": "…"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Code {
    /// Template of a shell command, by digest; run with `sh -c`.
    Command(Digest),
    Call(Call),
}

/// A function of the host, by its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    pub function: FunctionName,
    /// JSON object whose texts are templates, by digest: what it is called with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with: Option<Digest>,
}

/// Code around a step's work; most steps have none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hooks {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Box<Code>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before_producer: Option<Box<Code>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_producer: Option<Box<Code>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before_verifier: Option<Box<Code>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_verifier: Option<Box<Code>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Box<Code>>,
}

impl Code {
    /// The function it calls.
    pub fn function(&self) -> Option<&FunctionName> {
        match self {
            Self::Command(_) => None,
            Self::Call(call) => Some(&call.function),
        }
    }
}

impl Hooks {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The hook of a role; that of a route stands with the route.
    pub fn of(&self, role: Role) -> Option<&Code> {
        match role {
            Role::Before => self.before.as_deref(),
            Role::BeforeProducer => self.before_producer.as_deref(),
            Role::AfterProducer => self.after_producer.as_deref(),
            Role::BeforeVerifier => self.before_verifier.as_deref(),
            Role::AfterVerifier => self.after_verifier.as_deref(),
            Role::After => self.after.as_deref(),
            Role::Worker
            | Role::Producer
            | Role::Verifier
            | Role::Script
            | Role::Outside
            | Role::OnTaken => None,
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Code> {
        let all = [
            &self.before,
            &self.before_producer,
            &self.after_producer,
            &self.before_verifier,
            &self.after_verifier,
            &self.after,
        ];
        all.into_iter().filter_map(|hook| hook.as_deref())
    }
}
