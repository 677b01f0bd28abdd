//! The right to append to a run, held by one owner at a time.

use std::path::PathBuf;

use botpipe_kernel::ids::RunId;
use rusqlite::params;

use crate::error::Error;
use crate::journal::Journal;
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
