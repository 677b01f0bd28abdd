//! The most provider turns a run may take.

use super::Checked;
use crate::document::WorkDecl;

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
        let turns: u64 = match step.work {
            WorkDecl::Prompt { .. } | WorkDecl::Classify { .. } | WorkDecl::Llm { .. } => 1,
            WorkDecl::ProduceVerify { .. } => 2,
            _ => 0,
        };
        let visit = turns * u64::from(step.max_attempts);
        dearest = dearest.max(visit);
        let total = visit * u64::from(step.max_visits);
        if step.scope.is_some() {
            worst.per_item += total;
        } else {
            worst.fixed += total;
        }
    }
    worst.most = dearest * u64::from(document.max_steps);
    if worst.per_item == 0 {
        worst.most = worst.most.min(worst.fixed);
    }
    worst
}
