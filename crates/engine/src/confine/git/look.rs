//! Git looked at once a program has ended: a repository that it made, or what it left half done in another,
//! may have git run nothing when a person uses it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::known::{Found, Known};
use super::named::Named;
use super::{PLACES, has_entries, made, odd, paths, states};
use crate::confine::deep;
use crate::confine::paths::shown;
use crate::confine::scan::{self, Kind};

/// How something is put aside, into which folder: a sentence says that it was, and why.
type Aside = fn(&Path, &Path, &str) -> Option<String>;

/// No more folders than these are named that could not be looked at.
const NAMED: usize = 5;

/// Who is told each sentence, as soon as it is true.
type Tell<'a> = &'a mut dyn FnMut(String);

/// Looks, puts aside what has git run programs, and tells so. What a person most likely uses comes first: a program may
/// have made so much that nobody waits for the rest.
pub(in crate::confine) fn look(workspace: &Path, known: &Known, aside: Aside, tell: Tell<'_>) {
    let mut look = Look { workspace, known, aside, tell, unread: 0 };
    for folder in known.folders.keys() {
        look.stands(folder);
    }
    let mut found: BTreeMap<PathBuf, Kind> = BTreeMap::new();
    let mut areas: Vec<PathBuf> = known.beside.iter().map(PathBuf::from).collect();
    if !known.only_beside {
        areas.push(workspace.to_owned());
    }
    let objects: Vec<PathBuf> =
        areas.iter().flat_map(|area| among_objects(&area.join(".git/objects"))).collect();
    areas.extend(objects);
    for area in &areas {
        let without = if *area == workspace { scan::not_entered() } else { scan::of_git_alone() };
        let (names, unread) = scan::as_far_as_read(area, &without);
        let none = [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory];
        let there = |error: &io::Error| !none.contains(&error.kind());
        let closed = |path: &Path| known.closed.contains(path.as_os_str());
        let unread = unread.into_iter().filter(|(path, _)| !closed(path));
        look.unread(unread.filter(|(path, e)| path != area || there(e)));
        let Found { folders, links } = Found::in_names(area, &names);
        found.extend(folders.into_iter().map(|path| (path, Kind::Folder)));
        found.extend(links.into_iter().map(|path| (path, Kind::Link)));
    }
    let (folders, links): (BTreeSet<_>, BTreeSet<_>) = {
        let of_kind = |folder: bool| {
            let all = found.iter().filter(move |(_, kind)| (**kind == Kind::Folder) == folder);
            all.map(|(path, _)| path.as_path())
        };
        let before = known.folders.keys().map(PathBuf::as_path);
        (of_kind(true).chain(before).collect(), of_kind(false).collect())
    };
    let (stood, new) = by_outermost(&folders, |path| known.folders.contains_key(path));
    let mut looked = odd::Looked::default();
    look.odd(&stood, &mut looked);
    // Inner ones first: what is put aside takes what is in it along.
    for (path, kind) in found.iter().rev() {
        match kind {
            Kind::Folder => look.folder(path),
            Kind::Link | Kind::Socket | Kind::Other => look.link(path),
        }
    }
    look.odd(&new, &mut looked);
    // A link may lead to a folder that is not looked at by itself.
    look.odd(&links, &mut looked);
}

/// Folders in two heaps, each with all that are in it: those of which the outermost is such a one, and the rest.
fn by_outermost<'a>(
    folders: &BTreeSet<&'a Path>,
    is_such: impl Fn(&Path) -> bool,
) -> (BTreeSet<&'a Path>, BTreeSet<&'a Path>) {
    let mut outermost: Option<(&Path, bool)> = None;
    folders.iter().partition(|folder| {
        let of = outermost.filter(|(outer, _)| folder.starts_with(outer));
        let (_, such) = *outermost.insert(of.unwrap_or_else(|| (folder, is_such(folder))));
        such
    })
}

/// What is to be looked through among git's objects. They are many, and their folders have no others in them:
/// such a folder has two links (where the file system does not count them, one). It is none of git's own without
/// a `HEAD`.
fn among_objects(objects: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(objects) else { return vec![objects.to_owned()] };
    let entries: Vec<fs::DirEntry> = entries.flatten().collect();
    if entries.iter().any(|entry| matches!(entry.file_name().as_bytes(), b"HEAD" | b".git")) {
        return vec![objects.to_owned()];
    }
    let folders = entries.into_iter().filter(|entry| {
        entry.metadata().is_ok_and(|there| there.is_dir() && there.nlink() != 2)
            || entry.path().join("HEAD").symlink_metadata().is_ok()
    });
    folders.map(|entry| entry.path()).collect()
}

struct Look<'a> {
    workspace: &'a Path,
    known: &'a Known,
    aside: Aside,
    tell: Tell<'a>,
    unread: usize,
}

impl Look<'_> {
    fn unread(&mut self, all: impl Iterator<Item = (PathBuf, io::Error)>) {
        for (path, error) in all {
            self.unread += 1;
            if self.unread <= NAMED {
                let shown = shown(&path);
                (self.tell)(format!(
                    "`{shown}` could not be looked at after a program that may have written there \
                     ({error}): use git in there only when you know that no repository in it has git \
                     run programs"
                ));
            } else if self.unread == NAMED + 1 {
                (self.tell)("there are more folders that could not be looked at".to_owned());
            }
        }
    }

    fn folder(&mut self, folder: &Path) {
        let before = self.known.folders.get(folder);
        let strange = match before {
            None => made::strange(folder, self.workspace).or_else(|| {
                let tree = if folder.ends_with(".git") { folder.parent() } else { Some(folder) };
                tree.and_then(|tree| self.hooks_of(tree, None))
            }),
            Some(_) => None,
        };
        if let Some(why) = strange.or_else(|| self.of_common(folder)) {
            return self.refuse(folder, &why);
        }
        if before.is_none() {
            self.places(folder);
            self.states(folder);
        }
    }

    /// What has come to be in a known folder, or stands in it.
    fn stands(&mut self, folder: &Path) {
        self.settings(folder);
        self.places(folder);
        self.states(folder);
    }

    /// Files of settings that come to be in a known folder, also one that git reads only when others say so: git itself
    /// has those say so, later.
    fn settings(&mut self, folder: &Path) {
        let settled = self.known.folders.get(folder) != Some(&false);
        let of_tree = folder.join("config.worktree");
        let new = [
            (!settled).then(|| folder.join("config")),
            (!self.known.stood.contains(of_tree.as_os_str())).then_some(of_tree),
        ];
        for file in new.into_iter().flatten() {
            if let Some(why) = made::strange_settings(&file, folder, self.workspace) {
                self.put_aside(&file, &format!("may have git run programs ({why})"));
            }
        }
    }

    /// Where git fetches from, as it was said before settings said it.
    fn places(&mut self, folder: &Path) {
        for places in PLACES.map(|name| folder.join(name)) {
            if !self.known.stood.contains(places.as_os_str()) && has_entries(&places) {
                self.put_aside(&places, "says where git fetches from");
            }
        }
    }

    /// What is wrong with what a folder shares with others. It may have been there before and lead to
    /// something new.
    fn of_common(&self, folder: &Path) -> Option<String> {
        match made::common_of(folder) {
            Ok(None) => None,
            Ok(Some(common)) if common == folder || self.known.folders.contains_key(&common) => {
                None
            }
            Ok(Some(common)) => made::strange(&common, self.workspace)
                .map(|why| format!("it leads to `{}`: {why}", common.display())),
            Err(why) => Some(why),
        }
    }

    /// A `.git` that leads to a folder of git's own.
    fn link(&mut self, path: &Path) {
        let is_new = !self.known.links.contains(path.as_os_str());
        let why = match made::leads_to(path) {
            Err(why) => Some(why),
            Ok(None) => None,
            Ok(Some(to)) if is_new && !self.is_about(&to) => {
                Some(format!("it leads to `{}`, which is none of this workspace", to.display()))
            }
            Ok(Some(to)) => {
                let tree = path.parent().filter(|_| is_new);
                let known = self.known.folders.contains_key(&to);
                let strange = if known { None } else { made::strange(&to, self.workspace) };
                strange
                    .or_else(|| self.of_common(&to))
                    .or_else(|| tree.and_then(|tree| self.hooks_of(tree, Some(&to))))
                    .map(|why| format!("it leads to `{}`: {why}", to.display()))
            }
        };
        if let Some(why) = why {
            self.put_aside(
                path,
                &format!("is a repository that may have git run programs ({why})"),
            );
        }
    }

    /// Whether a folder is of the workspace, or was known as one of git's around it.
    fn is_about(&self, folder: &Path) -> bool {
        let beside = self.known.beside.iter().map(Path::new);
        let mut all = beside.chain(self.known.folders.keys().map(PathBuf::as_path));
        folder.starts_with(self.workspace) || all.any(|known| folder.starts_with(known))
    }

    /// Hooks and programs in a new work tree that settings of the person's make git run there.
    fn hooks_of(&self, tree: &Path, of: Option<&Path>) -> Option<String> {
        let [hooks, scripts] = [&self.known.hooks, &self.known.scripts]
            .map(|words| words.iter().map(PathBuf::from).collect());
        let mut named = Named { hooks, scripts, ..Named::default() };
        if let Some(folder) = of {
            let common = made::common_of(folder).ok().flatten();
            let home = self.known.home.as_deref().map(Path::new);
            let settings = [
                common.unwrap_or_else(|| folder.to_owned()).join("config"),
                folder.join("config.worktree"),
            ];
            // What cannot be read has git end with an error.
            for file in settings {
                drop(named.add(&file, home));
            }
        }
        let there = || made::shared_scripts(tree, &named, &self.known.scripts_there);
        made::shared_hooks(tree, &named).or_else(there)
    }

    fn states(&mut self, folder: &Path) {
        let Ok(reached) = deep::reach(folder) else { return };
        for (path, why) in paths::strange(folder, &self.known.indexes) {
            self.put_aside(
                &path,
                &format!("has git read or write what is no file of the work tree ({why})"),
            );
        }
        for (path, programs) in states::of(folder, reached.path()) {
            if !states::stood(&programs, self.known.programs.get(&path)) {
                let why = "has git run programs, or write elsewhere, when a person goes on with it";
                self.put_aside(&path, why);
            }
        }
    }

    /// What is no file in the place of git's own, and was not there before. It is put at the top of the folder: git
    /// reads all that it finds in some of those that are in it.
    fn odd(&mut self, folders: &BTreeSet<&Path>, looked: &mut odd::Looked) {
        looked.of(folders, &mut |folder, path, to| {
            if self.known.odd.get(&path) == Some(&to) {
                return;
            }
            let why = match to {
                Some(to) => {
                    format!("has git read and write where it leads, `{}`", to.display())
                }
                None => "has git wait, for it is no file".to_owned(),
            };
            self.put_aside_into(folder, &path, &why);
        });
    }

    /// Puts a folder of git's own aside so that it is none any more, by whatever name: it has no `HEAD` then.
    fn refuse(&mut self, folder: &Path, why: &str) {
        let is_of_modules = || {
            let mut names = folder.components().map(std::path::Component::as_os_str);
            names.any(|name| name == ".git") && names.next().is_some_and(|it| it == "modules")
        };
        let shown = folder.display();
        let head = format!("makes `{shown}` a repository that may have git run programs ({why})");
        let head = (self.aside)(&folder.join("HEAD"), folder, &head);
        // A new repository that is made in its place would take its settings over.
        let whole = if folder.ends_with(".git") || is_of_modules() {
            let why = format!("is a repository that may have git run programs ({why})");
            (self.aside)(folder, folder.parent().unwrap_or(folder), &why)
        } else {
            None
        };
        if let Some(told) = whole.or(head) {
            (self.tell)(told);
        }
    }

    fn put_aside(&mut self, path: &Path, why: &str) {
        self.put_aside_into(path.parent().unwrap_or(path), path, why);
    }

    fn put_aside_into(&mut self, folder: &Path, path: &Path, why: &str) {
        if let Some(told) = (self.aside)(path, folder, why) {
            (self.tell)(told);
        }
    }
}

#[cfg(test)]
mod tests;
