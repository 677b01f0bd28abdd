//! `botpipe record`: the cassette of a run that was recorded.

use std::fs;
use std::path::PathBuf;

use serde_json::json;

use super::options::{Json, Which};
use crate::term::exit;
use crate::term::failure::Failure;
use crate::term::output::{result, say};

/// Write the recording of a run as a cassette
///
/// The run must have been started with `--record`: each turn's request, activity, answer and changed
/// files are kept while it moves, secrets redacted. `run --record FILE` writes the cassette itself when the
/// run is over or waits; this writes it at any time. `botpipe run … --provider replay --cassette FILE` and
/// `botpipe test` play it, without a model.
///
/// Examples:
///   botpipe record ralph_loop csv-export -o csv_export.cassette.json
///   botpipe record ralph_loop csv-export > csv_export.cassette.json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
    /// The file to write; without it, standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    json: Json,
}

impl Args {
    pub(super) fn json(&self) -> bool {
        self.json.json
    }

    pub(super) fn run(self) -> Result<u8, Failure> {
        let cassette = self.which.workspace.engine()?.cassette(&self.which.run()?)?;
        let Some(path) = self.output else {
            say(&cassette);
            return Ok(exit::OK);
        };
        fs::write(&path, &cassette).map_err(|error| {
            Failure::error(format!("could not write `{}`: {error}", path.display()))
        })?;
        let text = || format!("recorded in {}\n", path.display());
        result(self.json.form(), text, || json!({ "cassette": path }));
        Ok(exit::OK)
    }
}
