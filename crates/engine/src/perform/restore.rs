//! Putting the tree back to a baseline, without destroying what is there.

use botpipe_kernel::ids::TurnId;
use botpipe_kernel::run::{Input, SnapshotId};

use super::Trouble;
use crate::driver::Driver;

/// Restores `to`, unless the tree is no longer what was last recorded.
pub(super) fn restore(
    driver: &mut Driver<'_>,
    turn: TurnId,
    to: &SnapshotId,
    expected: Option<&SnapshotId>,
) -> Result<Input, Trouble> {
    let snapshots = &mut driver.desk.snapshots;
    if let Some(expected) = expected {
        let tree = snapshots.take().map_err(Trouble::stuck)?;
        // A restore that was itself interrupted leaves some of both; the baseline is no edit.
        if tree != *expected && tree != *to {
            let changed = snapshots.changed(expected, &tree).map_err(Trouble::stuck)?;
            return Ok(Input::RestoreRefused { turn, tree, changed });
        }
    }
    let kept = snapshots.restore(to).map_err(Trouble::stuck)?;
    Ok(Input::TreeRestored { turn, kept: kept.kept })
}
