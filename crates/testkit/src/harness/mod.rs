//! The fake harness: a program with somebody else's protocol, played from a text file.

mod play;

use std::env;
use std::fs;
use std::io::Write as _;
use std::process::ExitCode;

/// The program's `main`.
///
/// `--version` says the version of the file's name up to its first dot (`codex.0.169.0` says
/// `codex 0.169.0`). Else `--script FILE`, anywhere among arguments of the harness it plays, names
/// the script; `play` says what it may hold.
pub fn main() -> ExitCode {
    let words: Vec<String> = env::args().collect();
    if words.iter().any(|word| word == "--version") {
        let name = words[0].rsplit('/').next().unwrap_or_default();
        let (name, version) = name.split_once('.').unwrap_or((name, "0.0.0"));
        return said(&format!("{name} {version}\n"));
    }
    // Codex is asked to try its sandbox first; here nothing is confined, and nothing tried.
    if words.get(1).is_some_and(|word| word == "sandbox") {
        return said("probed\n");
    }
    // Codex is asked whether it has an app server: it has, unless its name says otherwise.
    if words.get(1).is_some_and(|word| word == "app-server")
        && words.get(2).is_some_and(|word| word == "--help")
    {
        let name = words[0].rsplit('/').next().unwrap_or_default();
        let old = name.starts_with("codex_without_app_server");
        return said(if old { "Usage: codex [OPTIONS]\n" } else { "Usage: codex app-server\n" });
    }
    let script = words.iter().skip_while(|word| *word != "--script").nth(1);
    let Some(script) = script else { return failed("no `--script FILE` among the arguments") };
    match fs::read_to_string(script) {
        Ok(text) => match play::play(&text, script, &words) {
            Ok(code) => ExitCode::from(code),
            Err(why) => failed(&format!("{script}: {why}")),
        },
        Err(error) => failed(&format!("{script}: {error}")),
    }
}

fn said(text: &str) -> ExitCode {
    let done = std::io::stdout().write_all(text.as_bytes());
    if done.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn failed(why: &str) -> ExitCode {
    // Its own code, so that a broken test is told from a harness that breaks.
    let _ = writeln!(std::io::stderr(), "fake-harness: {why}");
    ExitCode::from(99)
}
