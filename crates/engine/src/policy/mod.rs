//! What binds the processes of a run: its layers resolved, refused where nobody enforces them, and
//! recorded with the turn that owes it.

mod access;
mod asking;
mod control;
mod enforcer;
mod explain;
mod foreseen;
mod hidden;
mod layers;
mod limits;
mod paths;
mod refusal;
mod resolve;
mod said;
mod unsandboxed;

pub(crate) use access::{UNCONFINED, in_force, of_their_own};
pub(crate) use asking::{cannot_ask, cannot_keep, unkept};
pub use control::{Control, Origin};
pub use enforcer::enforcer;
pub use explain::{Bound, By, ControlLine, explain};
pub(crate) use foreseen::{Foreseen, all_unstarted};
pub(crate) use hidden::{OF_OTHERS, SECRETS};
pub(crate) use layers::{denied, of_role, of_run};
pub use limits::Held;
pub(crate) use limits::{Limit, limit_of, size};
pub use paths::Ground;
pub(crate) use paths::lexical;
pub(crate) use refusal::{Unkept, of_command, refusal, warnings};
pub use resolve::{Environment, Permissions, Resolved, resolve};
pub(crate) use said::paths_of;
pub(crate) use unsandboxed::told_unsandboxed;
pub use unsandboxed::{Unsandboxed, unsandboxed};
