//! Doors of the host's programs: unix sockets with a path, which a read-only mount does not close.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use botpipe_sandbox::Layer;

use super::scan::Names;
use super::{Site, within};

/// The longest path that a socket is connected to by.
const LONGEST: usize = 107;

/// Those of the host's sockets that these layers let be seen: reading a folder, or writing it, opens no socket in
/// it. `empty`: folders of which nothing is seen but by a layer.
pub(super) fn seen(
    site: &Site,
    names: &Names,
    layers: &[&[Layer]],
    empty: &[PathBuf],
) -> Vec<PathBuf> {
    let shown = layers.iter().copied().flatten().filter_map(|layer| match layer {
        Layer::Shown(path) | Layer::Writable(path) => Some(path),
        Layer::Scratch(scratch) => Some(&scratch.at),
        Layer::Private(_) | Layer::Empty(_) | Layer::Masked(_) | Layer::Text(_) => None,
    });
    let shown: Vec<PathBuf> = shown.cloned().collect();
    let seen = |socket: &PathBuf| !within(socket, empty) || within(socket, &shown);
    // An operator who names the very socket means it.
    let granted = |socket: &PathBuf| site.granted.contains(socket);
    let all = of_host(&site.workspace, names).into_iter();
    all.filter(|socket| seen(socket) && !granted(socket)).collect()
}

/// The sockets that programs of the host have: those that lie in the workspace, whoever made them and however
/// they are called now, and elsewhere those that lie where they were made. No path has a link in it.
fn of_host(workspace: &Path, names: &Names) -> BTreeSet<PathBuf> {
    let inside = names.sockets().map(|path| workspace.join(path));
    let inside = inside.filter(|path| is_somebodys(path));
    let known = told_by_kernel().into_iter().filter_map(|path| path.canonicalize().ok());
    inside.chain(known.filter(|path| is_socket(path))).collect()
}

/// What the sockets of this network were called when they were made.
///
/// # Source
/// proc(5): the last field of `/proc/net/unix`; an abstract name begins with `@`.
fn told_by_kernel() -> Vec<PathBuf> {
    let table = fs::read("/proc/net/unix").unwrap_or_default();
    let table = String::from_utf8_lossy(&table);
    let names = table.lines().skip(1).filter_map(|line| {
        let mut rest = line;
        for _ in 0..7 {
            rest = rest.trim_start();
            rest = &rest[rest.find(' ')?..];
        }
        rest.strip_prefix(' ').filter(|name| !name.is_empty() && !name.starts_with('@'))
    });
    let (mut paths, relative): (Vec<&Path>, Vec<&Path>) =
        names.map(Path::new).partition(|path| path.is_absolute());
    paths.dedup();
    let mut paths: Vec<PathBuf> = paths.into_iter().map(Path::to_owned).collect();
    if !relative.is_empty() {
        // From the folder that its maker was in, which is most likely still in there.
        let folders = folders_of_processes();
        paths.extend(relative.iter().flat_map(|path| folders.iter().map(move |it| it.join(path))));
    }
    paths
}

fn folders_of_processes() -> BTreeSet<PathBuf> {
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    all.filter_map(|entry| fs::read_link(entry.path().join("cwd")).ok()).collect()
}

fn is_socket(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|it| it.file_type().is_socket())
}

/// Whether somebody has it: what was left behind leads to nobody, and may be taken away and made anew.
///
/// A socket for datagrams asks without anybody noticing: nothing is sent, and one that waits for connections is
/// of another kind, which is told only where there is one.
fn is_somebodys(path: &Path) -> bool {
    let tried = UnixDatagram::unbound().and_then(|socket| {
        if path.as_os_str().as_bytes().len() <= LONGEST {
            return socket.connect(path);
        }
        // By a shorter path to the same.
        let folder = fs::File::open(path.parent().unwrap_or(Path::new("/")))?;
        let number = folder.as_raw_fd();
        let name = path.file_name().unwrap_or_default();
        socket.connect(Path::new(&format!("/proc/self/fd/{number}")).join(name))
    });
    !tried.is_err_and(|error| {
        matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound)
    })
}
