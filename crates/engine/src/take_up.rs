//! Taking up a run whose owner is gone, when it may be inside a turn.

use std::fs;
use std::thread;
use std::time::{Duration, Instant, UNIX_EPOCH};

use botpipe_kernel::ids::TurnId;
use botpipe_kernel::plan::OnInterrupt;
use botpipe_kernel::run::{Input, Lifecycle, Phase, Process, Raise, SnapshotId};
use botpipe_sandbox::{Identity, Liveness, is_alive, own_identity};

use crate::driver::Driver;
use crate::error::Error;

impl Driver<'_> {
    /// Tells the kernel that a new owner is here, after one that was gone by this time.
    ///
    /// # Errors
    /// Also a tree that cannot be recorded, where it is to be put back: nothing is recorded then.
    pub(crate) fn take_up(&mut self, raise: Raise, gone_by: u64) -> Result<(), Error> {
        if self.overdue()? || matches!(self.run.lifecycle, Lifecycle::Waiting(_)) {
            return Ok(());
        }
        let (mut tree, mut edited) = (None, Vec::new());
        if let Some((turn, process, base)) = self.cut_off_turn() {
            self.outwait(process);
            let step = self.run.current_step();
            let restarts = step.is_some_and(|it| it.on_interrupt == OnInterrupt::Restart);
            tree = match self.desk.snapshots.take() {
                Err(error) if restarts => return Err(error.into()),
                taken => taken.ok(),
            };
            if let (true, Some(base), Some(tree)) = (restarts, base, &tree) {
                let ended = self.marked_end(&turn).unwrap_or(gone_by);
                edited = self.desk.snapshots.changed_since(&base, tree, ended)?;
            }
        }
        self.tell(Input::Resume { raise, tree, edited }).map(drop)
    }

    /// The turn that has no end, its process, and the tree it began on.
    fn cut_off_turn(&self) -> Option<(TurnId, Option<Process>, Option<SnapshotId>)> {
        let visit = self.run.visit.as_ref()?;
        let Phase::Turning { turn, process, .. } = &visit.phase else { return None };
        Some((turn.clone(), process.clone(), visit.base_of(turn).cloned()))
    }

    /// Waits for what contains a turn to have ended it, as it does when its owner dies.
    fn outwait(&self, process: Option<Process>) {
        let (Some(process), Some(own)) = (process, own_identity()) else { return };
        let Process { pid, start_ticks, boot_id } = process;
        let boot_id = boot_id.or_else(|| self.run.boot_id.clone()).unwrap_or_default();
        let stage1 = Identity { pid, start_ticks, boot_id, ..own };
        let until = Instant::now() + PATIENCE;
        while is_alive(&stage1) == Liveness::Alive && Instant::now() < until {
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// When a turn and all it started had ended, in milliseconds since the epoch, if somebody was
    /// left to note it.
    fn marked_end(&self, turn: &TurnId) -> Option<u64> {
        let marked = fs::metadata(self.mark_path(turn)).and_then(|it| it.modified()).ok()?;
        u64::try_from(marked.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()
    }
}

/// Longer than the sandbox takes to end everything.
const PATIENCE: Duration = Duration::from_secs(10);
