//! Long runs: time, memory and journal a step, at lengths that double.

use crate::Asked;
use crate::line::Line;
use crate::place::{Place, ms, watched};

/// One small program again and again, until the bound on steps.
pub(crate) const TICKS: &str = "\
sop: 1
name: ticks
title: The same small program again and again
steps:
  - id: tick
    run: \"true\"
    max_visits: 100000
    routes: { done: SELF, failed: FAIL }
";

/// The same, once for each item of a long list.
const WORK: &str = "\
sop: 1
name: work
title: A small program for each item
artifacts:
  list: { json: list.json, required: true }
worklists:
  item: { from: list, collection: items, id: id, title: title }
steps:
  - id: write
    run: \"cp list.json $BOTPIPE_WORKFLOW_FOLDER/list.json\"
    writes: [list]
    routes: { done: each, failed: FAIL }
  - id: each
    scope: item
    run: \"true\"
    routes:
      done: { complete_and_advance: SELF, exhausted: FINISH }
      failed: FAIL
";

pub(crate) fn measure(asked: &Asked) -> Vec<Line> {
    let lengths: &[u32] = if asked.quick { &[50, 100] } else { &[1250, 2500, 5000, 10_000] };
    let mut lines = Vec::new();
    for (kind, ends) in [("ticks", 6), ("work", 0)] {
        let mut times = Vec::new();
        let mut memories = Vec::new();
        for &length in lengths {
            let (time, memory, journal) = one(kind, length, ends);
            let name = |what: &str| format!("{kind} × {length}: {what}");
            lines.push(Line::new(name("time a step"), "ms", vec![time], ""));
            lines.push(Line::new(name("most memory"), "MiB", vec![memory / 1_048_576.0], ""));
            lines.push(Line::new(name("journal a step"), "B", vec![journal], "").goal(1024.0));
            times.push(time);
            memories.push(memory / f64::from(length));
        }
        let growth = |row: &[f64]| vec![row.last().unwrap_or(&0.0) / row.first().unwrap_or(&1.0)];
        lines.push(
            Line::new(format!("{kind}: time a step, longest / shortest"), "×", growth(&times), "")
                .goal(1.25),
        );
        lines.push(
            Line::new(
                format!("{kind}: memory a step, longest / shortest"),
                "×",
                growth(&memories),
                "below 1: what does not grow is shared by more steps",
            )
            .goal(1.25),
        );
    }
    if asked.quick {
        // The goals are of long runs.
        for line in &mut lines {
            line.goal = None;
        }
    }
    lines
}

/// Milliseconds, memory in all, and bytes of journal a step.
fn one(kind: &str, length: u32, ends: i32) -> (f64, f64, f64) {
    let place = Place::new();
    place.write("workflows/ticks.sop.yaml", TICKS);
    place.write("workflows/work.sop.yaml", WORK);
    place.write("list.json", &list(length));
    let most = if kind == "work" { length + 1 } else { length }.to_string();
    let args = ["run", kind, "--task", "t", "--max-steps", &most, "-q"];
    let (took, memory) = watched(&mut place.command(&args));
    assert_eq!(took.code, ends, "`{kind}` of {length} ended with {}", took.code);
    let steps = f64::from(length);
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let (memory, journal) = (memory as f64, place.journal() as f64);
    (ms(took.wall) / steps, memory, journal / steps)
}

fn list(length: u32) -> String {
    let items: Vec<_> = (1..=length)
        .map(|n| serde_json::json!({ "id": format!("item-{n}"), "title": format!("Item {n}") }))
        .collect();
    serde_json::json!({ "items": items }).to_string()
}
