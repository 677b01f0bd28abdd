//! Root at work in a workspace of another user's, as a container is on files of its host: what programs may do, and
//! whose what they make is. Only root can try it.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::harness::fake_codex;
use crate::place::{HELLO, Place, Said, kill_once, said};
use crate::worktrees::{git, read};

/// The accounts that are tried: one that no list has, and one whose number is that of root inside.
const ACCOUNTS: [(u32, u32); 2] = [(4321, 1234), (1000, 1000)];

fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// Gives a folder away, with all that is in it.
fn give(path: &Path, (user, group): (u32, u32)) {
    let owner = format!("{user}:{group}");
    assert!(Command::new("chown").args(["-hR", &owner]).arg(path).status().unwrap().success());
}

fn owner(path: &Path) -> (u32, u32) {
    let there =
        path.symlink_metadata().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    (there.uid(), there.gid())
}

/// The files of a workspace that are not an account's, but for Botpipe's own.
fn of_others(place: &Place, account: (u32, u32)) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![place.path().to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path == place.path().join(".botpipe") {
                continue;
            }
            if owner(&path) != account {
                found.push(path.display().to_string());
            }
            if path.is_dir() && !path.is_symlink() {
                open.push(path);
            }
        }
    }
    found
}

/// A repository with a commit, of an account's.
fn repository(account: (u32, u32)) -> Place {
    let place = Place::new();
    git(place.path(), &["init", "-q", "-b", "main"]);
    place.write("src/main", "one\n");
    git(place.path(), &["add", "."]);
    git(place.path(), &["commit", "-q", "-m", "first"]);
    give(place.path(), account);
    place
}

/// Without the grants that other tests need.
fn command(place: &Place, words: &[&str]) -> Command {
    let mut command = place.command(words);
    command.env_remove("BOTPIPE_ALLOW_WRITE");
    command
}

fn inside(place: &Place, script: &str) -> Said {
    said(&command(place, &["sandbox", "--", "sh", "-c", script]).output().unwrap())
}

#[test]
fn a_command_works_there_as_its_owner_would() {
    if !is_root() {
        return;
    }
    for account in ACCOUNTS {
        let place = repository(account);
        let script = "id -u; id -g; stat -c %u . src/main; \
                      git status --short; echo two >> src/main; mkdir new; touch new/file; git add .; \
                      git -c user.name=A -c user.email=a@example.org commit -qm second; git log --format=%s; \
                      touch ~/own /tmp/own && cd && pwd && echo $USER && echo heard > /dev/stderr; \
                      test \"$(getent passwd $(id -u) | cut -d: -f6)\" = \"$HOME\" && echo listed";
        let done = inside(&place, script).ends(0);
        let (user, group) = account;
        let begins = format!("{user}\n{group}\n{user}\n{user}\nsecond\nfirst\n");
        assert!(done.out.starts_with(&begins), "{done:?}");
        assert!(done.out.ends_with("listed\n") && done.err.contains("heard"), "{done:?}");
        assert!(
            !done.out.contains("root\n") || std::env::var("HOME").unwrap() == "/root",
            "{done:?}"
        );
        assert_eq!(of_others(&place, account), [""; 0]);
        assert_eq!(read(&place, "src/main"), "one\ntwo\n");
    }
}

#[test]
fn what_is_others_and_what_steers_stays_closed_there() {
    if !is_root() {
        return;
    }
    for account in ACCOUNTS {
        let place = repository(account);
        place.write("roots", "a secret of root\n");
        place.write("others", "a secret of others\n");
        for (name, user) in [("roots", 0), ("others", 7777)] {
            let path = place.path().join(name);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            chown(&path, Some(user), Some(user)).unwrap();
        }
        fs::create_dir(place.path().join(".botpipe")).unwrap();
        let script = "for it in roots others /etc/shadow; do cat $it; echo x >> $it; done; \
                      echo x > .git/hooks/pre-commit; echo x >> .git/config; touch .botpipe/x; touch .envrc; \
                      cat /etc/shadow; chown 0 src; chown 1000 src; chown 1001 src; chmod u+s src/main; true";
        let done = inside(&place, script).ends(0);
        assert!(!done.out.contains("secret") && !done.out.contains("root:"), "{done:?}");
        let (user, group) = account;
        let told = format!(
            "`roots` is user 0's, and programs run as user {user}; `chown -R {user}:{group} {}` gives it to them",
            place.path().canonicalize().unwrap().join("roots").display()
        );
        assert!(done.err.contains(&told), "{done:?}");
        assert_eq!(read(&place, "roots"), "a secret of root\n");
        assert_eq!(read(&place, "others"), "a secret of others\n");
        for name in [".git/hooks/pre-commit", ".botpipe/x", ".envrc"] {
            assert!(!place.path().join(name).exists(), "{name}: {done:?}");
        }
        assert!(!read(&place, ".git/config").contains("x\nx"), "{done:?}");
        assert_eq!(owner(&place.path().join("src")), account);
        assert_eq!(place.path().join("src/main").metadata().unwrap().mode() & 0o7000, 0);
    }
}

#[test]
fn a_tool_chain_of_roots_is_seen_there() {
    if !is_root() {
        return;
    }
    let place = repository(ACCOUNTS[0]);
    let home = tempfile::tempdir().unwrap();
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o700)).unwrap();
    fs::create_dir_all(home.path().join(".cargo/bin")).unwrap();
    fs::create_dir_all(home.path().join(".ssh")).unwrap();
    let tool = home.path().join(".cargo/bin/tool");
    fs::write(
        &tool,
        "#!/bin/sh\necho built > out; echo kept > ~/.cargo/cache && cat ~/.cargo/cache\n",
    )
    .unwrap();
    fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).unwrap();
    // Settings of root's alone are not there, rather than in the way.
    fs::write(home.path().join(".gitconfig"), "[user]\n\tname = Root\n").unwrap();
    let closed = fs::Permissions::from_mode(0o600);
    fs::set_permissions(home.path().join(".gitconfig"), closed).unwrap();
    let mut command =
        command(&place, &["sandbox", "--", "sh", "-c", "tool && ls -a ~ && git status"]);
    let path = format!("{}:/usr/bin:/bin", home.path().join(".cargo/bin").display());
    let done = said(&command.env("HOME", home.path()).env("PATH", path).output().unwrap()).ends(0);
    assert!(done.out.starts_with("kept\n") && !done.out.contains(".ssh"), "{done:?}");
    assert_eq!(owner(&place.path().join("out")), ACCOUNTS[0]);
    assert!(!home.path().join(".cargo/cache").exists());
}

/// Steps of scripts. The second has a file of its own only when it begins anew.
const SCRIPTS: &str = "\
sop: 1
name: work
artifacts:
  note: { md: deep/note.md }
steps:
  - id: make
    run: 'mkdir -p target && echo out > target/out && mkdir -p $BOTPIPE_WORKFLOW_FOLDER/deep && echo noted > {{ artifacts.note }}'
    writes: [note]
    routes: { done: slow, failed: FAIL }
  - id: slow
    run: 'test ! -e half && cat src/main && rm -r src && echo half > half && if [ ! -e BEGUN ]; then touch BEGUN; sleep 600;
      fi; mkdir again && cat {{ artifacts.note }} target/out'
    reads: [note]
    on_interrupt: restart
    routes: { done: FINISH, failed: FAIL }
";

/// A step makes an artifact and a file, and the next is killed in its midst and taken up again: what it had changed is
/// put back.
#[test]
fn a_run_goes_on_there_and_all_it_makes_is_the_owners() {
    if !is_root() {
        return;
    }
    for account in ACCOUNTS {
        let place = repository(account);
        let outside = tempfile::tempdir().unwrap();
        fs::set_permissions(outside.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let begun = outside.path().join("begun");
        let text = SCRIPTS.replace("BEGUN", begun.to_str().unwrap());
        place.write("workflows/work.sop.yaml", &text);
        give(place.path(), account);
        let start = |words: &[&str]| {
            let mut command = command(&place, words);
            command.env("BOTPIPE_ALLOW_WRITE", outside.path());
            command
        };
        let mut run = start(&["run", "work", "--task", "t"]);
        run.stdout(Stdio::null()).stderr(Stdio::null());
        kill_once(run.spawn().unwrap(), &begun, place.path());
        let done = said(&start(&["resume", "work", "t"]).output().unwrap()).ends(0);
        assert!(!place.path().join("src").exists() && place.path().join("again").exists());
        assert_eq!(of_others(&place, account), [""; 0], "{done:?}");
        let folder = place.path().join(".botpipe/tasks/t/wf_work");
        assert_eq!(fs::read_to_string(folder.join("deep/note.md")).unwrap(), "noted\n");
        for name in ["", "deep", "deep/note.md"] {
            assert_eq!(owner(&folder.join(name)), account, "{name}");
        }
        for roots in [".botpipe", ".botpipe/botpipe.db", ".botpipe/tasks/t"] {
            assert_eq!(owner(&place.path().join(roots)), (0, 0), "{roots}");
        }
        assert_eq!(owner(&folder.join("runs")), (0, 0));
    }
}

/// One who judges has the files of who made them, and builds over what was built.
#[test]
fn who_judges_there_works_on_what_was_made() {
    if !is_root() {
        return;
    }
    let text = "\
sop: 1
name: work
steps:
  - id: make
    produce: Make it.
    checks:
      - look: { run: 'echo more >> target/out && mkdir target/deep && cat target/out && id -u' }
    verify: Look at it.
    routes: { accepted: { to: FINISH, required_checks: [look] }, needs_rework: FAIL }
";
    let place = Place::with("work", text);
    give(place.path(), ACCOUNTS[0]);
    let agent = r#"if [ -e target ]; then cat > asked; tag=accepted; else mkdir -m 700 target; umask 77;
        echo out > target/out; tag=done; fi; echo "{\"outcome\": {\"tag\": \"$tag\"}}""#;
    let words =
        ["run", "work", "x", "--task", "t", "--provider", "command", "--", "sh", "-c", agent];
    said(&command(&place, &words).output().unwrap()).ends(0);
    assert_eq!(read(&place, "target/out"), "out\n");
    assert_eq!(of_others(&place, ACCOUNTS[0]), [""; 0]);
}

#[test]
fn it_is_told_as_whom_programs_run() {
    if !is_root() {
        return;
    }
    let place = Place::with("work", SCRIPTS);
    give(place.path(), ACCOUNTS[0]);
    for words in [&["policy", "explain", "work"][..], &["doctor"]] {
        let told = said(&command(&place, words).output().unwrap());
        let text = format!("{}{}", told.out, told.err);
        assert!(text.contains("as user 4321 with group 1234"), "{words:?}: {told:?}");
    }
}

#[test]
fn branches_with_files_of_their_own_work_there() {
    if !is_root() {
        return;
    }
    let place = crate::worktrees::flow(&[
        (
            "one",
            "id -u; test -w shared && sed -i s/1/ONE/ shared && mkdir one && echo 1 > one/file && git status",
        ),
        ("two", "sed -i s/9/NINE/ shared; rm old; echo 2 > two"),
    ]);
    place.write("shared", &crate::worktrees::lines(&[]));
    place.write("old", "");
    git(place.path(), &["init", "-q", "-b", "main"]);
    git(place.path(), &["add", "."]);
    git(place.path(), &["commit", "-q", "-m", "first"]);
    give(place.path(), ACCOUNTS[0]);
    let done = said(&command(&place, &["run", "side", "--task", "t"]).output().unwrap()).ends(0);
    let merged = crate::worktrees::lines(&[(1, "ONE"), (9, "NINE")]);
    assert_eq!(read(&place, "shared"), merged, "{done:?}");
    assert_eq!(read(&place, "one/file") + &read(&place, "two"), "1\n2\n");
    assert!(!place.path().join("old").exists());
    assert_eq!(of_others(&place, ACCOUNTS[0]), [""; 0]);
}

#[test]
fn where_it_cannot_be_it_is_refused_with_the_way_out() {
    if !is_root() {
        return;
    }
    let place = repository(ACCOUNTS[0]);
    let powerless = |power: &str| {
        let mut command = Command::new("setpriv");
        command.arg(format!("--bounding-set=-{power}")).arg(env!("CARGO_BIN_EXE_botpipe"));
        command.args(["sandbox", "--", "true"]).current_dir(place.path()).stdin(Stdio::null());
        command.env("XDG_CONFIG_HOME", place.path().join(".nobody"));
        said(&command.output().unwrap())
    };
    for power in ["setuid", "setgid"] {
        let told = powerless(power).ends(125).err;
        let says = format!("`CAP_{0}`); `docker run --cap-add {0}` gives it", power.to_uppercase());
        assert!(told.contains(&says), "{told}");
    }
    let other = tempfile::tempdir().unwrap();
    chown(other.path(), Some(7777), Some(7777)).unwrap();
    let policy = format!("allow_write: [., {}]\n", other.path().display());
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), policy).unwrap();
    let words = ["sandbox", "--policy", file.path().to_str().unwrap(), "--", "true"];
    let told = said(&command(&place, &words).output().unwrap()).ends(125).err;
    assert!(
        told.contains("which user 4321 may not write") && told.contains("chown -R 4321:1234"),
        "{told}"
    );
    fs::write(file.path(), "sandbox_mode: danger_full_access\n").unwrap();
    let told = said(&command(&place, &words).output().unwrap()).ends(125).err;
    assert!(told.contains("is user 4321's") && told.contains("`network: full`"), "{told}");
    fs::write(file.path(), "sandbox_mode: danger_full_access\nnetwork: full\n").unwrap();
    said(&command(&place, &words).output().unwrap()).ends(0);
    // Of a command in root's own workspace it is the other who runs.
    let own = Place::new();
    fs::write(file.path(), format!("allow_write: [{}]\n", other.path().display())).unwrap();
    let script = format!("id -u; touch {}/made", other.path().display());
    let words = ["sandbox", "--policy", file.path().to_str().unwrap(), "--", "sh", "-c", &script];
    let done = said(&command(&own, &words).output().unwrap()).ends(0);
    assert_eq!(done.out, "7777\n");
    assert_eq!(owner(&other.path().join("made")), (7777, 7777));
}

#[test]
fn a_harness_has_a_home_there_and_a_login_that_it_cannot_read_is_told() {
    if !is_root() {
        return;
    }
    let place = Place::with("hello", HELLO);
    let home = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/harness/codex/an_answer.txt");
    let login = home.path().join(".codex/auth.json");
    fs::create_dir_all(login.parent().unwrap()).unwrap();
    fs::write(&login, "{}").unwrap();
    fs::set_permissions(&login, fs::Permissions::from_mode(0o600)).unwrap();
    give(place.path(), ACCOUNTS[0]);
    let mut run = fake_codex(&place, &script, &["--json"]);
    run.env("HOME", home.path()).env_remove("BOTPIPE_ALLOW_WRITE");
    run.stdout(Stdio::piped()).stderr(Stdio::piped());
    let told = said(&run.output().unwrap());
    let all = format!("{}{}", told.out, told.err);
    assert!(all.contains("is not read by user 4321") && all.contains("auth.json"), "{told:?}");
    fs::remove_file(login).unwrap();
    let mut resume = command(&place, &["resume", "hello", "t1"]);
    crate::harness::at_home(&mut resume, &place);
    resume.env("HOME", home.path()).env("BOTPIPE_ALLOW_READ", script.parent().unwrap());
    said(&resume.output().unwrap()).ends(0);
    let mut path = home.path().join(".local/state/botpipe/homes");
    for _ in 0..2 {
        path = fs::read_dir(path).unwrap().next().unwrap().unwrap().path();
    }
    for name in ["", "config.toml"] {
        assert_eq!(owner(&path.join(name)), ACCOUNTS[0], "{name}");
    }
}
