//! A packet ring: the kernel fills blocks, the reader looks at them in place and gives them back.

use std::ffi::CString;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};
use std::{io, thread};

use super::mapping::{Mapping, page_bytes};
use super::program::Program;
use super::ring_block::{HEADROOM, Taken, Taking};
use super::socket::{self, PacketSocket, Wake};
use super::{Choice, LiveError, RingOptions, RingStatistics};
use crate::Filter;
use kaspector::capture::{Frames, LinkType};

/// The kernel wants a frame size although blocks of this version hold frames of any.
const FRAME_BYTES: u32 = 2048;
/// Largest block: record offsets stay far from their limit.
const MAX_BLOCK_BYTES: u32 = 256 << 20;
/// Wait after a wake-up that brought nothing.
const PAUSE: Duration = Duration::from_millis(1);
/// How late the kernel's clock for blocks may be.
const UNDER_WAY: Duration = Duration::from_millis(20);
/// How long an interface that is there again may refuse to be opened: other rings of its fanout group may still hold the old one.
const PATIENCE: Duration = Duration::from_secs(10);

/// An open interface.
#[derive(Debug)]
pub struct Ring {
    interface: String,
    name: CString,
    options: RingOptions,
    /// `None` while the interface is gone.
    open: Option<Open>,
    taken: Taken,
    next_number: u64,
    is_down: bool,
    /// Since when the interface that was opened is known to be gone.
    gone_since: Option<Instant>,
    /// Since when an interface of that name is there again and cannot be opened.
    refused_since: Option<Instant>,
    statistics: RingStatistics,
}

/// A socket with its ring.
#[derive(Debug)]
struct Open {
    index: u32,
    socket: PacketSocket,
    memory: Mapping,
    current: usize,
    taking: Taking,
    filters: bool,
}

impl Ring {
    /// Opens an interface of the current network namespace. One that is down opens too: see [`Ring::link_is_down`].
    ///
    /// # Errors
    /// When the capability is missing, no interface has the name, or its link type or the options do not fit.
    pub fn open(interface: &str, options: &RingOptions) -> Result<Self, LiveError> {
        check(interface, options)?;
        let name = socket::name_of(interface).ok_or_else(|| LiveError::no_such_interface(interface))?;
        let open = Open::new(interface, &name, options)?;
        let mut ring = Self {
            interface: interface.to_owned(),
            name,
            options: options.clone(),
            open: Some(open),
            taken: Taken::default(),
            next_number: 1,
            is_down: false,
            gone_since: None,
            refused_since: None,
            statistics: RingStatistics::default(),
        };
        ring.is_down = !ring.is_up();
        Ok(ring)
    }

    /// Waits at most `timeout` for the next retired block and shows `read` its frames where they lie; the block goes back to the
    /// kernel when `read` returns. Frames are numbered on from the last. `None`: nothing came.
    ///
    /// An interface that is down is no error: nothing comes from it. One that was removed is opened anew, with the same options and
    /// numbers going on, when there is one of its name again.
    ///
    /// # Errors
    /// When the kernel refuses to wait, or to open for ten seconds what is there again.
    pub fn with_block<T>(
        &mut self,
        timeout: Duration,
        read: impl FnOnce(Frames<'_>) -> T,
    ) -> Result<Option<T>, LiveError> {
        let deadline = Instant::now() + timeout;
        let mut empty_blocks = 0;
        loop {
            if let Some(Open { index, socket, memory, current, taking, .. }) = &mut self.open {
                let blocks = memory.blocks();
                if let Some(mut retired) = memory.retired(*current) {
                    *current = (*current + 1) % blocks;
                    let whole = taking.find_frames(retired.bytes(), &mut self.taken).is_some();
                    let Taken { records, hardware_stamped } = &self.taken;
                    self.statistics.damaged_blocks += u64::from(!whole);
                    self.statistics.hardware_stamped += hardware_stamped;
                    if !records.is_empty() {
                        // Not for sure up: what came right before the end is handed over after it.
                        self.is_down = self.is_down && !is_up(*index, socket, &self.name);
                        let first_number = self.next_number;
                        self.next_number += records.len() as u64;
                        return Ok(Some(read(Frames { first_number, bytes: retired.bytes(), records })));
                    }
                    empty_blocks += 1;
                    // What stands behind them was there before the call.
                    if empty_blocks < blocks {
                        continue;
                    }
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                self.look_after_link()?;
                return Ok(None);
            }
            self.wait(left)?;
        }
    }

    /// Keeps other frames from now on, or more or less of them. Frames in the ring come as they were chosen when they came, and those of a
    /// larger snap length than is asked for now are cut.
    pub fn choose(&mut self, Choice { filter, snaplen }: &Choice) {
        (self.options.filter, self.options.snaplen) = (filter.clone(), *snaplen);
        if let Some(open) = &mut self.open {
            open.choose(&self.options);
        }
    }

    /// What happened since the ring was opened.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn statistics(&mut self) -> Result<RingStatistics, LiveError> {
        if let Some(open) = &self.open {
            // The kernel begins anew at zero after each question.
            let counted = open.socket.statistics().map_err(|cause| self.failed("read its statistics", cause))?;
            // It counts what it dropped among the packets.
            self.statistics.packets += u64::from(counted.tp_packets.saturating_sub(counted.tp_drops));
            self.statistics.drops += u64::from(counted.tp_drops);
            self.statistics.freezes += u64::from(counted.tp_freeze_q_cnt);
        }
        Ok(self.statistics)
    }

    /// Whether the interface was last seen down or gone.
    #[must_use]
    pub fn link_is_down(&self) -> bool {
        self.is_down
    }

    /// Whether the kernel applies the filter of the options. It does not where the expression asks for the length of frames, or the
    /// kernel refuses the program; then all frames come, for [`Filter`] to choose from.
    #[must_use]
    pub fn filters_in_kernel(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.filters)
    }

    /// Sleeps until the kernel says that a block is retired, at most `left`.
    fn wait(&mut self, left: Duration) -> Result<(), LiveError> {
        let until = Instant::now() + left;
        let Some(open) = &self.open else {
            thread::sleep(left);
            return Ok(());
        };
        let trouble = match open.socket.wait(left) {
            Ok(Wake::Nothing) => return Ok(()),
            Ok(Wake::Ready) => {
                if !open.memory.is_retired(open.current) {
                    thread::sleep(PAUSE.min(left));
                }
                return Ok(());
            }
            Ok(Wake::Trouble) => open.socket.take_error().map_err(|cause| self.failed("ask for its state", cause))?,
            Err(cause) => Some(cause),
        };
        match trouble {
            None => thread::sleep(PAUSE.min(left)),
            Some(cause) if cause.raw_os_error() == Some(libc::ENETDOWN) => {
                self.is_down = !self.is_up();
                if self.is_down {
                    thread::sleep(until.saturating_duration_since(Instant::now()));
                }
            }
            Some(cause) => return Err(self.failed("wait for its frames", cause)),
        }
        Ok(())
    }

    /// When nothing comes from an interface that was down: is it up, gone, or there again?
    fn look_after_link(&mut self) -> Result<(), LiveError> {
        if !self.is_down {
            return Ok(());
        }
        let there = socket::index_of(&self.name);
        if self.open.as_ref().is_some_and(|open| there != Some(open.index)) {
            // The kernel hands the last block over by its clock, which may have to come round twice.
            if self.gone_since.get_or_insert_with(Instant::now).elapsed() < 2 * self.options.retire + UNDER_WAY {
                return Ok(());
            }
            // What it counted until now, and the place in its fanout group, so that the group can end.
            self.statistics()?;
            self.open = None;
        }
        self.gone_since = None;
        if self.open.is_none() && there.is_some() {
            match Open::new(&self.interface, &self.name, &self.options) {
                Ok(open) => {
                    self.open = Some(open);
                    self.refused_since = None;
                    self.statistics.reopened += 1;
                }
                Err(LiveError::NoSuchInterface { .. }) => {}
                Err(_) if self.refused_since.get_or_insert_with(Instant::now).elapsed() < PATIENCE => {}
                Err(refused) => return Err(refused),
            }
        }
        self.is_down = !self.is_up();
        Ok(())
    }

    /// Whether the interface that was opened is still there and up.
    fn is_up(&self) -> bool {
        self.open.as_ref().is_some_and(|open| is_up(open.index, &open.socket, &self.name))
    }

    fn failed(&self, doing: &'static str, cause: io::Error) -> LiveError {
        LiveError::System { interface: self.interface.clone(), doing, cause }
    }
}

impl Open {
    fn new(interface: &str, name: &CString, options: &RingOptions) -> Result<Self, LiveError> {
        let failed = |doing| {
            move |cause: io::Error| match cause.raw_os_error() {
                Some(libc::EPERM | libc::EACCES) => LiveError::NotPermitted { interface: interface.to_owned() },
                Some(libc::ENODEV | libc::ENXIO) => LiveError::no_such_interface(interface),
                _ => LiveError::System { interface: interface.to_owned(), doing, cause },
            }
        };
        let index = socket::index_of(name).ok_or_else(|| LiveError::no_such_interface(interface))?;
        let socket = PacketSocket::open().map_err(failed("open a packet socket"))?;
        let hardware = socket::hardware_type(&socket, name).map_err(failed("ask for its hardware type"))?;
        let link_type =
            link_type(hardware).ok_or_else(|| LiveError::LinkType { interface: interface.to_owned(), hardware })?;

        let version = libc::tpacket_versions::TPACKET_V3 as libc::c_int;
        socket.set(libc::PACKET_VERSION, &version).map_err(failed("choose TPACKET_V3"))?;
        socket.set(libc::PACKET_RESERVE, &(HEADROOM as u32)).map_err(failed("reserve room for tags"))?;
        if options.hardware_time {
            // Where the interface has no clock, the kernel's own time comes.
            let source = libc::SOF_TIMESTAMPING_RAW_HARDWARE;
            socket.set(libc::PACKET_TIMESTAMP, &source).map_err(failed("ask for the time of its clock"))?;
        }
        let skip_outgoing = hardware == libc::ARPHRD_LOOPBACK;
        if skip_outgoing {
            // Kernels before 4.20 do not know it; what they deliver is left out later.
            let _ = socket.set(libc::PACKET_IGNORE_OUTGOING, &1_i32);
        }
        let shape = libc::tpacket_req3 {
            tp_block_size: options.block_bytes,
            tp_block_nr: options.blocks,
            tp_frame_size: FRAME_BYTES,
            tp_frame_nr: options.block_bytes / FRAME_BYTES * options.blocks,
            tp_retire_blk_tov: u32::try_from(options.retire.as_millis()).unwrap_or(u32::MAX).max(1),
            tp_sizeof_priv: 0,
            tp_feature_req_word: 0,
        };
        socket.set(libc::PACKET_RX_RING, &shape).map_err(failed("set up its ring"))?;
        let memory = Mapping::new(socket.as_fd(), options.blocks as usize, options.block_bytes as usize)
            .map_err(failed("map its ring"))?;

        let taking = Taking { link_type, snaplen: options.snaplen, skip_outgoing };
        let mut open = Self { index, socket, memory, current: 0, taking, filters: false };
        open.choose(options);
        let socket = &open.socket;
        if options.promiscuous {
            let membership = libc::packet_mreq {
                mr_ifindex: index as libc::c_int,
                mr_type: libc::PACKET_MR_PROMISC as u16,
                mr_alen: 0,
                mr_address: [0; 8],
            };
            socket.set(libc::PACKET_ADD_MEMBERSHIP, &membership).map_err(failed("make it promiscuous"))?;
        }
        socket.bind(index).map_err(failed("bind to it"))?;
        if let Some(group) = options.fanout {
            // Fragments are put together first, else they would be spread apart from their conversation.
            let argument = u32::from(group) | (libc::PACKET_FANOUT_HASH | libc::PACKET_FANOUT_FLAG_DEFRAG) << 16;
            socket.set(libc::PACKET_FANOUT, &argument).map_err(failed("join its fanout group"))?;
        }
        Ok(open)
    }

    /// Has the kernel choose frames as the options say.
    fn choose(&mut self, options: &RingOptions) {
        let mut program = Program::of(options, self.taking.link_type);
        // A program takes the place of the one before it in one step. Where there is none, or the kernel refuses it, all frames come.
        let attached = !program.instructions.is_empty() && self.socket.attach(&mut program.instructions).is_ok();
        if !attached {
            // Fails where nothing was attached.
            let _ = self.socket.detach();
        }
        self.filters = attached && program.filters;
        self.taking.snaplen = options.snaplen;
    }
}

/// Whether the interface with this number is still called so, and up.
fn is_up(index: u32, socket: &PacketSocket, name: &CString) -> bool {
    socket::index_of(name) == Some(index) && socket::flags(socket, name).is_ok_and(|flags| flags & libc::IFF_UP != 0)
}

/// How frames of an `ARPHRD_` type begin; `None` for those that are not read.
pub(super) const fn link_type(hardware: u16) -> Option<LinkType> {
    match hardware {
        libc::ARPHRD_ETHER | libc::ARPHRD_LOOPBACK => Some(LinkType::ETHERNET),
        libc::ARPHRD_NONE | libc::ARPHRD_PPP => Some(LinkType::RAW),
        _ => None,
    }
}

fn check(interface: &str, options: &RingOptions) -> Result<(), LiveError> {
    if let Some(expression) = &options.filter {
        Filter::new(expression)?;
    }
    let page = page_bytes().max(FRAME_BYTES);
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
