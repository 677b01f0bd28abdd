//! Tests of workflows: `*.test.yaml` files, each case played in a scratch repository without a model.

mod expected;
mod find;
mod functions;
mod host;
mod judge;
mod play;
mod read;
mod script;
mod ways;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use botpipe_kernel::run::Lifecycle;
use botpipe_lang::{Compiled, Diagnostic, SourceFile};
use botpipe_providers::Cassette;
use serde_json::Value;

pub use find::{Beside, FindError, find};
pub use read::read;

use functions::Scripted;

use crate::process::StopSwitch;

/// A test file and the workflow it is about.
#[derive(Debug)]
pub struct TestFile {
    pub source: SourceFile,
    /// The folder it lies in.
    pub beside: Beside,
    pub compiled: Arc<Compiled>,
    pub cases: Vec<Case>,
}

/// A test file that cannot be used.
#[derive(Debug)]
pub struct Unreadable {
    pub source: SourceFile,
    pub diagnostics: Vec<Diagnostic>,
}

/// One run to be played, and what must come of it.
#[derive(Debug, Clone)]
pub struct Case {
    pub name: String,
    message: Option<String>,
    input: Option<Value>,
    params: Vec<(String, String)>,
    /// The folder beside the test file that the scratch repository begins as.
    workspace: Option<String>,
    /// Files of the scratch repository, over those of `workspace`.
    files: Vec<(String, String)>,
    agent: Recorded,
    /// What stands in the place of the program that has them.
    functions: BTreeMap<String, Scripted>,
    answers: Vec<String>,
    max_steps: Option<u32>,
    timeout: Duration,
    expect: Expect,
}

/// What stands in the agent's place.
#[derive(Debug, Clone)]
enum Recorded {
    /// A recording beside the test file, and its text.
    Cassette { path: String, text: String, events: Vec<String> },
    /// Turns as the test file has them.
    Script(Box<Cassette>),
}

/// What must hold when the run rests.
#[derive(Debug, Clone, Default)]
struct Expect {
    state: Option<&'static str>,
    exit: Option<u8>,
    /// Visits and the route each took, in order: `implement[item-1]`, `accepted`.
    routes: Option<Vec<(String, String)>>,
    turns: Option<u32>,
    /// How often each function was called.
    calls: Vec<(String, u32)>,
    question: Option<String>,
    reason: Option<String>,
    artifacts: Vec<(String, Content)>,
    files: Vec<(String, Content)>,
    changed: Option<Vec<String>>,
}

/// What must hold of a file.
#[derive(Debug, Clone)]
struct Content {
    exists: bool,
    equals: Option<String>,
    contains: Vec<String>,
    lacks: Vec<String>,
    /// A part of it, read as JSON.
    json: Option<Value>,
}

/// How cases are played.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// The exit code of a command that left a run so.
    pub exit_of: fn(&Lifecycle) -> u8,
    /// Play recordings for whatever is asked, and write them anew.
    pub update: bool,
    /// Leave the scratch folders of cases that fail.
    pub keep: bool,
}

/// What came of a case.
#[derive(Debug, Clone)]
pub struct CaseResult {
    pub file: String,
    pub case: String,
    /// What does not hold; empty: it passed.
    pub problems: Vec<String>,
    /// How the run ended, in a word; empty when there was none.
    pub state: String,
    pub turns: u32,
    pub took: Duration,
    /// Its scratch folder, where it was kept.
    pub kept: Option<PathBuf>,
    /// The recording that was written anew.
    pub updated: Option<PathBuf>,
}

impl CaseResult {
    pub fn passed(&self) -> bool {
        self.problems.is_empty()
    }
}

/// Plays every case, several at once; the results in the order of the files.
pub fn run(files: &[TestFile], options: Options, stop: &StopSwitch) -> Vec<CaseResult> {
    let all: Vec<(&TestFile, &Case)> =
        files.iter().flat_map(|file| file.cases.iter().map(move |case| (file, case))).collect();
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::with_capacity(all.len()));
    let workers = thread::available_parallelism().map_or(2, usize::from).min(all.len());
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::SeqCst);
                    let Some((file, case)) = all.get(at) else { return };
                    let result = play::play(file, case, options, stop);
                    if let Ok(mut results) = results.lock() {
                        results.push((at, result));
                    }
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_default();
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}
