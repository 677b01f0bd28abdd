//! `botpipe answer`: answers what a run asks.

use super::options::{Speech, Which, switch};
use crate::term::end::End;
use crate::term::failure::Failure;
use crate::term::progress::watcher;

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
    speech: Speech,
}

impl Args {
    pub(super) fn json(&self) -> bool {
        self.speech.json.json
    }

    pub(super) fn run(self) -> Result<u8, Failure> {
        let which = self.which.run()?;
        let engine = self.which.workspace.engine()?;
        let stop = switch()?;
        let progress = watcher(self.speech.volume());
        let end = engine.answer(&which, &self.answer, progress.as_ref(), &stop);
        drop(progress);
        let end = end.map_err(|error| Failure::moving(error, self.which.workspace.path()))?;
        let end = End::of(&end, self.which.workspace.path(), Some(&which));
        Ok(end.print(self.speech.form(), self.speech.volume()))
    }
}
