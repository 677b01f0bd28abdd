//! Rights and attributes of files that outlive the program and are read by others: set-user-ID, set-group-ID,
//! and those by which an overlay hides files.

use super::filter::{Table, has};

/// open(2) makes a file only with one of these, and else its mode means nothing.
const MAKING: [i32; 2] = [libc::O_CREAT, libc::O_TMPFILE & !libc::O_DIRECTORY];

/// Newer than the C library's list.
const FCHMODAT2: i64 = 452;
const SETXATTRAT: i64 = 463;

/// Calls with a mode, and which argument it is.
const MODES: &[(i64, u8)] =
    &[(libc::SYS_fchmod, 1), (libc::SYS_fchmodat, 2), (FCHMODAT2, 2), (libc::SYS_mknodat, 2)];
#[cfg(target_arch = "x86_64")]
const MODES_HERE: &[(i64, u8)] =
    &[(libc::SYS_chmod, 1), (libc::SYS_mknod, 1), (libc::SYS_creat, 1)];
#[cfg(not(target_arch = "x86_64"))]
const MODES_HERE: &[(i64, u8)] = &[];

/// Calls that may make a file: which arguments are the flags and the mode.
const OPENS: &[(i64, u8, u8)] = &[(libc::SYS_openat, 2, 3)];
#[cfg(target_arch = "x86_64")]
const OPENS_HERE: &[(i64, u8, u8)] = &[(libc::SYS_open, 1, 2)];
#[cfg(not(target_arch = "x86_64"))]
const OPENS_HERE: &[(i64, u8, u8)] = &[];

/// What would make a program that everybody runs as whoever runs this one. Of the host's root nobody gets the
/// group either; of others they may: a filter cannot tell a file from a folder, which a group shares by it.
pub(super) fn add_of_others(refused: &mut Table, host_root: bool) {
    let bits = if host_root { &[SET_USER, SET_GROUP][..] } else { &[SET_USER] };
    for bit in bits {
        for (call, mode) in MODES.iter().chain(MODES_HERE) {
            refused.add(*call, libc::EPERM, &[has(*mode, *bit)]);
        }
        for (call, flags, mode) in OPENS.iter().chain(OPENS_HERE) {
            for making in MAKING {
                refused.add(*call, libc::EPERM, &[has(*flags, making), has(*mode, *bit)]);
            }
        }
    }
}

/// Bits of a mode, stat(2).
const SET_USER: i32 = 0o4000;
const SET_GROUP: i32 = 0o2000;

/// What says its mode where a filter does not look: programs know kernels without it.
pub(super) fn add_unreadable(refused: &mut Table) {
    refused.add(libc::SYS_openat2, libc::ENOSYS, &[]);
}

/// Setting an attribute of a file. The name is where a filter does not look, and `user.overlay.…` hides a file
/// from who judges the work on an overlay; programs know file systems without attributes.
///
/// # Source
/// Linux, `Documentation/filesystems/overlayfs.rst`: whiteouts and opaque directories, `userxattr`.
pub(super) fn add_attributes(refused: &mut Table) {
    for call in [libc::SYS_setxattr, libc::SYS_lsetxattr, libc::SYS_fsetxattr, SETXATTRAT] {
        refused.add(call, libc::EOPNOTSUPP, &[]);
    }
}
