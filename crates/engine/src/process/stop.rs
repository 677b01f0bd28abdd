//! A switch that stops what runs: thrown once, by anyone, seen by all.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Number of the signal on Linux and macOS.
pub(super) const SIGKILL: i32 = 9;

/// A switch; clones are the same switch.
#[derive(Debug, Clone, Default)]
pub struct StopSwitch {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    thrown: Condvar,
}

type Ring = Box<dyn Fn(Option<i32>) + Send>;

#[derive(Default)]
struct State {
    signal: Option<i32>,
    insisted: bool,
    bells: Vec<(u64, Ring)>,
    next_bell: u64,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("signal", &self.signal).finish_non_exhaustive()
    }
}

/// Rings while it lives.
pub(crate) struct Bell {
    shared: Arc<Shared>,
    number: u64,
}

impl StopSwitch {
    /// A switch that has not been thrown.
    pub fn new() -> Self {
        Self::default()
    }

    /// Throws the switch in the name of a signal and wakes all who wait. The first signal stays.
    pub fn request(&self, signal: i32) {
        let mut state = self.shared.lock();
        state.signal.get_or_insert(signal);
        for (_, bell) in &state.bells {
            bell(Some(signal));
        }
        self.shared.thrown.notify_all();
    }

    /// Throws the switch a second time: what runs is killed, without time to end by itself.
    pub fn insist(&self) {
        let mut state = self.shared.lock();
        state.insisted = true;
        for (_, bell) in &state.bells {
            bell(Some(SIGKILL));
        }
    }

    /// Whether it was thrown a second time.
    pub(crate) fn insisted(&self) -> bool {
        self.shared.lock().insisted
    }

    /// Tells all who listen for the bell of a signal that is no reason to stop, such as one that has a program stand
    /// still or go on.
    pub fn pass_on(&self, signal: i32) {
        for (_, bell) in &self.shared.lock().bells {
            bell(Some(signal));
        }
    }

    /// Wakes all who listen for the bell, without throwing the switch.
    pub fn nudge(&self) {
        for (_, bell) in &self.shared.lock().bells {
            bell(None);
        }
    }

    /// The signal it was thrown with.
    pub fn requested(&self) -> Option<i32> {
        self.shared.lock().signal
    }

    /// Waits until it is thrown or the time is over; says with which signal.
    pub fn wait(&self, patience: Duration) -> Option<i32> {
        let state = self.shared.lock();
        let waited = self.shared.thrown.wait_timeout_while(state, patience, |s| s.signal.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.signal
    }

    /// Has `ring` called whenever it is thrown from now on; it must not block.
    pub(crate) fn bell(&self, ring: impl Fn() + Send + 'static) -> Bell {
        self.bell_of(move |_| ring())
    }

    /// The same, with the signal of this time.
    pub(crate) fn bell_of(&self, ring: impl Fn(Option<i32>) + Send + 'static) -> Bell {
        let mut state = self.shared.lock();
        let number = state.next_bell;
        state.next_bell += 1;
        state.bells.push((number, Box::new(ring)));
        Bell { shared: Arc::clone(&self.shared), number }
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        self.shared.lock().bells.retain(|(number, _)| *number != self.number);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
