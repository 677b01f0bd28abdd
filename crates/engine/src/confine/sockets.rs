//! Doors of the host's programs: unix sockets with a path, which a read-only mount does not close.

use std::path::{Path, PathBuf};

/// The sockets that programs of the host listen on, without links in their paths.
///
/// # Source
/// proc(5): the last field of `/proc/net/unix`; an abstract name begins with `@`.
pub(super) fn of_host() -> Vec<PathBuf> {
    let table = std::fs::read("/proc/net/unix").unwrap_or_default();
    let table = String::from_utf8_lossy(&table);
    let paths = table.lines().skip(1).filter_map(|line| {
        let mut rest = line;
        for _ in 0..7 {
            rest = rest.trim_start();
            rest = &rest[rest.find(' ')?..];
        }
        let path = rest.strip_prefix(' ')?;
        path.starts_with('/').then(|| Path::new(path).canonicalize().ok())?
    });
    let mut paths: Vec<PathBuf> = paths.collect();
    paths.sort();
    paths.dedup();
    paths
}
