//! What branches with files of their own changed: brought together, then put into the files they came
//! from.

use botpipe_kernel::ids::{BranchId, VisitId};
use botpipe_kernel::run::{Input, Merge, MergedBranch, SnapshotId};

use super::Trouble;
use crate::confine::merged::Merging;
use crate::confine::site::of_person;
use crate::driver::Driver;
use crate::request::Notice;
use crate::workspace::Error;
use crate::workspace::snapshots::Worktree;

/// Makes the merge, of the files as they are now and what the branches left; writes none of it.
pub(super) fn merge(
    driver: &mut Driver<'_>,
    visit: VisitId,
    base: Option<&SnapshotId>,
    branches: &[(BranchId, SnapshotId)],
    before: Option<&Merge>,
) -> Result<Input, Trouble> {
    let base = base.ok_or_else(|| Trouble::stuck("the files were not recorded"))?;
    let snapshots = &mut driver.desk.snapshots;
    let found = snapshots.take()?;
    // What was written of an earlier merge is no change of a person's.
    let ours = match before {
        Some(it) => snapshots.without(&found, it.ours(), [&it.tree, &it.found])?,
        None => found.clone(),
    };
    let sides: Vec<SnapshotId> = branches.iter().map(|(_, tree)| tree.clone()).collect();
    let merged = snapshots.merge(base, (&ours, &found), &sides)?;
    let branches = branches.iter().zip(merged.sides).map(|((branch, _), side)| {
        let conflicts = side.conflicts;
        let own = worktree(driver, branch).filter(|_| !conflicts.is_empty());
        let changed = u32::try_from(side.changed).unwrap_or(u32::MAX);
        let folder = own.map(|own| own.relative());
        MergedBranch { branch: branch.clone(), changed, conflicts, folder }
    });
    let branches = branches.collect();
    let ours = (ours != found).then_some(ours);
    Ok(Input::Merged { visit, merge: Merge { found, ours, tree: merged.tree, branches } })
}

/// Writes the merge, unless somebody changed files since; then the branches' own folders are removed,
/// but for those that could not be merged.
pub(super) fn apply(
    driver: &mut Driver<'_>,
    visit: VisitId,
    merge: &Merge,
) -> Result<Input, Trouble> {
    let snapshots = &mut driver.desk.snapshots;
    let now = snapshots.take()?;
    // An apply that was itself interrupted leaves some of both.
    let changed = snapshots.of_neither(&now, &merge.found, &merge.tree)?;
    if !changed.is_empty() {
        return Ok(Input::MergeRefused { visit, tree: now, changed });
    }
    let site = of_person(driver.desk.layout.root().to_owned(), Some(driver.desk.layout.botpipe()));
    let begun = Merging::begin(&site);
    let (merging, mut told) = begun.map_err(|refusal| Trouble::stuck(refusal.to_string()))?;
    let restored = snapshots.restore_over(now, &merge.tree);
    told.extend(merging.end());
    for text in &told {
        driver.progress.notice(&Notice::Note { text });
    }
    let restored = match restored {
        Err(Error::NotRestored { paths, .. }) => {
            let tree = snapshots.take()?;
            return Ok(Input::MergeRefused { visit, tree, changed: paths });
        }
        restored => restored?,
    };
    tidy(driver, merge);
    Ok(Input::MergeApplied { visit, tree: restored.tree, kept: restored.kept })
}

fn tidy(driver: &Driver<'_>, merge: &Merge) {
    let Some(children) = driver.run.visit.as_ref().and_then(|visit| visit.children.as_ref()) else {
        return;
    };
    for (plan, _) in children.iter() {
        if !merge.conflicts(&plan.branch).is_empty() {
            continue;
        }
        // What it left is recorded; a folder that stays is in nobody's way.
        if let Err(error) = Worktree::of(&driver.desk.layout, &plan.run).remove() {
            let text = error.to_string();
            driver.progress.notice(&Notice::Note { text: &text });
        }
    }
}

fn worktree(driver: &Driver<'_>, branch: &BranchId) -> Option<Worktree> {
    let children = driver.run.visit.as_ref()?.children.as_ref()?;
    let (plan, _) = children.iter().find(|(plan, _)| plan.branch == *branch)?;
    Some(Worktree::of(&driver.desk.layout, &plan.run))
}
