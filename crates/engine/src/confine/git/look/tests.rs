//! What a program may leave of git, and what is put aside: everything is made with git itself.

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
        let shell = shell.args(["-c", text]).current_dir(self.at("w")).env("HOME", self.at("home"));
        let shell = shell.env("GIT_CONFIG_NOSYSTEM", "1").env("RAN", self.at("ran"));
        let user = ["GIT_AUTHOR", "GIT_COMMITTER"].into_iter().flat_map(|who| {
            [(format!("{who}_NAME"), "a"), (format!("{who}_EMAIL"), "a@example.com")]
        });
        shell.envs(user).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success()
    }

    /// Looks out from what is there now.
    fn looks_out(&self) -> Lookout {
        self.looks_out_from("w")
    }

    fn looks_out_from(&self, workspace: &str) -> Lookout {
        let workspace = self.at(workspace);
        let site = Site {
            tools: Vec::new(),
            certificates: Vec::new(),
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
    ("git init -q \"$(printf 'o\\377')\" && cd o* && EVIL >> .git/config", "cd o* && git status"),
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
        assert!(told.iter().any(|it| it.contains("may have git run programs")), "{told:?}: {does}");
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

/// What a program puts in the place of a file of git's own, and what of git's a person then uses: that reads or writes
/// a file beside the workspace, where nothing is put aside.
const ODD: [(&str, &str); 12] = [
    ("ln -sf ../../victim .git/COMMIT_EDITMSG", "GIT_EDITOR=true git commit -q --amend"),
    ("ln -sf ../../../victim .git/logs/HEAD", "git commit -q --allow-empty -m x"),
    ("ln -sf \"$PWD/../victim\" .git/logs/refs/heads/main", "git commit -q --allow-empty -m x"),
    ("ln -s ../../victim .git/FETCH_HEAD", "git fetch -q . main"),
    ("rm .git/index; ln -s ../../made .git/index", "git add a"),
    (
        "mkdir ../o; mv .git/logs ../o/logs; ln -s ../../o/logs .git/logs",
        "git commit -q --allow-empty -m x",
    ),
    ("git init -q s; ln -s ../../../victim s/.git/FETCH_HEAD", "cd s; git fetch -q .. main"),
    (
        "git worktree add -q t; ln -s \"$PWD/../victim\" .git/worktrees/t/COMMIT_EDITMSG",
        "cd t; git commit -q --allow-empty -m x",
    ),
    ("git init -q --bare b; ln -s ../../victim b/FETCH_HEAD", "cd b; git fetch -q .. main"),
    (
        "mkdir ../o; touch ../o/x; mkdir -p .git/worktrees; ln -s ../../../o .git/worktrees/w",
        "git worktree prune",
    ),
    (
        "mkdir -p .git/info; ln -s ../../../victim .git/info/sparse-checkout",
        "git sparse-checkout set src",
    ),
    ("ln -sf config .git/COMMIT_EDITMSG", "git commit -q --allow-empty -m x"),
];

#[test]
fn a_link_in_the_place_of_a_file_of_gits_is_put_aside() {
    let prepared = || {
        let place = Place::new();
        fs::write(place.at("victim"), "of a person\n").unwrap();
        place
    };
    // Beside the workspace, and git's own settings.
    let outside = |place: &Place| {
        let all = "cd ..; find . -path ./w -prune -o -print | sort; cat w/.git/config; \
                   find . -path ./w -prune -o -type f -exec cat {} +";
        let shell = Command::new("sh").args(["-c", all]).current_dir(place.at("w")).output();
        String::from_utf8_lossy(&shell.unwrap().stdout).into_owned()
    };
    for (does, uses) in ODD {
        let bare = prepared();
        assert!(bare.sh(does), "{does}");
        let before = outside(&bare);
        bare.sh(uses);
        assert_ne!(outside(&bare), before, "it changes nothing anyway: {does}");
        let place = prepared();
        let told = place.told(does);
        assert_eq!(told.len(), 1, "{told:?}: {does}");
        assert!(told[0].contains("has git read and write where it leads"), "{told:?}");
        let before = outside(&place);
        place.sh(uses);
        let settings = |text: &str| text.replace("[extensions]\n\tworktreeConfig = true\n", "");
        assert_eq!(settings(&outside(&place)), settings(&before), "{told:?}: {does}");
        assert_eq!(place.told("true"), Vec::<String>::new(), "it is told once: {does}");
    }
}

#[test]
fn git_waits_for_no_pipe_of_a_program() {
    let place = Place::new();
    for name in ["HEAD", "MERGE_MSG", "refs/heads/z", "info/exclude"] {
        let told =
            place.told(&format!("cd .git; test ! -e {name} || mv {name} ../of; mkfifo {name}"));
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("has git wait"), "{told:?}");
        place.sh(&format!("test ! -e of || mv of .git/{name}"));
        assert!(place.sh("timeout 10 git status && timeout 10 git for-each-ref"), "{name}");
    }
}

/// As another way of having several work trees does, and git in older times.
#[test]
fn links_that_stood_in_the_place_of_gits_files_stay() {
    let place = Place::new();
    assert!(
        place.sh("mkdir ../of && mv .git/logs ../of/logs && ln -s ../../of/logs .git/logs && \
         ln -sf refs/heads/main .git/HEAD && git status")
    );
    let does = "git -c core.preferSymlinkRefs=true checkout -q -b two && git commit -q --allow-empty -m x && test -L .git/HEAD";
    assert_eq!(place.told(does), Vec::<String>::new());
    let told = place.told("ln -sfn ../../victim .git/logs");
    assert_eq!(told.len(), 1, "{told:?}");
}

/// Commits are written there, and so is all else.
#[test]
fn the_repository_that_a_workspace_is_a_folder_of_is_looked_at() {
    let plans = "mkdir -p .git/rebase-merge && cd .git/rebase-merge && git rev-parse HEAD | tee onto orig-head > /dev/null && \
                 echo refs/heads/main > head-name && echo 1 > msgnum && echo 1 > end && touch interactive done && \
                 echo 'exec touch \"$RAN\"' > git-rebase-todo";
    let module =
        format!("git init -q --bare .git/modules/lib && {EVIL} >> .git/modules/lib/config");
    let link = "ln -sf ../../victim .git/COMMIT_EDITMSG";
    let does = [plans, &module, link];
    for does in does {
        let place = Place::new();
        assert!(place.sh("mkdir sub && git config rebase.missingCommitsCheck ignore"));
        let lookout = place.looks_out_from("w/sub");
        assert!(place.sh(does), "{does}");
        let told = lookout.look();
        assert_eq!(told.len(), 1, "{told:?}: {does}");
        place.sh("git rebase --continue; cd .git/modules/lib && git status");
        assert!(!place.at("ran").exists(), "{told:?}: {does}");
        let ordinary = "git commit -q --allow-empty -m x && git worktree add -q sub/t && git stash && git gc -q";
        let lookout = place.looks_out_from("w/sub");
        place.sh(ordinary);
        assert_eq!(lookout.look(), Vec::<String>::new());
    }
}

#[test]
fn what_git_takes_over_later_is_put_aside() {
    let hook = "printf '#!/bin/sh\\ntouch \"$RAN\"\\n' > .git/hooks/pre-commit && chmod +x .git/hooks/pre-commit";
    let hook = format!("mkdir -p .git/hooks && {hook}");
    let settings = format!("mkdir -p .git && {EVIL} > .git/config");
    for does in [hook, settings] {
        let place = Place::new();
        assert!(place.sh("rm -rf .git"));
        assert_eq!(place.told(&does).len(), 1, "{does}");
        assert!(place.sh("git init -q . && git add a && git commit -qm x && git status"), "{does}");
        assert!(!place.at("ran").exists(), "{does}");
    }
    for tree in [".git", ".git/worktrees/t"] {
        let place = Place::new();
        assert!(place.sh("git worktree add -q ../t"));
        let told = place.told(&format!("{EVIL} > {tree}/config.worktree"));
        assert_eq!(told.len(), 1, "{told:?}");
        place.sh("git sparse-checkout set src; git status; cd ../t && git status");
        assert!(!place.at("ran").exists());
    }
    // A person's own, and what git writes there.
    let place = Place::new();
    assert!(place.sh(&format!("{EVIL} > .git/config.worktree")));
    assert_eq!(
        place.told("git init -q s; cd s; git sparse-checkout set src"),
        Vec::<String>::new()
    );
}

#[test]
fn git_fetches_from_no_place_that_a_program_wrote_into_a_file_of_its_own() {
    for name in ["remotes", "branches"] {
        let place = Place::new();
        assert_eq!(place.told(&format!("mkdir -p .git/{name}")), Vec::<String>::new());
        let does = format!("mkdir -p .git/{name} && echo 'URL: ../x' > .git/{name}/origin");
        let told = place.told(&does);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(!place.at(&format!("w/.git/{name}/origin")).exists());
        let stood = Place::new();
        assert!(stood.sh(&does));
        assert_eq!(stood.told("true"), Vec::<String>::new());
    }
}

/// A new work tree of a repository whose settings, or the person's, name a program by a relative path.
#[test]
fn a_work_tree_with_a_program_where_settings_name_one_is_put_aside() {
    let script = "mkdir -p s/tools && printf '#!/bin/sh\\ntouch \"$RAN\"\\n' > s/tools/fsm && chmod +x s/tools/fsm";
    let leads = format!("{script} && echo 'gitdir: ../.git' > s/.git");
    let adds = format!("git worktree add -q s && {script}");
    let makes = format!("git init -q s && {script}");
    let (own, of_person) =
        ("git config core.fsmonitor tools/fsm", "git config --global core.fsmonitor ./tools/fsm");
    for (names, does) in [(own, &leads), (own, &adds), (of_person, &adds), (of_person, &makes)] {
        for stands in [
            "true",
            "mkdir tools && printf '#!/bin/sh\\nexit 1\\n' > tools/fsm && git add . && git commit -qm tools",
        ] {
            let bare = Place::new();
            assert!(bare.sh(stands) && bare.sh(names) && bare.sh(does), "{does}");
            bare.sh("cd s && git status");
            assert!(bare.at("ran").exists(), "it runs nothing anyway: {does}");
            let place = Place::new();
            assert!(place.sh(stands) && place.sh(names));
            let told = place.told(does);
            assert!(
                told.iter().any(|it| it.contains("`tools/fsm`, which git's settings have it run")),
                "{told:?}: {does}"
            );
            place.sh("cd s && git status");
            assert!(!place.at("ran").exists(), "{told:?}: {does}");
        }
    }
    let place = Place::new();
    let stands = "mkdir tools && echo exit 1 > tools/fsm && git add . && git commit -qm tools";
    assert!(place.sh(stands) && place.sh("git config core.fsmonitor 'sh tools/fsm'"));
    assert_eq!(
        place.told("git worktree add -q s && cd s && git commit -q --allow-empty -m x"),
        Vec::<String>::new()
    );
    assert_eq!(place.told("git clone -q . c"), Vec::<String>::new());
}

/// By the index a person's git writes any file, also a hook, and by what it remembers of conflicts it reads any.
#[test]
fn files_of_gits_that_name_more_than_the_work_tree_are_put_aside() {
    let index = "h=$(printf '#!/bin/sh\\ntouch \"$RAN\"\\n' | git hash-object -w --stdin) && \
                 git update-index --add --cacheinfo 100755,$h,.git_hooks/post-checkout && \
                 sed -i s:.git_hooks:.git/hooks: .git/index";
    let hashed = "python3 -c 'import hashlib; d = open(\".git/index\", \"rb\").read()[:-20]; \
                  open(\".git/index\", \"wb\").write(d + hashlib.sha1(d).digest())'";
    let index = format!("{index} && {hashed}");
    let resolved = "h=$(printf %040d 1) && mkdir -p .git/rr-cache/$h && touch .git/rr-cache/$h/preimage && \
                    printf \"$h\\tNAME\\0\" > .git/MERGE_RR";
    let outside = resolved.replace("NAME", "$PWD/../secret");
    let linked = format!("ln -s ../secret x && {}", resolved.replace("NAME", "x"));
    let checks_out = "git checkout -- .; git checkout -q -b other";
    let commits =
        "git commit -q --allow-empty -m x; grep -rq hidden .git/rr-cache && touch \"$RAN\"";
    for (does, uses) in [(index, checks_out), (outside, commits), (linked, commits)] {
        let prepared = || {
            let place = Place::new();
            fs::write(place.at("secret"), "hidden\n").unwrap();
            place
        };
        let bare = prepared();
        assert!(bare.sh(&does), "{does}");
        bare.sh(uses);
        assert!(bare.at("ran").exists(), "it does nothing anyway: {does}");
        let place = prepared();
        let told = place.told(&does);
        assert_eq!(told.len(), 1, "{told:?}: {does}");
        place.sh(uses);
        assert!(!place.at("ran").exists(), "{told:?}: {does}");
    }
    // A conflict as git has it.
    let place = Place::new();
    assert!(place.sh("git config rerere.enabled true && git checkout -qb one && echo 1 > a && git commit -qam 1 && \
                      git checkout -q main && echo 2 > a && git commit -qam 2"));
    assert_eq!(place.told("! git merge -q one; test -s .git/MERGE_RR"), Vec::<String>::new());
}
