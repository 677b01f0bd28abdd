//! Git tree objects: their bytes, and a whole tree as a list of paths.

use std::collections::BTreeMap;

use botpipe_kernel::run::SnapshotId;
use git2::{ObjectType, Oid};

use super::objects::Objects;
use crate::workspace::Error;

/// Modes of git tree entries.
pub(super) const FILE: u32 = 0o100_644;
pub(super) const PROGRAM: u32 = 0o100_755;
pub(super) const LINK: u32 = 0o120_000;
pub(super) const FOLDER: u32 = 0o040_000;

/// One entry of one folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) mode: u32,
    pub(super) name: Vec<u8>,
    pub(super) id: Oid,
}

/// A file or link anywhere in a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Leaf {
    pub(super) mode: u32,
    pub(super) id: Oid,
}

/// Files and links by their path, with `/` between folders.
pub(super) type Paths = BTreeMap<Vec<u8>, Leaf>;

/// Sorts entries as git wants them (a folder as if its name ended in `/`) and writes them out.
pub(super) fn encode(entries: &mut [Entry]) -> Vec<u8> {
    let key = |entry: &Entry| {
        let tail = (entry.mode == FOLDER).then_some(b'/');
        entry.name.iter().copied().chain(tail).collect::<Vec<u8>>()
    };
    if !entries.is_sorted_by(|a, b| key(a) <= key(b)) {
        entries.sort_by_cached_key(key);
    }
    let mut bytes = Vec::with_capacity(entries.len() * 48);
    for entry in entries {
        bytes.extend_from_slice(format!("{:o} ", entry.mode).as_bytes());
        bytes.extend_from_slice(&entry.name);
        bytes.push(0);
        bytes.extend_from_slice(entry.id.as_bytes());
    }
    bytes
}

fn decode(mut bytes: &[u8]) -> Option<Vec<Entry>> {
    let mut entries = Vec::new();
    while !bytes.is_empty() {
        let space = bytes.iter().position(|byte| *byte == b' ')?;
        let mode = u32::from_str_radix(std::str::from_utf8(&bytes[..space]).ok()?, 8).ok()?;
        bytes = &bytes[space + 1..];
        let end = bytes.iter().position(|byte| *byte == 0)?;
        let name = bytes[..end].to_vec();
        let id = Oid::from_bytes(bytes.get(end + 1..end + 21)?).ok()?;
        bytes = &bytes[end + 21..];
        entries.push(Entry { mode, name, id });
    }
    Some(entries)
}

/// A snapshot's tree id.
pub(super) fn id_of(snapshot: &SnapshotId) -> Result<Oid, Error> {
    Oid::from_str(&snapshot.0)
        .ok()
        .filter(|_| snapshot.0.len() == 40)
        .ok_or_else(|| damaged(snapshot, "its id is no 40 hex digits"))
}

pub(super) fn damaged(snapshot: &SnapshotId, what: impl Into<String>) -> Error {
    Error::Damaged { snapshot: snapshot.0.clone(), what: what.into() }
}

/// All files and links of a snapshot. Names that could lead elsewhere make it a damaged one.
pub(super) fn flatten(objects: &Objects<'_>, snapshot: &SnapshotId) -> Result<Paths, Error> {
    let mut paths = Paths::new();
    let mut open: Vec<(Vec<u8>, Oid)> = vec![(Vec::new(), id_of(snapshot)?)];
    while let Some((folder, id)) = open.pop() {
        for entry in read(objects, snapshot, &folder, id)? {
            let path = join(&folder, &entry.name);
            match entry.mode {
                FOLDER => open.push((path, entry.id)),
                FILE | PROGRAM | LINK => {
                    paths.insert(path, Leaf { mode: entry.mode, id: entry.id });
                }
                mode => {
                    let path = String::from_utf8_lossy(&path).into_owned();
                    return Err(damaged(snapshot, format!("`{path}` has the mode {mode:o}")));
                }
            }
        }
    }
    Ok(paths)
}

/// The paths at which two snapshots differ, in order. Folders equal on both sides are not opened.
pub(super) fn differences(
    objects: &Objects<'_>,
    before: &SnapshotId,
    after: &SnapshotId,
) -> Result<Vec<Vec<u8>>, Error> {
    let mut found = Vec::new();
    let start = (Vec::new(), Some(id_of(before)?), Some(id_of(after)?));
    let mut open = vec![start];
    while let Some((folder, left, right)) = open.pop() {
        if left == right {
            continue;
        }
        let entries = |snapshot, id: Option<Oid>| match id {
            Some(id) => read(objects, snapshot, &folder, id),
            None => Ok(Vec::new()),
        };
        let mut sides: BTreeMap<Vec<u8>, [Option<(u32, Oid)>; 2]> = BTreeMap::new();
        for (side, entries) in
            [entries(before, left)?, entries(after, right)?].into_iter().enumerate()
        {
            for entry in entries {
                sides.entry(entry.name).or_default()[side] = Some((entry.mode, entry.id));
            }
        }
        for (name, [left, right]) in sides {
            if left == right {
                continue;
            }
            let path = join(&folder, &name);
            let folder_id = |side: Option<(u32, Oid)>| side.filter(|s| s.0 == FOLDER).map(|s| s.1);
            let is_leaf = |side: Option<(u32, Oid)>| side.is_some_and(|s| s.0 != FOLDER);
            if is_leaf(left) || is_leaf(right) {
                found.push(path.clone());
            }
            open.push((path, folder_id(left), folder_id(right)));
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// One folder of a snapshot.
pub(super) fn read(
    objects: &Objects<'_>,
    snapshot: &SnapshotId,
    folder: &[u8],
    id: Oid,
) -> Result<Vec<Entry>, Error> {
    let place = || match String::from_utf8_lossy(folder).into_owned() {
        top if top.is_empty() => "its top folder".to_owned(),
        folder => format!("its folder `{folder}`"),
    };
    let bytes = objects
        .read(id, ObjectType::Tree)
        .map_err(|broken| damaged(snapshot, format!("{}: {}", place(), broken.0)))?;
    let entries = decode(&bytes);
    let entries = entries.ok_or_else(|| damaged(snapshot, format!("{} is no tree", place())))?;
    let top = folder.is_empty();
    if let Some(bad) = entries.iter().find(|entry| !is_plain_name(&entry.name, top)) {
        let name = bad.name.escape_ascii().to_string();
        return Err(damaged(snapshot, format!("{} holds the name `{name}`", place())));
    }
    Ok(entries)
}

/// Whether a name may stand in a snapshot: one path component, never git's folder or ours.
fn is_plain_name(name: &[u8], top: bool) -> bool {
    let ours = top && name == crate::workspace::layout::Layout::FOLDER.as_bytes();
    !(name.is_empty()
        || name == b"."
        || name == b".."
        || name.contains(&b'/')
        || is_git(name)
        || ours)
}

/// Whether a name is git's own, also where case does not count.
pub(super) fn is_git(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b".git")
}

pub(super) fn join(folder: &[u8], name: &[u8]) -> Vec<u8> {
    if folder.is_empty() { name.to_vec() } else { [folder, b"/", name].concat() }
}

/// The folder a path lies in; empty at the top.
pub(super) fn parent(path: &[u8]) -> &[u8] {
    path.iter().rposition(|byte| *byte == b'/').map_or(&[][..], |at| &path[..at])
}
