//! Reading: a run's events, verified link by link, and the list of runs.

use std::path::Path;
use std::str::FromStr;

use botpipe_kernel::ids::{IdError, RunId, TaskId, WorkflowName};
use botpipe_kernel::run::Event;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::append::{place, seq_of};
use crate::chain::{GENESIS, Link};
use crate::claim::{check_mark, json};
use crate::codec;
use crate::error::Error;
use crate::lease::gone_by;
use crate::mark::Mark;
use crate::owner::{Liveness, Owner};
use crate::seal;

/// An event as it was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Counts from 1 without gaps.
    pub seq: u64,
    /// Milliseconds since the epoch, as the writer's clock had it; never a measure of order.
    pub at: u64,
    /// Version of the event's stored shape.
    pub version: u32,
    pub event: Event,
    /// Covers this event and all before it.
    pub hash: [u8; 32],
}

/// Which runs to list; what is `None` does not matter.
#[derive(Debug, Clone, Default)]
pub struct RunFilter {
    pub task: Option<TaskId>,
    pub workflow: Option<WorkflowName>,
    /// Whether runs that other runs started are listed as well.
    pub children: bool,
}

/// A run as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRow {
    pub run: RunId,
    pub task: TaskId,
    pub workflow: WorkflowName,
    /// Milliseconds since the epoch.
    pub created_at: u64,
    /// Milliseconds since the epoch of the last event.
    pub updated_at: u64,
    /// How many events it has.
    pub events: u64,
    /// Finished or cancelled.
    pub ended: bool,
    /// The projection given with the last append.
    pub state: String,
    /// Who holds its lease.
    pub owner: Option<Owner>,
    /// Whether that process lives; `None` when nobody holds it, or when it cannot be seen from here.
    pub owner_alive: Option<bool>,
    /// Milliseconds since the epoch by which its last owner had died, if it is dead; 0 when that is
    /// not known.
    pub gone_by: u64,
}

/// A run's row, as far as reading its events needs it.
struct Head {
    row: i64,
    last: u64,
    hash: [u8; 32],
    task: TaskId,
    workflow: WorkflowName,
}

/// The events of a run after `after`, verified.
pub(crate) fn events(
    conn: &Connection,
    path: &Path,
    run: &RunId,
    after: u64,
    mark: Option<&Mark>,
) -> Result<Vec<Stored>, Error> {
    let wrap = |source| located(conn, path, run, source);
    // One transaction, so that rows and head are of one moment.
    let snapshot = conn.unchecked_transaction().map_err(wrap)?;
    let head = head(&snapshot, run).map_err(wrap)?;
    check_mark(path, run, head.as_ref().map(|head| (head.row, head.last)), mark)?;
    let Some(head) = head else { return Err(Error::NoSuchRun { run: run.clone() }) };
    if head.last == after && after > 0 {
        return Ok(Vec::new());
    }
    // Not every event has its hash beside it: the walk begins after the nearest that has.
    let (seq, previous) = hash_before(&snapshot, head.row, after).map_err(wrap)?;
    let mut check = Check { path, run, head: &head, mark, previous, seq, after, out: vec![] };
    let mut query = snapshot
        .prepare_cached(
            "SELECT place, version, at, hash, body FROM events WHERE place > ?1 AND place < ?2
             ORDER BY place",
        )
        .map_err(wrap)?;
    let range = params![place(head.row, seq), place(head.row + 1, 0)];
    let mut rows = query.query(range).map_err(wrap)?;
    while let Some(row) = rows.next().map_err(wrap)? {
        check.next(row, &wrap)?;
    }
    check.end()
}

/// A walk along the chain.
struct Check<'a> {
    path: &'a Path,
    run: &'a RunId,
    head: &'a Head,
    mark: Option<&'a Mark>,
    previous: [u8; 32],
    seq: u64,
    /// Events up to this one are only walked over.
    after: u64,
    out: Vec<Stored>,
}

impl Check<'_> {
    fn next(
        &mut self,
        row: &Row<'_>,
        wrap: &dyn Fn(rusqlite::Error) -> Error,
    ) -> Result<(), Error> {
        let expected = self.seq + 1;
        let seq = seq_of(row.get(0).map_err(wrap)?);
        if seq != expected {
            return Err(self.damaged(expected, format!("it is missing, event {seq} comes next")));
        }
        let version = row.get(1).map_err(wrap)?;
        let at = row.get(2).map_err(wrap)?;
        let kept: Option<[u8; 32]> = row.get(3).map_err(wrap)?;
        let body = row.get_ref(4).and_then(|body| Ok(body.as_bytes()?)).map_err(wrap)?;
        let hash = Link { run: self.run, seq, version, at, body }.hash(&self.previous);
        if kept.is_some_and(|kept| kept != hash) {
            let what = "its hash does not fit its content or that of events appended with it";
            return Err(self.damaged(seq, what.to_owned()));
        }
        if let Some(mark) = self.mark
            && mark.seq == seq
            && mark.hash != hash
        {
            let what = format!("it is not the one that `heads/{}` knows", self.run);
            return Err(self.damaged(seq, what));
        }
        let body =
            std::str::from_utf8(body).map_err(|_| self.damaged(seq, "it is no text".to_owned()))?;
        let event = codec::decode(self.run, seq, version, body).map_err(|error| match error {
            Error::Damaged { what, .. } => self.damaged(seq, what),
            other => other,
        })?;
        if let Event::RunCreated { run, task, workflow, .. } = &event
            && (run, task, workflow) != (self.run, &self.head.task, &self.head.workflow)
        {
            return Err(self.damaged(seq, "the list of runs names it otherwise".to_owned()));
        }
        if seq > self.after {
            self.out.push(Stored { seq, at, version, event, hash });
        }
        self.previous = hash;
        self.seq = seq;
        Ok(())
    }

    fn end(self) -> Result<Vec<Stored>, Error> {
        if self.seq == self.head.last && self.previous == self.head.hash {
            return Ok(self.out);
        }
        let what = format!("the journal ends here, but event {} was recorded", self.head.last);
        Err(self.damaged(self.seq, what))
    }

    fn damaged(&self, seq: u64, what: String) -> Error {
        Error::Damaged {
            path: self.path.to_path_buf(),
            run: Some(self.run.clone()),
            seq: Some(seq),
            what,
        }
    }
}

/// Runs that have begun, newest first.
///
/// Every row is read and its seal checked before it is asked whether it passes: a search by the
/// database would take a damaged row for one of another task.
pub(crate) fn runs(conn: &Connection, filter: &RunFilter) -> rusqlite::Result<Vec<RunRow>> {
    runs_where(conn, usize::MAX, |row| filter.passes(row))
}

/// The newest run of a workflow, of one task or of any.
pub(crate) fn latest_run(
    conn: &Connection,
    workflow: &WorkflowName,
    task: Option<&TaskId>,
) -> rusqlite::Result<Option<RunRow>> {
    let filter =
        RunFilter { task: task.cloned(), workflow: Some(workflow.clone()), children: false };
    Ok(runs_where(conn, 1, |row| filter.passes(row))?.pop())
}

/// A run that has begun.
pub(crate) fn run(conn: &Connection, run: &RunId) -> rusqlite::Result<Option<RunRow>> {
    let found = conn
        .prepare_cached(&format!("SELECT {}, beat FROM runs WHERE run = ?1", seal::COLUMNS))?
        .query_row([run.as_str()], run_row)
        .optional()?;
    Ok(found.filter(|row| row.events > 0))
}

/// The newest so many runs that pass, newest first.
pub(crate) fn runs_where(
    conn: &Connection,
    most: usize,
    passes: impl Fn(&RunRow) -> bool,
) -> rusqlite::Result<Vec<RunRow>> {
    conn.prepare_cached(&format!("SELECT {}, beat FROM runs ORDER BY n DESC", seal::COLUMNS))?
        .query_map([], run_row)?
        .filter(|row| row.as_ref().map_or(true, |row| row.events > 0 && passes(row)))
        .take(most)
        .collect()
}

impl RunFilter {
    fn passes(&self, row: &RunRow) -> bool {
        (self.children || !row.run.is_child())
            && self.task.as_ref().is_none_or(|task| row.task == *task)
            && self.workflow.as_ref().is_none_or(|workflow| row.workflow == *workflow)
    }
}

fn run_row(row: &Row<'_>) -> rusqlite::Result<RunRow> {
    seal::check(row)?;
    let owner: Option<Owner> =
        if row.get_ref(9)? == rusqlite::types::ValueRef::Null { None } else { Some(json(row, 9)?) };
    let owner_alive = owner.as_ref().and_then(|owner| match owner.liveness() {
        Liveness::Alive => Some(true),
        Liveness::Dead => Some(false),
        Liveness::Unknown => None,
    });
    Ok(RunRow {
        run: text_id(row, 1)?,
        task: text_id(row, 2)?,
        workflow: text_id(row, 3)?,
        created_at: row.get(4)?,
        updated_at: row.get(5)?,
        events: row.get(6)?,
        ended: row.get(7)?,
        state: row.get(8)?,
        owner,
        owner_alive,
        gone_by: gone_by(row.get(5)?, row.get("beat")?),
    })
}

/// A column that holds an id.
pub(crate) fn text_id<T: FromStr<Err = IdError>>(
    row: &Row<'_>,
    column: usize,
) -> rusqlite::Result<T> {
    row.get_ref(column)?.as_str()?.parse().map_err(|error: IdError| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
    })
}

fn head(conn: &Connection, run: &RunId) -> rusqlite::Result<Option<Head>> {
    conn.prepare_cached("SELECT n, last_seq, head, task, workflow FROM runs WHERE run = ?1")?
        .query_row([run.as_str()], |row| {
            Ok(Head {
                row: row.get(0)?,
                last: row.get(1)?,
                hash: row.get(2)?,
                task: text_id(row, 3)?,
                workflow: text_id(row, 4)?,
            })
        })
        .optional()
}

/// The nearest event up to `seq` whose hash is kept, and that hash; the beginning if there is none.
fn hash_before(conn: &Connection, row: i64, seq: u64) -> rusqlite::Result<(u64, [u8; 32])> {
    let found = conn
        .prepare_cached(
            "SELECT place, hash FROM events
             WHERE place > ?1 AND place <= ?2 AND hash IS NOT NULL ORDER BY place DESC LIMIT 1",
        )?
        .query_row([place(row, 0), place(row, seq)], |r| Ok((seq_of(r.get(0)?), r.get(1)?)))
        .optional()?;
    Ok(found.unwrap_or((0, GENESIS)))
}

/// Refuses a database whose pages are not sound; reads all of them.
pub(crate) fn quick_check(conn: &Connection, path: &Path) -> Result<(), Error> {
    let found: String = conn
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|source| Error::database(path, source))?;
    if found == "ok" {
        return Ok(());
    }
    let what = found.replace('\n', " ");
    Err(Error::Damaged { path: path.to_path_buf(), run: None, seq: None, what })
}

/// Names the run in an error, and asks the database what is wrong with it when it hints at damage.
fn located(conn: &Connection, path: &Path, run: &RunId, source: rusqlite::Error) -> Error {
    match Error::database(path, source) {
        Error::Damaged { path, what, .. } => {
            let check: rusqlite::Result<String> =
                conn.query_row("PRAGMA quick_check(1)", [], |row| row.get(0));
            let what = match check {
                Ok(found) if found != "ok" => format!("{what} ({})", found.replace('\n', " ")),
                _ => what,
            };
            Error::Damaged { path, run: Some(run.clone()), seq: None, what }
        }
        other => other,
    }
}
