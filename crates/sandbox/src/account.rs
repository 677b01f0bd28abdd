//! Who a program of root's is instead of root: a user and a group of the host, by number.

use crate::os;

/// A user and a group of the host, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Account {
    /// Never root.
    pub user: u32,
    /// Root's may be.
    pub group: u32,
}

/// Why root cannot have a program run as an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoAccount {
    /// It lacks a power over the numbers of processes: `CAP_SETUID`, `CAP_SETGID`.
    Power(&'static str),
    /// There is no such user or group in the user namespace that Botpipe itself is in.
    Unknown,
}

impl Account {
    /// The numbers of the host's root, user and group, beside this one inside.
    pub fn root_inside(self) -> (u32, u32) {
        (beside(self.user), beside(self.group))
    }

    /// Why no program can run as this one, as far as is known before it is tried.
    pub fn refused(self) -> Option<NoAccount> {
        os::account_refused(self)
    }
}

/// A number that an account of this one does not have.
fn beside(id: u32) -> u32 {
    let usual = os::inside(0);
    if id == usual { usual + 1 } else { usual }
}
