//! Rights and attributes of files that outlive the program and are read by others: set-user-ID, set-group-ID,
//! and those by which an overlay hides files.

use std::io;

use seccompiler::SeccompCmpOp::MaskedEq;

use super::filter::{Calls, number, rule};

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
pub(super) fn of_others(host_root: bool) -> io::Result<Calls> {
    let bits = if host_root { &[libc::S_ISUID, libc::S_ISGID][..] } else { &[libc::S_ISUID] };
    let bits = || bits.iter().map(|bit| u64::from(*bit));
    let mut calls = Calls::new();
    for (call, mode) in MODES.iter().chain(MODES_HERE) {
        let rules = bits().map(|bit| rule(&[(*mode, MaskedEq(bit), bit)]));
        calls.insert(*call, rules.collect::<io::Result<_>>()?);
    }
    for (call, flags, mode) in OPENS.iter().chain(OPENS_HERE) {
        let rules = MAKING.map(number).into_iter().flat_map(|making| {
            bits().map(move |bit| {
                rule(&[(*flags, MaskedEq(making), making), (*mode, MaskedEq(bit), bit)])
            })
        });
        calls.insert(*call, rules.collect::<io::Result<_>>()?);
    }
    Ok(calls)
}

/// What says its mode where a filter does not look: programs know kernels without it.
pub(super) fn unreadable() -> Calls {
    Calls::from([(libc::SYS_openat2, Vec::new())])
}

/// Setting an attribute of a file. The name is where a filter does not look, and `user.overlay.…` hides a file
/// from who judges the work on an overlay; programs know file systems without attributes.
///
/// # Source
/// Linux, `Documentation/filesystems/overlayfs.rst`: whiteouts and opaque directories, `userxattr`.
pub(super) fn attributes() -> Calls {
    [libc::SYS_setxattr, libc::SYS_lsetxattr, libc::SYS_fsetxattr, SETXATTRAT]
        .map(|call| (call, Vec::new()))
        .into()
}
