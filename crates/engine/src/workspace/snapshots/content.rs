//! The content of a workspace's files on its way into the store: a program chose how long they are, so what is
//! long is never held at once.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::path::Path;

use git2::{ObjectType, Oid};
use rustix::fs::{self, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::objects::Objects;
use crate::plain::{self, NoFile, Opened};
use crate::workspace::Error;

/// The largest file of a snapshot, by the length that it claims: one with holes claims any. A longer one stays where
/// it is, and that is told.
pub(super) const LARGEST: u64 = 1 << 30;

/// What is no longer is read into memory.
pub(super) const AT_ONCE: u64 = 8 << 20;

/// What a file or link has in it.
pub(super) enum Content {
    Bytes(Vec<u8>),
    /// More than is read at once.
    Long(File),
    /// More than a snapshot has.
    TooLong,
}

impl Content {
    /// Its object, written unless it is there already; `None`: it is too long for one.
    ///
    /// # Errors
    /// When it cannot be read, or the object cannot be written.
    pub(super) fn store(self, objects: &Objects<'_>) -> Result<Option<Oid>, Error> {
        match self {
            Self::Bytes(bytes) => objects.write(ObjectType::Blob, &bytes).map(Some),
            Self::Long(file) => objects.write_long(file),
            Self::TooLong => Ok(None),
        }
    }

    /// The same without writing it.
    fn id(self, objects: &Objects<'_>) -> Option<Oid> {
        match self {
            Self::Bytes(bytes) => Oid::hash_object(ObjectType::Blob, &bytes).ok(),
            Self::Long(file) => objects.id_of_long(file),
            Self::TooLong => None,
        }
    }
}

/// A file's content or a link's target, with the `stat` that belongs to it; `None` when it is
/// neither any more.
pub(super) fn read(
    fd: &OwnedFd,
    name: &OsStr,
    stat: Stat,
) -> Result<Option<(Stat, Content)>, Errno> {
    if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink {
        let target = fs::readlinkat(fd, name, Vec::new())?.into_bytes();
        return Ok(Some((stat, Content::Bytes(target))));
    }
    let file = fs::openat(fd, name, FILE_FLAGS, Mode::empty())?;
    let stat = fs::fstat(&file)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Ok(None);
    }
    let length = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
    let content = of_file(file.into(), length);
    Ok(Some((stat, content.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?)))
}

/// That of an open file of this length. It may grow meanwhile, and is read no further for it.
fn of_file(mut file: File, length: u64) -> io::Result<Content> {
    if length > LARGEST {
        return Ok(Content::TooLong);
    }
    if length > AT_ONCE {
        return Ok(Content::Long(file));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0) + 1);
    (&mut file).take(AT_ONCE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > AT_ONCE {
        io::Seek::rewind(&mut file)?;
        return Ok(Content::Long(file));
    }
    Ok(Content::Bytes(bytes))
}

/// The text of rules; of a file that is longer than any that rules are in, none.
pub(super) fn text(content: Content) -> Vec<u8> {
    match content {
        Content::Bytes(bytes) if bytes.len() as u64 <= plain::SMALL => bytes,
        Content::Bytes(_) | Content::Long(_) | Content::TooLong => Vec::new(),
    }
}

/// That of a regular file on whose way no link is.
///
/// # Errors
/// Where there is none.
pub(super) fn of_path(path: &Path) -> io::Result<Content> {
    let Opened { file, metadata } = plain::open(path).map_err(|no: NoFile| io::Error::from(no))?;
    of_file(file, metadata.len())
}

/// Whether a file has the content of this object.
pub(super) fn is(content: Content, id: Oid, objects: &Objects<'_>) -> bool {
    content.id(objects) == Some(id)
}

const FILE_FLAGS: OFlags =
    OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
