//! The heap of the program: memory that the system refuses ends it in one sentence.

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::Write;

/// The system's heap.
pub struct Heap;

#[global_allocator]
static HEAP: Heap = Heap;

// SAFETY: every call goes to the system's heap as it came, and what that gives is given back.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of this very function.
        given(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        given(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above.
        given(unsafe { System.realloc(place, layout, size) }, size)
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(place, layout) }
    }
}

#[inline]
fn given(place: *mut u8, bytes: usize) -> *mut u8 {
    if place.is_null() {
        refused(bytes);
    }
    place
}

#[cold]
fn refused(bytes: usize) -> ! {
    // Written piece by piece without a buffer, since there is no memory for one.
    let mut stderr = std::io::stderr().lock();
    _ = writeln!(
        stderr,
        "error: the system refuses {bytes} bytes of memory; raise what limits it: ulimit -v, MemoryMax=, or the memory of this machine"
    );
    // SAFETY: ends the process, and runs nothing that could want memory.
    unsafe { libc::_exit(1) }
}
