//! Names that machines answer for themselves, in messages of the form of DNS: multicast DNS (RFC 6762) with DNS-SD (RFC 6763), and LLMNR
//! (RFC 4795).
//!
//! The bytes hardly differ from those of DNS. Whoever calls knows the group or the port that a message went to or came from.

use super::records::{HINFO, PTR, Record, Records, TXT, name_at, reverse_address, without_suffix};
use super::text::Text;
use super::{IdentityFact, IdentitySource, Statement, Subject, Teller};
use crate::decode::MacAddress;
use std::fmt::Write as _;
use std::net::IpAddr;

/// Flags of a message: a response, its operation, an answer with authority, its result.
const RESPONSE: u16 = 0x8000;
const OPERATION: u16 = 0x7800;
const AUTHORITY: u16 = 0x0400;
const RESULT: u16 = 0x000f;
/// In LLMNR: several machines have the name, or the sender does not yet know whether they do.
const CONFLICT: u16 = 0x0400;
const TENTATIVE: u16 = 0x0100;

/// Addresses of one message that are told the same.
const ADDRESSES_MAX: usize = 8;
/// The name under which workstations list their name and their link-layer address.
const WORKSTATIONS: &str = "_workstation._tcp.local";
/// Keys of a service's text that tell a model, and the services in which they do, where others mean something else by them:
/// `model` is Apple's, `ty` of printers and scanners, `md` of Chromecast and HomeKit, `am` of AirPlay's audio.
const MODEL_KEYS: [(&[u8], &[&str]); 4] =
    [(b"model", &[]), (b"ty", &[]), (b"md", &["_googlecast", "_hap"]), (b"am", &["_raop"])];
/// The major version of Darwin, in the text of `_device-info._tcp`.
const DARWIN_KEY: &[u8] = b"osxvers";

/// Reads a message that came from port 5353 or went to it, or to the groups 224.0.0.251 and ff02::fb. Only answers say something.
///
/// Models and systems are about the addresses that the same message gives, else about the sender: some routers repeat the messages of one
/// network in another.
pub fn read_mdns(datagram: &[u8], tell: &mut impl FnMut(Statement<'_>)) {
    let _ = mdns(datagram, &mut Teller { source: IdentitySource::Mdns, tell });
}

/// Reads a message that came from port 5355. Answers go to whoever asked, not to the groups 224.0.0.252 and ff02::1:3.
pub fn read_llmnr(datagram: &[u8], tell: &mut impl FnMut(Statement<'_>)) {
    let _ = llmnr(datagram, &mut Teller { source: IdentitySource::Llmnr, tell });
}

fn llmnr(message: &[u8], teller: &mut Teller<'_>) -> Option<()> {
    let (flags, records) = Records::of(message)?;
    if flags & (RESPONSE | OPERATION | CONFLICT | TENTATIVE | RESULT) == RESPONSE {
        for record in records {
            tell_name(message, &record, teller);
        }
    }
    Some(())
}

fn mdns(message: &[u8], teller: &mut Teller<'_>) -> Option<()> {
    let (flags, mut records) = Records::of(message)?;
    if flags & (RESPONSE | OPERATION | AUTHORITY | RESULT) != RESPONSE | AUTHORITY {
        return None;
    }
    let mut addresses = [None; ADDRESSES_MAX];
    let all = records;
    for record in records.by_ref() {
        if without_suffix(record.owner.as_str(), ".local").is_some() || record.kind == PTR {
            tell_name(message, &record, teller);
        }
        if let Some(address) = record.address()
            && !addresses.contains(&Some(address))
            && let Some(free) = addresses.iter_mut().find(|known| known.is_none())
        {
            *free = Some(address);
        }
    }
    // Addresses stand at the end. Without them one cannot tell whom the rest is about.
    if !records.is_over() {
        return None;
    }
    for record in all {
        tell_properties(&record, &addresses, teller);
    }
    Some(())
}

/// Tells the name that a record gives to an address or to a link-layer address.
fn tell_name(message: &[u8], record: &Record<'_>, teller: &mut Teller<'_>) -> Option<()> {
    if let Some(address) = record.address() {
        teller.say_text(Subject::Address(address), IdentityFact::HostName, &record.owner);
    } else if record.kind == PTR {
        if let Some(address) = reverse_address(record.owner.as_str()) {
            let (name, _) = name_at(message, record.data_at)?;
            teller.say_text(Subject::Address(address), IdentityFact::HostName, &name);
        } else if record.owner.as_str().eq_ignore_ascii_case(WORKSTATIONS) {
            let (instance, _) = name_at(message, record.data_at)?;
            let (name, rest) = instance.as_str().split_once(" [")?;
            let (mac, _) = rest.split_once(']')?;
            let mac: MacAddress = mac.parse().ok()?;
            teller.say_text(Subject::Link(mac), IdentityFact::HostName, &Text::of(name.as_bytes()));
        }
    }
    Some(())
}

/// Tells the model or the system that a record gives.
fn tell_properties(record: &Record<'_>, addresses: &[Option<IpAddr>], teller: &mut Teller<'_>) {
    let mut strings = record.data;
    let mut next_string = || {
        let (&length, rest) = strings.split_first()?;
        let (string, rest) = rest.split_at_checked(length.into())?;
        strings = rest;
        Some(string)
    };
    match record.kind {
        // Kind of processor, and system.
        HINFO => {
            if let Some(system) = next_string().and_then(|_| next_string()) {
                tell_of_all(addresses, IdentityFact::System, &Text::of(system), teller);
            }
        }
        TXT => {
            while let Some(string) = next_string() {
                let Some(equals) = memchr::memchr(b'=', string) else { continue };
                let (key, value) = string.split_at(equals);
                let value = Text::of(value.get(1..).unwrap_or(&[]));
                let is_model = MODEL_KEYS.iter().any(|(model, services)| {
                    key.eq_ignore_ascii_case(model)
                        && (services.is_empty()
                            || services.iter().any(|service| record.owner.as_str().contains(service)))
                });
                if is_model {
                    tell_of_all(addresses, IdentityFact::Device, &value, teller);
                } else if key.eq_ignore_ascii_case(DARWIN_KEY) && !value.as_str().is_empty() {
                    let mut system = Text::EMPTY;
                    // What does not fit is left out.
                    let _ = write!(system, "Darwin {}", value.as_str());
                    tell_of_all(addresses, IdentityFact::System, &system, teller);
                }
            }
        }
        _ => {}
    }
}

/// Tells one thing of each address, or of the sender when there is none.
fn tell_of_all<'a>(
    addresses: &[Option<IpAddr>],
    fact: fn(&'a str) -> IdentityFact<'a>,
    text: &'a Text,
    teller: &mut Teller<'_>,
) {
    if addresses.iter().all(Option::is_none) {
        teller.say_text(Subject::Sender, fact, text);
    }
    for address in addresses.iter().flatten() {
        teller.say_text(Subject::Address(*address), fact, text);
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{line, prefixes_say_no_more};
    use super::*;
    use proptest::prelude::*;

    fn said_in_mdns(datagram: &[u8]) -> Vec<String> {
        let mut said = Vec::new();
        read_mdns(datagram, &mut |statement| said.push(line(statement)));
        said
    }

    fn said_in_llmnr(datagram: &[u8]) -> Vec<String> {
        let mut said = Vec::new();
        read_llmnr(datagram, &mut |statement| said.push(line(statement)));
        said
    }

    fn message(flags: u16, questions: &[&[u8]], records: &[Vec<u8>]) -> Vec<u8> {
        let count = |count: usize| u16::try_from(count).unwrap_or(0).to_be_bytes();
        let header =
            [[0, 0], flags.to_be_bytes(), count(questions.len()), count(records.len()), [0, 0], [0, 0]].concat();
        [header, questions.concat(), records.concat()].concat()
    }

    fn record(owner: &[u8], kind: u16, ttl_s: u32, data: &[u8]) -> Vec<u8> {
        let length = u16::try_from(data.len()).unwrap_or(0);
        [owner, &kind.to_be_bytes(), &[0x80, 1], &ttl_s.to_be_bytes(), &length.to_be_bytes(), data].concat()
    }

    const PC1: &[u8] = b"\x03PC1\x05local\0";

    #[test]
    fn an_answer_names_addresses_and_what_is_behind_them() {
        let answer = message(
            0x8400,
            &[],
            &[
                record(PC1, 1, 120, &[10, 0, 0, 5]),
                record(
                    b"\x05Jane'\x0c_device-info\x04_tcp\x05local\0",
                    TXT,
                    120,
                    b"\x10model=Macmini9,1\x0aosxvers=21\x05other",
                ),
                record(b"\xc0\x0c", HINFO, 120, b"\x05ARM64\x05LINUX"),
                record(b"\x0c_workstation\x04_tcp\x05local\0", PTR, 120, b"\x17PC1 [02:00:00:00:00:01]\xc0\x0c"),
                record(b"\x015\x010\x010\x0210\x07in-addr\x04arpa\0", PTR, 120, b"\xc0\x0c"),
                // Taken back; of elsewhere.
                record(b"\x03PC2\x05local\0", 1, 0, &[10, 0, 0, 6]),
                record(b"\x03PC3\x07example\0", 1, 120, &[10, 0, 0, 5]),
            ],
        );
        assert_eq!(
            said_in_mdns(&answer),
            [
                r#"Address(10.0.0.5) HostName("PC1.local")"#,
                r#"Link(MacAddress([2, 0, 0, 0, 0, 1])) HostName("PC1")"#,
                r#"Address(10.0.0.5) HostName("PC1.local")"#,
                r#"Address(10.0.0.5) Device("Macmini9,1")"#,
                r#"Address(10.0.0.5) System("Darwin 21")"#,
                r#"Address(10.0.0.5) System("LINUX")"#,
            ]
        );
        prefixes_say_no_more(&answer, said_in_mdns);
    }

    #[test]
    fn without_an_address_a_model_is_the_sender_s() {
        let text = record(b"\x03TV1\x0b_googlecast\x04_tcp\x05local\0", TXT, 120, b"\x0dmd=Chromecast");
        assert_eq!(said_in_mdns(&message(0x8400, &[], &[text])), [r#"Sender Device("Chromecast")"#]);
        let other = record(b"\x03TV1\x05_raop\x04_tcp\x05local\0", TXT, 120, b"\x08md=0,1,2\x0dam=AppleTV2,1");
        assert_eq!(said_in_mdns(&message(0x8400, &[], &[other])), [r#"Sender Device("AppleTV2,1")"#]);
    }

    #[test]
    fn only_answers_with_authority_say_something() {
        let address = [record(PC1, 1, 120, &[10, 0, 0, 5])];
        for flags in [0x0000, 0x8000, 0x8403, 0xac00] {
            assert!(said_in_mdns(&message(flags, &[], &address)).is_empty());
        }
        let question = [PC1, b"\0\x01\0\x01"].concat();
        assert_eq!(said_in_mdns(&message(0x8400, &[&question], &address)).len(), 1);
    }

    #[test]
    fn an_answer_of_llmnr_names_an_address() {
        let question = b"\x03PC1\0\0\x01\0\x01";
        let records = [record(b"\xc0\x0c", 1, 30, &[10, 0, 0, 5])];
        let answer = message(0x8000, &[question], &records);
        assert_eq!(said_in_llmnr(&answer), [r#"Address(10.0.0.5) HostName("PC1")"#]);
        prefixes_say_no_more(&answer, said_in_llmnr);
        for flags in [0x0000, 0x8400, 0x8100, 0x8003] {
            assert!(said_in_llmnr(&message(flags, &[question], &records)).is_empty());
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let header = [0, 0, 0x84, 0, 0, 0, 0, 9, 0, 0, 0, 0];
            said_in_mdns(&[&header[..], &bytes].concat());
            said_in_llmnr(&bytes);
        }
    }
}
