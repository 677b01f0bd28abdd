//! The most provider turns a run may take.

use super::Checked;
use crate::document::{ChildrenDecl, StepDecl, WorkDecl};
use botpipe_kernel::plan::Step;

/// The most turns a run may take, before anybody raises a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct WorstCase {
    /// Provider turns of all steps that work on no item.
    pub fixed: u64,
    /// Provider turns for each item of a worklist, over all steps that work on it.
    pub per_item: u64,
    /// Bound by `max_steps`, however many items there are.
    pub most: u64,
}

impl WorstCase {
    /// The most turns of a run whose worklists hold so many items each.
    pub fn with_items(self, items: u64) -> u64 {
        self.fixed.saturating_add(self.per_item.saturating_mul(items)).min(self.most)
    }
}

pub(crate) fn worst_case(checked: &Checked) -> WorstCase {
    let document = &checked.0;
    let mut worst = WorstCase { fixed: 0, per_item: 0, most: 0 };
    let mut dearest = 0;
    for step in &document.steps {
        let Turns { fixed, per_item, dearest: of_step } = of_step(step);
        dearest = dearest.max(of_step);
        let visits = u64::from(step.max_visits);
        if step.scope.is_some() {
            worst.per_item += (fixed + per_item) * visits;
        } else {
            worst.fixed += fixed * visits;
            worst.per_item += per_item * visits;
        }
    }
    // What a function asks for are runs, and each of their steps counts.
    let calls = document.steps.iter().any(calls);
    if calls {
        dearest = dearest.max(u64::from(Step::DEFAULT_MAX_ATTEMPTS));
    }
    worst.most = dearest * u64::from(document.max_steps);
    if worst.per_item == 0 && !calls {
        worst.most = worst.most.min(worst.fixed);
    }
    worst
}

/// Whether a step, or a branch of it, calls a function.
fn calls(step: &StepDecl) -> bool {
    let below = match &step.work {
        WorkDecl::Group(group) => group.branches().any(|branch| calls(&branch.step)),
        _ => false,
    };
    step.calls() || below
}

/// The turns of one visit, attempts included.
struct Turns {
    fixed: u64,
    /// For each item that the step fans out over.
    per_item: u64,
    /// The most turns that one of the run's `max_steps` may take.
    dearest: u64,
}

fn of_step(step: &StepDecl) -> Turns {
    let attempts = u64::from(step.max_attempts);
    let plain =
        |turns: u64| Turns { fixed: turns * attempts, per_item: 0, dearest: turns * attempts };
    match &step.work {
        WorkDecl::Prompt { .. } | WorkDecl::Classify { .. } | WorkDecl::Llm { .. } => plain(1),
        WorkDecl::ProduceVerify { .. } => plain(2),
        WorkDecl::Run { .. }
        | WorkDecl::Validate { .. }
        | WorkDecl::Ask { .. }
        | WorkDecl::Wait { .. }
        | WorkDecl::Unknown => plain(0),
        WorkDecl::Group(group) => {
            let mut turns = plain(u64::from(group.fan_in.is_some()));
            if let ChildrenDecl::Workflow(child) = &group.children
                && let Some((.., worst)) = &child.plan
            {
                turns.fixed += worst.most;
                turns.dearest = turns.dearest.max(worst.most);
            }
            for branch in group.branches() {
                let of_branch = of_step(&branch.step);
                let all = of_branch.fixed * u64::from(branch.step.max_visits);
                turns.dearest = turns.dearest.max(of_branch.fixed);
                match &group.children {
                    ChildrenDecl::Items { .. } => turns.per_item += all,
                    _ => turns.fixed += all,
                }
            }
            turns
        }
    }
}
