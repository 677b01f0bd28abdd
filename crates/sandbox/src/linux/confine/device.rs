//! The `/dev` of a confined program: the few devices that every program may expect.

use std::io;
use std::os::fd::AsFd as _;
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags};
use rustix::mount::MountAttrFlags;

use super::super::sys;
use super::mounts::Tree;
use super::place;

const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

const LINKS: [(&str, &str); 5] = [
    ("ptmx", "pts/ptmx"),
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];

/// An empty file without rights: what covers files that turn up later.
pub(super) const MASK: &str = "/dev/.covered";

pub(super) fn lay(tree: &Tree) -> io::Result<()> {
    let dev = place::new("tmpfs", &[("mode", "755")], MountAttrFlags::MOUNT_ATTR_NOSUID)?;
    tree.attach(dev.as_fd(), Path::new("/dev"), FileType::Directory)?;
    for name in DEVICES {
        let path = Path::new("/dev").join(name);
        match tree.device(&path) {
            Ok(device) => tree.attach(device.as_fd(), &path, FileType::RegularFile)?,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
    }
    let no_exec = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let terminals = [("ptmxmode", "0666"), ("mode", "620")];
    let pts = place::new("devpts", &terminals, no_exec)?;
    tree.attach(pts.as_fd(), Path::new("/dev/pts"), FileType::Directory)?;
    let shm = place::folder(Mode::from_raw_mode(0o1777))?;
    tree.attach(shm.as_fd(), Path::new("/dev/shm"), FileType::Directory)?;
    for (name, target) in LINKS {
        rustix::fs::symlinkat(target, &dev, name)?;
    }
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
    let name = MASK.trim_start_matches("/dev/");
    drop(rustix::fs::openat(&dev, name, flags, Mode::empty())?);
    sys::set_attributes_of_one(dev.as_fd(), u64::from(MountAttrFlags::MOUNT_ATTR_RDONLY.bits()))
}
