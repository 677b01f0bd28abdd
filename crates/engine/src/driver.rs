//! The loop: input, decide, append, evolve, perform what is owed. Resume is the same loop.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use botpipe_journal::Lease;
use botpipe_kernel::run::{Event, Input, InterruptCause, Run, decide, outstanding};

use crate::engine::Parts;
use crate::error::Error;
use crate::perform::{self, Desk};
use crate::process::StopSwitch;
use crate::projection;
use crate::request::{Notice, Progress};

/// One owner moving one run.
pub(crate) struct Driver<'a> {
    pub(crate) parts: &'a Parts,
    pub(crate) lease: &'a Lease,
    pub(crate) run: Run,
    /// Sequence number of the last event.
    pub(crate) seq: u64,
    pub(crate) desk: Desk,
    pub(crate) progress: &'a dyn Progress,
    pub(crate) stop: &'a StopSwitch,
    /// Set when somebody asked the owner to cancel; `stop` is thrown with it.
    pub(crate) cancelled: &'a AtomicBool,
}

impl Driver<'_> {
    /// Moves the run until it owes nothing: ended, stopped or waiting.
    pub(crate) fn drive(&mut self) -> Result<(), Error> {
        let result = self.turn_over();
        let view = projection::View {
            id: &self.desk.run_id,
            task: &self.desk.task,
            message: &self.desk.message,
            run: &self.run,
            seq: self.seq,
        };
        projection::write_or_note(self.parts, &view, self.progress);
        result
    }

    fn turn_over(&mut self) -> Result<(), Error> {
        loop {
            if self.interrupted()? {
                return Ok(());
            }
            let Some(effect) = outstanding(&self.run).into_iter().next() else { return Ok(()) };
            match perform::perform(self, effect.clone()) {
                Ok(input) => {
                    // What a baseline owes only reads; the turn's own event waits for both.
                    let wait = match input {
                        Input::BaselineTaken { .. } => Wait::Later,
                        _ => Wait::Durable,
                    };
                    if !self.tell_and(input, wait)? {
                        return Err(Error::Internal {
                            message: format!("effect {} was answered in vain", effect.id()),
                        });
                    }
                }
                Err(perform::Trouble::Stuck { message }) => {
                    self.tell(Input::Stuck { message })?;
                }
                Err(perform::Trouble::Stopped) => {
                    self.interrupted()?;
                    return Ok(());
                }
                Err(perform::Trouble::Fatal(error)) => return Err(error),
            }
        }
    }

    /// Ends the owner's work when it was told to stop. True when it was.
    fn interrupted(&mut self) -> Result<bool, Error> {
        let Some(signal) = self.stop.requested() else { return Ok(false) };
        if outstanding(&self.run).is_empty() {
            return Ok(false);
        }
        if self.cancelled.load(Ordering::SeqCst) {
            self.tell(Input::Cancel)?;
        } else {
            let tree = self.desk.snapshots.take().ok();
            self.tell(Input::Stop { cause: InterruptCause::Signal(signal), tree })?;
        }
        Ok(true)
    }

    /// Tells the kernel something; what follows is durable when this returns. False: nothing follows.
    pub(crate) fn tell(&mut self, input: Input) -> Result<bool, Error> {
        self.tell_and(input, Wait::Durable)
    }

    /// The same, for facts that only need to be durable with the next ones.
    pub(crate) fn tell_soon(&mut self, input: Input) -> Result<(), Error> {
        self.tell_and(input, Wait::Later).map(drop)
    }

    fn tell_and(&mut self, input: Input, wait: Wait) -> Result<bool, Error> {
        let events = decide(&self.run, input).map_err(|refusal| Error::Refused { refusal })?;
        // A run that stops or waits may be left for good: nothing would follow to sync it.
        let rests = events
            .iter()
            .any(|event| matches!(event, Event::RunStopped { .. } | Event::QuestionAsked { .. }));
        self.record(&events, if rests { Wait::Durable } else { wait })?;
        Ok(!events.is_empty())
    }

    fn record(&mut self, events: &[Event], wait: Wait) -> Result<(), Error> {
        if events.is_empty() {
            return Ok(());
        }
        // If the append fails this driver is done, so its state may run ahead.
        for event in events {
            self.run.evolve(event);
        }
        match wait {
            Wait::Durable => {
                let summary = projection::summary(&self.run);
                self.parts.journal.append(self.lease, now(), events, Some(&summary))?;
            }
            Wait::Later => self.parts.journal.append_soon(self.lease, now(), events)?,
        }
        for event in events {
            self.seq += 1;
            self.progress.notice(&Notice::Recorded { seq: self.seq, event, run: &self.run });
        }
        Ok(())
    }
}

#[derive(Clone, Copy)]
enum Wait {
    Durable,
    Later,
}

/// Milliseconds since the epoch; only ever shown, never compared.
pub(crate) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// The side file of a turn, relative to its run's folder.
pub(crate) fn activity_name(turn: &botpipe_kernel::ids::TurnId) -> std::path::PathBuf {
    let name = turn.to_string().replace('/', ".");
    std::path::Path::new("turns").join(format!("{name}.jsonl"))
}
