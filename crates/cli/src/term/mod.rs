//! What every command shares at the terminal.

pub(crate) mod agent;
pub(crate) mod budget;
pub(crate) mod clock;
pub(crate) mod diagnostic;
pub(crate) mod end;
pub(crate) mod enforced;
pub(crate) mod exit;
pub(crate) mod failure;
pub(crate) mod leave;
pub(crate) mod next;
pub(crate) mod output;
pub(crate) mod preview;
pub(crate) mod progress;
pub(crate) mod reason;
pub(crate) mod story;
pub(crate) mod table;
pub(crate) mod words;
