//! Policies of authors and of operators: explained, recorded with the run, and refused where nobody enforces them.

use std::fs;
use std::process::{Command, Stdio};

use crate::place::{HELLO, Place, answers, said};

const STEPS: &str = "
policy: { sandbox_mode: workspace_write, allow_write: [., /srv/cache], network: limited, network_presets: [cargo] }
steps:
  - id: make
    produce: Make it.
    verify: { prompt: Judge it., policy: { sandbox_mode: read_only } }
    limits: { memory: 2GiB, wall: 90s }
    routes: { accepted: test, needs_rework: SELF }
  - id: test
    run: make test
    policy: { network: none }
";

#[test]
fn every_control_is_explained_with_its_origin() {
    let place = Place::with("hello", &format!("sop: 1\nname: hello\n{STEPS}"));
    place.write("botpipe.yaml", "policy: { deny_read: [.env], network: full }\n");
    place.write(".nobody/botpipe/botpipe.yaml", "policy: { limits: { memory: 1GiB } }\n");
    place.write("ci.yaml", "allow_write: [src, /srv]\ndeny_write: [docs]\nstrict: true\n");
    let said =
        place.say(&["policy", "explain", "hello", "--policy-file", "ci.yaml"]).ends(7).json();
    let bound = said["bound"].as_array().unwrap();
    let of: Vec<_> = bound.iter().map(|it| format!("{} {}", it["step"], it["role"])).collect();
    assert_eq!(of, [r#""make" "producer""#, r#""make" "verifier""#, r#""test" "script""#]);
    let line = |n: usize, control: &str| {
        let lines = bound[n]["controls"].as_array().unwrap();
        let line = lines.iter().find(|it| it["control"] == control);
        line.map_or_else(String::new, |it| {
            let origin = &it["origin"];
            let path = origin["path"].as_str().unwrap_or_default();
            let path = path.rsplit_once("/.nobody/").map_or(path, |(_, it)| it);
            format!(
                "{} from {} {path}",
                it["words"].as_str().unwrap(),
                origin["kind"].as_str().unwrap()
            )
        })
    };
    assert_eq!(line(0, "sandbox_mode"), "workspace_write from workflow ");
    assert_eq!(line(1, "sandbox_mode"), "read_only from turn ");
    assert_eq!(line(0, "allow_write"), "[/srv/cache, src] from ceiling ci.yaml");
    assert_eq!(line(2, "deny_write"), "[docs] from ceiling ci.yaml");
    assert_eq!(line(0, "deny_read"), "[.env] from repository botpipe.yaml");
    assert_eq!(line(0, "network_presets"), "[cargo] from workflow ");
    assert_eq!(line(2, "network"), "none from step ");
    assert_eq!(line(0, "limits.memory"), "1GiB from ceiling botpipe/botpipe.yaml");
    assert_eq!(line(0, "limits.wall"), "90s from step ");
    assert_eq!(line(0, "strict"), "true from ceiling ci.yaml");
    let refusal = bound[2]["refusal"].as_str().unwrap();
    assert!(refusal.contains("step `test` is held to `limits.memory: 1GiB`"), "{refusal}");
    assert_eq!(line(0, "deny_permissions"), "", "what bounds nothing is left out");
    let all = place.say(&["policy", "explain", "hello", "test", "--all"]).ends(0).json();
    assert_eq!(all["bound"][0]["controls"].as_array().unwrap().len(), 25);
    assert!(all["bound"][0]["refusal"].is_null(), "{all}");
    place.say(&["policy", "explain", "hello", "none"]).ends(3);
    place.write("ci.yaml", "allow_wirte: [src]\n");
    let wrong = place.say(&["policy", "explain", "hello", "--policy-file", "ci.yaml"]).ends(2);
    assert!(wrong.err.contains("did you mean `allow_write`?"), "{}", wrong.err);
}

#[test]
fn a_ceiling_is_refused_where_nobody_enforces_it_whatever_the_workflow_relaxes() {
    let open = "policy: { validation: ignore }\n";
    let place = Place::with("hello", &format!("{HELLO}{open}"));
    for rule in ["deny_permissions: [Bash(rm *)]", "permission_mode: ask"] {
        place.write("ci.yaml", &format!("{rule}\n"));
        let said = place.run("hello", "true", &["--policy-file", "ci.yaml"]).ends(7);
        let held = format!("step `greet` is held to `{rule}` by `ci.yaml`");
        assert!(said.err.contains(&held), "{}", said.err);
    }
    // Files are kept by the sandbox that they ask for.
    place.write("ci.yaml", "deny_read: [secret]\n");
    place.write("secret", "hidden");
    let looks = format!("cat secret > seen || true; {}", answers("done"));
    place.run("hello", &looks, &["--policy-file", "ci.yaml"]).ends(0);
    assert_eq!(fs::read_to_string(place.path().join("seen")).unwrap(), "");
    let missing = place.run("hello", "true", &["--policy-file", "none.yaml"]).ends(2);
    assert!(missing.err.contains("none.yaml"), "{}", missing.err);
}

/// The kernel makes no more user namespaces here.
#[test]
fn a_sandbox_that_cannot_be_built_stops_the_run_before_a_turn() {
    let place = Place::with("hello", HELLO);
    let agent = format!("touch asked; {}", answers("done"));
    let args = ["run", "hello", "x", "--task", "t1", "--provider", "command", "--", "sh", "-c"];
    let run = place.command(&[&args[..], &[&agent]].concat());
    let none = "echo 0 > /proc/sys/user/max_user_namespaces && exec \"$@\"";
    let mut inside = Command::new("unshare");
    inside.args(["--user", "--map-root-user", "sh", "-c", none, "sh"]);
    inside.arg(run.get_program()).args(run.get_args()).current_dir(place.path());
    let said = said(&inside.stdin(Stdio::null()).env("NO_COLOR", "1").output().unwrap()).ends(7);
    for words in ["no sandbox could be built here", "`botpipe doctor`", "danger_full_access"] {
        assert!(said.err.contains(words), "{}", said.err);
    }
    assert!(!place.path().join("asked").exists());
}

#[test]
fn what_an_author_relaxes_runs_with_a_warning() {
    let policy = "policy: { permission_mode: ask, validation: warn }\n";
    let place = Place::with("hello", &format!("{HELLO}{policy}"));
    let answer = r#"cat > /dev/null; echo '{"outcome": {"tag": "done"}}'"#;
    let said = place.run("hello", answer, &[]).ends(0);
    assert!(said.err.contains("`permission_mode: ask`, which is not enforced"), "{}", said.err);
}

#[test]
fn a_run_keeps_the_policies_it_was_started_with() {
    let place = Place::with("hello", HELLO);
    place.write("ci.yaml", "sandbox_mode: danger_full_access\nallow_local_binding: true\n");
    let asks = r#"cat > /dev/null; echo '{"outcome": {"tag": "ask", "route_fields": {"question": "Who?"}}}'"#;
    place.run("hello", asks, &["--policy-file", "ci.yaml"]).ends(5);
    fs::remove_file(place.path().join("ci.yaml")).unwrap();
    let events = place.say(&["logs", "hello", "t1", "--events"]).ends(0).out;
    let created: serde_json::Value = serde_json::from_str(events.lines().next().unwrap()).unwrap();
    let kept = &created["event"]["policies"][0];
    assert_eq!((&kept["from"], &kept["ceiling"]), (&"ci.yaml".into(), &true.into()), "{created}");
    assert_eq!(kept["policy"]["allow_local_binding"], true);
    place.say(&["answer", "hello", "t1", "--answer", "Ada"]).ends(5);
}

/// What no agent keeps is refused whoever it will be; what depends on the agent is, once it is named.
#[test]
fn what_a_run_would_refuse_of_an_agent_is_explained() {
    let strict = "policy: { strict: true, limits: { memory: 1GiB } }\n";
    let asks = "policy: { permission_mode: ask }\n";
    for (policy, agent, code) in [
        (strict, &[][..], 7),
        (strict, &["--provider", "codex"], 7),
        (strict, &["--provider", "replay"], 0),
        (asks, &[], 0),
        (asks, &["--provider", "claude"], 0),
        (asks, &["--provider", "command"], 7),
        (asks, &["--provider", "command", "--", "my-agent"], 7),
        (asks, &["--provider", "acp"], 7),
        (asks, &["--provider", "nobody"], 2),
    ] {
        let place = Place::with("hello", &format!("{HELLO}{policy}"));
        let explained = place.say(&[&["policy", "explain", "hello"], agent].concat());
        assert_eq!(explained.code, code, "{policy}{agent:?}: {explained:?}");
    }
    let place = Place::with("hello", &format!("{HELLO}{asks}"));
    place.run("hello", "true", &[]).ends(7);
    let own = "provider: { name: command, command: ['true'] }\n";
    place.write(".nobody/botpipe/botpipe.yaml", own);
    place.say(&["policy", "explain", "hello"]).ends(7);
}

#[test]
fn what_an_agent_is_not_held_to_is_explained_as_nobodys() {
    let text = "sop: 1\nname: hello\npolicy: { validation: warn, permission_mode: ask, deny_permissions: [Bash(rm *)] }\n\
                steps:\n  - { id: greet, prompt: Greet. }\n";
    let place = Place::with("hello", text);
    let by = |agent: &[&str]| {
        let said = place.say(&[&["policy", "explain", "hello"], agent].concat()).ends(0).json();
        let controls = said["bound"][0]["controls"].as_array().unwrap().clone();
        ["permission_mode", "deny_permissions"].map(|name| {
            let control = controls.iter().find(|it| it["control"] == name).unwrap();
            control["enforcer"].as_str().unwrap().to_owned()
        })
    };
    assert_eq!(by(&["--provider", "command", "--", "sh"]), ["nobody", "nobody"]);
    assert_eq!(by(&["--provider", "codex"]), ["provider-permission", "nobody"]);
    assert_eq!(by(&["--provider", "claude"]), ["provider-permission", "provider-permission"]);
}
