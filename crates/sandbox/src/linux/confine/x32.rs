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

/// Instructions: load the number of a call (the first word of `struct seccomp_data`), two jumps and an end.
///
/// # Source
/// Linux, `include/uapi/linux/bpf_common.h`: `BPF_LD | BPF_W | BPF_ABS`, `BPF_JMP | BPF_JEQ | BPF_K`,
/// `BPF_JMP | BPF_JGE | BPF_K`, `BPF_RET | BPF_K`.
const LOAD: u16 = 0x20;
const IF_EQUAL: u16 = 0x15;
const IF_FROM: u16 = 0x35;
const RETURN: u16 = 0x06;

/// EPERM, as other calls are refused.
const REFUSED: u32 = libc::SECCOMP_RET_ERRNO | libc::EPERM.unsigned_abs();

/// Refuses them before a program sees the others: as one of its own, it would be one more for the kernel to try
/// with every number when it is set up.
pub(super) fn closed_before(program: BpfProgram) -> BpfProgram {
    let step = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    let mut all = vec![
        step(LOAD, 0, 0, 0),
        step(IF_EQUAL, 2, 0, NONE),
        step(IF_FROM, 0, 1, BIT),
        step(RETURN, 0, 0, REFUSED),
    ];
    all.extend(program);
    all
}
