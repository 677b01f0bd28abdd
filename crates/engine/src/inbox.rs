//! What others send to a run while it moves, on its way from the journal's requests to its owner.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use botpipe_kernel::ids::SignalName;

/// Something sent, and the number of its request.
#[derive(Debug, Clone)]
pub(crate) struct Mail {
    pub(crate) n: i64,
    pub(crate) id: String,
    pub(crate) text: String,
    /// The name of a signal, whose payload the text is; `None`: something said.
    pub(crate) signal: Option<SignalName>,
}

/// Filled by who listens, emptied by who moves the run.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    mail: Vec<Mail>,
    seen: BTreeSet<(bool, String)>,
}

impl Inbox {
    /// Puts something in, unless it was in before; whether it was new.
    pub(crate) fn put(&self, mail: Mail) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let new = state.seen.insert((mail.signal.is_some(), mail.id.clone()));
        if new {
            state.mail.push(mail);
        }
        new
    }

    /// Takes out what is there.
    pub(crate) fn take(&self) -> Vec<Mail> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut state.mail)
    }
}
