//! Descriptors passed over a socket, with a few bytes.
#![expect(unsafe_code, reason = "descriptor passing has no safe form in std")]

use std::ffi::c_void;
use std::io::{self, Error, Result};
use std::mem::zeroed;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Room for the control message of four descriptors, more than `CMSG_SPACE` asks for on any Linux.
const CONTROL_WORDS: usize = 8;

/// Sends bytes, and up to four descriptors with them.
pub(super) fn send<const FDS: usize>(
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

/// Receives what [`send`] sent: exactly `N` bytes and `FDS` descriptors.
///
/// # Errors
/// `UnexpectedEof` when the other end is gone, `InvalidData` when something else arrived.
pub(super) fn receive<const N: usize, const FDS: usize>(
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
