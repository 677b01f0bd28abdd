//! The system calls a confined program cannot make (seccomp): ways to powers, kernel code and networks
//! that mounts and namespaces do not close. A call of another architecture (32-bit) ends the program.

use std::collections::BTreeMap;
use std::io;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

use super::modes;
use crate::{Confinement, Network};

/// The calls of a filter with what of their arguments is refused; nothing: all of them.
pub(super) type Calls = BTreeMap<i64, Vec<SeccompRule>>;

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
const TERMINAL_INPUT: [u64; 2] = [0x5412, 0x541C];

/// The programs for the kernel, made before the agent's process is: there nothing should fail.
#[derive(Debug, Clone)]
pub(in super::super) struct Filter {
    programs: Vec<BpfProgram>,
}

impl Filter {
    pub(super) fn new(confinement: &Confinement, host_root: bool) -> io::Result<Self> {
        // The flags of clone3 cannot be read by a filter: where it does not exist, clone is used.
        let mut missing = Calls::from([(libc::SYS_clone3, Vec::new())]);
        let mut refused = closed()?;
        let mut programs = vec![program(unknown_protocols()?, libc::EPROTONOSUPPORT)?];
        if confinement.files.is_some() {
            missing.extend(modes::unreadable());
            refused.extend(modes::of_others(host_root)?);
            programs.push(program(modes::attributes(), libc::EOPNOTSUPP)?);
        }
        let missing = program(missing, libc::ENOSYS)?;
        #[cfg(target_arch = "x86_64")]
        let missing = super::x32::closed_before(missing);
        programs.push(missing);
        programs.push(program(refused, libc::EPERM)?);
        if confinement.no_listening {
            programs.push(program(listening(&confinement.network)?, libc::EACCES)?);
        }
        Ok(Self { programs })
    }

    /// Applies them to this process and what it starts, for good.
    pub(super) fn apply(&self) -> io::Result<()> {
        for program in &self.programs {
            seccompiler::apply_filter(program).map_err(|e| match e {
                seccompiler::Error::Prctl(e) | seccompiler::Error::Seccomp(e) => e,
                other => io::Error::other(other),
            })?;
        }
        Ok(())
    }
}

/// What refuses these calls with an error.
fn program(calls: Calls, errno: i32) -> io::Result<BpfProgram> {
    let made = || -> Result<BpfProgram, seccompiler::BackendError> {
        let arch = TargetArch::try_from(std::env::consts::ARCH)?;
        let action = SeccompAction::Errno(u32::try_from(errno).unwrap_or(1));
        SeccompFilter::new(calls, SeccompAction::Allow, action, arch)?.try_into()
    };
    made().map_err(io::Error::other)
}

/// As on a kernel that does not have them: programs that ask for them go on with TCP.
fn unknown_protocols() -> io::Result<Calls> {
    let rules = BESIDE_TCP.map(|protocol| rule(&[(2, SeccompCmpOp::Eq, number(protocol))]));
    Ok(Calls::from([(libc::SYS_socket, rules.into_iter().collect::<io::Result<_>>()?)]))
}

/// Servers. Landlock knows bind(2) to a port of TCP; whoever listens without it has one as well. What waits for
/// datagrams cannot be told from what asks a name server, which a network of one's own has none of.
fn listening(network: &Network) -> io::Result<Calls> {
    let mut calls = Calls::from([(libc::SYS_listen, Vec::new())]);
    if matches!(network, Network::Own { .. }) {
        let datagrams = |family| {
            rule(&[
                (0, SeccompCmpOp::Eq, number(family)),
                (1, SeccompCmpOp::MaskedEq(0xf), number(libc::SOCK_DGRAM)),
            ])
        };
        let rules = [libc::AF_INET, libc::AF_INET6].map(datagrams);
        calls.insert(libc::SYS_socket, rules.into_iter().collect::<io::Result<_>>()?);
    }
    Ok(calls)
}

fn closed() -> io::Result<Calls> {
    let mut rules: Calls =
        CLOSED.iter().chain(CLOSED_HERE).map(|call| (*call, Vec::new())).collect();
    let new_user = u64::try_from(libc::CLONE_NEWUSER).unwrap_or(0);
    rules.insert(libc::SYS_clone, vec![rule(&[(0, SeccompCmpOp::MaskedEq(new_user), new_user)])?]);
    let input = TERMINAL_INPUT.iter().map(|word| rule(&[(1, SeccompCmpOp::Eq, *word)]));
    rules.insert(libc::SYS_ioctl, input.collect::<io::Result<_>>()?);
    let other_family = FAMILIES.map(|family| (0, SeccompCmpOp::Ne, number(family)));
    let raw = [
        (1, SeccompCmpOp::MaskedEq(0xf), number(libc::SOCK_RAW)),
        (0, SeccompCmpOp::Ne, number(libc::AF_NETLINK)),
    ];
    rules.insert(libc::SYS_socket, vec![rule(&other_family)?, rule(&raw)?]);
    Ok(rules)
}

pub(super) fn number(word: i32) -> u64 {
    u64::try_from(word).unwrap_or(0)
}

/// Holds where every one of these conditions (argument, comparison, value) does.
pub(super) fn rule(conditions: &[(u8, SeccompCmpOp, u64)]) -> io::Result<SeccompRule> {
    let conditions: Result<Vec<_>, _> = conditions
        .iter()
        .map(|(argument, compare, value)| {
            SeccompCondition::new(*argument, SeccompCmpArgLen::Dword, compare.clone(), *value)
        })
        .collect();
    conditions.and_then(SeccompRule::new).map_err(io::Error::other)
}
