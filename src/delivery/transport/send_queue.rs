//! What the system still holds of what was written to a socket.

use std::io;
use std::os::fd::BorrowedFd;

/// Of a TCP connection: bytes that the other side has not acknowledged (tcp(7), SIOCOUTQ). Of a Unix socket: memory of what the other side has
/// not read, 0 when it has read everything (unix(7), SIOCOUTQ).
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
pub(super) fn unacknowledged(socket: BorrowedFd<'_>) -> io::Result<u64> {
    use std::os::fd::AsRawFd;
    let mut bytes: libc::c_int = 0;
    // SAFETY: the descriptor is open for the length of the call, and the kernel writes one `int` to the address of a live one.
    let answer = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(u64::try_from(bytes).unwrap_or(0)) }
}

/// Elsewhere nobody can be asked: written counts as arrived.
#[cfg(not(target_os = "linux"))]
pub(super) fn unacknowledged(_: BorrowedFd<'_>) -> io::Result<u64> {
    Ok(0)
}
