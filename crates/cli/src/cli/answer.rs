//! `botpipe answer`: answers what a run asks.

use super::detach::{Detach, Ground};
use super::options::{Speech, Which};
use crate::term::failure::Failure;

/// Answer the question a run waits with, and move it on
///
/// An answer that the question does not allow changes nothing: the run still waits.
///
/// Examples:
///   botpipe answer ralph_loop csv-export --answer 'use semicolons'
///   botpipe answer release v2 --answer '{"approved": true}'
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
    /// The answer: one of the choices, text, or JSON where the question has a schema
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    answer: String,
    #[command(flatten)]
    detach: Detach,
    #[command(flatten)]
    speech: Speech,
}

impl Args {
    pub(super) fn json(&self) -> bool {
        self.speech.json.json
    }

    pub(super) fn run(self) -> Result<u8, Failure> {
        let (workspace, named) = (self.which.workspace.path(), self.which.run_id.is_some());
        let ground = self.detach.begin(self.speech, workspace, named)?;
        if let Ground::Elsewhere(code) = ground {
            return Ok(code);
        }
        let which = self.which.run()?;
        let engine = self.which.workspace.engine()?;
        ground.go(&engine, self.speech, workspace, Some(&which), |progress, stop| {
            engine.answer(&which, &self.answer, progress, stop)
        })
    }
}
