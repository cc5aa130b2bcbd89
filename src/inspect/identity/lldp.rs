//! LLDP (IEEE 802.1AB): what a switch, a telephone or a machine says of itself to its neighbours.

use super::text::Text;
use super::{IdentityFact, IdentitySource, Statement, Subject, Teller};
use crate::inspect::Reader;
use std::net::IpAddr;

/// Elements of one frame, and addresses among them, that are read.
const ELEMENTS_MAX: usize = 64;
const ADDRESSES_MAX: usize = 8;

// Types.
const END: u16 = 0;
const CHASSIS: u16 = 1;
const SYSTEM_NAME: u16 = 5;
const SYSTEM_DESCRIPTION: u16 = 6;
const MANAGEMENT_ADDRESS: u16 = 8;
const OF_ORGANISATION: u16 = 127;

/// Manufacturer and model of LLDP-MED (ANSI/TIA-1057), behind the organisation's number.
const MANUFACTURER: &[u8] = &[0x00, 0x12, 0xbb, 9];
const MODEL: &[u8] = &[0x00, 0x12, 0xbb, 10];

/// Address families (RFC 3232).
const IPV4: u8 = 1;
const IPV6: u8 = 2;

/// Reads the payload of an Ethernet frame of the type 0x88cc.
///
/// What is told of the sender is told of its management addresses, too: the frame has no address.
pub fn read_lldp(payload: &[u8], tell: &mut impl FnMut(Statement<'_>)) {
    let teller = &mut Teller { source: IdentitySource::Lldp, tell };
    if is_lldp(payload) {
        tell_of(Subject::Sender, payload, teller);
        for address in lldp_addresses(payload) {
            tell_of(Subject::Address(address), payload, teller);
        }
    }
}

/// The addresses at which the sender says that it is managed.
pub fn lldp_addresses(payload: &[u8]) -> impl Iterator<Item = IpAddr> {
    elements(payload).filter(|_| is_lldp(payload)).filter_map(management_address).take(ADDRESSES_MAX)
}

/// The first element names the chassis.
fn is_lldp(payload: &[u8]) -> bool {
    elements(payload).next().is_some_and(|(kind, _)| kind == CHASSIS)
}

/// Each element stands there once; of those that come again only the first counts.
fn tell_of(about: Subject, payload: &[u8], teller: &mut Teller<'_>) {
    let wanted: [(u16, &[u8]); 4] =
        [(SYSTEM_NAME, &[]), (SYSTEM_DESCRIPTION, &[]), (OF_ORGANISATION, MANUFACTURER), (OF_ORGANISATION, MODEL)];
    for (wanted, prefix) in wanted {
        let mut all = elements(payload);
        let first = all.find_map(|(kind, value)| value.strip_prefix(prefix).filter(|_| kind == wanted));
        let fact: fn(_) -> _ = match wanted {
            SYSTEM_NAME => IdentityFact::HostName,
            SYSTEM_DESCRIPTION => IdentityFact::System,
            _ => IdentityFact::Device,
        };
        teller.say_text(about, fact, &Text::of(first.unwrap_or(&[])));
    }
}

/// Types and values, up to the end or the first that is not whole.
fn elements(payload: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut reader = Reader::new(payload);
    std::iter::from_fn(move || {
        // Seven bits of type, nine of length.
        let header = reader.u16()?;
        let value = reader.take(usize::from(header & 0x01ff))?;
        Some((header >> 9, value)).filter(|&(kind, _)| kind != END)
    })
    .take(ELEMENTS_MAX)
}

/// The address of an element that has one of the Internet: its length, family, itself, and an interface.
fn management_address((kind, value): (u16, &[u8])) -> Option<IpAddr> {
    let mut reader = Reader::new(value);
    let mut address =
        reader.u8().and_then(|length| reader.sub(length.into())).filter(|_| kind == MANAGEMENT_ADDRESS)?;
    let address: IpAddr = match address.u8()? {
        IPV4 => address.array::<4>()?.into(),
        IPV6 => address.array::<16>()?.into(),
        _ => return None,
    };
    (!address.is_unspecified()).then_some(address)
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use super::super::sample::{line, prefixes_say_no_more};
    use super::*;
    use proptest::prelude::*;

    fn said(payload: &[u8]) -> Vec<String> {
        let mut said = Vec::new();
        read_lldp(payload, &mut |statement| said.push(line(statement)));
        said
    }

    #[test]
    fn a_switch_tells_its_name_system_and_model() {
        let elements: [&[u8]; 8] = [
            b"\x02\x07\x04\x02\0\0\0\0\x01",
            b"\x04\x04\x05Gi1",
            b"\x06\x02\0\x78",
            b"\x0a\x03sw1",
            b"\x0c\x05IOS 1",
            b"\x10\x0c\x05\x01\x0a\0\0\x02\x02\0\0\0\x01\0",
            b"\xfe\x09\0\x12\xbb\x0aC2960",
            b"\0\0junk",
        ];
        let payload = elements.concat();
        let facts = [r#"HostName("sw1")"#, r#"System("IOS 1")"#, r#"Device("C2960")"#];
        let expected: Vec<_> = ["Sender", "Address(10.0.0.2)"]
            .iter()
            .flat_map(|about| facts.map(|fact| format!("{about} {fact}")))
            .collect();
        assert_eq!(said(&payload), expected);
        prefixes_say_no_more(&payload, said);
        assert!(said(b"\x0a\x03sw1\0\0").is_empty());
        let addresses = |payload| lldp_addresses(payload).map(|address| address.to_string()).collect::<Vec<_>>();
        assert_eq!(addresses(&payload), ["10.0.0.2"]);
        let many = [elements[0], &elements[5].repeat(20)].concat();
        assert_eq!(addresses(&many).len(), ADDRESSES_MAX);
        assert!(addresses(elements[5]).is_empty());
        let again = [elements[0], &elements[3].repeat(40)].concat();
        assert_eq!(said(&again), [r#"Sender HostName("sw1")"#]);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            said(&[&b"\x02\x07\x04\x02\0\0\0\0\x01"[..], &bytes].concat());
        }
    }
}
