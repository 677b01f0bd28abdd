//! What follows from what became of a visit's children.

use crate::ids::{BranchId, Role, RouteTag};
use crate::run::children::{ChildEnd, ChildPhase, ChildPlan, ChildState, Children, Grant, Rest};
use crate::run::facts::{Raise, Ref, Verdict};
use crate::run::hold::Spent;
use crate::run::merge::Merge;
use crate::run::state::{Phase, Run};

impl Run {
    pub(super) fn children_planned(&mut self, plans: &[ChildPlan]) {
        self.with_visit(|visit| {
            visit.children = Some(Box::new(Children::of(plans.to_vec())));
            visit.phase = Phase::Children;
        });
    }

    pub(super) fn child_owed(&mut self, branch: &BranchId, grant: &Grant) {
        self.with_child(branch, |child| {
            child.grant = grant.clone();
            child.start += 1;
            let answer = match &mut child.phase {
                ChildPhase::Ready { answer } => answer.take(),
                _ => None,
            };
            child.phase = ChildPhase::Owed { answer };
        });
    }

    pub(super) fn child_rested(
        &mut self,
        branch: &BranchId,
        rest: &Rest,
        spent: &Spent,
        steps: u32,
    ) {
        self.count_child(branch, spent, steps);
        self.with_child(branch, |child| child.phase = ChildPhase::Rests(Box::new(rest.clone())));
    }

    pub(super) fn child_ended(&mut self, branch: &BranchId, end: &ChildEnd) {
        self.count_child(branch, &end.spent, end.steps);
        // What a child accepted was judged.
        self.judged |= end.verdict == Some(Verdict::Accepted);
        // Whoever asked for a run decides what its end means.
        let asked = self.visit.as_ref().is_some_and(|visit| visit.calling.is_some());
        let group = self.current_step().and_then(|step| step.group()).filter(|_| !asked);
        let success = group
            .and_then(|group| group.child(branch))
            .is_some_and(|(_, success)| end.succeeded(success));
        let fail_fast =
            group.is_some_and(|group| group.settle == crate::plan::Settle::FailFast) && !success;
        self.with_child(branch, |child| child.phase = ChildPhase::Ended(Box::new(end.clone())));
        self.with_children(|children| children.failed_fast |= fail_fast);
    }

    pub(super) fn child_skipped(&mut self, branch: &BranchId) {
        self.with_child(branch, |child| child.phase = ChildPhase::Skipped);
    }

    pub(super) fn children_joined(&mut self, tag: Option<&RouteTag>) {
        self.with_visit(|visit| {
            visit.phase = match tag {
                Some(tag) => Phase::Handing { tag: tag.clone() },
                None => Phase::first_of(&visit.id, Role::Worker),
            };
        });
    }

    pub(super) fn branches_merged(&mut self, merge: &Merge) {
        self.with_children(|children| children.merge = Some(Box::new(merge.clone())));
        self.with_visit(|visit| visit.phase = Phase::Applying);
    }

    /// The answer goes to the child that asked.
    pub(super) fn child_answered(&mut self, branch: &BranchId, answer: &Ref) {
        let answer = Some(answer.clone());
        self.with_child(branch, |child| child.phase = ChildPhase::Ready { answer });
    }

    /// Children that stand still go on with their parent; one that waits for an answer does not.
    pub(super) fn children_resumed(&mut self, raise: &Raise) {
        self.with_children(|children| {
            children.raise = raise.clone();
            for child in &mut children.states {
                let moves = |rest: &Rest| !matches!(rest, Rest::Waiting(_));
                if matches!(&child.phase, ChildPhase::Rests(rest) if moves(rest))
                    && !child.is_short()
                {
                    child.phase = ChildPhase::Ready { answer: None };
                }
            }
        });
    }

    fn count_child(&mut self, branch: &BranchId, spent: &Spent, steps: u32) {
        let mut before = None;
        self.with_child(branch, |child| {
            before = Some((child.spent.clone(), child.steps));
            child.spent = spent.clone();
            child.steps = steps;
        });
        if let Some((spent_before, steps_before)) = before {
            self.spend(|sum| sum.add_since(spent, &spent_before));
            let more = steps.saturating_sub(steps_before);
            self.steps_taken = self.steps_taken.saturating_add(more);
        }
    }

    fn with_child(&mut self, branch: &BranchId, change: impl FnOnce(&mut ChildState)) {
        self.with_children(|children| {
            if let Some(at) = children.position(branch) {
                change(&mut children.states[at]);
            }
        });
    }

    fn with_children(&mut self, change: impl FnOnce(&mut Children)) {
        self.with_visit(|visit| {
            let of_call = visit.calling.as_mut().map(|calling| &mut calling.children);
            if let Some(children) = of_call.or(visit.children.as_deref_mut()) {
                change(children);
            }
        });
    }
}
