//! What needs no run: help, looking for workflows, checking files, bad command lines.

use crate::place::{HELLO, Place};

#[test]
fn help_names_every_command_and_every_exit_code() {
    let said = Place::new().say(&["--help"]).ends(0);
    let words = "run resume answer say cancel runs why attach logs cost workflows check config doctor init \
         completions demo";
    for word in words.split(' ') {
        assert!(said.out.contains(&format!("\n  {word} ")), "{word}: {}", said.out);
    }
    for code in [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 130] {
        assert!(said.out.contains(&format!("\n  {code} ")), "{code}: {}", said.out);
    }
}

#[test]
fn an_unknown_workflow_is_not_found_and_the_nearest_is_offered() {
    let said = Place::with("hello", HELLO).say(&["run", "helo", "x"]).ends(3);
    assert_eq!(said.err.lines().next(), Some("error: there is no workflow `helo`"), "{}", said.err);
    assert!(
        said.err.contains("  hint: did you mean `hello`? known workflows: hello"),
        "{}",
        said.err
    );
    assert!(said.err.contains("`.botpipe/workflows/`, then `workflows/`"), "{}", said.err);
    assert_eq!(said.json()["exit_code"], 3);
}

#[test]
fn a_workspace_that_is_not_there_is_not_made() {
    let place = Place::new();
    for args in [
        &["run", "hello", "x", "--workspace", "typo"][..],
        &["workflows", "list", "--workspace", "typo"],
        &["runs", "list", "--workspace", "typo"],
        &["resume", "hello", "t1", "--workspace", "typo"],
    ] {
        let said = place.say(args).ends(2);
        assert!(said.err.contains("`typo`"), "{}", said.err);
    }
    assert!(!place.path().join("typo").exists());
}

#[test]
fn looking_makes_nothing() {
    let place = Place::with("hello", HELLO);
    place.say(&["runs", "list"]).ends(0);
    place.say(&["workflows", "list"]).ends(0);
    place.say(&["runs", "show", "hello", "t1"]).ends(3);
    place.say(&["cancel", "hello", "t1"]).ends(3);
    place.say(&["run", "hello", "x", "--provider", "codex"]).ends(2);
    assert!(!place.path().join(".botpipe").exists());
}

#[test]
fn a_task_id_never_leaves_its_folder() {
    let place = Place::with("hello", HELLO);
    let said = place.say(&["run", "hello", "x", "--task", "../../x"]).ends(2);
    assert!(said.err.contains("`../../x` is no task id"), "{}", said.err);
    place.say(&["resume", "hello", "../../x"]).ends(2);
    assert!(!place.path().join(".botpipe").exists());
}

#[test]
fn a_file_that_does_not_check_is_shown_with_its_lines() {
    let bad = HELLO.replace("done: FINISH", "done: FINSH");
    let place = Place::with("hello", &bad);
    let said = place.say(&["check", "hello"]).ends(8);
    let shown = "\
error[BP0304]: there is no step `FINSH`
  --> workflows/hello.sop.yaml:11:13
   |
11 |       done: FINSH
   |             ^^^^^ did you mean `FINISH`?

workflows/hello.sop.yaml: 1 error
";
    assert_eq!(said.err, shown);
    assert_eq!(said.json()["files"][0]["diagnostics"][0]["code"], "BP0304");
    let said = place.say(&["run", "hello", "x"]).ends(2);
    assert!(said.err.contains("error[BP0304]"), "{}", said.err);
    assert!(!place.path().join(".botpipe").exists());
    place.say(&["check", "workflows/hello.sop.yaml"]).ends(8);
    place.say(&["check", "workflows/none.sop.yaml"]).ends(3);
}

#[test]
fn a_protection_that_nobody_enforces_is_refused() {
    let policy = "policy: { sandbox_mode: danger_full_access, deny_read: [.env] }\n";
    let place = Place::with("hello", &format!("{HELLO}{policy}"));
    let said = place.run("hello", "true", &[]).ends(7);
    assert!(said.err.contains("`deny_read: [.env]` without a sandbox"), "{}", said.err);
    assert!(said.err.contains("`sandbox_mode: workspace_write`"), "{}", said.err);
}

#[test]
fn workflows_are_listed_as_they_win() {
    let place = Place::with("hello", HELLO);
    place.write(".botpipe/workflows/hello/sop.yaml", &HELLO.replace("Say hello", "Mine"));
    place.write("workflows/notes.txt", "no workflow");
    let json = place.say(&["workflows", "list"]).ends(0).json();
    let list = json["workflows"].as_array().unwrap();
    let mine = list.iter().filter(|it| it["name"] == "hello").collect::<Vec<_>>();
    assert_eq!(mine.len(), 1);
    assert_eq!(mine[0]["title"], "Mine");
    assert_eq!(mine[0]["path"], ".botpipe/workflows/hello/sop.yaml");
    assert!(list.iter().any(|it| it["name"] == "ralph_loop" && it["origin"] == "shipped"));
    let json = place.say(&["workflows", "list", "--all"]).ends(0).json();
    let hidden = json["workflows"].as_array().unwrap().iter().find(|it| it["title"] == "Say hello");
    assert_eq!(hidden.unwrap()["shadowed_by"], ".botpipe/workflows/hello/sop.yaml");
}

#[test]
fn a_workflow_goes_by_name_alias_and_path() {
    let place = Place::with("hello", HELLO);
    for reference in ["hello", "hi", "workflows/hello.sop.yaml", "./workflows/hello.sop.yaml"] {
        let json = place.say(&["workflows", "show", reference]).ends(0).json();
        assert_eq!(json["name"], "hello", "{reference}");
    }
}

#[test]
fn a_reader_who_leaves_is_no_failure() {
    use std::process::Stdio;
    let place = Place::with("hello", HELLO);
    let mut command = place.command(&["workflows", "list"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
