//! Functions of the host in motion: what they ask for, what they return, and what hooks hold up.

use serde::{Deserialize, Serialize};

use super::children::Children;
use super::facts::Ref;
use super::input::{AskedQuestion, Outcome};
use super::values::StateChange;
use crate::ids::{BranchId, Digest, ItemId, RouteTag, TurnId, WorklistName};
use crate::plan::Target;

/// A function that was called, and what it has asked for so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calling {
    /// Its turn; started again, it is answered as before.
    pub turn: TurnId,
    /// What it is called with.
    pub prompt: Ref,
    /// In the order in which it asked.
    pub callbacks: Vec<Callback>,
    /// The runs it asked for.
    pub children: Children,
    /// Whether whoever called it is gone.
    pub is_cut: bool,
}

/// Something that a function asked for while it ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Callback {
    /// Digest of what it asked: a function that asks for something else is not the one that was begun.
    pub key: Digest,
    /// What it asked, as JSON.
    pub ask: Ref,
    /// The run that answers; its end is the answer.
    pub child: Option<BranchId>,
    /// What it was told, as JSON.
    pub answer: Option<Ref>,
    /// Whether it was told.
    pub is_answered: bool,
}

/// A way out of a visit that hooks hold up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leaving {
    pub tag: RouteTag,
    pub handoff: Option<Ref>,
    pub question: Option<AskedQuestion>,
    /// What it puts into the state.
    pub changes: Vec<StateChange>,
}

/// What a function or a hook does to a worklist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorklistChange {
    /// Marks an item completed.
    Complete { item: ItemId },
    /// Opens an item again.
    Reset { item: ItemId },
    /// Leaves the current item behind.
    Advance,
    /// Reads the items again before a step works on them.
    Refresh,
}

/// What code came to, beside what it printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Returned {
    pub control: Control,
    /// What it puts into the state, already checked against the schemas.
    pub changes: Vec<StateChange>,
    pub worklists: Vec<(WorklistName, WorklistChange)>,
}

/// Where code leads a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Control {
    /// On, as without it.
    Go,
    /// Out of the step by an outcome.
    Outcome(Box<Outcome>),
    /// To a step, or to the end, by no route.
    Goto { to: Target, handoff: Option<Ref>, why: Option<String> },
    /// To a person; with the answer it is run again.
    Ask(AskedQuestion),
    /// To the end, rejected.
    Fail { why: String },
}
