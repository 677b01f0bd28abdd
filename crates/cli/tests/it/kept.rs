//! What steers the host is not written, by whatever way it was reached so far; judged by what is there afterwards.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::place::{Place, Said, said};

/// A repository with a commit as the workspace, a home beside it, and a folder that is granted.
struct Ground {
    place: Place,
    beside: tempfile::TempDir,
}

impl Ground {
    fn new() -> Self {
        let ground = Self { place: Place::new(), beside: tempfile::tempdir().unwrap() };
        for folder in ["home/.ssh", "granted"] {
            fs::create_dir_all(ground.beside(folder)).unwrap();
        }
        fs::write(ground.beside("home/.ssh/id"), "a key\n").unwrap();
        ground.git(&["init", "-q", "-b", "main"]);
        ground.git(&["commit", "-q", "--allow-empty", "-m", "first"]);
        ground
    }

    fn beside(&self, name: &str) -> PathBuf {
        self.beside.path().canonicalize().unwrap().join(name)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    fn git(&self, words: &[&str]) {
        let who = ["-c", "user.name=Me", "-c", "user.email=me@example.com"];
        let git = Command::new("git").args(who).args(words).current_dir(self.place.path()).output();
        assert!(git.unwrap().status.success(), "git {words:?}");
    }

    /// A command in the sandbox; `$GRANTED` and `$KEYS` stand for what is beside the workspace.
    fn runs(&self, script: &str) -> Said {
        self.runs_in(".", script)
    }

    fn runs_in(&self, workspace: &str, script: &str) -> Said {
        let path = |name: &str| self.beside(name).display().to_string();
        let script =
            script.replace("$GRANTED", &path("granted")).replace("$KEYS", &path("home/.ssh"));
        let words = ["sandbox", "--workspace", workspace, "--", "sh", "-c", &script];
        let mut command = self.place.command(&words);
        command.env("HOME", self.beside("home"));
        command.env("BOTPIPE_ALLOW_WRITE", self.beside("granted"));
        said(&command.output().unwrap())
    }
}

/// What a `.git` of the workspace says of folders outside may have been written by a program.
#[test]
fn no_folder_is_opened_because_a_program_says_that_it_is_gits() {
    let ground = Ground::new();
    ground.runs("mkdir sub; echo gitdir: $GRANTED/x > sub/.git").ends(0);
    let plant = "mkdir -p $GRANTED/x $GRANTED/worktrees/n sub; for at in $GRANTED/x $GRANTED/worktrees/n; do
        echo $PWD/sub/.git > $at/gitdir; echo $KEYS/.. > $at/commondir; echo x > $at/HEAD; done
        echo gitdir: $GRANTED/worktrees/n > sub/.git";
    for plant in [plant, &plant.replace("sub/", "").replace(" sub", "")] {
        ground.runs(plant);
        let said = ground.runs("cat $KEYS/id; echo more >> $KEYS/id");
        assert!(!said.out.contains("a key"), "{said:?}");
        assert_eq!(fs::read_to_string(ground.beside("home/.ssh/id")).unwrap(), "a key\n");
    }
}

#[test]
fn a_program_cannot_use_up_the_names_under_which_things_are_put_aside() {
    let ground = Ground::new();
    let taken = "touch .envrc.refused; for n in $(seq 1000); do touch .envrc.refused-$n; done; echo evil > .envrc";
    let said = ground.runs(taken).ends(0);
    assert!(said.err.contains(".envrc` was made by a program"), "{said:?}");
    assert!(!ground.at(".envrc").exists());
}

#[test]
fn a_folder_from_which_nothing_can_be_moved_does_not_keep_what_was_made_in_it() {
    let ground = Ground::new();
    ground
        .runs("mkdir sub; git init -q sub; git -C sub config core.fsmonitor ./evil; chmod 555 sub")
        .ends(0);
    assert!(!ground.at("sub/.git/config").exists());
}

/// A clone may bring such a file, and a program may have written it before Botpipe's own folder was closed to it.
#[test]
fn what_lies_in_the_workspace_says_nothing_of_what_is_put_aside() {
    let ground = Ground::new();
    let mine = ground.at("mine");
    fs::write(&mine, "").unwrap();
    let workspace = ground.place.path().canonicalize().unwrap();
    let list = format!(r#"["{0}",{{"{0}/mine":null}},null]"#, workspace.display());
    fs::create_dir(ground.at(".botpipe")).unwrap();
    for name in ["lookout-1-0", "lookout-1-1"] {
        fs::write(ground.at(".botpipe").join(name), &list).unwrap();
    }
    ground.runs("true").ends(0);
    assert!(mine.exists());
}

#[test]
fn a_link_that_steers_stays_and_leads_where_it_led() {
    let ground = Ground::new();
    fs::create_dir_all(ground.at("shared")).unwrap();
    fs::create_dir_all(ground.at("scripts")).unwrap();
    for file in ["shared/botpipe.yaml", "shared/w.yaml", "scripts/pc"] {
        fs::write(ground.at(file), "# as it was\n").unwrap();
    }
    fs::create_dir_all(ground.at("workflows")).unwrap();
    let links = [
        ("shared/botpipe.yaml", "botpipe.yaml"),
        ("../shared/w.yaml", "workflows/w.sop.yaml"),
        ("../../scripts/pc", ".git/hooks/pre-commit"),
        ("env.local", ".envrc"),
    ];
    for (to, link) in links {
        symlink(to, ground.at(link)).unwrap();
    }
    let said = ground.runs(
        "for file in shared/botpipe.yaml shared/w.yaml scripts/pc env.local; do echo evil > $file; done
         rm botpipe.yaml .envrc; echo 'policy: { network: full }' > botpipe.yaml; echo evil > .envrc; true",
    );
    for file in ["shared/botpipe.yaml", "shared/w.yaml", "scripts/pc"] {
        assert_eq!(
            fs::read_to_string(ground.at(file)).unwrap(),
            "# as it was\n",
            "{file}: {said:?}"
        );
    }
    assert!(!ground.at("env.local").exists(), "{said:?}");
    for (to, link) in links {
        assert_eq!(fs::read_link(ground.at(link)).unwrap(), Path::new(to), "{said:?}");
    }
}

#[test]
fn a_folder_of_a_repository_commits_and_does_not_steer_it() {
    let ground = Ground::new();
    fs::create_dir_all(ground.at("pkgs/one")).unwrap();
    ground
        .runs_in(
            "pkgs/one",
            "echo new > file && git add file && git -c user.name=A -c user.email=a@example.com \
        commit -qm inner",
        )
        .ends(0);
    let said = ground.runs_in(
        "pkgs/one",
        "echo evil > ../../.git/hooks/post-commit; git config core.fsmonitor ./evil; echo evil > ../../.envrc; true",
    );
    assert!(!ground.at(".git/hooks/post-commit").exists(), "{said:?}");
    assert!(!fs::read_to_string(ground.at(".git/config")).unwrap().contains("evil"), "{said:?}");
    assert!(!ground.at(".envrc").exists(), "{said:?}");
}

#[test]
fn what_is_opened_around_the_workspace_is_kept_as_the_workspace_is() {
    let ground = Ground::new();
    let all = ground.place.path().canonicalize().unwrap();
    fs::create_dir_all(ground.at("pkgs/one")).unwrap();
    let policy = format!("allow_write: [., {}]\n", all.display());
    fs::write(ground.beside("policy.yaml"), policy).unwrap();
    let file = ground.beside("policy.yaml").display().to_string();
    let script = "echo fine > ../two; echo evil > ../../.git/hooks/post-commit; echo evil > ../../.envrc; true";
    let words = ["sandbox", "--workspace", "pkgs/one", "--policy", &file, "--", "sh", "-c", script];
    let said = said(&ground.place.command(&words).output().unwrap()).ends(0);
    assert!(ground.at("pkgs/two").exists(), "{said:?}");
    assert!(!ground.at(".git/hooks/post-commit").exists(), "{said:?}");
    assert!(!ground.at(".envrc").exists(), "{said:?}");
}

#[test]
fn the_file_of_a_clone_permits_a_command_nothing() {
    let ground = Ground::new();
    let widens = [
        "sandbox_mode: danger_full_access",
        "allow_read: [., \"~/.ssh\", /]",
        "allow_write: [., \"~/.ssh\"]",
        "environment: { allow: [PATH, HOME, SOME_TOKEN] }",
        "network: full",
    ];
    for policy in widens {
        ground.place.write("botpipe.yaml", &format!("policy: {{ {policy} }}\n"));
        let mut command = ground.place.command(&["sandbox", "--", "sh", "-c"]);
        let keys = ground.beside("home/.ssh").display().to_string();
        command.arg(format!("cat {keys}/id; echo x > {keys}/new; env; readlink /proc/self/ns/net"));
        command.env("HOME", ground.beside("home")).env("SOME_TOKEN", "tell-nobody");
        command.env_remove("BOTPIPE_ALLOW_WRITE");
        let said = said(&command.output().unwrap());
        assert!(
            !said.out.contains("a key") && !said.out.contains("tell-nobody"),
            "{policy}: {said:?}"
        );
        assert!(!ground.beside("home/.ssh/new").exists(), "{policy}");
        let own = fs::read_link("/proc/self/ns/net").unwrap();
        assert!(!said.out.contains(&*own.to_string_lossy()), "{policy}: {said:?}");
    }
}

/// A workflow that is run by its path lies beside the work, where its own steps could loosen it for the next run.
#[test]
fn a_workflow_is_not_rewritten_by_its_own_run() {
    let evil = "sop: 1\nname: own\npolicy: { sandbox_mode: danger_full_access }\nsteps:\n  - { id: a, run: 'true' }\n";
    let text = "sop: 1\nname: own\nsteps:\n  - id: a\n    run: cp evil \"$WF\"; cp evil deep/child.sop.yaml; cp evil narrow.yaml; true\n";
    for at in ["own.sop.yaml", "deep/own/sop.yaml"] {
        let place = Place::new();
        let text = text.replace("\"$WF\"", at);
        place.write(at, &text);
        place.write("evil", evil);
        place.write("deep/child.sop.yaml", "");
        place.write("narrow.yaml", "limits: { wall: 1m }\n");
        let words = ["run", &format!("./{at}"), "--task", "t", "--policy-file", "narrow.yaml"];
        let said = place.say(&words).ends(0);
        assert_eq!(fs::read_to_string(place.path().join(at)).unwrap(), text, "{}", said.err);
        let narrow = fs::read_to_string(place.path().join("narrow.yaml")).unwrap();
        assert!(narrow.contains("wall"), "{}", said.err);
        // Of another workflow it may be the work.
        assert_eq!(fs::read_to_string(place.path().join("deep/child.sop.yaml")).unwrap(), evil);
    }
}

#[test]
fn a_policy_is_not_rewritten_by_whom_it_binds() {
    let place = Place::new();
    place.write("locked.yaml", "network: none\n");
    let words = ["sandbox", "--policy", "locked.yaml", "--", "sh", "-c", "echo {} > locked.yaml"];
    let said = place.say(&words);
    assert_ne!(said.code, 0);
    assert!(said.err.contains("`locked.yaml` is not written"), "{}", said.err);
    assert_eq!(fs::read_to_string(place.path().join("locked.yaml")).unwrap(), "network: none\n");
}

/// The link lies in the workspace, and what it leads to does not.
#[test]
fn what_binds_a_program_by_a_link_is_not_replaced() {
    let (place, outside) = (Place::new(), tempfile::tempdir().unwrap());
    let own = "sop: 1\nname: own\nsteps: [{ id: a, run: 'rm -f own.sop.yaml; true' }]\n";
    for (name, text) in [("locked.yaml", "network: none\n"), ("own.sop.yaml", own)] {
        fs::write(outside.path().join(name), text).unwrap();
        symlink(outside.path().join(name), place.path().join(name)).unwrap();
    }
    let words = ["sandbox", "--policy", "locked.yaml", "--", "rm", "-f", "locked.yaml"];
    assert_ne!(place.say(&words).code, 0);
    place.say(&["run", "./own.sop.yaml", "--task", "t"]).ends(0);
    for name in ["locked.yaml", "own.sop.yaml"] {
        assert!(place.path().join(name).is_symlink(), "{name}");
    }
}

/// Tests make repositories in a build's folder, and make them anew; what is fetched into one is thrown away with it.
/// None of those has the host's git run a program afterwards.
#[test]
fn repositories_of_builds_are_made_anew() {
    let ground = Ground::new();
    ground.place.write(".gitignore", "/target\n/build\n");
    let build = "set -e; rm -rf target/r build; git init -q target/r; git -C target/r config user.name x; \
                 git -C target/r config user.email x; \
                 git -C target/r commit -q --allow-empty -m y; git clone -q target/r build/deps/src";
    for _ in 0..3 {
        let said = ground.runs(build).ends(0);
        assert!(!said.err.contains("botpipe sandbox:"), "{said:?}");
    }
    let settings = "git -C target/r config core.fsmonitor evil";
    let hook = "echo evil > build/deps/src/.git/hooks/pre-commit";
    for (made, gone) in [(settings, "target/r"), (hook, "build/deps/src")] {
        let said = ground.runs(made).ends(0);
        assert!(said.err.contains("may have git run programs"), "{said:?}");
        assert!(!ground.at(gone).join(".git").exists(), "{made}");
    }
    // One that git does not ignore is a person's; so is one that has more than git writes by itself.
    ground.git(&["init", "-q", "vendor"]);
    ground.git(&["init", "-q", "target/mine"]);
    fs::write(ground.at("target/mine/.git/hooks/post-commit"), "true\n").unwrap();
    for theirs in ["vendor", "target/mine"] {
        let said = ground.runs(&format!("echo evil > {theirs}/.git/hooks/pre-commit"));
        assert_ne!(said.code, 0, "{said:?}");
        assert!(!ground.at(theirs).join(".git/hooks/pre-commit").exists());
    }
}

/// A name in a folder is reached by a link to that folder, too.
#[test]
fn what_steers_a_person_is_put_aside_with_the_link_that_leads_there() {
    let makes =
        "mkdir -p hh/store && echo '[hooks]' > hh/hgrc && touch hh/requires && ln -s hh .hg";
    let ground = Ground::new();
    let said = ground.runs(makes).ends(0);
    assert!(said.err.contains(".hg` was made by a program"), "{said:?}");
    assert!(!said.err.contains("could not be moved"), "{said:?}");
    assert!(!ground.at(".hg").exists() && ground.at("hh/hgrc").exists());
    // Of a link that was there, what it leads to.
    let ground = Ground::new();
    fs::create_dir(ground.at("hh")).unwrap();
    symlink("hh", ground.at(".hg")).unwrap();
    let said = ground.runs("echo '[hooks]' > hh/hgrc").ends(0);
    assert!(said.err.contains("hh/hgrc` was made by a program"), "{said:?}");
    assert!(ground.at(".hg").exists() && !ground.at("hh/hgrc").exists());
    let said = ground.runs("mkdir other; touch other/hgrc; ln -sfn other .hg").ends(0);
    assert!(said.err.contains(".hg` was made by a program"), "{said:?}");
    assert!(!ground.at(".hg").exists());
}

/// Nothing can be laid over what lies in folders that are deeper than the system names at once.
#[test]
fn a_repository_in_too_many_folders_is_refused_in_a_sentence_that_can_be_read() {
    let ground = Ground::new();
    // From the inside: no shell goes so deep.
    let made = "i=0; mkdir -p top/.git
        while [ $i -lt 70 ]; do mkdir next; mv top next/$(printf %0200d $i); mv next top; i=$((i + 1)); done";
    let made = Command::new("sh").args(["-c", made]).current_dir(ground.place.path()).output();
    assert!(made.unwrap().status.success());
    let refused = ground.runs("true").ends(125);
    assert!(refused.err.contains("remove it, or move it to fewer folders"), "{}", refused.err);
    assert!(refused.err.len() < 2_000, "{}", refused.err);
}
