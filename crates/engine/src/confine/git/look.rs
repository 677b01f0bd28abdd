//! Git looked at once a program has ended: a repository that it made, or what it left half done in another,
//! may have git run nothing when a person uses it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::made;
use super::named::Named;
use super::states::{self, Programs};
use crate::confine::deep;
use crate::confine::scan::{self, Kind, Names};

/// What there was of git before a program started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::confine) struct Known {
    /// Folders of git's own, whose settings and hooks are kept; and whether they had settings.
    #[serde(with = "by_path")]
    pub(super) folders: BTreeMap<PathBuf, bool>,
    /// Every `.git` that is no folder.
    #[serde(with = "by_path")]
    pub(super) links: BTreeMap<PathBuf, ()>,
    /// What stands half done in them.
    #[serde(with = "by_path")]
    pub(super) programs: Programs,
    /// What is looked through beside the workspace.
    #[serde(with = "by_path")]
    pub(super) beside: BTreeMap<PathBuf, ()>,
    /// Folders of hooks that the person's own settings name in each work tree.
    #[serde(with = "by_path")]
    pub(super) hooks: BTreeMap<PathBuf, ()>,
    pub(super) home: Option<OsString>,
    /// Nothing of the workspace is written.
    pub(super) only_beside: bool,
}

impl Known {
    /// Without what lies elsewhere.
    pub(in crate::confine) fn in_folder(mut self, folder: &Path) -> Self {
        self.folders.retain(|path, _| path.starts_with(folder));
        self.beside.retain(|path, ()| path.starts_with(folder));
        self
    }
}

/// Paths are any bytes, which keys of JSON are not.
mod by_path {
    use std::collections::BTreeMap;
    use std::ffi::{OsStr, OsString};
    use std::path::PathBuf;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<V: Serialize, S: Serializer>(
        map: &BTreeMap<PathBuf, V>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        let pairs = map.iter().map(|(path, value)| (path.as_os_str(), value));
        pairs.collect::<Vec<(&OsStr, &V)>>().serialize(to)
    }

    pub(super) fn deserialize<'de, V: Deserialize<'de>, D: Deserializer<'de>>(
        from: D,
    ) -> Result<BTreeMap<PathBuf, V>, D::Error> {
        let pairs = Vec::<(OsString, V)>::deserialize(from)?;
        Ok(pairs.into_iter().map(|(path, value)| (path.into(), value)).collect())
    }
}

/// How something is put aside: a sentence says that it was, and why.
type Aside = fn(&Path, &str) -> Option<String>;

/// No more folders than these are named that could not be looked at.
const NAMED: usize = 5;

/// Looks, puts aside what has git run programs, and says so.
pub(in crate::confine) fn look(workspace: &Path, known: &Known, aside: Aside) -> Vec<String> {
    let mut look = Look { workspace, known, aside, told: Vec::new(), unread: 0 };
    let mut found: BTreeMap<PathBuf, Kind> = BTreeMap::new();
    let objects = workspace.join(".git/objects");
    let inside = [workspace, objects.as_path()].into_iter().filter(|_| !known.only_beside);
    for area in inside.chain(known.beside.keys().map(PathBuf::as_path)) {
        let without = if area == workspace { scan::not_entered() } else { Vec::new() };
        let (names, unread) = scan::as_far_as_read(area, &without);
        let none = [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory];
        let there = |error: &io::Error| !none.contains(&error.kind());
        look.unread(unread.into_iter().filter(|(path, e)| path != area || there(e)));
        let Found { folders, links } = Found::in_names(area, &names);
        found.extend(folders.into_iter().map(|path| (path, Kind::Folder)));
        found.extend(links.into_iter().map(|path| (path, Kind::Link)));
    }
    // Inner ones first: what is put aside takes what is in it along.
    for (path, kind) in found.iter().rev() {
        match kind {
            Kind::Folder => look.folder(path),
            Kind::Link | Kind::Socket | Kind::Other => look.link(path),
        }
    }
    for folder in known.folders.keys().filter(|folder| !found.contains_key(*folder)) {
        look.states(folder);
    }
    look.told
}

/// What there is of git among the names in a folder.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Folders that git takes for its own, whatever they are called: nobody needs a `.git` to use one.
    pub(super) folders: BTreeSet<PathBuf>,
    /// Every `.git` that is no folder.
    pub(super) links: BTreeSet<PathBuf>,
}

impl Found {
    /// # Source
    /// `is_git_directory` of git 2.47.
    pub(super) fn in_names(base: &Path, names: &Names) -> Self {
        let mut found = Self::default();
        for (folder, entries) in names.all() {
            let (mut head, mut objects, mut refs, mut common) = (false, false, false, false);
            for entry in entries {
                match entry.name.as_encoded_bytes() {
                    b"HEAD" => head = entry.kind != Kind::Folder,
                    b"objects" => objects = true,
                    b"refs" => refs = true,
                    b"commondir" => common = entry.kind != Kind::Folder,
                    b".git" if entry.kind != Kind::Folder => {
                        found.links.insert(base.join(folder).join(".git"));
                    }
                    _ => {}
                }
            }
            if head && ((objects && refs) || common) {
                // Joined with nothing, a path would end in a slash.
                let path =
                    if folder.as_os_str().is_empty() { base.into() } else { base.join(folder) };
                found.folders.insert(path);
            }
        }
        found
    }
}

struct Look<'a> {
    workspace: &'a Path,
    known: &'a Known,
    aside: Aside,
    told: Vec<String>,
    unread: usize,
}

impl Look<'_> {
    fn unread(&mut self, all: impl Iterator<Item = (PathBuf, io::Error)>) {
        for (path, error) in all {
            self.unread += 1;
            if self.unread <= NAMED {
                let mut shown = path.display().to_string();
                if shown.len() > 200 {
                    shown = shown.chars().take(200).chain("…".chars()).collect();
                }
                self.told.push(format!(
                    "`{shown}` could not be looked at after a program that may have written there \
                     ({error}): use git in there only when you know that no repository in it has git \
                     run programs"
                ));
            } else if self.unread == NAMED + 1 {
                self.told.push("there are more folders that could not be looked at".to_owned());
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
        if before == Some(&false) {
            let config = folder.join("config");
            if let Some(why) = made::strange_settings(&config, folder, self.workspace) {
                self.put_aside(&config, &format!("may have git run programs ({why})"));
            }
        }
        self.states(folder);
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
        let is_new = !self.known.links.contains_key(path);
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
        let beside = self.known.beside.keys();
        let mut all = beside.chain(self.known.folders.keys()).map(PathBuf::as_path);
        folder.starts_with(self.workspace) || all.any(|known| folder.starts_with(known))
    }

    /// Hooks in a new work tree that settings of the person's make git run there.
    fn hooks_of(&self, tree: &Path, of: Option<&Path>) -> Option<String> {
        let hooks = self.known.hooks.keys().cloned().collect();
        let mut named = Named { hooks, ..Named::default() };
        if let Some(folder) = of {
            let common = made::common_of(folder).ok().flatten();
            let home = self.known.home.as_deref().map(Path::new);
            let settings = [
                common.unwrap_or_else(|| folder.to_owned()).join("config"),
                folder.join("config.worktree"),
            ];
            // What cannot be read has git end with an error.
            settings.iter().for_each(|file| drop(named.add(file, home)));
        }
        made::shared_hooks(tree, &named)
    }

    fn states(&mut self, folder: &Path) {
        let Ok(reached) = deep::reach(folder) else { return };
        for (path, programs) in states::of(folder, reached.path()) {
            if !states::stood(&programs, self.known.programs.get(&path)) {
                let why = "has git run programs when a person goes on with what was begun there";
                self.put_aside(&path, why);
            }
        }
    }

    /// Puts a folder of git's own aside so that it is none any more, by whatever name: it has no `HEAD` then.
    fn refuse(&mut self, folder: &Path, why: &str) {
        let is_of_modules = || {
            let mut names = folder.components().map(std::path::Component::as_os_str);
            names.any(|name| name == ".git") && names.next().is_some_and(|it| it == "modules")
        };
        let shown = folder.display();
        let head = format!("makes `{shown}` a repository that may have git run programs ({why})");
        let head = self.aside(&folder.join("HEAD"), &head);
        // A new repository that is made in its place would take its settings over.
        let whole = if folder.ends_with(".git") || is_of_modules() {
            self.aside(folder, &format!("is a repository that may have git run programs ({why})"))
        } else {
            None
        };
        self.told.extend(whole.or(head));
    }

    fn put_aside(&mut self, path: &Path, why: &str) {
        let told = self.aside(path, why);
        self.told.extend(told);
    }

    fn aside(&self, path: &Path, why: &str) -> Option<String> {
        match deep::reach(path) {
            Ok(reached) if reached.path() == path => (self.aside)(path, why),
            Ok(reached) => {
                let by = reached.path().parent().unwrap_or(Path::new("/")).display().to_string();
                let shown = path.parent().unwrap_or(Path::new("/")).display().to_string();
                (self.aside)(reached.path(), why).map(|told| told.replace(&by, &shown))
            }
            Err(error) => Some(format!("`{}` {why}, and cannot be moved: {error}", path.display())),
        }
    }
}
