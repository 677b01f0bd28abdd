//! The children of a visit: which there are, how far each is, and how they end.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::facts::{Question, Raise, Ref, Stop, Verdict};
use super::hold::{Hold, Spent, is_default};
use crate::ids::{BranchId, Digest, RouteTag, RunId, VisitId};
use crate::plan::Budget;

/// The run that started this one, and where in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parent {
    pub run: RunId,
    pub visit: VisitId,
    pub branch: BranchId,
    /// The way to it from the root: `review/1/lint`, of its own children `review/1/lint:fix/1/a`.
    pub path: String,
}

/// A child that is to be started, and with what; `None`: as its parent was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChildPlan {
    pub branch: BranchId,
    pub run: RunId,
    pub plan: Digest,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Ref>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Ref>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<Ref>,
    /// What its templates know beside that, as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<Ref>,
}

/// One time that a child is to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChildRun {
    pub visit: VisitId,
    pub branch: BranchId,
    pub run: RunId,
    /// Counts from 1.
    pub start: u32,
}

/// What a child may spend in all: a part of what is left of its parent's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    #[serde(default, skip_serializing_if = "Budget::is_none")]
    pub budget: Budget,
    /// Visits of its steps together.
    pub max_steps: u32,
}

/// How a child ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChildEnd {
    /// `None`: it was cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// The route that led to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<RouteTag>,
    /// What it leaves for its parent, as JSON: its output, or the payload of its last outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Ref>,
    /// What it spent in all, its own children included.
    #[serde(default, skip_serializing_if = "is_default")]
    pub spent: Spent,
    /// Visits of its steps.
    pub steps: u32,
}

/// Why a child stands still.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rest {
    Waiting(Question),
    Held(Hold),
    Stopped(Stop),
}

/// The children of a visit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Children {
    /// In order.
    pub plans: Arc<Vec<ChildPlan>>,
    /// How far each is.
    pub states: Vec<ChildState>,
    /// One failed, and the step says that then no other shall go on.
    pub failed_fast: bool,
    /// What was raised when the run was last resumed: for children at a limit of their own.
    pub raise: Raise,
}

/// How far a child is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChildState {
    pub phase: ChildPhase,
    /// How often it was to run: an answer to an earlier time is late.
    pub start: u32,
    pub grant: Grant,
    /// As far as it is known.
    pub spent: Spent,
    pub steps: u32,
}

/// Whether a child moves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChildPhase {
    Planned,
    /// It stood still and may go on as soon as it is granted something.
    Ready {
        answer: Option<Ref>,
    },
    /// It is to run, or runs; with the answer that it waits for.
    Owed {
        answer: Option<Ref>,
    },
    Rests(Box<Rest>),
    Ended(Box<ChildEnd>),
    /// It was never started.
    Skipped,
}

impl Children {
    /// None of them has begun.
    pub(super) fn of(plans: Vec<ChildPlan>) -> Self {
        let state = ChildState {
            phase: ChildPhase::Planned,
            start: 0,
            grant: Grant::default(),
            spent: Spent::default(),
            steps: 0,
        };
        Self {
            states: vec![state; plans.len()],
            plans: Arc::new(plans),
            failed_fast: false,
            raise: Raise::default(),
        }
    }

    /// One more, that has not begun.
    pub(super) fn add(&mut self, plan: ChildPlan) {
        let more = Self::of(vec![plan]);
        Arc::make_mut(&mut self.plans).extend(more.plans.iter().cloned());
        self.states.extend(more.states);
    }

    /// Every child and how far it is.
    pub fn iter(&self) -> impl Iterator<Item = (&ChildPlan, &ChildState)> {
        self.plans.iter().zip(&self.states)
    }

    /// The child of a branch, by position.
    pub(super) fn position(&self, branch: &BranchId) -> Option<usize> {
        self.plans.iter().position(|plan| plan.branch == *branch)
    }

    /// How many are to run or run.
    pub(super) fn running(&self) -> usize {
        self.states.iter().filter(|it| matches!(it.phase, ChildPhase::Owed { .. })).count()
    }
}

impl ChildState {
    /// Whether it is to run as soon as there is room.
    pub(super) fn may_begin(&self) -> bool {
        matches!(self.phase, ChildPhase::Planned | ChildPhase::Ready { .. }) || self.is_short()
    }

    /// Whether it stands still because it has used up what it was granted: it goes on when it is
    /// granted more. A bound of its own is none of its parent's.
    pub(super) fn is_short(&self) -> bool {
        let ChildPhase::Rests(rest) = &self.phase else { return false };
        match &**rest {
            Rest::Stopped(Stop::MaxSteps { limit }) => *limit == self.grant.max_steps,
            Rest::Stopped(Stop::Budget { of, limit, .. }) => {
                self.grant.budget.of(*of) == Some(*limit)
            }
            _ => false,
        }
    }
}

impl ChildEnd {
    /// Whether it counts as a success.
    pub fn succeeded(&self, success_routes: &[RouteTag]) -> bool {
        let verdict = matches!(self.verdict, Some(Verdict::Accepted | Verdict::None));
        let by_route = |tag: &RouteTag| success_routes.contains(tag);
        verdict && (success_routes.is_empty() || self.tag.as_ref().is_some_and(by_route))
    }
}
