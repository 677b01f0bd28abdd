//! Work that goes on beside the driver: one piece at a time, on a thread of its own.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use crate::error::Error;

type Work = Box<dyn FnOnce() -> Result<(), Error> + Send>;

/// A helping hand. Dropped, it finishes what it has begun.
#[derive(Default)]
pub(super) struct Beside {
    worker: Option<Worker>,
    busy: bool,
}

struct Worker {
    work: SyncSender<Work>,
    done: Receiver<Result<(), Error>>,
}

impl Beside {
    /// Begins a piece of work, after the one before.
    pub(super) fn start(
        &mut self,
        work: impl FnOnce() -> Result<(), Error> + Send + 'static,
    ) -> Result<(), Error> {
        self.settle()?;
        let worker = match self.worker.take() {
            Some(worker) => worker,
            None => Worker::hire()?,
        };
        let taken = worker.work.send(Box::new(work));
        self.worker = Some(worker);
        self.busy = true;
        taken.map_err(|_| gone())
    }

    /// Waits until nothing is in progress; says how it went.
    pub(super) fn settle(&mut self) -> Result<(), Error> {
        if !self.busy {
            return Ok(());
        }
        self.busy = false;
        let worker = self.worker.as_ref().ok_or_else(gone)?;
        worker.done.recv().map_err(|_| gone())?
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // Nobody is left to be told how it went.
        drop(self.settle());
    }
}

impl Worker {
    fn hire() -> Result<Self, Error> {
        let (work, todo) = sync_channel::<Work>(1);
        let (tell, done) = sync_channel(1);
        let labour = move || {
            for work in todo {
                if tell.send(work()).is_err() {
                    return;
                }
            }
        };
        thread::Builder::new().name("beside".to_owned()).spawn(labour).map_err(|error| {
            Error::Internal { message: format!("no thread could be started: {error}") }
        })?;
        Ok(Self { work, done })
    }
}

fn gone() -> Error {
    Error::Internal { message: "the thread that worked beside is gone".to_owned() }
}
