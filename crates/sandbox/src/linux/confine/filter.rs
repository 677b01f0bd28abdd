//! The system calls a confined program cannot make (seccomp): ways to powers, kernel code and networks
//! that mounts and namespaces do not close. A call of another architecture (32-bit) ends the program.

use std::io;

use libc::sock_filter;

use super::super::sys;
use super::bpf::{self, Calls, Case, Condition};
use super::modes;
use crate::{Confinement, Network};

/// Refused whatever their arguments.
const CLOSED: &[i64] = &[
    // Kernel interfaces with a history, that no build or test needs.
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_fanotify_init,
    libc::SYS_lookup_dcookie,
    // The machine itself.
    libc::SYS_kexec_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_reboot,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_syslog,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_adjtimex,
    libc::SYS_clock_adjtime,
    libc::SYS_vhangup,
    // Files without a path.
    libc::SYS_open_by_handle_at,
    // Namespaces and mounts: what would lay bare what is covered.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_unshare,
    libc::SYS_setns,
    // Newer than the C library's list: quotactl_fd, open_tree_attr.
    443,
    467,
];

#[cfg(target_arch = "x86_64")]
const CLOSED_HERE: &[i64] = &[libc::SYS_kexec_file_load, libc::SYS_iopl, libc::SYS_ioperm];
#[cfg(not(target_arch = "x86_64"))]
const CLOSED_HERE: &[i64] = &[libc::SYS_kexec_file_load];

/// Socket families that stay: netlink is how programs look at their own network.
const FAMILIES: [i32; 4] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

/// Protocols that carry what TCP does and that Landlock does not take for TCP: SMC, MPTCP.
const BESIDE_TCP: [i32; 2] = [256, libc::IPPROTO_MPTCP];

/// Words of ioctl(2) that put input into a terminal.
const TERMINAL_INPUT: [i32; 2] = [0x5412, 0x541C];

/// The program for the kernel, made before the agent's process is: there nothing should fail.
#[derive(Debug, Clone)]
pub(in super::super) struct Filter {
    program: Vec<sock_filter>,
}

impl Filter {
    pub(super) fn new(confinement: &Confinement, host_root: bool) -> io::Result<Self> {
        let mut refused = Table::default();
        if confinement.no_listening {
            refused.add_listening(&confinement.network);
        }
        refused.add_closed();
        if confinement.files.is_some() {
            modes::add_of_others(&mut refused, host_root);
            modes::add_attributes(&mut refused);
            modes::add_unreadable(&mut refused);
        }
        // The flags of clone3 cannot be read by a filter: where it does not exist, clone is used.
        refused.add(libc::SYS_clone3, libc::ENOSYS, &[]);
        refused.add_unknown_protocols();
        Ok(Self { program: bpf::program(&refused.calls)? })
    }

    /// Applies it to this process and what it starts, for good.
    pub(super) fn apply(&self) -> io::Result<()> {
        sys::filter_calls(&self.program)
    }
}

/// A table of refused calls that grows: of two cases that hold, the one that was added first is told.
#[derive(Debug, Default)]
pub(super) struct Table {
    calls: Calls,
}

impl Table {
    /// Refuses a call with an error where all of this holds.
    pub(super) fn add(&mut self, call: i64, errno: i32, when: &[Condition]) {
        // Both are small and never negative.
        let call = u32::try_from(call).unwrap_or(u32::MAX);
        let errno = u16::try_from(errno).unwrap_or(1);
        self.calls.entry(call).or_default().push(Case { errno, when: when.to_vec() });
    }

    /// As on a kernel that does not have them: programs that ask for them go on with TCP.
    fn add_unknown_protocols(&mut self) {
        for protocol in BESIDE_TCP {
            self.add(libc::SYS_socket, libc::EPROTONOSUPPORT, &[is(2, protocol)]);
        }
    }

    /// Servers. Landlock knows bind(2) to a port of TCP; whoever listens without it has one as well. What waits for
    /// datagrams cannot be told from what asks a name server, which a network of one's own has none of.
    fn add_listening(&mut self, network: &Network) {
        self.add(libc::SYS_listen, libc::EACCES, &[]);
        if matches!(network, Network::Own { .. }) {
            for family in [libc::AF_INET, libc::AF_INET6] {
                let datagrams = [is(0, family), among(1, KIND_OF_SOCKET, libc::SOCK_DGRAM)];
                self.add(libc::SYS_socket, libc::EACCES, &datagrams);
            }
        }
    }

    fn add_closed(&mut self) {
        for call in CLOSED.iter().chain(CLOSED_HERE) {
            self.add(*call, libc::EPERM, &[]);
        }
        self.add(libc::SYS_clone, libc::EPERM, &[has(0, libc::CLONE_NEWUSER)]);
        for word in TERMINAL_INPUT {
            self.add(libc::SYS_ioctl, libc::EPERM, &[is(1, word)]);
        }
        // Whoever opens a file that is let waits until that is given back, and the host's git opens files of ours.
        self.add(libc::SYS_fcntl, libc::EINVAL, &[is(1, libc::F_SETLEASE)]);
        self.add(libc::SYS_socket, libc::EPERM, &FAMILIES.map(|family| is_not(0, family)));
        let raw = [among(1, KIND_OF_SOCKET, libc::SOCK_RAW), is_not(0, libc::AF_NETLINK)];
        self.add(libc::SYS_socket, libc::EPERM, &raw);
    }
}

/// The bits of the second argument of socket(2) that are no flags.
const KIND_OF_SOCKET: i32 = 0xf;

fn is(argument: u8, value: i32) -> Condition {
    among(argument, -1, value)
}

fn is_not(argument: u8, value: i32) -> Condition {
    Condition { is: false, ..is(argument, value) }
}

/// All of these bits are set.
pub(super) fn has(argument: u8, bits: i32) -> Condition {
    among(argument, bits, bits)
}

/// Among the bits of the mask, those of the value are set and no others.
fn among(argument: u8, mask: i32, value: i32) -> Condition {
    let (mask, value) = (mask.cast_unsigned(), value.cast_unsigned());
    Condition { argument, mask, is: true, value }
}
