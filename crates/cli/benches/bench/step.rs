//! What one `run` step costs the engine, against one `fdatasync`.

use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use botpipe_engine::workspace::layout::Layout;
use botpipe_engine::workspace::snapshots::Snapshots;
use botpipe_kernel::plan::Policy;

use crate::Asked;
use crate::line::{Line, median};
use crate::place::{Place, ms};
use crate::sandbox;
use crate::steps::TICKS;

/// Two runs whose difference is free of start and end.
const SHORT: u32 = 20;
const LONG: u32 = 220;
/// Objects that earlier runs may have left.
const HISTORY: u32 = 20_000;
/// About as long as a run waits for a program between two commits.
const CADENCE: Duration = Duration::from_millis(2);

pub(crate) fn measure(asked: &Asked) -> Vec<Line> {
    let rounds = if asked.quick { 2 } else { 9 };
    let (mut tight, mut syncs, mut spawns, mut snapshots) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut steps, mut engine, mut ratio) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let place = Place::new();
        place.write("workflows/ticks.sop.yaml", TICKS);
        place.write("README.md", "A file, so that the tree is not empty.\n");
        let short = run(&place, "short", SHORT);
        tight.push(sync(&place.path().join("log"), Duration::ZERO));
        let sync = sync(&place.path().join("log"), CADENCE);
        let spawn = spawn(place.path());
        let long = run(&place, "long", LONG);
        let snapshot = snapshot(place.path());
        let step = (long - short) / f64::from(LONG - SHORT);
        let own = step - spawn - snapshot;
        syncs.push(sync);
        spawns.push(spawn);
        snapshots.push(snapshot);
        steps.push(step);
        engine.push(own);
        ratio.push(own / sync);
    }
    let lines = vec![
        Line::new("step: one fdatasync of 4 KiB, one right after the other", "ms", tight, ""),
        Line::new(
            "step: one fdatasync of 4 KiB, as a run does it",
            "ms",
            syncs,
            "after a pause of 2 ms, in which the disk's queue and the processor go to sleep",
        ),
        Line::new(
            "step: a `run` step, whole",
            "ms",
            steps,
            "(wall of 220 steps − wall of 20) / 200",
        ),
        Line::new("step: its spawn", "ms", spawns, "`sh -c true` under the default policy, alone"),
        Line::new("step: its snapshot", "ms", snapshots, "of the same tree, unchanged, alone"),
        Line::new("step: the engine's own", "ms", engine, "whole − spawn − snapshot, each round"),
        Line::new("step: the engine's own / fdatasync", "×", ratio, "").goal(5.0),
    ];
    let history = if asked.quick { 100 } else { HISTORY };
    lines.into_iter().chain([after_much(history, if asked.quick { 1 } else { 5 })]).collect()
}

/// Steps in a folder where many runs have been, against those in a new one.
fn after_much(objects: u32, rounds: usize) -> Line {
    let (new, old) = (Place::new(), Place::new());
    for place in [&new, &old] {
        place.write("workflows/ticks.sop.yaml", TICKS);
        run(place, "first", SHORT);
    }
    for n in 0..objects {
        old.write(&format!(".botpipe/objects/{:02x}/{n:062x}", n % 256), "");
    }
    let ratio = (0..rounds).map(|n| {
        let task = format!("again{n}");
        run(&old, &task, LONG) / run(&new, &task, LONG)
    });
    let what = format!("step: with {objects} objects of earlier runs / with none");
    let how = "wall of 220 steps each, in turns";
    Line::new(what, "×", ratio.collect(), how).goal(1.1)
}

fn run(place: &Place, task: &str, steps: u32) -> f64 {
    let most = steps.to_string();
    let took = place.botpipe(&["run", "ticks", "--task", task, "--max-steps", &most, "-q"]);
    assert_eq!(took.code, 6, "the run should have ended at its limit");
    // The next run of this folder wants the tree; this one is not over.
    let cancelled = place.botpipe(&["cancel", "ticks", task]);
    assert!(cancelled.code == 0 || cancelled.code == 130, "cancel ended with {}", cancelled.code);
    ms(took.wall)
}

fn sync(path: &Path, pause: Duration) -> f64 {
    let mut file = File::create(path).unwrap();
    // As long as a log that is written over and over again.
    file.write_all(&vec![0; 200 * 4096]).unwrap();
    file.sync_all().unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    let samples: Vec<f64> = (0..200)
        .map(|_| {
            thread::sleep(pause);
            let start = Instant::now();
            file.write_all(&[7; 4096]).unwrap();
            file.sync_data().unwrap();
            ms(start.elapsed())
        })
        .collect();
    std::fs::remove_file(path).unwrap();
    median(&samples)
}

/// `sh -c true` as a step runs it: confined by the default policy, which is compiled each time.
fn spawn(folder: &Path) -> f64 {
    let command = sandbox::command(folder, &Policy::default());
    sandbox::launch(&command); // starts the fork server
    let samples: Vec<f64> = (0..100).map(|_| sandbox::launch(&command)).collect();
    median(&samples)
}

fn snapshot(folder: &Path) -> f64 {
    let layout = Layout::open(folder).unwrap();
    let mut snapshots = Snapshots::open(&layout).unwrap();
    snapshots.take().unwrap();
    let samples: Vec<f64> = (0..100)
        .map(|_| {
            let start = Instant::now();
            snapshots.take().unwrap();
            ms(start.elapsed())
        })
        .collect();
    median(&samples)
}
