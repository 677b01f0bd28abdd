//! `botpipe init workflow`: a small workflow to begin with.

use std::fmt::Write as _;
use std::path::PathBuf;

use botpipe_engine::scaffold;
use botpipe_kernel::ids::WorkflowName;
use clap::Subcommand;
use serde_json::json;

use super::options::{Json, Workspace};
use crate::term::exit;
use crate::term::failure::Failure;
use crate::term::output::result;

/// Begin something new
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Workflow(Workflow),
}

/// Write a small workflow with comments, to be changed into your own
///
/// It lands in `workflows/NAME/`, passes `botpipe check`, and can be run as it is. Nothing that is there
/// is overwritten.
///
/// Example:
///   botpipe init workflow release_notes
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Workflow {
    /// Its name: lower-case letters, digits and `_`
    #[arg(value_name = "NAME")]
    name: WorkflowName,
    #[command(flatten)]
    workspace: Workspace,
    #[command(flatten)]
    json: Json,
}

impl Command {
    pub(super) fn json(&self) -> bool {
        let Self::Workflow(workflow) = self;
        workflow.json.json
    }

    pub(super) fn run(self) -> Result<u8, Failure> {
        let Self::Workflow(Workflow { name, workspace, json }) = self;
        let files = scaffold::workflow(workspace.path(), &name)?;
        result(json.form(), || text(&name, &files), || json!({ "name": name, "files": files }));
        Ok(exit::OK)
    }
}

fn text(name: &WorkflowName, files: &[PathBuf]) -> String {
    let mut text = String::new();
    for file in files {
        let _ = writeln!(text, "{}", file.display());
    }
    let _ = writeln!(text, "\nchange it, then:\n  botpipe check {name}");
    let _ = writeln!(text, "  botpipe run {name} \"what to do\"");
    text
}
