//! `botpipe cancel`: ends a run for good.

use botpipe_engine::request::CancelResult;
use serde_json::json;

use super::options::{Json, Which};
use crate::term::exit;
use crate::term::failure::Failure;
use crate::term::output::result;

/// End a run for good
///
/// The process that moves the run is told to stop, and what it runs is ended with it. Files stay as
/// they are; a cancelled run cannot be resumed.
///
/// Example:
///   botpipe cancel ralph_loop csv-export
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    json: Json,
}

impl Args {
    pub(super) fn json(&self) -> bool {
        self.json.json
    }

    pub(super) fn run(self) -> Result<u8, Failure> {
        let which = self.which.run()?;
        let engine = self.which.workspace.engine()?;
        let (word, sentence) = match engine.cancel(&which)? {
            CancelResult::Cancelled => ("cancelled", "is cancelled"),
            CancelResult::ByOwner => ("cancelled", "was cancelled by the process that moved it"),
            CancelResult::Requested => {
                ("requested", "was told to cancel; the process that moves it has not answered yet")
            }
        };
        let view = json!({ "workflow": which.workflow, "task": which.task, "state": word });
        let text = format!("task {} ({}) {sentence}\n", which.task, which.workflow);
        result(self.json.form(), || text, || view);
        Ok(exit::OK)
    }
}
