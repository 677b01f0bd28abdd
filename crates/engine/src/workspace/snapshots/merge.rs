//! Brings trees together: three sides, file by file and line by line, with git's own merge.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use botpipe_kernel::run::SnapshotId;
use git2::{IndexConflict, MergeOptions};

use super::restore::write_paths;
use super::store::Snapshots;
use super::tree;
use crate::workspace::Error;

/// What several trees came to together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    pub tree: SnapshotId,
    /// For each, in order.
    pub sides: Vec<Side>,
}

/// What became of one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    /// Files it changed.
    pub changed: usize,
    /// Files that the trees before it changed as well, at the same place: nothing of it was taken then.
    pub conflicts: Vec<String>,
}

impl Snapshots {
    /// Puts what each of `sides` changed since `base` on top of `ours`, one after the other. A side
    /// that does not go together with those before it is left out, whole; so is one that has a file where
    /// the workspace has another that no rule shows (`found` is all that they show). Only snapshots are
    /// written.
    ///
    /// # Errors
    /// [`Error::Damaged`] when a snapshot is not whole, [`Error::Git`] when git cannot merge.
    pub fn merge(
        &self,
        base: &SnapshotId,
        (ours, found): (&SnapshotId, &SnapshotId),
        sides: &[SnapshotId],
    ) -> Result<Merged, Error> {
        let mut merged = Merged { tree: ours.clone(), sides: Vec::with_capacity(sides.len()) };
        for side in sides {
            let changed = self.proven(base, side)?;
            let (tree, conflicts) = if changed == 0 {
                (merged.tree.clone(), Vec::new())
            } else {
                self.proven(base, &merged.tree)?;
                match self.merge_one(base, &merged.tree, side)? {
                    (tree, conflicts) if conflicts.is_empty() => {
                        let hidden = self.hidden(&tree, found)?;
                        let tree = if hidden.is_empty() { tree } else { merged.tree.clone() };
                        (tree, hidden)
                    }
                    conflicting => conflicting,
                }
            };
            merged.tree = tree;
            merged.sides.push(Side { changed, conflicts });
        }
        self.settle()?;
        Ok(merged)
    }

    /// The tree `now` with all that was written on the way from `ours` to one of `written` taken back.
    ///
    /// # Errors
    /// [`Error::Damaged`] when a snapshot is not whole.
    pub fn without(
        &self,
        now: &SnapshotId,
        ours: &SnapshotId,
        written: [&SnapshotId; 2],
    ) -> Result<SnapshotId, Error> {
        let objects = self.objects()?;
        let mut paths = tree::flatten(&objects, now)?;
        let before = tree::flatten(&objects, ours)?;
        for written in written {
            let after = tree::flatten(&objects, written)?;
            for path in tree::differences(&objects, ours, written)? {
                if paths.get(&path) != after.get(&path) {
                    continue;
                }
                match before.get(&path) {
                    Some(leaf) => paths.insert(path, *leaf),
                    None => paths.remove(&path),
                };
            }
        }
        let id = write_paths(&objects, &paths)?;
        Ok(SnapshotId(id.to_string()))
    }

    /// The paths at which `now` is neither what `one` has nor what `other` has.
    ///
    /// # Errors
    /// [`Error::Damaged`] when a snapshot is not whole.
    pub fn of_neither(
        &self,
        now: &SnapshotId,
        one: &SnapshotId,
        other: &SnapshotId,
    ) -> Result<Vec<String>, Error> {
        let objects = self.objects()?;
        let from_one: BTreeSet<_> = tree::differences(&objects, one, now)?.into_iter().collect();
        let from_other = tree::differences(&objects, other, now)?;
        let neither = from_other.iter().filter(|path| from_one.contains(*path));
        Ok(neither.map(|path| String::from_utf8_lossy(path).into_owned()).collect())
    }

    /// Reads, and so proves, all that git will read of two trees; at how many paths they differ.
    fn proven(&self, base: &SnapshotId, side: &SnapshotId) -> Result<usize, Error> {
        let objects = self.objects()?;
        let different = tree::differences(&objects, base, side)?;
        for snapshot in [base, side] {
            let paths = tree::flatten(&objects, snapshot)?;
            for path in &different {
                let Some(leaf) = paths.get(path) else { continue };
                objects.proves(leaf.id).map_err(|broken| {
                    let path = String::from_utf8_lossy(path);
                    tree::damaged(snapshot, format!("its `{path}`: {}", broken.0))
                })?;
            }
        }
        Ok(different.len())
    }

    /// The files of a tree in whose place the workspace has one that its snapshot `found` does not show.
    fn hidden(&self, tree: &SnapshotId, found: &SnapshotId) -> Result<Vec<String>, Error> {
        let objects = self.objects()?;
        let shown = tree::flatten(&objects, found)?;
        let mut paths = tree::differences(&objects, found, tree)?;
        let wanted = tree::flatten(&objects, tree)?;
        paths.retain(|path| {
            let Some(leaf) = wanted.get(path) else { return false };
            let place = self.root.join(OsStr::from_bytes(path));
            let file = || fs::symlink_metadata(place).is_ok_and(|it| !it.is_dir());
            !shown.contains_key(path) && file() && !self.is_as_wanted(path, leaf)
        });
        Ok(paths.iter().map(|path| String::from_utf8_lossy(path).into_owned()).collect())
    }

    fn merge_one(
        &self,
        base: &SnapshotId,
        ours: &SnapshotId,
        side: &SnapshotId,
    ) -> Result<(SnapshotId, Vec<String>), Error> {
        let ids = [tree::id_of(base)?, tree::id_of(ours)?, tree::id_of(side)?];
        let merge = || {
            let [base, ours, side] = ids.map(|id| self.repository.find_tree(id));
            let mut options = MergeOptions::new();
            // File by file: what was moved is a file gone and a file made.
            options.find_renames(false);
            let mut index = self.repository.merge_trees(&base?, &ours?, &side?, Some(&options))?;
            if !index.has_conflicts() {
                return Ok((Some(index.write_tree_to(&self.repository)?), BTreeSet::new()));
            }
            let mut paths = BTreeSet::new();
            for conflict in index.conflicts()? {
                let IndexConflict { ancestor, our, their } = conflict?;
                let entry = ancestor.or(our).or(their);
                paths.extend(entry.map(|it| String::from_utf8_lossy(&it.path).into_owned()));
            }
            Ok((None, paths))
        };
        let (tree, conflicts) = merge().map_err(Error::git("merge what branches changed"))?;
        let Some(tree) = tree.map(|id| SnapshotId(id.to_string())) else {
            return Ok((ours.clone(), conflicts.into_iter().collect()));
        };
        let lost = self.lost(base, [ours, side], &tree)?;
        let tree = if lost.is_empty() { tree } else { ours.clone() };
        Ok((tree, lost))
    }

    /// The paths that one side alone changed and that are not in the merge as it has them: where one has
    /// a file and the other a folder, git may let one of them fall.
    fn lost(
        &self,
        base: &SnapshotId,
        sides: [&SnapshotId; 2],
        merged: &SnapshotId,
    ) -> Result<Vec<String>, Error> {
        let objects = self.objects()?;
        let result = tree::flatten(&objects, merged)?;
        let mut changed = Vec::with_capacity(sides.len());
        for side in sides {
            let paths: BTreeSet<_> = tree::differences(&objects, base, side)?.into_iter().collect();
            changed.push((paths, tree::flatten(&objects, side)?));
        }
        let mut lost = BTreeSet::new();
        for (own, other) in [(0, 1), (1, 0)] {
            let (paths, files) = &changed[own];
            let alone = paths.difference(&changed[other].0);
            lost.extend(alone.filter(|path| result.get(*path) != files.get(*path)));
        }
        Ok(lost.iter().map(|path| String::from_utf8_lossy(path).into_owned()).collect())
    }
}
