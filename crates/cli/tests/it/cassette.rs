//! Cassettes: the shipped one fits what is shipped, a changed word is told, and loose play says that it is.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::place::{Place, Said};

const MESSAGE: &str = "Add CSV export to the report and cover it with tests.";

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../workflows/ralph_loop")
}

/// The project of the demo, with the shipped workflow as its own.
fn project() -> Place {
    let place = Place::new();
    let copy = |from: PathBuf, to: PathBuf| {
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        let copied = Command::new("cp").arg("-r").arg(from).arg(to).status().unwrap();
        assert!(copied.success());
    };
    copy(shipped(), place.path().join("workflows/ralph_loop"));
    for file in ["README.md", "report.py", "test_report.py"] {
        copy(shipped().join("demo").join(file), place.path().join(file));
    }
    place
}

fn play(place: &Place, more: &[&str]) -> Said {
    let cassette = place.path().join("workflows/ralph_loop/demo.cassette.json");
    let cassette = cassette.to_str().unwrap();
    let args = ["run", "ralph_loop", MESSAGE, "--task", "t", "--provider", "replay", "--cassette"];
    place.say(&[&args[..], &[cassette], more].concat())
}

/// The digest of what each turn was asked, by turn.
fn requests(place: &Place) -> BTreeMap<String, String> {
    let events = place.say(&["logs", "ralph_loop", "t", "--events"]).ends(0).out;
    let events = events.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let owed = events.filter(|line| line["event"]["kind"] == "turn_owed");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    owed.map(|line| (text(&line["event"]["turn"]), text(&line["event"]["request"]))).collect()
}

#[test]
fn the_shipped_cassette_fits_the_shipped_prompts() {
    let path = shipped().join("demo.cassette.json");
    if std::env::var_os("UPDATE_CASSETTES").is_some() {
        // Every shipped workflow's, played loosely and recorded anew.
        let root = shipped();
        let root = root.parent().unwrap().to_str().unwrap();
        Place::new().say(&["test", "--update", root]).ends(0);
    }
    let place = project();
    let said = play(&place, &[]).ends(0);
    assert_eq!(said.json()["state"], "finished (accepted)");
    assert!(!said.err.contains("loose"), "{}", said.err);
    let cassette: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let recorded = cassette["turns"].as_object().unwrap();
    let asked = requests(&place);
    assert_eq!(recorded.keys().collect::<Vec<_>>(), asked.keys().collect::<Vec<_>>());
    for (turn, request) in asked {
        assert_eq!(recorded[&turn]["request"], request, "{turn}");
    }
}

#[test]
fn one_changed_word_of_a_prompt_is_a_mismatch() {
    let place = project();
    let prompt = place.path().join("workflows/ralph_loop/prompts/implement.md");
    let words = fs::read_to_string(&prompt).unwrap();
    assert!(words.contains("completely"));
    fs::write(&prompt, words.replace("completely", "entirely")).unwrap();

    let said = play(&place, &[]).ends(9);
    // The turns before it were played; this one was not, and nothing of it is in the tree.
    let turn = "implement[item-1]/1/producer/1";
    let cassette = fs::read_to_string(shipped().join("demo.cassette.json")).unwrap();
    let cassette: Value = serde_json::from_str(&cassette).unwrap();
    let recorded = cassette["turns"][turn]["request"].as_str().unwrap();
    let asked = requests(&place)[turn].clone();
    let line = "- Implement this one item of the plan in `work`, completely, in the repository:";
    for word in [turn, &recorded[..12], &asked[..12], "--loose", line] {
        assert!(said.err.contains(word), "{word} is not in: {}", said.err);
    }
    assert_eq!(
        fs::read(place.path().join("report.py")).unwrap(),
        fs::read(shipped().join("demo/report.py")).unwrap()
    );
    let shown = place.say(&["runs", "show", "ralph_loop", "t"]).ends(0);
    assert!(shown.out.contains("replay"), "{}", shown.out);
}

#[test]
fn loose_play_goes_on_and_says_so() {
    let place = project();
    let prompt = place.path().join("workflows/ralph_loop/prompts/implement.md");
    let words = fs::read_to_string(&prompt).unwrap();
    fs::write(&prompt, words.replace("completely", "entirely")).unwrap();
    let said = play(&place, &["--loose"]).ends(0);
    assert_eq!(said.json()["state"], "finished (accepted)");
    assert!(said.err.contains("loose"), "{}", said.err);
    let shown = place.say(&["runs", "show", "ralph_loop", "t"]).ends(0);
    assert!(shown.out.contains("loose"), "{}", shown.out);
}
