//! What a refusal says where several layers, a placeholder or a limit are why: each line that is told, applied as it
//! stands, permits; and what no line permits is said to be that. A run keeps what its turns were refused.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::Command;

use crate::place::{Place, Said, answers, said};

/// Under a policy of one's own.
fn sandbox(place: &Place, policy: &str, script: &str) -> Said {
    place.write("policy.yaml", policy);
    let args = ["sandbox", "--policy", "policy.yaml", "--", "sh", "-c", script];
    said(&place.command(&args).env_remove("BOTPIPE_ALLOW_WRITE").output().unwrap())
}

/// The lines that Botpipe itself said.
fn told(said: &Said) -> Vec<&str> {
    said.err.lines().filter_map(|line| line.strip_prefix("botpipe sandbox: ")).collect()
}

/// Asks the proxy as a program does.
const ASKS: &str = "bash -c 'exec 3<>/dev/tcp/127.0.0.1/3128; \
                    printf \"CONNECT pypi.invalid:443 HTTP/1.1\\r\\nHost: pypi.invalid:443\\r\\n\\r\\n\" >&3; head -1 <&3'";

/// The author has the host already: it is the other file that has to give.
#[test]
fn the_file_that_keeps_the_network_is_named() {
    let place = Place::new();
    place.write("botpipe.yaml", "policy: { network: none }\n");
    let author = "network: limited\nnetwork_domains: [pypi.invalid]\n";
    let refused = sandbox(&place, author, ASKS);
    let [sentence] = told(&refused)[..] else { panic!("{refused:?}") };
    let line = "`network: limited` with `network_domains: [pypi.invalid]` in `botpipe.yaml`, which narrows it, permits it";
    assert!(sentence.ends_with(&format!("; {line}")), "{sentence}");
    let given = "policy: { network: limited, network_domains: [pypi.invalid] }\n";
    place.write("botpipe.yaml", given);
    let passed = sandbox(&place, author, ASKS);
    assert!(!passed.err.contains("is not reached"), "{passed:?}");
    // Where neither has it, both have to give.
    place.write("botpipe.yaml", "policy: { network: none }\n");
    let refused = sandbox(&place, "network: none\n", ASKS);
    let both = format!("in `policy.yaml` and {line}");
    assert!(told(&refused)[0].ends_with(&both), "{refused:?}");
    let refused = sandbox(&place, "{}\n", "bash -c 'exec 3<>/dev/tcp/new.example/80'");
    let full = "`network: full` in the workflow, or a file of `--policy`, with `network: full` in `botpipe.yaml`, which";
    assert!(told(&refused)[0].contains(full), "{refused:?}");
}

#[test]
fn the_list_that_holds_the_entry_is_named() {
    let place = Place::new();
    place.write("botpipe.yaml", "policy: { deny_read: [workflows], deny_write: [docs] }\n");
    place.write(".env", "the secret");
    place.write("docs/a", "");
    place.write("src/b", "");
    let author = "deny_read: [.env, other]\ndeny_write: [src]\n";
    let refused = sandbox(&place, author, "cat .env; echo x > src/b; echo x > docs/a");
    let lines: Vec<_> = told(&refused).iter().filter_map(|it| it.split_once("it; ")).collect();
    let lines: Vec<_> = lines.iter().map(|(_, line)| *line).collect();
    let expected = [
        "`deny_read: [other]` in `policy.yaml` permits it",
        "`deny_write: []` in `policy.yaml` permits it",
        "`deny_write: []` in `botpipe.yaml`, which narrows it, permits it",
    ];
    assert_eq!(lines, expected, "{refused:?}");
    let read = sandbox(&place, "deny_read: [other]\n", "cat .env").ends(0);
    assert_eq!(read.out, "the secret");
}

#[test]
fn a_limit_names_the_file_that_has_it() {
    let place = Place::new();
    place.write("botpipe.yaml", "policy: { limits: { wall: 300ms, file_size: 1MiB } }\n");
    let ended = sandbox(&place, "limits: { wall: 1m }\n", "sleep 20").ends(124);
    let larger = "a larger `limits.wall` in `botpipe.yaml`, which narrows it, permits more";
    assert!(told(&ended)[0].ends_with(larger), "{ended:?}");
    place.write("botpipe.yaml", "policy: { limits: { file_size: 1MiB } }\n");
    let cut = sandbox(&place, "{}\n", "head -c 2000000 /dev/zero > big; true");
    let larger = "`limits: { file_size: 2MiB }` in `botpipe.yaml`, which narrows it, permits more";
    assert!(told(&cut)[0].ends_with(larger), "{cut:?}");
}

/// A user of its own stays around a program as long as anything is held of it.
#[test]
fn what_leaves_the_sandbox_is_said_whole() {
    let place = Place::new();
    let file = place.write("f", "");
    if fs::metadata(&file).unwrap().uid() != 0 {
        return;
    }
    let refused = sandbox(&place, "limits: { cpu: 1m }\n", "chown 5:5 f");
    let leaves = "`sandbox_mode: danger_full_access` with `network: full` without `limits.cpu` leaves the sandbox";
    assert!(told(&refused)[0].ends_with(leaves), "{refused:?}");
    let half = "sandbox_mode: danger_full_access\n";
    let refused = sandbox(&place, half, "chown 5:5 f");
    assert!(told(&refused)[0].contains("no sandbox around the files"), "{refused:?}");
    assert!(told(&refused)[1].ends_with("; `network: full` leaves the sandbox"), "{refused:?}");
    sandbox(&place, &format!("{half}network: full\n"), "chown 5:5 f && chown 0:0 f").ends(0);
}

#[test]
fn a_folder_outside_is_made_by_whoever_runs_it() {
    let place = Place::new();
    for path in ["../outx/", "~/outx/", "/srv/outx/", "out.d/"] {
        let refused = sandbox(&place, &format!("allow_write: [{path}]\n"), "true").ends(125);
        assert!(refused.err.contains("; make it first\n"), "{refused:?}");
    }
    sandbox(&place, "allow_write: [outx/]\n", "echo x > outx/y").ends(0);
    let text = sandbox(&place, "deny_read: '**/*.pem'\n", "true").ends(125);
    assert!(text.err.contains("a list of one is `['**/*.pem']`"), "{text:?}");
    let file = place.command(&["sandbox", "--workspace", "policy.yaml", "--", "true"]);
    let file = said(&{ file }.output().unwrap()).ends(125);
    assert!(file.err.contains("policy.yaml` is not a folder"), "{file:?}");
}

/// As git prints it; the next thing it would ask for is permitted by nobody.
#[test]
fn a_signature_with_a_key_of_ssh_is_permitted_by_nobody() {
    let place = Place::new();
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join(".ssh")).unwrap();
    fs::write(home.path().join(".ssh/id_x.pub"), "").unwrap();
    let script = "echo \"error: Couldn't load public key $HOME/.ssh/id_x.pub: No such file or directory?\" >&2";
    let mut command = place.command(&["sandbox", "--", "sh", "-c", script]);
    let refused = said(&command.env("HOME", home.path()).output().unwrap());
    let [sentence] = told(&refused)[..] else { panic!("{refused:?}") };
    assert!(sentence.starts_with("nothing is signed"), "{sentence}");
    assert!(!sentence.contains("BOTPIPE_ALLOW_READ"), "{sentence}");
}

#[test]
fn what_stands_in_the_place_of_a_file_that_is_not_there_is_told() {
    let place = Place::new();
    let script = "echo x > Cargo.lock; mkdir own; echo x > own";
    let refused = sandbox(&place, "deny_write: [Cargo.lock]\n", script);
    let line = "`Cargo.lock` is not written: `deny_write: Cargo.lock` keeps it; `deny_write: []` permits it";
    assert_eq!(told(&refused), [line], "{refused:?}");
}

#[test]
fn what_turned_up_and_a_program_that_is_denied_are_told() {
    let place = Place::new();
    let script = "echo x > k.pem; for n in $(seq 50); do cat k.pem || break; sleep 0.1; done";
    let refused = sandbox(&place, "deny_read: ['*.pem']\n", script);
    let line = "`k.pem` is not read: `deny_read: *.pem` hides it; `deny_read: []` permits it";
    assert_eq!(told(&refused), [line], "{refused:?}");
    let program = place.write("t.sh", "#!/bin/sh\necho run\n");
    fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
    let run = |policy: &str| {
        place.write("policy.yaml", policy);
        let args = ["sandbox", "--policy", "policy.yaml", "--", "./t.sh"];
        said(&place.command(&args).output().unwrap())
    };
    let refused = run("deny_read: [t.sh]\n").ends(126);
    let line = "`t.sh` is not read: `deny_read: t.sh` hides it; `deny_read: []` permits it";
    assert_eq!(told(&refused), [line], "{refused:?}");
    assert_eq!(run("deny_read: []\n").ends(0).out, "run\n");
}

#[test]
fn a_full_folder_in_memory_is_told_without_a_path() {
    let place = Place::new();
    let script = "head -c 30000000 /dev/zero > /tmp/x";
    let refused = sandbox(&place, "limits: { memory: 16MiB }\n", script);
    let [sentence] = told(&refused)[..] else { panic!("{refused:?}") };
    assert!(sentence.contains("`limits: { memory: 32MiB }` permits it"), "{sentence}");
    let passed = sandbox(&place, "limits: { memory: 32MiB }\n", script).ends(0);
    assert_eq!(told(&passed), [""; 0]);
}

#[test]
fn that_there_was_more_is_told() {
    let place = Place::new();
    place.write("src/b", "");
    let script = "for n in $(seq 300); do echo x > n$n; done";
    let refused = sandbox(&place, "allow_write: [src]\n", script);
    assert_eq!(told(&refused).len(), 51, "{refused:?}");
    assert!(told(&refused)[50].starts_with("more was refused than the 50"), "{refused:?}");
}

#[test]
fn a_repository_that_is_to_go_is_told_of_once() {
    let place = Place::new();
    let git = |args: &[&str]| {
        let status = Command::new("git").args(args).current_dir(place.path()).status();
        assert!(status.unwrap().success());
    };
    git(&["init", "-q", "sub"]);
    git(&["init", "-q", "."]);
    let refused = sandbox(&place, "{}\n", "rm -rf sub");
    let [sentence] = told(&refused)[..] else { panic!("{refused:?}") };
    assert!(sentence.starts_with("nothing of `sub/.git` that steers git"), "{sentence}");
    for script in ["git config user.name x", "git -C sub config user.name x"] {
        git(&["init", "-q", "sub"]);
        let refused = sandbox(&place, "{}\n", script);
        let [sentence] = told(&refused)[..] else { panic!("{refused:?}") };
        assert!(sentence.ends_with("; run this git command yourself, outside"), "{sentence}");
    }
}

const TURNS: &str = "\
sop: 1
name: work
policy: { allow_write: [docs] }
steps:
  - id: make
    run: 'echo botpipe sandbox: a word of its own >&2; rm src/b; exit 0'
  - id: wait
    run: 'head -c BYTES /dev/zero; sleep 20'
    limits: { wall: 300ms }
    routes: { done: FINISH, failed: ask }
  - id: ask
    prompt: Make it.
    routes: { accepted: FINISH }
";

/// Afterwards too, and only what Botpipe itself said.
#[test]
fn what_turns_were_refused_is_kept_with_the_run() {
    for bytes in ["0", "5000"] {
        let place = Place::with("work", &TURNS.replace("BYTES", bytes));
        place.write("docs/a", "");
        place.write("src/b", "");
        let agent = format!("echo x > src/b; {}", answers("accepted"));
        place.run("work", &agent, &[]).ends(0);
        let script =
            "`src/b` is not written: it is read only; `allow_write: [docs, src]` permits it";
        let worker =
            "`src/b` is not written: it is read only; `allow_write: [docs, src/b]` permits it";
        let show = place.say(&["runs", "show", "work", "t1"]).ends(0).json();
        let refused = serde_json::json!([
            { "turn": "make/1/script/1", "sentences": [script] },
            { "turn": "ask/1/worker/1", "sentences": [worker] },
        ]);
        assert_eq!(show["refused"], refused);
        for logs in [&["logs", "work", "t1"][..], &["logs", "work", "t1", "-f"]] {
            let logs = place.say(logs).ends(0).out;
            for sentence in [script, worker] {
                assert_eq!(logs.matches(&format!("refused: {sentence}\n")).count(), 1, "{logs}");
            }
            assert!(!logs.contains("a word of its own"), "{logs}");
            assert!(logs.contains("the command was still running after 300ms"), "{logs}");
        }
    }
}
