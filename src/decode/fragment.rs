//! IP fragments, put together: any order, duplicates, overlaps, all within bounds.

mod partial;

use self::partial::{Covered, Partial};
use super::carried::Carried;
use super::{Context, Outcome, Zone};
use crate::capture::Timestamp;
use foldhash::fast::FixedState;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::IpAddr;

/// Datagrams that wait for fragments at once. Then an eighth is dropped: each time the oldest of the source that has most, so that one
/// source that never sends the rest pushes out its own.
pub const DATAGRAMS_MAX: usize = 4096;
/// Bytes that all waiting datagrams may hold.
pub const BYTES_MAX: usize = 16 << 20;
/// How long a datagram waits, in nanoseconds of capture time (RFC 8200 section 4.5 says 60 s for the receiver; hosts use 30).
pub const WAIT_NS: u64 = 30_000_000_000;
/// Separate runs of one datagram; tiny fragments in every other place are an attack.
pub const RUNS_MAX: usize = 256;
/// Largest datagram behind an IP header.
const DATAGRAM_MAX: u32 = 65_535;

/// What makes fragments belong together: RFC 791 section 3.2; with IPv6 the protocol is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FragmentKey {
    /// Source address.
    pub src: IpAddr,
    /// Destination address.
    pub dst: IpAddr,
    /// Identification.
    pub id: u32,
    /// Protocol, for IPv4.
    pub protocol: u8,
    /// Tenant.
    pub zone: Zone,
}

/// One fragment.
#[derive(Clone, Copy, Debug)]
pub struct Fragment<'a> {
    /// Which datagram it is a part of.
    pub key: FragmentKey,
    /// Where in it, in bytes.
    pub offset: u32,
    /// Whether more follow.
    pub more: bool,
    carried: Carried<'a>,
    context: Context,
}

impl<'a> Fragment<'a> {
    pub(super) const fn new(key: FragmentKey, offset: u32, more: bool, carried: Carried<'a>, context: Context) -> Self {
        Self { key, offset, more, carried, context }
    }
}

/// What a whole datagram carries, and what was known before it.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'p> {
    pub(super) bytes: &'p [u8],
    pub(super) whole: Whole,
}

impl<'p> Datagram<'p> {
    pub(super) const fn carried(&self) -> Carried<'p> {
        let Whole { protocol, src, dst, promised, .. } = self.whole;
        Carried { protocol, src, dst, bytes: self.bytes, promised }
    }
}

/// A datagram that is complete, apart from its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Whole {
    protocol: u8,
    src: IpAddr,
    dst: IpAddr,
    promised: u32,
    pub(super) context: Context,
}

/// Datagrams that wait for the rest of their fragments.
#[derive(Debug, Default)]
pub struct FragmentPool {
    waiting: HashMap<FragmentKey, Partial, FixedState>,
    order: VecDeque<(u64, FragmentKey)>,
    spare: Vec<Vec<u8>>,
    held: usize,
    serial: u64,
    overlapping: u64,
    expired: u64,
    dropped: u64,
}

impl FragmentPool {
    /// Takes a fragment. When it completes its datagram, `bytes` is what that carries.
    ///
    /// # Errors
    /// The fragment's outcome when it completes nothing.
    pub fn accept(&mut self, fragment: &Fragment<'_>, bytes: &mut Vec<u8>) -> Result<Whole, Outcome> {
        let &Fragment { key, offset, more, carried, context } = fragment;
        let end = offset
            .checked_add(carried.promised)
            .filter(|&end| end <= DATAGRAM_MAX)
            .ok_or(Outcome::FragmentMalformed)?;
        if carried.promised == 0 || more && !carried.promised.is_multiple_of(8) {
            return Err(Outcome::FragmentMalformed);
        }
        self.expire(context.at);
        let partial = match self.waiting.get_mut(&key) {
            Some(partial) => partial,
            None => {
                if self.waiting.len() >= DATAGRAMS_MAX {
                    self.evict(DATAGRAMS_MAX / 8 * 7, BYTES_MAX);
                }
                self.serial += 1;
                // Places of datagrams that are complete stay behind one that waits; there must be an end to them, too.
                if self.order.len() >= 2 * DATAGRAMS_MAX {
                    let waiting = &self.waiting;
                    self.order
                        .retain(|(serial, key)| waiting.get(key).is_some_and(|partial| partial.serial == *serial));
                }
                self.order.push_back((self.serial, key));
                let bytes = self.spare.pop().unwrap_or_default();
                self.waiting.entry(key).or_insert(Partial {
                    serial: self.serial,
                    since: context.at,
                    head: None,
                    length: None,
                    runs: Vec::new(),
                    missing: DATAGRAM_MAX,
                    bytes,
                })
            }
        };
        if partial.length.is_some_and(|length| end > length || !more && end != length) {
            return Err(Outcome::FragmentMalformed);
        }
        if !more {
            if partial.runs.last().is_some_and(|&(_, covered)| covered > end) {
                return Err(Outcome::FragmentMalformed);
            }
            partial.length = Some(end);
        }
        if offset == 0 && partial.head.is_none() {
            partial.head = Some((carried.protocol, context));
        }
        let before = partial.bytes.len();
        let added = partial.cover(offset, end, carried.bytes);
        self.held += partial.bytes.len() - before;
        let outcome = match added {
            Covered::Nothing => Err(Outcome::FragmentDuplicate),
            Covered::TooManyRuns => Err(Outcome::FragmentOverBound),
            Covered::Some { overlapping } => {
                self.overlapping += u64::from(overlapping);
                Ok(())
            }
        };
        if outcome == Err(Outcome::FragmentOverBound) {
            self.dropped += 1;
            self.remove(&key);
        }
        outcome?;
        let partial = self.waiting.get(&key).ok_or(Outcome::FragmentHeld)?;
        let (Some(length), Some((protocol, head)), [(0, covered)]) =
            (partial.length, partial.head, partial.runs.as_slice())
        else {
            if self.held > BYTES_MAX {
                self.evict(DATAGRAMS_MAX, BYTES_MAX / 8 * 7);
            }
            return Err(Outcome::FragmentHeld);
        };
        if *covered != length {
            return Err(Outcome::FragmentHeld);
        }
        let known = usize::try_from(partial.missing.min(length)).unwrap_or(0);
        bytes.clear();
        bytes.extend_from_slice(partial.bytes.get(..known).unwrap_or(&partial.bytes));
        self.remove(&key);
        // The datagram is as late as its last fragment, and cut if any of them was.
        let missing = length - u32::try_from(known).unwrap_or(length);
        let context = Context { at: context.at, cut: missing > 0, missing, ..head };
        Ok(Whole { protocol, src: key.src, dst: key.dst, promised: length, context })
    }

    /// What was dropped at a bound, under the bound's name.
    pub fn add_dropped(&self, total: &mut BTreeMap<&'static str, u64>) {
        let incomplete = self.expired + self.waiting.len() as u64;
        for (name, count) in [
            ("fragmented_datagrams", self.dropped),
            ("incomplete_datagrams", incomplete),
            ("overlapping_fragments", self.overlapping),
        ] {
            if count > 0 {
                *total.entry(name).or_default() += count;
            }
        }
    }

    fn expire(&mut self, now: Timestamp) {
        while let Some(&(serial, key)) = self.order.front() {
            match self.waiting.get(&key) {
                Some(partial) if partial.serial == serial => {
                    if now.since(partial.since) <= WAIT_NS {
                        return;
                    }
                    self.expired += 1;
                    self.remove(&key);
                }
                // Complete since long; only its place in the queue is left.
                _ => {}
            }
            self.order.pop_front();
        }
    }

    /// Drops datagrams until so many, and so many bytes, are left. One by one, each would cost a look at all others.
    fn evict(&mut self, datagrams: usize, bytes: usize) {
        let mut waiting: Vec<_> = self.waiting.iter().map(|(key, partial)| (partial.serial, *key)).collect();
        waiting.sort_unstable_by_key(|&(serial, _)| Reverse(serial));
        let mut of_source: HashMap<_, u32, FixedState> = HashMap::default();
        let mut ranked: Vec<_> = waiting
            .into_iter()
            .map(|(serial, key)| {
                let younger = of_source.entry((key.zone, network(key.src))).or_default();
                *younger += 1;
                (Reverse(*younger), serial, key)
            })
            .collect();
        ranked.sort_unstable_by_key(|&(younger, serial, _)| (younger, serial));
        for (.., key) in ranked {
            if self.waiting.len() <= datagrams && self.held <= bytes {
                break;
            }
            self.dropped += 1;
            self.remove(&key);
        }
    }

    fn remove(&mut self, key: &FragmentKey) {
        let Some(mut partial) = self.waiting.remove(key) else { return };
        self.held -= partial.bytes.len();
        partial.bytes.clear();
        if self.spare.len() < 64 {
            self.spare.push(partial.bytes);
        }
    }
}

/// What stands for one source: of IPv6 the network, in which a host makes up addresses as it likes (RFC 8981).
const fn network(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits() >> 64 << 64,
    }
}

#[cfg(test)]
mod tests;
