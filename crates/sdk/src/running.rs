//! A run that is moved by a thread of this process.

use std::panic::resume_unwind;
use std::sync::mpsc::{Sender, channel};
use std::thread::{Builder, JoinHandle};

use crate::{Client, Error, Events, Notice, Progress, RunEnd, RunRef, Start, StopSwitch, Workflow};

/// A run that is moved by a thread of this process. Made by [`Client::begin`](crate::Client::begin).
///
/// Dropped, the run goes on as long as the process does.
pub struct Running {
    client: Client,
    which: RunRef,
    stop: StopSwitch,
    thread: JoinHandle<Result<RunEnd, Error>>,
}

impl Running {
    pub(crate) fn begin(client: &Client, workflow: &Workflow, start: Start) -> Result<Self, Error> {
        let (owned, begun) = channel();
        let stop = StopSwitch::new();
        let moves = (client.clone(), workflow.clone(), stop.clone());
        let thread = Builder::new().name("botpipe-run".to_owned()).spawn(move || {
            let (client, workflow, stop) = moves;
            let end = client.run_watched(&workflow, start, &Herald { owned: owned.clone() }, &stop);
            if let Ok(end) = &end {
                // One that owes nothing from the start was never said to be owned.
                let _ = owned.send(end.which());
            }
            end
        });
        let thread = thread.map_err(|error| Error::Internal {
            message: format!("no thread could be started: {error}"),
        })?;
        match begun.recv() {
            Ok(which) => Ok(Self { client: client.clone(), which, stop, thread }),
            // It ended before there was a run.
            Err(_) => match thread.join() {
                Ok(Err(error)) => Err(error),
                Ok(Ok(end)) => {
                    Err(Error::Internal { message: format!("run `{}` was never begun", end.run) })
                }
                Err(panic) => resume_unwind(panic),
            },
        }
    }

    /// Which run it is, for [`Client`]'s other calls.
    pub fn which(&self) -> &RunRef {
        &self.which
    }

    /// Its events, from the first on.
    ///
    /// # Errors
    /// A journal that cannot be read.
    pub fn events(&self) -> Result<Events, Error> {
        self.client.follow(&self.which)
    }

    /// Stops it in order, to be resumed; `signal` is what the run says it was stopped by, such as 15.
    pub fn stop(&self, signal: i32) {
        self.stop.request(signal);
    }

    /// Waits until it ends, stops or waits.
    ///
    /// # Errors
    /// As [`Client::run`].
    pub fn end(self) -> Result<RunEnd, Error> {
        self.thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    }
}

/// Tells which run is owned.
struct Herald {
    owned: Sender<RunRef>,
}

impl Progress for Herald {
    fn notice(&self, notice: &Notice<'_>) {
        if let Notice::Owned { run, task, workflow, .. } = notice {
            let which = RunRef {
                workflow: (*workflow).clone(),
                task: (*task).clone(),
                run: Some((*run).clone()),
            };
            // Whoever began it may have been told already.
            let _ = self.owned.send(which);
        }
    }
}
