//! The `/dev` of a confined program: the few devices that every program may expect.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::mount::MountAttrFlags;

use super::super::sys;
use super::mounts::Stage;
use super::place::{self, attach, look, look_here};

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

/// Makes it on the stage.
pub(super) fn make(stage: &Stage) -> io::Result<OwnedFd> {
    let dev = place::new("tmpfs", &[("mode", "755")], MountAttrFlags::MOUNT_ATTR_NOSUID)?;
    attach(dev.as_fd(), look_here(Path::new("/dev"))?.as_fd())?;
    for name in DEVICES {
        let device = match stage.device(&Path::new("/dev").join(name)) {
            Ok(device) => device,
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            Err(e) => return Err(e),
        };
        file(&dev, name, Mode::from_raw_mode(0o644))?;
        attach(device.as_fd(), look(dev.as_fd(), Path::new(name))?.as_fd())?;
    }
    let no_exec = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let terminals = [("ptmxmode", "0666"), ("mode", "620")];
    let pts = place::new("devpts", &terminals, no_exec)?;
    let shm = place::folder(Mode::from_raw_mode(0o1777))?;
    for (name, mount) in [("pts", pts), ("shm", shm)] {
        rustix::fs::mkdirat(&dev, name, Mode::from_raw_mode(0o755))?;
        attach(mount.as_fd(), look(dev.as_fd(), Path::new(name))?.as_fd())?;
    }
    for (name, target) in LINKS {
        rustix::fs::symlinkat(target, &dev, name)?;
    }
    file(&dev, MASK.trim_start_matches("/dev/"), Mode::empty())?;
    sys::set_attributes_of_one(dev.as_fd(), u64::from(MountAttrFlags::MOUNT_ATTR_RDONLY.bits()))?;
    Ok(dev)
}

fn file(folder: &OwnedFd, name: &str, mode: Mode) -> io::Result<()> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
    rustix::fs::openat(folder, name, flags, mode)?;
    Ok(())
}
