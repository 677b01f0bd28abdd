//! What became of the files of branches that had their own, as a run's events tell it.

use botpipe_journal::Stored;
use botpipe_kernel::ids::{BranchId, RunId, VisitId};
use botpipe_kernel::run::{Event, SnapshotId};
use serde::Serialize;

/// The branches of one visit.
///
/// # Shape
/// `{"visit": "sides/1", "written": true, "branches": [{"branch": "docs", "run": "…", "tree": "…",
/// "merged": true, "changed": 2, "conflicts": [], "folder": null}]}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Merges {
    pub visit: VisitId,
    /// Whether the merge is in the files.
    pub written: bool,
    pub branches: Vec<Branch>,
}

/// What became of the files of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Branch {
    pub branch: BranchId,
    pub run: RunId,
    /// The snapshot of its files once it was over.
    pub tree: Option<SnapshotId>,
    /// Whether its changes are in the merge; else nothing of it is.
    pub merged: bool,
    /// Files it changed, where it succeeded.
    pub changed: u32,
    /// Those because of which it was left out.
    pub conflicts: Vec<String>,
    /// Where its files are kept then.
    pub folder: Option<String>,
}

/// Every visit whose branches had files of their own and are over, in order.
pub fn merges(events: &[Stored]) -> Vec<Merges> {
    let mut all: Vec<Merges> = Vec::new();
    let mut here: Vec<Branch> = Vec::new();
    for stored in events {
        match &stored.event {
            Event::ChildrenPlanned { children, .. } => {
                here = children
                    .iter()
                    .map(|plan| Branch {
                        branch: plan.branch.clone(),
                        run: plan.run.clone(),
                        tree: None,
                        merged: false,
                        changed: 0,
                        conflicts: Vec::new(),
                        folder: None,
                    })
                    .collect();
            }
            Event::ChildEnded { branch, end, .. } => {
                let ended = here.iter_mut().find(|it| it.branch == *branch);
                if let Some(ended) = ended {
                    ended.tree.clone_from(&end.tree);
                }
            }
            Event::MergeOwed { visit } => {
                let branches = std::mem::take(&mut here);
                all.push(Merges { visit: visit.clone(), written: false, branches });
            }
            Event::BranchesMerged { merge, .. } => {
                let branches = all.last_mut().map(|last| &mut last.branches);
                for branch in branches.into_iter().flatten() {
                    let of = merge.branches.iter().find(|it| it.branch == branch.branch);
                    let Some(of) = of else { continue };
                    branch.merged = of.conflicts.is_empty();
                    branch.changed = of.changed;
                    branch.conflicts.clone_from(&of.conflicts);
                    branch.folder.clone_from(&of.folder);
                }
            }
            Event::MergeApplied { .. } => {
                if let Some(last) = all.last_mut() {
                    last.written = true;
                }
            }
            _ => {}
        }
    }
    all
}
