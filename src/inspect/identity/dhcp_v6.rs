//! DHCP for IPv6 (RFC 8415): what a client says of itself, and what a server grants it.
//!
//! The client's identifier (DUID) names the machine where it holds a link-layer address, else what a relay says of the client, else the
//! ends of the datagram. Advertisements are not read, as nobody has taken them.

use super::text::Text;
use super::{IdentityFact, Subject, Teller};
use crate::decode::MacAddress;
use crate::inspect::Reader;
use std::net::{IpAddr, Ipv6Addr};

/// Relays on the way that are followed: HOP_COUNT_LIMIT (section 7.6).
const RELAYS_MAX: usize = 8;
/// Options of one list that are read.
const OPTIONS_MAX: usize = 64;
/// Hardware types whose addresses are those of Ethernet: Ethernet itself, and the IEEE 802 networks.
const ETHERNET: [u16; 2] = [1, 6];

// Message types.
const SOLICIT: u8 = 1;
const REQUEST: u8 = 3;
const CONFIRM: u8 = 4;
const RENEW: u8 = 5;
const REBIND: u8 = 6;
const REPLY: u8 = 7;
const INFORMATION_REQUEST: u8 = 11;
const RELAY_FORWARD: u8 = 12;
const RELAY_REPLY: u8 = 13;

// Options.
const CLIENT_ID: u16 = 1;
const IA_NA: u16 = 3;
const IA_TA: u16 = 4;
const IA_ADDRESS: u16 = 5;
const RELAYED_MESSAGE: u16 = 9;
const VENDOR_CLASS: u16 = 16;
/// RFC 4704.
const CLIENT_FQDN: u16 = 39;
/// RFC 6939.
const CLIENT_LINK_ADDRESS: u16 = 79;
/// The largest code that is assigned, and some.
const CODE_PLAUSIBLE: u16 = 255;

/// Options one after the other, up to the first that is not whole.
#[derive(Clone, Copy)]
struct Options<'a> {
    rest: Reader<'a>,
    left: usize,
}

impl<'a> Options<'a> {
    const fn new(rest: Reader<'a>) -> Self {
        Self { rest, left: OPTIONS_MAX }
    }

    fn find(mut self, code: u16) -> Option<&'a [u8]> {
        self.find_map(|(found, value)| (found == code).then_some(value))
    }
}

impl<'a> Iterator for Options<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let mut ahead = self.rest;
        let code = ahead.u16()?;
        let length = ahead.u16()?;
        let value = ahead.take(length.into())?;
        self.rest = ahead;
        Some((code, value))
    }
}

/// Whether a datagram has the form of DHCP for IPv6: options of plausible kinds, of which one names a client or holds a relayed message.
pub(super) fn recognise(datagram: &[u8]) -> bool {
    let mut reader = Reader::new(datagram);
    let named = match reader.u8() {
        Some(RELAY_FORWARD | RELAY_REPLY) => reader.skip(33).map(|()| RELAYED_MESSAGE),
        Some(SOLICIT..=INFORMATION_REQUEST) => reader.skip(3).map(|()| CLIENT_ID),
        _ => None,
    };
    let Some(named) = named else { return false };
    let mut options = Options::new(reader);
    let is_named = options.find(named).is_some_and(|value| named == RELAYED_MESSAGE || is_duid(value));
    let is_plausible = |code| (1..=CODE_PLAUSIBLE).contains(&code);
    // The last one may be cut.
    is_named && options.all(|(code, _)| is_plausible(code)) && options.rest.u16().is_none_or(is_plausible)
}

/// Whether a DUID is of a known type (section 11, and RFC 6355).
fn is_duid(value: &[u8]) -> bool {
    matches!(value, [0, 1..=4, _, _, ..])
}

/// Reads a message.
pub(super) fn read(datagram: &[u8], teller: &mut Teller<'_>) {
    let _ = read_message(datagram, teller);
}

fn read_message(datagram: &[u8], teller: &mut Teller<'_>) -> Option<()> {
    let mut reader = Reader::new(datagram);
    let mut by_relay = None;
    // Whether what relays say of the client was read to its end.
    let mut is_whole = true;
    for _ in 0..=RELAYS_MAX {
        let kind = reader.u8()?;
        if !matches!(kind, RELAY_FORWARD | RELAY_REPLY) {
            return read_client_message(kind, reader, by_relay, is_whole, teller);
        }
        // Hop count and the address of the link.
        reader.skip(17)?;
        let peer = Ipv6Addr::from(reader.array::<16>()?);
        let mut options = Options::new(reader);
        let link = options.find(CLIENT_LINK_ADDRESS).and_then(link_address);
        // The relay next to the client knows best, and it is the innermost.
        by_relay = link.or_else(|| (!peer.is_unspecified()).then_some(Subject::Address(peer.into())));
        let relayed = options.find(RELAYED_MESSAGE)?;
        options.by_ref().for_each(drop);
        is_whole &= options.rest.is_empty();
        reader = Reader::new(relayed);
    }
    None
}

fn read_client_message(
    kind: u8,
    mut reader: Reader<'_>,
    by_relay: Option<Subject>,
    is_whole: bool,
    teller: &mut Teller<'_>,
) -> Option<()> {
    let is_reply = match kind {
        SOLICIT | REQUEST | CONFIRM | RENEW | REBIND | INFORMATION_REQUEST => false,
        REPLY => true,
        _ => return None,
    };
    // Transaction.
    reader.skip(3)?;
    let options = Options::new(reader);
    let duid = options.find(CLIENT_ID).filter(|duid| is_duid(duid))?;
    let about = match duid_link(duid) {
        Some(link) => link,
        None if !is_whole => return None,
        None => by_relay.unwrap_or(if is_reply { Subject::Receiver } else { Subject::Sender }),
    };
    for (code, value) in options {
        match code {
            CLIENT_FQDN => {
                // Flags come first.
                if let Some(name) = value.get(1..).and_then(Text::of_labels) {
                    teller.say_text(about, IdentityFact::HostName, &name);
                }
            }
            VENDOR_CLASS if !is_reply => {
                if let Some(class) = vendor_class(value) {
                    teller.say_text(about, IdentityFact::Device, &Text::of(class));
                }
            }
            // Identifier of the association, and two times.
            IA_NA if is_reply => read_addresses(value.get(12..)?, about, teller),
            IA_TA if is_reply => read_addresses(value.get(4..)?, about, teller),
            _ => {}
        }
    }
    Some(())
}

/// Reads the addresses that a server grants.
fn read_addresses(options: &[u8], about: Subject, teller: &mut Teller<'_>) {
    for (_, value) in Options::new(Reader::new(options)).filter(|&(code, _)| code == IA_ADDRESS) {
        let mut reader = Reader::new(value);
        let (Some(address), Some(_preferred), Some(valid)) = (reader.array::<16>(), reader.u32(), reader.u32()) else {
            continue;
        };
        if valid > 0 {
            teller.say(about, IdentityFact::Lease { address: IpAddr::from(address), seconds: valid });
        }
    }
}

/// The first text of a vendor class, behind the vendor's number and its length.
fn vendor_class(value: &[u8]) -> Option<&[u8]> {
    let mut reader = Reader::new(value);
    reader.skip(4)?;
    let length = reader.u16()?;
    reader.take(length.into())
}

/// The link-layer address in a DUID-LLT or DUID-LL (sections 11.2 and 11.4).
fn duid_link(duid: &[u8]) -> Option<Subject> {
    match duid {
        // Hardware type, a time, the address.
        [0, 1, high, low, _, _, _, _, address @ ..] => link_address(&[&[*high, *low], address].concat()),
        [0, 3, rest @ ..] => link_address(rest),
        _ => None,
    }
}

/// A hardware type, and an address of this type.
fn link_address(bytes: &[u8]) -> Option<Subject> {
    let (&hardware, address) = bytes.split_first_chunk()?;
    let mac: [u8; 6] = address.try_into().ok()?;
    (ETHERNET.contains(&u16::from_be_bytes(hardware)) && mac != [0; 6]).then_some(Subject::Link(MacAddress(mac)))
}

#[cfg(test)]
mod tests {
    use super::super::sample::{prefixes_say_no_more, statements};
    use super::*;

    const LINK: &str = "Link(MacAddress([2, 0, 0, 0, 0, 1]))";
    const DUID_LLT: &[u8] = b"\0\x01\0\x0e\0\x01\0\x01\x2c\0\0\0\x02\0\0\0\0\x01";
    const DUID_UUID: &[u8] = b"\0\x01\0\x12\0\x04ABCDEFGHIJKLMNOP";
    const FQDN: &[u8] = b"\0\x27\0\x12\0\x03PC1\x04corp\x07example\0";

    fn option(code: u16, value: &[u8]) -> Vec<u8> {
        let length = u16::try_from(value.len()).unwrap_or(0);
        [&code.to_be_bytes(), &length.to_be_bytes(), value].concat()
    }

    fn message(kind: u8, options: &[&[u8]]) -> Vec<u8> {
        [&[kind, 7, 7, 7], &options.concat()[..]].concat()
    }

    fn relayed(kind: u8, message: &[u8], before: &[u8]) -> Vec<u8> {
        let peer = "fe80::1".parse::<Ipv6Addr>().map(|peer| peer.octets()).unwrap_or_default();
        [&[kind, 0][..], &[0; 16], &peer, before, &option(RELAYED_MESSAGE, message)].concat()
    }

    fn reply(duid: &[u8]) -> Vec<u8> {
        let address = [&b"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x05"[..], b"\0\0\x0e\x10", b"\0\0\x1c\x20"].concat();
        let association = [&[0; 12], &option(IA_ADDRESS, &address)[..]].concat();
        message(REPLY, &[duid, b"\0\x02\0\x0a\0\x03\0\x01\x02\0\0\0\0\x09", &option(IA_NA, &association), FQDN])
    }

    #[test]
    fn a_client_tells_its_name_and_kind() {
        let request = message(REQUEST, &[DUID_LLT, b"\0\x10\0\x0e\0\0\x01\x37\0\x08MSFT 5.0", FQDN]);
        assert_eq!(
            statements(&request),
            [r#"Device("MSFT 5.0")"#, r#"HostName("PC1.corp.example")"#].map(|fact| format!("{LINK} {fact}"))
        );
        prefixes_say_no_more(&request, statements);
        assert_eq!(statements(&message(SOLICIT, &[DUID_UUID, FQDN])), [r#"Sender HostName("PC1.corp.example")"#]);
        assert!(statements(&message(SOLICIT, &[FQDN])).is_empty());
        // An answer of DNS whose identifier begins with 4.
        let dns = b"\x04\x7e\x81\x80\0\x01\0\x07\0\x04\0\x03\x03www\x07example\0";
        assert!(!recognise(dns));
    }

    #[test]
    fn a_reply_tells_the_lease() {
        let said = ["Lease { address: 2001:db8::5, seconds: 7200 }", r#"HostName("PC1.corp.example")"#];
        assert_eq!(statements(&reply(DUID_LLT)), said.map(|fact| format!("{LINK} {fact}")));
        assert_eq!(statements(&reply(DUID_UUID)), said.map(|fact| format!("Receiver {fact}")));
        prefixes_say_no_more(&reply(DUID_LLT), statements);
        let mut advertisement = reply(DUID_LLT);
        advertisement.splice(..1, [2]);
        assert!(statements(&advertisement).is_empty());
    }

    #[test]
    fn what_relays_pass_on_is_about_the_client() {
        let request = message(REQUEST, &[DUID_UUID, FQDN]);
        let name = r#"HostName("PC1.corp.example")"#;
        let plain = relayed(RELAY_FORWARD, &request, &[]);
        assert_eq!(statements(&plain), [format!("Address(fe80::1) {name}")]);
        let with_link = relayed(RELAY_FORWARD, &request, &option(CLIENT_LINK_ADDRESS, b"\0\x01\x02\0\0\0\0\x01"));
        for message in [&with_link, &relayed(RELAY_FORWARD, &with_link, &[])] {
            assert_eq!(statements(message), [format!("{LINK} {name}")]);
            prefixes_say_no_more(message, statements);
        }
        assert_eq!(statements(&relayed(RELAY_REPLY, &reply(DUID_LLT), &[])), statements(&reply(DUID_LLT)));
        let deep = (0..RELAYS_MAX).fold(request, |message, _| relayed(RELAY_FORWARD, &message, &[]));
        assert_eq!(statements(&deep), [format!("Address(fe80::1) {name}")]);
        assert!(statements(&relayed(RELAY_FORWARD, &deep, &[])).is_empty());
    }
}
