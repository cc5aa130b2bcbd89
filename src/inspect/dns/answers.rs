//! The records of an answer, and which of them the question leads to.

use super::name_table::{NameId, NameTable};
use super::{Header, ResolvedAddress};
use crate::inspect::{DomainName, Reader};
use std::net::IpAddr;

/// Records of one message that are looked at.
const RECORDS_MAX: usize = 256;
/// Names of one message that are kept.
const NAMES_MAX: usize = 64;
/// Addresses of one message that are kept.
const ADDRESSES_MAX: usize = 128;
/// Addresses of one message that are compared with the names reached: hints take four bytes each, so that a message could hold
/// thousands of them.
const COLLECTED_MAX: usize = 512;

const A: u16 = 1;
const CNAME: u16 = 5;
const AAAA: u16 = 28;
const SVCB: u16 = 64;
const HTTPS: u16 = 65;
/// Keys of SVCB parameters (RFC 9460 section 14.3.2).
const IPV4_HINT: u16 = 4;
const IPV6_HINT: u16 = 6;

/// Records of the message at hand.
#[derive(Clone, Debug, Default)]
pub(super) struct Answers {
    names: NameTable,
    /// `from` is answered by `to`: CNAME, SVCB.
    aliases: Vec<Alias>,
    addresses: Vec<Address>,
    /// Names that the question leads to, each with the time to live of the way to it.
    connection_outcome: Vec<(NameId, u32)>,
    /// Whether something was left out for want of room.
    cut: bool,
}

#[derive(Clone, Copy, Debug)]
struct Alias {
    from: NameId,
    to: NameId,
    ttl_s: u32,
}

#[derive(Clone, Copy, Debug)]
struct Address {
    owner: NameId,
    address: IpAddr,
    ttl_s: u32,
    /// Of the answer section itself, rather than an address volunteered beside it.
    answer: bool,
}

impl Answers {
    /// Forgets the last message.
    pub(super) fn begin(&mut self) {
        self.names.clear();
        self.aliases.clear();
        self.addresses.clear();
        self.cut = false;
    }

    /// Notes a name that is asked for, and where it stands in the message.
    pub(super) fn ask(&mut self, name: &DomainName, at: usize) {
        self.names.ask(name, at);
    }

    /// Collects the records from `at` on; stops where the bytes do. The questions are those of the same message.
    pub(super) fn read(&mut self, message: &[u8], at: usize, header: &Header) {
        let answers = usize::from(header.answers);
        let authorities = usize::from(header.authorities);
        let additional = usize::from(header.additional);
        let mut at = at;
        let records = answers + authorities + additional;
        for number in 0..records.min(RECORDS_MAX) {
            let Some(next) = self.record(message, at, number < answers) else { return };
            at = next;
        }
        // What is promised is a claim; only bytes that are there were left out.
        self.cut |= records > RECORDS_MAX && at < message.len();
    }

    /// Walks from the questions along the aliases, whatever order they came in. Says whether there was room for all.
    pub(super) fn follow(&mut self, names: &mut Vec<DomainName>, addresses: &mut Vec<ResolvedAddress>) -> bool {
        self.connection_outcome.clear();
        let questions = self.names.questions();
        self.connection_outcome.extend(questions.iter().map(|&question| (question, u32::MAX)));
        // Each name enters once and their number is bounded, so a loop of aliases ends.
        let mut done = 0;
        while let Some(&(name, ttl_s)) = self.connection_outcome.get(done) {
            done += 1;
            for alias in self.aliases.iter().filter(|alias| alias.from == name) {
                let known =
                    self.connection_outcome.iter().any(|(connection_outcome, _)| *connection_outcome == alias.to);
                if !known && self.connection_outcome.len() < questions.len() + NAMES_MAX {
                    self.connection_outcome.push((alias.to, ttl_s.min(alias.ttl_s)));
                } else {
                    self.cut |= !known;
                }
            }
        }
        names
            .extend(self.connection_outcome.iter().skip(questions.len()).filter_map(|&(name, _)| self.names.get(name)));
        for record in &self.addresses {
            let Some(&(name, ttl_s)) = self.connection_outcome.iter().find(|(name, _)| *name == record.owner) else {
                continue;
            };
            // An additional record counts for the target of a service record, not for the question itself.
            let belongs = record.answer || !questions.contains(&name);
            if belongs && addresses.len() < ADDRESSES_MAX {
                addresses.push(ResolvedAddress { address: record.address, ttl_s: ttl_s.min(record.ttl_s) });
            } else {
                self.cut |= belongs;
            }
        }
        !self.cut
    }

    /// Reads one record and says where the next begins.
    fn record(&mut self, message: &[u8], at: usize, answer: bool) -> Option<usize> {
        let (owner, after) = self.names.read(message, at)?;
        let mut fields = Reader::new(message.get(after..)?);
        let record_type = fields.u16()?;
        fields.u16()?;
        let ttl_s = fields.u32()?;
        let length = usize::from(fields.u16()?);
        let start = after + 10;
        let end = start + length;
        let data = message.get(start..end)?;
        let Some(owner) = owner else { return Some(end) };
        // A time to live with the top bit set counts as zero (RFC 2181 section 8).
        let ttl_s = if ttl_s >> 31 == 0 { ttl_s } else { 0 };
        match record_type {
            A => {
                if let Ok(octets) = <[u8; 4]>::try_from(data) {
                    self.collect(Address { owner, address: octets.into(), ttl_s, answer });
                }
            }
            AAAA => {
                if let Ok(octets) = <[u8; 16]>::try_from(data) {
                    self.collect(Address { owner, address: octets.into(), ttl_s, answer });
                }
            }
            // The server adds a CNAME to a DNAME (RFC 6672 section 3.1), so that one says all.
            CNAME if answer => {
                if let Some((Some(to), _)) = self.names.read(message, start) {
                    self.aliases.push(Alias { from: owner, to, ttl_s });
                }
            }
            SVCB | HTTPS if answer => {
                // What precedes the damage of a broken record still counts.
                let _ = self.service(message, start, end, owner, ttl_s);
            }
            _ => {}
        }
        Some(end)
    }

    fn collect(&mut self, address: Address) {
        if self.addresses.len() < COLLECTED_MAX {
            self.addresses.push(address);
        } else {
            self.cut = true;
        }
    }

    /// A SVCB or HTTPS record (RFC 9460 section 2.2): priority, target, parameters.
    fn service(&mut self, message: &[u8], start: usize, end: usize, owner: NameId, ttl_s: u32) -> Option<()> {
        let (target, after) = self.names.read(message, start + 2)?;
        // A target of "." is the owner itself.
        if let Some(to) = target {
            self.aliases.push(Alias { from: owner, to, ttl_s });
        }
        let owner = target.unwrap_or(owner);
        let mut parameters = Reader::new(message.get(after..end)?);
        while !parameters.is_empty() {
            let key = parameters.u16()?;
            let length = usize::from(parameters.u16()?);
            let mut value = parameters.sub(length)?;
            match key {
                IPV4_HINT => {
                    while let Some(octets) = value.array::<4>() {
                        self.collect(Address { owner, address: octets.into(), ttl_s, answer: true });
                    }
                }
                IPV6_HINT => {
                    while let Some(octets) = value.array::<16>() {
                        self.collect(Address { owner, address: octets.into(), ttl_s, answer: true });
                    }
                }
                _ => {}
            }
        }
        Some(())
    }
}
