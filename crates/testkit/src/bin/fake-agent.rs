//! An agent for tests: the prompt on stdin, the answer on stdout, every turn in a ledger outside.

use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use botpipe_testkit::agent::{self, ESCAPEE, Ledger, PlayError};
use botpipe_testkit::script::Script;

const USAGE: &str =
    "usage: fake-agent --script FILE --ledger FILE [--escape FILE] [--forbidden FILE]";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let ended = match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [ESCAPEE, generation, beats] => {
            agent::escapee(generation.parse().unwrap_or(2), Path::new(beats))
                .map_err(|error| (error.to_string(), 1))
        }
        _ => turn(words),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err((message, code)) => {
            // With nowhere left to say it, the exit code has to do.
            drop(writeln!(io::stderr(), "fake-agent: {message}"));
            ExitCode::from(code)
        }
    }
}

fn turn(words: Vec<String>) -> Result<(), (String, u8)> {
    let told = Told::parse(words).map_err(|message| (message, 2))?;
    let script = Script::load(&told.script).map_err(|error| (error.to_string(), 2))?;
    if let Some(beats) = told.escape {
        agent::escapee(0, &beats).map_err(|error| (error.to_string(), 1))?;
    }
    let mut prompt = String::new();
    io::stdin().read_to_string(&mut prompt).map_err(|error| (error.to_string(), 1))?;
    let answer = agent::play(&script, &told.ledger, told.forbidden.as_deref(), &prompt);
    let answer = answer.map_err(|error| {
        let code = if let PlayError::Told { code, .. } = error { code } else { 1 };
        (error.to_string(), code)
    })?;
    writeln!(io::stdout(), "{answer}").map_err(|error| (error.to_string(), 1))
}

/// What its command line tells it.
struct Told {
    script: PathBuf,
    ledger: Ledger,
    /// Where somebody who gets away writes.
    escape: Option<PathBuf>,
    /// What it is to try to write to.
    forbidden: Option<PathBuf>,
}

impl Told {
    fn parse(words: Vec<String>) -> Result<Self, String> {
        let (mut script, mut ledger, mut escape, mut forbidden) = (None, None, None, None);
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let value = words.next().ok_or_else(|| format!("`{word}` has no value; {USAGE}"))?;
            let place = match word.as_str() {
                "--script" => &mut script,
                "--ledger" => &mut ledger,
                "--escape" => &mut escape,
                "--forbidden" => &mut forbidden,
                _ => return Err(format!("`{word}` is unknown; {USAGE}")),
            };
            *place = Some(PathBuf::from(value));
        }
        let script = script.ok_or_else(|| format!("no script is given; {USAGE}"))?;
        let ledger = ledger.ok_or_else(|| format!("no ledger is given; {USAGE}"))?;
        Ok(Self { script, ledger: Ledger::at(&ledger), escape, forbidden })
    }
}
