//! Settings: each file in `tests/config/` holds the files of a person and of a repository, and says what
//! `botpipe config show` must make of them.
//!
//! `UPDATE_SETTINGS=1` writes anew what stands below each `--- show`; read it before you commit it.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use botpipe_lang::Code;
use botpipe_testkit::programs;
use serde_json::Value;

use crate::place::{HELLO, Place, Said, answers, said};

/// A person's home beside a workspace.
struct Home {
    folder: tempfile::TempDir,
    place: Place,
}

impl Home {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), place: Place::new() }
    }

    fn write(&self, text: &str) {
        let path = self.folder.path().join(".config/botpipe/botpipe.yaml");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn say(&self, args: &[&str], env: &[(String, String)]) -> Said {
        let mut command = self.place.command(args);
        command.env("HOME", self.folder.path()).env_remove("XDG_CONFIG_HOME");
        command.envs(env.iter().map(|(name, value)| (name, value)));
        let mut said = said(&command.output().unwrap());
        let home = self.folder.path().to_str().unwrap();
        (said.out, said.err) = (said.out.replace(home, "~"), said.err.replace(home, "~"));
        said
    }
}

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config");
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path()).collect();
    paths.sort();
    paths
}

/// The file as it should be: what is expected is what was said.
fn played(text: &str) -> String {
    let home = Home::new();
    let mut env = Vec::new();
    let mut out = String::new();
    for (n, section) in text.split("\n--- ").enumerate() {
        let (head, body) = section.split_once('\n').unwrap_or((section, ""));
        let body = body.trim_end_matches('\n');
        if n > 0 {
            out.push_str("\n--- ");
        }
        let mut words = head.split(' ');
        match words.next().unwrap() {
            "user" => home.write(&format!("{body}\n")),
            "repository" => drop(home.place.write("botpipe.yaml", &format!("{body}\n"))),
            "variable" => {
                let (name, value) = words.next().unwrap().split_once('=').unwrap();
                env.push((name.to_owned(), value.to_owned()));
            }
            "show" => {
                let args: Vec<_> = ["config", "show", "--json"].into_iter().chain(words).collect();
                write!(out, "{head}\n{}\n", shown(&home.say(&args, &env))).unwrap();
                continue;
            }
            word => assert!(n == 0 && word == "#", "`--- {word}` is nothing"),
        }
        out.push_str(format!("{head}\n{body}").trim_end_matches('\n'));
        out.push('\n');
    }
    out
}

/// What is set, a line each with its origin; or what is wrong.
fn shown(said: &Said) -> String {
    if said.code != 0 {
        return format!("exit {}\n{}", said.code, said.err.trim_end());
    }
    let json = said.json();
    let settings = json["settings"].as_array().unwrap().iter();
    let set = settings.filter(|it| it["origin"]["kind"] != "default");
    let lines = set.map(|it| {
        let origin = &it["origin"];
        let origin = match origin["kind"].as_str().unwrap() {
            "file" => format!("{}:{}", origin["path"].as_str().unwrap(), origin["line"]),
            _ => origin["name"].as_str().unwrap().to_owned(),
        };
        format!("{} = {}    {origin}", it["key"].as_str().unwrap(), it["value"])
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn settings_are_read_as_their_files_say() {
    let mut differing = Vec::new();
    for path in cases() {
        let text = fs::read_to_string(&path).unwrap();
        let played = played(&text);
        if std::env::var_os("UPDATE_SETTINGS").is_some() {
            fs::write(&path, played).unwrap();
        } else if played != text {
            differing.push(format!("{} differs; now:\n{played}", path.display()));
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

#[test]
fn every_code_of_settings_is_shown_by_two_files() {
    let texts: Vec<_> = cases().iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    for code in Code::ALL.iter().filter(|code| code.as_str() > "BP0600") {
        let shown = texts.iter().map(|text| text.matches(code.as_str()).count()).sum::<usize>();
        assert!(shown >= 2, "{code} is shown {shown} times");
    }
}

/// The first event of a workflow's newest run.
fn first_event(home: &Home, workflow: &str) -> Value {
    let said = home.say(&["logs", workflow, "t1", "--events"], &[]).ends(0);
    let first: Value = serde_json::from_str(said.out.lines().next().unwrap()).unwrap();
    first["event"].clone()
}

fn command_file(agent: &str) -> String {
    let words = serde_json::to_string(&["sh", "-c", agent]).unwrap();
    format!("provider: {{ name: command, command: {words} }}\n")
}

const RUN: [&str; 5] = ["run", "hello", "say hello", "--task", "t1"];

#[test]
fn a_run_uses_what_is_configured_and_keeps_it() {
    let home = Home::new();
    home.place.write("workflows/hello.sop.yaml", HELLO);
    let ask = r#"cat > /dev/null; echo '{"outcome": {"tag": "ask", "route_fields": {"question": "Who?"}}}'"#;
    let once = format!("test -e asked && {{ {}; exit; }}; touch asked; {ask}", answers("done"));
    home.write(&command_file(&once));
    home.say(&RUN, &[]).ends(5);
    let event = first_event(&home, "hello");
    assert_eq!(event["provider"]["command"]["args"][1], once.as_str(), "{event}");

    home.write(&command_file("echo another agent >&2; exit 3"));
    let answer = ["answer", "hello", "t1", "--answer", "Ada"];
    assert_eq!(home.say(&answer, &[]).ends(0).json()["state"], "finished");
    assert!(
        home.say(&RUN, &[]).ends(1).err.contains("another agent"),
        "a new run uses the new one"
    );
}

#[test]
fn a_configured_harness_is_recorded_with_all_that_is_said_of_it() {
    let home = Home::new();
    home.place.write("workflows/hello.sop.yaml", HELLO);
    let programs = tempfile::tempdir().unwrap();
    let program = programs.path().join("codex.0.169.0");
    symlink(programs::find("fake-harness").unwrap(), &program).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/harness/codex/an_answer.txt");
    home.write(&format!(
        "provider:\n  name: codex\n  model: gpt-5.5\n  model_effort: high\n  program: {}\n  \
         args: [--script, {}]\n  mcp_servers: {{ docs: {{ command: docs-server }} }}\n",
        program.display(),
        script.display()
    ));
    home.place.write("botpipe.yaml", "provider: { name: codex, instructions: true }\n");
    let said = home.say(&RUN, &[("BOTPIPE_MODEL_EFFORT".to_owned(), "low".to_owned())]);
    assert!(said.err.contains("the agent is codex, as botpipe.yaml:1 says"), "{}", said.err);
    let codex = &first_event(&home, "hello")["provider"]["codex"];
    for (key, value) in [("model", "gpt-5.5"), ("effort", "low"), ("version", "0.169.0")] {
        assert_eq!(codex[key], value, "{codex}");
    }
    assert_eq!(codex["instructions"], true);
    assert_eq!(codex["mcp_servers"]["docs"]["command"], "docs-server");

    let options = ["--model", "gpt-6-sol", "--instructions=false"];
    home.say(&[&RUN[..], &options].concat(), &[]);
    let codex = &first_event(&home, "hello")["provider"]["codex"];
    assert_eq!(codex["model"], "gpt-6-sol");
    assert_eq!(codex["instructions"], Value::Null, "false is left out");
}

#[test]
fn a_workflow_that_needs_no_agent_or_has_its_own_leaves_the_configured_one_alone() {
    let home = Home::new();
    home.write("provider: { name: codex, program: /nowhere/codex }\n");
    let script = "sop: 1\nname: script\nsteps:\n  - { id: a, run: \"true\" }\n";
    home.place.write("workflows/script.sop.yaml", script);
    home.say(&["run", "script", "--task", "t1"], &[]).ends(0);
    let own = serde_json::to_string(&["sh", "-c", &answers("done")]).unwrap();
    let hello = HELLO.replace("steps:\n", &format!("provider: {{ command: {own} }}\nsteps:\n"));
    home.place.write("workflows/hello.sop.yaml", &hello);
    home.say(&RUN, &[]).ends(0);
    home.place.write("workflows/hello.sop.yaml", HELLO);
    let said = home.say(&RUN, &[]).ends(2);
    assert!(said.err.contains("`/nowhere/codex` is no program"), "{}", said.err);
}

#[test]
fn steps_are_bound_by_the_smaller_number_unless_an_option_says_more() {
    let home = Home::new();
    home.write(&(command_file(&answers("again")) + "runtime: { max_steps: 3 }\n"));
    home.place.write("workflows/hello.sop.yaml", HELLO);
    home.say(&RUN, &[]).ends(6);
    assert_eq!(first_event(&home, "hello")["max_steps"], 3);
    home.say(&["cancel", "hello", "t1"], &[]).ends(0);
    home.say(&[&RUN[..], &["--max-steps", "4"]].concat(), &[]).ends(6);
    assert_eq!(first_event(&home, "hello")["max_steps"], 4);
    home.say(&["cancel", "hello", "t1"], &[]).ends(0);
    home.place
        .write("workflows/hello.sop.yaml", &(HELLO.to_owned() + "limits: { max_steps: 2 }\n"));
    home.say(&RUN, &[]).ends(6);
    assert_eq!(first_event(&home, "hello")["max_steps"], 2);
}

#[test]
fn what_a_run_may_spend_is_bound_by_every_file() {
    let home = Home::new();
    home.write(
        &(command_file(&answers("again")) + "runtime: { budget: { turns: 3, wall: 1h } }\n"),
    );
    home.place.write("botpipe.yaml", "runtime: { budget: { turns: 9 } }\n");
    let own = HELLO.to_owned() + "budget: { wall: 5m }\n";
    home.place.write("workflows/hello.sop.yaml", &own);
    home.say(&RUN, &[]).ends(6);
    assert_eq!(
        first_event(&home, "hello")["budget"].to_string(),
        r#"{"turns":3,"wall_ms":300000}"#
    );
    home.say(&["cancel", "hello", "t1"], &[]).ends(0);
    home.say(&[&RUN[..], &["--budget", "turns=4"]].concat(), &[]).ends(6);
    assert_eq!(first_event(&home, "hello")["budget"]["turns"], 4);
}

#[test]
fn settings_that_are_wrong_start_nothing() {
    let home = Home::new();
    home.place.write("workflows/hello.sop.yaml", HELLO);
    home.place.write("botpipe.yaml", "provider: { nme: codex }\n");
    let said =
        home.say(&[&RUN[..], &["--provider", "command", "--", "true"]].concat(), &[]).ends(2);
    assert!(said.err.contains("did you mean `name`?"), "{}", said.err);
    home.place.write("botpipe.yaml", "provider: { name: command }\n");
    assert!(home.say(&RUN, &[]).ends(2).err.contains("set `provider.command` in your own"));
    assert!(!home.place.path().join(".botpipe").exists());
}

#[test]
fn a_harness_to_fall_back_to_is_the_configured_one() {
    let home = Home::new();
    home.place.write("workflows/hello.sop.yaml", HELLO);
    let programs = tempfile::tempdir().unwrap();
    let program = programs.path().join("claude.2.1.330");
    symlink(programs::find("fake-harness").unwrap(), &program).unwrap();
    let claude =
        format!("  claude: {{ program: {}, model: opus, effort: high }}\n", program.display());
    home.write(&(command_file(&answers("done")).replace(" }\n", "") + ",\n" + &claude + "}\n"));
    let chain = ["--on-limit", "fallback", "--fallback", "claude", "--fallback", "claude:sonnet"];
    home.say(&[&RUN[..], &chain].concat(), &[]).ends(0);
    let event = first_event(&home, "hello");
    let model = |n: usize| event["fallbacks"][n]["claude"]["model"].clone();
    assert_eq!([model(0), model(1)], ["opus", "sonnet"], "{event}");
    assert_eq!(event["fallbacks"][1]["claude"]["effort"], "high");
}
