//! Whether a repository that a program made has git run programs: all that is not plainly harmless does.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::named::Named;
use super::plain::{is_of_submodule, is_plain};
use super::settings::{self, Links, Setting, Settings};
use crate::confine::deep;
use crate::confine::links::follow;
use crate::workspace::files::digest_of;

/// What has git run programs, as the end of a sentence. `folder` is one of git's own.
pub(super) fn strange(folder: &Path, workspace: &Path) -> Option<String> {
    let reached = match deep::reach(folder) {
        Ok(reached) => reached,
        Err(error) => return Some(format!("it cannot be looked at: {error}")),
    };
    let at = reached.path();
    if fs::symlink_metadata(at).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        return None;
    }
    let settings = ["config", "config.worktree"];
    settings
        .iter()
        .find_map(|name| strange_settings(&at.join(name), folder, workspace))
        .or_else(|| hooks(at))
}

/// The same of a file of settings alone. `folder` is the one of git's own that it is in.
pub(super) fn strange_settings(file: &Path, folder: &Path, workspace: &Path) -> Option<String> {
    match strange_ones(file, folder, workspace) {
        Ok(all) => {
            let name = file.file_name().unwrap_or_default().display();
            let other = all.into_iter().next()?;
            Some(format!("its `{name}` says `{}`", other.name))
        }
        Err(why) => Some(why),
    }
}

/// All that is strange in a file of settings: in words, and by a digest of how it is written there. A value may be a
/// secret.
pub(super) fn all_strange(file: &Path, folder: &Path, workspace: &Path) -> Vec<(String, String)> {
    let digest = |bytes: &[u8]| digest_of(bytes).to_string();
    match strange_ones(file, folder, workspace) {
        Ok(all) => {
            let written = |it: &Setting| digest(format!("{:?}", (&it.of, &it.value)).as_bytes());
            all.iter().map(|it| (format!("it says `{}`", it.name), written(it))).collect()
        }
        // One that is not read as a whole is another when a byte of it is.
        Err(why) => {
            let bytes = settings::bytes_of(file, Links::Refused).ok().flatten();
            vec![(why, digest(&bytes.unwrap_or_default()))]
        }
    }
}

fn strange_ones(file: &Path, folder: &Path, workspace: &Path) -> Result<Vec<Setting>, String> {
    let name = file.file_name().unwrap_or_default().display();
    let bytes = match settings::bytes_of(file, Links::Refused) {
        Ok(None) => return Ok(Vec::new()),
        Ok(Some(bytes)) => bytes,
        Err(error) => return Err(format!("its `{name}` cannot be read: {error}")),
    };
    let Ok(read @ Settings { plain: true, .. }) = settings::parse(&bytes) else {
        return Err(format!("its `{name}` is not written as git writes it"));
    };
    let tree = |tree: &[u8]| {
        let tree = Path::new(std::ffi::OsStr::from_bytes(tree));
        // No link on the way may lead elsewhere.
        let real = folder.join(tree).canonicalize();
        is_of_submodule(folder, workspace, tree)
            && real.map_or(true, |real| real.starts_with(workspace) && real != workspace)
    };
    Ok(read.all.into_iter().filter(|setting| !is_plain(setting, tree)).collect())
}

fn hooks(at: &Path) -> Option<String> {
    let path = at.join("hooks");
    let is_folder = match fs::symlink_metadata(&path) {
        Ok(there) => there.is_dir(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(_) => false,
    };
    if !is_folder {
        return Some("its `hooks` are no folder".to_owned());
    }
    let Ok(hooks) = fs::read_dir(&path) else {
        return Some("its `hooks` cannot be read".to_owned());
    };
    // As git itself leaves them, to be copied.
    let is_sample = |name: &[u8]| name.ends_with(b".sample");
    let mut hooks = hooks.map(|hook| hook.map(|hook| hook.file_name()).unwrap_or_default());
    let hook = hooks.find(|name| !is_sample(name.as_bytes()))?;
    Some(format!("it has a hook, `{}`", hook.display()))
}

/// The folder that shares its settings with one of git's own; `None` if that has no such file.
///
/// # Source
/// `get_common_dir_noenv` of git 2.47.
pub(super) fn common_of(folder: &Path) -> Result<Option<PathBuf>, String> {
    let unread = |error: &dyn std::fmt::Display| format!("its `commondir` cannot be read: {error}");
    let reached = deep::reach(folder).map_err(|error| unread(&error))?;
    let bytes = settings::bytes_of(&reached.path().join("commondir"), Links::Refused);
    let Some(bytes) = bytes.map_err(|error| unread(&error))? else { return Ok(None) };
    place_of((folder, reached.path()), path_in(&bytes)).map_err(|error| unread(&error))
}

/// Where a `.git` that is no folder leads; `None` if it leads nowhere.
///
/// # Source
/// `read_gitfile_gently` of git 2.47: what comes after exactly `gitdir: ` is the path, with all its spaces; any other
/// file has git end with an error.
pub(super) fn leads_to(path: &Path) -> Result<Option<PathBuf>, String> {
    let unread = |error: &dyn std::fmt::Display| format!("it cannot be read: {error}");
    let reached = deep::reach(path).map_err(|error| unread(&error))?;
    let at = reached.path();
    let folders = [path, at].map(|it| it.parent().unwrap_or(Path::new("/")));
    // A link is followed as what is written in it.
    let link = fs::read_link(at).ok();
    let there = match &link {
        Some(to) => match place_of(folders.into(), to).map_err(|error| unread(&error))? {
            Some(there) => there,
            None => return Ok(None),
        },
        None => at.to_owned(),
    };
    if link.is_some() && there.is_dir() {
        return Ok(Some(there));
    }
    let bytes = settings::bytes_of(&there, Links::Refused).map_err(|error| unread(&error))?;
    let bytes = bytes.unwrap_or_default();
    // A link in the place of the file leads to where the path begins, or does not: git takes the folder that the
    // link is in.
    match bytes.strip_prefix(b"gitdir: ") {
        Some(to) => place_of(folders.into(), path_in(to)).map_err(|error| unread(&error)),
        None => Ok(None),
    }
}

/// Where a path in a folder leads, if something is there. The folder is given as it is called, and as it is reached.
///
/// # Errors
/// The kernel's; and where it leads by way of a process or a device: that is another place for whoever asks.
fn place_of((folder, reached): (&Path, &Path), to: &Path) -> io::Result<Option<PathBuf>> {
    let elsewhere = |path: &Path| {
        let made = ["/proc", "/dev", "/sys"].iter().any(|top| path.starts_with(top));
        made && !path.starts_with("/dev/shm")
    };
    let led = follow(&folder.join(to));
    if folder != reached && to.is_relative() {
        return Err(io::Error::other("it leads on from a folder that lies too deep"));
    }
    if led.links.iter().chain([&led.to]).any(|path| elsewhere(path)) {
        return Err(io::Error::other("it leads to another place for every program"));
    }
    match folder.join(to).canonicalize() {
        Ok(found) => Ok(Some(found)),
        // For now.
        Err(error) if leads_nowhere(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn leads_nowhere(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn path_in(line: &[u8]) -> &Path {
    let end = line.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r')).map_or(0, |at| at + 1);
    Path::new(std::ffi::OsStr::from_bytes(&line[..end]))
}

/// A folder of hooks in a work tree that settings of others name in every work tree: a person's own, or
/// those of the repository that a new work tree is of.
pub(super) fn shared_hooks(tree: &Path, named: &Named) -> Option<String> {
    let reached = deep::reach(tree).ok()?;
    let mut relative = named.hooks.iter().filter(|path| path.is_relative());
    let hooks = relative.find(|path| {
        let entries = fs::read_dir(reached.path().join(path));
        entries.is_ok_and(|mut entries| entries.next().is_some())
    })?;
    Some(format!("its work tree has hooks in `{}`", hooks.display()))
}

/// The same of programs. One that is there as it is in a work tree that was known, whose own is kept, may be.
pub(super) fn shared_scripts(
    tree: &Path,
    named: &Named,
    known: &BTreeSet<OsString>,
) -> Option<String> {
    let reached = deep::reach(tree).ok()?;
    let is_as_known = |path: &Path, word: &Path| {
        let read = |path: &Path| settings::bytes_of(path, Links::Followed).ok().flatten();
        let mut all = known.iter().map(Path::new).filter(|it| it.ends_with(word));
        read(path).is_some_and(|here| all.any(|it| read(it).as_ref() == Some(&here)))
    };
    let script = named.scripts.iter().find(|word| {
        let path = reached.path().join(word);
        path.symlink_metadata().is_ok() && !path.is_dir() && !is_as_known(&path, word)
    })?;
    Some(format!("its work tree has `{}`, which git's settings have it run", script.display()))
}
