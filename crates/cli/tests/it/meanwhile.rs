//! What the host, or another program, does in the workspace while a program runs there.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use botpipe_testkit::kills::processes;

use crate::place::{Place, Said, said, until, wait_for};

/// A workspace beside a home of its own.
struct Ground {
    place: Place,
    beside: tempfile::TempDir,
}

impl Ground {
    fn new() -> Self {
        let ground = Self { place: Place::new(), beside: tempfile::tempdir().unwrap() };
        fs::create_dir(ground.beside.path().join("home")).unwrap();
        ground
    }

    fn at(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// The binary with these words, as the person of that home.
    fn command(&self, words: &[&str]) -> Command {
        let mut command = self.place.command(words);
        command.env("HOME", self.beside.path().join("home")).env_remove("XDG_STATE_HOME");
        command
    }

    /// A command in the sandbox, to its end.
    fn runs(&self, script: &str) -> Said {
        said(&self.command(&["sandbox", "--", "sh", "-c", script]).output().unwrap())
    }

    /// A command in the sandbox that goes on until there is a file `go`, once it runs.
    fn begins(&self, script: &str) -> Child {
        let script = format!("touch begun; {script}");
        let mut child = self.command(&["sandbox", "--", "sh", "-c", &script]);
        let mut child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        wait_for("the command", &self.at("begun"), &mut child);
        fs::remove_file(self.at("begun")).unwrap();
        child
    }

    fn ends(child: Child) -> Said {
        said(&child.wait_with_output().unwrap())
    }
}

const UNTIL_GO: &str = "until test -e go; do sleep 0.02; done";

#[test]
fn a_first_run_beside_a_command_keeps_its_state() {
    let ground = Ground::new();
    ground.place.write(
        "workflows/one.sop.yaml",
        "sop: 1\nname: one\nsteps:\n  - { id: wait, run: 'touch running; until test -e went; do sleep 0.02; done' }\n",
    );
    let command = ground.begins(&format!("mkdir .botpipe/x; echo x > .botpipe/y; {UNTIL_GO}"));
    let mut run = ground.command(&["run", "one", "x"]);
    let mut run = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for("the step", &ground.at("running"), &mut run);
    fs::write(ground.at("go"), "").unwrap();
    let told = Ground::ends(command).ends(0);
    assert!(!told.err.contains("was made by a program"), "{told:?}");
    fs::write(ground.at("went"), "").unwrap();
    Ground::ends(run).ends(0);
    assert!(ground.at(".botpipe/botpipe.db").exists());
    assert!(!ground.at(".botpipe/x").exists() && !ground.at(".botpipe/y").exists());
}

#[test]
fn nothing_is_left_of_botpipes_own_folder_where_no_run_began() {
    let makes = "mkdir -p .botpipe/workflows; echo x > .botpipe/y; rmdir .botpipe; true";
    let ground = Ground::new();
    ground.place.write("file", "");
    assert!(!ground.runs(makes).ends(0).err.contains("was made by a program"));
    assert!(!ground.at(".botpipe").exists());
    // An empty folder is left empty, to be filled.
    let ground = Ground::new();
    ground.runs("test -z \"$(ls -A)\" && git init -q from --bare && git clone -q from to").ends(0);
    let ground = Ground::new();
    assert!(ground.runs(makes).ends(0).err.contains(".botpipe` was made by a program"));
    assert!(!ground.at(".botpipe").exists());
}

const EVIL: &str = "printf '[core]\\n\\tfsmonitor = touch x;false\\n'";

impl Ground {
    /// The same, the workspace being a repository.
    fn repository() -> Self {
        let ground = Self::new();
        ground.host("git init -q -b main . && git commit -q --allow-empty -m first");
        ground
    }

    /// What a person does in the workspace.
    fn host(&self, script: &str) {
        let mut shell = Command::new("sh");
        shell.args(["-ec", script]).current_dir(self.place.path());
        for who in ["AUTHOR", "COMMITTER"] {
            shell.env(format!("GIT_{who}_NAME"), "Me");
            shell.env(format!("GIT_{who}_EMAIL"), "me@example.com");
        }
        let done = shell.output().unwrap();
        assert!(done.status.success(), "{script}: {done:?}");
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.at(name)).unwrap_or_default()
    }
}

/// A program that tries all the time, and a person who uses git meanwhile.
#[test]
fn what_the_host_replaces_is_kept_again_and_looked_at() {
    let ground = Ground::repository();
    for file in [".mcp.json", ".envrc", ".claude/settings.json"] {
        ground.place.write(file, "as it was\n");
    }
    ground.host("git add . && git commit -qm files && git checkout -qb other && git rm -qr .mcp.json .envrc .claude && git commit -qm gone && git checkout -q main");
    let tries = format!(
        "until test -e go; do for f in .mcp.json .envrc .claude/settings.json; do echo EVIL >> $f; done; \
         {EVIL} >> .git/config; done 2>/dev/null; true"
    );
    let command = ground.begins(&tries);
    ground.host("for n in 1 2 3 4 5; do git config user.name Me$n; git checkout -q other; git checkout -q main; sleep 0.1; done || true");
    fs::write(ground.at("go"), "").unwrap();
    let told = Ground::ends(command).ends(0);
    for file in [".mcp.json", ".envrc", ".claude/settings.json"] {
        let now = ground.read(file);
        assert!(!now.contains("EVIL"), "{file}: {now} {told:?}");
    }
    assert!(!ground.read(".git/config").contains("fsmonitor"), "{told:?}");
}

/// Once nothing changes any more, what was replaced is closed as it was before.
#[test]
fn what_the_host_replaced_cannot_be_written_from_then_on() {
    let ground = Ground::repository();
    ground.place.write("conf/prod.yaml", "as it was\n");
    ground.place.write("policy.yaml", "allow_write: [.]\ndeny_write: [conf/prod.yaml]\n");
    let script = "touch begun; until test -e go; do sleep 0.02; done; echo EVIL >> .git/config; \
                  echo EVIL >> conf/prod.yaml; rm -f conf/prod.yaml; mv conf elsewhere; true";
    let mut command =
        ground.command(&["sandbox", "--policy", "policy.yaml", "--", "sh", "-c", script]);
    let mut command = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for("the command", &ground.at("begun"), &mut command);
    ground.host("git config user.name Someone; rm -r conf; mkdir conf; echo new > conf/prod.yaml");
    thread::sleep(Duration::from_millis(500));
    fs::write(ground.at("go"), "").unwrap();
    let told = Ground::ends(command).ends(0);
    assert_eq!(ground.read("conf/prod.yaml"), "new\n", "{told:?}");
    let config = ground.read(".git/config");
    assert!(config.contains("Someone") && !config.contains("EVIL"), "{told:?}");
    assert!(told.err.contains("conf/prod.yaml` was replaced while a program ran"), "{told:?}");
    assert!(!told.err.contains(".git/config` was replaced"), "settings of a person's: {told:?}");
}

/// The second starts while what the first made is there, and puts it back once it was put aside.
#[test]
fn what_a_program_made_was_not_there_for_one_that_starts_meanwhile() {
    let ground = Ground::repository();
    let makes = format!(
        "git init -q evil; {EVIL} >> evil/.git/config; echo x > .envrc; mkdir .git/rebase-merge; \
         echo 'exec touch x' > .git/rebase-merge/git-rebase-todo; touch made; {UNTIL_GO}"
    );
    let first = ground.begins(&makes);
    until("what it makes", || ground.at("made").exists());
    let second = ground.begins(
        "until test -e went; do sleep 0.02; done; mv evil/.git.refused evil/.git; \
         mv evil/.git/HEAD.refused evil/.git/HEAD; mv .envrc.refused .envrc; \
         mv .git/rebase-merge/git-rebase-todo.refused .git/rebase-merge/git-rebase-todo; true",
    );
    fs::write(ground.at("go"), "").unwrap();
    let told = Ground::ends(first).ends(0);
    assert!(told.err.contains("evil/.git"), "{told:?}");
    fs::write(ground.at("went"), "").unwrap();
    let told = Ground::ends(second).ends(0);
    for name in ["evil/.git/config", ".envrc", ".git/rebase-merge/git-rebase-todo"] {
        assert!(!ground.at(name).exists(), "{name}: {told:?}");
    }
}

/// The same of what stands in the repository itself; a third starts while the second has put it back.
#[test]
fn what_a_program_made_in_a_repository_was_not_there_for_those_that_start_meanwhile() {
    let ground = Ground::repository();
    ground.host("rm -f .git/COMMIT_EDITMSG; echo precious > precious");
    let makes = format!(
        "ln -sfn $PWD/precious .git/COMMIT_EDITMSG; {EVIL} > .git/config.worktree; mkdir -p .git/remotes; \
         echo 'URL: evil' > .git/remotes/origin; true"
    );
    let begins = |n: usize| {
        let tries = if n == 1 { "" } else { "until test -e go; do sleep 0.02; done; rm go;" };
        ground.begins(&format!(
            "{tries} {makes}; touch made; until test -e end; do sleep 0.02; done; rm end"
        ))
    };
    let mut before = begins(1);
    for n in 2..5 {
        until("what it makes", || ground.at("made").exists());
        fs::remove_file(ground.at("made")).unwrap();
        let next = begins(n);
        fs::write(ground.at("end"), "").unwrap();
        let told = Ground::ends(before).ends(0);
        for name in ["COMMIT_EDITMSG", "config.worktree", "remotes/origin"] {
            let path = ground.at(".git").join(name);
            assert!(path.symlink_metadata().is_err(), "{n} {name}: {told:?}");
        }
        fs::write(ground.at("go"), "").unwrap();
        before = next;
    }
    until("what it makes", || ground.at("made").exists());
    fs::write(ground.at("end"), "").unwrap();
    Ground::ends(before).ends(0);
}

/// What one writes beside its workspace is the workspace of the other.
#[test]
fn what_a_program_made_beside_its_workspace_was_not_there_for_one_that_starts_meanwhile() {
    for killed in [false, true] {
        let ground = Ground::new();
        let shared = ground.beside.path().canonicalize().unwrap().join("shared");
        fs::create_dir(&shared).unwrap();
        fs::write(shared.join("file"), "").unwrap();
        let policy = format!("allow_write: [., {}]\n", shared.display());
        ground.place.write("policy.yaml", &policy);
        let makes = format!(
            "cd {}; git init -q --bare docs && {EVIL} >> docs/config; printf '\\tbare = false\\n\\tworktree = .\\n' \
             >> docs/config; echo EVIL > .mcp.json; touch made; until test -e go; do sleep 0.02; done",
            shared.display()
        );
        let words = ["sandbox", "--policy", "policy.yaml", "--", "sh", "-c", &makes];
        let mut first = ground.command(&words);
        let first = first.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut first = first.unwrap();
        wait_for("what it makes", &shared.join("made"), &mut first);
        if killed {
            first.kill().unwrap();
            first.wait().unwrap();
            until("its end", || processes::left(ground.place.path(), Duration::ZERO).is_empty());
            let mut second = ground.command(&["sandbox", "--", "true"]);
            let told = said(&second.current_dir(&shared).output().unwrap()).ends(0);
            assert!(told.err.contains(".mcp.json` was made by a program"), "{told:?}");
        } else {
            let restores = "touch begun; until test -e went; do sleep 0.02; done; \
                            mv docs/HEAD.refused docs/HEAD; mv .mcp.json.refused .mcp.json; true";
            let mut second = ground.command(&["sandbox", "--", "sh", "-c", restores]);
            let second = second.current_dir(&shared).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut second = second.spawn().unwrap();
            wait_for("the second", &shared.join("begun"), &mut second);
            fs::write(shared.join("go"), "").unwrap();
            let told = Ground::ends(first).ends(0);
            assert!(!told.err.contains(".botpipe` was made"), "the other's stand-in: {told:?}");
            fs::write(shared.join("went"), "").unwrap();
            Ground::ends(second).ends(0);
        }
        for name in ["docs/HEAD", ".mcp.json", ".botpipe"] {
            assert!(!shared.join(name).exists(), "{name}, killed: {killed}");
        }
    }
}

#[test]
fn what_a_program_made_is_found_though_its_botpipe_was_killed() {
    let ground = Ground::repository();
    let mut command = ground.begins("echo x > .envrc; touch made; sleep 60");
    until("what it makes", || ground.at("made").exists());
    command.kill().unwrap();
    command.wait().unwrap();
    until("its end", || processes::left(ground.place.path(), Duration::ZERO).is_empty());
    let told = ground.runs("true").ends(0);
    assert!(told.err.contains(".envrc` was made by a program"), "{told:?}");
    assert!(!ground.at(".envrc").exists());
    assert_eq!(ground.runs("true").ends(0).err, "", "and that once");
}

/// With a lock on what stands in for a missing folder.
#[test]
fn a_program_keeps_no_other_from_starting_for_ever() {
    let ground = Ground::repository();
    let locks = "git init -q n; rm -r n/.git/hooks; mkdir n/.git/hooks; exec 9<n/.git/hooks; flock -x 9; touch made";
    let first = ground.begins(&format!("{locks}; {UNTIL_GO}"));
    until("the lock", || ground.at("made").exists());
    let told = ground.runs("true").ends(125);
    assert!(told.err.contains("holds it by a lock; end that program first"), "{told:?}");
    fs::write(ground.at("go"), "").unwrap();
    Ground::ends(first).ends(0);
    ground.runs("true").ends(0);
}

/// Each repository needs two stand-ins.
#[test]
fn many_small_repositories_stop_no_start() {
    let ground = Ground::repository();
    ground.host(
        "git init -q --bare r1; rm -r r1/hooks; for n in $(seq 2 150); do cp -r r1 r$n; done",
    );
    let said =
        ground.in_shell("ulimit -Sn 256; exec $BOTPIPE sandbox -- sh -c 'ulimit -Sn'").ends(0);
    assert_eq!(said.out, "256\n", "the program has what the person has");
}

/// A user namespace has a bound of its own.
#[test]
fn a_program_goes_no_further_than_what_is_denied_is_watched() {
    let ground = Ground::new();
    let bounds = "unshare -Ur sh -c 'echo 12 > /proc/sys/user/max_inotify_watches'";
    if ground.in_shell(bounds).code != 0 {
        return; // no such namespaces here
    }
    ground.place.write("policy.yaml", "allow_write: [.]\ndeny_read: ['**/.env']\n");
    let does = "for n in $(seq 40); do mkdir d$n; done; sleep 60; touch survived";
    let script = "unshare -Ur sh -c 'echo 12 > /proc/sys/user/max_inotify_watches; \
                  exec $BOTPIPE sandbox --policy policy.yaml -- sh -c \"$DOES\"'";
    let told = ground.in_shell(&format!("export DOES='{does}'; {script}")).ends(128 + 9);
    assert!(told.err.contains("turned up and could not be watched"), "{told:?}");
    assert!(!ground.at("survived").exists());
}

impl Ground {
    /// What a person's shell says; `$BOTPIPE` is the binary.
    fn in_shell(&self, script: &str) -> Said {
        let own = self.command(&[]);
        let mut shell = Command::new("sh");
        shell.args(["-c", script]).current_dir(self.place.path()).stdin(Stdio::null());
        shell.env("BOTPIPE", env!("CARGO_BIN_EXE_botpipe"));
        for (name, value) in own.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        said(&shell.output().unwrap())
    }
}
