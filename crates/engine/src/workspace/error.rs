//! What can fail on the workspace's files.

use std::io;
use std::path::PathBuf;

use crate::error::ErrorKind;

/// Something about the workspace's files that stands in the way; says what, where and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder given as the workspace is not there.
    #[error("there is no folder `{}` to work in: create it first or name another", path.display())]
    NoWorkspace { path: PathBuf },
    /// The folder given as the workspace is the root of all.
    #[error(
        "`/` cannot be a workspace: the system's own folders lie in it, and programs need them as they are; \
         name the folder of your project, as in `--workspace /srv/project`"
    )]
    Root,
    /// The workspace, or a folder of ours in it, is something else than a folder.
    #[error("`{}` is not a folder: move it away or name another workspace", path.display())]
    NotAFolder { path: PathBuf },
    /// The workspace may not be read.
    #[error(
        "`{}` cannot be read ({source}): give this user permission to read and enter it",
        path.display()
    )]
    NotReadable { path: PathBuf, source: io::Error },
    /// `.botpipe` cannot be written.
    #[error(
        "`{}` cannot be written ({source}): give this user write permission there",
        path.display()
    )]
    NotWritable { path: PathBuf, source: io::Error },
    /// No space is left for what we must write.
    #[error("the disk of `{}` is full; free some space and try again", path.display())]
    DiskFull { path: PathBuf },
    /// An artifact's rendered path is no path within its folder.
    #[error("artifact path `{}` {rule}: change the artifact's `path`", path.escape_debug())]
    ArtifactPath { path: String, rule: &'static str },
    /// A link is on an artifact's way.
    #[error(
        "`{}` is a symbolic link, and artifacts are read and written through none: remove it, and make a \
         folder there",
        path.display()
    )]
    LeadsAway { path: PathBuf },
    /// A link in an artifact's place leads out of the workspace.
    #[error(
        "`{}` is a symbolic link that leads out of the workspace: remove it, artifacts are only \
         read and written inside",
        path.display()
    )]
    LeadsOut { path: PathBuf },
    /// Reading or writing failed.
    #[error("could not {what} `{}`: {source}", path.display())]
    Io { what: &'static str, path: PathBuf, source: io::Error },
    /// libgit2 refused something in the snapshot repository.
    #[error("could not {what} in the snapshot repository: {}", source.message())]
    Git { what: &'static str, source: git2::Error },
    /// A snapshot, or part of it, is missing or damaged.
    #[error(
        "snapshot {snapshot} cannot be used, {what}; nothing was changed. If a borrowed object \
         was removed from the workspace's own repository, fetch or restore it there"
    )]
    Damaged { snapshot: String, what: String },
    /// Something the snapshot rules protect stands where a restore must write.
    #[error(
        "snapshot {snapshot} was not restored, nothing was changed: `{path}` {what}; move it away, \
         then try again"
    )]
    InTheWay { snapshot: String, path: String, what: &'static str },
    /// The tree after a restore is not the one asked for: somebody writes to it at the same time.
    #[error(
        "after restoring snapshot {snapshot} these differ from it: {}; is another program writing \
         there? The tree as it was before is kept as {kept}",
        paths.join(", ")
    )]
    NotRestored { snapshot: String, kept: String, paths: Vec<String> },
}

impl Error {
    /// What kind of error it is for whoever asked.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoWorkspace { .. } | Self::Root | Self::NotAFolder { .. } => ErrorKind::Usage,
            Self::NotReadable { .. } | Self::NotWritable { .. } => ErrorKind::NotWritable,
            Self::DiskFull { .. } => ErrorKind::DiskFull,
            Self::Io { source, .. } => match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::DiskFull,
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                    ErrorKind::NotWritable
                }
                _ => ErrorKind::Internal,
            },
            Self::Damaged { .. } => ErrorKind::Damaged,
            Self::ArtifactPath { .. }
            | Self::LeadsAway { .. }
            | Self::LeadsOut { .. }
            | Self::Git { .. }
            | Self::InTheWay { .. }
            | Self::NotRestored { .. } => ErrorKind::Internal,
        }
    }

    /// For `map_err`: names the deed and the place.
    pub(crate) fn io(
        what: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { what, path, source }
    }

    /// For `map_err`: names the deed.
    pub(crate) fn git(what: &'static str) -> impl FnOnce(git2::Error) -> Self {
        move |source| Self::Git { what, source }
    }
}
