//! `botpipe signal`: sends a signal to a run.

use botpipe_engine::request::{SignalRequest, SignalResult};
use botpipe_kernel::ids::SignalName;
use serde_json::{Value, json};

use super::options::{Speech, Which, switch};
use crate::term::end::End;
use crate::term::exit;
use crate::term::failure::Failure;
use crate::term::output::result;
use crate::term::progress::watcher;

/// Send a run the signal that one of its steps waits for
///
/// Where a step waits for it now, the run is moved on. One that comes early is kept until a step waits
/// for it, and ends one wait. Sent again with the same --id, it counts once.
///
/// Examples:
///   botpipe signal release v2 build_done
///   botpipe signal release v2 build_done --payload '{"build": 17}' --id build-17
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
    /// The signal's name, as the step has it
    #[arg(value_name = "NAME")]
    name: SignalName,
    /// What comes with it: JSON
    #[arg(long, value_name = "JSON", allow_hyphen_values = true)]
    payload: Option<String>,
    /// What tells it from others; without it, every signal is new
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    #[command(flatten)]
    speech: Speech,
}

impl Args {
    pub(super) fn json(&self) -> bool {
        self.speech.json.json
    }

    pub(super) fn run(self) -> Result<u8, Failure> {
        let payload = self.payload.as_deref().map(payload).transpose()?;
        if self.id.as_deref().is_some_and(|id| id.is_empty() || id.len() > MOST_ID_BYTES) {
            let message = format!("an id has 1 to {MOST_ID_BYTES} bytes");
            return Err(Failure::usage(message));
        }
        let which = self.which.run()?;
        let engine = self.which.workspace.engine()?;
        let request = SignalRequest { name: self.name, payload, id: self.id };
        let stop = switch()?;
        let progress = watcher(self.speech.volume());
        let sent = engine.signal(&which, &request, progress.as_ref(), &stop);
        drop(progress);
        let sent = sent.map_err(|error| Failure::moving(error, self.which.workspace.path()))?;
        let (word, sentence) = match &sent {
            SignalResult::MovedOn(end) => {
                let end = End::of(end, self.which.workspace.path(), Some(&which));
                return Ok(end.print(self.speech.form(), self.speech.volume()));
            }
            SignalResult::Kept => ("kept", "is kept until a step waits for it"),
            SignalResult::ByOwner => ("kept", "was taken by the process that moves the run"),
            SignalResult::Before => ("before", "came before; this one changes nothing"),
            SignalResult::Requested => {
                ("requested", "is on the run's list; it is heard when the run is taken up")
            }
        };
        let view = json!({
            "workflow": which.workflow,
            "task": which.task,
            "signal": request.name,
            "sent": word,
        });
        let text = format!("signal {} {sentence}\n", request.name);
        result(self.speech.form(), || text, || view);
        Ok(exit::OK)
    }
}

fn payload(text: &str) -> Result<Value, Failure> {
    if text.len() > MOST_BYTES {
        return Err(Failure::usage(format!("the payload is longer than {MOST_BYTES} bytes"))
            .hint("put it into a file of the workspace and say where it is"));
    }
    serde_json::from_str(text).map_err(|error| {
        Failure::usage(format!("the payload is not JSON: {error}"))
            .hint("a text is JSON in double quotes: --payload '\"ready\"'")
    })
}

/// Far below what an event may hold.
const MOST_BYTES: usize = 100_000;
const MOST_ID_BYTES: usize = 200;
