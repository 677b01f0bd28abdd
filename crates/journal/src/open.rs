//! Opening the database: its settings, its format, and the refusal of newer ones.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use crate::error::Error;
use crate::mark;

/// The database's file name in a `.botpipe` folder.
pub(crate) const FILE: &str = "botpipe.db";

/// One file per format, in order; the format of a database is how many of them it has seen.
const FORMATS: [&str; 1] = [include_str!("sql/0001_journal.sql")];

/// `botp`: tells our database from anybody else's.
const APPLICATION_ID: i64 = 0x626f_7470;

/// How long another process may keep the database locked before we give up.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);

/// Pages after which the log is written into the database and begun anew: overwriting a short log costs
/// little more than half of growing a long one, as the test program's `cost` shows.
const LOG_PAGES: u32 = 200;

/// How an owner in another pid namespace is told from a dead one.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How often a holder of leases moves their heartbeat.
    pub beat: Duration,
    /// How long a heartbeat must stand still before its owner counts as dead.
    pub patience: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { beat: Duration::from_secs(2), patience: Duration::from_secs(6) }
    }
}

/// The database and its log, as they were opened.
pub(crate) struct Files(Vec<(PathBuf, (u64, u64))>);

impl Files {
    pub(crate) fn of(path: &Path) -> Self {
        let names = [path.to_path_buf(), with_suffix(path, "-wal")];
        let known = names.into_iter().filter_map(|name| identity(&name).map(|known| (name, known)));
        Self(known.collect())
    }

    /// Whether these are still the files that stand there.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.0.iter().try_for_each(check_file)
    }

    /// The same of the database alone.
    pub(crate) fn check_database(&self) -> Result<(), Error> {
        self.0.first().map_or(Ok(()), check_file)
    }
}

fn check_file((path, known): &(PathBuf, (u64, u64))) -> Result<(), Error> {
    if identity(path) == Some(*known) { Ok(()) } else { Err(Error::Gone { path: path.clone() }) }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

/// The newest format this program writes.
pub(crate) fn supported() -> u32 {
    u32::try_from(FORMATS.len()).unwrap_or(u32::MAX)
}

/// Where the database of a `.botpipe` folder is.
pub(crate) fn path(root: &Path) -> PathBuf {
    root.join(FILE)
}

/// Creates the folder and the database where they are missing, and brings it to the newest format.
pub(crate) fn prepare(root: &Path) -> Result<Connection, Error> {
    create_folder(root)?;
    let path = path(root);
    if !path.exists() {
        refuse_if_lost(&path, || Ok(!path.exists()))?;
    }
    let mut conn = writable(&path, OpenFlags::SQLITE_OPEN_CREATE)?;
    if format(&conn, &path)? < supported() {
        migrate(&mut conn, &path)?;
    }
    Ok(conn)
}

/// Opens the prepared database for the writer.
pub(crate) fn for_writing(path: &Path) -> Result<Connection, Error> {
    let conn = writable(path, OpenFlags::empty())?;
    format(&conn, path)?;
    Ok(conn)
}

/// Lets the connection write the log into the database when it closes.
pub(crate) fn may_tidy(conn: &Connection) {
    // Without it the next to open the database finds the log, as after a kill.
    let _ = conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false);
}

/// Keeps the connection from tidying a log away when it closes: of a damaged one it would keep only
/// what comes before the damage. Who only looked has changed nothing.
fn leave_log(conn: &Connection, path: &Path) -> rusqlite::Result<()> {
    // A log is only made with the first statement, so this one was there before us.
    let found = !is_empty(&with_suffix(path, "-wal"));
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, found).map(drop)
}

/// An empty journal beside marks of runs is no new one: it is what is left of one.
///
/// # Order
/// `is_empty` looks again after the marks were read: they are written after the journal, perhaps just
/// now and by somebody else.
fn refuse_if_lost(
    path: &Path,
    is_empty: impl FnOnce() -> Result<bool, Error>,
) -> Result<(), Error> {
    let root = path.parent().unwrap_or(path);
    let marked = mark::runs(root).into_iter().find_map(|run| Some((mark::read(root, &run)?, run)));
    let Some((mark, run)) = marked else { return Ok(()) };
    if !is_empty()? {
        return Ok(());
    }
    Err(Error::Damaged {
        path: path.to_path_buf(),
        run: None,
        seq: None,
        what: format!(
            "nothing is left of the journal, but event {} of run `{run}` was recorded, as \
             `heads/{run}` says; to begin anew all the same, delete the folder `heads`",
            mark.seq
        ),
    })
}

/// Opens the database for reading; `None` when nothing was ever recorded there.
///
/// Where nothing may be written, or nothing more fits, and no log stands beside the database, it is
/// read as it is.
pub(crate) fn for_reading(path: &Path) -> Result<Option<Connection>, Error> {
    if !path.exists() {
        refuse_if_lost(path, || Ok(!path.exists()))?;
        return Ok(None);
    }
    let wrap = |source| Error::database(path, source);
    let open = |flags| -> Result<(Connection, u32), Error> {
        let conn = if flags == OpenFlags::SQLITE_OPEN_URI {
            let uri = format!("file:{}?immutable=1", uri_path(path));
            Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_READ_ONLY)
        } else {
            Connection::open_with_flags(path, flags)
        };
        let conn = conn.map_err(wrap)?;
        leave_log(&conn, path).map_err(wrap)?;
        conn.busy_timeout(LOCK_PATIENCE).map_err(wrap)?;
        let found = format(&conn, path)?;
        Ok((conn, found))
    };
    let opened = open(OpenFlags::SQLITE_OPEN_READ_WRITE)
        .or_else(|error| match error {
            Error::NotWritable { .. } => open(OpenFlags::SQLITE_OPEN_READ_ONLY),
            other => Err(other),
        })
        .or_else(|error| match error {
            Error::NotWritable { .. } | Error::DiskFull { .. }
                if is_empty(&with_suffix(path, "-wal")) =>
            {
                open(OpenFlags::SQLITE_OPEN_URI)
            }
            other => Err(other),
        });
    let (conn, found) = opened?;
    if found == 0 {
        refuse_if_lost(path, || Ok(format(&conn, path)? == 0))?;
    }
    Ok((found > 0).then_some(conn))
}

fn writable(path: &Path, extra: OpenFlags) -> Result<Connection, Error> {
    let wrap = |source| Error::database(path, source);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | extra;
    let conn = Connection::open_with_flags(path, flags).map_err(wrap)?;
    leave_log(&conn, path).map_err(wrap)?;
    conn.busy_timeout(LOCK_PATIENCE).map_err(wrap)?;
    // A newer or foreign database is not even brought to our way of writing.
    if format(&conn, path)? == 0 {
        refuse_if_lost(path, || Ok(format(&conn, path)? == 0))?;
    }
    let mode = turn_on_wal(&conn).map_err(wrap)?;
    if mode != "wal" {
        return Err(Error::NotWritable {
            path: path.to_path_buf(),
            why: "its file system does not allow a write-ahead log, as many network shares".into(),
        });
    }
    conn.pragma_update(None, "synchronous", "FULL").map_err(wrap)?;
    conn.pragma_update(None, "cell_size_check", true).map_err(wrap)?;
    conn.pragma_update(None, "wal_autocheckpoint", LOG_PAGES).map_err(wrap)?;
    Ok(conn)
}

/// Switching a fresh database to a write-ahead log does not wait for others doing the same.
fn turn_on_wal(conn: &Connection) -> rusqlite::Result<String> {
    let since = Instant::now();
    loop {
        let mode = conn.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0));
        match mode {
            Err(rusqlite::Error::SqliteFailure(failure, _))
                if failure.code == ErrorCode::DatabaseBusy && since.elapsed() < LOCK_PATIENCE =>
            {
                std::thread::sleep(Duration::from_millis(5));
            }
            other => return other,
        }
    }
}

/// The format of a database, 0 for an empty one; an error when it is newer or somebody else's.
fn format(conn: &Connection, path: &Path) -> Result<u32, Error> {
    let wrap = |source| Error::database(path, source);
    // Both in one statement: between two, somebody else may bring the database to its format.
    let (found, application): (i64, i64) = conn
        .query_row(
            "SELECT user_version, application_id FROM pragma_user_version, pragma_application_id",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .map_err(wrap)?;
    let found = u32::try_from(found).unwrap_or(u32::MAX);
    if application != if found == 0 { 0 } else { APPLICATION_ID } {
        return Err(Error::Damaged {
            path: path.to_path_buf(),
            run: None,
            seq: None,
            what: "its header is not that of a journal".to_owned(),
        });
    }
    if found > supported() {
        return Err(Error::NewerFormat { path: path.to_path_buf(), found, supported: supported() });
    }
    Ok(found)
}

fn migrate(conn: &mut Connection, path: &Path) -> Result<(), Error> {
    let wrap = |source| Error::database(path, source);
    let transaction =
        conn.transaction_with_behavior(TransactionBehavior::Immediate).map_err(wrap)?;
    // Somebody may have done it while we waited.
    let found = format(&transaction, path)?;
    for (step, sql) in (1_i64..).zip(FORMATS).skip(found as usize) {
        transaction.execute_batch(sql).map_err(wrap)?;
        transaction.pragma_update(None, "user_version", step).map_err(wrap)?;
    }
    transaction.commit().map_err(wrap)
}

/// Creates the folder; its own name is made durable, since everything durable lies in it.
fn create_folder(root: &Path) -> Result<(), Error> {
    if root.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(root).map_err(|source| Error::io("create", root, source))?;
    let parent = match root.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(parent)
        .and_then(|folder| folder.sync_all())
        .map_err(|source| Error::io("sync", parent, source))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn is_empty(path: &Path) -> bool {
    fs::metadata(path).map_or(true, |file| file.len() == 0)
}

fn uri_path(path: &Path) -> String {
    path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23")
}
