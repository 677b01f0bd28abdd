//! `ralph_loop` of 200 items against the agent calls alone.

use std::fs;
use std::process::Command;
use std::time::Instant;

use crate::Asked;
use crate::agent::{ITEMS, WORD};
use crate::line::Line;
use crate::place::{Place, took};

pub(crate) fn measure(asked: &Asked) -> Vec<Line> {
    let (rounds, items) = if asked.quick { (1, 10) } else { (3, 200) };
    let (mut whole, mut bare, mut over) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let run = run(items);
        let alone = calls(items);
        whole.push(run);
        bare.push(alone);
        over.push(run - alone);
    }
    let mut difference = Line::new(
        format!("ralph_loop × {items}: the difference"),
        "s",
        over,
        "contains containment (stage 1, init), snapshots, journal, prompts, start and end",
    );
    // The goal is one of 200 items.
    if !asked.quick {
        difference = difference.goal(1.0);
    }
    vec![
        Line::new(format!("ralph_loop × {items}: whole"), "s", whole, ""),
        Line::new(
            format!("ralph_loop × {items}: its agent calls"),
            "s",
            bare,
            "the same turns with prompts of the same size, started directly, one after the other",
        ),
        difference,
    ]
}

fn run(items: u32) -> f64 {
    let place = Place::new();
    place.write("README.md", "A project.\n");
    let agent = std::env::current_exe().unwrap();
    let args = [
        "run",
        "ralph_loop",
        "Do all of it",
        "--task",
        "t",
        "-q",
        "--max-steps",
        "100000",
        "--pass-env",
        ITEMS,
        "--provider",
        "command",
        "--",
        agent.to_str().unwrap(),
        WORD,
    ];
    let mut command = place.command(&args);
    command.env(ITEMS, items.to_string());
    let took = took(&mut command, b"");
    assert_eq!(took.code, 0, "`ralph_loop` ended with {}", took.code);
    took.wall.as_secs_f64()
}

/// The calls that `ralph_loop` makes, and nothing around them.
fn calls(items: u32) -> f64 {
    let place = Place::new();
    let agent = std::env::current_exe().unwrap();
    // The size of the prompts of `implement`, as recorded.
    let prompt = vec![b'x'; 3000];
    for folder in ["flow/plan", "flow/implement/items"] {
        fs::create_dir_all(place.path().join(folder)).unwrap();
    }
    let start = Instant::now();
    let turn = |step: &str, role: &str, item: &str| {
        let mut command = Command::new(&agent);
        command.arg(WORD).current_dir(place.path()).env(ITEMS, items.to_string());
        command.env("BOTPIPE_WORKFLOW_FOLDER", "flow").env("BOTPIPE_STEP", step);
        command.env("BOTPIPE_ROLE", role).env("BOTPIPE_ITEM", item);
        assert_eq!(took(&mut command, &prompt).code, 0, "the agent failed");
    };
    turn("plan", "producer", "");
    turn("plan", "verifier", "");
    for n in 1..=items {
        let item = format!("item-{n}");
        turn("implement", "producer", &item);
        turn("implement", "verifier", &item);
    }
    start.elapsed().as_secs_f64()
}
