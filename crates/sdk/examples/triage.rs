//! Single turns for typed values: `triage WORKSPACE PROGRAM [ARGS…]` sorts the report on standard input.

#![expect(clippy::print_stdout, reason = "a program that talks to a person")]

use std::error::Error;
use std::io::{self, Read as _};

use botpipe::build::Schema;
use botpipe::{Client, Provider, Start};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Bug,
    Idea,
}

#[derive(Debug, Deserialize)]
struct Size {
    hours: f64,
    why: String,
}

fn main() -> Result<(), Box<dyn Error>> {
    botpipe::enter();
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [workspace, program, args @ ..] = &words[..] else {
        return Err("give a workspace and an agent's program".into());
    };
    let mut report = String::new();
    io::stdin().read_to_string(&mut report)?;
    let client = Client::open(workspace)?;
    let start = || Start {
        provider: Some(Provider::Command { program: program.clone(), args: args.to_vec() }),
        ..Start::default()
    };
    let kinds = [("bug", "Something does not do what it should."), ("idea", "Something is new.")];
    let kind: Kind = client.classify(format!("What is this?\n\n{report}"), kinds, start())?;
    let fields = [("hours", Schema::number()), ("why", Schema::string())];
    let size: Size = client.llm(format!("How long will it take?\n\n{report}"), fields, start())?;
    println!("{kind:?}, {} hours: {}", size.hours, size.why);
    Ok(())
}
