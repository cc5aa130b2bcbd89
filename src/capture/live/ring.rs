//! A packet socket with its ring: the kernel fills blocks, the ring copies them out and gives them back.

#![allow(unsafe_code)]

use libc::{c_int, c_void, ifreq, socklen_t};
use std::ffi::CString;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{fs, io, mem, thread};

use super::LiveError;
use super::retired::{BLOCK_STATUS, Taking};
use crate::capture::{Block, LinkType};

/// The kernel wants a frame size although blocks of this version hold frames of any.
const FRAME_BYTES: u32 = 2048;
/// Largest block: record offsets stay far from their limit.
const MAX_BLOCK_BYTES: u32 = 256 << 20;
/// Wait after a wake-up that brought nothing.
const PAUSE: Duration = Duration::from_millis(1);

/// Shape of a ring, and what it takes.
#[derive(Clone, Debug)]
pub struct RingOptions {
    /// Bytes of a block: a multiple of the page size, at most 256 MiB. A frame larger than a block is cut.
    pub block_bytes: u32,
    /// Blocks of the ring.
    pub blocks: u32,
    /// When a block that is not full is handed over all the same; whole milliseconds, at least one.
    pub retire: Duration,
    /// Bytes that are kept of each frame.
    pub snaplen: u32,
    /// Whether frames for other machines are asked of the interface, as a mirror port needs.
    pub promiscuous: bool,
    /// Group of rings of this machine that share the frames of an interface, each conversation in one of them.
    pub fanout: Option<u16>,
}

impl Default for RingOptions {
    fn default() -> Self {
        Self {
            block_bytes: 1 << 20,
            blocks: 64,
            retire: Duration::from_millis(8),
            snaplen: 65535,
            promiscuous: true,
            fanout: None,
        }
    }
}

/// What happened since the ring was opened. `packets + drops` is what the kernel offered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RingStatistics {
    /// Frames that found room in the ring; on loopback with the outgoing copies that are left out.
    pub packets: u64,
    /// Frames that found none.
    pub drops: u64,
    /// How often the ring was full.
    pub freezes: u64,
    /// Blocks whose rest was left because a header in them made no sense.
    pub damaged_blocks: u64,
}

/// An open interface.
#[derive(Debug)]
pub struct Ring {
    interface: String,
    name: CString,
    index: u32,
    socket: OwnedFd,
    memory: Mapping,
    blocks: usize,
    current: usize,
    next_number: u64,
    taking: Taking,
    is_down: bool,
    statistics: RingStatistics,
}

impl Ring {
    /// Opens an interface of the current network namespace. One that is down opens too: see [`Ring::link_is_down`].
    ///
    /// # Errors
    /// When the capability is missing, no interface has the name, or its link type or the options do not fit.
    pub fn open(interface: &str, options: &RingOptions) -> Result<Self, LiveError> {
        check(interface, options)?;
        let failed = |doing| {
            move |cause: io::Error| match cause.raw_os_error() {
                Some(libc::EPERM | libc::EACCES) => LiveError::NotPermitted { interface: interface.to_owned() },
                Some(libc::ENODEV | libc::ENXIO) => no_such_interface(interface),
                _ => LiveError::System { interface: interface.to_owned(), doing, cause },
            }
        };
        let name = CString::new(interface).map_err(|_| no_such_interface(interface))?;
        let index = index_of(&name).ok_or_else(|| no_such_interface(interface))?;
        // Protocol 0: nothing arrives before `bind` says from where.
        // SAFETY: the call takes no memory.
        let socket = checked(unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) })
            .map_err(failed("open a packet socket"))?;
        // SAFETY: the kernel has just given this descriptor out, and nothing else owns it.
        let socket = unsafe { OwnedFd::from_raw_fd(socket) };

        let request = asked(&socket, &name, libc::SIOCGIFHWADDR).map_err(failed("ask for its hardware type"))?;
        // SAFETY: SIOCGIFHWADDR fills this member, and any bytes are a socket address.
        let hardware = unsafe { request.ifr_ifru.ifru_hwaddr }.sa_family;
        let link_type = match hardware {
            libc::ARPHRD_ETHER | libc::ARPHRD_LOOPBACK => LinkType::ETHERNET,
            libc::ARPHRD_NONE | libc::ARPHRD_PPP => LinkType::RAW,
            _ => return Err(LiveError::LinkType { interface: interface.to_owned(), hardware }),
        };

        let version = libc::tpacket_versions::TPACKET_V3 as c_int;
        set(&socket, libc::PACKET_VERSION, &version).map_err(failed("choose TPACKET_V3"))?;
        let bytes = options.block_bytes as usize * options.blocks as usize;
        let shape = libc::tpacket_req3 {
            tp_block_size: options.block_bytes,
            tp_block_nr: options.blocks,
            tp_frame_size: FRAME_BYTES,
            tp_frame_nr: options.block_bytes / FRAME_BYTES * options.blocks,
            tp_retire_blk_tov: u32::try_from(options.retire.as_millis()).unwrap_or(u32::MAX).max(1),
            tp_sizeof_priv: 0,
            tp_feature_req_word: 0,
        };
        set(&socket, libc::PACKET_RX_RING, &shape).map_err(failed("set up its ring"))?;
        let memory = Mapping::new(&socket, bytes, options.block_bytes as usize).map_err(failed("map its ring"))?;

        if options.promiscuous {
            let membership = libc::packet_mreq {
                mr_ifindex: index as c_int,
                mr_type: libc::PACKET_MR_PROMISC as u16,
                mr_alen: 0,
                mr_address: [0; 8],
            };
            set(&socket, libc::PACKET_ADD_MEMBERSHIP, &membership).map_err(failed("make it promiscuous"))?;
        }
        bind(&socket, index).map_err(failed("bind to it"))?;
        if let Some(group) = options.fanout {
            // Fragments are put together first, else they would be spread apart from their conversation.
            let argument = u32::from(group) | (libc::PACKET_FANOUT_HASH | libc::PACKET_FANOUT_FLAG_DEFRAG) << 16;
            set(&socket, libc::PACKET_FANOUT, &argument).map_err(failed("join its fanout group"))?;
        }
        let skip_outgoing = hardware == libc::ARPHRD_LOOPBACK;
        let mut ring = Self {
            interface: interface.to_owned(),
            name,
            index,
            socket,
            memory,
            blocks: options.blocks as usize,
            current: 0,
            next_number: 1,
            taking: Taking { link_type, snaplen: options.snaplen, skip_outgoing },
            is_down: false,
            statistics: RingStatistics::default(),
        };
        ring.is_down = !ring.is_up();
        Ok(ring)
    }

    /// Waits at most `timeout` for the next retired block and copies its frames into `block`, which is emptied first; frames are
    /// numbered on from the last. False: nothing came. An interface that is down is no error: nothing comes from it.
    ///
    /// # Errors
    /// When the kernel refuses to wait.
    pub fn next_block(&mut self, block: &mut Block, timeout: Duration) -> Result<bool, LiveError> {
        let deadline = Instant::now() + timeout;
        block.bytes.clear();
        block.records.clear();
        block.first_number = self.next_number;
        loop {
            let came = self.take(block);
            if !block.records.is_empty() {
                self.is_down = false;
                self.next_number += block.records.len() as u64;
                return Ok(true);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                self.is_down = self.is_down && !self.is_up();
                return Ok(false);
            }
            if !came {
                self.wait(left)?;
            }
        }
    }

    /// What happened since the ring was opened.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn statistics(&mut self) -> Result<RingStatistics, LiveError> {
        let mut counted = libc::tpacket_stats_v3 { tp_packets: 0, tp_drops: 0, tp_freeze_q_cnt: 0 };
        // The kernel begins anew at zero after each question.
        ask(&self.socket, libc::SOL_PACKET, libc::PACKET_STATISTICS, &mut counted)
            .map_err(|cause| self.failed("read its statistics", cause))?;
        // It counts what it dropped among the packets.
        self.statistics.packets += u64::from(counted.tp_packets.saturating_sub(counted.tp_drops));
        self.statistics.drops += u64::from(counted.tp_drops);
        self.statistics.freezes += u64::from(counted.tp_freeze_q_cnt);
        Ok(self.statistics)
    }

    /// Whether the interface was last seen down. One that comes up again goes on in this ring; one that was removed stays down,
    /// even when another of its name comes: open that anew.
    #[must_use]
    pub fn link_is_down(&self) -> bool {
        self.is_down
    }

    /// Copies the current block if it is retired, and gives it back.
    fn take(&mut self, block: &mut Block) -> bool {
        let taking = self.taking;
        let Some(whole) =
            self.memory.with_retired(self.current, |retired| taking.copy_frames(retired, block).is_some())
        else {
            return false;
        };
        self.statistics.damaged_blocks += u64::from(!whole);
        self.current = (self.current + 1) % self.blocks;
        true
    }

    /// Sleeps until the kernel says that a block is retired, at most `left`.
    fn wait(&mut self, left: Duration) -> Result<(), LiveError> {
        let until = Instant::now() + left;
        let mut entry = libc::pollfd { fd: self.socket.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: all zeroes are a time.
        let mut time: libc::timespec = unsafe { mem::zeroed() };
        time.tv_sec = left.as_secs().try_into().unwrap_or(libc::time_t::MAX);
        time.tv_nsec = left.subsec_nanos().into();
        // SAFETY: one entry and one time, both alive; no signal mask.
        let ready = unsafe { libc::ppoll(&raw mut entry, 1, &raw const time, std::ptr::null()) };
        if ready < 0 {
            let cause = io::Error::last_os_error();
            return match cause.raw_os_error() {
                Some(libc::EINTR) => Ok(()),
                Some(libc::ENETDOWN) => self.went_down(until),
                _ => Err(self.failed("wait for its frames", cause)),
            };
        }
        if entry.revents & libc::POLLERR != 0 {
            let mut error: c_int = 0;
            // Asking takes the error off the socket.
            ask(&self.socket, libc::SOL_SOCKET, libc::SO_ERROR, &mut error)
                .map_err(|cause| self.failed("ask for its state", cause))?;
            return match error {
                0 => {
                    thread::sleep(PAUSE.min(left));
                    Ok(())
                }
                libc::ENETDOWN => self.went_down(until),
                _ => Err(self.failed("wait for its frames", io::Error::from_raw_os_error(error))),
            };
        }
        if ready > 0 && !self.memory.is_retired(self.current) {
            thread::sleep(PAUSE.min(left));
        }
        Ok(())
    }

    fn went_down(&mut self, until: Instant) -> Result<(), LiveError> {
        self.is_down = !self.is_up();
        if self.is_down {
            thread::sleep(until.saturating_duration_since(Instant::now()));
        }
        Ok(())
    }

    /// Whether the interface that was opened is still there and up.
    fn is_up(&self) -> bool {
        index_of(&self.name) == Some(self.index)
            && asked(&self.socket, &self.name, libc::SIOCGIFFLAGS).is_ok_and(|request| {
                // SAFETY: SIOCGIFFLAGS fills this member, and any bits are flags.
                let flags = unsafe { request.ifr_ifru.ifru_flags };
                c_int::from(flags) & libc::IFF_UP != 0
            })
    }

    fn failed(&self, doing: &'static str, cause: io::Error) -> LiveError {
        LiveError::System { interface: self.interface.clone(), doing, cause }
    }
}

/// The ring's memory, shared with the kernel.
#[derive(Debug)]
struct Mapping {
    first: NonNull<u8>,
    bytes: usize,
    block_bytes: usize,
}

// SAFETY: the memory belongs to this value alone, wherever it goes; the kernel does not care which thread reads.
unsafe impl Send for Mapping {}

impl Mapping {
    fn new(socket: &OwnedFd, bytes: usize, block_bytes: usize) -> io::Result<Self> {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at an address of the system's choice disturbs nothing that is there.
        let place = unsafe { libc::mmap(std::ptr::null_mut(), bytes, access, libc::MAP_SHARED, socket.as_raw_fd(), 0) };
        if place == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let first = NonNull::new(place.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { first, bytes, block_bytes })
    }

    /// The word that says whose a block is.
    fn status(&self, block: usize) -> &AtomicU32 {
        let at = block * self.block_bytes + BLOCK_STATUS;
        assert!(at + size_of::<AtomicU32>() <= self.bytes, "a block of this ring");
        // SAFETY: within the mapping as just checked, aligned because blocks are whole pages, and only ever used as an atomic: the
        // slices of `with_retired` are read while it does not change.
        unsafe { AtomicU32::from_ptr(self.first.add(at).as_ptr().cast()) }
    }

    fn is_retired(&self, block: usize) -> bool {
        self.status(block).load(Ordering::Acquire) & libc::TP_STATUS_USER != 0
    }

    /// What `read` makes of a retired block, which then goes back to the kernel; `None` when the kernel still has it.
    fn with_retired<T>(&mut self, block: usize, read: impl FnOnce(&[u8]) -> T) -> Option<T> {
        if !self.is_retired(block) {
            return None;
        }
        // SAFETY: `is_retired` checked that the block lies in the mapping, which is whole blocks. The kernel writes nothing into a
        // retired block until its status changes below, after the slice is gone.
        let bytes =
            unsafe { std::slice::from_raw_parts(self.first.add(block * self.block_bytes).as_ptr(), self.block_bytes) };
        let made = read(bytes);
        self.status(block).store(libc::TP_STATUS_KERNEL, Ordering::Release);
        Some(made)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by `new` with this length; no slice of it outlives a call.
        let _ = unsafe { libc::munmap(self.first.as_ptr().cast(), self.bytes) };
    }
}

fn check(interface: &str, options: &RingOptions) -> Result<(), LiveError> {
    // SAFETY: the call takes no memory.
    let page = u32::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096).max(FRAME_BYTES);
    let what = if options.block_bytes == 0
        || options.block_bytes > MAX_BLOCK_BYTES
        || !options.block_bytes.is_multiple_of(page)
    {
        format!(
            "blocks of {} bytes cannot be: take a multiple of {page}, at most {MAX_BLOCK_BYTES}",
            options.block_bytes
        )
    } else if options.blocks == 0 || options.block_bytes.checked_mul(options.blocks).is_none() {
        format!(
            "{} blocks of {} bytes cannot be: take at least one, and less than 4 GiB in all",
            options.blocks, options.block_bytes
        )
    } else if options.snaplen == 0 {
        "a snap length of 0 keeps nothing: take at least 1".to_owned()
    } else {
        return Ok(());
    };
    Err(LiveError::Options { interface: interface.to_owned(), what })
}

fn no_such_interface(interface: &str) -> LiveError {
    let mut present: Vec<String> = fs::read_dir("/sys/class/net")
        .map(|entries| entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect())
        .unwrap_or_default();
    present.sort();
    LiveError::NoSuchInterface { interface: interface.to_owned(), present }
}

fn index_of(name: &CString) -> Option<u32> {
    // SAFETY: a string that ends in a zero byte.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    (index != 0).then_some(index)
}

fn checked(result: c_int) -> io::Result<c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn bind(socket: &OwnedFd, index: u32) -> io::Result<()> {
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
    checked(unsafe { libc::bind(socket.as_raw_fd(), place, size_of::<libc::sockaddr_ll>() as socklen_t) }).map(drop)
}

/// Sets an option of packet sockets.
fn set<T>(socket: &OwnedFd, option: c_int, value: &T) -> io::Result<()> {
    let place: *const c_void = std::ptr::from_ref(value).cast();
    // SAFETY: `value` lives through the call, which reads its bytes and no more.
    checked(unsafe {
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_PACKET, option, place, size_of::<T>() as socklen_t)
    })
    .map(drop)
}

/// Reads an option into `value`, a type for which any bytes will do.
fn ask<T: Copy>(socket: &OwnedFd, level: c_int, option: c_int, value: &mut T) -> io::Result<()> {
    let mut length = size_of::<T>() as socklen_t;
    let place: *mut c_void = std::ptr::from_mut(value).cast();
    // SAFETY: `value` lives through the call, which writes at most `length` bytes of integers.
    checked(unsafe { libc::getsockopt(socket.as_raw_fd(), level, option, place, &raw mut length) }).map(drop)
}

/// What the kernel answers about an interface.
fn asked(socket: &OwnedFd, name: &CString, question: libc::c_ulong) -> io::Result<ifreq> {
    // SAFETY: all zeroes are an empty request.
    let mut request: ifreq = unsafe { mem::zeroed() };
    let bytes = name.as_bytes();
    if bytes.len() >= request.ifr_name.len() {
        return Err(io::Error::from_raw_os_error(libc::ENODEV));
    }
    for (to, &from) in request.ifr_name.iter_mut().zip(bytes) {
        *to = from as libc::c_char;
    }
    // SAFETY: both questions take an `ifreq` and write within it.
    checked(unsafe { libc::ioctl(socket.as_raw_fd(), question as _, &raw mut request) })?;
    Ok(request)
}
