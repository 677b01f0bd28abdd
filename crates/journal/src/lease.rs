//! The right to append to a run, held by one owner at a time.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use botpipe_kernel::ids::RunId;
use rusqlite::params;

use crate::error::Error;
use crate::journal::Journal;
use crate::open::Options;
use crate::seal;
use crate::writer::Urgency;

/// What proves a lease to the writer.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    pub(crate) run: RunId,
    /// The run's row.
    pub(crate) row: i64,
    /// Counts the grants of this run; a later grant makes this one worthless.
    pub(crate) fence: i64,
    /// The database, for messages.
    pub(crate) path: PathBuf,
}

/// Milliseconds since the epoch by which the last owner of a run had died, if it is dead.
///
/// It was heard of when it last appended and by its heartbeat; it lived for less than another beat.
/// What a clock said that has been set back since says nothing; 0 when nothing is known.
pub(crate) fn gone_by(appended: u64, beat: i64) -> u64 {
    let now = now();
    let heard = [appended, u64::try_from(beat).unwrap_or(0)].into_iter().filter(|at| *at <= now);
    heard.max().map_or(0, |heard| heard + millis(Options::default().beat + MARGIN))
}

/// How late a heartbeat may be.
const MARGIN: Duration = Duration::from_millis(500);

/// Milliseconds since the epoch.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The right to append to a run; given back when dropped.
///
/// While it is held, its heartbeat moves by itself.
pub struct Lease {
    journal: Journal,
    grant: Grant,
    released: bool,
}

impl Lease {
    pub(crate) fn new(journal: Journal, grant: Grant) -> Self {
        Self { journal, grant, released: false }
    }

    /// The run it is for.
    pub fn run(&self) -> &RunId {
        &self.grant.run
    }

    pub(crate) fn grant(&self) -> &Grant {
        &self.grant
    }

    /// Gives the lease back; what was appended without waiting is written first.
    ///
    /// # Errors
    /// Whatever kept the database from being written; the lease then lapses with this process.
    pub fn release(mut self) -> Result<(), Error> {
        self.give_back()
    }

    fn give_back(&mut self) -> Result<(), Error> {
        if self.released {
            return Ok(());
        }
        self.released = true;
        let Grant { row, fence, path, .. } = self.grant.clone();
        self.journal.writer()?.wait(Urgency::Seen, move |desk| {
            desk.held.remove(&row);
            desk.conn
                .execute(
                    "UPDATE runs SET owner = NULL WHERE n = ?1 AND fence = ?2",
                    params![row, fence],
                )
                .and_then(|changed| if changed > 0 { seal::put(desk.conn, row) } else { Ok(()) })
                .map_err(|source| Error::database(&path, source))
        })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Nobody is left to tell; a lease that stays is taken over once this process has ended.
        let _ = self.give_back();
    }
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lease").field("grant", &self.grant).finish_non_exhaustive()
    }
}
