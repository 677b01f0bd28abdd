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
    /// Why no program can run as this one, as far as is known before it is tried.
    pub fn refused(self) -> Option<NoAccount> {
        os::account_refused(self)
    }
}
