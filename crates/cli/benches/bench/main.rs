//! The bench: what Botpipe costs, as ratios that were measured side by side in one run.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench ends where it fails, and prints"
)]

mod agent;
mod branches;
mod check;
mod cold;
mod items;
mod line;
mod place;
mod sandbox;
mod step;
mod steps;

use std::process::ExitCode;

use line::Line;

/// What to do, from the command line.
#[derive(Debug, Clone)]
struct Asked {
    json: bool,
    check: bool,
    /// Fewer rounds and steps: to see that it works, not to judge.
    quick: bool,
    only: Option<String>,
}

/// One part of the bench.
type Part = fn(&Asked) -> Vec<Line>;

const PARTS: [(&str, Part); 7] = [
    ("step", step::measure),
    ("cold", cold::measure),
    ("sandbox", sandbox::measure),
    ("check", check::measure),
    ("branches", branches::measure),
    ("items", items::measure),
    ("steps", steps::measure),
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.first().is_some_and(|word| word == agent::WORD) {
        agent::answer();
        return ExitCode::SUCCESS;
    }
    if let [word, path] = words.as_slice()
        && word == check::WORD
    {
        check::answer(path);
        return ExitCode::SUCCESS;
    }
    let asked = match asked(&words) {
        Ok(asked) => asked,
        Err(message) => {
            eprintln!(
                "error: {message}\n  usage: tools/bench [--json] [--check] [--quick] [--only NAME]"
            );
            return ExitCode::from(2);
        }
    };
    let mut lines = Vec::new();
    for (name, measure) in PARTS {
        if asked.only.as_deref().is_none_or(|only| only == name) {
            eprintln!("bench: {name}");
            lines.extend(measure(&asked));
        }
    }
    place::Place::remove_all();
    line::print(&lines, asked.json);
    if asked.check && lines.iter().any(Line::misses) {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn asked(words: &[String]) -> Result<Asked, String> {
    let mut asked = Asked { json: false, check: false, quick: false, only: None };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--json" => asked.json = true,
            "--check" => asked.check = true,
            "--quick" => asked.quick = true,
            // What `cargo bench` itself adds.
            "--bench" => {}
            "--only" => match words.next() {
                Some(name) if PARTS.iter().any(|(part, _)| part == name) => {
                    asked.only = Some(name.clone());
                }
                _ => {
                    let names = PARTS.map(|(name, _)| name).join(", ");
                    return Err(format!("`--only` takes one of {names}"));
                }
            },
            other => return Err(format!("`{}` is no option", other.escape_debug())),
        }
    }
    Ok(asked)
}
