//! What is kept because git's settings name it, and what is noted of git before a program starts.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::known::Found;
use super::named::{self, Named, Trees, Unread};
use super::{Kept, OWN, PLACES, has_entries, odd, paths, states};
use crate::confine::paths::{as_far_as_there, lexical};
use crate::confine::placeholders::is_there;
use crate::confine::{Placeholder, Refusal, Site, scan, within};
use crate::repository;

impl Kept {
    /// Whether a folder of git's own was found before.
    pub(super) fn knows(&self, folder: &Path) -> bool {
        let common = folder.join("commondir");
        self.there.contains(&common)
            || self.missing.contains(&Placeholder { path: common, contents: Some(OWN) })
    }

    /// Notes what there is, and which work trees settings hold in.
    pub(super) fn note(&mut self, site: &Site, found: Found, roots: &[PathBuf]) -> Trees {
        let mut trees = Trees::new();
        let mut folders = found.folders;
        for link in &found.links {
            let Some(folder) = repository::leads_to(link) else { continue };
            let common = repository::shared(&folder).unwrap_or_else(|| folder.clone());
            let outside = !common.starts_with(&site.workspace);
            if outside && (within(&common, roots) || self.outside.contains(&common)) {
                let areas = ["modules", "worktrees"].map(|name| common.join(name).into_os_string());
                self.known.beside.extend(areas);
            }
            for folder in [&folder, &common] {
                let tree = link.parent().map(Path::to_owned);
                trees.entry(folder.clone()).or_default().extend(tree);
            }
            // In the workspace those are known by what is in them; what is none yet may come to be one.
            let others = [folder, common].into_iter().filter(|it| !it.starts_with(&site.workspace));
            folders.extend(others.filter(|it| is_of_git(it)));
        }
        // What commits are written to outside, whatever leads there.
        for folder in &self.outside {
            let areas = ["modules", "worktrees"].map(|name| folder.join(name).into_os_string());
            self.known.beside.extend(areas);
            folders.extend(is_of_git(folder).then(|| folder.clone()));
        }
        for area in self.known.beside.iter().map(Path::new) {
            let (names, _) = scan::as_far_as_read(area, &[]);
            folders.extend(Found::in_names(area, &names).folders);
        }
        for folder in &folders {
            let tree = folder.parent().filter(|_| folder.ends_with(".git")).unwrap_or(folder);
            trees.entry(folder.clone()).or_default().insert(tree.to_owned());
            self.known.programs.extend(states::of(folder, folder));
            self.known.indexes.extend(paths::settled(folder));
            let places = PLACES.map(|name| folder.join(name)).into_iter();
            let own = Some(folder.join("config.worktree")).filter(|path| is_there(path));
            let stood = places.filter(|path| has_entries(path)).chain(own);
            self.known.stood.extend(stood.map(PathBuf::into_os_string));
        }
        let all = folders.iter().map(PathBuf::as_path).collect();
        odd::Looked::default().of(&all, &mut |_, path, to| {
            self.known.odd.insert(path, to);
        });
        self.known.folders = folders.into_iter().map(|it| (it.clone(), is_settled(&it))).collect();
        self.known.links = found.links.into_iter().map(PathBuf::into_os_string).collect();
        self.known.beside.extend(site.places.iter().map(|place| place.clone().into_os_string()));
        self.known.only_beside = roots.is_empty();
        self.known.home = site.home.as_ref().map(|home| home.clone().into_os_string());
        trees
    }

    /// Keeps what settings name.
    pub(super) fn keep_named(
        &mut self,
        site: &Site,
        trees: &Trees,
        roots: &[PathBuf],
    ) -> Result<(), Refusal> {
        let home = site.home.as_deref();
        let mut of_person = Named::default();
        for file in named::of_person(home) {
            of_person.add(&file, home).map_err(|unread| refusal(&unread))?;
            // A home may be the workspace, or in it.
            self.keep_path(&file, roots);
        }
        let all: BTreeSet<PathBuf> = trees.values().flatten().cloned().collect();
        self.keep_all_of(&of_person, &all, roots);
        let relative = of_person.hooks.into_iter().filter(|path| path.is_relative());
        self.known.hooks = relative.map(PathBuf::into_os_string).collect();
        self.known.scripts = of_person.scripts.into_iter().map(PathBuf::into_os_string).collect();
        let around = around(&site.workspace).into_iter().flat_map(|(tree, folder)| {
            ["config", "config.worktree"].map(|name| (folder.join(name), tree.clone()))
        });
        let is_settings =
            |path: &Path| path.ends_with("config") || path.ends_with("config.worktree");
        let inside = self.there.iter().filter(|path| is_settings(path));
        let files: Vec<(PathBuf, Option<PathBuf>)> = inside
            .map(|path| (path.clone(), None))
            .chain(around.map(|(path, tree)| (path, Some(tree))))
            .collect();
        for (file, tree) in files {
            let folder = file.parent().unwrap_or(Path::new("/"));
            let mut named = Named::default();
            match named.add(&file, home) {
                // Git itself ends with an error there. Somebody's test may need it.
                Err(unread) if unread.ends_git && folder != site.workspace.join(".git") => {}
                read => read.map_err(|unread| refusal(&unread))?,
            }
            let mut tops = trees.get(folder).cloned().unwrap_or_default();
            tops.extend(named.tree.clone().map(|top| lexical(&top)));
            tops.extend(tree);
            self.keep_all_of(&named, &tops, roots);
        }
        Ok(())
    }

    fn keep_all_of(&mut self, named: &Named, tops: &BTreeSet<PathBuf>, roots: &[PathBuf]) {
        for path in &named.included {
            self.keep_path(path, roots);
        }
        for top in tops {
            for path in &named.others {
                self.keep_path(&top.join(path), roots);
            }
            for path in named.commands.iter().map(|word| top.join(word)).filter(|it| it.is_file()) {
                self.keep_path(&path, roots);
            }
            for path in named.scripts.iter().map(|word| top.join(word)) {
                // What is not there yet is run from then on.
                if !path.is_dir() {
                    self.keep_path(&path, roots);
                }
                if path.is_file() {
                    self.known.scripts_there.insert(path.into_os_string());
                }
            }
            for path in &named.hooks {
                let hooks = lexical(&top.join(path));
                // husky has git start its own in `.husky/_`, which run those of the folder around it.
                let around = hooks.parent().filter(|around| hooks.ends_with("_") && around != top);
                self.keep_path(around.unwrap_or(&hooks), roots);
                self.keep_path(&hooks, roots);
            }
        }
    }

    /// Keeps it by the name that is written, and by the one that this leads to.
    fn keep_path(&mut self, path: &Path, roots: &[PathBuf]) {
        let written = lexical(path);
        let led = path.canonicalize().unwrap_or_else(|_| as_far_as_there(&written));
        for path in [written, led] {
            if !within(&path, roots) {
                continue;
            }
            if is_there(&path) {
                self.there.insert(path);
            } else {
                self.named.insert(path);
            }
        }
    }
}

/// Whether a folder of git's own has settings; that of a work tree needs none.
pub(super) fn is_settled(folder: &Path) -> bool {
    let has = |name: &str| is_there(&folder.join(name));
    has("config") || (has("commondir") && !has("objects"))
}

/// Whether git takes a folder for one of its own.
fn is_of_git(folder: &Path) -> bool {
    let has = |name: &str| is_there(&folder.join(name));
    has("HEAD") && ((has("objects") && has("refs")) || has("commondir"))
}

/// The repository that the workspace is a folder of: its work tree, and the folders of its settings.
fn around(workspace: &Path) -> Vec<(PathBuf, PathBuf)> {
    let top = workspace.ancestors().skip(1).find(|top| is_there(&top.join(".git")));
    let Some(top) = top else { return Vec::new() };
    let git = top.join(".git");
    let folder = if git.is_dir() { Some(git) } else { repository::leads_to(&git) };
    let common = folder.as_deref().and_then(repository::shared);
    folder.into_iter().chain(common).map(|folder| (top.to_owned(), folder)).collect()
}

fn refusal(unread: &Unread) -> Refusal {
    Refusal {
        control: "allow_write",
        what: format!(
            "what git's settings name may not be written, and `{}` does not tell that: {}",
            unread.path.display(),
            unread.why
        ),
        permit: "mend that file (`git config --list` says whether git can read it)".to_owned(),
    }
}
