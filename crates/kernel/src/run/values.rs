//! What a run keeps between its steps: its state, and what led to the step it is at.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::facts::Ref;
use super::state::Place;
use crate::ids::{ItemId, RouteTag, StepId, VisitId};
use crate::plan::{StatePlace, StateScope};

/// A value that was put into a place of the state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateChange {
    pub place: StatePlace,
    /// JSON.
    pub value: Ref,
}

/// The values that were set; what was not set has its schema's default, if any.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Values {
    run: BTreeMap<String, Ref>,
    steps: BTreeMap<StepId, BTreeMap<String, Ref>>,
    items: BTreeMap<Place, BTreeMap<String, Ref>>,
}

impl Values {
    /// What was set of a scope, as a step and its item see it.
    pub fn of(
        &self,
        scope: StateScope,
        step: Option<&StepId>,
        item: Option<&ItemId>,
    ) -> Option<&BTreeMap<String, Ref>> {
        match scope {
            StateScope::Run => Some(&self.run),
            StateScope::Step => self.steps.get(step?),
            StateScope::Item => {
                self.items.get(&Place { step: step?.clone(), item: Some(item?.clone()) })
            }
        }
    }

    pub(super) fn set(&mut self, visit: &VisitId, changes: &[StateChange]) {
        for StateChange { place, value } in changes {
            let VisitId { step, item, .. } = visit.clone();
            let of_scope = match place.scope {
                StateScope::Run => &mut self.run,
                StateScope::Step => self.steps.entry(step).or_default(),
                StateScope::Item => self.items.entry(Place { step, item }).or_default(),
            };
            of_scope.insert(place.key.clone(), value.clone());
        }
    }
}

/// An outcome as it was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    pub tag: RouteTag,
    /// JSON.
    pub payload: Option<Ref>,
    /// JSON.
    pub fields: Option<Ref>,
}

/// What led to the step a run is at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Led {
    /// The route that was taken.
    pub route: RouteTag,
    pub outcome: Accepted,
}
