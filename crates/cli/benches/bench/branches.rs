//! A fan-out of programs that take a second each, against the time they would take without Botpipe.

use std::process::{Command, Stdio};
use std::time::Instant;

use crate::Asked;
use crate::line::Line;
use crate::place::Place;

const MANY: &str = "\
sop: 1
name: many
title: A program that takes a second, many times
input: { count: { type: integer } }
steps:
  - id: each
    fan_out: range(input.count) | list
    concurrency: 16
    branch: { run: sleep 1 }
";

/// As many at a time as the workflow says.
const AT_A_TIME: u32 = 16;

pub(crate) fn measure(asked: &Asked) -> Vec<Line> {
    let (rounds, branches) = if asked.quick { (1, 16) } else { (5, 128) };
    let ideal = f64::from(branches / AT_A_TIME);
    let (mut bare, mut whole, mut ratio) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        bare.push(bare_sleeps(branches));
        let place = Place::new();
        place.write("workflows/many.sop.yaml", MANY);
        place.write("README.md", "A file, so that the tree is not empty.\n");
        let input = format!("{{\"count\": {branches}}}");
        let took = place.botpipe(&["run", "many", "--task", "t", "--input", &input, "-q"]);
        assert_eq!(took.code, 0, "the run ended with {}", took.code);
        whole.push(took.wall.as_secs_f64());
        ratio.push(took.wall.as_secs_f64() / ideal);
    }
    let name = |what: &str| format!("branches × {branches}: {what}");
    let ratio = Line::new(
        name("the run / the ideal"),
        "×",
        ratio,
        "the ideal is a second for each sixteen branches, and nothing besides",
    );
    vec![
        Line::new(
            name("`sleep 1` alone, 16 at a time"),
            "s",
            bare,
            "started directly, sixteen and then the next sixteen: what the machine itself adds",
        ),
        Line::new(name("the run, snapshots on"), "s", whole, ""),
        // A second is too short to judge by.
        if asked.quick { ratio } else { ratio.goal(1.15) },
    ]
}

/// The same programs, with nobody in between.
fn bare_sleeps(count: u32) -> f64 {
    let start = Instant::now();
    for _ in 0..count / AT_A_TIME {
        let sleep = || {
            let mut shell = Command::new("sh");
            shell.args(["-c", "sleep 1"]).stdin(Stdio::null()).spawn().unwrap()
        };
        let running: Vec<_> = (0..AT_A_TIME).map(|_| sleep()).collect();
        for mut child in running {
            assert!(child.wait().unwrap().success());
        }
    }
    start.elapsed().as_secs_f64()
}
