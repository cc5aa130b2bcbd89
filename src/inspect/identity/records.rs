//! Records of a DNS message, with names as they were sent: [`crate::inspect::dns`] keeps lower case and ASCII alone.

use super::text::Text;
use crate::inspect::Reader;
use crate::inspect::dns::walk_name;
use std::net::{IpAddr, Ipv6Addr};

/// Records and questions of one message that are read.
const RECORDS_MAX: usize = 256;
/// The top bit of a class is multicast DNS's own (RFC 6762 sections 5.4 and 10.2).
const CLASS: u16 = 0x7fff;
const INTERNET: u16 = 1;

// Types of records.
pub(super) const A: u16 = 1;
pub(super) const PTR: u16 = 12;
pub(super) const HINFO: u16 = 13;
pub(super) const TXT: u16 = 16;
pub(super) const AAAA: u16 = 28;

/// One record.
pub(super) struct Record<'a> {
    pub(super) owner: Text,
    pub(super) kind: u16,
    /// Its data, and where they begin in the message.
    pub(super) data: &'a [u8],
    pub(super) data_at: usize,
}

impl Record<'_> {
    /// The address in it, if it holds one.
    pub(super) fn address(&self) -> Option<IpAddr> {
        match self.kind {
            A => self.data.try_into().ok().map(|octets: [u8; 4]| octets.into()),
            AAAA => self.data.try_into().ok().map(|octets: [u8; 16]| octets.into()),
            _ => None,
        }
    }
}

/// The records of a message, up to the first that is not whole.
#[derive(Clone, Copy)]
pub(super) struct Records<'a> {
    message: &'a [u8],
    at: usize,
    left: usize,
}

impl<'a> Records<'a> {
    /// The flags of a message, and its records in all sections.
    pub(super) fn of(message: &'a [u8]) -> Option<(u16, Self)> {
        let mut header = Reader::new(message);
        let [_id, flags, questions] = [header.u16()?, header.u16()?, header.u16()?];
        let counts = [header.u16()?, header.u16()?, header.u16()?];
        let mut at = message.len() - header.rest().len();
        for _ in 0..usize::from(questions).min(RECORDS_MAX) {
            at = walk_name(message, at, |_| Some(()))? + 4;
        }
        let left = counts.into_iter().map(usize::from).sum::<usize>().min(RECORDS_MAX);
        Some((flags, Self { message, at, left }))
    }

    /// Whether nothing is left.
    pub(super) const fn is_over(&self) -> bool {
        self.left == 0
    }
}

/// Records of other classes than the Internet's, and those that are taken back (RFC 6762 section 10.1), are passed over.
impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        for _ in 0..self.left {
            let (owner, mut at) = name_at(self.message, self.at)?;
            let mut fields = Reader::new(self.message.get(at..)?);
            let (kind, class) = (fields.u16()?, fields.u16()?);
            let (ttl_s, length) = (fields.u32()?, fields.u16()?);
            at += 10;
            let data = fields.take(length.into())?;
            self.at = at + data.len();
            self.left -= 1;
            if class & CLASS == INTERNET && ttl_s > 0 {
                return Some(Record { owner, kind, data, data_at: at });
            }
        }
        None
    }
}

/// The name at `at`, and where the bytes after it begin.
pub(super) fn name_at(message: &[u8], at: usize) -> Option<(Text, usize)> {
    let mut name = Text::EMPTY;
    let after = walk_name(message, at, |label| name.push_label(label))?;
    Some((name, after))
}

/// A name without these labels at its end, in whatever case they are.
pub(super) fn without_suffix<'a>(name: &'a str, suffix: &str) -> Option<&'a str> {
    let (before, end) = name.split_at_checked(name.len().checked_sub(suffix.len())?)?;
    end.eq_ignore_ascii_case(suffix).then_some(before)
}

/// The address that a name of the reverse tree stands for (RFC 1035 section 3.5, RFC 3596 section 2.5).
pub(super) fn reverse_address(name: &str) -> Option<IpAddr> {
    if let Some(octets) = without_suffix(name, ".in-addr.arpa") {
        let mut parts = octets.rsplit('.');
        let mut address = [0; 4];
        for octet in &mut address {
            *octet = parts.next()?.parse().ok()?;
        }
        return parts.next().is_none().then(|| address.into());
    }
    let mut digits = without_suffix(name, ".ip6.arpa")?.rsplit('.');
    let mut address = 0_u128;
    for _ in 0..32 {
        let digit = digits.next().filter(|digit| digit.len() == 1)?;
        address = address << 4 | u128::from(u8::from_str_radix(digit, 16).ok()?);
    }
    digits.next().is_none().then(|| Ipv6Addr::from(address).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_reverse_tree_stand_for_addresses() {
        let address = |name| reverse_address(name).map(|address| address.to_string());
        assert_eq!(address("5.0.0.10.in-addr.arpa").as_deref(), Some("10.0.0.5"));
        let nibbles = "5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2";
        assert_eq!(address(&format!("{nibbles}.IP6.arpa")).as_deref(), Some("2001:db8::5"));
        for other in
            ["0.0.10.in-addr.arpa", "1.5.0.0.10.in-addr.arpa", "x.ip6.arpa", "pc1.local", "300.0.0.10.in-addr.arpa"]
        {
            assert_eq!(reverse_address(other), None);
        }
        assert_eq!(reverse_address(&format!("0.{nibbles}.ip6.arpa")), None);
    }
}
