//! Changes single places in the workspace, never through a link, each file at once.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;

use git2::ObjectType;
use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::objects::{NotWritten, Objects};
use super::scan::FOLDER_FLAGS;
use super::tree::{self, Leaf};
use crate::account;

/// What stands at a path.
pub(super) enum Place {
    Nothing,
    Folder,
    /// A file, a link, or something special.
    Other(Stat),
}

/// A folder, reached from another one component by component; a link on the way is an error.
pub(super) fn open_folder(top: &OwnedFd, path: &[u8]) -> Result<OwnedFd, Errno> {
    let mut at = fs::openat(top, ".", FOLDER_FLAGS, Mode::empty())?;
    for part in path.split(|byte| *byte == b'/').filter(|part| !part.is_empty()) {
        at = fs::openat(&at, OsStr::from_bytes(part), FOLDER_FLAGS, Mode::empty())?;
    }
    Ok(at)
}

/// The same, making folders that are missing.
pub(super) fn make_folder(top: &OwnedFd, path: &[u8]) -> Result<OwnedFd, Errno> {
    let mut at = fs::openat(top, ".", FOLDER_FLAGS, Mode::empty())?;
    for part in path.split(|byte| *byte == b'/').filter(|part| !part.is_empty()) {
        let name = OsStr::from_bytes(part);
        let made = match fs::mkdirat(&at, name, Mode::from_raw_mode(0o777)) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(error) => return Err(error),
        };
        let below = fs::openat(&at, name, FOLDER_FLAGS, Mode::empty())?;
        if made {
            account::inherit(&at, &below);
        }
        at = below;
    }
    Ok(at)
}

/// What stands at a path; nothing, too, where a component on the way is no folder.
pub(super) fn look(top: &OwnedFd, path: &[u8]) -> Result<Place, Errno> {
    let found = open_folder(top, tree::parent(path))
        .and_then(|folder| fs::statat(&folder, name_of(path), AtFlags::SYMLINK_NOFOLLOW));
    match found {
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Directory => {
            Ok(Place::Folder)
        }
        Ok(stat) => Ok(Place::Other(stat)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(Place::Nothing),
        Err(error) => Err(error),
    }
}

/// Removes a file or link, then the folders above that this leaves empty.
pub(super) fn remove(top: &OwnedFd, path: &[u8]) -> Result<(), Errno> {
    match open_folder(top, tree::parent(path)) {
        Ok(folder) => match fs::unlinkat(&folder, name_of(path), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error),
        },
        Err(Errno::NOENT | Errno::NOTDIR) => {}
        Err(error) => return Err(error),
    }
    let mut above = tree::parent(path);
    while !above.is_empty() {
        let emptied = open_folder(top, tree::parent(above))
            .and_then(|folder| fs::unlinkat(&folder, name_of(above), AtFlags::REMOVEDIR));
        if emptied.is_err() {
            break;
        }
        above = tree::parent(above);
    }
    Ok(())
}

/// Removes a folder in which there are only empty folders; stops at the first file.
pub(super) fn remove_empty(top: &OwnedFd, path: &[u8]) -> Result<(), Errno> {
    let folder = open_folder(top, path)?;
    for entry in fs::Dir::read_from(&folder)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            remove_empty(top, &tree::join(path, entry.file_name().to_bytes()))?;
        }
    }
    fs::unlinkat(open_folder(top, tree::parent(path))?, name_of(path), AtFlags::REMOVEDIR)
}

/// Writes a file or link to be moved into place later.
pub(super) fn stage(objects: &Objects<'_>, leaf: Leaf, place: &Path) -> Result<(), NotWritten> {
    let Leaf { mode, id } = leaf;
    if mode == tree::LINK {
        let target = objects.read(id, ObjectType::Blob)?;
        return symlink(OsStr::from_bytes(&target), place).map_err(NotWritten::Io);
    }
    let file = objects.write_to(id, place, 0o666)?;
    // One that may be executed, by all who may read it.
    let stat = fs::fstat(&file).map_err(|error| NotWritten::Io(error.into()))?;
    set_execute(&file, Mode::from_raw_mode(stat.st_mode), mode).map_err(NotWritten::Io)
}

/// Moves what was staged into its place, making the folders above. A file that is replaced hands on
/// its permissions and whose it is; only whether it may be executed follows the snapshot.
pub(super) fn put(top: &OwnedFd, staged: &Path, path: &[u8], mode: u32) -> io::Result<()> {
    let folder = make_folder(top, tree::parent(path))?;
    let name = name_of(path);
    let now = fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW);
    if let Ok(now) = &now
        && FileType::from_raw_mode(now.st_mode) == FileType::RegularFile
        && mode != tree::LINK
    {
        set_execute(&File::open(staged)?, Mode::from_raw_mode(now.st_mode), mode)?;
    }
    let beside = now.or_else(|_| fs::fstat(&folder));
    if let Ok(beside) = &beside {
        account::inherit_from(beside, staged);
    }
    match fs::renameat(fs::CWD, staged, &folder, name) {
        Ok(()) => Ok(()),
        Err(Errno::XDEV) => put_across(&folder, staged, name, mode),
        Err(error) => Err(error.into()),
    }
}

/// The same where the folder is another file system: by way of a temporary name beside the place.
fn put_across(folder: &OwnedFd, staged: &Path, name: &OsStr, mode: u32) -> io::Result<()> {
    let mut temporary = OsStr::new(".botpipe-restore-").to_owned();
    temporary.push(name);
    match fs::unlinkat(folder, &temporary, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    if mode == tree::LINK {
        fs::symlinkat(std::fs::read_link(staged)?, folder, &temporary)?;
    } else {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mut source = File::open(staged)?;
        let mut target =
            File::from(fs::openat(folder, &temporary, flags, Mode::from_raw_mode(0o600))?);
        io::copy(&mut source, &mut target)?;
        account::inherit(&source, &target);
        target.set_permissions(source.metadata()?.permissions())?;
    }
    fs::renameat(folder, &temporary, folder, name)?;
    Ok(())
}

fn set_execute(file: &File, permissions: Mode, mode: u32) -> io::Result<()> {
    let bits = permissions.bits() & 0o777;
    let plain = bits & !0o111;
    let bits = match mode {
        // Keep who may execute it already, else all who may read it.
        tree::PROGRAM if permissions.contains(Mode::XUSR) => bits,
        tree::PROGRAM => plain | 0o100 | ((plain >> 2) & 0o111),
        _ => plain,
    };
    fs::fchmod(file, Mode::from_raw_mode(bits)).map_err(Into::into)
}

fn name_of(path: &[u8]) -> &OsStr {
    let start = path.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
    OsStr::from_bytes(&path[start..])
}
