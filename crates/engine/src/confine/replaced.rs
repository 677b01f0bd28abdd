//! What is kept and was replaced on the host while a program ran. A mount hangs on the file that was there: the new
//! one was open to the program until it was kept again, so it is judged once the program has ended.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use super::git_files::{look_through, own_folder};
use super::{git, git_contents, site};
use crate::plain;
use crate::process::{StopSwitch, asked_of_git};
use crate::workspace::files::Hasher;
use crate::workspace::layout::Layout;

/// One that was kept, as it was before a program started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::confine) struct Was {
    file: Option<Identity>,
    /// A digest of all that is in it; `None`: it was too much.
    contents: Option<String>,
    /// Where it is a file of git's settings: those that are not plainly harmless.
    settings: Option<Vec<(String, String)>>,
    /// It has others run something.
    steers: bool,
}

/// What is called so is the same while this is the same. A number is given again, to a file that was born later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::confine) struct Identity {
    device: u64,
    number: u64,
    born: Option<(u64, u32)>,
}

pub(super) fn identity(path: &Path) -> Option<Identity> {
    let there = fs::symlink_metadata(path).ok()?;
    let born = there.created().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    let born = born.map(|at| (at.as_secs(), at.subsec_nanos()));
    Some(Identity { device: there.dev(), number: there.ino(), born })
}

impl Was {
    pub(super) fn of(path: &Path, steers: bool, workspace: &Path, known: &git::Known) -> Self {
        let settings = git::settings_of(path, workspace, known);
        let contents = if steers && settings.is_none() { contents(path) } else { None };
        Self { file: identity(path), contents, settings, steers }
    }

    pub(super) fn identity(&self) -> Option<Identity> {
        self.file
    }

    /// Whether something else is there by now.
    fn is_replaced(&self, path: &Path) -> bool {
        identity(path).is_some_and(|now| self.file != Some(now))
    }

    /// Judges what is there by now. What steers and is neither what was there nor what was committed is put aside, by
    /// `aside`, for the reason that it is given.
    pub(super) fn judge(
        &self,
        path: &Path,
        (workspace, known): (&Path, &git::Known),
        aside: fn(&Path, &str) -> Option<String>,
    ) -> Option<String> {
        if !self.is_replaced(path) {
            return None;
        }
        if let Some(before) = &self.settings {
            let now = git::settings_of(path, workspace, known)?;
            let (new, _) = now.into_iter().find(|it| !before.contains(it))?;
            return aside(path, &format!("may have git run programs ({new})"));
        }
        if self.contents.is_some() && self.contents == contents(path) {
            return None;
        }
        if self.steers && !path.ends_with(Layout::FOLDER) && !is_as_committed(path, workspace) {
            return aside(path, "steers Botpipe, git, or an agent or editor on this machine");
        }
        let shown = path.display();
        Some(format!(
            "`{shown}` was replaced while a program ran and may hold what it wrote: look at it"
        ))
    }
}

/// Bytes, and files and folders, of one that is looked into.
const MOST: (u64, usize) = (4 << 20, 1000);

/// A digest of a file, or of all in a folder.
fn contents(path: &Path) -> Option<String> {
    let mut hasher = Hasher::default();
    let mut left = MOST;
    let mut next = vec![path.to_owned()];
    while let Some(path) = next.pop() {
        left.1 = left.1.checked_sub(1)?;
        let there = fs::symlink_metadata(&path).ok()?;
        hasher.update(path.as_os_str().as_bytes());
        hasher.update(&[0]);
        hasher.update(&there.permissions().mode().to_le_bytes());
        if there.is_dir() {
            next.extend(names(&path)?);
        } else if there.is_file() {
            let bytes = plain::read(&path, left.0).ok()?;
            left.0 -= bytes.len() as u64;
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(&bytes);
        } else if there.is_symlink() {
            hasher.update(fs::read_link(&path).ok()?.as_os_str().as_bytes());
            hasher.update(&[0]);
        }
    }
    Some(hasher.finish().to_string())
}

fn names(folder: &Path) -> Option<Vec<PathBuf>> {
    let mut names: Vec<PathBuf> = fs::read_dir(folder)
        .ok()?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .ok()?;
    names.sort();
    Some(names)
}

/// Whether the last commit has it so: a branch was checked out. A program may have committed it itself, and then it is
/// seen where commits are looked at. Git is asked, within its bounds: the program may have made its objects such that
/// whoever reads them waits for ever.
fn is_as_committed(path: &Path, workspace: &Path) -> bool {
    let top = path.ancestors().skip(1).find(|top| top.join(".git").symlink_metadata().is_ok());
    let Some((top, inside)) = top.and_then(|top| Some((top, path.strip_prefix(top).ok()?))) else {
        return false;
    };
    let (folder, Some(inside)) =
        (format!("--git-dir={}", top.join(".git").display()), inside.to_str())
    else {
        return false;
    };
    let args = [&folder, "ls-tree", "-rz", "--full-tree", "HEAD", "--", inside];
    let stop = StopSwitch::default();
    if look_through(&own_folder(&top.join(".git")), (workspace, &stop)).is_err() {
        return false;
    }
    let bounds = (&*site::written_by_all(workspace), &stop);
    let Ok(answer) = asked_of_git(top, &args, Vec::new(), bounds) else { return false };
    // Each is its mode, its kind, and its name among objects with its path behind a tab.
    let entries = answer.split(|byte| *byte == 0);
    let committed: BTreeSet<&[u8]> =
        entries.filter_map(|entry| entry.splitn(3, |byte| *byte == b' ').nth(2)).collect();
    let mut left = MOST;
    let mut next = vec![path.to_owned()];
    while let Some(path) = next.pop() {
        let Some(fewer) = left.1.checked_sub(1) else { return false };
        left.1 = fewer;
        let Ok(there) = fs::symlink_metadata(&path) else { return false };
        if there.is_dir() {
            let Some(names) = names(&path) else { return false };
            next.extend(names);
            continue;
        }
        let Ok(bytes) = plain::read(&path, left.0) else { return false };
        left.0 -= bytes.len() as u64;
        let Ok(inside) = path.strip_prefix(top) else { return false };
        let is_committed = git_contents::names_of(&bytes).iter().any(|id| {
            committed.contains(&*[id.as_bytes(), b"\t", inside.as_os_str().as_bytes()].concat())
        });
        if !is_committed {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn judged(was: &Was, path: &Path, known: &git::Known) -> Option<String> {
        let aside = |_: &Path, why: &str| Some(format!("put aside: {why}"));
        was.judge(path, (path.parent().unwrap(), known), aside)
    }

    /// As `git` and many editors write: a new file in the place of the old one.
    fn replace(path: &Path, text: &str) {
        fs::write(path.with_extension("new"), text).unwrap();
        fs::rename(path.with_extension("new"), path).unwrap();
    }

    #[test]
    fn what_is_as_it_was_is_left_and_what_steers_and_is_not_is_put_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap().join(".mcp.json");
        let known = git::Known::default();
        fs::write(&path, "{}").unwrap();
        let was = |steers| Was::of(&path, steers, folder.path(), &known);
        let (steers, unwritten) = (was(true), was(false));
        fs::write(&path, "{ }").unwrap();
        assert_eq!(judged(&steers, &path, &known), None, "the same file was closed all the time");
        replace(&path, "{}");
        assert_eq!(
            judged(&steers, &path, &known),
            None,
            "as a branch that is left and taken again"
        );
        replace(&path, "{ \"evil\": 1 }");
        assert!(judged(&steers, &path, &known).unwrap().starts_with("put aside"));
        let told = judged(&unwritten, &path, &known).unwrap();
        assert!(told.ends_with("may hold what it wrote: look at it"), "{told}");
        fs::remove_file(&path).unwrap();
        assert_eq!(judged(&steers, &path, &known), None);
    }

    /// Whoever opens it waits for somebody to write there.
    #[test]
    fn what_was_committed_is_asked_of_git_and_no_pipe_among_its_objects_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().canonicalize().unwrap();
        let git = |words: &str| {
            let mut git = Command::new("git");
            git.args(["-c", "user.name=a", "-c", "user.email=a@b"]).args(words.split(' '));
            let output = git.current_dir(&top).output().unwrap();
            assert!(output.status.success(), "{words}: {output:?}");
            String::from_utf8(output.stdout).unwrap()
        };
        let (file, servers) = (top.join(".mcp.json"), top.join(".claude"));
        fs::create_dir(&servers).unwrap();
        fs::write(&file, "{}").unwrap();
        fs::write(servers.join("settings.json"), "{}").unwrap();
        for words in ["init -q .", "add .", "commit -qm x"] {
            git(words);
        }
        let is = |path: &Path| is_as_committed(path, &top);
        assert!(is(&file) && is(&servers));
        fs::write(servers.join("new"), "{}").unwrap();
        assert!(is(&file) && !is(&servers));
        let id = git("rev-parse HEAD");
        let (first, rest) = id.trim_end().split_at(2);
        let object = top.join(".git/objects").join(first).join(rest);
        fs::remove_file(&object).unwrap();
        let mode = rustix::fs::Mode::RUSR;
        let kind = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, &object, kind, mode, 0).unwrap();
        assert!(!is(&file));
    }
}
