//! Content-addressed objects: bytes under the name of their digest, written once.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use botpipe_kernel::ids::Digest;
use sha2::Digest as _;

use crate::error::Error;

/// The digest of some bytes.
pub fn digest_of(bytes: &[u8]) -> Digest {
    Digest::from_bytes(sha2::Sha256::digest(bytes).into())
}

/// The object store of one `.botpipe` folder. Cheap to clone.
///
/// # Shape
/// `objects/aa/bbb…`: the first two digits of the digest name a folder, the other 62 the file.
#[derive(Debug, Clone)]
pub struct Objects {
    folder: PathBuf,
    /// One lock for each first digit: nobody cites an object before its name is durable. Within, the
    /// folders of that digit whose own names are.
    writing: Arc<[Mutex<[bool; 16]>; 16]>,
}

impl Objects {
    /// The store of a `.botpipe` folder; its folders are made when something is put.
    pub fn open(root: &Path) -> Self {
        Self { folder: root.join("objects"), writing: Arc::default() }
    }

    /// Keeps bytes; they are on the disk when it returns. What is there already is not written again.
    ///
    /// # Errors
    /// [`Error::DiskFull`], [`Error::NotWritable`], [`Error::Io`].
    pub fn put(&self, bytes: &[u8]) -> Result<Digest, Error> {
        let digest = digest_of(bytes);
        let path = self.path(&digest);
        let [first, second] = [0..1, 1..2]
            .map(|digit| usize::from_str_radix(&digest.as_str()[digit], 16).unwrap_or_default());
        let mut durable = self.writing[first].lock().unwrap_or_else(PoisonError::into_inner);
        let wrap = |source| Error::io("write", &path, source);
        let shard = self.folder.join(&digest.as_str()[..2]);
        // A file of other content was cut short by a power cut, or by somebody; it is replaced. Nobody
        // cites an object before this returns, so its name may come first: one sync does for both.
        let file = if fs::read(&path).is_ok_and(|there| there == bytes) {
            File::open(&path).map_err(wrap)?
        } else {
            fs::create_dir_all(&shard).map_err(|source| Error::io("create", &shard, source))?;
            let (mut file, fresh) = fresh_file(&path).map_err(wrap)?;
            let written = file.write_all(bytes).and_then(|()| fs::rename(&fresh, &path));
            written.map_err(|source| {
                let _ = fs::remove_file(&fresh);
                wrap(source)
            })?;
            file
        };
        // The file and its name at once: each mostly waits for the disk.
        thread::scope(|scope| {
            let named = scope.spawn(|| sync_folder(&shard));
            file.sync_all().map_err(wrap)?;
            named.join().unwrap_or_else(|panic| resume_unwind(panic))
        })?;
        if !durable[second] {
            sync_folder(&self.folder)?;
            self.folder.parent().map_or(Ok(()), sync_folder)?;
            durable[second] = true;
        }
        Ok(digest)
    }

    /// The bytes of an object, verified.
    ///
    /// # Errors
    /// [`Error::MissingObject`]; [`Error::Damaged`] when they are not what was put.
    pub fn get(&self, digest: &Digest) -> Result<Vec<u8>, Error> {
        let path = self.path(digest);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Error::MissingObject { digest: digest.clone(), path });
            }
            Err(source) => return Err(Error::io("read", &path, source)),
        };
        if digest_of(&bytes) != *digest {
            let what = "its content is not what its name says".to_owned();
            return Err(Error::Damaged { path, run: None, seq: None, what });
        }
        Ok(bytes)
    }

    /// The objects whose digests begin so, in order; `prefix` has at least two hex digits.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn named(&self, prefix: &str) -> Result<Vec<Digest>, Error> {
        let Some((shard, rest)) = prefix.split_at_checked(2) else { return Ok(Vec::new()) };
        let folder = self.folder.join(shard);
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|source| Error::io("read", &folder, source))?,
        };
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let named = names.filter(|name| name.starts_with(rest));
        // What is no digest is half an object.
        let mut found: Vec<Digest> =
            named.filter_map(|name| format!("{shard}{name}").parse().ok()).collect();
        found.sort_unstable();
        Ok(found)
    }

    /// Whether an object is there; its content is not looked at.
    pub fn has(&self, digest: &Digest) -> bool {
        self.path(digest).is_file()
    }

    /// Where an object is, or would be.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        let (shard, rest) = digest.as_str().split_at(2);
        self.folder.join(shard).join(rest)
    }
}

fn sync_folder(folder: &Path) -> Result<(), Error> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|source| Error::io("sync", folder, source))
}

/// A new file beside the object that no other writer uses.
///
/// A process that is killed while it writes leaves it behind; nothing ever reads it.
fn fresh_file(path: &Path) -> io::Result<(File, PathBuf)> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    loop {
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let fresh = path.with_extension(format!("{}-{n}.new", std::process::id()));
        match OpenOptions::new().write(true).create_new(true).open(&fresh) {
            Ok(file) => return Ok((file, fresh)),
            // Left behind by a process that had our number.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}
