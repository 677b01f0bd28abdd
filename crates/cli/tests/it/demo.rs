//! The demo: a whole run without a model, also when it is killed on the way.

use serde_json::Value;

use crate::place::{Place, Said, tree};

fn demo(place: &Place, folder: &str, more: &[&str]) -> Said {
    let mut args = vec!["demo", "--dir", folder];
    args.extend(more);
    place.say(&args)
}

/// What differs from demo to demo: git's own files with times in them, and our records.
const OURS: [&str; 2] = [".git", ".botpipe"];

#[test]
fn the_demo_finishes_and_says_what_it_is() {
    let place = Place::new();
    let said = demo(&place, "d", &[]).ends(0);
    assert!(said.err.contains("the agent is a recording"), "{}", said.err);
    let json = said.json();
    assert_eq!(json["state"], "finished (accepted)");
    let steps = json["steps"].as_array().unwrap();
    assert!(steps.len() >= 3, "{steps:?}");
    let reworked = |step: &Value| step["visits"].as_u64() > Some(1);
    assert!(steps.iter().any(reworked), "{steps:?}");
    assert!(!json["changed"].as_array().unwrap().is_empty());
    demo(&place, "d", &[]).ends(2);
}

#[test]
fn a_killed_demo_ends_with_the_same_files() {
    let place = Place::new();
    let events = demo(&place, "whole", &["-q"]).ends(0).json()["events"].as_u64().unwrap();
    let whole = tree(&place.path().join("whole"), &OURS);
    for at in [1, 2, 5, events / 3, events / 2, events - 1, events] {
        let folder = format!("at-{at}");
        let said = demo(&place, &folder, &["--kill-at", &at.to_string()]).ends(0);
        assert!(said.err.contains(&format!("killed with SIGKILL at event {at};")), "{}", said.err);
        assert_eq!(said.json()["state"], "finished (accepted)");
        assert_eq!(tree(&place.path().join(&folder), &OURS), whole, "killed at event {at}");
    }
}

#[test]
fn an_event_that_never_comes_is_said() {
    let said = demo(&Place::new(), "d", &["--kill-at", "100000"]).ends(2);
    assert!(said.err.contains("error: no event 100000 came"), "{}", said.err);
    assert_eq!(said.json()["state"], "finished (accepted)");
}
