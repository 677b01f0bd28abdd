//! The objects of the snapshot repository and those it borrows: read with proof, written once.

use std::cell::RefCell;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::read::ZlibDecoder;
use flate2::{Compress, Compression, FlushCompress, Status};
use git2::{ObjectType, Odb, OdbLookupFlags, Oid};

use super::content::LARGEST;
use super::long::{self, Copied};
use crate::workspace::Error;
use crate::workspace::files::{self, NoFile};

/// An object that is not there or not whole.
#[derive(Debug)]
pub(super) struct Broken(pub(super) String);

/// Reads and writes objects.
///
/// Loose objects are read here and not by libgit2, which as of 1.9 never returns from reading one
/// that was cut short; and written here in four system calls.
pub(super) struct Objects<'r> {
    odb: Odb<'r>,
    /// Object folders: our own, then the borrowed one.
    places: &'r [PathBuf],
}

impl<'r> Objects<'r> {
    pub(super) fn new(odb: Odb<'r>, places: &'r [PathBuf]) -> Self {
        Self { odb, places }
    }

    /// Whether an object is there; one that a power cut left empty is not.
    pub(super) fn has(&self, id: Oid) -> bool {
        let own = self.places.first().map(|place| loose(place, id));
        let torn = own.and_then(|path| Some((fs::metadata(&path).ok()?.len() == 0, path)));
        if let Some((true, path)) = torn {
            let _written_anew_or_reported = fs::remove_file(path);
            return false;
        }
        self.odb.exists_ext(id, OdbLookupFlags::NO_REFRESH)
    }

    /// Removes our own loose object of that id.
    pub(super) fn discard(&self, id: Oid) {
        if let Some(place) = self.places.first() {
            let _absent = fs::remove_file(loose(place, id));
        }
    }

    /// Writes an object unless it is there already, borrowed ones included.
    pub(super) fn write(&self, kind: ObjectType, bytes: &[u8]) -> Result<Oid, Error> {
        let id = Oid::hash_object(kind, bytes).map_err(Error::git("hash an object"))?;
        if !self.has(id)
            && let Some(place) = self.places.first()
        {
            deflate(place, id, kind, bytes).map_err(Error::io("write a snapshot to", place))?;
        }
        Ok(id)
    }

    /// The same of a long file, piece by piece; `None` when it is longer than any of a snapshot.
    pub(super) fn write_long(&self, file: File) -> Result<Option<Oid>, Error> {
        let Some(place) = self.places.first() else { return Ok(None) };
        let write = || {
            let Some((copy, id)) = Copied::of(file, place)? else { return Ok(None) };
            if !self.has(id) {
                long::deflate(&copy, place, id)?;
            }
            Ok(Some(id))
        };
        write().map_err(Error::io("write a snapshot to", place))
    }

    /// The id that a long file's object would have; `None` when it cannot be read, or is too long.
    pub(super) fn id_of_long(&self, file: File) -> Option<Oid> {
        Some(Copied::of(file, self.places.first()?).ok()??.1)
    }

    /// An object's content, proven by its hash.
    pub(super) fn read(&self, id: Oid, kind: ObjectType) -> Result<Vec<u8>, Broken> {
        if let Some(file) = self.own_file(id)? {
            return inflate(file, id, kind);
        }
        let broken = |error: git2::Error| Broken(error.message().to_owned());
        // How long it is is a word of who packed it.
        let (length, _) = self.odb.read_header(id).map_err(broken)?;
        if length as u64 > LARGEST {
            return Err(Broken(format!("object {id} is larger than any of a snapshot")));
        }
        match self.odb.read(id) {
            Ok(object) if object.kind() == kind => Ok(object.data().to_vec()),
            Ok(object) => Err(Broken(format!("object {id} is a {}", object.kind()))),
            Err(error) => Err(broken(error)),
        }
    }

    /// Writes a file's content, proven by its hash, into `to`, which is new.
    pub(super) fn write_to(&self, id: Oid, to: &Path, mode: u32) -> Result<File, NotWritten> {
        let content = self.file(id)?;
        let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(to);
        let mut file = file.map_err(NotWritten::Io)?;
        match content {
            Stored::Bytes(bytes) => file.write_all(&bytes).map_err(NotWritten::Io)?,
            Stored::Long(mut object) => {
                object.copy(&file, id)?;
                long::prove(to, id)?;
            }
        }
        Ok(file)
    }

    /// Whether a file's content is there and whole.
    pub(super) fn proves(&self, id: Oid) -> Result<(), Broken> {
        let (Stored::Long(mut object), Some(place)) = (self.file(id)?, self.places.first()) else {
            return Ok(());
        };
        let copy = Copied::unwritten(place);
        let copied = File::create_new(copy.path()).map_err(NotWritten::Io);
        match copied.and_then(|file| object.copy(&file, id)) {
            Ok(()) => long::prove(copy.path(), id),
            Err(NotWritten::Broken(broken)) => Err(broken),
            Err(NotWritten::Io(error)) => Err(Broken(error.to_string())),
        }
    }

    fn file(&self, id: Oid) -> Result<Stored, Broken> {
        match self.own_file(id)? {
            Some(file) if long::may_be(&file) => match long::Object::open(file) {
                object if object.is_long() => Ok(Stored::Long(object)),
                _ => self.read(id, ObjectType::Blob).map(Stored::Bytes),
            },
            Some(file) => inflate(file, id, ObjectType::Blob).map(Stored::Bytes),
            None => self.read(id, ObjectType::Blob).map(Stored::Bytes),
        }
    }

    /// The file of a loose object.
    fn own_file(&self, id: Oid) -> Result<Option<File>, Broken> {
        for place in self.places {
            let path = loose(place, id);
            // Those of the user's repository are written by programs too.
            match files::open(&path) {
                Ok(opened) => return Ok(Some(opened.file)),
                Err(NoFile::Missing) => {}
                Err(no) => {
                    return Err(Broken(format!("`{}`: {}", path.display(), io::Error::from(no))));
                }
            }
        }
        Ok(None)
    }
}

/// A file's content: all of it, proven, or one too long for that, which is proven when it is written.
enum Stored {
    Bytes(Vec<u8>),
    Long(long::Object),
}

/// Why a content was not written.
#[derive(Debug)]
pub(super) enum NotWritten {
    Broken(Broken),
    Io(io::Error),
}

impl From<Broken> for NotWritten {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

pub(super) fn loose(place: &Path, id: Oid) -> PathBuf {
    let hex = id.to_string();
    let (folder, name) = hex.split_at(2);
    place.join(folder).join(name)
}

/// How the name of an object that is being written begins.
const UNFINISHED: &str = "tmp_obj_botpipe";

/// Removes what killed processes left half written.
pub(super) fn remove_unfinished(place: &Path) {
    for entry in fs::read_dir(place).into_iter().flatten().flatten() {
        if entry.file_name().as_bytes().starts_with(UNFINISHED.as_bytes()) {
            let _gone = fs::remove_file(entry.path());
        }
    }
}

/// A name in a folder of objects that no other thread has.
pub(super) fn unfinished(place: &Path) -> PathBuf {
    static WRITTEN: AtomicU64 = AtomicU64::new(0);
    let number = WRITTEN.fetch_add(1, Ordering::Relaxed);
    place.join(format!("{UNFINISHED}-{}-{number}", std::process::id()))
}

/// Writes a loose object: first beside the others.
fn deflate(place: &Path, id: Oid, kind: ObjectType, bytes: &[u8]) -> io::Result<()> {
    let temporary = unfinished(place);
    let file = OpenOptions::new().write(true).create_new(true).mode(0o444).open(&temporary)?;
    let header = format!("{} {}\0", kind.str(), bytes.len());
    (&file).write_all(&compressed(&[header.as_bytes(), bytes].concat())?)?;
    put(&temporary, &loose(place, id))
}

/// Puts an object in its place.
pub(super) fn put(temporary: &Path, path: &Path) -> io::Result<()> {
    match fs::rename(temporary, path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::rename(temporary, path)
        }
        done => done,
    }
}

fn compressed(bytes: &[u8]) -> io::Result<Vec<u8>> {
    thread_local! {
        // Making one costs more than most objects do.
        static COMPRESS: RefCell<Compress> =
            RefCell::new(Compress::new(Compression::fast(), true));
    }
    COMPRESS.with_borrow_mut(|compress| {
        compress.reset();
        let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 8 + 128);
        loop {
            let from = usize::try_from(compress.total_in()).map_err(io::Error::other)?;
            if compress.compress_vec(&bytes[from..], &mut out, FlushCompress::Finish)?
                == Status::StreamEnd
            {
                return Ok(out);
            }
            out.reserve(out.len() / 2 + 128);
        }
    })
}

fn inflate(file: File, id: Oid, kind: ObjectType) -> Result<Vec<u8>, Broken> {
    let mut bytes = Vec::new();
    // What it unpacks to is a word of who wrote it.
    ZlibDecoder::new(io::BufReader::new(file))
        .take(LARGEST + HEADER)
        .read_to_end(&mut bytes)
        .map_err(|error| damaged(id, &error.to_string()))?;
    let end = bytes.iter().position(|byte| *byte == 0);
    let end = end.ok_or_else(|| damaged(id, "it has no header"))?;
    if !bytes.starts_with(kind.str().as_bytes()) {
        return Err(damaged(id, &format!("it is no {kind}")));
    }
    let content = bytes.split_off(end + 1);
    match Oid::hash_object(kind, &content) {
        Ok(found) if found == id => Ok(content),
        _ => Err(damaged(id, "its content is not what was stored")),
    }
}

pub(super) fn damaged(id: Oid, why: &str) -> Broken {
    Broken(format!("object {id} is damaged: {why}"))
}

/// More than the header of any object has.
pub(super) const HEADER: u64 = 64;
