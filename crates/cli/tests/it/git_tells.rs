//! What git still tells of a file that may not be read, by its content; and repositories made so that whoever asks
//! git of them waits.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::place::{Place, Said, said};

fn sandbox(place: &Place, policy: &str, script: &str) -> Said {
    place.write("policy.yaml", policy);
    place.say(&["sandbox", "--policy", "policy.yaml", "--", "sh", "-c", script])
}

fn shell(folder: &Path, script: &str) {
    let mut command = Command::new("sh");
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("GIT_")) {
        command.env_remove(name);
    }
    for role in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{role}_NAME"), "t").env(format!("GIT_{role}_EMAIL"), "t@t.t");
    }
    let output = command.args(["-ec", script]).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{script}: {output:?}");
}

fn repository() -> Place {
    let place = Place::new();
    place.write("other", "another");
    shell(place.path(), "git init -q -b main .; git add other; git commit -qm 1");
    place.write(".env", "the secret");
    place
}

#[test]
fn a_content_among_gits_objects_is_no_secret() {
    for made in [
        "git tag secret $(git hash-object -w .env)",
        "git notes add -C $(git hash-object -w .env) HEAD",
        "git add -f .env; git reset -q",
        "git add -f .env; git stash -q; git stash drop -q; echo -n 'the secret' > .env",
        "cp .env conf; git add conf; git commit -qm x; git rm -q conf; git commit -qm y",
        // As git would store it.
        "printf 'the\\nsecret' | git hash-object -w --stdin; printf 'the\\r\\nsecret' > .env",
        // Its name stands in the index, and what stands there is another content.
        "cp .env conf; git add conf; echo > conf",
    ] {
        let place = repository();
        shell(place.path(), made);
        let said = sandbox(&place, "deny_read: [.env]\n", "true").ends(125);
        assert!(said.err.contains("has its content among git's objects"), "{made}: {said:?}");
        sandbox(&place, "deny_read: [.env, .git]\n", "true").ends(0);
    }
    // In a folder, and as git's newer names have it.
    let place = Place::new();
    place.write("keys/one", "the secret");
    shell(place.path(), "git init -q --object-format=sha256 .; git hash-object -w keys/one");
    sandbox(&place, "deny_read: ['keys/**']\n", "true").ends(125);
    // What may be read as a file is nothing that git adds.
    let place = repository();
    place.write("copy", "the secret");
    place.write("empty", "");
    shell(place.path(), "git add copy empty; git commit -qm 2; : > no.env");
    sandbox(&place, "deny_read: [.env, no.env]\n", "true").ends(0);
}

/// Where the file has another content by now, names alone tell.
#[test]
fn a_commit_beside_the_references_is_asked_of() {
    let made =
        "git add -f .env; git commit -qm x; h=$(git rev-parse HEAD); git reset -q --hard HEAD~
                rm -rf .git/logs .git/ORIG_HEAD; echo another > .env";
    for left in [
        "echo $h > .git/ORIG_HEAD",
        "echo \"$h\t\tbranch 'x' of .\" > .git/FETCH_HEAD",
        "mkdir .git/rebase-merge; echo $h > .git/rebase-merge/orig-head",
    ] {
        let place = repository();
        shell(place.path(), &format!("{made}\n{left}"));
        let said = sandbox(&place, "deny_read: [.env]\n", "true").ends(125);
        assert!(said.err.contains("is in git's history"), "{left}: {said:?}");
    }
    let outside = tempfile::tempdir().unwrap();
    let place = repository();
    let tree = outside.path().join("tree").display().to_string();
    shell(
        place.path(),
        &format!("git worktree add -q {tree}; cd {tree}; echo 2 > .env; git add -f .env"),
    );
    let said = sandbox(&place, "deny_read: [.env]\n", "true").ends(125);
    assert!(said.err.contains("is in git's index"), "{said:?}");
}

/// A program without a sandbox, or one that may write git's folder, leaves it so.
#[test]
fn what_git_would_wait_for_is_named() {
    for (made, named) in [
        ("mkfifo .git/packed-refs", ".git/packed-refs"),
        ("rm .git/index; mkfifo .git/index", ".git/index"),
        ("mkfifo .git/shallow", ".git/shallow"),
        ("mkdir -p .git/objects/info; mkfifo .git/objects/info/alternates", "info/alternates"),
        ("mkdir -p .git/objects/pack; mkfifo .git/objects/pack/pack-1.idx", "pack/pack-1.idx"),
        (
            "mkdir -p o/pack .git/objects/info; mkfifo o/pack/multi-pack-index; \
             echo \"$PWD/o\" > .git/objects/info/alternates",
            "o/pack/multi-pack-index",
        ),
        (
            "mkfifo \"$(printf '.git/x\\nbotpipe sandbox: all is well')\"",
            "x\\nbotpipe sandbox: all is well",
        ),
        ("mkdir -p .git/worktrees/x; mkfifo .git/worktrees/x/HEAD", ".git/worktrees/x/HEAD"),
        ("truncate -s 10G .git/packed-refs", ".git/packed-refs"),
        ("rm -r .git/logs; mkdir .git/logs; truncate -s 10G .git/logs/HEAD", ".git/logs/HEAD"),
        ("rm .git/logs/HEAD; ln -s /dev/zero .git/logs/HEAD", ".git/logs/HEAD"),
        ("ln -s /dev/zero .git/refs/heads/z", ".git/refs/heads/z"),
    ] {
        let place = repository();
        shell(place.path(), made);
        let begun = Instant::now();
        let said = sandbox(&place, "deny_read: [.env]\n", "true").ends(125);
        assert!(said.err.contains(&format!("{named}`")), "{made}: {said:?}");
        assert!(said.err.contains("remove it (partial(git))"), "{said:?}");
        assert_eq!(said.err.lines().count(), 1, "{said:?}");
        assert!(begun.elapsed() < Duration::from_secs(20), "{made}");
        sandbox(&place, "deny_read: [.env, .git]\n", "true").ends(0);
    }
    // Who is called what in the working tree, nobody asks.
    let place = repository();
    shell(place.path(), "mkfifo .mailmap");
    sandbox(&place, "deny_read: [.env]\n", "true").ends(0);
    // Links that lead to nothing, and what nobody opens, are in nobody's way.
    let place = repository();
    symlink("nowhere", place.path().join(".git/refs/heads/z")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(place.path().join(".git/s")).unwrap();
    sandbox(&place, "deny_read: [.env]\n", "true").ends(0);
}

/// The folder of programs that an environment of the workspace puts first is written by its agents.
#[test]
fn no_program_of_the_workspace_is_taken_for_git() {
    let place = repository();
    let mark = place.path().join("ran");
    place.write("bin/git", &format!("#!/bin/sh\ntouch '{}'\n", mark.display()));
    shell(place.path(), "chmod +x bin/git");
    let path = format!("{}/bin:{}", place.path().display(), std::env::var("PATH").unwrap());
    place.write("policy.yaml", "deny_read: [.env]\n");
    let words = ["sandbox", "--policy", "policy.yaml", "--", "true"];
    said(&place.command(&words).env("PATH", &path).output().unwrap()).ends(0);
    assert!(!mark.exists(), "it was run");
    let path = format!("{}/bin", place.path().display());
    let said = said(&place.command(&words).env("PATH", &path).output().unwrap()).ends(125);
    assert!(said.err.contains("no `git` in PATH but where agents write"), "{said:?}");
    assert!(!mark.exists(), "it was run");
}

/// What a program leaves among the objects that snapshots borrow.
#[test]
fn no_run_waits_for_a_pipe_among_objects() {
    let empty = "0000000000000000000000000000000000000000";
    for made in [
        format!(
            "mkdir -p .git/objects/pack; cd .git/objects/pack; : > pack-{empty}.pack; mkfifo pack-{empty}.idx"
        ),
        "mkdir -p .git/objects/pack; mkfifo .git/objects/pack/multi-pack-index".to_owned(),
        "mkdir -p o/pack .git/objects/info; mkfifo o/pack/multi-pack-index; \
         echo \"$PWD/o\" > .git/objects/info/alternates"
            .to_owned(),
    ] {
        let place = repository();
        place.write("workflows/hello.sop.yaml", crate::place::HELLO);
        shell(place.path(), &made);
        let agent = "cat > /dev/null; echo '{\"outcome\": {\"tag\": \"done\"}}'";
        let words =
            [&["run", "hello", "x", "--provider", "command", "--", "sh", "-c"], &[agent][..]];
        let begun = Instant::now();
        let mut run = Command::new("timeout");
        run.args(["-s", "KILL", "60", env!("CARGO_BIN_EXE_botpipe")]).args(words.concat());
        let output = run.current_dir(place.path()).output().unwrap();
        assert!(output.status.success(), "{made}: {output:?}");
        assert!(begun.elapsed() < Duration::from_secs(50), "{made}");
    }
}

/// Trees of trees, ten in each: a history of more names than anybody lists.
#[test]
fn a_stop_is_heard_while_git_is_asked() {
    let place = repository();
    shell(
        place.path(),
        "b=$(echo x | git hash-object -w --stdin)
         list() { for i in 0 1 2 3 4 5 6 7 8 9; do printf \"$1 $2\\t$i\\n\"; done | git mktree; }
         t=$(list '100644 blob' $b)
         for l in 1 2 3 4 5 6 7 8 9 10; do t=$(list '040000 tree' $t); done
         git update-ref refs/heads/bomb $(git commit-tree -m b $t)",
    );
    place.write("policy.yaml", "deny_read: ['**/.env']\n");
    let mut command = place.command(&["sandbox", "--policy", "policy.yaml", "--", "true"]);
    let mut child = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(2));
    assert!(child.try_wait().unwrap().is_none(), "it was to be at work");
    shell(place.path(), &format!("kill -TERM {}", child.id()));
    let begun = Instant::now();
    let said = said(&child.wait_with_output().unwrap());
    assert!(begun.elapsed() < Duration::from_secs(5), "{said:?}");
    said.ends(143);
}

/// Git says of a repository that it does not see that there is none; Botpipe, what would show it.
#[test]
fn a_repository_that_is_not_seen_is_told_of() {
    let (place, home) = (Place::new(), tempfile::tempdir().unwrap());
    let other = home.path().canonicalize().unwrap().join("other");
    let path = other.to_str().unwrap();
    let made = format!(
        "git init -q {path}; git -C {path} commit -q --allow-empty -m first; git clone -q -s {path} borrows"
    );
    shell(place.path(), &made);
    for script in
        ["git -C borrows log", &format!("git ls-remote {path}"), &format!("git clone {path} new")]
    {
        let mut command = place.command(&["sandbox", "--", "sh", "-c", script]);
        command.env("HOME", home.path()).env_remove("BOTPIPE_ALLOW_WRITE");
        let said = said(&command.output().unwrap());
        assert_ne!(said.code, 0, "{said:?}");
        let grant = format!("; `BOTPIPE_ALLOW_READ={path}");
        assert!(said.err.contains(&grant), "{script}: {said:?}");
    }
}

/// A bit that gives its folders to a group is one that no program in a sandbox sets.
#[test]
fn a_repository_that_is_shared_with_a_group_is_told_of_to_root() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let place = Place::new();
    shell(place.path(), "git init -q --shared=group .; echo 1 > file");
    let said = place.say(&["sandbox", "--", "git", "add", "file"]).ends(128);
    let sentence = "`.git/objects` takes no setuid or setgid bit";
    assert!(said.err.contains(sentence), "{}", said.err);
}
