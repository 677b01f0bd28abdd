//! The system calls, each behind a safe function: the only unsafe code of Botpipe.
#![expect(
    unsafe_code,
    reason = "clone, exec, signals and descriptor passing have no safe form in std"
)]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::io::{Error, ErrorKind, Result};
use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::ptr::{null, null_mut};
use std::time::Duration;

mod descriptors;
mod open_files;
mod powers;

pub(super) use descriptors::{
    close_all_but_standard, close_on_exec_all_but_standard, copy_of_stdin, place,
    receive_with_descriptors, send_with_descriptors,
};
pub(super) use libc::{ESRCH, SIGCONT, SIGHUP, SIGINT, SIGKILL, SIGSTOP, SIGTERM};
pub(crate) use open_files::{raise_open_files, with_usual_open_files};
pub(super) use powers::{
    become_user, bound_capabilities, drop_capabilities, hide_from_debuggers, no_new_privileges,
};

/// A process number as the kernel takes it; negative means a process group.
pub(super) type Pid = libc::pid_t;

/// Which side of a [`fork`] this is.
pub(super) enum Fork {
    Parent(Pid),
    Child,
}

/// What [`reap`] found.
pub(super) enum Reaped {
    Ended(Pid, ExitStatus),
    NobodyYet,
    NoChildren,
}

pub(super) const NEW_PID_AND_MOUNT: c_int = libc::CLONE_NEWPID | libc::CLONE_NEWNS;
pub(super) const NEW_USER_PID_AND_MOUNT: c_int = NEW_PID_AND_MOUNT | libc::CLONE_NEWUSER;

/// Forks, the child in the new namespaces of `flags` (0: none). Only stage 1 and what descends from
/// it may call this: they have one thread, so the child may do what any process may.
pub(super) fn fork(flags: c_int) -> Result<Fork> {
    let no_pointer = 0_usize;
    // SAFETY: no stack, no thread id pointers and no CLONE_VM, so the child is a copy of a process
    // with a single thread, exactly as fork makes it.
    let pid = unsafe {
        libc::syscall(
            libc::SYS_clone,
            libc::c_long::from(flags | libc::SIGCHLD),
            no_pointer,
            no_pointer,
            no_pointer,
            no_pointer,
        )
    };
    match Pid::try_from(pid) {
        Ok(0) => Ok(Fork::Child),
        Ok(pid) if pid > 0 => Ok(Fork::Parent(pid)),
        _ => Err(Error::last_os_error()),
    }
}

/// Runs `child` in a new process that uses this one's memory, and returns once it has executed a
/// program or ended: for one that soon executes this is a fork without copying. What `child` writes
/// is seen here; descriptors, directory and signals are its own. As for [`fork`]: one thread only.
pub(super) fn spawn<F: FnMut()>(mut child: F) -> Result<Pid> {
    extern "C" fn run<F: FnMut()>(child: *mut c_void) -> c_int {
        // SAFETY: it is the closure given below, which nobody else uses while its caller waits.
        unsafe { (*child.cast::<F>())() };
        127
    }
    let mut stack = vec![0_u128; SPAWN_STACK / size_of::<u128>()];
    // SAFETY: the new process runs on a stack of its own, which ends at an aligned address; with
    // CLONE_VFORK this only thread stands still until it uses neither stack nor memory any more.
    check(unsafe {
        libc::clone(
            run::<F>,
            stack.as_mut_ptr_range().end.cast(),
            libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD,
            (&raw mut child).cast(),
        )
    })
}

/// What a `child` of [`spawn`] has for a stack.
const SPAWN_STACK: usize = 256 << 10;

/// Ends this process at once, running nothing.
pub(super) fn exit_now(code: i32) -> ! {
    // SAFETY: _exit is defined in every state.
    unsafe { libc::_exit(code) }
}

/// Executes; comes back only with the error.
pub(super) fn exec(path: &CStr, argv: &[CString], env: &[CString]) -> Error {
    let pointers = |strings: &[CString]| -> Vec<*const c_char> {
        strings.iter().map(|s| s.as_ptr()).chain([null()]).collect()
    };
    let (argv, env) = (pointers(argv), pointers(env));
    // SAFETY: both arrays are null-terminated and point to strings that outlive the call.
    unsafe { libc::execve(path.as_ptr(), argv.as_ptr(), env.as_ptr()) };
    Error::last_os_error()
}

/// Whether there is surely nothing at a path: cheaper than to try to execute it.
pub(super) fn is_missing(path: &CStr) -> bool {
    // SAFETY: the path ends with a zero byte and outlives the call.
    let there = unsafe { libc::access(path.as_ptr(), libc::F_OK) };
    there < 0 && Error::last_os_error().kind() == ErrorKind::NotFound
}

/// Sends a signal to a process, or to a group when `pid` is negative.
pub(super) fn kill(pid: Pid, signal: c_int) -> Result<()> {
    // SAFETY: kill reads two numbers.
    check(unsafe { libc::kill(pid, signal) }).map(drop)
}

/// Collects one ended child without waiting.
pub(super) fn reap() -> Result<Reaped> {
    let mut status = 0;
    loop {
        // SAFETY: `status` is a valid place for the answer.
        let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
        match (pid, Error::last_os_error().raw_os_error()) {
            (0, _) => return Ok(Reaped::NobodyYet),
            (1.., _) => return Ok(Reaped::Ended(pid, ExitStatus::from_raw(status))),
            (_, Some(libc::ECHILD)) => return Ok(Reaped::NoChildren),
            (_, Some(libc::EINTR)) => {}
            (_, _) => return Err(Error::last_os_error()),
        }
    }
}

/// Waits for one child to end.
pub(super) fn wait_for(pid: Pid) {
    let mut status = 0;
    // SAFETY: `status` is a valid place for the answer.
    while unsafe { libc::waitpid(pid, &raw mut status, 0) } < 0 {
        if Error::last_os_error().raw_os_error() != Some(libc::EINTR) {
            return;
        }
    }
}

/// Makes this process the one that orphans below it come back to.
pub(super) fn become_subreaper() -> Result<()> {
    // SAFETY: this option takes numbers only.
    check(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }).map(drop)
}

/// Asks the kernel to kill this process when the thread that started it ends.
pub(super) fn die_with_parent() -> Result<()> {
    // SAFETY: this option takes numbers only.
    check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) }).map(drop)
}

/// Has a command's process hang up when the thread that starts it ends.
pub(crate) fn hang_up_with_parent(command: &mut std::process::Command) {
    use std::os::unix::process::CommandExt as _;
    let parent = std::process::id();
    let hang_up = move || {
        // SAFETY: this option takes numbers only.
        check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, SIGHUP, 0, 0, 0) })?;
        // It may have ended before that.
        if std::os::unix::process::parent_id() == parent {
            Ok(())
        } else {
            Err(Error::from_raw_os_error(ESRCH))
        }
    };
    // SAFETY: between fork and exec only two system calls are made, and nothing is allocated.
    unsafe { command.pre_exec(hang_up) };
}

/// Undoes [`die_with_parent`].
pub(super) fn outlive_parent() -> Result<()> {
    // SAFETY: this option takes numbers only.
    check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, 0, 0, 0, 0) }).map(drop)
}

/// Leaves the session and the terminal of the parent.
pub(super) fn new_session() -> Result<()> {
    // SAFETY: setsid takes nothing.
    check(unsafe { libc::setsid() }).map(drop)
}

/// The effective user and group.
pub(super) fn ids() -> (u32, u32) {
    // SAFETY: both take nothing and cannot fail.
    unsafe { (libc::geteuid(), libc::getegid()) }
}

/// Keeps mounts made here from reaching the host.
pub(super) fn keep_mounts_to_ourselves() -> Result<()> {
    mount(None, c"/", libc::MS_REC | libc::MS_SLAVE)
}

/// Mounts the `/proc` of this pid namespace.
pub(super) fn mount_proc() -> Result<()> {
    mount(Some(c"proc"), c"/proc", libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC)
}

fn mount(kind: Option<&CStr>, target: &CStr, flags: libc::c_ulong) -> Result<()> {
    let kind = kind.map_or(null(), CStr::as_ptr);
    // SAFETY: the strings live through the call; a null source or type is allowed for these flags.
    check(unsafe { libc::mount(kind, target.as_ptr(), kind, flags, null()) }).map(drop)
}

/// Sets attributes of a mount (`MOUNT_ATTR_*`), and of all below it.
pub(super) fn set_mount_attributes(mount: BorrowedFd<'_>, set: u64) -> Result<()> {
    set_attributes(mount, libc::AT_RECURSIVE, set)
}

/// Sets attributes of a mount alone.
pub(super) fn set_attributes_of_one(mount: BorrowedFd<'_>, set: u64) -> Result<()> {
    set_attributes(mount, 0, set)
}

fn set_attributes(mount: BorrowedFd<'_>, reach: c_int, set: u64) -> Result<()> {
    let attributes = libc::mount_attr { attr_set: set, attr_clr: 0, propagation: 0, userns_fd: 0 };
    // SAFETY: the path is empty, and the attributes outlive the call and have the size that is said.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | reach,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    if done == 0 { Ok(()) } else { Err(Error::last_os_error()) }
}

/// Bytes of memory that the machine has.
pub(super) fn memory_of_machine() -> u64 {
    // SAFETY: it takes a number only.
    let pages = unsafe { libc::sysconf(libc::_SC_PHYS_PAGES) };
    let page = u64::try_from(rustix::param::page_size()).unwrap_or(4096);
    // What does not say is taken for a small one.
    u64::try_from(pages).map_or(SMALL_MACHINE, |pages| pages.saturating_mul(page))
}

const SMALL_MACHINE: u64 = 2 << 30;

/// A number that this process has not given before.
pub(super) fn counted() -> u32 {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

/// Has the kernel ask a program of every system call from here on, in this process and what it starts. There must be
/// [no new privileges](no_new_privileges).
pub(super) fn filter_calls(program: &[libc::sock_filter]) -> Result<()> {
    let len = u16::try_from(program.len()).map_err(Error::other)?;
    let program = libc::sock_fprog { len, filter: program.as_ptr().cast_mut() };
    // SAFETY: the kernel reads the program, which outlives the call, and no more than its length.
    check(unsafe {
        libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program)
    })
    .map(drop)
}

/// A session keyring of its own, where the kernel has keys.
pub(super) fn new_keyring() {
    // SAFETY: the name is absent; without keys in the kernel there is nothing to leave behind.
    unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, 0_usize) };
}

const KEYCTL_JOIN_SESSION_KEYRING: libc::c_long = 1;

/// The version of the interface to Landlock.
pub(crate) fn landlock() -> Option<u32> {
    const VERSION: libc::c_uint = 1;
    // SAFETY: asked for the version, the kernel reads nothing at the address.
    let answer =
        unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, null::<u8>(), 0_usize, VERSION) };
    u32::try_from(answer).ok().filter(|version| *version > 0)
}

/// Bounds a resource of this process and what it starts; a lower bound stays.
pub(super) fn limit(resource: libc::__rlimit_resource_t, most: u64) -> Result<()> {
    // SAFETY: both calls get a valid place for the numbers.
    unsafe {
        let mut now: libc::rlimit = zeroed();
        check(libc::getrlimit(resource, &raw mut now))?;
        let most = most.min(now.rlim_max);
        let bound = libc::rlimit { rlim_cur: most, rlim_max: most };
        check(libc::setrlimit(resource, &raw const bound)).map(drop)
    }
}

/// Brings the loopback of this network up.
pub(super) fn loopback_up() -> Result<()> {
    // SAFETY: a fresh descriptor is owned by nobody else; the request is initialised, its name ends in
    // zeros, and it outlives the call.
    unsafe {
        let socket = check(libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0))?;
        let socket = OwnedFd::from_raw_fd(socket);
        let mut request: libc::ifreq = zeroed();
        for (at, letter) in request.ifr_name.iter_mut().zip(c"lo".to_bytes()) {
            *at = c_char::try_from(*letter).unwrap_or(0);
        }
        let flags = libc::IFF_UP | libc::IFF_RUNNING;
        request.ifr_ifru.ifru_flags = libc::c_short::try_from(flags).unwrap_or(0);
        check(libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request)).map(drop)
    }
}

/// Makes a socket of a family, and closes it.
pub(super) fn try_socket(family: c_int) -> Result<()> {
    // SAFETY: a fresh descriptor is owned by nobody else.
    unsafe {
        let socket = check(libc::socket(family, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0))?;
        drop(OwnedFd::from_raw_fd(socket));
    }
    Ok(())
}

/// Listens without a port that was asked for, and leaves off.
pub(super) fn try_listening() -> Result<()> {
    // SAFETY: a fresh descriptor is owned by nobody else.
    unsafe {
        let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
        let socket = OwnedFd::from_raw_fd(check(libc::socket(libc::AF_INET, kind, 0))?);
        check(libc::listen(AsRawFd::as_raw_fd(&socket), 1)).map(drop)
    }
}

/// Moves this process into a user namespace of its own.
pub(super) fn try_user_namespace() -> Result<()> {
    // SAFETY: unshare takes numbers only.
    check(unsafe { libc::unshare(libc::CLONE_NEWUSER) }).map(drop)
}

/// The signals that this process ignores: what it executes would ignore them as well.
pub(super) fn ignored_signals() -> Vec<c_int> {
    let is_ignored = |signal: &c_int| {
        // SAFETY: only asked; an all-zero action is a valid place for the answer.
        unsafe {
            let mut action: libc::sigaction = zeroed();
            libc::sigaction(*signal, null(), &raw mut action) == 0
                && action.sa_sigaction == libc::SIG_IGN
        }
    };
    (1..=libc::SIGRTMAX()).filter(is_ignored).collect()
}

/// Gives signals that are ignored their default meaning and blocks none, as a program expects at its start. Those that
/// are handled get theirs when it is executed.
pub(super) fn reset_signals(ignored: &[c_int]) {
    for signal in ignored {
        // SAFETY: SIG_DFL is a valid disposition; the C library refuses its own two signals.
        unsafe { libc::signal(*signal, libc::SIG_DFL) };
    }
    // SAFETY: an all-zero set is initialised by sigemptyset before it is used.
    unsafe {
        let mut none: libc::sigset_t = zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, null_mut());
    }
}

/// A handle on a process that no later process with its number can take over. The number must be
/// its own still: this process, its parent, or a child that was not collected.
pub(super) fn open_process(pid: u32) -> Result<OwnedFd> {
    // SAFETY: numbers only; a fresh descriptor is owned by nobody else.
    unsafe {
        let fd = libc::syscall(libc::SYS_pidfd_open, libc::c_ulong::from(pid), 0_u64);
        let fd = RawFd::try_from(fd).map_err(|_| Error::from_raw_os_error(libc::EBADF))?;
        check(fd).map(|fd| OwnedFd::from_raw_fd(fd))
    }
}

/// Sends a signal through a handle; 0 only asks whether it could be sent.
pub(super) fn signal_process(process: BorrowedFd<'_>, signal: c_int) -> Result<()> {
    let no_details = null::<libc::siginfo_t>();
    // SAFETY: without details the kernel fills in those of a plain kill.
    let sent = unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, process.as_raw_fd(), signal, no_details, 0_u32)
    };
    if sent == 0 { Ok(()) } else { Err(Error::last_os_error()) }
}

/// Has the kernel collect every child of this process by itself.
pub(super) fn ignore_children() {
    // SAFETY: SIG_IGN is a valid disposition.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
}

/// Undoes an inherited "ignore my children", under which nobody could be waited for.
pub(super) fn notice_children() {
    // SAFETY: SIG_DFL is a valid disposition.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
}

/// A descriptor that becomes readable when a child ends. Blocks the signal for this process.
pub(super) fn child_signals() -> Result<OwnedFd> {
    // SAFETY: the set is initialised before use; a fresh descriptor is owned by nobody else.
    unsafe {
        let mut set: libc::sigset_t = zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGCHLD);
        check(libc::sigprocmask(libc::SIG_BLOCK, &raw const set, null_mut()))?;
        let fd = check(libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK))?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// Waits until one of the descriptors can be read or has lost its other end; `None`: without end.
pub(super) fn wait_readable<const N: usize>(
    fds: [BorrowedFd<'_>; N],
    patience: Option<Duration>,
) -> Result<[bool; N]> {
    let mut polled =
        fds.map(|fd| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 });
    let patience = patience.map_or(-1, |p| c_int::try_from(p.as_millis()).unwrap_or(c_int::MAX));
    let count = libc::nfds_t::try_from(N).unwrap_or(0);
    // SAFETY: `polled` holds `count` entries.
    match check(unsafe { libc::poll(polled.as_mut_ptr(), count, patience) }) {
        Err(e) if e.kind() != ErrorKind::Interrupted => Err(e),
        Err(_) => Ok([false; N]),
        Ok(_) => Ok(polled.map(|p| p.revents != 0)),
    }
}

/// Whether mounts have changed since this `mountinfo` was opened, or asked about last.
pub(super) fn mounts_changed(mountinfo: BorrowedFd<'_>) -> Result<bool> {
    let mut polled = libc::pollfd { fd: mountinfo.as_raw_fd(), events: libc::POLLPRI, revents: 0 };
    // SAFETY: one entry, which outlives the call.
    check(unsafe { libc::poll(&raw mut polled, 1, 0) })?;
    Ok(polled.revents & (libc::POLLPRI | libc::POLLERR) != 0)
}

/// Has reads and writes of this end of a pipe fail with `WouldBlock` rather than wait.
pub(super) fn never_block(fd: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: both take numbers; flags belong to this end alone, which is ours.
    unsafe {
        let flags = check(libc::fcntl(fd.as_raw_fd(), libc::F_GETFL))?;
        check(libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK)).map(drop)
    }
}

fn check(result: c_int) -> Result<c_int> {
    if result < 0 { Err(Error::last_os_error()) } else { Ok(result) }
}
