//! Records of a file whose order is not that of its bytes, one behind the other.

use super::netmon::Netmon;
use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Most bytes of a stream that are held, because its order is known only at its end.
pub const MAX_HELD_BYTES: u64 = 256 << 20;

/// Bytes fetched at once.
const WINDOW: usize = 64 << 10;

/// Where the bytes are.
pub(super) enum Place {
    File(Arc<File>),
    Memory(Vec<u8>),
}

impl Place {
    pub(super) fn len(&self) -> io::Result<u64> {
        match self {
            Self::File(file) => Ok(file.metadata()?.len()),
            Self::Memory(bytes) => Ok(bytes.len() as u64),
        }
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        match self {
            Self::File(file) => super::read_chunk::read_at(file, into, offset),
            Self::Memory(bytes) => {
                let rest = usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..)).unwrap_or_default();
                let count = rest.len().min(into.len());
                if let (Some(into), Some(rest)) = (into.get_mut(..count), rest.get(..count)) {
                    into.copy_from_slice(rest);
                }
                Ok(count)
            }
        }
    }

    /// Reads all of `into`, or less where the bytes end.
    fn fill_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut done = 0;
        while let Some(room) = into.get_mut(done..).filter(|room| !room.is_empty()) {
            match self.read_at(room, offset.saturating_add(done as u64)) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }
}

/// What comes next.
enum Order {
    /// Parts of the file, the next one last.
    Parts(Vec<(u64, u64)>),
    /// As Network Monitor's table says, of which so many entries are left from here on.
    Table { netmon: Netmon, at: u64, left: u32, budget: u64 },
    /// Network Monitor's frames as they lie, up to here, and what is to be said at the end.
    AsTheyLie { netmon: Netmon, at: u64, end: u64, trouble: Option<io::Error> },
}

/// Gives the records one behind the other.
pub(super) struct Gathered {
    place: Place,
    order: Order,
    /// The piece at hand: where it goes on, and bytes left.
    piece: (u64, u64),
    /// Bytes of the file from this place on.
    window: (u64, Vec<u8>),
    position: Arc<AtomicU64>,
}

impl Gathered {
    /// The parts of a file, in this order.
    pub(super) fn of_parts(place: Place, parts: [(u64, u64); 2], position: &Arc<AtomicU64>) -> Self {
        let order = Order::Parts(parts.into_iter().rev().collect());
        Self { place, order, piece: (0, 0), window: (0, Vec::new()), position: Arc::clone(position) }
    }

    /// The frames of a Network Monitor file. Where the table is missing, because the file was cut, they come as they lie; `trouble` is why
    /// there are no more bytes.
    pub(super) fn of_netmon(
        place: Place,
        netmon: &Netmon,
        trouble: Option<io::Error>,
        position: &Arc<AtomicU64>,
    ) -> io::Result<Self> {
        let len = place.len()?;
        let (table, bytes) = netmon.table();
        let netmon = netmon.clone();
        let end = u64::from(table) + u64::from(bytes);
        let order = if end <= len && trouble.is_none() {
            // Frames do not overlap, so that all together are no longer than the file.
            Order::Table { netmon, at: table.into(), left: bytes / 4, budget: len }
        } else {
            let what =
                format!("the file ends before byte {end}, where its table of frames does; they were read as they lie");
            let trouble = trouble.unwrap_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, what));
            Order::AsTheyLie {
                netmon,
                at: Netmon::HEADER_BYTES as u64,
                end: len.min(table.into()),
                trouble: Some(trouble),
            }
        };
        Ok(Self { place, order, piece: (0, 0), window: (0, Vec::new()), position: Arc::clone(position) })
    }

    /// Goes to the next piece; false when there is none.
    fn advance(&mut self) -> io::Result<bool> {
        let mut header = [0; 16];
        match &mut self.order {
            Order::Parts(parts) => {
                let Some((start, end)) = parts.pop() else { return Ok(false) };
                self.piece = (start, end.min(self.place.len()?).saturating_sub(start));
            }
            Order::Table { netmon, at, left, budget } => {
                let Some(rest) = left.checked_sub(1) else { return Ok(false) };
                let mut entry = [0; 4];
                read_window(&self.place, &mut self.window, &mut entry, *at, &self.position)?;
                let start = u64::from(u32::from_le_bytes(entry));
                let header = header.get_mut(..netmon.record_header()).unwrap_or_default();
                let count = self.place.fill_at(header, start)?;
                let whole = netmon.record_bytes(header).unwrap_or_default() as u64;
                let Some(after) = budget.checked_sub(whole).filter(|_| count == header.len()) else {
                    let what =
                        format!("the table of frames names byte {start}, where no frame can be; it may be overwritten");
                    return Err(io::Error::new(io::ErrorKind::InvalidData, what));
                };
                (*left, *at, *budget) = (rest, *at + 4, after);
                self.piece = (start, whole);
            }
            Order::AsTheyLie { netmon, at, end, trouble } => {
                if *at >= *end {
                    return trouble.take().map_or(Ok(false), Err);
                }
                let header = header.get_mut(..netmon.record_header()).unwrap_or_default();
                let count = self.place.fill_at(header, *at)?;
                let whole = if count < header.len() {
                    count as u64
                } else {
                    netmon.record_bytes(header).unwrap_or_default() as u64
                };
                self.piece = (*at, whole.min(*end - *at).max(1));
                *at = at.saturating_add(whole.max(1));
            }
        }
        Ok(true)
    }
}

/// Bytes from `offset` on, by way of the window: as many as come, all of them where the file has them.
fn read_window(
    place: &Place,
    (start, window): &mut (u64, Vec<u8>),
    into: &mut [u8],
    offset: u64,
    position: &AtomicU64,
) -> io::Result<usize> {
    let within =
        |start: u64, window: &[u8]| usize::try_from(offset.checked_sub(start)?).ok().filter(|at| *at < window.len());
    if within(*start, window).is_none() {
        window.resize(WINDOW, 0);
        let count = place.fill_at(window, offset)?;
        window.truncate(count);
        *start = offset;
        // Relaxed: a progress bar wants a recent value, not an order.
        position.fetch_add(count as u64, Ordering::Relaxed);
    }
    let rest = within(*start, window).and_then(|at| window.get(at..)).unwrap_or_default();
    let count = rest.len().min(into.len());
    if let (Some(into), Some(rest)) = (into.get_mut(..count), rest.get(..count)) {
        into.copy_from_slice(rest);
    }
    Ok(count)
}

impl Read for Gathered {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let (offset, left) = self.piece;
            if left == 0 {
                if !self.advance()? {
                    return Ok(0);
                }
                continue;
            }
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(into.len());
            let room = into.get_mut(..most).unwrap_or_default();
            let count = read_window(&self.place, &mut self.window, room, offset, &self.position)?;
            self.piece = (offset + count as u64, left - count as u64);
            if count == 0 && most > 0 {
                // The file ends within the piece.
                self.piece.1 = 0;
                if matches!(self.order, Order::Table { .. }) {
                    let what = format!("the file ends within a frame that its table names at byte {offset}");
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, what));
                }
                continue;
            }
            return Ok(count);
        }
    }
}
