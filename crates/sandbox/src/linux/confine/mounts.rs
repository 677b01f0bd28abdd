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
use crate::{Confinement, Layer, Proc, Refused};

/// Parts of `/proc` that the kernel's root may change by its number alone.
const PROC_OF_ROOT: [&str; 7] = ["sys", "sysrq-trigger", "irq", "bus", "fs", "kcore", "keys"];

/// What is the same for every program, and so can be made before one is known.
pub(super) struct Ahead {
    tree: Tree,
    dev: OwnedFd,
    proc: Option<OwnedFd>,
    /// Layers that this launch will likely have.
    made: Vec<Made>,
    /// Bytes that may be written to memory, as it is bound now.
    bound: u64,
    host_root: bool,
}

/// A layer's mount, not attached yet.
struct Made {
    layer: Layer,
    like: Like,
    mount: OwnedFd,
}

/// What a mount takes from the folder that the host has there: which one, and its rights. `None`: nothing.
type Like = Option<(u64, u64, u32)>;

/// Bytes that a program may write to memory.
fn bound(in_memory: Option<u64>) -> u64 {
    let most = sys::memory_of_machine() / 2;
    in_memory.map_or(most, |less| less.min(most))
}

impl Ahead {
    pub(super) fn make(likely: &Confinement, host_root: bool) -> Result<Self, Refused> {
        let bound = bound(likely.bounds.in_memory);
        let stage = Stage::enter(bound).map_err(refused("stage"))?;
        let all = stage.copy_of_host(Path::new("/"), READ_ONLY | MountAttrFlags::MOUNT_ATTR_NOSUID);
        let all = all.map_err(refused("copy-of-root"))?;
        let root = attach_at(&all, c"/new").map_err(refused("new-root"))?;
        let dev = device::make(&stage).map_err(refused("/dev"))?;
        let proc = stage.make_proc(host_root).map_err(refused("/proc"))?;
        let layers = likely.files.iter().flatten();
        // One that cannot be made now is made when it is wanted, and says then why not.
        let made = layers.filter_map(|layer| {
            let like = stage.like(layer).ok()?;
            let mount = stage.make(layer, like).ok()?;
            Some(Made { layer: layer.clone(), like, mount })
        });
        let made = made.collect();
        Ok(Self { tree: Tree { root, stage }, dev, proc, made, bound, host_root })
    }

    /// Lays out what the program sees and makes it this process's root.
    ///
    /// What it writes to memory, wherever, is `in_memory` bytes at most, all together.
    pub(super) fn build(
        self,
        layers: &[Layer],
        in_memory: Option<u64>,
    ) -> Result<(Proc, Masks), Refused> {
        let Self { tree, dev, proc, mut made, bound: bound_now, host_root } = self;
        let bound = bound(in_memory);
        if bound != bound_now {
            place::bound_memory(&tree.stage.memory, bound).map_err(refused("stage"))?;
        }
        for layer in layers {
            tree.lay(layer, &mut made)?;
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
    /// A file without contents and rights.
    empty: OwnedFd,
    /// A folder without rights.
    closed: OwnedFd,
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
        let open = |path: &str| {
            rustix::fs::openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
        };
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        drop(rustix::fs::openat(CWD, "/over/empty", flags, Mode::empty())?);
        rustix::fs::mkdirat(CWD, "/over/closed", Mode::empty())?;
        let (empty, closed) = (open("/over/empty")?, open("/over/closed")?);
        Ok(Self { host: open("/host")?, memory, empty, closed })
    }

    /// What the mount of a layer takes from the host.
    fn like(&self, layer: &Layer) -> io::Result<Like> {
        let found = match layer {
            Layer::Private(path) | Layer::Empty(path) => look(self.host.as_fd(), path).ok(),
            Layer::Scratch(scratch) => Some(look(self.host.as_fd(), &scratch.at)?),
            Layer::Shown(_) | Layer::Writable(_) | Layer::Masked(_) | Layer::Text(_) => None,
        };
        let status = found.map(rustix::fs::fstat).transpose()?;
        Ok(status.map(|it| (it.st_dev, it.st_ino, it.st_mode)))
    }

    /// The mount of a layer, not attached yet.
    fn make(&self, layer: &Layer, like: Like) -> io::Result<OwnedFd> {
        let mode = Mode::from_raw_mode(like.map_or(0o755, |(_, _, mode)| mode));
        match layer {
            Layer::Private(_) | Layer::Empty(_) => place::folder(mode),
            Layer::Shown(path) => self.copy_of_host(path, NO_SUID_NO_DEV | READ_ONLY),
            Layer::Writable(path) => self.copy_of_host(path, NO_SUID_NO_DEV),
            Layer::Scratch(scratch) => {
                let lower = self.copy_of_host(&scratch.at, NO_SUID_NO_DEV | READ_ONLY)?;
                over::scratch(scratch, &lower, mode)
            }
            Layer::Text(text) => place::file(text.text.as_bytes()),
            Layer::Masked(_) => copy_of(self.empty.as_fd(), NO_SUID_NO_DEV | READ_ONLY),
        }
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
    fn lay(&self, layer: &Layer, made: &mut Vec<Made>) -> Result<(), Refused> {
        let laid = match layer {
            Layer::Masked(path) => self.lay_mask(path),
            _ => self.lay_mount(layer, made),
        };
        laid.map_err(refused(layer.path().as_os_str().to_string_lossy()))
    }

    fn lay_mount(&self, layer: &Layer, made: &mut Vec<Made>) -> io::Result<()> {
        let like = self.stage.like(layer)?;
        let ready = made.iter().position(|made| made.layer == *layer && made.like == like);
        let mount = match ready {
            Some(at) => made.swap_remove(at).mount,
            None => self.stage.make(layer, like)?,
        };
        let kind = match layer {
            Layer::Shown(_) | Layer::Writable(_) => kind(mount.as_fd())?,
            Layer::Text(_) => FileType::RegularFile,
            Layer::Private(_) | Layer::Empty(_) | Layer::Scratch(_) | Layer::Masked(_) => {
                FileType::Directory
            }
        };
        attach(mount.as_fd(), self.place(layer.path(), kind)?.as_fd())
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
            FileType::Directory => &self.stage.closed,
            _ => &self.stage.empty,
        };
        attach(copy_of(mask.as_fd(), NO_SUID_NO_DEV | READ_ONLY)?.as_fd(), place.as_fd())
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

/// A folder in a folder, made if it is missing.
fn step(folder: BorrowedFd<'_>, name: &OsStr) -> io::Result<OwnedFd> {
    match look(folder, Path::new(name)) {
        Err(rustix::io::Errno::NOENT) => {}
        found => return Ok(found?),
    }
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

    /// What is at a path now; `None`: it is gone again.
    fn place(&self, path: &[u8]) -> io::Result<Option<OwnedFd>> {
        match look(self.root.as_fd(), Path::new(OsStr::from_bytes(path))) {
            Ok(place) => Ok(Some(place)),
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// Lays a folder over itself: it cannot be moved away with what is laid in it.
    pub(in super::super) fn pin(&self, path: &[u8]) -> io::Result<()> {
        let Some(place) = self.place(path)? else { return Ok(()) };
        match kind(place.as_fd())? {
            FileType::Directory => {
                let copy = copy_of(place.as_fd(), NO_SUID_NO_DEV)?;
                unless_gone(attach(copy.as_fd(), place.as_fd()))
            }
            _ => Ok(()),
        }
    }

    /// Lays what is at a path over itself, to be read.
    pub(in super::super) fn keep(&self, path: &[u8]) -> io::Result<()> {
        let Some(place) = self.place(path)? else { return Ok(()) };
        match kind(place.as_fd())? {
            FileType::Symlink => Ok(()),
            // What is written to one arrives although it is read only.
            FileType::Fifo | FileType::Socket => self.cover(path),
            _ => {
                let copy = copy_of(place.as_fd(), NO_SUID_NO_DEV | READ_ONLY)?;
                unless_gone(attach(copy.as_fd(), place.as_fd()))
            }
        }
    }

    /// Covers what is at a path now.
    pub(in super::super) fn cover(&self, path: &[u8]) -> io::Result<()> {
        let Some(place) = self.place(path)? else { return Ok(()) };
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

/// What was replaced again meanwhile is told again.
fn unless_gone(laid: io::Result<()>) -> io::Result<()> {
    laid.or_else(|error| match error.kind() {
        io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    })
}
