//! `botpipe graph`: what is drawn of a workflow, and of a run of it.

use std::fs;

use crate::place::Place;

/// Steps with Mermaid's own words for names, a question, a loop back, and every end.
const FLOW: &str = "\
sop: 1
name: flow
input: { request: { type: string } }
artifacts: { work: { json: work.json, required: true } }
worklists: { item: { from: work, collection: items, id: id } }
steps:
  - { id: end, prompt: x, writes: [work], routes: { done: each, ask: AWAIT_INPUT, no: FAIL } }
  - { id: each, scope: item, requires: [work], prompt: y, routes: { next: { complete_and_advance: SELF, exhausted: graph }, back: end } }
  - { id: graph, run: 'true', routes: { done: FINISH } }
";

const DRAWN: &str = r#"flowchart TD
    step_end["end<br/>prompt"]
    step_each["each<br/>prompt · each item"]
    step_graph["graph<br/>run"]
    AWAIT_INPUT_3[/"AWAIT_INPUT"/]
    FAIL(["FAIL"])
    FINISH(["FINISH"])
    step_end -->|"done"| step_each
    AWAIT_INPUT_3 -.->|"answered"| step_end
    step_end -->|"ask"| AWAIT_INPUT_3
    step_end -->|"no"| FAIL
    step_each -->|"next"| step_each
    step_each -->|"next, no item left"| step_graph
    step_each -->|"back"| step_end
    step_graph -->|"done"| FINISH
"#;

#[test]
fn a_workflow_is_drawn_with_scopes_questions_and_ends() {
    let place = Place::with("flow", FLOW);
    assert_eq!(place.say(&["graph", "flow"]).ends(0).out, DRAWN);
    assert!(!place.path().join(".botpipe").exists());
    place.say(&["graph", "flow", "--format", "dot"]).ends(2);
    place.say(&["graph", "nosuch"]).ends(3);
}

#[test]
fn a_picture_is_well_formed_and_holds_every_step_and_route() {
    let place = Place::with("flow", FLOW);
    let svg = place.say(&["graph", "flow", "--format", "svg"]).ends(0).out;
    let mut open: Vec<&str> = Vec::new();
    for part in svg.split('<').skip(1) {
        let (tag, text) = part.split_once('>').unwrap_or_else(|| panic!("`<{part}` is not closed"));
        assert!(!text.contains('>') && !text.contains("& "), "{text}");
        let name = tag.split_whitespace().next().unwrap();
        match tag.strip_prefix('/') {
            Some(closed) => assert_eq!(open.pop(), Some(closed), "in {svg}"),
            None if tag.ends_with('/') => {}
            None => open.push(name),
        }
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
    }
    assert!(open.is_empty(), "{open:?} are not closed");
    for word in
        [">end<", ">prompt · each item<", ">AWAIT_INPUT<", ">next, no item left<", ">answered<"]
    {
        assert!(svg.contains(word), "{word} is not in {svg}");
    }
}

#[test]
fn a_run_marks_what_it_took_and_its_own_files_are_drawn_the_same() {
    let place = Place::with("hello", crate::place::HELLO);
    let again = r#"cat > /dev/null; test -e seen && tag=done || tag=again; touch seen
                   echo '{"outcome": {"tag": "'$tag'"}}'"#;
    place.run("hello", again, &[]).ends(0);
    let marked = place.say(&["graph", "hello", "--run", "t1"]).ends(0).out;
    for line in [
        "step_greet[\"greet<br/>prompt<br/>×2\"]",
        "step_greet -->|\"again ×1\"| step_greet",
        "step_greet -->|\"done ×1\"| FINISH",
        "step_greet -->|\"refused\"| FAIL",
        "FINISH([\"FINISH<br/>×1\"])",
    ] {
        assert!(marked.contains(line), "{line} is not in {marked}");
    }
    let svg = place.say(&["graph", "hello", "--run", "t1", "--format", "svg"]).ends(0).out;
    assert!(svg.contains("class=\"box untouched\"") && svg.contains("again ×1"), "{svg}");
    let plain = place.say(&["graph", "hello"]).ends(0).out;
    let folder = place.path().join(".botpipe/tasks/t1/wf_hello/runs");
    let run = fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    assert_eq!(fs::read_to_string(run.join("graph.mmd")).unwrap(), plain);
    place.say(&["graph", "hello", "--run", "t2"]).ends(3);
}

#[test]
fn an_inherited_route_is_drawn_when_a_run_took_it() {
    let place = Place::with("hello", crate::place::HELLO);
    let blocked = r#"cat > /dev/null; echo '{"outcome": {"tag": "blocked", "route_fields": {"reason": "no key"}}}'"#;
    place.run("hello", blocked, &[]).ends(4);
    assert!(!place.say(&["graph", "hello"]).ends(0).out.contains("blocked"));
    let marked = place.say(&["graph", "hello", "--run", "t1"]).ends(0).out;
    assert!(marked.contains("step_greet -->|\"blocked ×1\"| FAIL"), "{marked}");
}
