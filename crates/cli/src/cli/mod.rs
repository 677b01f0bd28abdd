//! The commands: one file each; this is the table.

#![expect(clippy::doc_markdown, reason = "the doc comments are help text, with commands in it")]

mod answer;
mod attach;
mod cancel;
mod check;
mod completions;
mod config;
mod cost;
mod demo;
mod detach;
mod doctor;
mod explain;
mod graph;
mod harness;
mod init;
mod logs;
mod options;
mod policy;
mod record;
mod resume;
mod rpc;
mod run;
mod runs;
mod sandbox;
mod say;
mod schema;
mod signal;
mod test;
mod why;
mod workflows;

use std::ffi::OsString;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use signal_hook::consts::SIGPIPE;

use crate::term::exit;
use crate::term::failure::Failure;
use crate::term::output::{Form, heard, is_lost, result, tell};

/// Runs standard operating procedures on coding agents.
///
/// A workflow says which steps there are, what each must leave behind and where it leads; an agent
/// does the work; botpipe governs the run, records it, and takes it up again after any interruption.
#[derive(Debug, Parser)]
#[command(name = "botpipe", version, after_long_help = exit::TABLE, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(Box<run::Args>),
    Resume(resume::Args),
    Answer(answer::Args),
    Say(say::Args),
    Signal(signal::Args),
    Cancel(cancel::Args),
    #[command(subcommand)]
    Runs(runs::Command),
    Why(why::Args),
    Attach(attach::Args),
    Logs(logs::Args),
    Cost(cost::Args),
    Record(record::Args),
    #[command(subcommand)]
    Workflows(workflows::Command),
    Check(check::Args),
    Test(test::Args),
    Explain(explain::Args),
    Graph(graph::Args),
    Sandbox(sandbox::Args),
    #[command(subcommand)]
    Policy(policy::Command),
    Schema(schema::Args),
    #[command(subcommand)]
    Config(config::Command),
    Doctor(doctor::Args),
    #[command(subcommand)]
    Init(init::Command),
    Completions(completions::Args),
    Rpc(rpc::Args),
    Demo(demo::Args),
}

/// Does what the command line says; the process's exit code.
pub(crate) fn main(args: impl IntoIterator<Item = OsString>) -> u8 {
    let parsed = Cli::command()
        .try_get_matches_from(spell_out(args))
        .and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => {
            let printed = error.print();
            if error.use_stderr() {
                return exit::USAGE;
            }
            // Help that nobody reads is no failure, and is told where it is one.
            drop(heard(printed));
            return if is_lost() { exit::ERROR } else { exit::OK };
        }
    };
    let code = cli.run();
    // A program that was cut off by us is told so by this signal.
    let good = code == exit::OK || code == exit::by_signal(SIGPIPE);
    if is_lost() && good { exit::ERROR } else { code }
}

impl Cli {
    fn run(self) -> u8 {
        let json = self.command.json();
        match self.command.run() {
            Ok(code) => code,
            Err(failure) => {
                tell(&failure.to_string());
                if let Some(json) = json
                    && Form::choose(json).is_json()
                {
                    result(Form::Json, String::new, || failure.to_json());
                }
                failure.exit_code()
            }
        }
    }
}

impl Command {
    fn run(self) -> Result<u8, Failure> {
        match self {
            Self::Run(args) => args.run(),
            Self::Resume(args) => args.run(),
            Self::Answer(args) => args.run(),
            Self::Say(args) => args.run(),
            Self::Signal(args) => args.run(),
            Self::Cancel(args) => args.run(),
            Self::Runs(command) => command.run(),
            Self::Why(args) => args.run(),
            Self::Attach(args) => args.run(),
            Self::Logs(args) => args.run(),
            Self::Cost(args) => args.run(),
            Self::Record(args) => args.run(),
            Self::Workflows(command) => command.run(),
            Self::Check(args) => args.run(),
            Self::Test(args) => args.run(),
            Self::Explain(args) => args.run(),
            Self::Graph(args) => args.run(),
            Self::Sandbox(args) => args.run(),
            Self::Policy(command) => command.run(),
            Self::Schema(args) => Ok(args.run()),
            Self::Config(command) => command.run(),
            Self::Doctor(args) => args.run(),
            Self::Init(command) => command.run(),
            Self::Completions(args) => Ok(args.run(&mut Cli::command())),
            Self::Rpc(args) => args.run(),
            Self::Demo(args) => args.run(),
        }
    }

    /// Whether `--json` was given; `None` for a command whose output is lines.
    fn json(&self) -> Option<bool> {
        match self {
            Self::Run(args) => Some(args.json()),
            Self::Resume(args) => Some(args.json()),
            Self::Answer(args) => Some(args.json()),
            Self::Say(args) => Some(args.json()),
            Self::Signal(args) => Some(args.json()),
            Self::Cancel(args) => Some(args.json()),
            Self::Runs(command) => Some(command.json()),
            Self::Workflows(command) => Some(command.json()),
            Self::Why(args) => Some(args.json()),
            Self::Attach(args) => Some(args.json()),
            Self::Cost(args) => Some(args.json()),
            Self::Record(args) => Some(args.json()),
            Self::Check(args) => Some(args.json()),
            Self::Test(args) => Some(args.json()),
            Self::Explain(args) => Some(args.json()),
            Self::Config(command) => Some(command.json()),
            Self::Policy(command) => Some(command.json()),
            Self::Doctor(args) => Some(args.json()),
            Self::Init(command) => Some(command.json()),
            Self::Demo(args) => Some(args.json()),
            Self::Logs(_)
            | Self::Graph(_)
            | Self::Sandbox(_)
            | Self::Schema(_)
            | Self::Rpc(_)
            | Self::Completions(_) => None,
        }
    }
}

/// `-wf`, a short option of two letters, which the parser does not know, as `--wf`.
fn spell_out(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut ours = true;
    let spell = |arg: OsString| {
        ours &= arg != "--";
        if ours && arg == "-wf" { "--wf".into() } else { arg }
    };
    args.into_iter().map(spell).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_commands_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_short_option_of_two_letters_is_spelt_out_before_the_agents_own_words() {
        let args = ["botpipe", "run", "x", "-wf", "a", "b", "--", "agent", "-wf"];
        let spelt = spell_out(args.map(OsString::from));
        assert_eq!(spelt[3], "--wf");
        assert_eq!(spelt[8], "-wf");
    }
}
