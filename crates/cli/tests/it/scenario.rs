//! A scenario in a file: what happens, how its step is set, and what must come of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;

use serde_json::Value;

use crate::place::Said;

/// A text of one word a line; what the words mean that are not read here, whoever plays it says.
pub(crate) struct Scenario {
    path: PathBuf,
    text: String,
    expects: Vec<String>,
}

impl Scenario {
    /// # Panics
    /// Without a first line that says what is played, or with nothing expected.
    pub(crate) fn read(path: PathBuf) -> Self {
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("# "), "{}: the first line says what is played", path.display());
        let mut scenario = Self { path, text, expects: Vec::new() };
        scenario.expects = scenario.all("expect ");
        assert!(!scenario.expects.is_empty(), "{}: nothing is expected", scenario.path.display());
        scenario
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What comes after a word, line by line.
    pub(crate) fn all(&self, word: &str) -> Vec<String> {
        self.text.lines().filter_map(|line| line.strip_prefix(word)).map(str::to_owned).collect()
    }

    /// The one line after a word, if there is one.
    pub(crate) fn one(&self, word: &str) -> Option<String> {
        self.all(word).pop()
    }

    /// A workflow of one step, with this prompt, set as `with` says.
    pub(crate) fn workflow(&self, prompt: &str) -> String {
        let mut with = self.all("with ");
        if !with.iter().any(|line| line.starts_with("retry:")) {
            with.push("retry: { max_attempts: 1 }".to_owned());
        }
        let with = with.join("\n    ");
        let step = format!("  - id: greet\n    prompt: {prompt}\n    on_limit: fail\n    {with}\n");
        format!("sop: 1\nname: greet\nsteps:\n{step}")
    }

    /// The first thing that is not as `expect` says; `also` judges words that are not known here.
    pub(crate) fn judge(
        &self,
        said: &Said,
        events: &str,
        also: impl Fn(&str, &str) -> Option<Result<(), String>>,
    ) -> Result<(), String> {
        for expected in &self.expects {
            let (word, rest) = expected.split_once(' ').unwrap_or((expected, ""));
            let held = also(word, rest).unwrap_or_else(|| holds(word, rest, said, events));
            held.map_err(|why| {
                let (out, err) = (&said.out, &said.err);
                format!("`expect {expected}`: {why}\nstdout: {out}\nstderr: {err}")
            })?;
        }
        Ok(())
    }
}

fn holds(word: &str, rest: &str, said: &Said, events: &str) -> Result<(), String> {
    let json: Value = serde_json::from_str(&said.out).map_err(|error| error.to_string())?;
    let stop = &json["stop"]["provider"];
    let fails = |why: String| Err(why);
    match word {
        "finished" if said.code != 0 => fails(format!("exit code {}", said.code)),
        "class" if said.code != 1 => fails(format!("exit code {}", said.code)),
        "class" if stop["class"] != rest => fails(format!("it is {}", stop["class"])),
        "says" if !stop["message"].as_str().unwrap_or_default().contains(rest) => {
            fails(format!("it says {}", stop["message"]))
        }
        "waits" if said.code != 5 => fails(format!("exit code {}", said.code)),
        "waits" if !json["question"]["text"].as_str().unwrap_or_default().contains(rest) => {
            fails(format!("it asks {}", json["question"]["text"]))
        }
        "err" if !said.err.contains(rest) => fails("it does not".to_owned()),
        "leftover" if !events.contains("\"leftover\":") => fails("nothing was".to_owned()),
        "no_usage" if events.contains("\"usage\"") => fails("there is one".to_owned()),
        "usage" => {
            let wanted: Vec<u64> = rest.split(' ').map(|it| it.parse().unwrap()).collect();
            let usage = usage_of(events);
            let found = ["input", "output", "cost"].map(|key| usage[key].as_u64());
            let same = wanted.iter().zip(found).all(|(wanted, found)| found == Some(*wanted));
            if same { Ok(()) } else { fails(format!("it is {usage}")) }
        }
        "finished" | "class" | "says" | "waits" | "err" | "leftover" | "no_usage" => Ok(()),
        _ => fails(format!("`{word}` is nothing that can be expected")),
    }
}

/// What the last turn that ended says it has spent.
fn usage_of(events: &str) -> Value {
    let rows = events.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut ends = rows.filter(|row| row["event"]["kind"] == "turn_ended");
    ends.next_back().map(|row| row["event"]["usage"].clone()).unwrap_or_default()
}

/// Plays the scenarios of a folder, so many at a time; the files whose name begins with `_` are parts.
pub(crate) fn play_all(
    folder: &str,
    least: usize,
    at_a_time: usize,
    play: impl Fn(&Scenario) -> Result<(), String> + Sync,
) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|it| it.unwrap().path()).collect();
    paths.retain(|path| !path.file_name().unwrap().to_str().unwrap().starts_with('_'));
    paths.sort();
    assert!(paths.len() >= least, "only {} scenarios", paths.len());
    let (queue, wrong) = (Mutex::new(paths), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..at_a_time {
            scope.spawn(|| {
                loop {
                    let Some(path) = queue.lock().unwrap().pop() else { return };
                    let scenario = Scenario::read(path);
                    if let Err(why) = play(&scenario) {
                        let name = scenario.path.file_stem().unwrap().to_str().unwrap();
                        wrong.lock().unwrap().push(format!("{name}: {why}"));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} of them:\n\n{}", wrong.len(), wrong.join("\n\n"));
}

/// What a run has recorded, one JSON object a line; nothing where nothing was.
pub(crate) fn events(workspace: &Path) -> String {
    fs::read_dir(workspace.join(".botpipe/tasks/t/wf_greet/runs"))
        .map(|mut runs| runs.next().unwrap().unwrap().path().join("events.jsonl"))
        .map(|path| fs::read_to_string(path).unwrap())
        .unwrap_or_default()
}
