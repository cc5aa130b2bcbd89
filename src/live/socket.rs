//! System calls on packet sockets and interfaces, each behind a safe door (packet(7), netdevice(7)).

#![allow(unsafe_code)]

use libc::{c_int, c_void, ifreq, socklen_t};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;
use std::{io, mem};

/// Words that hold the answer to any [`Ethtool`] question; the longest has 44 bytes.
pub(super) const ETHTOOL_WORDS: usize = 49;

/// A packet socket. Nothing arrives before [`PacketSocket::bind`].
#[derive(Debug)]
pub(super) struct PacketSocket(OwnedFd);

/// What ended a wait.
pub(super) enum Wake {
    /// Time, or a signal.
    Nothing,
    /// A block is retired.
    Ready,
    /// Something is wrong: see [`PacketSocket::take_error`].
    Trouble,
}

/// What a driver can be asked (`linux/ethtool.h`).
#[derive(Clone, Copy)]
pub(super) enum Ethtool {
    /// `ethtool_cmd`: speed and more.
    Settings = 0x01,
    /// `ethtool_drvinfo`: the driver's name and more.
    Driver = 0x03,
    /// `ethtool_ringparam`: frames that the device may hold.
    RingSizes = 0x10,
    /// `ethtool_value`: `ETH_FLAG_` bits.
    Flags = 0x25,
    /// `ethtool_value`: generic receive offload.
    Gro = 0x2b,
}

impl PacketSocket {
    pub(super) fn open() -> io::Result<Self> {
        // Protocol 0: `bind` says what is to arrive.
        // SAFETY: the call takes no memory.
        let socket = checked(unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) })?;
        // SAFETY: the kernel has just given this descriptor out, and nothing else owns it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(socket) }))
    }

    /// Lets every frame of an interface arrive.
    pub(super) fn bind(&self, index: u32) -> io::Result<()> {
        let address = libc::sockaddr_ll {
            sll_family: libc::AF_PACKET as u16,
            sll_protocol: (libc::ETH_P_ALL as u16).to_be(),
            sll_ifindex: index as c_int,
            sll_hatype: 0,
            sll_pkttype: 0,
            sll_halen: 0,
            sll_addr: [0; 8],
        };
        let place = (&raw const address).cast();
        // SAFETY: an address of this length that lives through the call.
        checked(unsafe { libc::bind(self.0.as_raw_fd(), place, size_of::<libc::sockaddr_ll>() as socklen_t) }).map(drop)
    }

    /// Sets an option of packet sockets.
    pub(super) fn set<T>(&self, option: c_int, value: &T) -> io::Result<()> {
        set(&self.0, libc::SOL_PACKET, option, value)
    }

    /// Lets only those frames arrive that a program chooses, and so many of their bytes as it says.
    pub(super) fn attach(&self, program: &mut [libc::sock_filter]) -> io::Result<()> {
        let len = u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        let program = libc::sock_fprog { len, filter: program.as_mut_ptr() };
        // The kernel copies and checks the instructions that `filter` points to within the call.
        set(&self.0, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)
    }

    /// Takes the program off.
    pub(super) fn detach(&self) -> io::Result<()> {
        set(&self.0, libc::SOL_SOCKET, libc::SO_DETACH_FILTER, &0_i32)
    }

    /// What the kernel counted since it was last asked.
    pub(super) fn statistics(&self) -> io::Result<libc::tpacket_stats_v3> {
        let mut counted = libc::tpacket_stats_v3 { tp_packets: 0, tp_drops: 0, tp_freeze_q_cnt: 0 };
        ask(&self.0, libc::SOL_PACKET, libc::PACKET_STATISTICS, &mut counted)?;
        Ok(counted)
    }

    /// The error of the socket, if it has one; asking takes it off.
    pub(super) fn take_error(&self) -> io::Result<Option<io::Error>> {
        let mut error: c_int = 0;
        ask(&self.0, libc::SOL_SOCKET, libc::SO_ERROR, &mut error)?;
        Ok((error != 0).then(|| io::Error::from_raw_os_error(error)))
    }

    /// Sleeps until a block is retired, at most `left`.
    pub(super) fn wait(&self, left: Duration) -> io::Result<Wake> {
        let mut entry = libc::pollfd { fd: self.0.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: all zeroes are a time.
        let mut time: libc::timespec = unsafe { mem::zeroed() };
        time.tv_sec = left.as_secs().try_into().unwrap_or(libc::time_t::MAX);
        time.tv_nsec = left.subsec_nanos().into();
        // SAFETY: one entry and one time, both alive; no signal mask.
        let ready = unsafe { libc::ppoll(&raw mut entry, 1, &raw const time, std::ptr::null()) };
        match checked(ready) {
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => Ok(Wake::Nothing),
            Err(cause) => Err(cause),
            Ok(_) if entry.revents & libc::POLLERR != 0 => Ok(Wake::Trouble),
            Ok(0) => Ok(Wake::Nothing),
            Ok(_) => Ok(Wake::Ready),
        }
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The number of an interface of this network namespace.
pub(super) fn index_of(name: &CStr) -> Option<u32> {
    // SAFETY: a string that ends in a zero byte.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    (index != 0).then_some(index)
}

/// `ARPHRD_` number of an interface. Any socket will do to ask.
pub(super) fn hardware_type(socket: &impl AsFd, name: &CStr) -> io::Result<u16> {
    let request = asked(socket, name, libc::SIOCGIFHWADDR)?;
    // SAFETY: SIOCGIFHWADDR fills this member, and any bytes are a socket address.
    Ok(unsafe { request.ifr_ifru.ifru_hwaddr }.sa_family)
}

/// `IFF_` bits of an interface.
pub(super) fn flags(socket: &impl AsFd, name: &CStr) -> io::Result<c_int> {
    let request = asked(socket, name, libc::SIOCGIFFLAGS)?;
    // SAFETY: SIOCGIFFLAGS fills this member, and any bits are flags.
    Ok(c_int::from(unsafe { request.ifr_ifru.ifru_flags }))
}

/// Largest packet of an interface, in bytes without link header.
pub(super) fn mtu(socket: &impl AsFd, name: &CStr) -> io::Result<u32> {
    let request = asked(socket, name, libc::SIOCGIFMTU)?;
    // SAFETY: SIOCGIFMTU fills this member, and any bits are a number.
    Ok(u32::try_from(unsafe { request.ifr_ifru.ifru_mtu }).unwrap_or(0))
}

/// What a driver answers, as the words of the structure that belongs to the question; the first repeats the question.
pub(super) fn ethtool(socket: &impl AsFd, name: &CStr, question: Ethtool) -> io::Result<[u32; ETHTOOL_WORDS]> {
    let mut words = [0; ETHTOOL_WORDS];
    if let Some(first) = words.first_mut() {
        *first = question as u32;
    }
    let mut request = named(name)?;
    request.ifr_ifru.ifru_data = words.as_mut_ptr().cast();
    // SAFETY: an `ifreq` whose data has room for the longest answer to any of the questions; both live through the call.
    checked(unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), libc::SIOCETHTOOL as _, &raw mut request) })?;
    Ok(words)
}

/// An interface's name as the kernel takes it; `None` when none can be called so.
pub(super) fn name_of(interface: &str) -> Option<CString> {
    CString::new(interface).ok().filter(|name| !name.is_empty() && name.count_bytes() < libc::IFNAMSIZ)
}

fn checked(result: c_int) -> io::Result<c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn set<T>(socket: &OwnedFd, level: c_int, option: c_int, value: &T) -> io::Result<()> {
    let place: *const c_void = std::ptr::from_ref(value).cast();
    // SAFETY: `value` lives through the call, which reads its bytes.
    checked(unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, place, size_of::<T>() as socklen_t) })
        .map(drop)
}

/// Reads an option into `value`, a type for which any bytes will do.
fn ask<T: Copy>(socket: &OwnedFd, level: c_int, option: c_int, value: &mut T) -> io::Result<()> {
    let mut length = size_of::<T>() as socklen_t;
    let place: *mut c_void = std::ptr::from_mut(value).cast();
    // SAFETY: `value` lives through the call, which writes at most `length` bytes of integers.
    checked(unsafe { libc::getsockopt(socket.as_raw_fd(), level, option, place, &raw mut length) }).map(drop)
}

fn named(name: &CStr) -> io::Result<ifreq> {
    // SAFETY: all zeroes are an empty request.
    let mut request: ifreq = unsafe { mem::zeroed() };
    if name.count_bytes() >= request.ifr_name.len() {
        return Err(io::Error::from_raw_os_error(libc::ENODEV));
    }
    for (to, &from) in request.ifr_name.iter_mut().zip(name.to_bytes()) {
        *to = from as libc::c_char;
    }
    Ok(request)
}

/// What the kernel answers to a question that takes a name and no memory besides.
fn asked(socket: &impl AsFd, name: &CStr, question: libc::c_ulong) -> io::Result<ifreq> {
    let mut request = named(name)?;
    // SAFETY: the questions above take an `ifreq` and write within it.
    checked(unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), question as _, &raw mut request) })?;
    Ok(request)
}
