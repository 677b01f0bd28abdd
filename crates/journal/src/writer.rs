//! The one desk at which is written: whatever has queued up shares one transaction and one sync.
//!
//! Who waits writes itself when the desk is free, and takes along what is queued; a thread writes for
//! all others and keeps the leases alive. So a lone writer pays for no change of threads, and many
//! share their syncs.

use std::collections::HashMap;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, SyncSender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use botpipe_kernel::ids::RunId;
use rusqlite::Connection;

use crate::error::Error;
use crate::lease::now;
use crate::mark::{Mark, Marks};
use crate::open::{self, Files, Options};

/// How long a job that nobody waits for may be kept from the eyes of other processes.
const LINGER: Duration = Duration::from_millis(20);

/// Jobs that may share one transaction.
const MOST_TOGETHER: usize = 256;

/// Something to be written.
pub(crate) trait Job: Send {
    /// Whether the caller waits until it is on the disk.
    fn urgency(&self) -> Urgency;
    /// Writes within the open transaction; may be called again after a rollback.
    fn apply(&mut self, desk: &mut Desk<'_>) -> Result<(), Error>;
    /// Tells the caller how it ended, if somebody waits.
    fn finish(self: Box<Self>, result: Result<(), Error>);
}

/// When a job counts as done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Urgency {
    /// On the disk.
    Durable,
    /// Committed, so that every process sees it; on the disk with the next durable job.
    Seen,
    /// On its way to the disk at once; nobody waits. When it fails it is tried again in front of the
    /// next job.
    Beside,
    /// Nobody waits, and there is no hurry either; fails as `Beside` does.
    Later,
}

impl Urgency {
    /// Whether somebody waits.
    fn is_awaited(self) -> bool {
        matches!(self, Self::Durable | Self::Seen)
    }

    /// Whether its commit is synced.
    fn is_synced(self) -> bool {
        matches!(self, Self::Durable | Self::Beside)
    }
}

/// What a job works on.
pub(crate) struct Desk<'a> {
    pub(crate) conn: &'a Connection,
    /// The new heads of runs, to be marked once they are durable.
    pub(crate) heads: &'a mut HashMap<RunId, Mark>,
    /// The leases held here: the run's row and the fence of the grant.
    pub(crate) held: &'a mut HashMap<i64, Held>,
}

/// A lease that this writer keeps alive.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(crate) run: RunId,
    pub(crate) fence: i64,
    /// Whether its owner has appended anything: only then its heartbeat tells the time.
    pub(crate) appended: bool,
}

/// A job made of a closure, whose value goes back to the caller.
struct Waited<T, F> {
    urgency: Urgency,
    work: F,
    value: Option<T>,
    reply: SyncSender<Result<T, Error>>,
}

impl<T, F> Job for Waited<T, F>
where
    T: Send,
    F: FnMut(&mut Desk<'_>) -> Result<T, Error> + Send,
{
    fn urgency(&self) -> Urgency {
        self.urgency
    }

    fn apply(&mut self, desk: &mut Desk<'_>) -> Result<(), Error> {
        self.value = Some((self.work)(desk)?);
        Ok(())
    }

    fn finish(self: Box<Self>, result: Result<(), Error>) {
        let value = self.value;
        let result = result.and_then(|()| value.ok_or(Error::WriterLost));
        // A caller that has gone does not want to know.
        let _ = self.reply.send(result);
    }
}

/// The way to the desk.
pub(crate) struct Writer {
    office: Arc<Office>,
    thread: Option<JoinHandle<()>>,
}

/// The desk and its queue.
struct Office {
    queue: Mutex<Queue>,
    /// Rung when the thread is to look at the queue.
    bell: Condvar,
    bench: Mutex<Bench>,
}

#[derive(Default)]
struct Queue {
    jobs: Vec<Box<dyn Job>>,
    /// Nobody will queue anything any more.
    closed: bool,
}

/// What the thread has seen.
enum Seen {
    Jobs,
    /// Jobs that are gone again.
    Nothing,
    /// No job for a whole beat.
    Idleness,
    End,
}

impl Writer {
    /// Opens the desk, on a database of the newest format.
    pub(crate) fn start(root: &Path, options: Options) -> Result<Self, Error> {
        let path = open::path(root);
        let conn = open::prepare(root)?;
        let marks = Marks::new(root);
        let bench = Bench {
            path: path.clone(),
            conn: Some(conn),
            files: Files::of(&path),
            marks,
            heads: HashMap::new(),
            held: HashMap::new(),
            overdue: Vec::new(),
        };
        let office = Arc::new(Office {
            queue: Mutex::default(),
            bell: Condvar::new(),
            bench: Mutex::new(bench),
        });
        let thread = thread::Builder::new()
            .name("journal".to_owned())
            .spawn({
                let office = Arc::clone(&office);
                move || office.attend(options)
            })
            .map_err(|source| Error::Io { action: "start the writer of", path, source })?;
        Ok(Self { office, thread: Some(thread) })
    }

    /// Has `work` done in a transaction and waits for it.
    pub(crate) fn wait<T, F>(&self, urgency: Urgency, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnMut(&mut Desk<'_>) -> Result<T, Error> + Send + 'static,
    {
        let (reply, answer) = mpsc::sync_channel(1);
        self.office.queue().jobs.push(Box::new(Waited { urgency, work, value: None, reply }));
        match self.office.bench.try_lock() {
            Ok(mut bench) => self.office.write(&mut bench),
            Err(TryLockError::WouldBlock) => self.office.bell.notify_one(),
            Err(TryLockError::Poisoned(_)) => return Err(Error::WriterLost),
        }
        answer.recv().map_err(|_| Error::WriterLost)?
    }

    /// Queues a job for the thread.
    pub(crate) fn send(&self, job: Box<dyn Job>) -> Result<(), Error> {
        if self.office.bench.is_poisoned() {
            return Err(Error::WriterLost);
        }
        self.office.queue().jobs.push(job);
        self.office.bell.notify_one();
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.office.queue().closed = true;
        self.office.bell.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Office {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Nothing is left half done in it by who pushes or takes.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread's work.
    fn attend(&self, options: Options) {
        loop {
            let seen = self.look_out(options.beat);
            // A desk somebody broke down at is not used again.
            let Ok(mut bench) = self.bench.lock() else {
                return self.queue().jobs.clear();
            };
            match seen {
                Seen::Jobs => self.write(&mut bench),
                Seen::Nothing => {}
                Seen::Idleness => bench.beat(),
                Seen::End => {
                    let last = mem::take(&mut bench.overdue);
                    if !last.is_empty() {
                        bench.commit_all(last);
                    }
                    return;
                }
            }
        }
    }

    /// Waits for jobs, at most for one beat. What nobody waits for lingers for company: the next job
    /// that somebody waits for is likely near, and writes it along.
    fn look_out(&self, beat: Duration) -> Seen {
        let idle = |queue: &mut Queue| queue.jobs.is_empty() && !queue.closed;
        let waited = self.bell.wait_timeout_while(self.queue(), beat, idle);
        let (queue, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            return Seen::Idleness;
        }
        let calm = |queue: &mut Queue| {
            let mut urgencies = queue.jobs.iter().map(|job| job.urgency());
            !queue.closed && !queue.jobs.is_empty() && urgencies.all(|it| it == Urgency::Later)
        };
        let waited = self.bell.wait_timeout_while(queue, LINGER, calm);
        let queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        match (queue.jobs.is_empty(), queue.closed) {
            (false, _) => Seen::Jobs,
            (true, true) => Seen::End,
            // Somebody who waited took them along.
            (true, false) => Seen::Nothing,
        }
    }

    /// Writes what is queued, together.
    fn write(&self, bench: &mut Bench) {
        let mut batch = mem::take(&mut bench.overdue);
        {
            let mut queue = self.queue();
            let together = queue.jobs.len().min(MOST_TOGETHER);
            batch.extend(queue.jobs.drain(..together));
            if !queue.jobs.is_empty() {
                self.bell.notify_one();
            }
        }
        if !batch.is_empty() {
            bench.commit_all(batch);
        }
    }
}

/// Whether the next commit waits for the disk; asked first, since asking is cheaper than setting.
fn set_sync(conn: &Connection, durable: bool) -> rusqlite::Result<()> {
    let wanted = if durable { FULL } else { NORMAL };
    let level: i64 = conn
        .prepare_cached("SELECT synchronous FROM pragma_synchronous")?
        .query_row([], |row| row.get(0))?;
    if level == wanted { Ok(()) } else { conn.pragma_update(None, "synchronous", wanted) }
}

/// Levels of `PRAGMA synchronous`.
const NORMAL: i64 = 1;
const FULL: i64 = 2;

/// What is written with.
struct Bench {
    path: PathBuf,
    /// Gone after a failure, so that the next attempt starts from a clean connection.
    conn: Option<Connection>,
    /// The files as this connection opened them.
    files: Files,
    marks: Marks,
    heads: HashMap<RunId, Mark>,
    held: HashMap<i64, Held>,
    /// Jobs nobody waits for that have failed.
    overdue: Vec<Box<dyn Job>>,
}

impl Bench {
    /// Commits a batch together; if that fails, each job that is waited for alone, with the ones
    /// before it that nobody waits for.
    fn commit_all(&mut self, batch: Vec<Box<dyn Job>>) {
        let Err((batch, error)) = self.commit(batch) else { return };
        let waited = batch.iter().filter(|job| job.urgency().is_awaited()).count();
        if waited <= 1 {
            return self.fail(batch, error);
        }
        let mut unit = Vec::new();
        for job in batch {
            let is_last = job.urgency().is_awaited();
            unit.push(job);
            if is_last {
                let mut together = mem::take(&mut self.overdue);
                together.append(&mut unit);
                if let Err((unit, error)) = self.commit(together) {
                    self.fail(unit, error);
                }
            }
        }
        self.overdue.append(&mut unit);
    }

    fn fail(&mut self, batch: Vec<Box<dyn Job>>, error: Error) {
        let mut error = Some(error);
        for job in batch {
            if job.urgency().is_awaited() {
                job.finish(Err(error.take().unwrap_or(Error::WriterLost)));
            } else {
                self.overdue.push(job);
            }
        }
    }

    /// One transaction; gives the jobs back when nothing of it was written.
    fn commit(&mut self, mut batch: Vec<Box<dyn Job>>) -> Result<(), (Vec<Box<dyn Job>>, Error)> {
        let mut heads = self.heads.clone();
        let mut held = self.held.clone();
        let refusals = match self.transact(&mut batch, &mut heads, &mut held) {
            Ok(refusals) => refusals,
            Err(error) => {
                self.give_up(&error);
                return Err((batch, error));
            }
        };
        for gone in self.held.values().filter(|old| !held.values().any(|new| new.run == old.run)) {
            self.marks.close(&gone.run);
        }
        self.held = held;
        self.heads = heads;
        if batch.iter().any(|job| job.urgency().is_synced()) {
            for (run, mark) in self.heads.drain() {
                self.marks.write(&run, &mark);
            }
        }
        for (job, refusal) in batch.into_iter().zip(refusals) {
            job.finish(refusal.map_or(Ok(()), Err));
        }
        Ok(())
    }

    fn transact(
        &mut self,
        batch: &mut [Box<dyn Job>],
        heads: &mut HashMap<RunId, Mark>,
        held: &mut HashMap<i64, Held>,
    ) -> Result<Vec<Option<Error>>, Error> {
        let durable = batch.iter().any(|job| job.urgency().is_synced());
        let path = self.path.clone();
        let wrap = |source| Error::database(&path, source);
        let conn = self.connection()?;
        // A commit that is not synced becomes durable with the next that is: it is the same log.
        set_sync(conn, durable).map_err(wrap)?;
        conn.execute_batch("BEGIN IMMEDIATE").map_err(wrap)?;
        let before = conn.total_changes();
        let mut refusals = Vec::with_capacity(batch.len());
        for job in batch {
            let mut desk = Desk { conn, heads: &mut *heads, held: &mut *held };
            match job.apply(&mut desk) {
                Ok(()) => refusals.push(None),
                Err(error) if error.is_refusal() => refusals.push(Some(error)),
                Err(error) => return Err(error),
            }
        }
        conn.execute_batch("COMMIT").map_err(wrap)?;
        if conn.total_changes() > before {
            open::may_tidy(conn);
        }
        // What was written into a file that has no name any more is not kept.
        self.files.check()?;
        Ok(refusals)
    }

    /// Undoes an unfinished transaction. The connection is kept only where it is known to be sound:
    /// on a full disk a new one might not even find room for its index of the log.
    fn give_up(&mut self, error: &Error) {
        let sound =
            matches!(error, Error::DiskFull { .. } | Error::Locked { .. } | Error::Gone { .. });
        self.conn = self.conn.take().filter(|conn| {
            sound && (conn.is_autocommit() || conn.execute_batch("ROLLBACK").is_ok())
        });
    }

    fn connection(&mut self) -> Result<&Connection, Error> {
        let conn = if let Some(conn) = self.conn.take() {
            conn
        } else {
            // A new connection would find whatever stands there now; only the log may be a new one.
            self.files.check_database()?;
            let conn = open::for_writing(&self.path)?;
            self.files = Files::of(&self.path);
            conn
        };
        Ok(self.conn.insert(conn))
    }

    /// Moves the heartbeat of the leases held here, for watchers in other pid namespaces.
    ///
    /// It tells when an owner was last heard of who moved the run. One who has only taken it over
    /// lets stand what is known of the owner before it.
    fn beat(&mut self) {
        if self.held.is_empty() {
            return;
        }
        let now = i64::try_from(now()).unwrap_or(i64::MAX);
        let held: Vec<(i64, i64, Option<i64>)> =
            self.held.iter().map(|(n, h)| (*n, h.fence, h.appended.then_some(now))).collect();
        let Ok(conn) = self.connection() else { return };
        let beaten = conn.pragma_update(None, "synchronous", "NORMAL").and_then(|()| {
            held.iter().try_for_each(|lease| {
                conn.prepare_cached(
                    "UPDATE runs SET beat = coalesce(nullif(?3, beat), beat + 1)
                     WHERE n = ?1 AND fence = ?2",
                )?
                .execute(*lease)
                .map(drop)
            })
        });
        // The next job will say what is wrong.
        if beaten.is_err() {
            self.conn = None;
        }
    }
}
