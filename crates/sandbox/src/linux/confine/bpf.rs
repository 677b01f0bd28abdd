//! One program for the kernel out of a table of refused calls. The calls are found by halves: the kernel tries a new
//! program with every number there is, and that is most of what it costs to set one up.
//!
//! # Source
//! Linux, `Documentation/userspace-api/seccomp_filter.rst`; `kernel/seccomp.c`: `seccomp_is_const_allow`.

use std::collections::BTreeMap;
use std::io;
use std::mem::offset_of;

use libc::{BPF_ABS, BPF_ALU, BPF_AND, BPF_JA, BPF_JEQ, BPF_JGE, BPF_JGT, BPF_JMP, BPF_K, BPF_LD};
use libc::{BPF_RET, BPF_W, seccomp_data, sock_filter};

/// The calls of a table, and when each is refused: by the first case that holds.
pub(super) type Calls = BTreeMap<u32, Vec<Case>>;

/// An error that a call ends with where all of its conditions hold; without any, always.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Case {
    pub(super) errno: u16,
    pub(super) when: Vec<Condition>,
}

/// What is asked of the lower half of an argument: whether its bits in the mask are, or are not, these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) argument: u8,
    pub(super) mask: u32,
    pub(super) is: bool,
    pub(super) value: u32,
}

/// What this architecture is called by the kernel.
///
/// # Source
/// Linux, `include/uapi/linux/audit.h`: the number of the ELF machine, with a bit for 64 and one for the order of bytes.
const ARCHITECTURE: Option<u32> = if cfg!(target_arch = "x86_64") {
    Some(0xC000_003E)
} else if cfg!(target_arch = "aarch64") {
    Some(0xC000_00B7)
} else if cfg!(target_arch = "riscv64") {
    Some(0xC000_00F3)
} else {
    None
};

/// The numbers from here on are of x32, a second set of system calls of the same architecture: no table knows them, so
/// none is made, whatever the kernel has. A debugger says by the last number that a call is not made.
///
/// # Source
/// Linux, `arch/x86/include/uapi/asm/unistd.h`: `__X32_SYSCALL_BIT`.
const X32: u32 = 0x4000_0000;
const NONE: u32 = u32::MAX;

const ALLOWED: u32 = libc::SECCOMP_RET_ALLOW;
const KILLED: u32 = libc::SECCOMP_RET_KILL_PROCESS;

/// The program. A call of another architecture ends the process.
///
/// # Errors
/// This architecture is not known here, or a call has more cases than a program can jump over.
pub(super) fn program(calls: &Calls) -> io::Result<Vec<sock_filter>> {
    let architecture = ARCHITECTURE.ok_or(io::ErrorKind::Unsupported)?;
    let mut made = vec![
        load(offset_of!(seccomp_data, arch)),
        jump(BPF_JEQ, architecture, 1, 0),
        end(KILLED),
        load(offset_of!(seccomp_data, nr)),
    ];
    if cfg!(target_arch = "x86_64") {
        made.extend([
            jump(BPF_JGE, X32, 0, 3),
            jump(BPF_JEQ, NONE, 1, 0),
            end(refusal(libc::EPERM)),
            end(ALLOWED),
        ]);
    }
    let calls: Vec<(u32, &[Case])> = calls.iter().map(|(call, it)| (*call, &**it)).collect();
    made.extend(found(&calls)?);
    Ok(made)
}

/// Finds a call among these, and ends.
fn found(calls: &[(u32, &[Case])]) -> io::Result<Vec<sock_filter>> {
    if let [] | [_] = calls {
        let mut made = Vec::new();
        for (call, cases) in calls {
            let tried = tried(cases)?;
            made.push(jump(BPF_JEQ, *call, 0, short(tried.len())?));
            made.extend(tried);
        }
        made.push(end(ALLOWED));
        return Ok(made);
    }
    let (lower, upper) = calls.split_at(calls.len() / 2);
    let (lower, upper) = ((lower, found(lower)?), found(upper)?);
    let last = lower.0.last().map_or(0, |(call, _)| *call);
    let over = u32::try_from(lower.1.len()).map_err(io::Error::other)?;
    let mut made = vec![jump(BPF_JGT, last, 0, 1), step(BPF_JMP | BPF_JA, 0, 0, over)];
    made.extend(lower.1);
    made.extend(upper);
    Ok(made)
}

/// Tries the cases of a call, and ends where one holds; else the last step is the one that follows.
fn tried(cases: &[Case]) -> io::Result<Vec<sock_filter>> {
    let mut made = Vec::new();
    for Case { errno, when } in cases {
        let mut asked = vec![end(refusal(i32::from(*errno)))];
        for Condition { argument, mask, is, value } in when.iter().rev() {
            let on = short(asked.len())?;
            let (yes, no) = if *is { (0, on) } else { (on, 0) };
            asked.insert(0, jump(BPF_JEQ, *value, yes, no));
            if *mask != u32::MAX {
                asked.insert(0, step(BPF_ALU | BPF_AND | BPF_K, 0, 0, *mask));
            }
            asked.insert(0, load(place_of(*argument)));
        }
        made.extend(asked);
    }
    Ok(made)
}

/// Where the lower half of an argument is.
fn place_of(argument: u8) -> usize {
    let lower = if cfg!(target_endian = "big") { 4 } else { 0 };
    offset_of!(seccomp_data, args) + usize::from(argument) * size_of::<u64>() + lower
}

fn refusal(errno: i32) -> u32 {
    libc::SECCOMP_RET_ERRNO | (errno.unsigned_abs() & libc::SECCOMP_RET_DATA)
}

fn load(from: usize) -> sock_filter {
    // The whole of `seccomp_data` is 64 bytes.
    step(BPF_LD | BPF_W | BPF_ABS, 0, 0, u32::try_from(from).unwrap_or(u32::MAX))
}

fn jump(how: u32, value: u32, yes: u8, no: u8) -> sock_filter {
    step(BPF_JMP | how | BPF_K, yes, no, value)
}

fn end(how: u32) -> sock_filter {
    step(BPF_RET | BPF_K, 0, 0, how)
}

fn step(code: u32, yes: u8, no: u8, value: u32) -> sock_filter {
    // The words of an instruction are smaller than these.
    sock_filter { code: u16::try_from(code).unwrap_or(u16::MAX), jt: yes, jf: no, k: value }
}

fn short(steps: usize) -> io::Result<u8> {
    u8::try_from(steps).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a program comes to, as the kernel goes through it.
    fn run(program: &[sock_filter], words: &[u32; 16]) -> u32 {
        let (mut at, mut held) = (0, 0);
        loop {
            let sock_filter { code, jt, jf, k } = program[at];
            let code = u32::from(code);
            at += 1;
            let mut choose = |holds: bool| at += usize::from(if holds { jt } else { jf });
            match code {
                it if it == BPF_LD | BPF_W | BPF_ABS => held = words[k as usize / 4],
                it if it == BPF_ALU | BPF_AND | BPF_K => held &= k,
                it if it == BPF_JMP | BPF_JEQ | BPF_K => choose(held == k),
                it if it == BPF_JMP | BPF_JGE | BPF_K => choose(held >= k),
                it if it == BPF_JMP | BPF_JGT | BPF_K => choose(held > k),
                it if it == BPF_JMP | BPF_JA => at += k as usize,
                it if it == BPF_RET | BPF_K => return k,
                other => panic!("{other:#x} at {at}"),
            }
        }
    }

    fn words(call: u32, arguments: [u32; 6]) -> [u32; 16] {
        let mut words = [0xdead_beef; 16];
        (words[0], words[1]) = (call, ARCHITECTURE.unwrap());
        for (n, argument) in arguments.into_iter().enumerate() {
            words[4 + 2 * n] = argument;
        }
        words
    }

    /// What the table says itself.
    fn said(calls: &Calls, call: u32, arguments: [u32; 6]) -> u32 {
        if cfg!(target_arch = "x86_64") && (X32..NONE).contains(&call) {
            return refusal(libc::EPERM);
        }
        let holds =
            |it: &Condition| (arguments[usize::from(it.argument)] & it.mask == it.value) == it.is;
        let mut cases = calls.get(&call).into_iter().flatten();
        let case = cases.find(|case| case.when.iter().all(holds));
        case.map_or(ALLOWED, |case| refusal(i32::from(case.errno)))
    }

    fn is(argument: u8, mask: u32, is: bool, value: u32) -> Condition {
        Condition { argument, mask, is, value }
    }

    /// Tables of all sizes, calls of all numbers, arguments around what is asked of them.
    #[test]
    fn a_program_does_what_its_table_says() {
        for size in [0, 1, 2, 3, 7, 40, 120] {
            let mut calls = Calls::new();
            for n in 0..size {
                let mut cases = Vec::new();
                if n % 3 == 0 {
                    let when = vec![is(1, u32::MAX, true, n), is(5, 0xf0, true, 0x30)];
                    cases.push(Case { errno: 13, when });
                }
                if n % 4 == 0 {
                    let when = vec![is(0, u32::MAX, false, 1), is(0, u32::MAX, false, n)];
                    cases.push(Case { errno: 93, when });
                }
                if n % 2 == 0 {
                    cases.push(Case { errno: 1, when: Vec::new() });
                }
                calls.insert(n * 4 + n % 3, cases);
            }
            let program = program(&calls).unwrap();
            for call in (0..600).chain([X32 - 1, X32, X32 + 1, NONE - 1, NONE]) {
                for first in [0, 1, call / 4, u32::MAX] {
                    for last in [0, 0x30, 0x3f, 0xff30] {
                        let arguments = [first, call / 4, 0, 7, 0, last];
                        let expected = said(&calls, call, arguments);
                        let came = run(&program, &words(call, arguments));
                        assert_eq!(came, expected, "{size} calls, {call} with {arguments:?}");
                    }
                }
            }
            let mut other = words(1, [0; 6]);
            other[1] ^= 1;
            assert_eq!(run(&program, &other), KILLED);
        }
    }

    #[test]
    fn more_cases_than_can_be_jumped_over_are_an_error() {
        let case = Case { errno: 1, when: vec![is(0, 1, true, 1)] };
        assert!(program(&Calls::from([(7, vec![case; 100])])).is_err());
    }

    /// The kernel goes through it with every number.
    #[test]
    fn few_steps_lead_to_any_call() {
        let calls = (0..128).map(|call| (call * 3, vec![Case { errno: 1, when: Vec::new() }]));
        let program = program(&calls.collect()).unwrap();
        let longest = |from: usize| {
            fn deep(program: &[sock_filter], at: usize) -> usize {
                let sock_filter { code, jt, jf, k } = program[at];
                1 + match u32::from(code) {
                    it if it == BPF_RET | BPF_K => 0,
                    it if it == BPF_JMP | BPF_JA => deep(program, at + 1 + k as usize),
                    it if it & 7 == BPF_JMP => [jt, jf]
                        .map(|on| deep(program, at + 1 + usize::from(on)))
                        .into_iter()
                        .max()
                        .unwrap(),
                    _ => deep(program, at + 1),
                }
            }
            deep(&program, from)
        };
        assert!(longest(0) < 32, "{}", longest(0));
    }
}
