//! Runs a proof whole and writes its page: `prove kills`.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use botpipe_testkit::kills::{self, Programs, Size};

const USAGE: &str =
    "usage: prove kills --out FILE --date DATE [--trials N] [--seed N] [--about TEXT]

Kills 200 runs (or N), half of them at times spread evenly over the run, half between two deeds of
Botpipe; resumes each; judges by the agent's ledger and the tree. `botpipe` and `fake-agent` are
taken from this program's own folder.";

fn main() -> ExitCode {
    match prove() {
        Ok(0) => ExitCode::SUCCESS,
        Ok(faulty) => {
            say(&format!("{faulty} trials have faults"));
            ExitCode::FAILURE
        }
        Err(message) => {
            say(&message);
            ExitCode::from(2)
        }
    }
}

/// How many trials had a fault.
fn prove() -> Result<usize, String> {
    let mut words = std::env::args().skip(1);
    if words.next().as_deref() != Some("kills") {
        return Err(USAGE.to_owned());
    }
    let (mut out, mut date, mut about) = (None, None, String::new());
    let (mut trials, mut seed) = (200, 1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("`{word}` has no value; {USAGE}"))?;
        let number = || value.parse::<usize>().map_err(|_| format!("`{value}` is no number"));
        match word.as_str() {
            "--out" => out = Some(PathBuf::from(&value)),
            "--date" => date = Some(value),
            "--about" => about = value,
            "--trials" => trials = number()?,
            "--seed" => seed = number()? as u64,
            _ => return Err(format!("`{word}` is unknown; {USAGE}")),
        }
    }
    let out = out.ok_or(USAGE)?;
    let date = date.ok_or(USAGE)?;
    let here = std::env::current_exe().map_err(|error| error.to_string())?;
    let sibling = |name: &str| here.with_file_name(name);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts").join("kills.json");
    let programs = Programs { botpipe: sibling("botpipe"), agent: sibling("fake-agent"), script };
    let scratch = tempfile::tempdir().map_err(|error| error.to_string())?;
    let size = Size {
        timed: trials / 2,
        aimed: trials - trials / 2,
        resumes: trials * 3 / 20,
        early: trials / 20,
    };
    let proof = kills::prove(&programs, scratch.path(), size, seed, &mut say);
    let proof = proof.map_err(|error| in_full(&error))?;
    let faulty = proof.faulty();
    if faulty > 0 {
        say(&format!("the grounds with faults stay in {}", scratch.keep().display()));
    }
    std::fs::write(&out, kills::markdown(&proof, &date, &about))
        .map_err(|error| format!("`{}` could not be written: {error}", out.display()))?;
    say(&format!("{} trials, {faulty} with faults: {}", proof.trials.len(), out.display()));
    Ok(faulty)
}

/// An error with its causes.
fn in_full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}

fn say(line: &str) {
    // A closed stderr must not stop the proof.
    drop(writeln!(io::stderr(), "prove: {line}"));
}
