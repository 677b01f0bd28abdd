//! A run's events, one after the other, until nobody moves it.

use std::collections::VecDeque;
use std::thread;
use std::time::Duration;

use botpipe_engine::Engine;
use botpipe_engine::engine::RunView;
use botpipe_kernel::run::Event;

use crate::{Error, RunStatus};

/// The events of a run with their sequence numbers, those to come included. Made by
/// [`Client::follow`](crate::Client::follow).
///
/// It blocks until there is another one, and ends when the run is over, has stopped or waits, or when its
/// owner is gone. A run that is taken up afterwards is followed on with
/// [`Events::after`] and the last sequence number.
pub struct Events {
    engine: Engine,
    /// Without its events.
    view: RunView,
    seq: u64,
    next: VecDeque<(u64, Event)>,
    pause: Duration,
    over: bool,
}

/// Between two looks, when nothing else is said.
const PAUSE: Duration = Duration::from_millis(100);

/// How long a run that rests may be held: its owner lets go soon after. A person in one of its
/// conversations does not.
const PATIENCE: Duration = Duration::from_secs(5);

impl Events {
    pub(crate) fn of(engine: Engine, mut view: RunView) -> Self {
        let events = std::mem::take(&mut view.events);
        let next = events.into_iter().map(|it| (it.seq, it.event)).collect();
        Self { engine, view, seq: 0, next, pause: PAUSE, over: false }
    }

    /// Leaves out the events up to that sequence number.
    #[must_use]
    pub fn after(mut self, seq: u64) -> Self {
        self.seq = seq;
        self.next.retain(|(its, _)| *its > seq);
        self
    }

    /// How long it rests between two looks; a tenth of a second without.
    #[must_use]
    pub fn every(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    /// The number of the last event that was given out.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Waits for more, until nobody moves the run.
    fn look(&mut self) -> Result<(), Error> {
        let mut rested = Duration::ZERO;
        while self.next.is_empty() {
            // First who moves it, then what happened: an owner lets go after its last event.
            let summary = self.engine.look(&self.view)?;
            let more = self.engine.events_after(&summary.run, self.seq)?;
            self.next.extend(more.into_iter().map(|it| (it.seq, it.event)));
            if !self.next.is_empty() {
                break;
            }
            if !summary.owned || rested >= PATIENCE {
                self.over = true;
                break;
            }
            thread::sleep(self.pause);
            // For a time its owner waits itself.
            let rests = summary.state != RunStatus::Running && summary.until.is_none();
            rested = if rests { rested + self.pause } else { Duration::ZERO };
        }
        Ok(())
    }
}

impl Iterator for Events {
    /// An error is the last item.
    type Item = Result<(u64, Event), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next.is_empty()
            && !self.over
            && let Err(error) = self.look()
        {
            self.over = true;
            return Some(Err(error));
        }
        let (seq, event) = self.next.pop_front()?;
        self.seq = seq;
        Some(Ok((seq, event)))
    }
}
