//! The numbers of x32, a second set of system calls of the same architecture: no rule knows them, so none is
//! made, whatever the kernel has.

use seccompiler::{BpfProgram, sock_filter};

/// What tells them from others.
///
/// # Source
/// Linux, `arch/x86/include/uapi/asm/unistd.h`: `__X32_SYSCALL_BIT`.
const BIT: u32 = 0x4000_0000;

/// A debugger says by this number that a call is not made.
const NONE: u32 = u32::MAX;

/// The number of a call is the first word of what a filter is given (`struct seccomp_data`).
const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const IF_FROM: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

pub(super) fn closed() -> BpfProgram {
    let step = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    vec![
        step(LOAD, 0, 0, 0),
        step(IF_EQUAL, 2, 0, NONE),
        step(IF_FROM, 0, 1, BIT),
        step(RETURN, 0, 0, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
        step(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW),
    ]
}
