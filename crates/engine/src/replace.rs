//! Writes a file in one step: a reader sees the old content or the new, never half of it.

use std::fs::Permissions;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// For everybody, as far as the umask lets them.
pub(crate) const SHARED: u32 = 0o666;
/// For nobody else.
pub(crate) const PRIVATE: u32 = 0o600;

/// Puts a file in the place of the one at `path`, if there is one. Any number of threads and processes may
/// do so at once: each writes a file of its own beside it, and the last one stays.
pub(crate) fn replace(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut fresh =
        tempfile::Builder::new().permissions(Permissions::from_mode(mode)).tempfile_in(folder)?;
    fresh.write_all(content)?;
    fresh.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::thread;

    use super::{PRIVATE, replace};

    #[test]
    fn threads_that_write_the_same_file_at_once_leave_one_of_theirs_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings");
        let texts = ["one".repeat(5_000), "two".repeat(9_000)];
        thread::scope(|scope| {
            for text in &texts {
                scope.spawn(|| {
                    (0..200).for_each(|_| replace(&path, text.as_bytes(), PRIVATE).unwrap());
                });
            }
        });
        assert!(texts.contains(&fs::read_to_string(&path).unwrap()));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
