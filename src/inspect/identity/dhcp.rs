//! DHCP (RFC 2131, options of RFC 2132): what a client says of itself, and what a server grants it.
//!
//! The client's link-layer address names the machine: it has no address yet, and a relay may pass its messages on. Offers are not read,
//! as nobody has taken them.

use super::text::Text;
use super::{IdentityFact, Subject, Teller};
use crate::decode::MacAddress;
use crate::inspect::Reader;
use std::net::{IpAddr, Ipv4Addr};

/// Where the options begin, and what stands there.
const COOKIE_AT: usize = 236;
const COOKIE: [u8; 4] = [0x63, 0x82, 0x53, 0x63];
/// Options of one message that are read.
const OPTIONS_MAX: usize = 128;

const REQUEST: u8 = 1;
const REPLY: u8 = 2;
/// Hardware types whose addresses are those of Ethernet: Ethernet itself, and the IEEE 802 networks.
const ETHERNET: [u8; 2] = [1, 6];

// Options.
const PAD: u8 = 0;
const HOST_NAME: u8 = 12;
const DOMAIN_NAME: u8 = 15;
const LEASE_TIME: u8 = 51;
const OVERLOAD: u8 = 52;
const MESSAGE_TYPE: u8 = 53;
const VENDOR_CLASS: u8 = 60;
const CLIENT_FQDN: u8 = 81;
const END: u8 = 255;

// Message types.
const DISCOVER: u8 = 1;
const REQUEST_LEASE: u8 = 3;
const ACK: u8 = 5;
const INFORM: u8 = 8;

/// Whether a datagram has the form of DHCP.
pub(super) fn recognise(datagram: &[u8]) -> bool {
    matches!(datagram, [REQUEST | REPLY, _, 0..=16, ..])
        && datagram.get(COOKIE_AT..).is_some_and(|rest| rest.starts_with(&COOKIE))
}

/// The options that say something, each as its first instance has it.
#[derive(Default)]
struct Options<'a> {
    message_type: Option<u8>,
    host_name: Option<&'a [u8]>,
    domain: Option<&'a [u8]>,
    vendor_class: Option<&'a [u8]>,
    fqdn: Option<&'a [u8]>,
    lease_seconds: Option<u32>,
    overload: u8,
}

impl<'a> Options<'a> {
    /// Reads options up to their end, or to where the bytes end.
    fn read(&mut self, bytes: &'a [u8]) {
        let mut reader = Reader::new(bytes);
        for _ in 0..OPTIONS_MAX {
            while reader.rest().first() == Some(&PAD) {
                reader.u8();
            }
            let Some(code) = reader.u8().filter(|&code| code != END) else { return };
            let Some(value) = reader.u8().and_then(|length| reader.take(length.into())) else { return };
            match code {
                HOST_NAME => self.host_name = self.host_name.or(Some(value)),
                DOMAIN_NAME => self.domain = self.domain.or(Some(value)),
                LEASE_TIME => self.lease_seconds = self.lease_seconds.or_else(|| Reader::new(value).u32()),
                OVERLOAD => self.overload = value.first().copied().unwrap_or(0),
                MESSAGE_TYPE => self.message_type = self.message_type.or_else(|| value.first().copied()),
                VENDOR_CLASS => self.vendor_class = self.vendor_class.or(Some(value)),
                CLIENT_FQDN => self.fqdn = self.fqdn.or(Some(value)),
                _ => {}
            }
        }
    }
}

/// Reads a message.
pub(super) fn read(datagram: &[u8], teller: &mut Teller<'_>) {
    let _ = read_message(datagram, teller);
}

fn read_message(datagram: &[u8], teller: &mut Teller<'_>) -> Option<()> {
    let mut reader = Reader::new(datagram);
    let [operation, hardware, hardware_length, _hops] = reader.array()?;
    // Transaction, seconds, flags.
    reader.skip(8)?;
    let [client, yours, _next_server, _relay] = [reader.array()?, reader.array()?, reader.array()?, reader.array()?];
    let link: [u8; 16] = reader.array()?;
    let server_name = reader.take(64)?;
    let boot_file = reader.take(128)?;
    if reader.array()? != COOKIE {
        return None;
    }
    let mut options = Options::default();
    options.read(reader.rest());
    // The file comes first (RFC 2131 section 4.1).
    if options.overload & 1 != 0 {
        options.read(boot_file);
    }
    if options.overload & 2 != 0 {
        options.read(server_name);
    }
    let given = [yours, client].map(Ipv4Addr::from).into_iter().find(|address| !address.is_unspecified());
    let about = match *link.first_chunk()? {
        mac if ETHERNET.contains(&hardware) && hardware_length == 6 && mac != [0; 6] => Subject::Link(MacAddress(mac)),
        _ => Subject::Address(given?.into()),
    };
    match (operation, options.message_type?) {
        (REQUEST, DISCOVER | REQUEST_LEASE | INFORM) => {
            if let Some(class) = options.vendor_class {
                teller.say_text(about, IdentityFact::Device, &Text::of(class));
            }
        }
        (REPLY, ACK) => {
            let address = Ipv4Addr::from(yours);
            if let Some(seconds) = options.lease_seconds.filter(|&seconds| seconds > 0 && !address.is_unspecified()) {
                teller.say(about, IdentityFact::Lease { address: IpAddr::V4(address), seconds });
            }
        }
        _ => return None,
    }
    if let Some(name) = options.host_name {
        teller.say_text(about, IdentityFact::HostName, &Text::of(name));
    }
    if let Some(name) = options.fqdn.and_then(fqdn) {
        teller.say_text(about, IdentityFact::HostName, &name);
    }
    if let Some(domain) = options.domain {
        teller.say_text(about, IdentityFact::Domain, &Text::of(domain));
    }
    Some(())
}

/// The name in a client's FQDN option: flags, two codes that nobody reads any more, and the name (RFC 4702 section 2).
fn fqdn(option: &[u8]) -> Option<Text> {
    /// The name is in labels; otherwise it is text.
    const E: u8 = 0x04;
    let (&[flags, _, _], name) = option.split_first_chunk()?;
    if flags & E != 0 { Text::of_labels(name) } else { Some(Text::of(name.strip_suffix(b".").unwrap_or(name))) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::super::sample::{prefixes_say_no_more, statements};
    use super::*;

    const LINK: &str = "Link(MacAddress([2, 0, 0, 0, 0, 1]))";

    /// A message to or from a client whose link-layer address ends in 1.
    fn message(operation: u8, yours: [u8; 4], options: &[&[u8]]) -> Vec<u8> {
        let mut bytes = vec![0; COOKIE_AT];
        bytes[..4].copy_from_slice(&[operation, 1, 6, 0]);
        bytes[16..20].copy_from_slice(&yours);
        bytes[24..28].copy_from_slice(&[10, 0, 0, 254]);
        bytes[28..34].copy_from_slice(&[2, 0, 0, 0, 0, 1]);
        [&bytes, &COOKIE[..], &options.concat(), &[END]].concat()
    }

    #[test]
    fn a_request_tells_the_client_s_name_and_kind() {
        let request = message(
            REQUEST,
            [0; 4],
            &[
                b"\x35\x01\x03",
                b"\x32\x04\x0a\0\0\x05",
                b"\x0c\x03PC1",
                b"\0\0",
                b"\x51\x13\0\0\0PC1.corp.example",
                b"\x3c\x08MSFT 5.0",
            ],
        );
        let said = statements(&request);
        assert_eq!(
            said,
            [r#"Device("MSFT 5.0")"#, r#"HostName("PC1")"#, r#"HostName("PC1.corp.example")"#]
                .map(|fact| format!("{LINK} {fact}"))
        );
        prefixes_say_no_more(&request, statements);
    }

    #[test]
    fn an_acknowledgement_tells_the_lease_and_the_names_that_go_with_it() {
        let ack = message(
            REPLY,
            [10, 0, 0, 5],
            &[
                b"\x35\x01\x05",
                b"\x33\x04\0\0\x0e\x10",
                b"\x0f\x0ccorp.example",
                b"\x51\x15\x05\xff\xff\x03PC1\x04corp\x07example\0",
                b"\x3c\x09PXEClient",
            ],
        );
        assert_eq!(
            statements(&ack),
            [
                "Lease { address: 10.0.0.5, seconds: 3600 }",
                r#"HostName("PC1.corp.example")"#,
                r#"Domain("corp.example")"#
            ]
            .map(|fact| format!("{LINK} {fact}"))
        );
        prefixes_say_no_more(&ack, statements);
    }

    #[test]
    fn what_is_offered_or_refused_says_nothing() {
        for kind in [2, 4, 6, 7] {
            let options: &[&[u8]] = &[&[MESSAGE_TYPE, 1, kind], b"\x33\x04\0\0\x0e\x10", b"\x0c\x03PC1"];
            assert!(statements(&message(REPLY, [10, 0, 0, 5], options)).is_empty());
        }
        assert!(statements(&message(REQUEST, [0; 4], &[b"\x0c\x03PC1"])).is_empty());
        assert!(statements(&message(REQUEST, [0; 4], &[b"\x35\x01\x05", b"\x0c\x03PC1"])).is_empty());
    }

    #[test]
    fn options_go_on_in_the_fields_that_say_so() {
        let mut request = message(REQUEST, [0; 4], &[b"\x34\x01\x03", b"\x0c\x03PC1"]);
        request[44..48].copy_from_slice(b"\x3c\x01b\xff");
        request[108..115].copy_from_slice(b"\x35\x01\x01\x3c\x01a\xff");
        assert_eq!(statements(&request), [r#"Device("a")"#, r#"HostName("PC1")"#].map(|fact| format!("{LINK} {fact}")));
    }

    #[test]
    fn without_a_link_layer_address_the_address_names_the_machine() {
        let mut ack = message(REPLY, [10, 0, 0, 5], &[b"\x35\x01\x05", b"\x0c\x03PC1"]);
        ack[1] = 32;
        assert_eq!(statements(&ack), [r#"Address(10.0.0.5) HostName("PC1")"#]);
        ack[16..20].fill(0);
        assert!(statements(&ack).is_empty());
    }
}
