//! Turns of an agent and the conversations they belong to.

use super::artifact::{Write, writes};
use super::bounds::TurnProvider;
use super::policy::Policy;
use super::tree::{Map, Node, texts};

/// How long a conversation is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Continuity {
    /// For one turn.
    Fresh,
    /// For the run.
    Run,
    /// For the task, over its runs.
    Task,
    /// For each item of the step's worklist.
    WorkItem,
    /// For each text that this template renders to.
    Key(String),
}

impl From<Continuity> for Node {
    fn from(continuity: Continuity) -> Self {
        let word = match continuity {
            Continuity::Fresh => "fresh",
            Continuity::Run => "run",
            Continuity::Task => "task",
            Continuity::WorkItem => "work_item",
            Continuity::Key(template) => {
                return Map::of("continuity", Map::of("key", template)).into();
            }
        };
        Map::of("continuity", word).into()
    }
}

/// The conversation of a turn: one of the workflow's sessions by name, or its own by its [`Continuity`].
#[derive(Debug, Clone)]
pub struct Session {
    node: Node,
}

impl From<&str> for Session {
    fn from(name: &str) -> Self {
        Self { node: name.into() }
    }
}

impl From<String> for Session {
    fn from(name: String) -> Self {
        Self { node: name.into() }
    }
}

impl From<Continuity> for Session {
    fn from(continuity: Continuity) -> Self {
        Self { node: continuity.into() }
    }
}

impl From<Session> for Node {
    fn from(session: Session) -> Self {
        session.node
    }
}

/// A turn of an agent: its prompt, and what is its own.
///
/// A text is a turn of that prompt: a template, or the path of a `.md`, `.txt` or `.j2` file beside the
/// workflow.
#[derive(Debug, Clone)]
#[must_use]
pub struct Turn {
    keys: Map,
}

impl Turn {
    /// A turn of that prompt.
    pub fn new(prompt: impl Into<String>) -> Self {
        Self { keys: Map::of("prompt", prompt.into()) }
    }

    /// What it may do, over what its step says.
    ///
    /// ```
    /// use botpipe::build::{Policy, SandboxMode, Step, Turn};
    ///
    /// let careful = Policy::new().sandbox_mode(SandboxMode::ReadOnly);
    /// let step = Step::produce("fix", "Fix it.").verify(Turn::new("Is it fixed?").policy(careful));
    /// # let _ = step;
    /// ```
    pub fn policy(mut self, policy: Policy) -> Self {
        self.keys.set("policy", policy);
        self
    }

    /// Who does it, in the place of whom its step names.
    pub fn provider(mut self, provider: impl Into<TurnProvider>) -> Self {
        self.keys.set("provider", provider.into());
        self
    }

    /// Its conversation.
    pub fn session(mut self, session: impl Into<Session>) -> Self {
        self.keys.set("session", session.into());
        self
    }
}

/// The turn that is told what the branches of a step came to, and picks the step's route.
#[derive(Debug, Clone)]
#[must_use]
pub struct FanIn {
    keys: Map,
}

impl FanIn {
    /// A turn of that prompt.
    pub fn new(prompt: impl Into<String>) -> Self {
        Self { keys: Map::of("prompt", prompt.into()) }
    }

    /// What it may do, over what its step says.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.keys.set("policy", policy);
        self
    }

    /// Who does it, in the place of whom its step names.
    pub fn provider(mut self, provider: impl Into<TurnProvider>) -> Self {
        self.keys.set("provider", provider.into());
        self
    }

    /// Its conversation.
    pub fn session(mut self, session: impl Into<Session>) -> Self {
        self.keys.set("session", session.into());
        self
    }

    /// Artifacts it writes.
    pub fn writes(mut self, artifacts: impl IntoIterator<Item: Into<Write>>) -> Self {
        self.keys.extend_below("writes", writes(artifacts));
        self
    }

    /// Artifacts that must be there before it.
    pub fn requires(mut self, artifacts: impl IntoIterator<Item: Into<String>>) -> Self {
        self.keys.extend_below("requires", texts(artifacts));
        self
    }
}

macro_rules! of_prompt {
    ($($turn:ident),+) => { $(
        impl From<&str> for $turn {
            fn from(prompt: &str) -> Self {
                Self::new(prompt)
            }
        }

        impl From<String> for $turn {
            fn from(prompt: String) -> Self {
                Self::new(prompt)
            }
        }

        impl From<$turn> for Node {
            fn from(turn: $turn) -> Self {
                match turn.keys.entries.as_slice() {
                    // A prompt that has nothing beside it stands by itself.
                    [(_, prompt)] => prompt.clone(),
                    _ => turn.keys.into(),
                }
            }
        }
    )+ };
}

of_prompt!(Turn, FanIn);
