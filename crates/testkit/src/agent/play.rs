//! One turn of the fake agent: reads the prompt, enters it in the ledger, does what the script says.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use nix::errno::Errno;
use nix::sys::signal::{Signal, raise};
use regex::Regex;

use super::ledger::{Entry, Ledger, LedgerError};
use crate::script::{Deed, Fault, Names, OUTPUT, Rule, Script, render};

/// Why a turn was not played to its end.
#[derive(Debug, thiserror::Error)]
pub enum PlayError {
    /// The prompt has no step contract.
    #[error("the prompt could not be taken for a turn: no line says turn `…`")]
    NoTurn,
    /// No rule is for this prompt.
    #[error("turn `{turn}` could not be played: no rule of the script fits its prompt")]
    NoRule {
        /// The turn.
        turn: String,
    },
    /// A command of the script failed.
    #[error("turn `{turn}` could not be played: `{command}` failed: {output}")]
    Failed {
        /// The turn.
        turn: String,
        /// The command line.
        command: String,
        /// What it printed on stderr, or why it did not start.
        output: String,
    },
    /// The script wants this turn to fail.
    #[error("turn `{turn}` ends with code {code}, as the script has it")]
    Told {
        /// The turn.
        turn: String,
        /// The exit code.
        code: u8,
    },
    /// The ledger cannot be kept.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// Plays the turn this prompt asks for, in the current directory; the answer to print.
///
/// The turn is in the ledger before anything of it is done, and again when all of it is. Before that it tries to write
/// to `forbidden`, if there is one.
pub fn play(
    script: &Script,
    ledger: &Ledger,
    forbidden: Option<&Path>,
    prompt: &str,
) -> Result<String, PlayError> {
    let turn = TURN.captures(prompt).ok_or(PlayError::NoTurn)?[1].to_owned();
    let began = ledger.entries()?;
    let played = |rule: &Rule| {
        let of_rule =
            |it: &&Entry| matches!(it, Entry::Began { rule: name, .. } if *name == rule.name);
        began.iter().filter(of_rule).count()
    };
    let spent = |rule: &Rule| rule.times.is_some_and(|times| played(rule) >= times as usize);
    let fits = |rule: &'_ Rule| if spent(rule) { None } else { rule.fits(prompt) };
    let chosen = script.rules().iter().find_map(|rule| Some((rule, fits(rule)?)));
    let (rule, names) = chosen.ok_or_else(|| PlayError::NoRule { turn: turn.clone() })?;
    if let Some(file) = forbidden {
        ledger.enter(&Entry::Tried { turn: turn.clone(), error: refused(file, &turn) })?;
    }
    ledger.enter(&Entry::Began { turn: turn.clone(), rule: rule.name.clone() })?;
    let answer = perform(&rule.deed, names, &turn)?;
    ledger.enter(&Entry::Ended { turn })?;
    Ok(answer)
}

/// Appends the turn's id to this file; what the system refuses that with, if it does.
fn refused(file: &Path, turn: &str) -> Option<String> {
    let written = OpenOptions::new().create(true).append(true).open(file);
    let written = written.and_then(|mut file| file.write_all(format!("{turn}\n").as_bytes()));
    written.err().map(|error| format!("{:?}", Errno::from_raw(error.raw_os_error().unwrap_or(0))))
}

fn perform(deed: &Deed, mut names: Names, turn: &str) -> Result<String, PlayError> {
    let (run, say, silent) = match deed {
        Deed::Answer { run, say, silent } => (run, say, silent.is_some()),
        Deed::Fault(Fault::Status(refusal)) => {
            let code = u8::try_from(refusal.status).unwrap_or(u8::MAX);
            return Err(PlayError::Told { turn: turn.to_owned(), code });
        }
        Deed::Fault(Fault::Cut) => {
            // Does not come back; if it does, there is no answer all the same.
            let _ = raise(Signal::SIGKILL);
            return Err(PlayError::Told { turn: turn.to_owned(), code: 137 });
        }
        Deed::Fault(Fault::Hang | Fault::Mute) => silence(),
        Deed::Fault(Fault::Stream(text)) => return Ok(text.trim_end().to_owned()),
    };
    for template in run {
        let command = render(template, &names);
        let failed = |output: String| PlayError::Failed {
            turn: turn.to_owned(),
            command: command.clone(),
            output,
        };
        let done = Command::new("sh").args(["-c", &command]).stdin(Stdio::null()).output();
        let done = done.map_err(|error| failed(error.to_string()))?;
        if !done.status.success() {
            return Err(failed(String::from_utf8_lossy(&done.stderr).into_owned()));
        }
        let printed = String::from_utf8_lossy(&done.stdout).trim_end().to_owned();
        names.insert(OUTPUT.to_owned(), printed);
    }
    if silent {
        silence();
    }
    Ok(render(say, &names))
}

/// Sleeps until somebody ends this process.
fn silence() -> ! {
    loop {
        std::thread::park();
    }
}

#[expect(
    clippy::expect_used,
    reason = "a constant pattern; every turn of the fake agent compiles it"
)]
static TURN: LazyLock<Regex> =
    LazyLock::new(|| Regex::new("(?m)^- Step: .* turn `([^`]+)`").expect("a valid pattern"));
