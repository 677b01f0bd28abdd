//! Opening and replacing single files without following a link at their end.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use botpipe_kernel::ids::Digest;
use botpipe_kernel::run::FileStamp;
use rustix::fs::OFlags;
use sha2::{Digest as _, Sha256};

/// A regular file, opened; its metadata are those of the open file.
pub(crate) struct Opened {
    pub(crate) file: File,
    pub(crate) metadata: Metadata,
}

/// Why a path gave no regular file.
pub(crate) enum NoFile {
    Missing,
    /// It is there and is this instead.
    Other(&'static str),
    Failed(io::Error),
}

/// Opens a regular file for reading; never follows a link at the end, never waits for a pipe.
pub(crate) fn open(path: &Path) -> Result<Opened, NoFile> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC).bits();
    let flags = i32::from_ne_bytes(flags.to_ne_bytes());
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) => return Err(not_opened(path, error)),
    };
    let metadata = file.metadata().map_err(NoFile::Failed)?;
    if metadata.is_file() {
        Ok(Opened { file, metadata })
    } else if metadata.is_dir() {
        Err(NoFile::Other("is a folder"))
    } else {
        Err(NoFile::Other("is not a regular file"))
    }
}

fn not_opened(path: &Path, error: io::Error) -> NoFile {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_symlink() => NoFile::Other("is a symbolic link"),
        Ok(metadata) if !metadata.is_file() => NoFile::Other("is not a regular file"),
        Err(gone)
            if matches!(gone.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            NoFile::Missing
        }
        Ok(_) | Err(_) => NoFile::Failed(error),
    }
}

/// The stamp of an open file whose content has this digest.
pub(crate) fn stamp_of(metadata: &Metadata, digest: Digest) -> FileStamp {
    FileStamp {
        inode: metadata.ino(),
        ctime_ns: metadata
            .ctime()
            .saturating_mul(1_000_000_000)
            .saturating_add(metadata.ctime_nsec()),
        digest,
    }
}

/// SHA-256 of bytes in memory.
pub(crate) fn digest_of(bytes: &[u8]) -> Digest {
    Digest::from_bytes(Sha256::digest(bytes).into())
}

/// SHA-256 of bytes as they come.
#[derive(Debug, Default)]
pub(crate) struct Hasher(Sha256);

impl Hasher {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(crate) fn finish(self) -> Digest {
        Digest::from_bytes(self.0.finalize().into())
    }
}

/// SHA-256 of all that a reader gives.
pub(crate) fn digest_read(reader: &mut impl Read) -> io::Result<Digest> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(Digest::from_bytes(hasher.finalize().into())),
            Ok(n) => hasher.update(&buffer[..n]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Puts bytes in a file's place at once: a reader sees the old content or the new, also after a
/// power cut. The new file has the permissions given. Which of the two a power cut leaves is certain
/// after [`sync_folder_of`].
pub(crate) fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    Fresh::write(path, bytes, mode)?.put()
}

/// New content beside a file, on the disk, and not yet in its place. Dropped, it is removed: half a
/// change is of use to nobody.
pub(crate) struct Fresh<'p> {
    path: &'p Path,
    temporary: PathBuf,
    put: bool,
}

impl<'p> Fresh<'p> {
    pub(crate) fn write(path: &'p Path, bytes: &[u8], mode: u32) -> io::Result<Self> {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        };
        // The name is always the same, so that one left by a killed process is overwritten.
        let mut temporary = std::ffi::OsString::from(".");
        temporary.push(name);
        temporary.push(".botpipe-new");
        let temporary = folder.join(temporary);
        let flags = i32::from_ne_bytes(OFlags::NOFOLLOW.bits().to_ne_bytes());
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .custom_flags(flags)
            .open(&temporary)?;
        let fresh = Self { path, temporary, put: false };
        file.write_all(bytes)?;
        file.set_permissions(std::fs::Permissions::from_mode(mode & 0o777))?;
        file.sync_all()?;
        Ok(fresh)
    }

    /// Puts it in the file's place.
    pub(crate) fn put(mut self) -> io::Result<()> {
        std::fs::rename(&self.temporary, self.path)?;
        self.put = true;
        Ok(())
    }
}

impl Drop for Fresh<'_> {
    fn drop(&mut self) {
        if !self.put {
            // What cannot be removed is overwritten by the next.
            let _ = std::fs::remove_file(&self.temporary);
        }
    }
}

/// Has the names in a file's folder on the disk; a folder that is gone has none.
pub(crate) fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    match File::open(folder) {
        Ok(folder) => folder.sync_all(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}
