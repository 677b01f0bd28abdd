//! `botpipe schema`: JSON Schemas for editors and programs.

use botpipe_engine::schemas;
use clap::builder::PossibleValuesParser;

use crate::term::exit;
use crate::term::output::say;

/// Print a JSON Schema: of a file that people write, or of what botpipe gives to programs
///
/// `workflow`, `config` and `test` are for editors that complete and check YAML; `botpipe check`, `config
/// show` and `test` tell more. `botpipe init workflow` writes the first one beside the workflow and names it
/// in the file's first line. `events` is a recorded event, `plan` a workflow as `workflows show --json`
/// gives it, `rpc` a message of `botpipe rpc`.
///
/// Examples:
///   botpipe schema workflow > workflows/sop.schema.json
///   botpipe schema config
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// Of what: a workflow, a `botpipe.yaml`, an event, a plan, a message of a host, a `*.test.yaml`
    #[arg(value_name = "OF", default_value = "workflow", value_parser = PossibleValuesParser::new(schemas::ALL.map(|(name, _)| name)))]
    of: String,
}

impl Args {
    pub(super) fn run(&self) -> u8 {
        let found = schemas::ALL.iter().find(|(name, _)| *name == self.of);
        say(found.map(|(_, text)| *text).unwrap_or_default());
        exit::OK
    }
}
