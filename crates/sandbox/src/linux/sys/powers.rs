//! What a process may do and who it is: capabilities, numbers, what it may be made to do.
#![expect(unsafe_code, reason = "the numbers and powers of one thread have no safe form in std")]

use std::ffi::c_int;
use std::io::{Error, Result};
use std::ptr::null;

use super::check;

/// Becomes another user and group, in no other group, for good. It keeps its capabilities where no number 0 is among
/// those it knows; that it dies with its parent has to be said again.
pub(in super::super) fn become_user(user: u32, group: u32) -> Result<()> {
    let (user, group) = (libc::c_ulong::from(user), libc::c_ulong::from(group));
    let done = |answer| if answer == 0 { Ok(()) } else { Err(Error::last_os_error()) };
    // SAFETY: numbers only; of no groups none is read. Each is the call itself, for this one thread.
    unsafe {
        done(libc::syscall(libc::SYS_setgroups, 0_usize, null::<libc::gid_t>()))?;
        done(libc::syscall(libc::SYS_setresgid, group, group, group))?;
        done(libc::syscall(libc::SYS_setresuid, user, user, user))
    }
}

/// Keeps others of the same user from reading or steering this process.
pub(in super::super) fn hide_from_debuggers() -> Result<()> {
    // SAFETY: this option takes numbers only.
    check(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) }).map(drop)
}

/// Nothing that is executed from here on brings powers of its own.
pub(in super::super) fn no_new_privileges() -> Result<()> {
    // SAFETY: this option takes numbers only.
    check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }).map(drop)
}

/// Keeps what this process starts from every capability that an executed file would bring. Its own stay.
pub(in super::super) fn bound_capabilities() {
    for capability in 0..64 {
        // SAFETY: this option takes numbers only.
        if unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) } < 0 {
            break; // past the last one the kernel knows
        }
    }
}

/// Drops every capability of this process for good, after [those that are not its own](bound_capabilities).
pub(in super::super) fn drop_capabilities() -> Result<()> {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: c_int,
    }
    const VERSION_3: u32 = 0x2008_0522;
    // No root, no fix-up of ids, no kept capabilities, each locked.
    const LOCKED: libc::c_ulong = 0x2f;
    // SAFETY: the options take numbers only; header and data have the shapes of version 3.
    unsafe {
        check(libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0))?;
        check(libc::prctl(libc::PR_SET_SECUREBITS, LOCKED, 0, 0, 0))?;
        let header = Header { version: VERSION_3, pid: 0 };
        let none = [0_u32; 6];
        let done = libc::syscall(libc::SYS_capset, &raw const header, none.as_ptr());
        if done == 0 { Ok(()) } else { Err(Error::last_os_error()) }
    }
}
