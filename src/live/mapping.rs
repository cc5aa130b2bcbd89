//! The memory of a ring, shared with the kernel: blocks that are either the kernel's or ours.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use super::ring_block::BLOCK_STATUS;

/// Bytes of a page, which blocks are made of.
pub(super) fn page_bytes() -> u32 {
    // SAFETY: the call takes no memory.
    u32::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

/// The ring's memory.
#[derive(Debug)]
pub(super) struct Mapping {
    first: NonNull<u8>,
    bytes: usize,
    block_bytes: usize,
}

// SAFETY: the memory belongs to this value alone, wherever it goes; the kernel does not care which thread reads.
unsafe impl Send for Mapping {}

impl Mapping {
    /// Maps the ring of a socket, which was set up with `blocks` blocks of `block_bytes` bytes, whole pages.
    pub(super) fn new(socket: BorrowedFd<'_>, blocks: usize, block_bytes: usize) -> io::Result<Self> {
        let bytes = blocks.checked_mul(block_bytes).ok_or(io::ErrorKind::OutOfMemory)?;
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at an address of the system's choice disturbs nothing that is there.
        let place = unsafe { libc::mmap(std::ptr::null_mut(), bytes, access, libc::MAP_SHARED, socket.as_raw_fd(), 0) };
        if place == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let first = NonNull::new(place.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { first, bytes, block_bytes })
    }

    /// How many blocks it has.
    pub(super) const fn blocks(&self) -> usize {
        self.bytes / self.block_bytes
    }

    /// The word that says whose a block is.
    fn status(&self, block: usize) -> &AtomicU32 {
        let at = block * self.block_bytes + BLOCK_STATUS;
        assert!(at + size_of::<AtomicU32>() <= self.bytes, "a block of this ring");
        // SAFETY: within the mapping as just checked, aligned because blocks are whole pages, and only ever used as an atomic: the
        // slices of `Retired` are gone before it changes.
        unsafe { AtomicU32::from_ptr(self.first.add(at).as_ptr().cast()) }
    }

    /// Whether a block is ours.
    pub(super) fn is_retired(&self, block: usize) -> bool {
        self.status(block).load(Ordering::Acquire) & libc::TP_STATUS_USER != 0
    }

    /// A block that is ours, until the value is dropped; `None` while it is the kernel's.
    pub(super) fn retired(&mut self, block: usize) -> Option<Retired<'_>> {
        self.is_retired(block).then_some(Retired { memory: self, block })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by `new` with this length; no slice of it outlives a borrow.
        let _ = unsafe { libc::munmap(self.first.as_ptr().cast(), self.bytes) };
    }
}

/// A block that the kernel has handed over. It goes back when this is dropped.
pub(super) struct Retired<'m> {
    memory: &'m mut Mapping,
    block: usize,
}

impl Retired<'_> {
    /// The whole block.
    pub(super) fn bytes(&mut self) -> &mut [u8] {
        let Mapping { first, block_bytes, .. } = *self.memory;
        // SAFETY: `Mapping::retired` checked that the block lies in the mapping, which is whole blocks. The kernel writes nothing into
        // a retired block until its status changes in `drop`, and the mapping is borrowed mutably, so there is no other slice.
        unsafe { std::slice::from_raw_parts_mut(first.add(self.block * block_bytes).as_ptr(), block_bytes) }
    }
}

impl Drop for Retired<'_> {
    fn drop(&mut self) {
        self.memory.status(self.block).store(libc::TP_STATUS_KERNEL, Ordering::Release);
    }
}
