//! Git in a workspace: what makes the host run code (hooks, configuration) is not written by agents, and
//! what history still tells is no secret.

mod history;
mod look;
mod made;
mod named;
mod plain;
mod settings;
mod states;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

pub(super) use self::history::{Where, still_tells};
pub(super) use self::look::{Known, look};
use self::named::{Named, Trees, Unread};
use self::settings::Links;
use super::paths::{as_far_as_there, lexical};
use super::placeholders::{is_as_made, is_there};
use super::scan::{Kind, Names};
use super::{Gap, Placeholder, Refusal, Site, within};

/// Git's own folders, and what of them is kept.
#[derive(Debug, Clone, Default)]
pub(super) struct Kept {
    /// Folders outside the workspace that commits are written to: a work tree's, a submodule's.
    pub(super) outside: Vec<PathBuf>,
    /// Files and folders that are there.
    pub(super) there: BTreeSet<PathBuf>,
    /// What is not there, and must not come to be.
    pub(super) missing: BTreeSet<Placeholder>,
    /// What is not there, and what their settings name.
    pub(super) named: BTreeSet<PathBuf>,
    /// The repositories, by their `.git`.
    repositories: BTreeSet<PathBuf>,
    /// What to compare with once a program has ended.
    pub(super) known: Known,
    pub(super) gaps: Vec<Gap>,
}

/// Of a folder of git's own, what says what the host runs.
const STEERING: [&str; 4] = ["config", "config.worktree", "hooks", "info/attributes"];

/// Finds every folder of git's own that a program in the workspace could write.
pub(super) fn kept(site: &Site, names: &Names, roots: &[PathBuf]) -> Result<Kept, Refusal> {
    let mut kept = of_all(&site.workspace, names, roots);
    let found = look::Found::in_names(&site.workspace, names);
    for folder in &found.folders {
        if kept.knows(folder) {
            continue;
        }
        if folder.join("objects").exists() || !folder.join("commondir").exists() {
            keep(folder, &mut kept);
        } else {
            keep_of_work_tree(folder, &mut kept, false);
        }
    }
    if !roots.is_empty() || !site.places.is_empty() {
        let trees = kept.note(site, found, roots);
        kept.keep_named(site, &trees, roots)?;
    }
    Ok(kept)
}

impl Kept {
    /// Whether a folder of git's own was found before.
    fn knows(&self, folder: &Path) -> bool {
        let common = folder.join("commondir");
        self.there.contains(&common)
            || self.missing.contains(&Placeholder { path: common, contents: Some(OWN) })
    }

    /// Notes what there is, and which work trees settings hold in.
    fn note(&mut self, site: &Site, found: look::Found, roots: &[PathBuf]) -> Trees {
        let mut trees = Trees::new();
        let mut folders = found.folders;
        for link in &found.links {
            let Some(folder) = leads_to(link) else { continue };
            let common = common_of(&folder).unwrap_or_else(|| folder.clone());
            let outside = !common.starts_with(&site.workspace);
            if outside && (within(&common, roots) || self.outside.contains(&common)) {
                let areas = ["modules", "worktrees"].map(|name| (common.join(name), ()));
                self.known.beside.extend(areas);
            }
            for folder in [&folder, &common] {
                let tree = link.parent().map(Path::to_owned);
                trees.entry(folder.clone()).or_default().extend(tree);
            }
            folders.extend([folder, common]);
        }
        for area in self.known.beside.keys() {
            let (names, _) = super::scan::as_far_as_read(area, &[]);
            folders.extend(look::Found::in_names(area, &names).folders);
        }
        for folder in &folders {
            let tree = folder.parent().filter(|_| folder.ends_with(".git")).unwrap_or(folder);
            trees.entry(folder.clone()).or_default().insert(tree.to_owned());
            self.known.programs.extend(states::of(folder, folder));
        }
        let settled = |folder: &PathBuf| {
            is_there(&folder.join("config")) || !is_there(&folder.join("objects"))
        };
        self.known.folders = folders.into_iter().map(|it| (it.clone(), settled(&it))).collect();
        self.known.links = found.links.into_iter().map(|link| (link, ())).collect();
        self.known.beside.extend(site.places.iter().map(|place| (place.clone(), ())));
        self.known.only_beside = roots.is_empty();
        self.known.home = site.home.as_ref().map(|home| home.clone().into_os_string());
        trees
    }

    /// Keeps what settings name.
    fn keep_named(&mut self, site: &Site, trees: &Trees, roots: &[PathBuf]) -> Result<(), Refusal> {
        let home = site.home.as_deref();
        let mut of_person = Named::default();
        for file in named::of_person(home) {
            // Git goes on without it as well.
            if !fs::File::open(&file)
                .is_err_and(|e| e.kind() == std::io::ErrorKind::PermissionDenied)
            {
                of_person.add(&file, home).map_err(|unread| refusal(&unread))?;
            }
        }
        let all: BTreeSet<PathBuf> = trees.values().flatten().cloned().collect();
        self.keep_all_of(&of_person, &all, roots);
        let relative = of_person.hooks.into_iter().filter(|path| path.is_relative());
        self.known.hooks = relative.map(|path| (path, ())).collect();
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

/// The repository that the workspace is a folder of: its work tree, and the folders of its settings.
fn around(workspace: &Path) -> Vec<(PathBuf, PathBuf)> {
    let top = workspace.ancestors().skip(1).find(|top| is_there(&top.join(".git")));
    let Some(top) = top else { return Vec::new() };
    let git = top.join(".git");
    let folder = if git.is_dir() { Some(git) } else { leads_to(&git) };
    let common = folder.as_deref().and_then(common_of);
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

fn of_all(workspace: &Path, names: &Names, roots: &[PathBuf]) -> Kept {
    let mut kept = Kept::default();
    for (path, kind) in names.named(".git") {
        let path = workspace.join(path);
        kept.repositories.insert(path.clone());
        match kind {
            Kind::Folder => keep(&path, &mut kept),
            // A link or a file leads elsewhere: it must not be bent.
            Kind::Link | Kind::Other => {
                kept.there.insert(path.clone());
                if let Some(folder) = leads_to(&path).filter(|it| !it.starts_with(workspace)) {
                    if within(&folder, roots) {
                        keep(&folder, &mut kept);
                        // What all work trees of that repository share steers this one too.
                        if let Some(common) = common_of(&folder) {
                            keep(&common, &mut kept);
                        }
                    } else {
                        outside(&path, &folder, &mut kept);
                    }
                }
            }
        }
    }
    kept
}

/// Where a `.git` file leads.
fn leads_to(file: &Path) -> Option<PathBuf> {
    let text = fs::read_to_string(file).ok()?;
    let to = text.strip_prefix("gitdir:")?.trim();
    lexical(&file.parent()?.join(to)).canonicalize().ok()
}

/// The folder that a work tree's own folder shares with the others of its repository.
fn common_of(folder: &Path) -> Option<PathBuf> {
    let common = fs::read_to_string(folder.join("commondir")).ok()?;
    folder.join(common.trim()).canonicalize().ok()
}

/// A folder of git's own outside the workspace is written only if it names the workspace as its own.
fn outside(file: &Path, folder: &Path, kept: &mut Kept) {
    let back = fs::read_to_string(folder.join("gitdir")).ok();
    let ours = back.is_some_and(|back| Path::new(back.trim()) == file);
    match common_of(folder).filter(|_| ours) {
        Some(common) => {
            keep(&common, kept);
            kept.outside.push(common);
        }
        None => kept.gaps.push(Gap {
            control: "allow_write",
            what: format!(
                "`{}` leads to `{}`, outside the workspace: commits need that in `allow_write`",
                file.display(),
                folder.display()
            ),
        }),
    }
}

fn keep(folder: &Path, kept: &mut Kept) {
    let empty = |path: PathBuf| Placeholder { path, contents: None };
    for name in STEERING {
        let path = folder.join(name);
        if is_there(&path) {
            kept.there.insert(path);
        } else if name == "hooks" {
            kept.missing.insert(empty(path));
        } else if name == "config.worktree" && own_settings_of_work_trees(folder) {
            kept.missing.insert(Placeholder { path, contents: Some("") });
        }
    }
    // With such a file git takes its configuration from elsewhere. This one says: from here.
    let common = folder.join("commondir");
    let ours = is_as_made(Some(OWN), &common);
    if is_there(&common) && !ours {
        kept.there.insert(common);
    } else {
        kept.missing.insert(Placeholder { path: common, contents: Some(OWN) });
    }
    let own = own_settings_of_work_trees(folder);
    for path in folders_in(&folder.join("worktrees")) {
        keep_of_work_tree(&path, kept, own);
    }
    let mut next = folders_in(&folder.join("modules"));
    while let Some(path) = next.pop() {
        // Some of it may have been taken away, to be put back when the rest is written.
        let parts = PARTS.iter().filter(|part| is_there(&path.join(part))).count();
        if parts > 0 {
            keep(&path, kept);
        }
        // A module's name may hold slashes.
        if parts < PARTS.len() {
            let inner = folders_in(&path).into_iter();
            next.extend(
                inner.filter(|it| parts == 0 || !OF_A_MODULE.iter().any(|of| it.ends_with(of))),
            );
        }
    }
}

/// What there is in a module of git's.
const PARTS: [&str; 4] = ["HEAD", "config", "objects", "refs"];

/// Folders in one.
const OF_A_MODULE: [&str; 6] = ["objects", "refs", "logs", "hooks", "info", "modules"];

fn folders_in(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    folders.map(|entry| entry.path()).collect()
}

/// Keeps what steers one work tree. `own`: it may have settings of its own.
fn keep_of_work_tree(folder: &Path, kept: &mut Kept, own: bool) {
    let steering = ["config.worktree", "commondir", "gitdir"].map(|name| folder.join(name));
    kept.there.extend(steering.into_iter().filter(|path| is_there(path)));
    let path = folder.join("config.worktree");
    if own && !is_there(&path) {
        kept.missing.insert(Placeholder { path, contents: Some("") });
    }
}

/// A `commondir` that leads nowhere else. One that was left behind is taken for what it is.
const OWN: &str = ".\n";

/// Whether each work tree has settings of its own, in a file that may be missing.
fn own_settings_of_work_trees(folder: &Path) -> bool {
    let name = b"worktreeconfig";
    match settings::bytes_of(&folder.join("config"), Links::Followed) {
        Ok(None) => false,
        Ok(Some(bytes)) => bytes.to_ascii_lowercase().windows(name.len()).any(|it| it == name),
        Err(_) => true,
    }
}
