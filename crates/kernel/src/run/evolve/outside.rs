//! Steps that wait for a person, a time or a signal.

use crate::ids::{ArtifactName, Role, RouteTag, TurnId, VisitId};
use crate::run::facts::{Question, Ref};
use crate::run::outside::Signal;
use crate::run::state::{Lifecycle, Phase, Run};

impl Run {
    pub(super) fn answer_refused(&mut self, changed: &[ArtifactName]) {
        let Lifecycle::Waiting(Question { until, .. }) =
            std::mem::replace(&mut self.lifecycle, Lifecycle::Running)
        else {
            return;
        };
        let changed = changed.to_vec();
        self.with_visit(|visit| visit.phase = Phase::Posing { changed, until });
    }

    pub(super) fn signal_received(&mut self, signal: &Signal) {
        self.signals_before.insert(signal.id.clone());
        self.signals.push(signal.clone());
    }

    pub(super) fn wait_ended(&mut self, visit: &VisitId, tag: &RouteTag, signal: Option<&str>) {
        self.lifecycle = Lifecycle::Running;
        let at = signal.and_then(|id| self.signals.iter().position(|signal| signal.id == id));
        let payload = at.map(|at| self.signals.remove(at).payload).unwrap_or_default();
        self.settle(visit, tag, payload);
    }

    /// What came from outside has a tag already; what it hands on is looked at.
    pub(super) fn settle(&mut self, visit: &VisitId, tag: &RouteTag, payload: Ref) {
        let turn = TurnId { visit: visit.clone(), role: Role::Outside, n: 1, start: 1 };
        let tag = Some(tag.clone());
        self.with_visit(|visit| {
            visit.phase = Phase::Judging { turn, text: payload, exit: None, tag };
        });
    }
}
