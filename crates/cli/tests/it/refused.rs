//! What programs are refused of files: told with the line that would permit it, which then does. Nothing is
//! told where the policy is not why.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::place::{Place, Said, answers};

/// A folder of the host that programs see and do not write.
struct Beside {
    folder: TempDir,
}

impl Beside {
    /// In a folder that is nobody's own, where whoever runs the tests may write; else there is none.
    #[expect(clippy::print_stderr, reason = "what was not tested must be seen")]
    fn new() -> Option<Self> {
        let places = ["/srv", "/opt", "/usr/local", "/var/lib", "/mnt"];
        let folder = places.iter().find_map(|place| tempfile::tempdir_in(place).ok());
        if folder.is_none() {
            eprintln!("SKIPPED: no folder of the system can be written by this user");
        }
        folder.map(|folder| Self { folder })
    }

    fn path(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap()
    }
}

fn sandbox(place: &Place, policy: &str, script: &str) -> Said {
    place.write("policy.yaml", policy);
    place.say(&["sandbox", "--policy", "policy.yaml", "--", "sh", "-c", script])
}

/// The lines that Botpipe itself said.
fn told(said: &Said) -> Vec<&str> {
    said.err.lines().filter_map(|line| line.strip_prefix("botpipe sandbox: ")).collect()
}

/// The policy that a sentence says would permit it.
fn permits(sentence: &str) -> String {
    let parts = sentence.rsplit_once("; `").and_then(|(_, rest)| rest.split_once("` permits it"));
    parts.unwrap_or_else(|| panic!("{sentence}")).0.to_owned()
}

#[test]
fn the_line_that_is_told_permits_the_write() {
    let Some(beside) = Beside::new() else { return };
    let place = Place::new();
    let script = format!("echo kept > {}/note", beside.path().display());
    let said = sandbox(&place, "allow_write: [.]\n", &script);
    let [sentence] = told(&said)[..] else { panic!("{said:?}") };
    assert!(sentence.contains("/note` is not written: it is read only; "), "{sentence}");
    assert!(!beside.path().join("note").exists());
    let line = permits(sentence);
    assert_eq!(line, format!("allow_write: [., {}]", beside.path().display()));
    let said = sandbox(&place, &format!("{line}\n"), &script).ends(0);
    assert_eq!(told(&said), [""; 0]);
    assert_eq!(fs::read_to_string(beside.path().join("note")).unwrap(), "kept\n");
}

#[test]
fn the_line_that_is_told_permits_what_is_narrowed_or_hidden() {
    let place = Place::new();
    place.write("docs/a", "");
    place.write("src/b", "");
    place.write("own.key", "the key");
    let said = sandbox(&place, "allow_write: [docs]\n", "echo x > src/b; mkdir new; rm src/b");
    let lines: Vec<_> = told(&said).into_iter().map(permits).collect();
    let expected =
        ["allow_write: [docs, src/b]", "allow_write: [docs, .]", "allow_write: [docs, src]"];
    assert_eq!(lines, expected, "{said:?}");
    for (line, script) in
        lines.iter().zip(["echo x > src/b", "mkdir new && rmdir new", "rm src/b && echo > src/b"])
    {
        let said = sandbox(&place, line, script).ends(0);
        assert_eq!(told(&said), [""; 0]);
    }
    for policy in ["deny_read: [own.key]\n", "deny_read: [own.key]\nsandbox_mode: read_only\n"] {
        let said = sandbox(&place, policy, "cat own.key");
        let [sentence] = told(&said)[..] else { panic!("{said:?}") };
        assert!(sentence.starts_with("`own.key` is not read: `deny_read: own.key` hides it"));
        let said = sandbox(&place, &permits(sentence), "cat own.key").ends(0);
        assert_eq!(said.out, "the key");
    }
}

/// What lies where programs have folders of their own: by the operator's grant, or a list that names it.
#[test]
fn the_line_that_is_told_permits_what_is_not_seen() {
    let place = Place::new();
    let home = tempfile::tempdir().unwrap();
    let note = home.path().canonicalize().unwrap().join("note");
    fs::write(&note, "the note").unwrap();
    let say = |policy: &str, granted: Option<&str>| {
        place.write("policy.yaml", policy);
        let script = format!("cat {}", note.display());
        let args = ["sandbox", "--policy", "policy.yaml", "--", "sh", "-c", &script];
        let mut command = place.command(&args);
        command.env("HOME", home.path()).env_remove("BOTPIPE_ALLOW_WRITE");
        command.envs(granted.map(|path| ("BOTPIPE_ALLOW_READ", path)));
        crate::place::said(&command.output().unwrap())
    };
    let said = say("{}\n", None);
    let [sentence] = told(&said)[..] else { panic!("{said:?}") };
    let grant = sentence.split_once("; `BOTPIPE_ALLOW_READ=").unwrap().1;
    let grant = grant.split_once("` in Botpipe's own environment permits it").unwrap().0;
    assert_eq!(say("{}\n", Some(grant)).ends(0).out, "the note");
    let said = say("allow_read: [.]\n", None);
    let [sentence] = told(&said)[..] else { panic!("{said:?}") };
    assert_eq!(say(&permits(sentence), None).ends(0).out, "the note");
}

/// Two controls in its way: both have to give.
#[test]
fn the_line_that_is_told_permits_what_is_kept_twice() {
    let Some(beside) = Beside::new() else { return };
    let place = Place::new();
    let folder = beside.path().display().to_string();
    let script = format!("echo kept > {folder}/note");
    let policy = format!("deny_write: [{folder}]\n");
    let said = sandbox(&place, &policy, &script);
    let [sentence] = told(&said)[..] else { panic!("{said:?}") };
    let (_, lines) = sentence.split_once("; `").unwrap();
    let (first, second) = lines.split_once("` with `").unwrap();
    let (second, _) = second.split_once("` permits it").unwrap();
    assert_eq!((first, second), ("deny_write: []", &*format!("allow_write: [., {folder}]")));
    let said = sandbox(&place, &format!("{first}\n{second}\n"), &script).ends(0);
    assert_eq!(told(&said), [""; 0]);
}

/// It is no file of the system that the policy keeps a linker or a shell from.
#[test]
fn what_a_program_with_a_path_says_is_told_of_the_file() {
    let place = Place::new();
    place.write("docs/a", "");
    place.write("src/s.sh", "echo 1 > docs/y\n");
    for script in [
        "/bin/sh -c 'echo 1 > docs/y'",
        "/bin/sh \"$PWD/src/s.sh\"",
        "/bin/tar cf docs/y src",
        "/usr/bin/sort -o docs/y src/s.sh",
    ] {
        let said = sandbox(&place, "allow_write: [src]\n", script);
        let [sentence] = told(&said)[..] else { panic!("{said:?}") };
        assert_eq!(permits(sentence), "allow_write: [src, docs]", "{script}");
    }
}

#[test]
fn a_program_that_is_not_seen_is_told_of() {
    let place = Place::new();
    let home = tempfile::tempdir().unwrap();
    let home = home.path().canonicalize().unwrap();
    let program = home.join("tools/bin/say");
    fs::create_dir_all(program.parent().unwrap()).unwrap();
    fs::write(&program, "#!/bin/sh\necho said\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir_all(place.path().join(".venv/bin")).unwrap();
    std::os::unix::fs::symlink(&program, place.path().join(".venv/bin/say")).unwrap();
    let say = |words: &[&str], granted: Option<&str>| {
        let mut command = place.command(&[&["sandbox", "--"], words].concat());
        command.env("HOME", &home).env_remove("BOTPIPE_ALLOW_WRITE");
        command.envs(granted.map(|path| ("BOTPIPE_ALLOW_READ", path)));
        crate::place::said(&command.output().unwrap())
    };
    let path = program.to_str().unwrap();
    for words in [&[path][..], &[".venv/bin/say"], &["sh", "-c", ".venv/bin/say"]] {
        let said = say(words, None).ends(127);
        let [sentence] = told(&said)[..] else { panic!("{said:?}") };
        let grant = sentence.split_once("; `BOTPIPE_ALLOW_READ=").unwrap().1;
        let grant = grant.split_once("` in Botpipe's own environment permits it").unwrap().0;
        // With what lies beside it.
        assert_eq!(grant, home.join("tools").to_str().unwrap());
        assert_eq!(say(words, Some(grant)).ends(0).out, "said\n");
    }
}

/// Nothing is thrown away in silence.
#[test]
fn the_folder_of_ours_takes_nothing() {
    let place = Place::new();
    place.write(".botpipe/tasks/t/task.md", "the task");
    for policy in ["allow_write: [., .botpipe/]\n", "sandbox_mode: read_only\n"] {
        let said = sandbox(&place, policy, "echo 1 > .botpipe/x").ends(2);
        let [sentence] = told(&said)[..] else { panic!("{said:?}") };
        assert!(sentence.starts_with("`.botpipe/x` is not written: it is Botpipe's own record"));
        let said = sandbox(&place, policy, "mkdir .botpipe/new; ls -A .botpipe").ends(0);
        assert_eq!(said.out, "", "{said:?}");
    }
}

#[test]
fn all_of_the_machine_is_no_folder_to_write() {
    let place = Place::new();
    let said = sandbox(&place, "allow_write: [/]\n", "true").ends(125);
    assert!(said.err.contains("`allow_write: /` is all of this machine"), "{said:?}");
    assert!(said.err.contains("name the folders that may be written"), "{said:?}");
}

#[test]
fn a_limit_that_a_program_meets_is_told() {
    let place = Place::new();
    place.write("policy.yaml", "limits: { memory: 16MiB }\n");
    let script = "head -c 20000000 /dev/zero | dd of=/tmp/botpipe-full bs=1M";
    let args = ["sandbox", "--policy", "policy.yaml", "--", "sh", "-c", script];
    let mut command = place.command(&args);
    command.env_remove("BOTPIPE_ALLOW_WRITE");
    let said = crate::place::said(&command.output().unwrap());
    let [sentence] = told(&said)[..] else { panic!("{said:?}") };
    assert!(sentence.contains("`limits: { memory: 32MiB }` permits it"), "{sentence}");
}

/// Many programs in many words; each is told of once.
#[test]
fn every_program_is_understood() {
    let place = Place::new();
    place.write("src/b", "");
    for script in [
        "bash -c 'echo x > src/b'",
        "cp /etc/hostname src/b",
        "python3 -c 'open(\"src/b\", \"w\")'",
        "node -e 'require(\"fs\").writeFileSync(\"src/b\", \"\")'",
        "perl -e 'open(F, \">\", \"src/b\") or die \"cannot open src/b: $!\"'",
    ] {
        let program = script.split(' ').next().unwrap();
        let said = sandbox(
            &place,
            "sandbox_mode: read_only\n",
            &format!("command -v {program} || exit 99; {script}"),
        );
        if said.code == 99 {
            eprintln!("SKIPPED: `{program}` is not there");
            continue;
        }
        assert_ne!(said.code, 0, "{said:?}");
        let expected =
            "`src/b` is not written: it is read only; `sandbox_mode: workspace_write` permits it";
        assert_eq!(told(&said), [expected], "{said:?}");
    }
}

#[test]
fn another_reason_is_told_by_nobody() {
    let place = Place::new();
    fs::set_permissions(place.write("closed", ""), fs::Permissions::from_mode(0o0)).unwrap();
    let script = "cat closed; cat none; cat /etc/none; echo x > /tmp/none/x; echo x > none/x; \
                  echo \"no such: Read-only file system\" >&2; echo 'cat: src: Permission denied' >&2";
    let said = sandbox(&place, "{}\n", script);
    assert!(said.err.contains("closed: Permission denied"), "{said:?}");
    assert_eq!(told(&said), [""; 0], "{said:?}");
}

#[test]
fn what_no_policy_permits_is_said_to_be_that() {
    let place = Place::new();
    fs::create_dir_all(place.path().join(".git/hooks")).unwrap();
    place.write(".git/HEAD", "ref: refs/heads/main\n");
    place.write(".envrc", "");
    let said = sandbox(&place, "{}\n", "echo x > .git/hooks/pre-commit; echo x > .envrc");
    for (sentence, path) in told(&said).iter().zip([".git/hooks/pre-commit", ".envrc"]) {
        assert!(
            sentence.starts_with(&format!("`{path}` is not written: it steers git")),
            "{said:?}"
        );
        assert!(sentence.contains("no policy permits it"), "{said:?}");
    }
    assert_eq!(told(&said).len(), 2, "{said:?}");
}

const WORK: &str = "\
sop: 1
name: work
policy: { allow_write: [docs], deny_read: [own.key] }
steps:
  - id: make
    produce: Make it.
    checks:
      - look: { run: 'cat own.key \"$HOME\"/own.note; echo x > BESIDE/note; exit 0' }
    verify: Look at it.
    routes: { accepted: clean, needs_rework: FAIL }
  - id: clean
    run: 'rm src/b; exit 0'
";

/// Of a run: to whoever watches, with the turn, and in what a check printed.
#[test]
fn a_run_tells_and_keeps_it() {
    let Some(folder) = Beside::new() else { return };
    let beside = folder.path().display().to_string();
    let place = Place::with("work", &WORK.replace("BESIDE", &beside));
    place.write("docs/a", "");
    place.write("src/b", "");
    place.write("own.key", "");
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("own.note"), "").unwrap();
    let agent = format!("echo x > src/b; {}", answers("accepted"));
    let args =
        ["run", "work", "x", "--task", "t1", "--provider", "command", "--", "sh", "-c", &agent];
    let mut command = place.command(&args);
    command.env("HOME", home.path()).env_remove("BOTPIPE_ALLOW_WRITE");
    let said = crate::place::said(&command.output().unwrap()).ends(0);
    for line in [
        "`src/b` is not written: it is read only; `allow_write: [docs, src/b]` permits it",
        "`src/b` is not written: it is read only; `allow_write: [docs, src]` permits it",
        "`own.key` is not read: `deny_read: own.key` hides it; `deny_read: []` permits it",
        "/own.note` is not seen: programs have an empty folder there",
    ] {
        assert!(said.err.contains(line), "{line}\n{}", said.err);
    }
    let runs = place.path().join(".botpipe/tasks/t1/wf_work/runs");
    let run = fs::read_dir(runs).unwrap().next().unwrap().unwrap().path();
    let turn = |name: &str| fs::read_to_string(run.join(format!("turns/{name}.jsonl"))).unwrap();
    assert!(turn("make.1.producer.1").contains("botpipe sandbox: `src/b` is not written"));
    assert!(turn("clean.1.script.1").contains("botpipe sandbox: `src/b` is not written"));
    // What agents get to read says nothing of what the host has where they see nothing.
    let objects = place.path().join(".botpipe/objects");
    let mut kept = String::new();
    for (_, bytes) in crate::place::tree(&objects, &[]) {
        kept.push_str(&String::from_utf8_lossy(&bytes));
    }
    let write = format!("botpipe sandbox: `{beside}/note` is not written: whoever judges the work");
    assert!(kept.contains(&write), "{kept}");
    assert!(!kept.contains("`own.key` is not read"), "{kept}");
    assert!(!kept.contains("own.note` is not seen"), "{kept}");
}

/// A line that would not do is not told: what steers git is kept in a home too.
#[test]
fn a_setting_of_the_home_is_permitted_by_no_line() {
    let place = Place::new();
    let home = tempfile::tempdir().unwrap();
    let home = home.path().canonicalize().unwrap();
    fs::write(home.join(".gitconfig"), "[user]\n\tname = A B\n").unwrap();
    let config = home.join(".gitconfig").display().to_string();
    let say = |policy: &str, script: &str| {
        place.write("policy.yaml", policy);
        let args = ["sandbox", "--policy", "policy.yaml", "--", "sh", "-c", script];
        let mut command = place.command(&args);
        command.env("HOME", &home).env_remove("BOTPIPE_ALLOW_WRITE");
        crate::place::said(&command.output().unwrap())
    };
    let named = format!("allow_write: [., {config}]\n");
    for policy in ["{}\n", named.as_str()] {
        for script in ["echo x >> ~/.gitconfig", "git config --global user.email x"] {
            let said = say(policy, script);
            let [sentence] = told(&said)[..] else { panic!("{policy}{script}: {said:?}") };
            let begins = format!("`{config}` is not written: it steers git");
            assert!(sentence.starts_with(&begins), "{sentence}");
            assert!(sentence.ends_with("no policy permits it; write it yourself"), "{sentence}");
        }
    }
}

/// What git says of a folder that it may not look into names no secret of the machine.
#[test]
fn the_records_of_a_run_are_told_as_ours() {
    let text = "sop: 1\nname: work\nsteps: [{ id: look, run: 'git status --ignored; ls .botpipe/tasks/*/*/runs; exit 0' }]\n";
    let place = Place::with("work", text);
    let init = Command::new("git").args(["init", "-q"]).current_dir(place.path()).status();
    assert!(init.unwrap().success());
    let said = place.run("work", "true", &[]).ends(0);
    let said: Vec<_> = said.err.lines().filter(|line| line.contains(" is not read: ")).collect();
    assert!(!said.is_empty());
    for line in said {
        assert!(line.contains("is not read: it is Botpipe's own record"), "{line}");
        assert!(!line.contains("BOTPIPE_ALLOW_READ"), "{line}");
    }
}

/// Of programs that ask no proxy: by their words, which the proxy does not hear.
#[test]
fn a_host_that_is_reached_by_no_proxy_is_told_of() {
    let place = Place::new();
    let script = "bash -c 'exec 3<>/dev/tcp/new.example/80'; \
                  echo 'ssh: Could not resolve hostname github.com: Name or service not known' >&2";
    let said = sandbox(&place, "{}\n", script);
    let [bash, ssh] = told(&said)[..] else { panic!("{said:?}") };
    let begins =
        "`new.example` is not reached: `network: none` keeps it; `network: full` permits it";
    assert!(bash.starts_with(begins), "{bash}");
    assert!(
        ssh.ends_with("`network_presets: [github]` for a remote by https, since ssh asks no proxy")
    );
}

/// Told where the host has a server there, and only then: a program's own that is not up yet is no refusal.
#[test]
fn a_server_of_the_host_is_told_of() {
    let place = Place::new();
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let script = format!("bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port}'");
    let said = sandbox(&place, "{}\n", &script);
    let [sentence] = told(&said)[..] else { panic!("{said:?}") };
    let begins =
        format!("`127.0.0.1:{port}` is not reached: a program's own machine is not the host's");
    assert!(sentence.starts_with(&begins), "{sentence}");
    assert_eq!(permits(sentence), "network: full");
    let said = sandbox(&place, "network: full\n", &script).ends(0);
    assert_eq!(told(&said), [""; 0]);
    drop(server);
    let said = sandbox(&place, "{}\n", &script);
    assert_eq!(told(&said), [""; 0], "{said:?}");
}

/// A step whose command lives on ends well, with a file that is cut off.
#[test]
fn a_file_that_is_cut_off_is_told_of_though_all_ends_well() {
    let place = Place::new();
    let script = "head -c 2000000 /dev/zero > big; echo after";
    let said = sandbox(&place, "limits: { file_size: 1MiB }\n", script).ends(0);
    assert_eq!(said.out, "after\n");
    let [sentence] = told(&said)[..] else { panic!("{said:?}") };
    assert!(sentence.contains("beyond 1MiB (`limits.file_size`), and is cut off"), "{sentence}");
    let line = sentence.split_once("; `").unwrap().1.split_once("` permits more").unwrap().0;
    let said = sandbox(&place, line, script).ends(0);
    assert_eq!(told(&said), [""; 0]);
}

#[test]
fn a_bit_that_runs_as_somebody_else_is_told_of() {
    let place = Place::new();
    place.write("tool", "");
    let said = sandbox(&place, "{}\n", "chmod 4755 tool");
    let [sentence] = told(&said)[..] else { panic!("{said:?}") };
    assert!(sentence.starts_with("`tool` takes no setuid or setgid bit"), "{sentence}");
}

/// A variable that a policy names passes by whoever runs it, who is told of it where the program fails.
#[test]
fn a_variable_that_did_not_pass_is_told_of_where_a_program_fails() {
    let text = "\
sop: 1
name: work
policy: { environment: { allow: [OWN_ADDRESS] } }
steps:
  - id: use
    run: test -n \"$OWN_ADDRESS\"
    routes: { done: FINISH, failed: FINISH }
";
    let place = Place::with("work", text);
    let run = |more: &[&str]| {
        let mut command = place.command(&[&["run", "work", "x", "--task", "t1"], more].concat());
        crate::place::said(&command.env("OWN_ADDRESS", "here").output().unwrap()).ends(0)
    };
    let sentence = "`OWN_ADDRESS` did not pass: what names it came with the work; `--pass-env OWN_ADDRESS` lets it";
    assert!(run(&[]).err.contains(sentence));
    assert!(!run(&["--pass-env", "OWN_ADDRESS"]).err.contains("did not pass"));
    let say = |policy: &str, script: &str| {
        place.write("policy.yaml", policy);
        let args = ["sandbox", "--policy", "policy.yaml", "--", "sh", "-c", script];
        let mut command = place.command(&args);
        crate::place::said(&command.env("PYTHONPATH", "lib").output().unwrap())
    };
    let script = "test -n \"$PYTHONPATH\" || { echo \"No module named 'own'\" >&2; exit 1; }";
    let said = say("{}\n", script).ends(1);
    let [sentence] = told(&said)[..] else { panic!("{said:?}") };
    assert!(
        sentence.starts_with("`PYTHONPATH` did not pass: it leads programs to code"),
        "{sentence}"
    );
    let line = sentence.split_once("sets it, `").unwrap().1.split_once("` in a file").unwrap().0;
    let said = say(line, script).ends(0);
    assert_eq!(told(&said), [""; 0]);
}
