//! What is asked of `prove`, and the proof for it.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use botpipe_testkit::escapes::{self, Adapter};
use botpipe_testkit::kills::{self, Programs, Size, children, cuts};
use tempfile::TempDir;

const USAGE: &str = "usage: prove kills|children-kills|harness-kills|escapes --out FILE --date DATE
    [--trials N] [--seed N] [--about TEXT] [--only TEXT] [--caller root|root_for_user|user] [--bare yes]

kills: kills 200 runs (or N), half of them at times spread evenly over the run, half between two
deeds of Botpipe; resumes each; judges by the agent's ledger and the tree.
children-kills: kills Botpipe in 150 runs (or N) with branches, nested workflows, questions and waits, a
third at times spread evenly over the run, a third between any two deeds, a third between two deeds
around a pause; a person goes on; judges by the agent's ledger and the tree.
harness-kills: kills Botpipe inside 15 turns (or N) of the real Codex CLI and as many of Claude Code,
which must be installed; resumes each; judges by the log of the loopback model and the tree.
escapes: attempts to break out of `botpipe sandbox`, each first made without it, as root, as root in the
workspace of a user, and as a user; with
`--only`, those whose topic or name has this text; with `--bare yes`, only without the sandbox.
`botpipe` and `fake-agent` are taken from this program's own folder.";

pub(crate) fn main() -> ExitCode {
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

/// What is asked for.
struct Wanted {
    out: PathBuf,
    date: String,
    about: String,
    trials: Option<usize>,
    seed: u64,
    only: String,
    caller: Option<String>,
    bare: bool,
}

/// How many trials had a fault.
fn prove() -> Result<usize, String> {
    let mut words = std::env::args().skip(1);
    let proof = words.next().unwrap_or_default();
    let wanted = || Wanted::read(words);
    match proof.as_str() {
        "kills" => of_kills(&wanted()?),
        "children-kills" => of_children_kills(&wanted()?),
        "harness-kills" => of_harness_kills(&wanted()?),
        "escapes" => of_escapes(&wanted()?),
        _ => Err(USAGE.to_owned()),
    }
}

impl Wanted {
    fn read(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let (mut out, mut date, mut about) = (None, None, String::new());
        let (mut trials, mut seed) = (None, 1);
        let (mut only, mut caller, mut bare) = (String::new(), None, false);
        while let Some(word) = words.next() {
            let value = words.next().ok_or_else(|| format!("`{word}` has no value; {USAGE}"))?;
            let number = || value.parse::<usize>().map_err(|_| format!("`{value}` is no number"));
            match word.as_str() {
                "--out" => out = Some(PathBuf::from(&value)),
                "--date" => date = Some(value),
                "--about" => about = value,
                "--trials" => trials = Some(number()?),
                "--only" => only = value,
                "--caller" => caller = Some(value),
                "--bare" => bare = value == "yes",
                "--seed" => seed = number()? as u64,
                _ => return Err(format!("`{word}` is unknown; {USAGE}")),
            }
        }
        let (out, date) = (out.ok_or(USAGE)?, date.ok_or(USAGE)?);
        Ok(Self { out, date, about, trials, seed, only, caller, bare })
    }

    /// Writes the page; how many trials had a fault, whose grounds then stay.
    fn write(
        &self,
        page: &str,
        trials: usize,
        faulty: usize,
        scratch: TempDir,
    ) -> Result<usize, String> {
        if faulty > 0 {
            say(&format!("the grounds with faults stay in {}", scratch.keep().display()));
        }
        let out = self.out.display();
        std::fs::write(&self.out, page)
            .map_err(|error| format!("`{out}` could not be written: {error}"))?;
        say(&format!("{trials} trials, {faulty} with faults: {out}"));
        Ok(faulty)
    }
}

fn of_kills(wanted: &Wanted) -> Result<usize, String> {
    let programs = programs("kills.json")?;
    let scratch = tempfile::tempdir().map_err(|error| error.to_string())?;
    let trials = wanted.trials.unwrap_or(200);
    let size = Size {
        timed: trials / 2,
        aimed: trials - trials / 2,
        resumes: trials * 3 / 20,
        early: trials / 20,
    };
    let proof = kills::prove(&programs, scratch.path(), size, wanted.seed, &mut say);
    let proof = proof.map_err(|error| in_full(&error))?;
    let page = kills::markdown(&proof, &wanted.date, &wanted.about);
    wanted.write(&page, proof.trials.len(), proof.faulty(), scratch)
}

fn of_children_kills(wanted: &Wanted) -> Result<usize, String> {
    let programs = programs("children/agent.json")?;
    let scratch = tempfile::tempdir().map_err(|error| error.to_string())?;
    let trials = wanted.trials.unwrap_or(150);
    let size = children::Size {
        timed: trials / 3,
        aimed: trials / 3,
        pauses: trials - trials / 3 * 2,
        again: trials / 3,
    };
    let proof = children::prove(&programs, scratch.path(), size, wanted.seed, &mut say);
    let proof = proof.map_err(|error| in_full(&error))?;
    let page = children::markdown(&proof, &wanted.date, &wanted.about);
    wanted.write(&page, proof.count(), proof.faulty(), scratch)
}

fn of_harness_kills(wanted: &Wanted) -> Result<usize, String> {
    let botpipe = sibling("botpipe")?;
    // Beside the programs: under the temporary directory Codex's own sandbox does not work.
    let beside = botpipe.parent().unwrap_or(&botpipe);
    let scratch = tempfile::tempdir_in(beside).map_err(|error| error.to_string())?;
    let each = wanted.trials.unwrap_or(15);
    let trials = [cuts::trials(false, each), cuts::trials(true, each)].concat();
    let proof = cuts::prove(&botpipe, scratch.path(), &trials, wanted.seed, &mut say);
    let proof = proof.map_err(|error| in_full(&error))?;
    let page = cuts::markdown(&proof, &wanted.date, &wanted.about);
    wanted.write(&page, proof.count(), proof.faulty(), scratch)
}

fn of_escapes(wanted: &Wanted) -> Result<usize, String> {
    let botpipe = sibling("botpipe")?;
    let base = botpipe.parent().unwrap_or(&botpipe);
    let mut callers = escapes::callers(&botpipe, base)?;
    callers.extend(escapes::for_others());
    if let Some(name) = &wanted.caller {
        callers.retain(|it| it.to_string() == *name);
    }
    let mut attempts = escapes::all().map_err(|error| in_full(&error))?;
    attempts.retain(|it| it.topic.contains(&wanted.only) || it.name.contains(&wanted.only));
    let adapter = if wanted.bare { Adapter::Bare } else { Adapter::Botpipe(botpipe.clone()) };
    let scratch = tempfile::tempdir_in(base).map_err(|error| error.to_string())?;
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(scratch.path(), open).map_err(|error| error.to_string())?;
    let proof = escapes::prove(&attempts, &adapter, &callers, scratch.path(), &say);
    let proof = proof.map_err(|error| in_full(&error))?;
    let page = escapes::markdown(&proof, &wanted.date, &wanted.about);
    let faulty = escapes::faults(&proof).len();
    std::fs::write(&wanted.out, page).map_err(|error| error.to_string())?;
    say(&format!("{} attempts, {faulty} faults: {}", proof.attempts, wanted.out.display()));
    Ok(faulty)
}

/// The programs beside this one, the agent with this script.
fn programs(script: &str) -> Result<Programs, String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts").join(script);
    Ok(Programs { botpipe: sibling("botpipe")?, agent: sibling("fake-agent")?, script })
}

fn sibling(name: &str) -> Result<PathBuf, String> {
    let here = std::env::current_exe().map_err(|error| error.to_string())?;
    Ok(here.with_file_name(name))
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
