//! Has frames arrive at an interface without anybody sending them: a program for XDP is run again and again on frames of its own, and the
//! kernel takes each for one that the interface received (`BPF_F_TEST_XDP_LIVE_FRAMES` of bpf(2), Linux 5.18). Several times as many
//! arrive as one core can send. They are of 131,072 flows, drawn at random: 65,536 clients with two ports each.

#![allow(unsafe_code)]

use libc::{c_long, c_void};
use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// Length of each frame, in bytes.
pub const FRAME_BYTES: usize = 60;

const BPF_PROG_LOAD: u32 = 5;
const BPF_PROG_TEST_RUN: u32 = 10;
const BPF_PROG_TYPE_XDP: u32 = 6;
const BPF_F_TEST_XDP_LIVE_FRAMES: u32 = 1 << 1;
/// Frames that the kernel makes at a time.
const BATCH: u32 = 64;

// Places in the frame.
const IP_ID: i16 = 18;
const CLIENT: i16 = 28;
const PORT: i16 = 35;
const SEQUENCE: i16 = 40;
const WINDOW: i16 = 49;
const HEADERS: i32 = 54;

/// One instruction: operation, registers (the source in the upper half), offset, constant (`struct bpf_insn`).
#[repr(C)]
#[derive(Clone, Copy)]
struct Instruction(u8, u8, i16, i32);

/// Looks at the clock at most so often while it waits.
const LOOKS_MAX: i32 = 4096;

/// Draws a client and a port, and writes the complement of each elsewhere under the same checksums, which so stay right; then waits for
/// `pause_ns`.
const fn program(pause_ns: i32) -> [Instruction; 31] {
    [
        Instruction(0xbf, 0x16, 0, 0),         // r6 = context
        Instruction(0x85, 0, 0, 5),            // r0 = ktime_get_ns()
        Instruction(0xbf, 0x07, 0, 0),         // r7 = r0
        Instruction(0x85, 0, 0, 7),            // r0 = get_prandom_u32()
        Instruction(0x61, 0x62, 0, 0),         // r2 = data
        Instruction(0x61, 0x63, 4, 0),         // r3 = data_end
        Instruction(0xbf, 0x24, 0, 0),         // r4 = r2
        Instruction(0x07, 0x04, 0, HEADERS),   // r4 += headers
        Instruction(0x2d, 0x34, 20, 0),        // if r4 > r3, to the last two
        Instruction(0xbf, 0x05, 0, 0),         // r5 = r0
        Instruction(0x6b, 0x52, CLIENT, 0),    // 16 bits of the client's address
        Instruction(0xa7, 0x05, 0, -1),        // r5 = !r5
        Instruction(0x6b, 0x52, IP_ID, 0),     // their complement for the checksum of IP
        Instruction(0x6b, 0x52, SEQUENCE, 0),  // and for that of TCP
        Instruction(0x77, 0x00, 0, 16),        // r0 >>= 16
        Instruction(0x57, 0x00, 0, 1),         // r0 &= 1
        Instruction(0xbf, 0x05, 0, 0),         // r5 = r0
        Instruction(0x47, 0x05, 0, 0x40),      // r5 |= 0x40
        Instruction(0x73, 0x52, PORT, 0),      // the lower byte of the client's port
        Instruction(0xa7, 0x05, 0, -1),        // r5 = !r5
        Instruction(0x73, 0x52, WINDOW, 0),    // its complement
        Instruction(0xb7, 0x08, 0, 0),         // r8 = 0
        Instruction(0x07, 0x08, 0, 1),         // r8 += 1
        Instruction(0x25, 0x08, 5, LOOKS_MAX), // if r8 > looks, to the last two
        Instruction(0x85, 0, 0, 5),            // r0 = ktime_get_ns()
        Instruction(0x1f, 0x70, 0, 0),         // r0 -= r7
        Instruction(0xb7, 0x01, 0, pause_ns),  // r1 = pause
        Instruction(0x2d, 0x10, 1, 0),         // if r0 > r1, to the last two
        Instruction(0x05, 0, -7, 0),           // look again
        Instruction(0xb7, 0, 0, 2),            // r0 = XDP_PASS
        Instruction(0x95, 0, 0, 0),            // return r0
    ]
}

/// The members of `union bpf_attr` for `BPF_PROG_LOAD`, as far as they are needed.
#[repr(C)]
struct Load {
    kind: u32,
    instruction_count: u32,
    instructions: *const Instruction,
    license: *const libc::c_char,
    rest: [u64; 12],
}

/// The same for `BPF_PROG_TEST_RUN`.
#[repr(C)]
struct Run {
    program: u32,
    returned: u32,
    data_size: u32,
    data_out_size: u32,
    data: *const u8,
    data_out: *const u8,
    repeat: u32,
    duration: u32,
    context_size: u32,
    context_out_size: u32,
    context: *const Context,
    context_out: *const Context,
    flags: u32,
    cpu: u32,
    batch: u32,
    padding: u32,
}

/// `struct xdp_md`.
#[repr(C)]
struct Context {
    data: u32,
    data_end: u32,
    data_meta: u32,
    ingress_interface: u32,
    receive_queue: u32,
    egress_interface: u32,
}

/// An interface of the current network namespace at which frames arrive.
pub struct Arrivals {
    program: OwnedFd,
    interface: u32,
    frame: [u8; FRAME_BYTES],
}

impl Arrivals {
    /// `frame` is Ethernet, IPv4 and TCP without options: an acknowledgement from port 40,000.
    ///
    /// # Errors
    /// What the system says: only root may do this.
    pub fn at(interface: &str, mut frame: [u8; FRAME_BYTES], checksum: impl Fn(&mut [u8])) -> io::Result<Self> {
        for (place, byte) in [(IP_ID, 0xff), (IP_ID + 1, 0xff), (CLIENT, 0), (CLIENT + 1, 0), (PORT, 0x40)] {
            set(&mut frame, place, byte);
        }
        for (place, byte) in [(SEQUENCE, 0xff), (SEQUENCE + 1, 0xff), (WINDOW, !0x40)] {
            set(&mut frame, place, byte);
        }
        checksum(&mut frame);
        let name = CString::new(interface)?;
        // SAFETY: a string that ends in a zero byte.
        let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
        if index == 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { program: load(0)?, interface: index, frame })
    }

    /// Has each frame wait for so many nanoseconds before it arrives, besides what its way takes; at most some 80 microseconds.
    ///
    /// # Errors
    /// As [`Self::at`].
    pub fn pause(&mut self, nanoseconds: u32) -> io::Result<()> {
        self.program = load(i32::try_from(nanoseconds).unwrap_or(i32::MAX))?;
        Ok(())
    }

    /// Has so many frames arrive, as fast as they go; returns once they have.
    ///
    /// # Errors
    /// `EINVAL` where the interface has no place for XDP: a veth wants `ethtool -K INTERFACE gro on` for that.
    pub fn arrive(&self, count: u32) -> io::Result<()> {
        let context = Context {
            data: 0,
            data_end: FRAME_BYTES as u32,
            data_meta: 0,
            ingress_interface: self.interface,
            receive_queue: 0,
            egress_interface: 0,
        };
        let run = Run {
            program: self.program.as_raw_fd() as u32,
            returned: 0,
            data_size: FRAME_BYTES as u32,
            data_out_size: 0,
            data: self.frame.as_ptr(),
            data_out: std::ptr::null(),
            repeat: count,
            duration: 0,
            context_size: size_of::<Context>() as u32,
            context_out_size: 0,
            context: &raw const context,
            context_out: std::ptr::null(),
            flags: BPF_F_TEST_XDP_LIVE_FRAMES,
            cpu: 0,
            batch: BATCH,
            padding: 0,
        };
        bpf(BPF_PROG_TEST_RUN, &run).map(drop)
    }
}

fn load(pause_ns: i32) -> io::Result<OwnedFd> {
    let instructions = program(pause_ns);
    let load = Load {
        kind: BPF_PROG_TYPE_XDP,
        instruction_count: instructions.len() as u32,
        instructions: instructions.as_ptr(),
        license: c"Dual MIT/GPL".as_ptr(),
        rest: [0; 12],
    };
    let program = bpf(BPF_PROG_LOAD, &load)?;
    // SAFETY: the kernel has just given this descriptor out, and nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(program as i32) })
}

fn set(frame: &mut [u8], place: i16, byte: u8) {
    if let Some(at) = usize::try_from(place).ok().and_then(|place| frame.get_mut(place)) {
        *at = byte;
    }
}

fn bpf<T>(command: u32, attributes: &T) -> io::Result<c_long> {
    // SAFETY: the attributes of the command, of this size, whose pointers are good until it returns; the kernel writes at most into them.
    let done = unsafe {
        libc::syscall(libc::SYS_bpf, command, std::ptr::from_ref(attributes).cast::<c_void>(), size_of::<T>())
    };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(done) }
}
