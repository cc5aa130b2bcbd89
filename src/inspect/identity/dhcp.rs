//! DHCP (RFC 2131, options of RFC 2132, in pieces by RFC 3396): what a client says of itself, and what a server grants it.
//!
//! The client's link-layer address names the machine: it has no address yet, and a relay may pass its messages on. Offers are not read,
//! as nobody has taken them.

use super::text::Text;
use super::{IdentityFact, Subject, Teller};
use crate::decode::MacAddress;
use crate::inspect::Reader;
use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr};

/// Where the options begin, and what stands there.
const COOKIE_AT: usize = 236;
const COOKIE: [u8; 4] = [0x63, 0x82, 0x53, 0x63];
/// Options of one message that are read.
const OPTIONS_MAX: usize = 128;
/// Bytes of one option that are kept, of all its pieces together: texts end at 255.
const VALUE_MAX: usize = 512;

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

/// The options that say something, each of all its pieces: one that is long comes in several (RFC 3396), in the order of the fields.
#[derive(Default)]
struct Options<'a> {
    message_type: Value<'a>,
    host_name: Value<'a>,
    domain: Value<'a>,
    vendor_class: Value<'a>,
    fqdn: Value<'a>,
    lease_seconds: Value<'a>,
    overload: Value<'a>,
}

/// What an option holds, once it was there. Nearly all come in one piece.
type Value<'a> = Option<Cow<'a, [u8]>>;

impl<'a> Options<'a> {
    /// Reads options. Says whether they ended before the bytes did.
    fn read(&mut self, bytes: &'a [u8]) -> bool {
        let mut reader = Reader::new(bytes);
        for _ in 0..OPTIONS_MAX {
            while reader.rest().first() == Some(&PAD) {
                reader.u8();
            }
            let Some(code) = reader.u8() else { return false };
            if code == END {
                return true;
            }
            let Some(piece) = reader.u8().and_then(|length| reader.take(length.into())) else { return false };
            let value = match code {
                HOST_NAME => &mut self.host_name,
                DOMAIN_NAME => &mut self.domain,
                LEASE_TIME => &mut self.lease_seconds,
                OVERLOAD => &mut self.overload,
                MESSAGE_TYPE => &mut self.message_type,
                VENDOR_CLASS => &mut self.vendor_class,
                CLIENT_FQDN => &mut self.fqdn,
                _ => continue,
            };
            match value {
                None => *value = Some(Cow::Borrowed(piece)),
                Some(before) if before.len() + piece.len() <= VALUE_MAX => before.to_mut().extend_from_slice(piece),
                Some(_) => {}
            }
        }
        false
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
    // What goes on behind a cut would be another value.
    if !options.read(reader.rest()) {
        return None;
    }
    // The file comes first (RFC 3396 section 5). Neither field can say that there are more.
    let overload = options.overload.as_deref().and_then(<[u8]>::first).copied().unwrap_or(0);
    if overload & 1 != 0 {
        options.read(boot_file);
    }
    if overload & 2 != 0 {
        options.read(server_name);
    }
    let given = [yours, client].map(Ipv4Addr::from).into_iter().find(|address| !address.is_unspecified());
    let about = match *link.first_chunk()? {
        mac if ETHERNET.contains(&hardware) && hardware_length == 6 && mac != [0; 6] => Subject::Link(MacAddress(mac)),
        _ => Subject::Address(given?.into()),
    };
    match (operation, *options.message_type.as_deref()?.first()?) {
        (REQUEST, DISCOVER | REQUEST_LEASE | INFORM) => {
            if let Some(class) = options.vendor_class {
                teller.say_text(about, IdentityFact::Device, &Text::of(&class));
            }
        }
        (REPLY, ACK) => {
            let address = Ipv4Addr::from(yours);
            let seconds = options.lease_seconds.as_deref().and_then(|value| Reader::new(value).u32());
            if let Some(seconds) = seconds.filter(|&seconds| seconds > 0 && !address.is_unspecified()) {
                teller.say(about, IdentityFact::Lease { address: IpAddr::V4(address), seconds });
            }
        }
        _ => return None,
    }
    if let Some(name) = options.host_name {
        teller.say_text(about, IdentityFact::HostName, &Text::of(&name));
    }
    if let Some(name) = options.fqdn.as_deref().and_then(fqdn) {
        teller.say_text(about, IdentityFact::HostName, &name);
    }
    if let Some(domain) = options.domain {
        teller.say_text(about, IdentityFact::Domain, &Text::of(&domain));
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
    use proptest::prelude::*;

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
        assert_eq!(
            statements(&request),
            [r#"Device("ab")"#, r#"HostName("PC1")"#].map(|fact| format!("{LINK} {fact}"))
        );
    }

    #[test]
    fn an_option_in_pieces_is_one_value() {
        let mut request = message(
            REQUEST,
            [0; 4],
            &[
                b"\x34\x01\x03",
                b"\x35\x01\x03",
                b"\x51\x06\x04\0\0\x03PC",
                b"\x0c\x03PC1",
                b"\x51\x02\x31\x04",
                b"\x0c\0",
            ],
        );
        // The file goes on with them, and then the server's name.
        request[44..52].copy_from_slice(b"\x51\x05ample\xff");
        request[108..115].copy_from_slice(b"\x51\x04corp\xff");
        request.truncate(request.len() - 1);
        request.extend_from_slice(b"\x3c\x01M\x3c\x06SFT 5.\x3c\x010\xff");
        let mut expected =
            [r#"Device("MSFT 5.0")"#, r#"HostName("PC1")"#].map(|fact| format!("{LINK} {fact}")).to_vec();
        assert_eq!(statements(&request), expected, "labels that do not fit their lengths are no name");
        request[44..52].copy_from_slice(b"\x51\x05\x02ex\0\xff\xff");
        expected.push(format!(r#"{LINK} HostName("PC1.corp.ex")"#));
        assert_eq!(statements(&request), expected);
        prefixes_say_no_more(&request, statements);
        let ack = message(REPLY, [10, 0, 0, 5], &[b"\x35\x01\x05", b"\x33\x02\0\0", b"\x33\x02\x0e\x10"]);
        assert_eq!(statements(&ack), [format!("{LINK} Lease {{ address: 10.0.0.5, seconds: 3600 }}")]);
        // As many pieces as there are options, and a name longer than any text.
        let piece = [&[HOST_NAME, 200][..], &[b'a'; 200]].concat();
        let long = message(REQUEST, [0; 4], &[b"\x35\x01\x03", &piece.repeat(20)]);
        assert_eq!(statements(&long), [format!(r#"{LINK} HostName("{}")"#, "a".repeat(255))]);
    }

    #[test]
    fn the_fields_that_options_go_on_in_name_no_others() {
        let mut request = message(REQUEST, [0; 4], &[b"\x34\x01\x01", b"\x35\x01\x01", b"\x0c\x03PC1"]);
        request[44..49].copy_from_slice(b"\x0c\x01x\xff\0");
        request[108..112].copy_from_slice(b"\x34\x01\x03\xff");
        assert_eq!(statements(&request), [format!(r#"{LINK} HostName("PC1")"#)]);
    }

    proptest! {
        #[test]
        fn a_name_says_the_same_in_pieces_of_any_size(name in "[a-z0-9-]{1,300}", size in 1_usize..255) {
            let pieces: Vec<_> = name
                .as_bytes()
                .chunks(size)
                .flat_map(|piece| [&[HOST_NAME, u8::try_from(piece.len()).unwrap()], piece].concat())
                .collect();
            prop_assume!(name.len().div_ceil(size) < OPTIONS_MAX);
            let request = message(REQUEST, [0; 4], &[b"\x35\x01\x03", &pieces]);
            let text = name.get(..255).unwrap_or(&name);
            prop_assert_eq!(statements(&request), [format!("{LINK} HostName({text:?})")]);
        }
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
