//! The journal of one `.botpipe` folder: what the rest of the program does with it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Instant;

use botpipe_kernel::ids::{RunId, TaskId, WorkflowName};
use botpipe_kernel::run::Event;
use rusqlite::{Connection, params};

use crate::append::{Entry, Unwaited};
use crate::claim::{self, Answer, Claim, Holder, Target, json};
use crate::error::Error;
use crate::lease::Lease;
use crate::mark;
use crate::open::{self, Options};
use crate::owner::{Liveness, Owner};
use crate::read::{self, RunFilter, RunRow, Stored};
use crate::request::{Asked, Request};
use crate::writer::{Urgency, Writer};

/// The durable record of the runs of one `.botpipe` folder. Cheap to clone.
#[derive(Clone)]
pub struct Journal {
    shared: Arc<Shared>,
}

struct Shared {
    root: PathBuf,
    path: PathBuf,
    options: Options,
    /// Gone after a failure, so that the next attempt starts from a clean connection. Closed before
    /// the writer, the one who tidies up.
    reader: Mutex<Option<Connection>>,
    /// Started by the first who writes.
    writer: OnceLock<Writer>,
    starting: Mutex<()>,
}

/// A run to be created.
#[derive(Debug, Clone)]
pub struct NewRun {
    pub run: RunId,
    pub task: TaskId,
    pub workflow: WorkflowName,
    /// Milliseconds since the epoch.
    pub at: u64,
}

/// Where appended events stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    pub first_seq: u64,
    pub last_seq: u64,
}

impl Journal {
    /// Opens the journal of a `.botpipe` folder, creating both where they are missing.
    ///
    /// # Errors
    /// [`Error::NewerFormat`], [`Error::NotWritable`], [`Error::DiskFull`], [`Error::Damaged`].
    pub fn open(root: &Path) -> Result<Self, Error> {
        Self::open_with(root, Options::default())
    }

    /// Opens it with other bounds on heartbeats.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn open_with(root: &Path, options: Options) -> Result<Self, Error> {
        Ok(Self::new(root, options, open::prepare(root)?))
    }

    /// Opens the journal of a folder that has one, creating nothing; it may be read-only.
    ///
    /// # Errors
    /// [`Error::NewerFormat`], [`Error::Damaged`]; [`Error::NotWritable`] when it cannot even be read.
    pub fn open_existing(root: &Path) -> Result<Option<Self>, Error> {
        let path = open::path(root);
        let Some(reader) = open::for_reading(&path)? else { return Ok(None) };
        Ok(Some(Self::new(root, Options::default(), reader)))
    }

    fn new(root: &Path, options: Options, reader: Connection) -> Self {
        Self {
            shared: Arc::new(Shared {
                root: root.to_path_buf(),
                path: open::path(root),
                options,
                writer: OnceLock::new(),
                starting: Mutex::new(()),
                reader: Mutex::new(Some(reader)),
            }),
        }
    }

    /// Creates a run and takes its lease.
    ///
    /// A run is durable, and listed, with its first event; one that never gets any never was.
    ///
    /// # Errors
    /// [`Error::Busy`] while any run of this folder is held by an owner who lives, other than runs of the
    /// same family by the same process; [`Error::Unfinished`] when this task has a run of this workflow that is not over;
    /// [`Error::RunExists`].
    pub fn create_run(&self, new: NewRun, owner: &Owner) -> Result<Lease, Error> {
        self.claim(Target::New(new), owner, None)
    }

    /// Takes the lease of a run, also from an owner who is dead.
    ///
    /// An owner in another pid namespace is watched for [`Options::patience`] first.
    ///
    /// # Errors
    /// [`Error::Busy`] while this or any other run of the folder is held by an owner who lives;
    /// [`Error::NoSuchRun`]; [`Error::Damaged`] when events that were durable are gone.
    pub fn acquire(&self, run: &RunId, owner: &Owner) -> Result<Lease, Error> {
        let mark = mark::read(&self.shared.root, run);
        // Damage that only a write would meet is met before anything is written; a child's family has
        // been claimed already.
        if !run.is_child() {
            self.reading(read::quick_check)?;
        }
        self.claim(Target::Existing(run.clone()), owner, mark)
    }

    fn claim(
        &self,
        target: Target,
        owner: &Owner,
        mark: Option<mark::Mark>,
    ) -> Result<Lease, Error> {
        let mut claim = Claim { target, owner: owner.clone(), mark, dead: Vec::new() };
        loop {
            let (asked, path) = (claim.clone(), self.shared.path.clone());
            let answer = self
                .writer()?
                .wait(Urgency::Seen, move |desk| claim::answer(desk, &path, &asked))?;
            match answer {
                Answer::Granted(grant) => return Ok(Lease::new(self.clone(), grant)),
                Answer::Held(holder) if self.is_dead(&holder)? => claim.dead.push(holder.grant),
                Answer::Held(holder) => {
                    let Holder { run, task, workflow, owner, .. } = *holder;
                    return Err(Error::Busy { run, task, workflow, owner: Box::new(owner) });
                }
            }
        }
    }

    /// Appends events and returns when they are on the disk.
    ///
    /// `projection` is what lists show as the run's state from now on; it is stored with the events.
    /// After any error nothing of this call is stored, and it may be made again.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] when the run was granted to somebody else since; [`Error::DiskFull`] and
    /// [`Error::NotWritable`], after which the same call succeeds once the cause is gone.
    ///
    /// # Order
    /// After everything appended before with this lease, waited for or not: if an earlier
    /// [`Journal::append_soon`] failed, both are written now or neither.
    pub fn append(
        &self,
        lease: &Lease,
        at: u64,
        events: &[Event],
        projection: Option<&str>,
    ) -> Result<Appended, Error> {
        let entry = Entry::new(lease.grant().clone(), at, events, projection)?;
        self.writer()?.wait(Urgency::Durable, move |desk| entry.store(desk))
    }

    /// Appends events without waiting: every process sees them soon, and they are on the disk with
    /// the next [`Journal::append`] at the latest.
    ///
    /// # Errors
    /// None of writing; a failure keeps the events, and shows in the next [`Journal::append`].
    pub fn append_soon(&self, lease: &Lease, at: u64, events: &[Event]) -> Result<(), Error> {
        let entry = Entry::new(lease.grant().clone(), at, events, None)?;
        self.writer()?.send(Box::new(Unwaited { entry, urgency: Urgency::Later }))
    }

    /// Appends events and has them synced at once, without waiting for it: they are on the disk when
    /// the next [`Journal::append`] returns, and most likely long before.
    ///
    /// # Errors
    /// None of writing; a failure keeps the events, and shows in the next [`Journal::append`].
    pub fn append_beside(
        &self,
        lease: &Lease,
        at: u64,
        events: &[Event],
        projection: Option<&str>,
    ) -> Result<(), Error> {
        let entry = Entry::new(lease.grant().clone(), at, events, projection)?;
        self.writer()?.send(Box::new(Unwaited { entry, urgency: Urgency::Beside }))
    }

    /// Waits until what was sent with [`Journal::append_beside`] is on the disk.
    ///
    /// # Errors
    /// Those of [`Journal::append`]: of the events that were sent.
    pub fn settle(&self) -> Result<(), Error> {
        self.writer()?.wait(Urgency::Seen, |_| Ok(()))
    }

    /// All events of a run, every link of their chain verified.
    ///
    /// # Errors
    /// [`Error::NoSuchRun`], [`Error::Damaged`], [`Error::NewerEvent`].
    pub fn read(&self, run: &RunId) -> Result<Vec<Stored>, Error> {
        self.read_after(run, 0)
    }

    /// The events after `seq`, verified from there on; cheap when there are none.
    ///
    /// # Errors
    /// As [`Journal::read`].
    pub fn read_after(&self, run: &RunId, seq: u64) -> Result<Vec<Stored>, Error> {
        // The mark first: it only ever names what was durable before.
        let mark = mark::read(&self.shared.root, run);
        self.reading(|conn, path| read::events(conn, path, run, seq, mark.as_ref()))
    }

    /// The runs that pass a filter, newest first.
    ///
    /// # Errors
    /// [`Error::Damaged`], also when events are missing that were durable.
    pub fn runs(&self, filter: &RunFilter) -> Result<Vec<RunRow>, Error> {
        // The marks first: they only ever name what was durable before.
        let root = &self.shared.root;
        let marks: Vec<_> =
            mark::runs(root).into_iter().map(|r| (mark::read(root, &r), r)).collect();
        self.reading(|conn, path| {
            let wrap = |source| Error::database(path, source);
            for (mark, run) in marks {
                let found = claim::find(conn, &run).map_err(wrap)?;
                claim::check_mark(path, &run, found, mark.as_ref())?;
            }
            read::runs(conn, filter).map_err(wrap)
        })
    }

    /// One run; `None`: it has not begun.
    ///
    /// # Errors
    /// [`Error::Damaged`], also when events are missing that were durable.
    pub fn run(&self, run: &RunId) -> Result<Option<RunRow>, Error> {
        let mark = mark::read(&self.shared.root, run);
        self.reading(|conn, path| {
            let wrap = |source| Error::database(path, source);
            let found = claim::find(conn, run).map_err(wrap)?;
            claim::check_mark(path, run, found, mark.as_ref())?;
            read::run(conn, run).map_err(wrap)
        })
    }

    /// The newest run of a workflow, of one task or of any.
    ///
    /// # Errors
    /// [`Error::Damaged`], also when a run is missing of which events were durable.
    pub fn latest_run(
        &self,
        workflow: &WorkflowName,
        task: Option<&TaskId>,
    ) -> Result<Option<RunRow>, Error> {
        let marked = mark::runs(&self.shared.root);
        self.reading(|conn, path| {
            let wrap = |source| Error::database(path, source);
            for run in marked {
                let found = claim::find(conn, &run).map_err(wrap)?;
                if found.is_none_or(|(_, last)| last == 0) {
                    let mark = mark::read(&self.shared.root, &run);
                    claim::check_mark(path, &run, found, mark.as_ref())?;
                }
            }
            read::latest_run(conn, workflow, task).map_err(wrap)
        })
    }

    /// Asks the owner of a run for something.
    ///
    /// # Errors
    /// [`Error::NoSuchRun`].
    pub fn request(&self, run: &RunId, request: Request) -> Result<(), Error> {
        let (run, path) = (run.clone(), self.shared.path.clone());
        self.writer()?.wait(Urgency::Durable, move |desk| {
            let body = serde_json::to_string(&request)
                .map_err(|source| Error::Unstorable { kind: "request", source })?;
            let added = desk
                .conn
                .execute(
                    "INSERT INTO requests (run, body) SELECT n, ?2 FROM runs WHERE run = ?1",
                    params![run.as_str(), body],
                )
                .map_err(|source| Error::database(&path, source))?;
            if added == 0 { Err(Error::NoSuchRun { run: run.clone() }) } else { Ok(()) }
        })
    }

    /// What is asked of the owner, oldest first; cheap when nothing is.
    ///
    /// # Errors
    /// Those of the database.
    pub fn requests(&self, lease: &Lease) -> Result<Vec<Asked>, Error> {
        let row = lease.grant().row;
        self.reading(|conn, path| {
            conn.prepare_cached("SELECT n, body FROM requests WHERE run = ?1 ORDER BY n")
                .and_then(|mut query| {
                    let asked =
                        |r: &rusqlite::Row<'_>| Ok(Asked { n: r.get(0)?, request: json(r, 1)? });
                    query.query_map([row], asked)?.collect()
                })
                .map_err(|source| Error::database(path, source))
        })
    }

    /// Takes requests off the list: all up to this number.
    ///
    /// # Order
    /// After what was asked is recorded, so that nothing asked is lost.
    ///
    /// # Errors
    /// Those of the database.
    pub fn settle_requests(&self, lease: &Lease, up_to: i64) -> Result<(), Error> {
        let (row, path) = (lease.grant().row, self.shared.path.clone());
        self.writer()?.wait(Urgency::Seen, move |desk| {
            desk.conn
                .execute("DELETE FROM requests WHERE run = ?1 AND n <= ?2", params![row, up_to])
                .map(drop)
                .map_err(|source| Error::database(&path, source))
        })
    }

    /// The writer, started when it is first needed.
    pub(crate) fn writer(&self) -> Result<&Writer, Error> {
        let shared = &self.shared;
        if let Some(writer) = shared.writer.get() {
            return Ok(writer);
        }
        let _starting = shared.starting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(writer) = shared.writer.get() {
            return Ok(writer);
        }
        let writer = Writer::start(&shared.root, shared.options)?;
        Ok(shared.writer.get_or_init(|| writer))
    }

    fn reading<T>(
        &self,
        work: impl FnOnce(&Connection, &Path) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut reader = self.shared.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let path = &self.shared.path;
        let conn = match reader.take() {
            Some(conn) => conn,
            None => open::for_reading(path)?.ok_or_else(|| Error::Io {
                action: "read",
                path: path.clone(),
                source: std::io::ErrorKind::NotFound.into(),
            })?,
        };
        let result = work(&conn, path);
        if result.as_ref().err().is_none_or(Error::is_refusal) {
            *reader = Some(conn);
        }
        result
    }

    /// Whether the owner in the way is dead, watching its heartbeat when nothing else tells.
    fn is_dead(&self, holder: &Holder) -> Result<bool, Error> {
        match holder.owner.liveness() {
            Liveness::Alive => Ok(false),
            Liveness::Dead => Ok(true),
            Liveness::Unknown => self.stands_still(holder),
        }
    }

    fn stands_still(&self, holder: &Holder) -> Result<bool, Error> {
        let patience = self.shared.options.patience;
        let since = Instant::now();
        loop {
            let now = self.reading(|conn, path| {
                claim::moment(conn, holder.grant.row)
                    .map_err(|source| Error::database(path, source))
            })?;
            match now {
                // Released meanwhile: the next look at the holders will find it gone.
                None => return Ok(true),
                Some(now) if now != holder.grant => return Ok(false),
                Some(_) if since.elapsed() >= patience => return Ok(true),
                Some(_) => thread::sleep(patience / 32),
            }
        }
    }
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").field("root", &self.shared.root).finish_non_exhaustive()
    }
}
