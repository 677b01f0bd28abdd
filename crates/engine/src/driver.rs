//! The loop: input, decide, evolve, append, perform what is owed. Resume is the same loop.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use botpipe_journal::Lease;
use botpipe_kernel::ids::TurnId;
use botpipe_kernel::run::{
    Effect, Event, Input, InterruptCause, Run, Said, Signal, decide, outstanding,
};

use crate::error::Error;
use crate::inbox::Inbox;
use crate::parts::Parts;
use crate::perform::{self, Agent, Desk};
use crate::process::StopSwitch;
use crate::projection;
use crate::recording;
use crate::request::{Notice, Progress};

/// One owner moving one run.
pub(crate) struct Driver<'a> {
    pub(crate) parts: &'a Parts,
    pub(crate) lease: &'a Lease,
    pub(crate) run: Run,
    /// Sequence number of the last event that was appended.
    pub(crate) seq: u64,
    /// Events that wait for the next append: nothing but looking has followed from them.
    pub(crate) pending: Vec<Event>,
    pub(crate) desk: Desk,
    pub(crate) progress: &'a dyn Progress,
    pub(crate) stop: &'a StopSwitch,
    pub(crate) inbox: &'a Inbox,
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
        recording::write_or_note(self.parts, &view, self.progress);
        result
    }

    fn turn_over(&mut self) -> Result<(), Error> {
        loop {
            if self.interrupted()? {
                return Ok(());
            }
            self.hear_people()?;
            self.look_first()?;
            let Some(effect) = outstanding(&self.run).into_iter().next() else { return Ok(()) };
            if matches!(effect, Effect::RunChild { .. }) {
                match perform::children::run(self) {
                    Ok(()) => continue,
                    Err(perform::Trouble::Stopped) => {
                        self.interrupted()?;
                        return Ok(());
                    }
                    Err(perform::Trouble::Stuck { message }) => {
                        self.tell(Input::Stuck { message })?;
                        continue;
                    }
                    Err(perform::Trouble::Refused { message }) => {
                        self.tell(Input::PolicyRefused { message })?;
                        continue;
                    }
                    Err(perform::Trouble::Fatal(error)) => return Err(error),
                }
            }
            let done = perform::perform(self, effect.clone());
            for text in self.desk.snapshots.news() {
                self.progress.notice(&Notice::Note { text: &text });
            }
            match done {
                Ok(input) => {
                    if !self.tell(input)? {
                        return Err(Error::Internal {
                            message: format!("effect {} was answered in vain", effect.id()),
                        });
                    }
                }
                Err(perform::Trouble::Stuck { message }) => {
                    self.tell(Input::Stuck { message })?;
                }
                Err(perform::Trouble::Refused { message }) => {
                    self.tell(Input::PolicyRefused { message })?;
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
            perform::cancel(self)?;
            self.tell(Input::Cancel)?;
        } else {
            let tree = self.desk.snapshots.take().ok();
            self.tell(Input::Stop { cause: InterruptCause::Signal(signal), tree })?;
        }
        Ok(true)
    }

    /// Tells the kernel something and records what follows. False: nothing follows.
    ///
    /// # Order
    /// When this returns, all that was told is durable if the run is created by it, if the run rests
    /// now, or if what it owes next is a deed. The end of a turn is on its way to the disk at once.
    /// What only looks goes on before the disk has it: lost with its owner, it is looked at again.
    pub(crate) fn tell(&mut self, input: Input) -> Result<bool, Error> {
        let events = self.follow(input)?;
        let any = !events.is_empty();
        let next = outstanding(&self.run).into_iter().next();
        // These wait for the disk by themselves, right before they change anything.
        let own = |it: &Effect| matches!(it, Effect::RunChecks { .. } | Effect::WriteStatus { .. });
        let looks = next.is_some_and(|effect| effect.only_looks() || own(&effect));
        let created = events.iter().any(|event| matches!(event, Event::RunCreated { .. }));
        let ended = events.iter().any(|event| matches!(event, Event::TurnEnded { .. }));
        self.pending.extend(events);
        if !looks || created {
            self.append()?;
        } else if ended {
            self.append_beside()?;
        }
        Ok(any)
    }

    /// Appends what is pending and waits until all that was appended is on the disk: what comes next
    /// is a deed.
    pub(crate) fn append(&mut self) -> Result<(), Error> {
        if self.pending.is_empty() {
            self.parts.journal.settle()?;
        } else {
            self.desk.settle_files()?;
            let summary = projection::summary(&self.run);
            self.parts.journal.append(self.lease, now(), &self.pending, Some(&summary))?;
            self.sent();
        }
        self.progress.notice(&Notice::Durable { seq: self.seq });
        Ok(())
    }

    /// Sends what is pending to the disk, and goes on looking meanwhile.
    pub(crate) fn append_beside(&mut self) -> Result<(), Error> {
        if self.pending.is_empty() {
            return Ok(());
        }
        self.desk.settle_files()?;
        let summary = projection::summary(&self.run);
        self.parts.journal.append_beside(self.lease, now(), &self.pending, Some(&summary))?;
        self.sent();
        Ok(())
    }

    fn sent(&mut self) {
        self.seq += self.pending.len() as u64;
        self.pending.clear();
    }

    /// The same for facts that others shall see at once, and that need to be durable only with the
    /// next ones.
    pub(crate) fn tell_soon(&mut self, input: Input) -> Result<(), Error> {
        let events = self.follow(input)?;
        self.pending.extend(events);
        self.parts.journal.append_soon(self.lease, now(), &self.pending)?;
        self.sent();
        Ok(())
    }

    /// Records what people said and what signals came; whether anybody said anything.
    ///
    /// # Order
    /// It leaves the list of requests once it is on the disk.
    pub(crate) fn hear_people(&mut self) -> Result<bool, Error> {
        let mail = self.inbox.take();
        let Some(last) = mail.iter().map(|mail| mail.n).max() else { return Ok(false) };
        let mut said_any = false;
        for mail in mail {
            said_any |= mail.signal.is_none();
            let text = self.desk.redactor.redact(&mail.text).into_owned();
            let text = self.parts.keep(&text)?;
            let events = self.follow(match mail.signal {
                Some(name) => Input::Signal { signal: Signal { id: mail.id, name, payload: text } },
                None => Input::Say { said: Said { id: mail.id, text } },
            })?;
            self.pending.extend(events);
        }
        self.append()?;
        self.parts.journal.settle_requests(self.lease, last)?;
        Ok(said_any)
    }

    /// Shows a line that a turn printed.
    pub(crate) fn show(&mut self, turn: &TurnId, line: &str) {
        if let Some(recorder) = &mut self.desk.recorder {
            recorder.hear(line);
        }
        self.progress.notice(&Notice::Activity { turn: Some(turn), line });
    }

    /// What follows from an input, folded but not recorded yet.
    fn follow(&mut self, input: Input) -> Result<Vec<Event>, Error> {
        let events = decide(&self.run, input).map_err(|refusal| Error::Refused { refusal })?;
        // If the append fails this driver is done, so its state may run ahead.
        for event in &events {
            self.run.evolve(event);
            if let Event::FellBack { provider, .. } = event {
                self.desk.agent = Agent::of(self.parts, Some(provider))?;
                self.desk.has_looked = false;
            }
            self.progress.notice(&Notice::Happened { event, run: &self.run });
        }
        Ok(events)
    }
}

/// Milliseconds since the epoch. Shown; and what tells when an owner was last heard of.
pub(crate) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// The side file of a turn, relative to its run's folder.
pub(crate) fn activity_name(turn: &TurnId) -> std::path::PathBuf {
    let name = turn.to_string().replace('/', ".");
    std::path::Path::new("turns").join(format!("{name}.jsonl"))
}
