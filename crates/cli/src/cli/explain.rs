//! `botpipe explain`: what an agent would be told in a step, word by word.

use std::path::Path;

use botpipe_engine::explain::{ExplainError, Question, explain};
use botpipe_kernel::ids::{Role, StepId, TaskId};
use clap::ValueEnum;
use serde_json::json;

use super::options::{Workspace, checked, input, pairs, read};
use crate::term::exit;
use crate::term::failure::Failure;
use crate::term::output::{Form, result, say};

/// Print what an agent would be told in a step: the prompt, and the contract behind it
///
/// Byte for byte what a run would send for the same data, on the first visit of the step and its first item.
/// What is not given is made up: input and parameters that have no default, and artifacts, from their schemas.
/// Nothing is run, and nothing is written.
///
/// Examples:
///   botpipe explain ralph_loop implement
///   botpipe explain ralph_loop plan --role verifier -i request "Add a CSV export"
///   botpipe explain ralph_loop implement --artifact work work.json --json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// The workflow: a name, an alias, or a path to its file or folder
    #[arg(value_name = "REF")]
    reference: String,
    /// The step
    #[arg(value_name = "STEP")]
    step: StepId,
    /// Whose turn; without it, the step's first
    #[arg(long, value_name = "ROLE", value_enum)]
    role: Option<Whose>,
    /// What to do, in words, as given to `run`
    #[arg(long, value_name = "TEXT")]
    message: Option<String>,
    /// The whole input: JSON, or a file of JSON (`@FILE`, or a path ending in .json)
    #[arg(long, value_name = "JSON|FILE")]
    input: Option<String>,
    /// One field of the input; may be given again
    #[arg(short = 'i', num_args = 2, value_names = ["NAME", "VALUE"], allow_hyphen_values = true)]
    input_field: Vec<String>,
    /// One parameter of the workflow, also written `-wf NAME VALUE`; may be given again
    #[arg(long = "wf", num_args = 2, value_names = ["NAME", "VALUE"], allow_hyphen_values = true)]
    param: Vec<String>,
    /// The content of an artifact, instead of a made-up one; may be given again
    #[arg(long, num_args = 2, value_names = ["NAME", "FILE"])]
    artifact: Vec<String>,
    /// The task's id, which stands in the paths
    #[arg(long, value_name = "TASK")]
    task: Option<TaskId>,
    #[command(flatten)]
    workspace: Workspace,
    /// Print one JSON document: the text, and the data it was made of
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Whose {
    Worker,
    Producer,
    Verifier,
    Script,
    #[value(name = "before")]
    Before,
    #[value(name = "before_producer")]
    BeforeProducer,
    #[value(name = "after_producer")]
    AfterProducer,
    #[value(name = "before_verifier")]
    BeforeVerifier,
}

impl Args {
    pub(super) fn json(&self) -> bool {
        self.json
    }

    pub(super) fn run(self) -> Result<u8, Failure> {
        let compiled = checked(self.workspace.path(), &self.reference)?;
        let mut artifacts = Vec::new();
        for (name, file) in pairs(&self.artifact) {
            artifacts.push((name, read(Path::new(&file))?));
        }
        let question = Question {
            step: self.step,
            role: self.role.map(|role| match role {
                Whose::Worker => Role::Worker,
                Whose::Producer => Role::Producer,
                Whose::Verifier => Role::Verifier,
                Whose::Script => Role::Script,
                Whose::Before => Role::Before,
                Whose::BeforeProducer => Role::BeforeProducer,
                Whose::AfterProducer => Role::AfterProducer,
                Whose::BeforeVerifier => Role::BeforeVerifier,
            }),
            task: self.task,
            message: self.message,
            input: self.input.as_deref().map(input).transpose()?,
            input_fields: pairs(&self.input_field),
            params: pairs(&self.param),
            artifacts,
        };
        let explained = explain(&compiled, &question).map_err(failure)?;
        if !self.json {
            say(&explained.text);
            return Ok(exit::OK);
        }
        result(Form::Json, String::new, || {
            json!({
                "turn": explained.turn,
                "text": explained.text,
                "input": explained.input,
                "params": explained.params,
                "artifacts": explained.artifacts,
            })
        });
        Ok(exit::OK)
    }
}

fn failure(error: ExplainError) -> Failure {
    match error {
        ExplainError::Engine(error) => error.into(),
        ExplainError::NoStep { .. } | ExplainError::NoArtifact { .. } => {
            Failure::not_found(error.to_string())
        }
        ExplainError::NoRole { .. }
        | ExplainError::NoSample { .. }
        | ExplainError::NotReached { .. } => Failure::usage(error.to_string()),
    }
}
