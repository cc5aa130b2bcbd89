//! Cisco Discovery Protocol, versions 1 and 2: what a switch, a router or a telephone says of itself to its neighbours.

use super::text::Text;
use super::{IdentityFact, IdentitySource, Statement, Subject, Teller};
use crate::inspect::Reader;
use std::net::IpAddr;

/// Elements of one frame, and addresses in all of them, that are read.
const ELEMENTS_MAX: usize = 64;
const ADDRESSES_MAX: usize = 8;

/// LLC and SNAP headers before it: Cisco's number, and the protocol's.
const SNAP: &[u8] = &[0xaa, 0xaa, 0x03, 0x00, 0x00, 0x0c, 0x20, 0x00];

// Types.
const DEVICE: u16 = 1;
const ADDRESSES: u16 = 2;
const SOFTWARE: u16 = 5;
const PLATFORM: u16 = 6;
const MANAGEMENT_ADDRESSES: u16 = 0x16;

/// What stands for IPv4 (an identifier of one byte) and IPv6 (LLC and SNAP headers).
const IPV4: &[u8] = &[0xcc];
const IPV6: &[u8] = &[0xaa, 0xaa, 0x03, 0x00, 0x00, 0x00, 0x86, 0xdd];

/// Reads the payload of an IEEE 802.3 frame, from its LLC header on. Anything else says nothing.
///
/// What is told of the sender is told of its addresses, too: the frame has none.
pub fn read_cdp(payload: &[u8], tell: &mut impl FnMut(Statement<'_>)) {
    let teller = &mut Teller { source: IdentitySource::Cdp, tell };
    let elements = elements_of(payload);
    tell_of(Subject::Sender, elements, teller);
    for address in cdp_addresses(payload) {
        tell_of(Subject::Address(address), elements, teller);
    }
}

/// The addresses that the sender says it has.
pub fn cdp_addresses(payload: &[u8]) -> impl Iterator<Item = IpAddr> {
    read_elements(elements_of(payload))
        .filter(|&(kind, _)| matches!(kind, ADDRESSES | MANAGEMENT_ADDRESSES))
        .flat_map(|(_, value)| {
            let mut reader = Reader::new(value);
            let count = reader.u32().unwrap_or(0);
            (0..count).map_while(move |_| address(&mut reader)).flatten()
        })
        .filter(|address| !address.is_unspecified())
        .take(ADDRESSES_MAX)
}

/// What stands behind version, time to live and checksum.
fn elements_of(payload: &[u8]) -> &[u8] {
    match payload.strip_prefix(SNAP) {
        Some([1 | 2, _, _, _, elements @ ..]) => elements,
        _ => &[],
    }
}

/// Of elements that come again only the first counts.
fn tell_of(about: Subject, elements: &[u8], teller: &mut Teller<'_>) {
    for wanted in [DEVICE, SOFTWARE, PLATFORM] {
        let first = read_elements(elements).find(|&(kind, _)| kind == wanted);
        let fact: fn(_) -> _ = match wanted {
            DEVICE => IdentityFact::HostName,
            SOFTWARE => IdentityFact::System,
            _ => IdentityFact::Device,
        };
        teller.say_text(about, fact, &Text::of(first.map_or(&[], |(_, text)| text)));
    }
}

/// Types and values, up to the first that is not whole. A length counts its own four bytes.
fn read_elements(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut reader = Reader::new(bytes);
    std::iter::from_fn(move || {
        let kind = reader.u16()?;
        let length = usize::from(reader.u16()?).checked_sub(4)?;
        Some((kind, reader.take(length)?))
    })
    .take(ELEMENTS_MAX)
}

/// One address, `None` inside for those of other protocols: kind and length of the protocol's identifier, itself, length, address.
fn address(reader: &mut Reader<'_>) -> Option<Option<IpAddr>> {
    reader.skip(1)?;
    let length = reader.u8()?;
    let protocol = reader.take(length.into())?;
    let length = reader.u16()?;
    let address = reader.take(length.into())?;
    Some(match protocol {
        IPV4 => address.try_into().ok().map(|octets: [u8; 4]| octets.into()),
        IPV6 => address.try_into().ok().map(|octets: [u8; 16]| octets.into()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::sample::{line, prefixes_say_no_more};
    use super::*;
    use proptest::prelude::*;

    fn said(payload: &[u8]) -> Vec<String> {
        let mut said = Vec::new();
        read_cdp(payload, &mut |statement| said.push(line(statement)));
        said
    }

    #[test]
    fn a_switch_tells_its_name_software_and_platform() {
        let elements: [&[u8]; 7] = [
            SNAP,
            b"\x02\xb4\0\0",
            b"\0\x01\0\x07sw1",
            b"\0\x02\0\x11\0\0\0\x01\x01\x01\xcc\0\x04\x0a\0\0\x02",
            b"\0\x05\0\x09IOS 1",
            b"\0\x06\0\x09C2960",
            b"\0\x16\0\x24\0\0\0\x01\x02\x08\xaa\xaa\x03\0\0\0\x86\xdd\0\x10\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x05",
        ];
        let payload = elements.concat();
        let facts = [r#"HostName("sw1")"#, r#"System("IOS 1")"#, r#"Device("C2960")"#];
        let expected: Vec<_> = ["Sender", "Address(10.0.0.2)", "Address(2001:db8::5)"]
            .iter()
            .flat_map(|about| facts.map(|fact| format!("{about} {fact}")))
            .collect();
        assert_eq!(said(&payload), expected);
        prefixes_say_no_more(&payload, said);
        assert!(said(payload.get(SNAP.len()..).unwrap_or(&[])).is_empty());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            said(&[SNAP, &[2, 180, 0, 0], &bytes].concat());
        }
    }
}
