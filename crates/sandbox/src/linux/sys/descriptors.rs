//! Descriptors: placing, closing and passing them.
#![expect(unsafe_code, reason = "what is passed beside bytes has no safe form in std")]

use std::ffi::c_void;
use std::io::{self, Error, Result};
use std::mem::{size_of, zeroed};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use super::check;

/// Puts a descriptor at a fixed number, open across exec.
pub(in super::super) fn place(fd: BorrowedFd<'_>, at: RawFd) -> Result<()> {
    // SAFETY: dup2 takes numbers; the caller gives up what was at `at`.
    check(unsafe { libc::dup2(fd.as_raw_fd(), at) }).map(drop)
}

/// A close-on-exec copy of standard input, numbered 3 or higher.
pub(in super::super) fn copy_of_stdin() -> Result<OwnedFd> {
    io::stdin().as_fd().try_clone_to_owned()
}

/// Closes every descriptor but the standard three.
///
/// # Order
/// At the start of stage 1 only, while nothing in this process owns one.
pub(in super::super) fn close_all_but_standard() {
    if close_range(0).is_err() {
        for fd in open_descriptors().unwrap_or_default() {
            // SAFETY: nothing in this process owns a descriptor above 2 yet.
            unsafe { libc::close(fd) };
        }
    }
}

/// Marks every descriptor but the standard three to be closed by exec.
pub(in super::super) fn close_on_exec_all_but_standard() -> Result<()> {
    if close_range(libc::CLOSE_RANGE_CLOEXEC).is_err() {
        for fd in open_descriptors()? {
            // SAFETY: setting a flag of a descriptor owns and frees nothing.
            unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
        }
    }
    Ok(())
}

fn close_range(flags: libc::c_uint) -> Result<()> {
    // SAFETY: numbers only; the two callers say why closing or marking is right.
    match unsafe { libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, flags) } {
        0 => Ok(()),
        _ => Err(Error::last_os_error()),
    }
}

/// For kernels before 5.11: the numbers above 2, read before any of them is touched.
fn open_descriptors() -> Result<Vec<RawFd>> {
    let entries = std::fs::read_dir("/proc/self/fd")?;
    let numbers = entries.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok());
    Ok(numbers.filter(|fd| *fd > 2).collect())
}

/// Room for the control message of four descriptors, more than `CMSG_SPACE` asks for on any Linux.
const CONTROL_WORDS: usize = 8;

/// Sends bytes, and up to four descriptors with them.
pub(in super::super) fn send_with_descriptors<const FDS: usize>(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    fds: [BorrowedFd<'_>; FDS],
) -> Result<()> {
    const { assert!(0 < FDS && FDS <= 4) };
    let fds = fds.map(|fd| fd.as_raw_fd());
    let mut control = [0_u64; CONTROL_WORDS];
    let mut part =
        libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast::<c_void>(), iov_len: bytes.len() };
    // SAFETY: the header points to `part` and `control`, which outlive the call; `control` is
    // aligned for a cmsghdr and larger than CMSG_SPACE of four descriptors, so the first header
    // exists and its data has room for them.
    let sent = unsafe {
        let size = u32::try_from(size_of_val(&fds)).unwrap_or(0);
        let mut message: libc::msghdr = zeroed();
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = libc::CMSG_SPACE(size) as _;
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = libc::CMSG_LEN(size) as _;
        libc::CMSG_DATA(header).cast::<[RawFd; FDS]>().write_unaligned(fds);
        libc::sendmsg(socket.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL)
    };
    if usize::try_from(sent) == Ok(bytes.len()) { Ok(()) } else { Err(Error::last_os_error()) }
}

/// Receives what [`send_with_descriptors`] sent: exactly `N` bytes and `FDS` descriptors.
///
/// # Errors
/// `UnexpectedEof` when the other end is gone, `InvalidData` when something else arrived.
pub(in super::super) fn receive_with_descriptors<const N: usize, const FDS: usize>(
    socket: BorrowedFd<'_>,
) -> Result<([u8; N], [OwnedFd; FDS])> {
    const { assert!(0 < FDS && FDS <= 4) };
    let mut bytes = [0_u8; N];
    let mut control = [0_u64; CONTROL_WORDS];
    let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: N };
    // SAFETY: as in sending; the data is read only when the kernel says that one control message
    // of so many descriptors arrived, and those are new and ours alone.
    unsafe {
        let mut message: libc::msghdr = zeroed();
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = size_of::<[u64; CONTROL_WORDS]>() as _;
        let flags = libc::MSG_CMSG_CLOEXEC | libc::MSG_WAITALL;
        let got = libc::recvmsg(socket.as_raw_fd(), &raw mut message, flags);
        if got < 0 {
            return Err(Error::last_os_error());
        }
        if got == 0 {
            return Err(Error::from(io::ErrorKind::UnexpectedEof));
        }
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        let size = u32::try_from(size_of::<[RawFd; FDS]>()).unwrap_or(0);
        if usize::try_from(got) != Ok(N)
            || header.is_null()
            || (*header).cmsg_type != libc::SCM_RIGHTS
            || (*header).cmsg_len != libc::CMSG_LEN(size) as _
        {
            return Err(Error::from(io::ErrorKind::InvalidData));
        }
        let fds = libc::CMSG_DATA(header).cast::<[RawFd; FDS]>().read_unaligned();
        Ok((bytes, fds.map(|fd| OwnedFd::from_raw_fd(fd))))
    }
}
