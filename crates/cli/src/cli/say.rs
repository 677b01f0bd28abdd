//! `botpipe say`: tells a run something.

use botpipe_engine::request::SayResult;
use serde_json::json;

use super::options::{Json, Which};
use crate::term::exit;
use crate::term::failure::Failure;
use crate::term::output::result;

/// Tell a run something while it works
///
/// The turn that runs is told at once where its harness can be told (Codex, Claude Code); else the next
/// turn is. It is recorded, and said once. A question of the run is answered with `botpipe answer`.
///
/// Example:
///   botpipe say ralph_loop csv-export "Leave the old exporter alone."
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
    /// What to say
    #[arg(value_name = "TEXT")]
    text: String,
    #[command(flatten)]
    json: Json,
}

impl Args {
    pub(super) fn json(&self) -> bool {
        self.json.json
    }

    pub(super) fn run(self) -> Result<u8, Failure> {
        let text = self.text.trim();
        if text.is_empty() {
            return Err(Failure::usage("there is nothing to say: the text is empty"));
        }
        if text.len() > MOST_BYTES {
            return Err(Failure::usage(format!("the text is longer than {MOST_BYTES} bytes"))
                .hint("put it into a file of the workspace and say where it is"));
        }
        let which = self.which.run()?;
        let said = self.which.workspace.engine()?.say(&which, text)?;
        let (word, turn, sentence) = match &said {
            SayResult::Delivered { turn } => {
                ("delivered", Some(turn), format!("turn {turn} was told"))
            }
            SayResult::ForNextTurn => {
                ("for_next_turn", None, "is recorded; the next turn is told".to_owned())
            }
            SayResult::Requested => (
                "requested",
                None,
                "is on the run's list; the process that moves it has not answered yet".to_owned(),
            ),
        };
        let view =
            json!({ "workflow": which.workflow, "task": which.task, "said": word, "turn": turn });
        result(self.json.form(), || format!("{sentence}\n"), || view);
        Ok(exit::OK)
    }
}

/// Far below what a prompt may hold.
const MOST_BYTES: usize = 100_000;
