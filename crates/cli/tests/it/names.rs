//! What a policy denies is denied by every name: through links, by hard links, by another name's place, and in
//! what git still tells.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::place::{Place, Said};

fn sandbox(place: &Place, policy: &str, script: &str) -> Said {
    place.write("policy.yaml", policy);
    place.say(&["sandbox", "--policy", "policy.yaml", "--", "sh", "-c", script])
}

fn text(place: &Place, name: &str) -> String {
    fs::read_to_string(place.path().join(name)).unwrap()
}

#[test]
fn what_is_denied_through_a_link_is_not_read_by_its_own_path() {
    let place = Place::new();
    let outside = tempfile::tempdir().unwrap();
    place.write("conf.d/secret.yaml", "the secret");
    place.write("conf.d/deep/secret.yaml", "the secret");
    fs::write(outside.path().join("secret.yaml"), "the secret").unwrap();
    symlink("conf.d", place.path().join("config")).unwrap();
    symlink("../conf.d/deep", place.path().join("conf.d/way")).unwrap();
    symlink(outside.path(), place.path().join("elsewhere")).unwrap();
    for (denied, path) in [
        ("config/secret.yaml", "conf.d/secret.yaml"),
        ("config/*.yaml", "conf.d/secret.yaml"),
        ("c*g/{secret,key}.yaml", "conf.d/secret.yaml"),
        ("config/**", "conf.d/deep/secret.yaml"),
        ("config/way/secret.yaml", "conf.d/deep/secret.yaml"),
        ("config/*/s*.yaml", "conf.d/deep/secret.yaml"),
        ("elsewhere/secret.yaml", "elsewhere/secret.yaml"),
        ("elsewhere/*.yaml", "elsewhere/secret.yaml"),
        ("**/*.yaml", "elsewhere/secret.yaml"),
    ] {
        for rest in ["allow_write: [.]", "sandbox_mode: read_only"] {
            let policy = format!("deny_read: ['{denied}']\n{rest}\n");
            place.write("policy.yaml", &policy);
            let mut command =
                place.command(&["sandbox", "--policy", "policy.yaml", "--", "cat", path]);
            // It lies in a folder that programs have for themselves.
            command.env("BOTPIPE_ALLOW_READ", outside.path());
            let said = crate::place::said(&command.output().unwrap()).ends(1);
            assert!(!said.out.contains("secret"), "{policy}: {said:?}");
        }
    }
}

/// What the host makes there while a program runs is covered as well.
#[test]
fn what_comes_to_be_denied_through_a_link_is_not_read() {
    let place = Place::new();
    place.write("conf.d/other", "");
    symlink("conf.d", place.path().join("config")).unwrap();
    let said = sandbox(
        &place,
        "deny_read: [config/secret.yaml]\n",
        "echo x > conf.d/secret.yaml; sleep 0.3; cat conf.d/secret.yaml",
    );
    assert!(said.code != 0 && said.out.is_empty(), "{said:?}");
}

/// Looking through a whole disk at each start is no way: it is said what is.
#[test]
fn a_pattern_that_means_too_much_outside_is_refused() {
    let place = Place::new();
    symlink("/usr", place.path().join("way")).unwrap();
    let said = sandbox(&place, "deny_read: ['**/*.none']\n", "true").ends(125);
    assert!(said.err.contains("the link `") && said.err.contains("way` leads to"), "{said:?}");
    sandbox(&place, "deny_read: ['src/**/*.none', 'way/share/doc/**']\n", "true").ends(0);
}

#[test]
fn what_is_not_written_is_not_written_by_another_name() {
    let place = Place::new();
    let make = || {
        for name in ["conf", "link", "real", "file", "twin"] {
            let path = place.path().join(name);
            drop(fs::remove_file(&path));
            drop(fs::remove_dir_all(&path));
        }
        place.write("real/x", "kept");
        place.write("file", "kept");
        fs::hard_link(place.path().join("file"), place.path().join("twin")).unwrap();
        symlink("real", place.path().join("conf")).unwrap();
        symlink("file", place.path().join("link")).unwrap();
    };
    let replace =
        "rm -f conf && mkdir conf; echo evil > conf/x; rm -f link; echo evil > link; true";
    for (denied, script, name) in [
        ("file", "echo evil > twin", "file"),
        ("[f]ile", "echo evil > twin", "file"),
        ("conf", replace, "conf/x"),
        ("conf/x", replace, "conf/x"),
        ("conf/*", replace, "conf/x"),
        ("c*", replace, "conf/x"),
        ("conf", "echo evil > real/x", "conf/x"),
        ("conf", "mv conf old; ln -s /tmp conf; mv real other", "conf/x"),
        ("link", replace, "link"),
        ("l*", replace, "link"),
        ("l*", "echo evil > twin", "link"),
    ] {
        make();
        let said = sandbox(&place, &format!("deny_write: ['{denied}']\n"), script);
        assert_eq!(text(&place, name), "kept", "{denied}: {said:?}");
    }
}

#[test]
fn a_pipe_that_is_not_written_delivers_nothing() {
    let place = Place::new();
    assert!(Command::new("mkfifo").arg(place.path().join("pipe")).status().unwrap().success());
    let got = place.path().join("got");
    let script = format!("timeout 5 cat pipe > '{}'", got.display());
    let mut reader =
        Command::new("sh").args(["-c", &script]).current_dir(place.path()).spawn().unwrap();
    sandbox(&place, "deny_write: [pipe]\n", "timeout 1 sh -c 'echo evil > pipe'").ends(2);
    reader.wait().unwrap();
    assert_eq!(fs::read_to_string(got).unwrap(), "");
}

fn git(place: &Place, words: &[&str]) {
    let mut git = Command::new("git");
    git.args(["-c", "user.name=t", "-c", "user.email=t@example.com"]).args(words);
    let output = git.current_dir(place.path()).output().unwrap();
    assert!(output.status.success(), "{words:?}: {output:?}");
}

fn commit(place: &Place, folder: &str) {
    let at = |args: &[&str]| git(place, &[&["-C", folder], args].concat());
    at(&["add", "-f", "."]);
    at(&["commit", "-qm", "made"]);
}

/// Asked of git in the words of the policy, wherever the repository is.
#[test]
fn what_git_still_tells_is_refused_in_every_repository() {
    for (secret, repository, denied) in [
        ("app.key", ".", "**/*.{env,key}"),
        ("app.key", ".", "[!b]pp.key"),
        ("sub/.env", "sub", "**/.env"),
        ("sub/.env", "sub", "sub/.env"),
        ("conf.d/.env", ".", "config/.env"),
    ] {
        let place = Place::new();
        place.write(secret, "the secret");
        place.write(&format!("{repository}/other"), "");
        symlink("conf.d", place.path().join("config")).unwrap();
        git(&place, &["init", "-q", repository]);
        commit(&place, repository);
        let policy = format!("deny_read: ['{denied}']\n");
        let said = sandbox(&place, &policy, "true").ends(125);
        assert!(said.err.contains(secret) && said.err.contains("partial(git)"), "{said:?}");
        fs::remove_file(place.path().join(secret)).unwrap();
        commit(&place, repository);
        let said = sandbox(&place, &policy, "true").ends(125);
        assert!(said.err.contains("is in git's history"), "{said:?}");
        // The way out is one.
        let out = said.err.split_once("; `deny_read: [").unwrap().1.split_once("]`").unwrap().0;
        let policy = format!("deny_read: ['{denied}', {out}]\n");
        sandbox(&place, &policy, &format!("git -C {repository} log")).ends(128);
    }
}

/// A side of a merge that left nothing behind, which git leaves out of a file's history.
#[test]
fn what_a_merge_left_out_is_still_told() {
    let place = Place::new();
    git(&place, &["init", "-q", "-b", "main"]);
    place.write("a", "");
    commit(&place, ".");
    git(&place, &["checkout", "-qb", "side"]);
    place.write(".env", "the secret");
    commit(&place, ".");
    fs::remove_file(place.path().join(".env")).unwrap();
    commit(&place, ".");
    git(&place, &["checkout", "-q", "main"]);
    place.write("b", "");
    commit(&place, ".");
    git(&place, &["merge", "-q", "--no-ff", "-m", "both", "side"]);
    git(&place, &["branch", "-qD", "side"]);
    fs::remove_dir_all(place.path().join(".git/logs")).unwrap();
    let said = sandbox(&place, "deny_read: [.env]\n", "true").ends(125);
    assert!(said.err.contains("is in git's history"), "{said:?}");
}

#[test]
fn a_repository_around_the_workspace_is_asked_as_well() {
    let place = Place::new();
    git(&place, &["init", "-q"]);
    place.write("pkg/.env", "the secret");
    place.write("pkg/other", "");
    commit(&place, ".");
    place.write("policy.yaml", "deny_read: [.env]\n");
    let args = [
        "sandbox",
        "--workspace",
        "pkg",
        "--policy",
        "policy.yaml",
        "--",
        "git",
        "show",
        "HEAD:pkg/.env",
    ];
    let said = place.say(&args).ends(125);
    assert!(said.err.contains("partial(git)") && !said.out.contains("secret"), "{said:?}");
    place.write("policy.yaml", "deny_read: [other.env]\n");
    place.say(&args).ends(0);
}

/// A person learns of it before anything is started.
#[test]
fn what_git_tells_is_told_before_a_run() {
    let workflow = "sop: 1\nname: work\npolicy: { deny_read: [.env] }\nsteps:\n  - id: make\n    prompt: Make.\n";
    let place = Place::with("work", workflow);
    git(&place, &["init", "-q"]);
    place.write(".env", "secret");
    commit(&place, ".");
    for args in [
        &["policy", "explain", "work"][..],
        &["run", "work", "x", "--dry-run", "--provider", "command", "--", "true"],
    ] {
        let said = place.say(args).ends(7);
        assert!(said.out.contains("partial(git)"), "{said:?}");
        assert!(said.out.contains("`deny_read: [.git]` beside it hides git as well"), "{said:?}");
    }
    assert!(!Path::new(&place.path().join(".botpipe/botpipe.db")).exists());
}

/// What a program makes of what steers others is put aside, folders of several names too, and the project's own is not.
#[test]
fn what_steers_a_persons_tools_does_not_come_to_be() {
    let place = Place::new();
    let steers = ["mise.local.toml", "mise/config.toml", ".mise/config.toml", ".config/mise.toml"];
    let steers =
        [&steers[..], &["crush.json", ".kiro/settings/mcp.json", ".aider.conf.yml"]].concat();
    let steers = [&steers[..], &[".dir-locals.el", ".hg/hgrc", ".jj/repo/config.toml"]].concat();
    let work = ["mise/tasks/build", ".hg/store/data", ".github/workflows/ci.yml", "AGENTS.md"];
    let all = [&steers[..], &work].concat().join(" ");
    let script = format!("for f in {all}; do mkdir -p $(dirname $f) && echo x > $f; done");
    sandbox(&place, "{}", &script).ends(0);
    let there = |name: &&str| place.path().join(name).exists();
    assert_eq!(steers.into_iter().filter(there).collect::<Vec<_>>(), [""; 0]);
    assert!(work.iter().all(there));
    // What is there already is read only, with the folders it lies in.
    place.write(".jj/repo/config.toml", "mine");
    let tries = "echo x > .jj/repo/config.toml; mv .jj/repo .jj/other; mv .jj other; true";
    sandbox(&place, "{}", tries).ends(0);
    assert_eq!(fs::read_to_string(place.path().join(".jj/repo/config.toml")).unwrap(), "mine");
}
