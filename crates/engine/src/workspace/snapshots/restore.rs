//! Makes the tree equal to a snapshot, keeping what was there before.

use std::collections::{BTreeSet, HashSet};
use std::ffi::OsStr;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use botpipe_kernel::run::SnapshotId;
use git2::{ObjectType, Oid};
use rustix::fs::{FileType, Mode};

use super::apply::{self, Place};
use super::content::{self, Content};
use super::durable::sync_paths;
use super::objects::{NotWritten, Objects};
use super::scan::{FOLDER_FLAGS, is_repository, stamp_of};
use super::store::Snapshots;
use super::tree::{self, Leaf, Paths};
use crate::workspace::Error;

/// What a restore did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// The tree as it was before, with every file the restore replaced or removed.
    pub kept: SnapshotId,
    /// The tree as it is now: the snapshot asked for, unless something is in `left`.
    pub tree: SnapshotId,
    /// Files that are not in the snapshot but stay: they were ignored until the restore brought
    /// back other ignore rules.
    pub left: Vec<String>,
}

/// What is to be done, decided before anything is touched.
struct Plan<'p> {
    to: &'p SnapshotId,
    before: Paths,
    wanted: Paths,
    /// Paths in the tree now that must go or become something else.
    remove: BTreeSet<Vec<u8>>,
    write: BTreeSet<Vec<u8>>,
    /// Ignored files that stand where one is to be written; they are kept too.
    ignored: Vec<Vec<u8>>,
    /// Folders to clear of empty folders, where a file is to be written.
    empty: Vec<Vec<u8>>,
}

impl Snapshots {
    /// Makes every file that is not ignored equal to the snapshot `to`: content, links, whether it
    /// may be executed; files that are not in it are removed.
    ///
    /// The present tree is first kept as a snapshot under a ref of its own. Ignored files stay,
    /// unless the snapshot itself has a file there: then the ignored one is in the kept snapshot.
    /// A restore cut short can be done again.
    ///
    /// # Errors
    /// [`Error::Damaged`] when the snapshot is not whole and [`Error::InTheWay`] when something
    /// protected stands in the way: nothing is touched then. [`Error::NotRestored`] when somebody
    /// else writes to the tree meanwhile. [`Error::Io`] when a place cannot be written.
    pub fn restore(&mut self, to: &SnapshotId) -> Result<Restored, Error> {
        let before = self.take()?;
        self.restore_over(before, to)
    }

    /// The same over the snapshot that was taken last: what came since is left, or an error.
    ///
    /// # Errors
    /// As [`restore`](Self::restore).
    pub fn restore_over(&mut self, before: SnapshotId, to: &SnapshotId) -> Result<Restored, Error> {
        if before == *to {
            return Ok(Restored { kept: before.clone(), tree: before, left: Vec::new() });
        }
        let root = rustix::fs::open(&self.root, FOLDER_FLAGS, Mode::empty())
            .map_err(|error| Error::io("open the workspace", &self.root)(error.into()))?;
        let plan = self.plan(&root, to, &before)?;
        let staged = self.stage(&plan)?;
        let kept = self.keep(&plan, before)?;
        self.apply(&root, &plan, &staged, &kept)?;
        let _tidied_next_time = fs::remove_dir_all(&staged);
        sync_paths(&root, plan.write.iter().chain(&plan.remove));
        self.confirm(&plan, kept)
    }

    fn plan<'p>(
        &self,
        root: &OwnedFd,
        to: &'p SnapshotId,
        before: &SnapshotId,
    ) -> Result<Plan<'p>, Error> {
        let objects = self.objects()?;
        let wanted = tree::flatten(&objects, to)?;
        let before = tree::flatten(&objects, before)?;
        let remove = before.keys().filter(|path| !wanted.contains_key(*path)).cloned().collect();
        let write: BTreeSet<Vec<u8>> = wanted
            .iter()
            .filter(|(path, leaf)| before.get(*path) != Some(leaf))
            .map(|(path, _)| path.clone())
            .collect();
        let (ignored, empty) = (Vec::new(), Vec::new());
        let mut plan = Plan { to, before, wanted, remove, write, ignored, empty };
        let mut looked = HashSet::new();
        for path in &plan.write.clone() {
            self.clear_way(root, &mut plan, path, &mut looked)?;
        }
        Ok(plan)
    }

    /// Makes sure that a path can be written without losing anything that is not kept.
    fn clear_way(
        &self,
        root: &OwnedFd,
        plan: &mut Plan<'_>,
        path: &[u8],
        looked: &mut HashSet<Vec<u8>>,
    ) -> Result<(), Error> {
        let in_the_way = |path: &[u8], what| Error::InTheWay {
            snapshot: plan.to.0.clone(),
            path: String::from_utf8_lossy(path).into_owned(),
            what,
        };
        for (at, _) in path.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
            let above = &path[..at];
            if !looked.insert(above.to_vec()) {
                continue;
            }
            match self.look(root, above)? {
                Place::Nothing => return Ok(()),
                Place::Other(_) if plan.before.contains_key(above) => return Ok(()),
                Place::Other(_) => {
                    return Err(in_the_way(
                        above,
                        "is ignored and no folder, but a folder must be there",
                    ));
                }
                Place::Folder if self.is_repository(root, above)? => {
                    return Err(in_the_way(above, "has become a repository of its own"));
                }
                Place::Folder => {}
            }
        }
        match self.look(root, path)? {
            Place::Nothing => {}
            Place::Other(_) if plan.before.contains_key(path) => {}
            Place::Other(stat) if stamp_of(&stat).is_some() => plan.ignored.push(path.to_vec()),
            Place::Other(_) => return Err(in_the_way(path, "is neither a file nor a link")),
            Place::Folder if self.holds_other(root, plan, path)? => {
                return Err(in_the_way(
                    path,
                    "is a folder with ignored files, but a file must be there",
                ));
            }
            Place::Folder => plan.empty.push(path.to_vec()),
        }
        Ok(())
    }

    /// Whether a folder holds anything that is not in the tree before, other than empty folders.
    fn holds_other(&self, root: &OwnedFd, plan: &Plan<'_>, folder: &[u8]) -> Result<bool, Error> {
        for (name, kind) in self.names(root, folder)? {
            let path = tree::join(folder, &name);
            let other = match kind {
                FileType::Directory => self.holds_other(root, plan, &path)?,
                _ => !plan.before.contains_key(&path),
            };
            if other {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Writes all that is to be put in place, so that a damaged object or a full disk is met before
    /// anything is touched.
    fn stage(&self, plan: &Plan<'_>) -> Result<PathBuf, Error> {
        let folder = self.own.join("restoring");
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::io("clear", folder)(error));
            }
            _ => fs::create_dir(&folder).map_err(Error::io("make", &folder))?,
        }
        let objects = self.objects()?;
        for (n, path) in plan.write.iter().enumerate() {
            let leaf = plan.wanted[path];
            let damaged = |what: &str| {
                tree::damaged(plan.to, format!("its `{}`: {what}", String::from_utf8_lossy(path)))
            };
            let place = folder.join(n.to_string());
            apply::stage(&objects, leaf, &place).map_err(|not| match not {
                NotWritten::Broken(broken) => damaged(&broken.0),
                NotWritten::Io(error) => Error::io("write beforehand", place)(error),
            })?;
        }
        Ok(folder)
    }

    /// Puts the tree before under a ref, adds the ignored files that will be replaced, and makes
    /// sure that nothing we remove is only borrowed.
    fn keep(&mut self, plan: &Plan<'_>, before: SnapshotId) -> Result<SnapshotId, Error> {
        let mut endangered: Vec<Oid> = Vec::new();
        let gone = plan.before.iter().filter(|(path, leaf)| plan.wanted.get(*path) != Some(leaf));
        endangered.extend(gone.map(|(_, leaf)| leaf.id));
        if self.discard_broken(&endangered)? {
            // The files are still here: they are read and stored again.
            self.scan.forget();
            if self.take()? != before {
                return Err(disturbed(plan, &before, Vec::new()));
            }
            if self.discard_broken(&endangered)? {
                return Err(tree::damaged(&before, "an object borrowed for it is not whole"));
            }
        }
        let mut kept = before;
        if !plan.ignored.is_empty() {
            let mut paths = plan.before.clone();
            for path in &plan.ignored {
                paths.insert(path.clone(), self.store_ignored(plan, path)?);
            }
            endangered.extend(plan.ignored.iter().filter_map(|path| paths.get(path)).map(|l| l.id));
            kept = SnapshotId(write_paths(&self.objects()?, &paths)?.to_string());
        }
        if self.borrows() {
            self.own(&kept, &endangered)?;
        }
        self.name_kept(&kept)?;
        self.settle()?;
        Ok(kept)
    }

    /// Drops those contents that are not whole; tells whether there were any.
    fn discard_broken(&self, contents: &[Oid]) -> Result<bool, Error> {
        let objects = self.objects()?;
        let broken = contents.iter().filter(|id| objects.proves(**id).is_err());
        Ok(broken.inspect(|id| objects.discard(**id)).count() > 0)
    }

    /// A file or link as a snapshot has it, whether it is ignored or not.
    fn leaf_at(&self, path: &[u8]) -> Result<(u32, Content), Error> {
        let place = self.root.join(OsStr::from_bytes(path));
        let fail = |error| Error::io("read", &place)(error);
        let found = fs::symlink_metadata(&place).map_err(fail)?;
        if found.is_symlink() {
            let target = fs::read_link(&place).map_err(fail)?;
            return Ok((tree::LINK, Content::Bytes(target.into_os_string().into_vec())));
        }
        let mode = if found.mode() & 0o100 == 0 { tree::FILE } else { tree::PROGRAM };
        Ok((mode, content::of_path(&place).map_err(fail)?))
    }

    fn store_ignored(&self, plan: &Plan<'_>, path: &[u8]) -> Result<Leaf, Error> {
        let (mode, content) = self.leaf_at(path)?;
        let id = content.store(&self.objects()?)?.ok_or_else(|| Error::InTheWay {
            snapshot: plan.to.0.clone(),
            path: String::from_utf8_lossy(path).into_owned(),
            what: "is longer than what can be kept (1 GiB): move it away",
        })?;
        Ok(Leaf { mode, id })
    }

    /// Whether a path holds what the snapshot wants, though the rules may ignore it.
    pub(super) fn is_as_wanted(&self, path: &[u8], wanted: &Leaf) -> bool {
        let objects = self.objects();
        let is = |content| objects.is_ok_and(|objects| content::is(content, wanted.id, &objects));
        self.leaf_at(path).is_ok_and(|(mode, content)| mode == wanted.mode && is(content))
    }

    /// Copies a kept tree's folders and the endangered contents into a pack of our own, where the
    /// user's repository cannot drop them.
    fn own(&self, kept: &SnapshotId, endangered: &[Oid]) -> Result<(), Error> {
        let objects = self.objects()?;
        let pack = || {
            let mut builder = self.repository.packbuilder()?;
            builder.set_threads(1);
            for id in endangered {
                builder.insert_object(*id, None)?;
            }
            Ok(builder)
        };
        let mut builder = pack().map_err(Error::git("copy what is kept"))?;
        let mut open = vec![(Vec::new(), tree::id_of(kept)?)];
        while let Some((folder, id)) = open.pop() {
            // Read, and so proven, before libgit2 reads it.
            let below = tree::read(&objects, kept, &folder, id)?.into_iter();
            builder.insert_object(id, None).map_err(Error::git("copy a kept folder"))?;
            open.extend(
                below
                    .filter(|entry| entry.mode == tree::FOLDER)
                    .map(|entry| (tree::join(&folder, &entry.name), entry.id)),
            );
        }
        let place = self.folder.join("objects/pack");
        fs::create_dir_all(&place).map_err(Error::io("make", &place))?;
        builder.write(&place, 0o444).map_err(Error::git("write what is kept"))
    }

    fn name_kept(&self, kept: &SnapshotId) -> Result<(), Error> {
        let id = tree::id_of(kept)?;
        let write = || {
            let mut last = 0;
            for name in self.repository.references_glob("refs/kept/*")?.names() {
                let n = name?.rsplit('/').next().and_then(|n| n.parse::<u64>().ok());
                last = last.max(n.unwrap_or(0));
            }
            self.repository.reference(&format!("refs/kept/{}", last + 1), id, false, "kept")
        };
        // Another tree of this workspace may be kept at the same moment, under the same number.
        let taken = |error: &git2::Error| {
            matches!(error.code(), git2::ErrorCode::Exists | git2::ErrorCode::Locked)
        };
        let mut written = write();
        for _ in 0..TRIES {
            match &written {
                Err(error) if taken(error) => written = write(),
                _ => break,
            }
        }
        written.map(|_| ()).map_err(Error::git("name the tree that is kept"))
    }

    fn apply(
        &self,
        root: &OwnedFd,
        plan: &Plan<'_>,
        staged: &std::path::Path,
        kept: &SnapshotId,
    ) -> Result<(), Error> {
        let place = |path: &[u8]| self.root.join(OsStr::from_bytes(path));
        // A file saved since it was kept is not ours to replace.
        let touched: Vec<String> = plan
            .remove
            .iter()
            .chain(&plan.write)
            .filter(|path| plan.before.contains_key(*path) && !self.is_as_kept(root, path))
            .map(|path| String::from_utf8_lossy(path).into_owned())
            .collect();
        if !touched.is_empty() {
            return Err(disturbed(plan, kept, touched));
        }
        for path in &plan.remove {
            self.still(root, plan, path, kept)?;
            apply::remove(root, path)
                .map_err(|error| Error::io("remove", place(path))(error.into()))?;
        }
        for path in &plan.empty {
            if matches!(self.look(root, path)?, Place::Folder) {
                apply::remove_empty(root, path)
                    .map_err(|error| Error::io("clear", place(path))(error.into()))?;
            }
        }
        for (n, path) in plan.write.iter().enumerate() {
            self.still(root, plan, path, kept)?;
            apply::put(root, &staged.join(n.to_string()), path, plan.wanted[path].mode)
                .map_err(Error::io("restore", place(path)))?;
        }
        Ok(())
    }

    /// An error when somebody saved that very file while others were written.
    fn still(
        &self,
        root: &OwnedFd,
        plan: &Plan<'_>,
        path: &[u8],
        kept: &SnapshotId,
    ) -> Result<(), Error> {
        let kept_so = if plan.before.contains_key(path) {
            self.is_as_kept(root, path)
        } else {
            // A file that is ignored is kept as it was a moment ago.
            plan.ignored.iter().any(|it| it == path)
                || !matches!(self.look(root, path)?, Place::Other(_))
        };
        if kept_so {
            return Ok(());
        }
        let path = String::from_utf8_lossy(path).into_owned();
        Err(disturbed(plan, kept, vec![path]))
    }

    fn is_as_kept(&self, root: &OwnedFd, path: &[u8]) -> bool {
        match apply::look(root, path) {
            Ok(Place::Other(stat)) => stamp_of(&stat) == self.scan.stamp(path),
            Ok(Place::Nothing | Place::Folder) => true,
            Err(_) => false,
        }
    }

    fn confirm(&mut self, plan: &Plan<'_>, kept: SnapshotId) -> Result<Restored, Error> {
        let now = self.take()?;
        let different = tree::differences(&self.objects()?, plan.to, &now)?;
        let text = |path: &Vec<u8>| String::from_utf8_lossy(path).into_owned();
        let mut wrong = Vec::new();
        let mut left = Vec::new();
        for path in &different {
            match plan.wanted.get(path) {
                // Files kept from under ignore rules are in place, though no snapshot shows them.
                Some(leaf) if self.is_as_wanted(path, leaf) => {}
                None if !plan.before.contains_key(path) => left.push(text(path)),
                _ => wrong.push(text(path)),
            }
        }
        if !wrong.is_empty() {
            return Err(disturbed(plan, &kept, wrong));
        }
        Ok(Restored { kept, tree: now, left })
    }

    fn look(&self, root: &OwnedFd, path: &[u8]) -> Result<Place, Error> {
        apply::look(root, path).map_err(|error| {
            Error::io("look at", self.root.join(OsStr::from_bytes(path)))(error.into())
        })
    }

    fn is_repository(&self, root: &OwnedFd, folder: &[u8]) -> Result<bool, Error> {
        let names = self.names(root, folder)?;
        Ok(apply::open_folder(root, folder).is_ok_and(|fd| is_repository(fd, &names)))
    }

    fn names(&self, root: &OwnedFd, folder: &[u8]) -> Result<Vec<(Vec<u8>, FileType)>, Error> {
        let read = || {
            let folder = apply::open_folder(root, folder)?;
            let mut names = Vec::new();
            for entry in rustix::fs::Dir::read_from(&folder)? {
                let entry = entry?;
                if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
                    names.push((entry.file_name().to_bytes().to_vec(), entry.file_type()));
                }
            }
            Ok::<_, rustix::io::Errno>(names)
        };
        read().map_err(|error| {
            Error::io("read", self.root.join(OsStr::from_bytes(folder)))(error.into())
        })
    }
}

/// How often a number that was taken meanwhile is replaced by the next.
const TRIES: usize = 100;

fn disturbed(plan: &Plan<'_>, kept: &SnapshotId, paths: Vec<String>) -> Error {
    Error::NotRestored { snapshot: plan.to.0.clone(), kept: kept.0.clone(), paths }
}

/// Writes the trees of a whole list of paths.
pub(super) fn write_paths(objects: &Objects<'_>, paths: &Paths) -> Result<Oid, Error> {
    let mut folders: std::collections::BTreeMap<&[u8], Vec<tree::Entry>> =
        std::iter::once((&b""[..], Vec::new())).collect();
    for (path, leaf) in paths {
        let folder = tree::parent(path);
        let name = path[folder.len()..].strip_prefix(b"/").unwrap_or(path).to_vec();
        folders.entry(folder).or_default().push(tree::Entry { mode: leaf.mode, name, id: leaf.id });
        let mut above = folder;
        while !above.is_empty() {
            above = tree::parent(above);
            folders.entry(above).or_default();
        }
    }
    // A folder sorts before what lies in it, so backwards each is whole when its turn comes.
    let mut top = None;
    while let Some((folder, mut entries)) = folders.pop_last() {
        let bytes = tree::encode(&mut entries);
        let id = objects.write(ObjectType::Tree, &bytes)?;
        if folder.is_empty() {
            top = Some(id);
            break;
        }
        let parent = tree::parent(folder);
        let name = folder[parent.len()..].strip_prefix(b"/").unwrap_or(folder).to_vec();
        let entry = tree::Entry { mode: tree::FOLDER, name, id };
        folders.entry(parent).or_default().push(entry);
    }
    top.map_or_else(|| objects.write(ObjectType::Tree, b""), Ok)
}
