//! Scratch folders: an overlay whose upper layer, in memory, hides names of the host's folder, adds some,
//! and takes what the program writes.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode};
use rustix::mount::{FsOpenFlags, MountAttrFlags, MoveMountFlags};

use super::super::sys;
use super::place::{NO_SUID_NO_DEV, READ_ONLY, look, made};
use crate::Scratch;

/// The folder over what the host has there (`lower`, not attached yet), with its rights, not attached yet.
pub(super) fn scratch(scratch: &Scratch, lower: &OwnedFd, mode: Mode) -> io::Result<OwnedFd> {
    let over = PathBuf::from(format!("/over/{}", sys::counted()));
    for part in ["", "lower", "upper", "work"] {
        std::fs::create_dir(over.join(part))?;
    }
    let upper = over.join("upper");
    rustix::fs::chmodat(CWD, &upper, mode, AtFlags::empty())?;
    change(&upper, lower.as_fd(), scratch)?;
    let at = over.join("lower");
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    rustix::mount::move_mount(lower, c"", CWD, &at, flags)?;
    let context = rustix::mount::fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (key, value) in [("lowerdir", &at), ("upperdir", &upper), ("workdir", &over.join("work"))] {
        rustix::mount::fsconfig_set_string(&context, key, value)?;
    }
    rustix::mount::fsconfig_set_flag(&context, "userxattr")?;
    let read_only = if scratch.writable { MountAttrFlags::empty() } else { READ_ONLY };
    made(&context, NO_SUID_NO_DEV | read_only)
}

/// Makes the changes of a scratch folder in its upper layer.
fn change(upper: &Path, lower: BorrowedFd<'_>, scratch: &Scratch) -> io::Result<()> {
    for hidden in &scratch.hidden {
        let Some(name) = hidden.file_name() else { continue };
        let parent = hidden.parent().unwrap_or(Path::new(""));
        let folder = folders(upper, lower, parent)?;
        match rustix::fs::mknodat(
            CWD,
            folder.join(name),
            FileType::CharacterDevice,
            Mode::empty(),
            0,
        ) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(e) => return Err(e.into()),
        }
    }
    for wanted in &scratch.folders {
        folders(upper, lower, wanted)?;
    }
    Ok(())
}

/// The folders of a path in an upper layer, each with the rights of the one it lies over.
fn folders(upper: &Path, lower: BorrowedFd<'_>, path: &Path) -> io::Result<PathBuf> {
    let (mut at, mut below) = (upper.to_owned(), PathBuf::new());
    for part in path.components() {
        at.push(part);
        below.push(part);
        match std::fs::create_dir(&at) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => continue,
            Err(e) => return Err(e),
        }
        if let Ok(folder) = look(lower, &below) {
            let mode = Mode::from_raw_mode(rustix::fs::fstat(folder)?.st_mode);
            rustix::fs::chmodat(CWD, &at, mode, AtFlags::empty())?;
        }
    }
    Ok(at)
}
