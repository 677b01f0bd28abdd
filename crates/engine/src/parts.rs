//! What every run of a workspace shares: its places, its journal, its objects.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use botpipe_journal::{Journal, Objects, Stored};
use botpipe_kernel::ids::{Digest, RunId};
use botpipe_kernel::plan::Plan;
use botpipe_kernel::run::{Event, Ref, Run};
use serde_json::Value;

use crate::error::Error;
use crate::host::Host;
use crate::workspace::layout::Layout;

/// What every run of a workspace shares.
pub(crate) struct Parts {
    pub(crate) layout: Layout,
    pub(crate) journal: Journal,
    pub(crate) objects: Objects,
    /// The binary that becomes stage 1; without one, the running binary.
    pub(crate) stage1: Option<PathBuf>,
    /// The program whose functions runs may call.
    pub(crate) host: Option<Arc<dyn Host>>,
    /// Says to others that somebody lives in `.botpipe`.
    pub(crate) _held: Option<File>,
}

impl Parts {
    /// The text a reference stands for.
    pub(crate) fn text(&self, text: &Ref) -> Result<String, Error> {
        match text {
            Ref::Inline(text) => Ok(text.clone()),
            Ref::Object(digest) => self.text_of(digest),
        }
    }

    /// A run as its events tell it, and the sequence number of the last.
    pub(crate) fn fold(&self, run: &RunId) -> Result<(Run, u64), Error> {
        let events = self.journal.read(run)?;
        let seq = events.last().map_or(0, |stored| stored.seq);
        Ok((self.fold_events(run, &events)?, seq))
    }

    pub(crate) fn fold_events(&self, run: &RunId, events: &[Stored]) -> Result<Run, Error> {
        let Some(Event::RunCreated { plan, .. }) = events.first().map(|stored| &stored.event)
        else {
            return Err(Error::Record {
                run: run.clone(),
                what: "its first event".to_owned(),
                message: "the journal has no `run_created` for it".to_owned(),
            });
        };
        let mut state = Run::new(Arc::new(self.plan(run, plan)?));
        for stored in events {
            state.evolve(&stored.event);
        }
        Ok(state)
    }

    fn plan(&self, run: &RunId, digest: &Digest) -> Result<Plan, Error> {
        let record = |message: String| Error::Record {
            run: run.clone(),
            what: format!("its plan {}", digest.short()),
            message,
        };
        let bytes = self.objects.get(digest).map_err(|error| record(error.to_string()))?;
        let value: Value =
            serde_json::from_slice(&bytes).map_err(|error| record(error.to_string()))?;
        let format = value.get("format").and_then(Value::as_u64).unwrap_or(0);
        if format > u64::from(Plan::FORMAT) {
            return Err(record(format!(
                "it has format {format}, and this version reads up to {}; use a newer botpipe",
                Plan::FORMAT
            )));
        }
        serde_json::from_value(value).map_err(|error| record(error.to_string()))
    }

    /// The text of an object.
    pub(crate) fn text_of(&self, digest: &Digest) -> Result<String, Error> {
        let bytes = self.objects.get(digest)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Keeps a text: in place when small, else as an object.
    pub(crate) fn keep(&self, text: &str) -> Result<Ref, Error> {
        if text.len() <= INLINE_BYTES {
            return Ok(Ref::Inline(text.to_owned()));
        }
        Ok(Ref::Object(self.objects.put(text.as_bytes())?))
    }
}

/// The largest text kept in an event itself.
pub(crate) const INLINE_BYTES: usize = 512;
