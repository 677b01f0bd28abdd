//! Programs that Botpipe itself runs, found by the `PATH`: none that lies where agents write.

use std::env;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::confine::is_theirs;

/// The first program of this name in the `PATH` that is reached without crossing what is `written`.
pub(crate) fn outside(name: &Path, written: &[PathBuf]) -> Option<PathBuf> {
    let folders = env::var_os("PATH").unwrap_or_default();
    let absolute = env::split_paths(&folders).filter(|folder| folder.is_absolute());
    let mut all = absolute.map(|folder| folder.join(name));
    all.find(|path| is_program(path) && !is_theirs(path, written))
}

/// Whether it can be started.
pub(crate) fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
}
