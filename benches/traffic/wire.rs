//! Sends frames as they are, many per system call, past the queueing discipline (packet(7)).

#![allow(unsafe_code)]

use libc::{c_int, c_void, iovec, mmsghdr, socklen_t};
use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// Frames that one system call sends at most.
pub const BATCH: usize = 64;

/// `ethtool_drvinfo` of linux/ethtool.h is 196 bytes: a command, then names of 32 bytes, that of the driver first.
const DRIVER_INFO_WORDS: usize = 49;
const ETHTOOL_GDRVINFO: u32 = 3;
const SIOCETHTOOL: libc::c_ulong = 0x8946;

/// More than the kernel queues for the other end of a veth pair.
const SEND_BUFFER_BYTES: c_int = 256 << 20;

/// An interface that frames are sent over.
pub struct Wire {
    socket: OwnedFd,
    places: Vec<iovec>,
    headers: Vec<mmsghdr>,
}

impl Wire {
    /// Opens an interface of the current network namespace for sending alone.
    ///
    /// # Errors
    /// What the system says: the capability CAP_NET_RAW is missing, or there is no such interface.
    pub fn open(interface: &str) -> io::Result<Self> {
        let name = CString::new(interface)?;
        // SAFETY: a string that ends in a zero byte.
        let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
        if index == 0 {
            return Err(io::Error::last_os_error());
        }
        // Protocol 0: this socket receives nothing.
        // SAFETY: the call takes no memory.
        let socket = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
        if socket < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just given this descriptor out, and nothing else owns it.
        let socket = unsafe { OwnedFd::from_raw_fd(socket) };
        let address = libc::sockaddr_ll {
            sll_family: libc::AF_PACKET as u16,
            sll_protocol: 0,
            sll_ifindex: index as c_int,
            sll_hatype: 0,
            sll_pkttype: 0,
            sll_halen: 0,
            sll_addr: [0; 8],
        };
        let length = size_of::<libc::sockaddr_ll>() as socklen_t;
        // SAFETY: an address of this length that lives through the call.
        if unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) } < 0 {
            return Err(io::Error::last_os_error());
        }
        set(&socket, libc::SOL_PACKET, libc::PACKET_QDISC_BYPASS, 1)?;
        // A line does not wait for whoever listens: what the receiving side is too slow for must be lost, not held back here.
        set(&socket, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, SEND_BUFFER_BYTES)?;
        Ok(Self { socket, places: Vec::with_capacity(BATCH), headers: Vec::with_capacity(BATCH) })
    }

    /// The name of the interface's driver, as `ethtool -i` has it.
    ///
    /// # Errors
    /// What the system says.
    pub fn driver(&self, interface: &str) -> io::Result<String> {
        let mut information = [0_u32; DRIVER_INFO_WORDS];
        information[0] = ETHTOOL_GDRVINFO;
        // SAFETY: all zeroes are an empty request.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        if interface.len() >= request.ifr_name.len() {
            return Err(io::Error::from_raw_os_error(libc::ENODEV));
        }
        for (to, from) in request.ifr_name.iter_mut().zip(interface.bytes()) {
            *to = from as libc::c_char;
        }
        request.ifr_ifru.ifru_data = information.as_mut_ptr().cast();
        // SAFETY: the request is alive and points to as many bytes as the kernel writes for this command.
        if unsafe { libc::ioctl(self.socket.as_raw_fd(), SIOCETHTOOL as _, &raw mut request) } < 0 {
            return Err(io::Error::last_os_error());
        }
        let bytes = information[1..9].iter().flat_map(|word| word.to_ne_bytes()).take_while(|&byte| byte != 0);
        Ok(String::from_utf8_lossy(&bytes.collect::<Vec<_>>()).into_owned())
    }

    /// Sends frames in order, at most [`BATCH`] of them. Returns how many the interface took: the rest may be tried again.
    ///
    /// # Errors
    /// When it took none, for another reason than that it was busy.
    pub fn send<'f>(&mut self, frames: impl Iterator<Item = &'f [u8]>) -> io::Result<usize> {
        self.places.clear();
        self.headers.clear();
        self.places.extend(
            frames.take(BATCH).map(|frame| iovec { iov_base: frame.as_ptr().cast_mut().cast(), iov_len: frame.len() }),
        );
        for place in &mut self.places {
            // SAFETY: all zeroes are a message without an address, without buffers and without control data.
            let mut header: mmsghdr = unsafe { std::mem::zeroed() };
            header.msg_hdr.msg_iov = std::ptr::from_mut(place);
            header.msg_hdr.msg_iovlen = 1;
            self.headers.push(header);
        }
        let count = self.headers.len() as libc::c_uint;
        // SAFETY: `count` messages of one buffer each; the frames are borrowed until this returns, and the kernel only reads them.
        let sent = unsafe { libc::sendmmsg(self.socket.as_raw_fd(), self.headers.as_mut_ptr(), count, 0) };
        if sent >= 0 {
            return Ok(sent as usize);
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::ENOBUFS | libc::EAGAIN | libc::EINTR) => Ok(0),
            _ => Err(error),
        }
    }
}

/// Sets an option that is one integer.
fn set(socket: &OwnedFd, level: c_int, option: c_int, value: c_int) -> io::Result<()> {
    let (place, length): (*const c_void, _) = ((&raw const value).cast(), size_of::<c_int>() as socklen_t);
    // SAFETY: the kernel reads one integer that lives through the call.
    let set = unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, place, length) };
    if set < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
