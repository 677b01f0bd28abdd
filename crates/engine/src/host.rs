//! The host of a run: the program whose functions `call` steps, validators and hooks name.

use std::fmt;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use botpipe_kernel::ids::FunctionName;
use serde_json::Value;

/// A program with functions, on the other side of a pipe or in this one.
pub trait Host: Send + Sync {
    /// Whether it has a function of that name.
    fn has(&self, function: &FunctionName) -> bool;

    /// Begins a call. What the function says comes by `said`, until it returns or fails.
    ///
    /// # Errors
    /// Why it cannot be begun.
    fn begin(&self, call: Call, said: Sender<Said>) -> Result<Box<dyn Line>, String>;
}

/// A call of a function.
#[derive(Debug, Clone)]
pub struct Call {
    /// The way to its turn: `score/1/script/1`, with `~2` for a second start.
    pub id: String,
    pub function: FunctionName,
    /// What it is called with; JSON object.
    pub with: Value,
    /// What templates can name, as JSON object; and `hook`, `answer`.
    pub context: Value,
}

/// What a function says while it runs.
#[derive(Debug)]
pub enum Said {
    /// It asks for something, and waits.
    Asks { method: String, params: Value },
    /// A line for whoever watches.
    Prints(String),
    /// It is over.
    Returns(Value),
    /// It is over, and not well: the words of its error.
    Fails(String),
}

/// What a function that asked is told: a value, or why there is none.
pub type Told = Result<Value, String>;

/// The way to a function that runs.
pub trait Line: Send {
    /// Answers what it asked last.
    fn tell(&mut self, told: Told);

    /// Nobody waits for it any more.
    fn hang_up(&mut self);
}

/// A function that runs, as the engine holds it. Dropped before its end, it is told that nobody waits.
pub(crate) struct Calling {
    said: Receiver<Said>,
    line: Box<dyn Line>,
    is_over: bool,
}

impl fmt::Debug for Calling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Calling").field("is_over", &self.is_over).finish_non_exhaustive()
    }
}

impl Calling {
    /// Begins a call.
    pub(crate) fn begin(host: &dyn Host, call: Call) -> Result<Self, String> {
        let (say, said) = channel();
        let line = host.begin(call, say)?;
        Ok(Self { said, line, is_over: false })
    }

    /// What it says next; `None`: nothing within that time.
    pub(crate) fn next(&mut self, patience: Duration) -> Option<Said> {
        let said = match self.said.recv_timeout(patience) {
            Ok(said) => said,
            Err(RecvTimeoutError::Timeout) => return None,
            Err(RecvTimeoutError::Disconnected) => {
                Said::Fails("the host is gone before the function returned".to_owned())
            }
        };
        self.is_over |= matches!(said, Said::Returns(_) | Said::Fails(_));
        Some(said)
    }

    /// Answers what it asked last.
    pub(crate) fn tell(&mut self, told: Told) {
        self.line.tell(told);
    }
}

impl Drop for Calling {
    fn drop(&mut self) {
        if !self.is_over {
            self.line.hang_up();
        }
    }
}
