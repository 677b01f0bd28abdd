//! The files a program sees: a read-only copy of the host's tree with layers over it. Every place is
//! found by descriptor, crossing no link, so that nobody who can write there bends the set-up.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path};

use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::mount::{MountAttrFlags, MountPropagationFlags, MoveMountFlags, UnmountFlags};

use super::super::sys;
use super::place::{
    self, NO_SUID_NO_DEV, READ_ONLY, attach, copy_of, kind, look, look_here, memory,
};
use super::{device, over, refused};
use crate::{Layer, Proc, Refused, Scratch, Text};

/// Parts of `/proc` that the kernel's root may change by its number alone.
const PROC_OF_ROOT: [&str; 7] = ["sys", "sysrq-trigger", "irq", "bus", "fs", "kcore", "keys"];

/// What is the same for every program, and so can be made before one is known.
pub(super) struct Ahead {
    tree: Tree,
    dev: OwnedFd,
    proc: Option<OwnedFd>,
    /// Bytes that the program may write to memory.
    most: u64,
    host_root: bool,
}

impl Ahead {
    pub(super) fn make(host_root: bool) -> Result<Self, Refused> {
        let most = sys::memory_of_machine() / 2;
        let stage = Stage::enter(most).map_err(refused("stage"))?;
        let all = stage.copy_of_host(Path::new("/"), READ_ONLY | MountAttrFlags::MOUNT_ATTR_NOSUID);
        let all = all.map_err(refused("copy-of-root"))?;
        let root = attach_at(&all, c"/new").map_err(refused("new-root"))?;
        let dev = device::make(&stage).map_err(refused("/dev"))?;
        let proc = stage.make_proc(host_root).map_err(refused("/proc"))?;
        Ok(Self { tree: Tree { root, stage }, dev, proc, most, host_root })
    }

    /// Lays out what the program sees and makes it this process's root.
    ///
    /// What it writes to memory, wherever, is `in_memory` bytes at most, all together.
    pub(super) fn build(
        self,
        layers: &[Layer],
        in_memory: Option<u64>,
    ) -> Result<(Proc, Masks), Refused> {
        let Self { tree, dev, proc, most, host_root } = self;
        if let Some(less) = in_memory.filter(|less| *less < most) {
            place::bound_memory(&tree.stage.memory, less).map_err(refused("stage"))?;
        }
        for layer in layers {
            tree.lay(layer)?;
        }
        for layer in layers {
            tree.close(layer)?;
        }
        let folder = FileType::Directory;
        tree.attach(dev.as_fd(), Path::new("/dev"), folder).map_err(refused("/dev"))?;
        let used = match proc {
            Some(proc) => {
                tree.attach(proc.as_fd(), Path::new("/proc"), folder).map_err(refused("/proc"))?;
                Proc::Fresh
            }
            None => Proc::Host,
        };
        if host_root && used == Proc::Host {
            freeze_proc(tree.root.as_fd()).map_err(refused("/proc/sys"))?;
        }
        tree.make_root().map_err(refused("pivot-root"))?;
        let masks = Masks::open().map_err(refused("masks"))?;
        Ok((used, masks))
    }
}

/// A `/proc` of the new namespaces over the host's files as they are.
pub(super) fn only_proc(host_root: bool) -> Result<Proc, Refused> {
    rustix::mount::mount_change(
        "/",
        MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC,
    )
    .map_err(|e| refused("private-mounts")(e.into()))?;
    let proc = match sys::mount_proc() {
        Ok(()) => Proc::Fresh,
        Err(_) => Proc::Host,
    };
    if host_root {
        for name in PROC_OF_ROOT {
            let path = Path::new("/proc").join(name);
            if path.exists() {
                freeze(CWD, &path).map_err(refused("/proc/sys"))?;
            }
        }
    }
    Ok(proc)
}

fn freeze(at: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let place = rustix::fs::openat(at, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let copy = copy_of(place.as_fd(), READ_ONLY)?;
    attach(copy.as_fd(), place.as_fd())
}

/// A folder in memory that is the root while the set-up lasts, the host's below it. All that the program
/// writes to memory is kept in it.
pub(super) struct Stage {
    host: OwnedFd,
    memory: OwnedFd,
}

impl Stage {
    fn enter(most: u64) -> io::Result<Self> {
        rustix::mount::mount_change(
            "/",
            MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
        )?;
        let memory = place::bounded_memory(Mode::from_raw_mode(0o755), most)?;
        // Any folder will do: the mount lies in this namespace only.
        let place = rustix::fs::openat(
            CWD,
            "/",
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        let below = ["tmp", "usr", "etc"].iter().find_map(|name| {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            rustix::fs::openat(&place, *name, flags, Mode::empty()).ok()
        });
        let below = below.ok_or_else(|| io::Error::from_raw_os_error(libc::ENOENT))?;
        attach(memory.as_fd(), below.as_fd())?;
        rustix::process::fchdir(&memory)?;
        for name in ["new", "host", "over", "dev", "proc"] {
            rustix::fs::mkdirat(&memory, name, Mode::from_raw_mode(0o755))?;
        }
        rustix::process::pivot_root(".", "host")?;
        rustix::process::chdir("/")?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self { host: rustix::fs::openat(CWD, "/host", flags, Mode::empty())?, memory })
    }

    /// What the host has at a place, with what is mounted below it, not attached yet.
    fn copy_of_host(&self, path: &Path, attributes: MountAttrFlags) -> io::Result<OwnedFd> {
        copy_of(look(self.host.as_fd(), path)?.as_fd(), attributes)
    }

    /// What the host has at a device's path.
    pub(super) fn device(&self, path: &Path) -> io::Result<OwnedFd> {
        self.copy_of_host(
            path,
            MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC,
        )
    }

    /// The `/proc` of the new namespaces, on the stage. A container that covers parts of its own may not have a
    /// second one: then the host's stays.
    fn make_proc(&self, host_root: bool) -> io::Result<Option<OwnedFd>> {
        let attributes = NO_SUID_NO_DEV | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        let Ok(proc) = place::new("proc", &[], attributes) else { return Ok(None) };
        attach(proc.as_fd(), look_here(Path::new("/proc"))?.as_fd())?;
        if host_root {
            freeze_proc(self.memory.as_fd())?;
        }
        Ok(Some(proc))
    }
}

/// Lays what the kernel's root may change over itself, to be read.
fn freeze_proc(root: BorrowedFd<'_>) -> io::Result<()> {
    for name in PROC_OF_ROOT {
        match look(root, &Path::new("/proc").join(name)) {
            Ok(place) => attach(copy_of(place.as_fd(), READ_ONLY)?.as_fd(), place.as_fd())?,
            Err(rustix::io::Errno::NOENT) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

fn attach_at(mount: &OwnedFd, path: &std::ffi::CStr) -> io::Result<OwnedFd> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    rustix::mount::move_mount(mount, c"", CWD, path, flags)?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(CWD, path, flags, Mode::empty())?)
}

/// What the program will see, while it grows.
struct Tree {
    root: OwnedFd,
    stage: Stage,
}

impl Tree {
    fn lay(&self, layer: &Layer) -> Result<(), Refused> {
        let (path, laid) = match layer {
            Layer::Private(path) | Layer::Empty(path) => (path, self.lay_private(path)),
            Layer::Shown(path) => (path, self.lay_copy(path, NO_SUID_NO_DEV | READ_ONLY)),
            Layer::Writable(path) => (path, self.lay_copy(path, NO_SUID_NO_DEV)),
            Layer::Scratch(scratch) => (&scratch.at, self.lay_scratch(scratch)),
            Layer::Masked(path) => (path, self.lay_mask(path)),
            Layer::Text(text) => (&text.at, self.lay_text(text)),
        };
        laid.map_err(refused(path.as_os_str().to_string_lossy()))
    }

    /// Nothing more is made in an empty folder, now that all that belongs in it is there.
    fn close(&self, layer: &Layer) -> Result<(), Refused> {
        let Layer::Empty(path) = layer else { return Ok(()) };
        let closed = look(self.root.as_fd(), path).map_err(io::Error::from);
        let closed = closed.and_then(|place| {
            sys::set_attributes_of_one(place.as_fd(), u64::from(READ_ONLY.bits()))
        });
        closed.map_err(refused(path.as_os_str().to_string_lossy()))
    }

    fn lay_private(&self, path: &Path) -> io::Result<()> {
        let place = self.place(path, FileType::Directory)?;
        let mode = match look(self.stage.host.as_fd(), path) {
            Ok(folder) => Mode::from_raw_mode(rustix::fs::fstat(folder)?.st_mode),
            Err(_) => Mode::from_raw_mode(0o755),
        };
        attach(place::folder(mode)?.as_fd(), place.as_fd())
    }

    fn lay_copy(&self, path: &Path, attributes: MountAttrFlags) -> io::Result<()> {
        let copy = self.stage.copy_of_host(path, attributes)?;
        let place = self.place(path, kind(copy.as_fd())?)?;
        attach(copy.as_fd(), place.as_fd())
    }

    fn lay_mask(&self, path: &Path) -> io::Result<()> {
        let place = match look(self.root.as_fd(), path) {
            Ok(place) => place,
            // Behind another mask, or hidden.
            Err(
                rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR | rustix::io::Errno::ACCESS,
            ) => {
                return Ok(());
            }
            Err(e) => return Err(e.into()),
        };
        let mask = match kind(place.as_fd())? {
            FileType::Directory => memory(Mode::empty())?,
            _ => empty_file()?,
        };
        sys::set_mount_attributes(mask.as_fd(), u64::from(READ_ONLY.bits()))?;
        attach(mask.as_fd(), place.as_fd())
    }

    fn lay_scratch(&self, scratch: &Scratch) -> io::Result<()> {
        let lower = self.stage.copy_of_host(&scratch.at, READ_ONLY | NO_SUID_NO_DEV)?;
        let mount = over::scratch(scratch, &lower)?;
        attach(mount.as_fd(), self.place(&scratch.at, FileType::Directory)?.as_fd())
    }

    fn lay_text(&self, text: &Text) -> io::Result<()> {
        let file = place::file(text.text.as_bytes())?;
        attach(file.as_fd(), self.place(&text.at, FileType::RegularFile)?.as_fd())
    }

    /// The place to attach something of this kind at, made where it is missing and may be made.
    fn place(&self, path: &Path, kind: FileType) -> io::Result<OwnedFd> {
        match look(self.root.as_fd(), path) {
            Err(rustix::io::Errno::NOENT) => {}
            found => return Ok(found?),
        }
        let mut folder = look(self.root.as_fd(), Path::new("/"))?;
        let names: Vec<&OsStr> = path
            .components()
            .filter_map(|part| match part {
                Component::Normal(name) => Some(name),
                _ => None,
            })
            .collect();
        let Some((last, parents)) = names.split_last() else { return Ok(folder) };
        for name in parents {
            folder = step(folder.as_fd(), name)?;
        }
        if kind == FileType::Directory {
            return step(folder.as_fd(), last);
        }
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        drop(rustix::fs::openat(&folder, *last, flags, Mode::from_raw_mode(0o644))?);
        Ok(look(folder.as_fd(), Path::new(last))?)
    }

    fn attach(&self, mount: BorrowedFd<'_>, path: &Path, kind: FileType) -> io::Result<()> {
        attach(mount, self.place(path, kind)?.as_fd())
    }

    /// The stage goes with all that is mounted below it, the host's tree among it, at once: each unmount
    /// waits for the whole kernel, which is a good part of the set-up.
    fn make_root(self) -> io::Result<()> {
        drop(self.stage);
        rustix::process::fchdir(&self.root)?;
        rustix::process::pivot_root(".", ".")?;
        rustix::mount::unmount(".", UnmountFlags::DETACH)?;
        Ok(rustix::process::chdir("/")?)
    }
}

/// A file without contents and rights, not attached yet.
fn empty_file() -> io::Result<OwnedFd> {
    let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
    drop(rustix::fs::openat(CWD, "/over/empty", flags, Mode::empty())?);
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    copy_of(rustix::fs::openat(CWD, "/over/empty", flags, Mode::empty())?.as_fd(), READ_ONLY)
}

/// A folder in a folder, made if it is missing.
fn step(folder: BorrowedFd<'_>, name: &OsStr) -> io::Result<OwnedFd> {
    match rustix::fs::mkdirat(folder, name, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(rustix::io::Errno::EXIST | rustix::io::Errno::ROFS) => {}
        Err(e) => return Err(e.into()),
    }
    Ok(look(folder, Path::new(name))?)
}

/// What covers files that turn up after the start.
#[derive(Debug)]
pub(in super::super) struct Masks {
    root: OwnedFd,
}

impl Masks {
    fn open() -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self { root: rustix::fs::openat(CWD, "/", flags, Mode::empty())? })
    }

    /// Covers what is at a path now, unless it is gone again.
    pub(in super::super) fn cover(&self, path: &[u8]) -> io::Result<()> {
        let place = match look(self.root.as_fd(), Path::new(OsStr::from_bytes(path))) {
            Ok(place) => place,
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => return Ok(()),
            Err(e) => return Err(e.into()),
        };
        let mask = match kind(place.as_fd())? {
            // A link is followed only to what it names, which is covered by its own name.
            FileType::Symlink => return Ok(()),
            FileType::Directory => memory(Mode::empty())?,
            _ => copy_of(look(self.root.as_fd(), Path::new(device::MASK))?.as_fd(), READ_ONLY)?,
        };
        sys::set_mount_attributes(mask.as_fd(), u64::from(READ_ONLY.bits()))?;
        attach(mask.as_fd(), place.as_fd())
    }
}
