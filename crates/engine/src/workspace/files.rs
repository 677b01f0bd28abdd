//! Single files: their stamps and digests, and new content in their place; no link is followed on the way.

use std::fs::Metadata;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use botpipe_kernel::ids::Digest;
use botpipe_kernel::run::FileStamp;
use sha2::{Digest as _, Sha256};

use crate::plain;
pub(crate) use crate::plain::{NoFile, Opened, open};

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

/// The same, and certainly, in a folder that is made where it is missing.
pub(crate) fn place(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        plain::make_theirs(folder)?;
    }
    replace(path, bytes, 0o644)?;
    sync_folder_of(path)
}

/// New content beside a file, on the disk, and not yet in its place.
pub(crate) struct Fresh(plain::Fresh);

impl Fresh {
    pub(crate) fn write(path: &Path, bytes: &[u8], mode: u32) -> io::Result<Self> {
        let (fresh, file) = plain::Fresh::write(path, bytes, Some(mode))?;
        file.sync_all()?;
        Ok(Self(fresh))
    }

    /// Puts it in the file's place.
    pub(crate) fn put(self) -> io::Result<()> {
        self.0.put()
    }
}

/// Has the names in a file's folder on the disk; a folder that is gone has none.
pub(crate) fn sync_folder_of(path: &Path) -> io::Result<()> {
    match plain::folder(path.parent().unwrap_or(Path::new("."))) {
        Ok(folder) => plain::sync(folder),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}
