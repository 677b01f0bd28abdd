//! Parse and check of long files, at lengths that double.

use std::fmt::Write as _;
use std::process::{Command, Stdio};
use std::time::Instant;

use botpipe_lang::{InMemory, SourceFile, compile};

use crate::Asked;
use crate::line::Line;
use crate::place::{Place, ms};

/// The word with which this program checks a file and prints the microseconds it took.
pub(crate) const WORD: &str = "check-a-file";

pub(crate) fn measure(asked: &Asked) -> Vec<Line> {
    let (rounds, lengths): (_, &[u32]) =
        if asked.quick { (2, &[50, 100]) } else { (15, &[500, 1000, 2000, 4000]) };
    let middle = lengths[lengths.len() / 2];
    let place = Place::new();
    let mut lines = Vec::new();
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); lengths.len()];
    let mut whole = Vec::new();
    for &length in lengths {
        place.write(&path_of(length), &mixed(length));
    }
    // In turns, so that a busy moment slows all lengths.
    let mut growth = Vec::new();
    for _ in 0..rounds {
        let mut a_step = Vec::new();
        for (times, &length) in times.iter_mut().zip(lengths) {
            let time = check(&place, length);
            times.push(time);
            a_step.push(time / f64::from(length));
        }
        growth.push(a_step.last().unwrap_or(&0.0) / a_step.first().unwrap_or(&1.0));
        whole.push(ms(place.botpipe(&["check", &path_of(middle)]).wall));
    }
    for (samples, length) in times.into_iter().zip(lengths) {
        let line = Line::new(format!("check × {length}: parse and check"), "ms", samples, "");
        lines.push(if *length == 2000 { line.goal(50.0) } else { line });
    }
    let growth = Line::new(
        "check: time a step, longest / shortest",
        "×",
        growth,
        "each round; each length in a process of its own, which does nothing before",
    );
    lines.push(if asked.quick { growth } else { growth.goal(1.25) });
    lines.push(Line::new(format!("check × {middle}: `botpipe check`, whole"), "ms", whole, ""));
    lines
}

fn path_of(length: u32) -> String {
    format!("workflows/of_{length}.sop.yaml")
}

/// Milliseconds that a new process takes for it, its own start apart.
fn check(place: &Place, length: u32) -> f64 {
    let path = place.path().join(path_of(length));
    let mut program = Command::new(std::env::current_exe().unwrap());
    let output = program.arg(WORD).arg(path).stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse::<f64>().unwrap() / 1e3
}

/// What that process does.
pub(crate) fn answer(path: &str) {
    let source = SourceFile { name: path.to_owned(), text: std::fs::read_to_string(path).unwrap() };
    let start = Instant::now();
    let compiled = compile(&source, &InMemory::default());
    let took = start.elapsed();
    assert!(compiled.plan.is_some(), "{:?}", compiled.diagnostics.first());
    println!("{}", took.as_micros());
}

/// A right file of so many steps, four kinds in turn: artifacts, state, templates and ways back.
fn mixed(steps: u32) -> String {
    let mut text = format!(
        "sop: 1\nname: of_{steps}\nstate: {{ n: {{ type: integer, default: 0 }} }}\nsteps:\n"
    );
    for n in 0..steps {
        let next = if n + 1 < steps { format!("s{}", n + 1) } else { "FINISH".to_owned() };
        let note = format!("note{}", n - n % 4);
        let step = match n % 4 {
            0 => format!(
                "prompt: \"Do part {n} of {{{{ message }}}}, {{{{ state.n }}}}.\"\n    writes:\n      \
                 - {note}: {{ md: {note}.md, required: true }}\n    routes: {{ done: {next} }}"
            ),
            1 => format!(
                "run: \"test -s {{{{ artifacts.{note} }}}}\"\n    requires: [{note}]\n    routes:\n      \
                 done: {{ to: {next}, set: {{ state.n: state.n + 1 }} }}\n      failed: s{}",
                n - 1
            ),
            2 => format!(
                "produce: Make it.\n    verify: \"Judge {{{{ artifacts.{note} }}}}.\"\n    routes: {{ \
                 accepted: {next}, needs_rework: SELF }}"
            ),
            _ => format!(
                "ask: \"Part {n}?\"\n    choices: [go, stop]\n    routes: {{ go: {next}, stop: FAIL }}"
            ),
        };
        writeln!(text, "  - id: s{n}\n    {step}").unwrap();
    }
    text
}
