//! Memory for large tables, straight from the system: nothing is touched before it is used, and huge pages stand behind it where the
//! system gives them. With 4 KiB pages nearly every flow of a large table costs a walk through page tables besides its own miss.

#![allow(unsafe_code)]

use memmap2::{MmapMut, MmapOptions};
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// What stands behind [`Pages`], where the system has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageSize {
    /// For memory that is gone through in order, or little of which is used.
    Small,
    /// For memory that is touched at random. The first use of each takes 2 MiB.
    Huge,
    /// For memory that is touched at random once there is much of it: the first 2 MiB are small pages.
    HugeLater,
}

/// The system has no memory for a table. A thread that wants one unwinds with this.
#[derive(Debug, thiserror::Error)]
#[error(
    "the system refuses {bytes} bytes for a table of flows: {cause}; \
     raise what limits it: ulimit -v, MemoryMax=, or the memory of this machine"
)]
pub struct NoMemory {
    /// Bytes wanted.
    pub bytes: usize,
    /// What the system says.
    pub cause: std::io::Error,
}

/// A vector of fixed capacity whose first item lies at the start of a huge page.
#[derive(Debug)]
pub struct Pages<T> {
    /// Lives as long as the items in it, and is reached through `first` alone.
    _mapping: MmapMut,
    first: NonNull<T>,
    len: usize,
    capacity: usize,
}

// SAFETY: the items are owned as a vector's are; nothing else points to them.
unsafe impl<T: Send> Send for Pages<T> {}
// SAFETY: a shared reference gives out shared references to items, nothing more.
unsafe impl<T: Sync> Sync for Pages<T> {}

impl<T> Pages<T> {
    /// Room for `capacity` items, none of which is there yet.
    ///
    /// # Panics
    /// With [`NoMemory`] when the system has no such room.
    #[must_use]
    pub fn with_capacity(capacity: usize, pages: PageSize) -> Self {
        const { assert!(HUGE_PAGE.is_multiple_of(align_of::<T>())) };
        let size = capacity.checked_mul(size_of::<T>()).expect("a table fits the address space").max(1);
        let mapped = size.next_multiple_of(PAGE) + HUGE_PAGE;
        let mut mapping = MmapOptions::new().len(mapped).no_reserve_swap().map_anon().unwrap_or_else(|cause| {
            // No hook is told, since this is no defect.
            std::panic::resume_unwind(Box::new(NoMemory { bytes: mapped, cause }))
        });
        let start = NonNull::new(mapping.as_mut_ptr()).expect("never at zero");
        let skipped = start.addr().get().next_multiple_of(HUGE_PAGE) - start.addr().get();
        // SAFETY: less than a huge page is skipped, and the mapping is longer than that by `size`.
        let first = unsafe { start.byte_add(skipped) };
        let small = match pages {
            PageSize::Small => size,
            PageSize::Huge => 0,
            PageSize::HugeLater => HUGE_PAGE,
        };
        if small < size {
            advise_huge_pages(&mapping, skipped + small, (size - small).next_multiple_of(PAGE));
        }
        Self { _mapping: mapping, first: first.cast(), len: 0, capacity }
    }

    /// Appends an item and returns its index.
    ///
    /// # Panics
    /// When there is no room left: a bug of the caller.
    pub fn push(&mut self, item: T) -> usize {
        assert!(self.len < self.capacity, "a tier gives up a flow before it takes one more");
        // SAFETY: the place lies inside the mapping, which was sized for `capacity` items, and holds no item yet.
        unsafe { self.first.add(self.len).write(item) };
        self.len += 1;
        self.len - 1
    }

    /// Drops all items. The memory stays.
    pub fn clear(&mut self) {
        let items: *mut [T] = &raw mut **self;
        // Before anything is dropped, so that a panic among the drops leaves no item twice.
        self.len = 0;
        // SAFETY: these were the items, and nobody reaches them any more.
        unsafe { items.drop_in_place() };
    }
}

/// What may be all of zero bytes.
///
/// # Safety
/// Zero bytes must be a value of the type.
pub unsafe trait Zeroable {}

impl<T: Zeroable> Pages<T> {
    /// `count` items, all of zero bytes; memory comes as they are used.
    #[must_use]
    pub fn zeroed(count: usize, pages: PageSize) -> Self {
        let mut pages = Self::with_capacity(count, pages);
        // Fresh pages of the system are zero, and zero is a value of `T`.
        pages.len = count;
        pages
    }
}

impl<T> Deref for Pages<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: the first `len` items are there, in a mapping that lives as long as `self`.
        unsafe { std::slice::from_raw_parts(self.first.as_ptr(), self.len) }
    }
}

impl<T> DerefMut for Pages<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as above, and `self` is borrowed alone.
        unsafe { std::slice::from_raw_parts_mut(self.first.as_ptr(), self.len) }
    }
}

impl<T> Drop for Pages<T> {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Asks for huge pages behind part of the mapping. A system without them refuses, and loses nothing.
fn advise_huge_pages(mapping: &MmapMut, start: usize, length: usize) {
    #[cfg(target_os = "linux")]
    let _ = mapping.advise_range(memmap2::Advice::HugePage, start, length);
    #[cfg(not(target_os = "linux"))]
    let _ = (mapping, start, length);
}

const PAGE: usize = 16 << 10;
const HUGE_PAGE: usize = 2 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use std::rc::Rc;

    // SAFETY: zero is a number.
    unsafe impl Zeroable for u32 {}

    #[test]
    fn items_are_where_they_were_put() {
        let mut pages = Pages::with_capacity(100_000, PageSize::Huge);
        for number in 0..100_000_u64 {
            assert_eq!(pages.push([number; 3]), pages.len() - 1);
        }
        assert_eq!(pages.as_ptr().addr() % HUGE_PAGE, 0);
        assert!(pages.iter().zip(0..).all(|(item, number)| *item == [number; 3]));
        if let Some(last) = pages.last_mut() {
            last[0] = 7;
        }
        assert_eq!(pages.last(), Some(&[7, 99_999, 99_999]));
        pages.clear();
        assert!(pages.is_empty());
        pages.push([1; 3]);
        assert_eq!(&*pages, [[1; 3]]);
    }

    #[test]
    fn zeroed_items_are_zero() {
        let mut pages = Pages::<u32>::zeroed(1 << 20, PageSize::Huge);
        assert!(pages.iter().all(|&item| item == 0));
        pages.fill(9);
        assert!(pages.iter().all(|&item| item == 9));
        assert!(Pages::<u32>::zeroed(0, PageSize::Huge).is_empty());
    }

    #[test]
    fn each_item_is_dropped_once() {
        let item = Rc::new(());
        let mut pages = Pages::with_capacity(8, PageSize::Small);
        for _ in 0..5 {
            pages.push(Rc::clone(&item));
        }
        pages.clear();
        assert_eq!(Rc::strong_count(&item), 1);
        pages.push(Rc::clone(&item));
        drop(pages);
        assert_eq!(Rc::strong_count(&item), 1);
    }

    #[test]
    #[should_panic(expected = "gives up a flow")]
    fn there_is_no_room_beyond_the_capacity() {
        let mut pages = Pages::with_capacity(1, PageSize::Small);
        pages.push(1);
        pages.push(2);
    }
}
