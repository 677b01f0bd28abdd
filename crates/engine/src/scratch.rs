//! Scratch repositories: a small git repository made from given files, and what changed in it since.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use git2::{IndexAddOption, Repository, Signature, Status, StatusOptions, Time};

use crate::workspace::Error;

/// A file of a new repository.
#[derive(Debug, Clone, Copy)]
pub struct NewFile<'a> {
    /// Relative to the repository.
    pub path: &'a str,
    pub text: &'a str,
    pub executable: bool,
}

/// A new empty folder among the system's temporary ones.
///
/// # Errors
/// What the system says.
pub fn folder(name: &str) -> io::Result<PathBuf> {
    let base = std::env::temp_dir();
    for n in 0_u32.. {
        let path = base.join(format!("{name}-{}-{n}", std::process::id()));
        match fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Writes the files into an existing empty folder and commits them as a new git repository.
///
/// # Errors
/// [`Error::Io`] and [`Error::Git`].
pub fn create<'a>(
    folder: &Path,
    files: impl IntoIterator<Item = NewFile<'a>>,
    message: &str,
) -> Result<(), Error> {
    for file in files {
        let path = folder.join(file.path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
        }
        fs::write(&path, file.text).map_err(Error::io("write", &path))?;
        let mode = if file.executable { 0o755 } else { 0o644 };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))
            .map_err(Error::io("set the mode of", &path))?;
    }
    commit_all(folder, message).map_err(|source| Error::Git { what: "make a repository", source })
}

fn commit_all(folder: &Path, message: &str) -> Result<(), git2::Error> {
    let mut options = git2::RepositoryInitOptions::new();
    options.external_template(false).initial_head("main");
    let repository = Repository::init_opts(folder, &options)?;
    let mut index = repository.index()?;
    index.add_all(["*"], IndexAddOption::DEFAULT, None)?;
    index.write()?;
    let tree = repository.find_tree(index.write_tree()?)?;
    let author = Signature::new("Botpipe", "botpipe@localhost", &Time::new(0, 0))?;
    repository.commit(Some("HEAD"), &author, &author, message, &tree, &[])?;
    Ok(())
}

/// The files that differ from the last commit, by path: `A` new, `M` changed, `D` deleted.
///
/// # Errors
/// [`Error::Git`] when the folder is no repository.
pub fn changed(folder: &Path) -> Result<Vec<(char, String)>, Error> {
    let read = || {
        let repository = Repository::open(folder)?;
        let mut options = StatusOptions::new();
        options.include_untracked(true).recurse_untracked_dirs(true);
        let statuses = repository.statuses(Some(&mut options))?;
        let mut changed = Vec::new();
        for entry in statuses.iter() {
            let status = entry.status();
            let mark = if status.intersects(Status::WT_NEW | Status::INDEX_NEW) {
                'A'
            } else if status.intersects(Status::WT_DELETED | Status::INDEX_DELETED) {
                'D'
            } else {
                'M'
            };
            let path = String::from_utf8_lossy(entry.path_bytes()).into_owned();
            changed.push((mark, path));
        }
        changed.sort_by(|a, b| a.1.cmp(&b.1));
        Ok(changed)
    };
    read().map_err(|source| Error::Git { what: "compare the files", source })
}
