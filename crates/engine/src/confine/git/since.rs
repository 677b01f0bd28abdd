//! What changed of git since a program started: beside it others may run, and people use git.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use super::kept::is_settled;
use super::known::Known;
use super::made;
use crate::repository;
use crate::workspace::layout::Layout;

impl Known {
    /// What another program that still runs has not found there is not known to this one either: the other may have
    /// made it. `workspace` is the other's.
    pub(in crate::confine) fn amid(&mut self, other: &Self, workspace: &Path) {
        let opened: Vec<&PathBuf> = other.opened().collect();
        let seen = |path: &Path| {
            // What is Botpipe's own is not looked through from without.
            let inside = path.starts_with(workspace)
                && !other.only_beside
                && !path.starts_with(workspace.join(Layout::FOLDER));
            inside
                || other.beside.iter().any(|beside| path.starts_with(Path::new(beside)))
                || opened.iter().any(|folder| path.starts_with(folder))
        };
        self.folders.retain(|path, had_settings| {
            let known = other.folders.get(path);
            *had_settings &= known.is_none_or(|had| *had);
            known.is_some() || !seen(path)
        });
        let both = |path: &OsString, others: &BTreeSet<OsString>| {
            others.contains(path) || !seen(Path::new(path))
        };
        self.links.retain(|path| both(path, &other.links));
        self.closed.retain(|path| both(path, &other.closed));
        self.programs.retain(|path, programs| {
            let mut left = other.programs.get(path).cloned().unwrap_or_default();
            programs.retain(|program| {
                let at = left.iter().position(|it| it == program);
                !seen(path) || at.map(|at| left.swap_remove(at)).is_some()
            });
            !programs.is_empty()
        });
        self.odd.retain(|path, to| !seen(path) || other.odd.get(path) == Some(to));
        self.stood.retain(|path| both(path, &other.stood));
        self.indexes.retain(|path, stamp| !seen(path) || other.indexes.get(path) == Some(stamp));
        self.scripts_there.retain(|path| both(path, &other.scripts_there));
    }

    /// Forgets what is gone: the program that made it has ended since, and it was put aside.
    pub(in crate::confine) fn without_what_is_gone(&mut self) {
        let is_gone = |path: &Path| {
            path.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
        };
        // What is in a work tree was there with its repository.
        let mut trees: Vec<PathBuf> = Vec::new();
        self.folders.retain(|path, had_settings| {
            let gone = is_gone(&path.join("HEAD"));
            if gone {
                let tree = path.parent().filter(|_| path.ends_with(".git")).unwrap_or(path);
                trees.push(tree.to_owned());
            }
            *had_settings &= is_settled(path);
            !gone
        });
        self.links.retain(|path| {
            let path = Path::new(path);
            let gone = is_gone(path);
            trees.extend(path.parent().filter(|_| gone).map(Path::to_owned));
            !gone
        });
        self.programs.retain(|path, _| !is_gone(path));
        self.odd.retain(|path, _| !is_gone(path));
        self.stood.retain(|path| !is_gone(Path::new(path)));
        self.indexes.retain(|path, _| !is_gone(path));
        self.scripts_there.retain(|path| {
            let path = Path::new(path);
            !is_gone(path) && !trees.iter().any(|tree| path.starts_with(tree))
        });
    }

    /// Forgets folders elsewhere to which no link leads that is known: others may have made the link, and the folder.
    pub(in crate::confine) fn without_what_none_leads_to(&mut self, workspace: &Path) {
        let opened: BTreeSet<&PathBuf> = self.opened().collect();
        let areas = self.beside.iter().map(Path::new).chain([workspace]);
        let areas: Vec<&Path> = areas.collect();
        let is_elsewhere = |folder: &&PathBuf| {
            !opened.contains(folder) && !areas.iter().any(|area| folder.starts_with(area))
        };
        let mut elsewhere: BTreeSet<PathBuf> =
            self.folders.keys().filter(is_elsewhere).cloned().collect();
        if elsewhere.is_empty() {
            return;
        }
        for folder in self.links.iter().filter_map(|link| repository::leads_to(Path::new(link))) {
            if let Some(common) = repository::shared(&folder) {
                elsewhere.remove(&common);
            }
            elsewhere.remove(&folder);
        }
        self.folders.retain(|folder, _| !elsewhere.contains(folder));
    }

    /// Folders of git's own elsewhere that commits are written to.
    fn opened(&self) -> impl Iterator<Item = &PathBuf> {
        let is_opened =
            |folder: &&PathBuf| self.beside.contains(folder.join("modules").as_os_str());
        self.folders.keys().filter(is_opened)
    }
}

/// What settings of git's say that is not plainly harmless, each with a digest; `None`: this is no file of such settings.
pub(in crate::confine) fn settings_of(
    file: &Path,
    workspace: &Path,
    known: &Known,
) -> Option<Vec<(String, String)>> {
    let is_named = ["config", "config.worktree"].iter().any(|name| file.ends_with(name));
    let folder = file.parent().filter(|_| is_named)?;
    let is_gits = folder.ancestors().any(|above| known.folders.contains_key(above));
    is_gits.then(|| made::all_strange(file, folder, workspace))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Something of every kind by each of these names.
    fn of(top: &Path, names: &[&str]) -> Known {
        let mut known = Known::default();
        for path in names.iter().map(|name| top.join(name)) {
            known.odd.insert(path.clone(), Some("x".into()));
            known.indexes.insert(path.clone(), (1, 1, 1, 1, 1));
            known.programs.insert(path.clone(), vec![b"exec x".to_vec()]);
            known.folders.insert(path.clone(), true);
            let words =
                [&mut known.stood, &mut known.links, &mut known.closed, &mut known.scripts_there];
            for it in words {
                it.insert(path.clone().into());
            }
        }
        known
    }

    #[test]
    fn what_another_has_not_found_there_is_not_known() {
        let (w, elsewhere) = (Path::new("/w"), Path::new("/elsewhere"));
        let amid = |other: &Known, workspace: &Path| {
            let mut own = of(w, &["stood", "made"]);
            own.amid(other, workspace);
            own
        };
        assert_eq!(amid(&of(w, &["stood"]), w), of(w, &["stood"]));
        assert_eq!(amid(&Known::default(), elsewhere), of(w, &["stood", "made"]));
        let beside = Known { beside: [w.into()].into(), ..Known::default() };
        assert_eq!(amid(&beside, elsewhere), Known::default());
        // One that commits are written to is open as a whole.
        let (folders, areas) = ([(w.into(), true)].into(), [w.join("modules").into()].into());
        let opened = Known { folders, beside: areas, ..Known::default() };
        assert_eq!(amid(&opened, elsewhere), Known::default());
        let mut changed = of(w, &["stood", "made"]);
        changed.odd.insert(w.join("made"), Some("y".into()));
        changed.indexes.insert(w.join("made"), (1, 1, 2, 1, 1));
        changed.folders.insert(w.join("made"), false);
        let own = amid(&changed, w);
        assert_eq!([own.odd.len(), own.indexes.len()], [1, 1]);
        assert!(!own.folders[&w.join("made")]);
    }

    #[test]
    fn what_is_gone_is_not_known_and_what_was_in_its_work_tree() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path();
        let mut own = of(top, &["gone"]);
        own.closed.clear();
        own.without_what_is_gone();
        assert_eq!(own, Known::default());
        fs::create_dir_all(top.join("a/.git")).unwrap();
        fs::write(top.join("a/.git/HEAD"), "").unwrap();
        fs::write(top.join("a/script"), "").unwrap();
        own.folders.insert(top.join("a/.git"), true);
        own.scripts_there.insert(top.join("a/script").into());
        own.without_what_is_gone();
        assert!(!own.folders[&top.join("a/.git")], "its settings were put aside");
        assert_eq!(own.scripts_there.len(), 1);
        fs::remove_file(top.join("a/.git/HEAD")).unwrap();
        own.without_what_is_gone();
        assert_eq!(own, Known::default());
    }

    #[test]
    fn a_folder_elsewhere_is_known_while_a_known_link_leads_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().canonicalize().unwrap();
        let (w, elsewhere) = (top.join("w"), top.join("elsewhere"));
        fs::create_dir_all(w.join("x")).unwrap();
        fs::create_dir_all(&elsewhere).unwrap();
        let link = w.join("x/.git");
        fs::write(&link, format!("gitdir: {}\n", elsewhere.display())).unwrap();
        let mut own = Known::default();
        own.folders.extend([(w.join(".git"), true), (elsewhere.clone(), true)]);
        own.links.insert(link.into());
        let of = |mut known: Known| {
            known.without_what_none_leads_to(&w);
            known.folders.len()
        };
        assert_eq!(of(own.clone()), 2);
        own.links.clear();
        assert_eq!(of(own.clone()), 1);
        own.beside.insert(elsewhere.join("modules").into());
        assert_eq!(of(own), 2, "commits are written to it");
    }
}
