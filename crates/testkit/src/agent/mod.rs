//! The fake agent: plays a script turn by turn and keeps a ledger where the workspace does not reach.

mod escape;
mod ledger;
mod play;

pub use escape::{ESCAPEE, escapee};
pub use ledger::{Entry, Ledger, LedgerError};
pub use play::{PlayError, play};
