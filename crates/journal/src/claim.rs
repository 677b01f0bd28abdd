//! Claiming a run: one transaction that finds every holder, and grants only when all of them are dead.

use std::path::Path;

use botpipe_kernel::ids::{RunId, TaskId, WorkflowName};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde::de::DeserializeOwned;

use crate::chain::GENESIS;
use crate::error::Error;
use crate::journal::NewRun;
use crate::lease::Grant;
use crate::mark::Mark;
use crate::owner::Owner;
use crate::read::{self, text_id};
use crate::seal;
use crate::writer::{Desk, Held};

/// What is claimed.
#[derive(Clone)]
pub(crate) enum Target {
    New(NewRun),
    Existing(RunId),
}

/// A claim for one owner.
#[derive(Clone)]
pub(crate) struct Claim {
    pub(crate) target: Target,
    pub(crate) owner: Owner,
    /// The run's head mark, read before the claim.
    pub(crate) mark: Option<Mark>,
    /// Grants whose owners were found dead.
    pub(crate) dead: Vec<HeldGrant>,
}

impl Claim {
    /// Whether the holder is of the same family of runs, and the process that claims.
    ///
    /// A run and its children are moved by one process together; each has its own lease.
    fn is_of_family(&self, holder: &Holder) -> bool {
        let run = match &self.target {
            Target::New(new) => &new.run,
            Target::Existing(run) => run,
        };
        *run != holder.run
            && run.root() == holder.run.root()
            && holder.owner.is_same_process(&self.owner)
    }
}

/// One moment of one grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HeldGrant {
    pub(crate) row: i64,
    pub(crate) fence: i64,
    pub(crate) beat: i64,
}

/// Who holds a run.
#[derive(Debug)]
pub(crate) struct Holder {
    pub(crate) grant: HeldGrant,
    pub(crate) run: RunId,
    pub(crate) task: TaskId,
    pub(crate) workflow: WorkflowName,
    pub(crate) owner: Owner,
}

/// How a claim was answered.
pub(crate) enum Answer {
    Granted(Grant),
    /// Somebody is in the way whose death is not known.
    Held(Box<Holder>),
}

/// Answers a claim within the open transaction.
pub(crate) fn answer(desk: &mut Desk<'_>, path: &Path, claim: &Claim) -> Result<Answer, Error> {
    let wrap = |source| Error::database(path, source);
    let found = holders(desk.conn).map_err(wrap)?;
    let in_the_way =
        |holder: &Holder| !claim.dead.contains(&holder.grant) && !claim.is_of_family(holder);
    if let Some(holder) = found.into_iter().find(in_the_way) {
        return Ok(Answer::Held(Box::new(holder)));
    }
    let (run, row) = match &claim.target {
        Target::New(new) => {
            discard_unbegun(desk.conn, new).map_err(wrap)?;
            if find(desk.conn, &new.run).map_err(wrap)?.is_some() {
                return Err(Error::RunExists { run: new.run.clone() });
            }
            let unfinished =
                if new.run.is_child() { None } else { unfinished(desk.conn, new).map_err(wrap)? };
            if let Some((run, state)) = unfinished {
                let (task, workflow) = (new.task.clone(), new.workflow.clone());
                return Err(Error::Unfinished { run, task, workflow, state });
            }
            (&new.run, insert(desk.conn, new).map_err(wrap)?)
        }
        Target::Existing(run) => {
            let found = find(desk.conn, run).map_err(wrap)?;
            check_mark(path, run, found, claim.mark.as_ref())?;
            match found {
                Some((row, _)) => (run, row),
                None => return Err(Error::NoSuchRun { run: run.clone() }),
            }
        }
    };
    let fence = grant(desk.conn, row, &claim.owner).map_err(wrap)?;
    desk.held.insert(row, Held { run: run.clone(), fence, appended: false });
    Ok(Answer::Granted(Grant { run: run.clone(), row, fence, path: path.to_path_buf() }))
}

/// The journal may not end before what its mark says was durable.
pub(crate) fn check_mark(
    path: &Path,
    run: &RunId,
    found: Option<(i64, u64)>,
    mark: Option<&Mark>,
) -> Result<(), Error> {
    let last = found.map_or(0, |(_, last)| last);
    match mark {
        Some(mark) if mark.seq > last => Err(Error::Damaged {
            path: path.to_path_buf(),
            run: Some(run.clone()),
            seq: Some(last),
            what: format!(
                "the journal ends at event {last}, but event {} was recorded, as `heads/{run}` says; \
                 to go on from event {last} all the same, delete that file",
                mark.seq
            ),
        }),
        _ => Ok(()),
    }
}

fn holders(conn: &Connection) -> rusqlite::Result<Vec<Holder>> {
    conn.prepare_cached(&format!(
        "SELECT {}, beat FROM runs WHERE owner IS NOT NULL",
        seal::COLUMNS
    ))?
    .query_map([], |row| {
        seal::check(row)?;
        Ok(Holder {
            grant: HeldGrant {
                row: row.get("n")?,
                fence: row.get("fence")?,
                beat: row.get("beat")?,
            },
            run: text_id(row, 1)?,
            task: text_id(row, 2)?,
            workflow: text_id(row, 3)?,
            owner: json(row, 9)?,
        })
    })?
    .collect()
}

/// A column that holds JSON.
pub(crate) fn json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    serde_json::from_str(row.get_ref(column)?.as_str()?).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
    })
}

/// The moment of one run's grant, to see whether its heartbeat moves.
pub(crate) fn moment(conn: &Connection, row: i64) -> rusqlite::Result<Option<HeldGrant>> {
    conn.prepare_cached("SELECT fence, beat FROM runs WHERE n = ?1 AND owner IS NOT NULL")?
        .query_row([row], |r| Ok(HeldGrant { row, fence: r.get(0)?, beat: r.get(1)? }))
        .optional()
}

/// A run's row and last event.
pub(crate) fn find(conn: &Connection, run: &RunId) -> rusqlite::Result<Option<(i64, u64)>> {
    conn.prepare_cached("SELECT n, last_seq FROM runs WHERE run = ?1")?
        .query_row([run.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
}

/// A run whose owner died before its first event never was.
fn discard_unbegun(conn: &Connection, new: &NewRun) -> rusqlite::Result<()> {
    // The others of a child's family may be about to get their first.
    let unowned = if new.run.is_child() { "AND run = ?1" } else { "" };
    conn.prepare_cached(&format!(
        "DELETE FROM runs WHERE last_seq = 0
             AND (run = ?1 OR (task = ?2 AND workflow = ?3)) {unowned}"
    ))?
    .execute([new.run.as_str(), new.task.as_str(), new.workflow.as_str()])
    .map(drop)
}

fn unfinished(conn: &Connection, new: &NewRun) -> rusqlite::Result<Option<(RunId, String)>> {
    let found = read::runs_where(conn, 1, |row| {
        row.task == new.task && row.workflow == new.workflow && !row.ended && !row.run.is_child()
    })?;
    Ok(found.into_iter().next().map(|row| (row.run, row.state)))
}

fn insert(conn: &Connection, new: &NewRun) -> rusqlite::Result<i64> {
    conn.execute(
        "INSERT INTO runs (run, task, workflow, created_at, updated_at, head)
         VALUES (?1, ?2, ?3, ?4, ?4, ?5)",
        params![
            new.run.as_str(),
            new.task.as_str(),
            new.workflow.as_str(),
            new.at.min(i64::MAX.unsigned_abs()),
            GENESIS
        ],
    )?;
    Ok(conn.last_insert_rowid())
}

/// Gives the lease to `owner`; a `cancel` that an earlier one was asked dies with it, what people said
/// does not.
fn grant(conn: &Connection, row: i64, owner: &Owner) -> rusqlite::Result<i64> {
    let owner = serde_json::to_string(owner)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    conn.execute("DELETE FROM requests WHERE run = ?1 AND body = '\"cancel\"'", [row])?;
    let fence = conn.query_row(
        "UPDATE runs SET owner = ?2, fence = fence + 1 WHERE n = ?1 RETURNING fence",
        params![row, owner],
        |r| r.get(0),
    )?;
    seal::put(conn, row)?;
    Ok(fence)
}
