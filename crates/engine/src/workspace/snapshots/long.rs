//! Objects that are too long to be held at once: written and read piece by piece.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use git2::{ObjectType, Oid};

use super::content::{AT_ONCE, LARGEST};
use super::objects::{Broken, HEADER, NotWritten, damaged, loose, put, unfinished};

/// A copy of a file that nobody else writes to: its name and its content belong together. It is removed when this
/// is dropped.
pub(super) struct Copied(PathBuf);

impl Copied {
    /// That of a file, and its id; `None`: it is too long.
    ///
    /// # Errors
    /// When it cannot be read, or written again.
    pub(super) fn of(file: File, place: &Path) -> io::Result<Option<(Self, Oid)>> {
        let copy = Self::unwritten(place);
        let mut to = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&copy.0)?;
        if io::copy(&mut file.take(LARGEST + 1), &mut to)? > LARGEST {
            return Ok(None);
        }
        let id = Oid::hash_file(ObjectType::Blob, &copy.0).map_err(io::Error::other)?;
        Ok(Some((copy, id)))
    }

    /// One that is still to be written.
    pub(super) fn unwritten(place: &Path) -> Self {
        Self(unfinished(place))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Copied {
    fn drop(&mut self) {
        // What cannot be removed is removed by the next who opens the store.
        let _ = fs::remove_file(&self.0);
    }
}

/// Writes the loose object of a copy.
pub(super) fn deflate(copy: &Copied, place: &Path, id: Oid) -> io::Result<()> {
    let temporary = Copied::unwritten(place);
    let to = OpenOptions::new().write(true).create_new(true).mode(0o444).open(&temporary.0)?;
    let mut from = File::open(&copy.0)?;
    let mut encoder = ZlibEncoder::new(io::BufWriter::new(to), Compression::fast());
    write!(encoder, "blob {}\0", from.metadata()?.len())?;
    io::copy(&mut from, &mut encoder)?;
    encoder.finish()?.flush()?;
    put(&temporary.0, &loose(place, id))
}

/// Whether the file of a loose object can unpack to one that is long.
///
/// # Source
/// zlib's technical details: at most 1032 to 1.
pub(super) fn may_be(packed: &File) -> bool {
    packed.metadata().is_ok_and(|it| it.len() > AT_ONCE / 1032)
}

/// The content of a file, as a loose object has it, from its header on.
pub(super) struct Object {
    content: ZlibDecoder<BufReader<File>>,
    length: Option<u64>,
}

impl Object {
    /// Reads its header.
    pub(super) fn open(file: File) -> Self {
        let mut content = ZlibDecoder::new(BufReader::new(file));
        let mut header = Vec::new();
        let mut byte = [0];
        // Whoever reads all of it says what is wrong with it.
        while matches!(content.read(&mut byte), Ok(1)) && byte != [0] {
            header.extend(byte);
            if header.len() as u64 == HEADER {
                break;
            }
        }
        let length = str::from_utf8(&header).ok().and_then(|it| it.strip_prefix("blob "));
        Self { length: length.and_then(|it| it.parse().ok()), content }
    }

    /// Whether it is a file's, and not to be held at once.
    pub(super) fn is_long(&self) -> bool {
        self.length.is_some_and(|length| length > AT_ONCE)
    }

    /// Writes its content.
    pub(super) fn copy(&mut self, mut to: &File, id: Oid) -> Result<(), NotWritten> {
        let mut from = Read::by_ref(&mut self.content).take(LARGEST + 1);
        let mut piece = vec![0; 1 << 16];
        loop {
            let read = match from.read(&mut piece) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(damaged(id, &error.to_string()).into()),
            };
            if read == 0 {
                return Ok(());
            }
            to.write_all(&piece[..read]).map_err(NotWritten::Io)?;
        }
    }
}

/// Proves what was written by its hash.
pub(super) fn prove(place: &Path, id: Oid) -> Result<(), Broken> {
    match Oid::hash_file(ObjectType::Blob, place) {
        Ok(found) if found == id => Ok(()),
        _ => Err(damaged(id, "its content is not what was stored")),
    }
}
