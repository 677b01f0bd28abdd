//! What can go wrong between us and the disk, named by cause.

use std::io;
use std::path::{Path, PathBuf};

use botpipe_kernel::ids::{Digest, RunId, TaskId, WorkflowName};
use rusqlite::ErrorCode;

use crate::owner::Owner;

/// A failure of the journal or the object store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Somebody who lives holds a run of this folder.
    #[error("run `{run}` of task `{task}` (workflow `{workflow}`) is held by {owner}")]
    Busy { run: RunId, task: TaskId, workflow: WorkflowName, owner: Box<Owner> },
    /// The task already has a run of this workflow that is not over.
    #[error("task `{task}` has an unfinished run `{run}` of workflow `{workflow}` ({state})")]
    Unfinished {
        run: RunId,
        task: TaskId,
        workflow: WorkflowName,
        /// The projection its last owner wrote.
        state: String,
    },
    /// The lease was granted to somebody else since; nothing was written.
    #[error("the lease of run `{run}` was taken over; nothing was written")]
    LeaseLost { run: RunId },
    /// No run has this id.
    #[error("there is no run `{run}`")]
    NoSuchRun { run: RunId },
    /// A new run was given the id of another.
    #[error("run `{run}` already exists")]
    RunExists { run: RunId },
    /// The database was written by a later program.
    #[error(
        "`{path}` has format {found}, and this program knows formats up to {supported}; use the newer botpipe that wrote it",
        path = path.display()
    )]
    NewerFormat { path: PathBuf, found: u32, supported: u32 },
    /// An event was written by a later program.
    #[error(
        "event {seq} of run `{run}` in `{file}` has version {version}, and this program knows versions up to {supported}; use the newer botpipe that wrote it",
        file = crate::open::FILE
    )]
    NewerEvent { run: RunId, seq: u64, version: u32, supported: u32 },
    /// What is stored is not what was written.
    #[error(
        "`{path}` is damaged{place}: {what}; nothing was changed, so copy the folder before you try anything, and restore it from a backup if there is one",
        path = path.display(),
        place = place(run.as_ref(), *seq)
    )]
    Damaged { path: PathBuf, run: Option<RunId>, seq: Option<u64>, what: String },
    /// The file was taken away under us.
    #[error(
        "`{path}` was removed or replaced while it was used, so nothing more can be recorded; put the folder back as it was, or begin anew",
        path = path.display()
    )]
    Gone { path: PathBuf },
    /// No space is left; the same call succeeds once there is.
    #[error("the disk of `{path}` is full; free some space and try again", path = path.display())]
    DiskFull { path: PathBuf },
    /// We may not write there; the same call succeeds once we may.
    #[error("`{path}` cannot be written: {why}", path = path.display())]
    NotWritable { path: PathBuf, why: String },
    /// Another process kept the database locked for longer than we wait.
    #[error("`{path}` stayed locked by another process", path = path.display())]
    Locked { path: PathBuf },
    /// An object is cited and not there.
    #[error("object `{digest}` is missing; it should be at `{path}`", path = path.display())]
    MissingObject { digest: Digest, path: PathBuf },
    /// An event has no stored form.
    #[error("an event `{kind}` cannot be stored: {source}")]
    Unstorable { kind: &'static str, source: serde_json::Error },
    /// The thread that writes has ended; a bug.
    #[error("the journal's writer has ended unexpectedly")]
    WriterLost,
    /// The file system failed in some other way.
    #[error("could not {action} `{path}`: {source}", path = path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    /// The database failed in some other way.
    #[error("`{path}` could not be used: {source}", path = path.display())]
    Database { path: PathBuf, source: rusqlite::Error },
}

impl Error {
    /// Whether this is an answer that left the database untouched, rather than a failure.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Busy { .. }
                | Self::Unfinished { .. }
                | Self::LeaseLost { .. }
                | Self::NoSuchRun { .. }
                | Self::RunExists { .. }
        )
    }

    /// Names the cause of a failed file operation.
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_path_buf();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { path },
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::NotWritable { path, why: source.to_string() }
            }
            _ => Self::Io { action, path, source },
        }
    }

    /// Names the cause of a failed statement on the database at `path`.
    pub(crate) fn database(path: &Path, source: rusqlite::Error) -> Self {
        let damaged =
            |what: String| Self::Damaged { path: path.to_path_buf(), run: None, seq: None, what };
        let not_writable = |why: String| Self::NotWritable { path: path.to_path_buf(), why };
        match &source {
            rusqlite::Error::SqliteFailure(failure, text) => match failure.code {
                ErrorCode::DiskFull => Self::DiskFull { path: path.to_path_buf() },
                ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
                    Self::Locked { path: path.to_path_buf() }
                }
                // Its header says so (it is no newer SQLite's), although the file may be written.
                ErrorCode::ReadOnly
                    if failure.extended_code == SQLITE_READONLY && may_write(path) =>
                {
                    damaged("its header does not allow it to be written".to_owned())
                }
                ErrorCode::ReadOnly | ErrorCode::PermissionDenied => {
                    not_writable("it may only be read".to_owned())
                }
                ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => damaged(source.to_string()),
                // Our statements fit our schema, so a schema they do not fit is not ours.
                ErrorCode::Unknown => damaged(text.clone().unwrap_or_else(|| source.to_string())),
                _ if has_no_space(path) => Self::DiskFull { path: path.to_path_buf() },
                ErrorCode::CannotOpen if !may_write(path) => {
                    not_writable("the folder or the file may not be written".to_owned())
                }
                _ => Self::Database { path: path.to_path_buf(), source },
            },
            rusqlite::Error::SqlInputError { msg, .. } => damaged(msg.clone()),
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::Utf8Error(..) => damaged(source.to_string()),
            _ => Self::Database { path: path.to_path_buf(), source },
        }
    }
}

/// The plain code, without a further cause.
const SQLITE_READONLY: i32 = 8;

fn place(run: Option<&RunId>, seq: Option<u64>) -> String {
    match (run, seq) {
        (Some(run), Some(seq)) => format!(" at event {seq} of run `{run}`"),
        (Some(run), None) => format!(" in run `{run}`"),
        (None, _) => String::new(),
    }
}

fn has_no_space(path: &Path) -> bool {
    let folder = path.parent().unwrap_or(path);
    rustix::fs::statvfs(folder).is_ok_and(|disk| disk.f_bavail == 0 || disk.f_blocks == 0)
}

fn may_write(path: &Path) -> bool {
    use rustix::fs::{Access, access};
    let folder = path.parent().unwrap_or(path);
    access(folder, Access::WRITE_OK).is_ok()
        && (!path.exists() || access(path, Access::WRITE_OK).is_ok())
}
