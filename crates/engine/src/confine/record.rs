//! What is looked out for is written down in a folder of the person's own, in case its owner dies, and for other
//! programs that start meanwhile. Never in the workspace: that may come with a clone, or from a program.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, flock};
use serde::{Deserialize, Serialize};

use super::git;
use super::lookout::{Lookout, random};
use super::replaced::Was;
use crate::harness::state_folder;

/// A record that its owner holds by a lock while it lives.
#[derive(Debug)]
pub(super) struct Record {
    path: PathBuf,
    _file: File,
}

/// As it is written: paths are any bytes, which keys of JSON are not.
#[derive(Serialize, Deserialize)]
struct Written {
    missing: Vec<(OsString, Option<String>)>,
    kept: Vec<(OsString, Was)>,
    repositories: Option<git::Known>,
}

/// The folder of records, without links in its path; `None`: the person has no folder for state.
pub(super) fn folder_of_person() -> Option<PathBuf> {
    let state = state_folder().ok()?;
    Some(state.canonicalize().unwrap_or(state).join("lookouts"))
}

/// Makes the folder of records where it is missing.
///
/// # Errors
/// It cannot be made, or others may write in it.
pub(super) fn made(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let there = fs::symlink_metadata(folder)?;
    if there.is_dir() && is_ours_alone(&there) {
        return Ok(());
    }
    let text = "others may write there; remove it, or make it yours alone (`chmod 700`)";
    Err(io::Error::new(io::ErrorKind::PermissionDenied, text))
}

fn is_ours_alone(there: &fs::Metadata) -> bool {
    there.uid() == rustix::process::geteuid().as_raw() && there.mode() & 0o022 == 0
}

impl Record {
    /// Writes down what is looked out for. It has its name only once it is whole and held.
    pub(super) fn of(lookout: &Lookout) -> io::Result<Self> {
        let none = || io::Error::new(io::ErrorKind::NotFound, "there is no folder for state");
        let folder = folder_of_person().ok_or_else(none)?;
        let told = |error: io::Error| {
            io::Error::new(error.kind(), format!("`{}`: {error}", folder.display()))
        };
        made(&folder).map_err(told)?;
        let name = format!("{:016x}", random());
        let (fresh, path) = (folder.join(&name), folder.join(format!("{PREFIX}{name}")));
        let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&fresh)?;
        flock(&file, FlockOperation::LockExclusive)?;
        let written = Written {
            missing: lookout
                .missing
                .iter()
                .map(|(path, text)| (path.into(), text.clone()))
                .collect(),
            kept: lookout.kept.iter().map(|(path, was)| (path.into(), was.clone())).collect(),
            repositories: lookout.repositories.clone(),
        };
        let areas = lookout.areas();
        let areas: Vec<&OsStr> = areas.iter().map(|area| area.as_os_str()).collect();
        let mut text = serde_json::to_vec(&areas)?;
        text.push(b'\n');
        serde_json::to_writer(&mut text, &written)?;
        if text.len() as u64 > MOST_BYTES {
            drop(fs::remove_file(&fresh));
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                "there are more folders of git than Botpipe can look out for: remove those that are not needed",
            ));
        }
        let done = file.write_all(&text).and_then(|()| fs::rename(&fresh, &path));
        if let Err(error) = done {
            drop(fs::remove_file(&fresh));
            return Err(told(error));
        }
        Ok(Self { path, _file: file })
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.path));
    }
}

const PREFIX: &str = "lookout-";
/// As much as a record may hold.
const MOST_BYTES: u64 = 64 << 20;

/// What is written down of programs that write in any of these, in what is in them, and in what they are in.
pub(super) fn all(areas: &[PathBuf]) -> Vec<Lookout> {
    of(areas).into_iter().map(|(_, _, lookout)| lookout).collect()
}

/// Looks for what owners that died were looking out for.
pub(super) fn take_over(areas: &[PathBuf], tell: &mut dyn FnMut(String)) {
    for (path, file, lookout) in of(areas) {
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
            lookout.look_and_tell(tell);
            drop(fs::remove_file(&path));
        }
    }
}

/// Those that Botpipe wrote for this person, and no other file.
fn of(areas: &[PathBuf]) -> Vec<(PathBuf, File, Lookout)> {
    let Some(folder) = folder_of_person() else { return Vec::new() };
    if !fs::symlink_metadata(&folder).is_ok_and(|it| it.is_dir() && is_ours_alone(&it)) {
        return Vec::new();
    }
    let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
    let entries =
        entries.filter(|entry| entry.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes()));
    entries.filter_map(|entry| read(entry.path(), areas)).collect()
}

fn read(path: PathBuf, about: &[PathBuf]) -> Option<(PathBuf, File, Lookout)> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(&path).ok()?;
    let there = file.metadata().ok()?;
    if !there.is_file() || !is_ours_alone(&there) {
        return None;
    }
    let mut text = BufReader::new((&file).take(MOST_BYTES));
    let mut first = Vec::new();
    text.read_until(b'\n', &mut first).ok()?;
    let areas: Vec<OsString> = serde_json::from_slice(&first).ok()?;
    let areas: Vec<PathBuf> = areas.into_iter().map(PathBuf::from).collect();
    if !meet(&areas, about) {
        let dead = || flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
        if areas.iter().all(|area| fs::symlink_metadata(area).is_err()) && dead() {
            drop(fs::remove_file(&path));
        }
        return None;
    }
    let mut areas = areas.into_iter();
    let (workspace, written) = (areas.next()?, areas.collect());
    let Written { missing, kept, repositories } = serde_json::from_reader(text).ok()?;
    let missing: BTreeMap<PathBuf, _> =
        missing.into_iter().map(|(path, text)| (path.into(), text)).collect();
    let kept = kept.into_iter().map(|(path, was)| (path.into(), was)).collect();
    Some((path, file, Lookout { workspace, written, missing, repositories, kept }))
}

/// Whether one of these is in one of those, or the other way round.
fn meet(these: &[PathBuf], those: &[PathBuf]) -> bool {
    let both = |one: &PathBuf, other: &PathBuf| one.starts_with(other) || other.starts_with(one);
    these.iter().any(|one| those.iter().any(|other| both(one, other)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_about_what_is_written_beside_the_workspace_too() {
        let paths = |all: &[&str]| all.iter().map(PathBuf::from).collect::<Vec<_>>();
        let meets = |these: &[&str], those: &[&str]| {
            let (these, those) = (paths(these), paths(those));
            assert_eq!(meet(&these, &those), meet(&those, &these));
            meet(&these, &those)
        };
        assert!(meets(&["/w"], &["/w"]) && meets(&["/w"], &["/w/sub"]));
        assert!(meets(&["/w", "/shared"], &["/shared/sub"]));
        assert!(meets(&["/w", "/shared/a"], &["/v", "/shared"]));
        assert!(!meets(&["/w", "/shared/a"], &["/v", "/shared/ab"]));
    }
}
