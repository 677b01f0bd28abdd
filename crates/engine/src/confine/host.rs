//! What of the host nobody is shown: other programs' files, other people's, and secrets of the machine.

use std::path::{Path, PathBuf};

use botpipe_sandbox::Layer;

use crate::policy::{OF_OTHERS, SECRETS};

/// Folders at the top of a host that programs need to start.
const OF_THE_SYSTEM: [&str; 14] = [
    "bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "libx32", "nix", "opt", "proc", "sbin",
    "sys", "usr",
];

/// Whether a folder at the top of the host is one of those.
pub(super) fn is_of_the_system(path: &Path) -> bool {
    path.file_name().is_some_and(|name| OF_THE_SYSTEM.iter().any(|it| *it == name))
}

/// Folders at the top of the host that hold what people and services keep.
pub(super) fn not_of_the_system() -> Vec<PathBuf> {
    let all = std::fs::read_dir("/").into_iter().flatten().flatten();
    let folders = all.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let kept = |name: &std::ffi::OsStr| OF_THE_SYSTEM.iter().any(|it| *it == name);
    folders.filter(|entry| !kept(&entry.file_name())).map(|entry| entry.path()).collect()
}

/// The layers that hide them, and the folders among them that are empty for the program.
pub(super) fn hidden(home: Option<&Path>) -> (Vec<Layer>, Vec<PathBuf>) {
    let mut private: Vec<PathBuf> =
        OF_OTHERS.iter().map(PathBuf::from).filter(|path| is_folder(path)).collect();
    if let Some(home) = home.filter(|home| is_folder(home) && *home != Path::new("/")) {
        private.push(home.to_owned());
    }
    private.sort();
    private.dedup();
    let keys = std::fs::read_dir("/etc/ssh").into_iter().flatten().flatten();
    let keys = keys.map(|entry| entry.path()).filter(|path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with("ssh_host_") && path.extension().is_none()
    });
    let secrets = SECRETS.iter().map(PathBuf::from).chain(keys);
    let there = secrets.filter(|path| path.symlink_metadata().is_ok());
    let secrets = there.filter_map(|path| path.canonicalize().ok());
    let layers = private.iter().cloned().map(Layer::Private);
    (layers.chain(secrets.map(Layer::Masked)).collect(), private)
}

/// A folder itself, not a link to one.
fn is_folder(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|it| it.is_dir())
}
