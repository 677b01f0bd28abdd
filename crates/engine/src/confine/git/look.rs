//! Git looked at once a program has ended: a repository that it made, or what it left half done in another,
//! may have git run nothing when a person uses it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::known::{Found, Known};
use super::named::Named;
use super::{made, states};
use crate::confine::deep;
use crate::confine::scan::{self, Kind};

/// How something is put aside: a sentence says that it was, and why.
type Aside = fn(&Path, &str) -> Option<String>;

/// No more folders than these are named that could not be looked at.
const NAMED: usize = 5;

/// Looks, puts aside what has git run programs, and says so.
pub(in crate::confine) fn look(workspace: &Path, known: &Known, aside: Aside) -> Vec<String> {
    let mut look = Look { workspace, known, aside, told: Vec::new(), unread: 0 };
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

    /// Hooks in a new work tree that settings of the person's make git run there.
    fn hooks_of(&self, tree: &Path, of: Option<&Path>) -> Option<String> {
        let hooks = self.known.hooks.iter().map(PathBuf::from).collect();
        let mut named = Named { hooks, ..Named::default() };
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
        let head = (self.aside)(&folder.join("HEAD"), &head);
        // A new repository that is made in its place would take its settings over.
        let whole = if folder.ends_with(".git") || is_of_modules() {
            (self.aside)(folder, &format!("is a repository that may have git run programs ({why})"))
        } else {
            None
        };
        self.told.extend(whole.or(head));
    }

    fn put_aside(&mut self, path: &Path, why: &str) {
        let told = (self.aside)(path, why);
        self.told.extend(told);
    }
}

/// What a program may leave of git, and what is put aside: everything is made with git itself.
#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;
    use std::process::{Command, Stdio};

    use tempfile::TempDir;

    use super::super::kept;
    use crate::confine::lookout::Lookout;
    use crate::confine::{Site, View, scan};

    /// A workspace that is a repository, beside a home.
    struct Place {
        folder: TempDir,
    }

    impl Place {
        fn new() -> Self {
            let place = Self { folder: tempfile::tempdir().unwrap() };
            fs::create_dir_all(place.at("w")).unwrap();
            fs::create_dir_all(place.at("home")).unwrap();
            fs::create_dir_all(place.at("artifacts")).unwrap();
            place.sh("git init -q -b main . && echo a > a && git add a && git commit -qm first");
            place
        }

        fn at(&self, name: &str) -> PathBuf {
            self.folder.path().canonicalize().unwrap().join(name)
        }

        /// What the shell makes of it in the workspace, as a person or a program would.
        fn sh(&self, text: &str) -> bool {
            let mut shell = Command::new("sh");
            let shell =
                shell.args(["-c", text]).current_dir(self.at("w")).env("HOME", self.at("home"));
            let shell = shell.env("GIT_CONFIG_NOSYSTEM", "1").env("RAN", self.at("ran"));
            let user = ["GIT_AUTHOR", "GIT_COMMITTER"].into_iter().flat_map(|who| {
                [(format!("{who}_NAME"), "a"), (format!("{who}_EMAIL"), "a@example.com")]
            });
            shell.envs(user).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success()
        }

        /// Looks out from what is there now.
        fn looks_out(&self) -> Lookout {
            let workspace = self.at("w");
            let site = Site {
                tools: Vec::new(),
                stop: crate::process::StopSwitch::new(),
                state: workspace.join(".botpipe"),
                workspace: workspace.clone(),
                home: Some(self.at("home")),
                places: vec![self.at("artifacts")],
                shown: Vec::new(),
                covered: Vec::new(),
                kept: Vec::new(),
                granted: Vec::new(),
                readable: Vec::new(),
                view: View::Kept,
                path: Vec::new(),
            };
            let (names, _) = scan::names(&workspace, &scan::not_entered()).unwrap();
            let kept = kept(&site, &names, std::slice::from_ref(&workspace)).unwrap();
            // As it is written down, and read when an owner has died.
            let text = serde_json::to_vec(&kept.known).unwrap();
            let known = serde_json::from_slice(&text).unwrap();
            assert_eq!(kept.known, known);
            Lookout { workspace, repositories: Some(known), ..Lookout::default() }
        }

        /// What is told after a program that does this.
        fn told(&self, does: &str) -> Vec<String> {
            let lookout = self.looks_out();
            assert!(self.sh(does), "{does}");
            lookout.look()
        }
    }

    const EVIL: &str = "printf '[core]\\n\\tfsmonitor = touch \"%s\"\\n' \"$RAN\"";

    /// What a program does, and what of git's a person then uses. Each runs something of the program's where
    /// nothing is put aside.
    const EVILS: [(&str, &str); 13] = [
        (
            "mkdir -p s/.git s/e/objects s/e/refs && cp .git/HEAD s/.git && EVIL > s/e/config && \
             echo /proc/self/cwd/e > s/.git/commondir",
            "cd s && git status",
        ),
        (
            "mkdir -p s/.git s/e/objects s/e/refs && cp .git/HEAD s/.git && EVIL > s/e/config && \
             ln -s /proc/self/cwd s/.git/way && echo way/e > s/.git/commondir",
            "cd s && git status",
        ),
        (
            "mkdir -p s/e/objects s/e/refs && cp .git/HEAD s/e && EVIL > s/e/config && \
             echo 'gitdir: /proc/self/cwd/e' > s/.git",
            "cd s && git status",
        ),
        ("git init -q s && EVIL >> s/.git/config", "cd s && git status"),
        ("git init -q s && { printf '# \\377\\n'; EVIL; } >> s/.git/config", "cd s && git status"),
        (
            "git init -q --bare s && { EVIL; printf '\\tbare = false\\n\\tworktree = .\\n'; } >> s/config",
            "cd s && git status",
        ),
        ("git init -q s && EVIL > i && git -C s config include.path ../../i", "cd s && git status"),
        (
            "git init -q s && git -C s config extensions.worktreeConfig true && EVIL > s/.git/config.worktree",
            "cd s && git status",
        ),
        (
            "git init -q s && printf '#!/bin/sh\\ntouch \"$RAN\"\\n' > s/.git/hooks/pre-commit && chmod +x s/.git/hooks/*",
            "cd s && git commit --allow-empty -m x",
        ),
        (
            "git init -q ../artifacts/s && EVIL >> ../artifacts/s/.git/config",
            "cd ../artifacts/s && git status",
        ),
        (
            "git init -q --bare .git/objects/ab/s && cd .git/objects/ab/s && \
             { EVIL; printf '\\tbare = false\\n\\tworktree = .\\n'; } >> config",
            "cd .git/objects/ab/s && git status",
        ),
        (
            "git init -q \"$(printf 'o\\377')\" && cd o* && EVIL >> .git/config",
            "cd o* && git status",
        ),
        (
            "mkdir -p e/objects e/refs s/.git && EVIL > e/config && cp .git/HEAD s/.git && echo ../../e > s/.git/commondir",
            "cd s && git status",
        ),
    ];

    #[test]
    fn a_repository_that_has_git_run_something_is_put_aside() {
        for (does, uses) in EVILS {
            let does = does.replace("EVIL", EVIL);
            let bare = Place::new();
            assert!(bare.sh(&does), "{does}");
            bare.sh(uses);
            assert!(bare.at("ran").exists(), "it runs nothing anyway: {does}");
            let place = Place::new();
            let told = place.told(&does);
            assert!(
                told.iter().any(|it| it.contains("may have git run programs")),
                "{told:?}: {does}"
            );
            place.sh(uses);
            assert!(!place.at("ran").exists(), "{told:?}: {does}");
        }
    }

    #[test]
    fn ordinary_work_with_git_is_left() {
        let place = Place::new();
        for does in [
            "git init -q s && cd s && git config user.name 'J \" ; #' && git commit -q --allow-empty -m 1",
            "cd s && git commit -q --allow-empty -m 2 && git branch two",
            "git clone -q s c && git clone -q --bare s b && git clone -q --mirror s m && git -C c pull -q",
            "git init -q --bare t && git -C s push -q ../t HEAD:refs/heads/new",
            "git worktree add -q wt && cd wt && git commit -q --allow-empty -m 1",
            "cd wt && git commit -q --allow-empty -m 2 && cd .. && git worktree remove wt",
            "git -c protocol.file.allow=always submodule --quiet add ./s lib && git commit -qm lib",
            "cd lib && git commit -q --allow-empty -m 3",
            "mkdir -p target && cd target && git init -q x && git -C x config core.hooksPath /dev/null",
            "git checkout -q -b one && echo 1 > a && git commit -qam 1 && git checkout -q main && \
             echo 2 > a && git commit -qam 2 && ! git rebase -q one",
            "echo 3 > a && git add a && GIT_EDITOR=true git rebase --continue",
            "git cherry-pick -s ort one^0; git cherry-pick --abort; git gc -q; git stash; true",
        ] {
            assert_eq!(place.told(does), Vec::<String>::new(), "{does}");
        }
    }

    #[test]
    fn a_rebase_that_stood_goes_on_and_gets_nothing_more_to_run() {
        let place = Place::new();
        assert!(place.sh(
            "git checkout -q -b one && for i in 1 2 3; do echo $i > a; git commit -qam $i; done && \
             git checkout -q main && echo m > a && git commit -qam m && git checkout -q one && \
             ! git rebase -q --exec true main"
        ));
        let todo = place.at("w/.git/rebase-merge/git-rebase-todo");
        let goes_on = "echo x > a && git add a && GIT_EDITOR=true git rebase --continue; test -e .git/rebase-merge";
        assert_eq!(place.told(goes_on), Vec::<String>::new());
        assert!(fs::read_to_string(&todo).unwrap().contains("exec true"));
        let told = place.told("echo 'exec touch x' >> .git/rebase-merge/git-rebase-todo");
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(!todo.exists());
    }

    #[test]
    fn what_is_known_is_looked_at_where_something_was_missing() {
        let place = Place::new();
        let told = place.told("git init -q s && rm s/.git/config");
        assert_eq!(told, Vec::<String>::new());
        let told = place.told(&format!("{EVIL} > s/.git/config"));
        assert!(told[0].contains("core.fsmonitor"), "{told:?}");
        place.sh("cd s && git status");
        assert!(!place.at("ran").exists());
    }

    /// One with two spaces leads to a folder whose name begins with the second.
    #[test]
    fn a_file_that_leads_elsewhere_is_read_as_git_reads_it() {
        let place = Place::new();
        let hooked = "git config core.hooksPath .husky";
        let does = "mkdir -p 's/ ..' s/.husky && echo 'gitdir:  ../../../.git' > s/.git && \
                    printf '#!/bin/sh\\ntouch \"$RAN\"\\n' > s/.husky/pre-commit && chmod +x s/.husky/*";
        assert!(place.sh(hooked));
        let told = place.told(does);
        place.sh("cd s && git commit -q --allow-empty -m x");
        assert!(!place.at("ran").exists() && told.len() == 1, "{told:?}");
        let bare = Place::new();
        assert!(
            bare.sh(hooked) && bare.sh(does) && bare.sh("cd s && git commit -q --allow-empty -m x")
        );
        assert!(bare.at("ran").exists(), "it runs nothing anyway");
    }

    /// A `.git` may lead to a folder that is made a repository later.
    #[test]
    fn what_something_leads_to_is_known_only_when_it_is_a_repository() {
        let place = Place::new();
        let told = place.told("mkdir s e && echo 'gitdir: ../e' > s/.git");
        assert_eq!(told, Vec::<String>::new());
        let told =
            place.told(&format!("mkdir e/objects e/refs && cp .git/HEAD e && {EVIL} > e/config"));
        assert_eq!(told.len(), 2, "{told:?}");
        place.sh("cd s && git status");
        assert!(!place.at("ran").exists());
    }

    #[test]
    fn what_was_put_aside_is_no_repository_by_any_name() {
        let place = Place::new();
        place.told(&format!(
            "git init -q s && {{ {EVIL}; printf '\\tworktree = ..\\n'; }} >> s/.git/config"
        ));
        assert!(place.at("w/s/.git.refused/config").exists());
        place.sh("cd s/.git.refused && git status");
        assert!(!place.at("ran").exists());
        let told = place.told("cd s && mv .git.refused/HEAD.refused .git.refused/HEAD");
        assert!(told[0].contains(".git.refused/HEAD"), "{told:?}");
    }

    /// A person's own configuration that cannot be read may name anything.
    #[test]
    fn a_configuration_that_cannot_be_read_is_refused() {
        let place = Place::new();
        fs::write(place.at("w/.git/config"), "[core\n").unwrap();
        let workspace = place.at("w");
        let (names, _) = scan::names(&workspace, &scan::not_entered()).unwrap();
        let site = crate::confine::site::of_person(workspace.clone(), None);
        let refusal = kept(&site, &names, &[workspace]).unwrap_err();
        assert!(refusal.what.contains(".git/config` does not tell that: line 2"), "{refusal}");
    }
}
