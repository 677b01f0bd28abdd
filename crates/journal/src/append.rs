//! Appending events: the fence is checked, the chain goes on, all in one transaction.

use botpipe_kernel::run::Event;
use rusqlite::{OptionalExtension as _, params};

use crate::chain::Link;
use crate::codec;
use crate::error::Error;
use crate::journal::Appended;
use crate::lease::Grant;
use crate::mark::Mark;
use crate::seal;
use crate::writer::{Desk, Job, Urgency};

/// Events ready to be stored.
pub(crate) struct Entry {
    grant: Grant,
    at: u64,
    rows: Vec<(u32, String)>,
    ends: bool,
    projection: Option<String>,
}

impl Entry {
    pub(crate) fn new(
        grant: Grant,
        at: u64,
        events: &[Event],
        projection: Option<&str>,
    ) -> Result<Self, Error> {
        Ok(Self {
            grant,
            // The database's numbers are signed.
            at: at.min(i64::MAX.unsigned_abs()),
            rows: events.iter().map(codec::encode).collect::<Result<_, _>>()?,
            ends: events
                .iter()
                .any(|event| matches!(event, Event::RunFinished { .. } | Event::RunCancelled)),
            projection: projection.map(str::to_owned),
        })
    }

    /// Stores the events after the run's last.
    pub(crate) fn store(&self, desk: &mut Desk<'_>) -> Result<Appended, Error> {
        let Grant { row, fence, ref run, ref path } = self.grant;
        let wrap = |source| Error::database(path, source);
        let found = desk
            .conn
            .prepare_cached(
                "SELECT last_seq, head FROM runs WHERE n = ?1 AND fence = ?2 AND owner IS NOT NULL",
            )
            .and_then(|mut query| {
                query
                    .query_row([row, fence], |r| {
                        Ok((r.get::<_, u64>(0)?, r.get::<_, [u8; 32]>(1)?))
                    })
                    .optional()
            })
            .map_err(wrap)?;
        let Some((last, mut hash)) = found else {
            return Err(Error::LeaseLost { run: run.clone() });
        };
        let mut seq = last;
        for (index, (version, body)) in self.rows.iter().enumerate() {
            seq += 1;
            let is_last = index + 1 == self.rows.len();
            let link = Link { run, seq, version: *version, at: self.at, body: body.as_bytes() };
            hash = link.hash(&hash);
            desk.conn
                .prepare_cached(
                    "INSERT INTO events (place, version, at, hash, body)
                     VALUES (?1, ?2, ?3, ?4, ?5)",
                )
                .and_then(|mut insert| {
                    let kept = is_last.then_some(hash);
                    insert.execute(params![place(row, seq), version, self.at, kept, body])
                })
                .map_err(wrap)?;
        }
        self.update_run(desk, seq, &hash).map_err(wrap)?;
        if let Some(held) = desk.held.get_mut(&row) {
            held.appended = true;
        }
        desk.heads.insert(run.clone(), Mark { seq, hash });
        Ok(Appended { first_seq: last + 1, last_seq: seq })
    }

    fn update_run(&self, desk: &Desk<'_>, seq: u64, head: &[u8; 32]) -> rusqlite::Result<()> {
        desk.conn
            .prepare_cached(
                "UPDATE runs SET last_seq = ?2, head = ?3, updated_at = ?4, ended = ended OR ?5,
                     state = coalesce(?6, state)
                 WHERE n = ?1",
            )?
            .execute(params![self.grant.row, seq, head, self.at, self.ends, self.projection])?;
        seal::put(desk.conn, self.grant.row)
    }
}

/// Where an event is in the table: its run's row and its sequence number in one.
pub(crate) fn place(row: i64, seq: u64) -> i64 {
    (row << SEQ_BITS) | i64::try_from(seq).unwrap_or(i64::MAX)
}

/// The sequence number of a place.
pub(crate) fn seq_of(place: i64) -> u64 {
    (place & ((1 << SEQ_BITS) - 1)).cast_unsigned()
}

const SEQ_BITS: u32 = 32;

/// An entry nobody waits for.
pub(crate) struct Unwaited {
    pub(crate) entry: Entry,
    pub(crate) urgency: Urgency,
}

impl Job for Unwaited {
    fn urgency(&self) -> Urgency {
        self.urgency
    }

    fn apply(&mut self, desk: &mut Desk<'_>) -> Result<(), Error> {
        self.entry.store(desk).map(drop)
    }

    fn finish(self: Box<Self>, _result: Result<(), Error>) {}
}
