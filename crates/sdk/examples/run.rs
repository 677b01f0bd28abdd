//! Runs a workflow and tells what happens: `run WORKSPACE WORKFLOW MESSAGE PROGRAM [ARGS…]`. What it asks is
//! answered from standard input.

#![expect(clippy::print_stdout, reason = "a program that talks to a person")]

use std::error::Error;
use std::io::{self, BufRead as _, Write as _};

use botpipe::{Client, Lifecycle, Notice, Progress, Provider, Start, StopSwitch, Workflow};

struct Told;

impl Progress for Told {
    fn notice(&self, notice: &Notice<'_>) {
        let mut out = io::stdout().lock();
        // Who listens no more is told no more.
        let _ = match notice {
            Notice::Happened { event, .. } => writeln!(out, "{}", event.kind()),
            Notice::Activity { line, .. } => writeln!(out, "  | {line}"),
            Notice::Note { text } => writeln!(out, "  note: {text}"),
            Notice::Child { branch, .. } => writeln!(out, "  ({branch})"),
            Notice::Durable { .. } | Notice::Owned { .. } => Ok(()),
        };
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    botpipe::enter();
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [workspace, workflow, message, program, args @ ..] = &words[..] else {
        return Err("give a workspace, a workflow, a message and an agent's program".into());
    };
    let client = Client::open(workspace)?;
    let workflow = Workflow::find(client.workspace(), workflow)?;
    let start = Start {
        message: Some(message.clone()),
        provider: Some(Provider::Command { program: program.clone(), args: args.to_vec() }),
        ..Start::default()
    };
    let stop = StopSwitch::new();
    let mut end = client.run_watched(&workflow, start, &Told, &stop)?;
    while let Lifecycle::Waiting(question) = end.lifecycle() {
        println!("? {}", question.text);
        let Some(answer) = io::stdin().lock().lines().next().transpose()? else { break };
        end = client.answer(&end.which(), &answer, &Told, &stop)?;
    }
    println!("task {}: {:?}", end.task, end.lifecycle());
    Ok(())
}
