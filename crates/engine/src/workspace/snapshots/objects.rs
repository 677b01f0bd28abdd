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

    /// An object's content, proven by its hash.
    pub(super) fn read(&self, id: Oid, kind: ObjectType) -> Result<Vec<u8>, Broken> {
        for place in self.places {
            let path = loose(place, id);
            // Those of the user's repository are written by programs too.
            match files::open(&path) {
                Ok(opened) => return inflate(opened.file, id, kind),
                Err(NoFile::Missing) => {}
                Err(no) => {
                    return Err(Broken(format!("`{}`: {}", path.display(), io::Error::from(no))));
                }
            }
        }
        match self.odb.read(id) {
            Ok(object) if object.kind() == kind => Ok(object.data().to_vec()),
            Ok(object) => Err(Broken(format!("object {id} is a {}", object.kind()))),
            Err(error) => Err(Broken(error.message().to_owned())),
        }
    }
}

fn loose(place: &Path, id: Oid) -> PathBuf {
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

/// Writes a loose object: first beside the others, under a name that no other thread has.
fn deflate(place: &Path, id: Oid, kind: ObjectType, bytes: &[u8]) -> io::Result<()> {
    static WRITTEN: AtomicU64 = AtomicU64::new(0);
    let number = WRITTEN.fetch_add(1, Ordering::Relaxed);
    let temporary = place.join(format!("{UNFINISHED}-{}-{number}", std::process::id()));
    let file = OpenOptions::new().write(true).create_new(true).mode(0o444).open(&temporary)?;
    let header = format!("{} {}\0", kind.str(), bytes.len());
    (&file).write_all(&compressed(&[header.as_bytes(), bytes].concat())?)?;
    let path = loose(place, id);
    match fs::rename(&temporary, &path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::rename(&temporary, &path)
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
    let broken = |why: &str| Broken(format!("object {id} is damaged: {why}"));
    let mut bytes = Vec::new();
    ZlibDecoder::new(io::BufReader::new(file))
        .read_to_end(&mut bytes)
        .map_err(|error| broken(&error.to_string()))?;
    let end = bytes.iter().position(|byte| *byte == 0).ok_or_else(|| broken("it has no header"))?;
    if !bytes.starts_with(kind.str().as_bytes()) {
        return Err(broken(&format!("it is no {kind}")));
    }
    let content = bytes.split_off(end + 1);
    match Oid::hash_object(kind, &content) {
        Ok(found) if found == id => Ok(content),
        _ => Err(broken("its content is not what was stored")),
    }
}
