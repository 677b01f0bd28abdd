//! Runs below a step: another workflow, branches side by side, or one branch for each item of a list.

use serde::{Deserialize, Serialize};

use super::TurnPlan;
use crate::ids::{ArtifactName, BranchId, Digest, RouteTag};

/// What a step starts below itself, and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    pub of: Children,
    /// Children that run at the same time, at most.
    pub concurrency: u32,
    pub settle: Settle,
    pub join: Join,
    #[serde(default, skip_serializing_if = "Isolation::is_shared")]
    pub isolation: Isolation,
    /// The turn that is asked when all children have ended, and picks the route; without one their
    /// ends do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fan_in: Option<TurnPlan>,
}

/// Which runs a step starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Children {
    /// One, of another workflow.
    Workflow { child: Child },
    /// One for each branch.
    Branches { branches: Vec<Branch> },
    /// One for each item of a list.
    Items { over: Over, branch: Branch },
}

/// Where a list of items comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Over {
    /// An expression, by digest.
    Expression(Digest),
    /// A JSON artifact: the array under that key, or the whole file.
    Artifact {
        name: ArtifactName,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        collection: Option<String>,
    },
}

/// A branch: a step that is a run of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Branch {
    /// Its step's id.
    pub name: BranchId,
    pub child: Child,
    /// The routes that count as success; none: all that do not fail.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub success_routes: Vec<RouteTag>,
}

/// The plan of a child and what it is started with; `None`: as the parent was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Child {
    /// The canonical JSON of its plan, by digest.
    pub plan: Digest,
    /// Template of its message, by digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Digest>,
    /// JSON object whose texts are templates, by digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Digest>,
    /// The same for its parameters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<Digest>,
}

/// What a failed child means for the others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Settle {
    /// Nothing: all come to their end.
    #[default]
    All,
    /// No more are started, and those that run are cancelled.
    FailFast,
}

/// Which ends of the children are the route `done`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Join {
    /// All succeeded; some is `partial`, none `failed`.
    #[default]
    AllDone,
    /// All ended, well or not.
    AllSettled,
    /// One succeeded; else `failed`.
    AnyDone,
}

/// The files that the branches work on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// Those of the run that starts them.
    #[default]
    Shared,
    /// A copy for each, as they were when the visit began; what succeeded is merged when all are over.
    Worktree,
}

impl Isolation {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_shared(&self) -> bool {
        *self == Self::Shared
    }
}

impl Group {
    /// The key that says which runs are started.
    pub fn kind(&self) -> &'static str {
        match self.of {
            Children::Workflow { .. } => "workflow",
            Children::Branches { .. } => "parallel",
            Children::Items { .. } => "fan_out",
        }
    }

    /// Children at the same time when the author sets no bound.
    pub const DEFAULT_CONCURRENCY: u32 = 4;
    /// The most that may be set.
    pub const MOST_CONCURRENCY: u32 = 256;

    /// What branches come to, where the step has such a route and one of them ended by its own.
    pub const QUESTION: &'static str = "question";

    /// The plans of its children.
    pub fn plans(&self) -> impl Iterator<Item = &Digest> {
        let branches: Vec<&Child> = match &self.of {
            Children::Workflow { child } => vec![child],
            Children::Branches { branches } => branches.iter().map(|it| &it.child).collect(),
            Children::Items { branch, .. } => vec![&branch.child],
        };
        branches.into_iter().map(|child| &child.plan)
    }

    /// The tags that the ends of its children may come to; beside [`Self::QUESTION`].
    pub fn outcomes(&self) -> &'static [&'static str] {
        match (&self.of, self.join) {
            (_, Join::AllSettled) => &["done"],
            (Children::Workflow { .. }, _) | (_, Join::AnyDone) => &["done", "failed"],
            (_, Join::AllDone) => &["done", "partial", "failed"],
        }
    }

    /// The plan of a child, and the routes that count as its success.
    pub fn child(&self, branch: &BranchId) -> Option<(&Child, &[RouteTag])> {
        match &self.of {
            Children::Workflow { child } => Some((child, &[])),
            Children::Branches { branches } => {
                let branch = branches.iter().find(|it| it.name == *branch)?;
                Some((&branch.child, &branch.success_routes))
            }
            Children::Items { branch, .. } => Some((&branch.child, &branch.success_routes)),
        }
    }
}
