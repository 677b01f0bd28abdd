//! The programs of a run in their sandbox: what they see, what stays of what they do, what is recorded.
//! Judged by the host's files, never by what the run says of itself.

use std::fs;
use std::process::Command;

use crate::place::{Place, Said};

fn git(place: &Place, words: &[&str]) -> String {
    let mut git = Command::new("git");
    git.args(["-c", "user.name=t", "-c", "user.email=t@example.com"]).args(words);
    let output = git.current_dir(place.path()).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// An agent that says that all is well, after doing this.
fn agent(does: &str) -> String {
    format!("cat > /dev/null; {does}; echo '{{\"outcome\":{{\"tag\":\"accepted\"}}}}'")
}

fn run(place: &Place, does: &str) -> Said {
    place.run("work", &agent(does), &[])
}

const WORK: &str = "\
sop: 1
name: work
steps:
  - id: make
    produce: Make it.
    checks:
      - look: { run: 'cat made; echo check > by_check; echo check > made' }
    verify: Look at it.
    routes: { accepted: FINISH, needs_rework: FAIL }
";

#[test]
fn what_a_producer_makes_stays_and_what_who_judges_makes_does_not() {
    let place = Place::with("work", WORK);
    run(&place, "echo $BOTPIPE_ROLE > made; echo x > by_$BOTPIPE_ROLE").ends(0);
    let made = fs::read_to_string(place.path().join("made")).unwrap();
    assert_eq!(made, "producer\n");
    assert!(place.path().join("by_producer").exists());
    for name in ["by_verifier", "by_check"] {
        assert!(!place.path().join(name).exists(), "{name}");
    }
}

/// What of `.botpipe` a project keeps is not taken for deleted, nor an artifact for a part of the project.
#[test]
fn a_commit_of_an_agent_has_its_work_and_nothing_of_botpipe() {
    let place = Place::with("work", WORK);
    place.write(".botpipe/workflows/kept.sop.yaml", WORK);
    place.write(".botpipe/.gitignore", "*\n!workflows/\n!workflows/**\n");
    place.write("made", "");
    git(&place, &["init", "-q"]);
    git(&place, &["add", "-A"]);
    git(&place, &["add", "-f", ".botpipe/.gitignore"]);
    git(&place, &["commit", "-qm", "first"]);
    assert!(git(&place, &["ls-files"]).contains(".botpipe/workflows/kept.sop.yaml"));
    let does = "echo more >> made; echo art > \"$BOTPIPE_WORKFLOW_FOLDER/note.md\"; \
                git add -A 2>> said && git -c user.name=a -c user.email=a@example.com commit -qam second";
    let commits = |does: &str| format!("if [ \"$BOTPIPE_ROLE\" = producer ]; then {does}; fi");
    run(&place, &commits(does)).ends(0);
    let changed = git(&place, &["show", "--name-status", "--format=", "HEAD"]);
    assert_eq!(changed, "M\tmade\nA\tsaid\n");
    assert_eq!(fs::read_to_string(place.path().join("said")).unwrap(), "");
}

#[test]
fn records_are_not_seen_and_artifact_places_are_written() {
    let place = Place::with("work", WORK);
    let does = "ls -A .botpipe > seen; cat .botpipe/botpipe.db > /dev/null 2> refused; \
                echo art > \"$BOTPIPE_WORKFLOW_FOLDER/note.md\" 2>> refused || true";
    run(&place, does).ends(0);
    assert_eq!(fs::read_to_string(place.path().join("seen")).unwrap(), ".gitignore\ntasks\n");
    let refused = fs::read_to_string(place.path().join("refused")).unwrap();
    assert!(refused.contains("No such file"), "{refused}");
}

#[test]
fn what_may_not_be_read_is_in_no_snapshot() {
    let denied = WORK.replace("steps:", "policy: { deny_read: ['**/*.key', 'way/*.pem'] }\nsteps:");
    let place = Place::with("work", &denied);
    git(&place, &["init", "-q"]);
    place.write("deep/own.key", "a secret that nobody copies");
    place.write("deep/own.pem", "another that nobody copies");
    std::os::unix::fs::symlink("deep", place.path().join("way")).unwrap();
    place.write("open.txt", "what everybody may see");
    run(&place, "cat deep/own.* > leak 2> refused; cp open.txt made").ends(0);
    let objects = objects_of(&place);
    assert!(objects.contains("what everybody may see"));
    assert!(!objects.contains("nobody copies"));
    assert_eq!(fs::read_to_string(place.path().join("leak")).unwrap(), "");
}

/// Work in the home itself, as new users do.
#[test]
fn a_home_that_is_the_workspace_keeps_its_secrets() {
    let place = Place::with("work", WORK);
    place.write(".ssh/id", "a key that nobody copies");
    place.write(".netrc", "a password that nobody copies");
    place.write("open.txt", "what everybody may see");
    let does =
        "cat .ssh/id .netrc > leak 2> refused; ls .ssh >> leak 2>> refused; cp open.txt made";
    let args = ["run", "work", "x", "--task", "t1", "--provider", "command", "--", "sh", "-c"];
    let mut command = place.command(&[&args[..], &[&agent(does)]].concat());
    command.env("HOME", place.path()).env_remove("BOTPIPE_ALLOW_WRITE");
    crate::place::said(&command.output().unwrap()).ends(0);
    assert_eq!(fs::read_to_string(place.path().join("leak")).unwrap(), "");
    assert_eq!(fs::read_to_string(place.path().join("made")).unwrap(), "what everybody may see");
    let kept = fs::read_to_string(place.path().join(".ssh/id")).unwrap();
    assert_eq!(kept, "a key that nobody copies");
    let objects = objects_of(&place);
    assert!(objects.contains("what everybody may see"));
    assert!(!objects.contains("nobody copies"), "a secret of the home is in a snapshot");
}

fn objects_of(place: &Place) -> String {
    let mut git = Command::new("git");
    git.args(["--git-dir", ".botpipe/snapshots.git"]);
    git.args(["cat-file", "--batch-all-objects", "--batch"]);
    let output = git.current_dir(place.path()).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_root_of_all_is_no_workspace() {
    let place = Place::with("work", WORK);
    let file = place.path().join("workflows/work.sop.yaml");
    let sandbox = place.say(&["sandbox", "--workspace", "/", "--", "true"]).ends(125);
    let run = place.say(&[
        "run",
        file.to_str().unwrap(),
        "x",
        "--workspace",
        "/",
        "--provider",
        "command",
        "--",
        "true",
    ]);
    for said in [sandbox, run.ends(2)] {
        assert!(said.err.contains("`/` cannot be a workspace"), "{said:?}");
        assert!(said.err.contains("`--workspace /srv/project`"), "{said:?}");
        assert!(!said.err.contains("/proc"), "{said:?}");
    }
}

#[test]
fn folders_in_memory_hold_as_much_as_the_policy_gives_memory() {
    let place = Place::new();
    place.write("policy.yaml", "limits: { memory: 16MiB }\n");
    let name = format!("botpipe-full-{}", std::process::id());
    let script = format!(
        "head -c 12000000 /dev/zero > /tmp/{name} && head -c 12000000 /dev/zero > /dev/shm/{name}"
    );
    let args = ["sandbox", "--policy", "policy.yaml", "--", "sh", "-c", &script];
    let mut command = place.command(&args);
    command.env_remove("BOTPIPE_ALLOW_WRITE");
    let said = crate::place::said(&command.output().unwrap()).ends(1);
    assert_eq!(said.err.matches("No space left on device").count(), 1, "{said:?}");
    for folder in ["/tmp", "/dev/shm"] {
        assert!(!std::path::Path::new(folder).join(&name).exists(), "{folder}");
    }
}

#[test]
fn a_secret_that_git_tells_is_refused_with_the_way_out() {
    let denied = WORK.replace("steps:", "policy: { deny_read: [.env] }\nsteps:");
    let place = Place::with("work", &denied);
    git(&place, &["init", "-q"]);
    place.write(".env", "secret");
    git(&place, &["add", "-f", ".env"]);
    git(&place, &["commit", "-qm", "oops"]);
    let said = run(&place, "true").ends(7);
    assert!(
        said.err.contains("git tells it") && said.err.contains("deny_read: [.git]"),
        "{said:?}"
    );
    git(&place, &["rm", "-q", "--cached", ".env"]);
    git(&place, &["commit", "-qm", "no more"]);
    let said = run(&place, "true").ends(7);
    assert!(said.err.contains("history"), "{said:?}");
    place.say(&["runs", "show", "work", "t1"]).ends(3);
}

#[test]
fn what_is_refused_on_the_network_is_told_with_the_line_that_permits_it() {
    let place = Place::with("work", WORK);
    let does = "python3 -c \"
import urllib.request
try: urllib.request.urlopen('http://pypi.org/simple/')
except OSError as e: print('refused', e)
\" >&2";
    let mut command = place.command(&[
        "run",
        "work",
        "x",
        "--task",
        "t1",
        "--provider",
        "command",
        "--",
        "sh",
        "-c",
        &agent(does),
    ]);
    let said = crate::place::said(&command.output().unwrap()).ends(0);
    assert!(said.err.contains("`network_presets: [pypi]` permits it"), "{said:?}");
    let runs = place.path().join(".botpipe/tasks/t1/wf_work/runs");
    let run = fs::read_dir(runs).unwrap().next().unwrap().unwrap().path();
    let activity = fs::read_to_string(run.join("turns/make.1.producer.1.jsonl")).unwrap();
    assert!(activity.contains("botpipe sandbox: `pypi.org:80` is not reached"), "{activity}");
}

#[test]
fn what_steers_others_is_put_aside_and_told() {
    let place = Place::with("work", WORK);
    git(&place, &["init", "-q"]);
    let does = "mkdir -p .claude && echo '{}' > .claude/settings.json; echo x > .git/hooks/pre-commit; \
                echo made > made";
    let said = run(&place, does).ends(0);
    assert!(said.err.contains(".claude.refused"), "{said:?}");
    assert!(!place.path().join(".claude").exists());
    assert!(!place.path().join(".git/hooks/pre-commit").exists());
    assert!(!place.path().join(".git/commondir").exists());
}
