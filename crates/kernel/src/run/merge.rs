//! What branches with files of their own changed, brought together.

use serde::{Deserialize, Serialize};

use super::children::{ChildPhase, Children};
use super::effect::Effect;
use super::facts::SnapshotId;
use super::state::{Run, Visit};
use crate::ids::BranchId;

/// What the changes of the branches come to together: made from recorded trees, then written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Merge {
    /// The files as they were found.
    pub found: SnapshotId,
    /// The same without what an earlier merge of this visit wrote: one side of this one. `None`:
    /// nothing was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ours: Option<SnapshotId>,
    /// What they are to become.
    pub tree: SnapshotId,
    /// In order.
    pub branches: Vec<MergedBranch>,
}

/// What became of a branch's changes: all of them are in the merge, or none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MergedBranch {
    pub branch: BranchId,
    /// Files it changed.
    pub changed: u32,
    /// Files that others changed as well, at the same place; with any, nothing of it is in the merge.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<String>,
    /// The folder with its files, kept because of that; from the workspace on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
}

impl Merge {
    /// The side of the merge that is not a branch's.
    pub fn ours(&self) -> &SnapshotId {
        self.ours.as_ref().unwrap_or(&self.found)
    }

    /// The files because of which a branch's changes were left out.
    pub fn conflicts(&self, branch: &BranchId) -> &[String] {
        let found = self.branches.iter().find(|it| it.branch == *branch);
        found.map_or(&[], |it| &it.conflicts)
    }
}

/// The merge that is to be made: of the branches that succeeded.
pub(super) fn owed(run: &Run, visit: &Visit) -> Effect {
    let group = run.current_step().and_then(|step| step.group());
    let succeeded = |branch| group.and_then(|group| group.child(branch)).map(|(_, routes)| routes);
    let children = visit.children.as_deref();
    let branches = children.into_iter().flat_map(Children::iter).filter_map(|(plan, state)| {
        let ChildPhase::Ended(end) = &state.phase else { return None };
        let good = end.succeeded(succeeded(&plan.branch).unwrap_or_default());
        good.then(|| Some((plan.branch.clone(), end.tree.clone()?))).flatten()
    });
    Effect::Merge {
        visit: visit.id.clone(),
        base: visit.baseline.tree.clone(),
        branches: branches.collect(),
        before: children.and_then(|children| children.merge.clone()),
    }
}

/// The merge that is to be written.
pub(super) fn apply_owed(visit: &Visit) -> Option<Effect> {
    let merge = visit.children.as_ref()?.merge.clone()?;
    Some(Effect::ApplyMerge { visit: visit.id.clone(), merge })
}
