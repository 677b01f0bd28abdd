//! A route: the named exit of a step, what it obliges, where it leads.

use serde::{Deserialize, Serialize};

use super::{Assignment, Code};
use crate::ids::{ArtifactName, CheckName, Digest, RouteTag, StepId};
use crate::run::Verdict;

/// A named exit of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    pub tag: RouteTag,
    pub action: Action,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// Artifacts that must be there for this route; `None`: the step's required ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub required_writes: Option<Vec<ArtifactName>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub required_checks: Vec<CheckName>,
    /// JSON Schema of the outcome's payload, by digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Digest>,
    /// Template of the text handed to the next visit, by digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handoff: Option<Digest>,
    /// For `AWAIT_INPUT`: JSON Schema of the person's answer, by digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Digest>,
    /// For a route that ends the run: the verdict, when it is not the target's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// Expression that takes this route after any valid outcome when it is true, by digest. Such a
    /// route is never offered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Digest>,
    /// What taking it puts into the state.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub set: Vec<Assignment>,
    #[serde(default, skip_serializing_if = "Visibility::is_provider")]
    pub visibility: Visibility,
    /// JSON Schema of the outcome's `route_fields`, by digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route_fields: Option<Digest>,
    /// Not the step's own: a helper, or one of the workflow's `global_routes`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub inherited: bool,
    /// Run when it is taken, before the run goes where it leads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_taken: Option<Box<Code>>,
}

/// To whom a route is offered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    /// To the agent that decides.
    #[default]
    Provider,
    /// To no agent.
    Hidden,
    /// To the agent, unless the run is to go on without people.
    InteractiveOnly,
}

impl Visibility {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_provider(&self) -> bool {
        *self == Self::Provider
    }
}

impl Route {
    /// Whether an agent may ever be offered it, in a run that does without people or not.
    pub fn is_offered(&self, full_auto: bool) -> bool {
        self.when.is_none()
            && match self.visibility {
                Visibility::Provider => true,
                Visibility::Hidden => false,
                Visibility::InteractiveOnly => !full_auto,
            }
    }
}

/// What taking a route does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    To(Target),
    /// Marks the current item completed, then goes to `next` with the following item, or to
    /// `exhausted` when there is none.
    CompleteAndAdvance {
        next: Target,
        exhausted: Target,
    },
    /// Leaves the current item as it is, for good, and goes to `next` with the one after it.
    Advance {
        next: Target,
        exhausted: Target,
    },
    /// Marks the current item completed, and stays with it.
    CompleteCurrent {
        next: Target,
    },
    /// Reads the items again, then goes to `next`, or to `exhausted` when none is open.
    Refresh {
        next: Target,
        exhausted: Target,
    },
    /// Marks the current item as not completed.
    Reset {
        next: Target,
    },
}

impl Action {
    /// Every target this action may lead to.
    pub fn targets(&self) -> impl Iterator<Item = &Target> {
        let first = match self {
            Self::To(target) => target,
            Self::CompleteAndAdvance { next, .. }
            | Self::Advance { next, .. }
            | Self::CompleteCurrent { next }
            | Self::Refresh { next, .. }
            | Self::Reset { next } => next,
        };
        std::iter::once(first).chain(self.exhausted())
    }

    /// Where it leads when no item is left.
    pub fn exhausted(&self) -> Option<&Target> {
        match self {
            Self::CompleteAndAdvance { exhausted, .. }
            | Self::Advance { exhausted, .. }
            | Self::Refresh { exhausted, .. } => Some(exhausted),
            Self::To(_) | Self::CompleteCurrent { .. } | Self::Reset { .. } => None,
        }
    }
}

/// Where a route leads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    Step(StepId),
    #[serde(rename = "self")]
    SelfStep,
    Finish,
    Fail,
    AwaitInput,
}
