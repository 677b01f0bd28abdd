//! What others ask of a run's owner: to cancel it, to tell its agent something, to hear a signal.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use botpipe_journal::{Asked, Journal, Lease, Request};
use botpipe_kernel::ids::RunId;
use botpipe_kernel::run::{Event, Input, Refusal, Run, Said};

use crate::driver::{Driver, now};
use crate::engine::{Engine, owner};
use crate::error::Error;
use crate::inbox::{Inbox, Mail};
use crate::perform::{About, Desk};
use crate::process::StopSwitch;
use crate::request::{CancelResult, RunRef, SayResult, Silent};
use crate::workspace::redact::Redactor;

impl Engine {
    /// Ends a run for good; a living owner is told to.
    ///
    /// # Errors
    /// No such run, or one that is over.
    pub fn cancel(&self, which: &RunRef) -> Result<CancelResult, Error> {
        let row = self.find_root(which)?;
        match self.parts.journal.acquire(&row.run, &owner("cancel")) {
            Ok(lease) => {
                let (run, seq) = self.parts.fold(&row.run)?;
                let desk = Desk::set_up(&self.parts, About::of(&self.parts, &row, &run)?)?;
                let stop = StopSwitch::new();
                self.own(&lease, run, seq, desk, &Silent, &stop, |driver| {
                    crate::perform::cancel(driver)?;
                    driver.tell(Input::Cancel).map(drop)
                })?;
                Ok(CancelResult::Cancelled)
            }
            Err(botpipe_journal::Error::Busy { run, .. }) if run == row.run => {
                self.parts.journal.request(&row.run, Request::Cancel)?;
                for _ in 0..CANCEL_PATIENCE_TENTHS {
                    thread::sleep(Duration::from_millis(100));
                    if self.parts.fold(&row.run)?.0.lifecycle.is_ended() {
                        return Ok(CancelResult::ByOwner);
                    }
                }
                Ok(CancelResult::Requested)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Tells a run something: the running turn where its harness can be told, else the next turn.
    ///
    /// # Errors
    /// No such run, or one that is over.
    pub fn say(&self, which: &RunRef, text: &str) -> Result<SayResult, Error> {
        let row = self.find_root(which)?;
        let id = own_id('s');
        let (run, _) = self.parts.fold(&row.run)?;
        if run.lifecycle.is_ended() {
            return Err(Error::Refused { refusal: Refusal::Ended });
        }
        match self.parts.journal.acquire(&row.run, &owner("say")) {
            Ok(lease) => {
                let (run, seq) = self.parts.fold(&row.run)?;
                let desk = Desk::set_up(&self.parts, About::of(&self.parts, &row, &run)?)?;
                let said = desk.redactor.redact(text).into_owned();
                let said = Said { id, text: self.parts.keep(&said)? };
                self.record(&lease, run, seq, desk, Input::Say { said })?;
                Ok(SayResult::ForNextTurn)
            }
            Err(botpipe_journal::Error::Busy { run, .. }) if run == row.run => {
                // The list of requests is a file too.
                let text = Redactor::of_process().redact(text).into_owned();
                let request = Request::Say { id: id.clone(), text };
                self.parts.journal.request(&row.run, request)?;
                self.await_said(&row.run, &id)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Records something in a run that is at rest, and leaves it there.
    pub(crate) fn record(
        &self,
        lease: &Lease,
        run: Run,
        seq: u64,
        desk: Desk,
        input: Input,
    ) -> Result<(), Error> {
        let mut driver = Driver {
            parts: &self.parts,
            lease,
            run,
            seq,
            pending: Vec::new(),
            desk,
            progress: &Silent,
            stop: &StopSwitch::new(),
            inbox: &Inbox::default(),
            cancelled: &AtomicBool::new(false),
        };
        driver.tell(input)?;
        driver.append()
    }

    /// Waits a little for a living owner to have recorded what was said.
    fn await_said(&self, run: &RunId, id: &str) -> Result<SayResult, Error> {
        let mut recorded = 0;
        for _ in 0..SAY_PATIENCE_TENTHS {
            thread::sleep(Duration::from_millis(100));
            let events = self.parts.journal.read(run)?;
            let at = events
                .iter()
                .position(|it| matches!(&it.event, Event::PersonSaid { said } if said.id == id));
            let Some(at) = at else { continue };
            let after = events[at..].iter().find_map(|it| match &it.event {
                Event::SaidDelivered { turn } => Some(SayResult::Delivered { turn: turn.clone() }),
                _ => None,
            });
            // The turn is told right after it is recorded, if it can be.
            if after.is_some() || recorded == TOLD_PATIENCE_TENTHS {
                return Ok(after.unwrap_or(SayResult::ForNextTurn));
            }
            recorded += 1;
        }
        Ok(SayResult::Requested)
    }
}

/// How long `cancel` waits for a living owner, in tenths of a second.
const CANCEL_PATIENCE_TENTHS: u32 = 150;
/// The same for `say`.
const SAY_PATIENCE_TENTHS: u32 = 50;
/// And for a turn that has been recorded to be told.
const TOLD_PATIENCE_TENTHS: u32 = 5;

/// A name for something sent to a run, its own on this machine.
pub(crate) fn own_id(kind: char) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{kind}{:x}-{:x}-{count}", now(), std::process::id())
}

/// Listens for `cancel` and for what people say, until `done`; the journal itself keeps the lease
/// visibly alive.
pub(crate) fn attend(done: &StopSwitch, ears: &Ears<'_>) {
    while done.wait(Duration::from_millis(250)).is_none() {
        ears.listen();
    }
}

/// Where requests to an owner are heard.
pub(crate) struct Ears<'a> {
    pub(crate) journal: &'a Journal,
    pub(crate) lease: &'a Lease,
    pub(crate) stop: &'a StopSwitch,
    pub(crate) cancelled: &'a AtomicBool,
    pub(crate) inbox: &'a Inbox,
}

impl Ears<'_> {
    /// Takes note of what is asked by now. What cannot be read now is read later.
    pub(crate) fn listen(&self) {
        for Asked { n, request } in self.journal.requests(self.lease).unwrap_or_default() {
            match request {
                Request::Cancel => {
                    if !self.cancelled.swap(true, Ordering::SeqCst) {
                        self.stop.request(SIGTERM);
                    }
                }
                Request::Say { id, text } => {
                    if self.inbox.put(Mail { n, id, text, signal: None }) {
                        self.stop.nudge();
                    }
                }
                Request::Signal { id, name, payload } => {
                    let mail = Mail { n, id, text: payload, signal: Some(name) };
                    if self.inbox.put(mail) {
                        self.stop.nudge();
                    }
                }
            }
        }
    }
}

const SIGTERM: i32 = 15;
