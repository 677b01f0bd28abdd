//! Paths that are longer than the system takes in one piece: the way there is gone by descriptors.

use std::borrow::Cow;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, openat};

/// As much as is named at once: the system takes 4096 bytes, and names are still put behind it.
const AT_ONCE: usize = 2048;

/// As far as anything is followed. A program can make folders in folders for as long as it likes.
const FARTHEST: usize = 16 << 10;

/// A path by which something is reached, for as long as this is held.
pub(super) struct Reached<'a> {
    path: Cow<'a, Path>,
    _held: Option<OwnedFd>,
}

impl Reached<'_> {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// Finds the way. No link is followed on that of a long path.
pub(super) fn reach(path: &Path) -> io::Result<Reached<'_>> {
    let length = path.as_os_str().len();
    if length <= AT_ONCE {
        return Ok(Reached { path: Cow::Borrowed(path), _held: None });
    }
    if length > FARTHEST {
        return Err(io::Error::other("it is in too many folders"));
    }
    let mut held: Option<OwnedFd> = None;
    let mut rest = PathBuf::new();
    for part in path.components() {
        if rest.as_os_str().len() + part.as_os_str().len() > AT_ONCE {
            let flags = WALKED | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let next = match &held {
                Some(folder) => openat(folder, &rest, flags, Mode::empty()),
                None => openat(CWD, &rest, flags, Mode::empty()),
            };
            held = Some(next?);
            rest = PathBuf::new();
        }
        rest.push(part);
    }
    let path = match &held {
        Some(folder) => Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(rest),
        None => rest,
    };
    debug_assert!(path.as_os_str().as_bytes().len() < 2 * AT_ONCE);
    Ok(Reached { path: Cow::Owned(path), _held: held })
}

/// How a folder is opened to go through it: also one that cannot be read.
#[cfg(target_os = "linux")]
const WALKED: OFlags = OFlags::PATH;
#[cfg(not(target_os = "linux"))]
const WALKED: OFlags = OFlags::RDONLY;

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_at_the_end_of_a_long_path_is_reached() {
        let folder = tempfile::tempdir().unwrap();
        let mut path = folder.path().to_owned();
        for _ in 0..40 {
            path.push("d".repeat(200));
            fs::create_dir(reach(&path).unwrap().path()).unwrap();
        }
        let file = path.join("file");
        assert!(fs::write(&file, "x").is_err(), "the system takes it in one piece");
        fs::write(reach(&file).unwrap().path(), "x").unwrap();
        assert_eq!(fs::read_dir(reach(&path).unwrap().path()).unwrap().count(), 1);
        for _ in 0..50 {
            path.push("d".repeat(200));
        }
        assert!(reach(&path).is_err());
    }
}
