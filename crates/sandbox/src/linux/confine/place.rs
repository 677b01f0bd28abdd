//! Mounts and places by descriptor: nothing that is made here is reached by a path that others can bend.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, FsPickFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags,
};

use super::super::sys;

pub(super) const NO_SUID_NO_DEV: MountAttrFlags =
    MountAttrFlags::MOUNT_ATTR_NOSUID.union(MountAttrFlags::MOUNT_ATTR_NODEV);
pub(super) const READ_ONLY: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_RDONLY;

/// What is at a descriptor, with what is mounted below it, not attached yet.
pub(super) fn copy_of(place: BorrowedFd<'_>, attributes: MountAttrFlags) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH
        | OpenTreeFlags::AT_RECURSIVE;
    let tree = rustix::mount::open_tree(place, c"", flags)?;
    sys::set_mount_attributes(tree.as_fd(), u64::from(attributes.bits()))?;
    Ok(tree)
}

/// Lays a mount over a place.
pub(super) fn attach(mount: BorrowedFd<'_>, place: BorrowedFd<'_>) -> io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    Ok(rustix::mount::move_mount(mount, c"", place, c"", flags)?)
}

/// An empty folder in memory, not attached yet.
pub(super) fn memory(mode: Mode) -> io::Result<OwnedFd> {
    new("tmpfs", &[("mode", &format!("{:o}", mode.as_raw_mode()))], NO_SUID_NO_DEV)
}

/// The same, which holds no more than these bytes, and names in proportion.
pub(super) fn bounded_memory(mode: Mode, bytes: u64) -> io::Result<OwnedFd> {
    let mode = format!("{:o}", mode.as_raw_mode());
    let [size, names] = bounds(bytes);
    new("tmpfs", &[("mode", &*mode), ("size", &*size), ("nr_inodes", &*names)], NO_SUID_NO_DEV)
}

/// Gives such a folder another bound.
pub(super) fn bound_memory(memory: &OwnedFd, bytes: u64) -> io::Result<()> {
    let flags = FsPickFlags::FSPICK_CLOEXEC | FsPickFlags::FSPICK_EMPTY_PATH;
    let context = rustix::mount::fspick(memory, c"", flags)?;
    for (key, value) in ["size", "nr_inodes"].into_iter().zip(bounds(bytes)) {
        rustix::mount::fsconfig_set_string(&context, key, value)?;
    }
    Ok(rustix::mount::fsconfig_reconfigure(&context)?)
}

/// # Source
/// Linux, `Documentation/filesystems/tmpfs.rst`: names take memory of their own, which `size` does not count.
fn bounds(bytes: u64) -> [String; 2] {
    let names = (bytes / BYTES_A_NAME).max(FEWEST_NAMES);
    [bytes, names].map(|bound| bound.to_string())
}

const BYTES_A_NAME: u64 = 4096;
const FEWEST_NAMES: u64 = 16 << 10;

/// An empty folder in the memory that all of the program's folders share, not attached yet.
pub(super) fn folder(mode: Mode) -> io::Result<OwnedFd> {
    let path = format!("/over/{}", sys::counted());
    rustix::fs::mkdirat(CWD, &*path, Mode::from_raw_mode(0o700))?;
    rustix::fs::chmodat(CWD, &*path, mode, AtFlags::empty())?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = rustix::fs::openat(CWD, &*path, flags, Mode::empty())?;
    copy_of(folder.as_fd(), NO_SUID_NO_DEV)
}

/// A file in that memory that nobody writes, not attached yet.
pub(super) fn file(contents: &[u8]) -> io::Result<OwnedFd> {
    let path = format!("/over/{}", sys::counted());
    std::fs::write(&path, contents)?;
    rustix::fs::chmodat(CWD, &*path, Mode::from_raw_mode(0o644), AtFlags::empty())?;
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let file = rustix::fs::openat(CWD, &*path, flags, Mode::empty())?;
    copy_of(file.as_fd(), NO_SUID_NO_DEV | READ_ONLY)
}

/// A new file system with these options, not attached yet.
pub(super) fn new(
    kind: &str,
    options: &[(&str, &str)],
    attributes: MountAttrFlags,
) -> io::Result<OwnedFd> {
    let context = rustix::mount::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (key, value) in options {
        rustix::mount::fsconfig_set_string(&context, *key, *value)?;
    }
    made(&context, attributes)
}

/// The file system of a context, not attached yet.
pub(super) fn made(context: &OwnedFd, attributes: MountAttrFlags) -> io::Result<OwnedFd> {
    rustix::mount::fsconfig_create(context)?;
    Ok(rustix::mount::fsmount(context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?)
}

/// A place below `root`, whose path crosses no link; an absolute path is taken from there as well.
pub(super) fn look(root: BorrowedFd<'_>, path: &Path) -> rustix::io::Result<OwnedFd> {
    let relative = path.strip_prefix("/").unwrap_or(path);
    let relative = if relative.as_os_str().is_empty() { Path::new(".") } else { relative };
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat2(root, relative, flags, Mode::empty(), resolve)
}

/// A place as this process sees it, not through a link.
pub(super) fn look_here(path: &Path) -> rustix::io::Result<OwnedFd> {
    rustix::fs::openat(CWD, path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

/// What kind of file is at a place.
pub(super) fn kind(place: BorrowedFd<'_>) -> rustix::io::Result<FileType> {
    Ok(FileType::from_raw_mode(rustix::fs::fstat(place)?.st_mode))
}
