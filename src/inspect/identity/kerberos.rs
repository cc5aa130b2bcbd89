//! Kerberos (RFC 4120): who asks for a ticket, and who gets one. The names of the client and of its realm are not encrypted.
//!
//! Requests are about their sender, and what the server answers is about its receiver.

use super::text::Text;
use super::{IdentityFact, IdentitySource, Statement, Subject, Teller};
use crate::inspect::der::{Elements, INTEGER, OCTET_STRING, SEQUENCE};
use crate::inspect::{Match, Reader};

/// Addresses of one request that are read.
const ADDRESSES_MAX: usize = 16;

// First bytes of messages: tags of the class "application", constructed.
const AS_REQUEST: u8 = 0x6a;
const TGS_REQUEST: u8 = 0x6c;
const TGS_REPLY: u8 = 0x6d;
const AS_REQUEST_TYPE: u8 = 10;
const TGS_REQUEST_TYPE: u8 = 12;
/// Bytes of the length that precedes a message over TCP (section 7.2.2), and the largest that is believed.
const LENGTH: usize = 4;
const LENGTH_MAX: u32 = 1 << 20;
/// Bytes of one message over TCP that are read, its length among them: certificates may stand before the names (RFC 4556).
const MESSAGE_MAX: usize = 8192;

/// GeneralString.
const TEXT: u32 = 27;

// Types of names (section 6.2, [MS-KILE] section 2.2), and of addresses (section 7.5.3).
const UNKNOWN: u8 = 0;
const PRINCIPAL: u8 = 1;
const SERVICE_INSTANCE: u8 = 2;
const SERVICE_HOST: u8 = 3;
const ENTERPRISE: u8 = 10;
/// -128.
const MICROSOFT_PRINCIPAL: u8 = 0x80;
const NETBIOS_ADDRESS: u8 = 20;

/// Whether a datagram is a request for a ticket, or carries one.
pub(super) fn recognise(datagram: &[u8]) -> bool {
    matches!(datagram.first(), Some(AS_REQUEST..=TGS_REPLY)) && open(datagram).is_some()
}

/// The fields of a message behind its version and its type, and whether it is a request.
fn open(message: &[u8]) -> Option<(Elements<'_>, bool)> {
    let kind = message.first()? & 0x1f;
    let is_request = matches!(kind, AS_REQUEST_TYPE | TGS_REQUEST_TYPE);
    let mut fields = Elements::new(message);
    fields.enter(kind.into())?;
    fields.enter(SEQUENCE)?;
    // The numbers of a request's fields begin at 1.
    let first = u32::from(is_request);
    let version = integer(fields.of(first)?)?;
    let message_type = integer(fields.of(first + 1)?)?;
    (version == [5] && message_type == [kind]).then_some((fields, is_request))
}

fn integer(field: &[u8]) -> Option<&[u8]> {
    Elements::new(field).of(INTEGER)
}

/// Whether a stream begins with such a message behind its length, as it has over TCP.
#[must_use]
pub fn recognise_stream(bytes: &[u8]) -> Match {
    let mut reader = Reader::new(bytes);
    let Some(&first) = reader.rest().first() else { return Match::NeedMore };
    if first != 0 {
        return Match::No;
    }
    let Some(length) = reader.u32() else { return Match::NeedMore };
    if length > LENGTH_MAX {
        return Match::No;
    }
    match reader.rest() {
        message if recognise(message) => Match::Yes,
        [] => Match::NeedMore,
        // Tags and lengths before the type take less.
        [AS_REQUEST..=TGS_REPLY, rest @ ..] if rest.len() < 32 => Match::NeedMore,
        _ => Match::No,
    }
}

/// Reads the message that a stream begins with, behind its length. Its beginning is enough: names come before tickets.
pub fn read_stream(bytes: &[u8], tell: &mut impl FnMut(Statement<'_>)) {
    if let Some((_, message)) = bytes.split_first_chunk::<4>() {
        read(message, &mut Teller { source: IdentitySource::Kerberos, tell });
    }
}

/// The message that one side of a connection over TCP begins with. A client asks for one ticket per connection, or for the next in the same
/// name.
#[derive(Debug, Default)]
pub struct MessageStream {
    held: Vec<u8>,
}

impl MessageStream {
    /// Takes the next bytes of the stream. `tell` gets each statement, and whether a client made it. Says whether there is more to read.
    pub fn accept(&mut self, bytes: &[u8], tell: impl FnMut(bool, &Statement<'_>)) -> bool {
        let mut rest = bytes;
        loop {
            let wanted = match self.held.first_chunk::<LENGTH>() {
                None => LENGTH,
                Some(&length) => (u32::from_be_bytes(length) as usize).saturating_add(LENGTH).min(MESSAGE_MAX),
            };
            let missing = wanted.saturating_sub(self.held.len());
            if missing == 0 {
                self.finish(tell);
                return false;
            }
            if rest.is_empty() {
                return true;
            }
            let (taken, after) = rest.split_at(missing.min(rest.len()));
            self.held.extend_from_slice(taken);
            rest = after;
        }
    }

    /// Reads what there is of the message.
    pub fn finish(&mut self, mut tell: impl FnMut(bool, &Statement<'_>)) {
        let is_request = matches!(self.held.get(LENGTH), Some(&(AS_REQUEST | TGS_REQUEST)));
        read_stream(&self.held, &mut |statement| tell(is_request, &statement));
        self.clear();
    }

    /// Bytes held for now.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.held.len()
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Reads a message.
pub(super) fn read(message: &[u8], teller: &mut Teller<'_>) {
    let _ = read_message(message, teller);
}

fn read_message(message: &[u8], teller: &mut Teller<'_>) -> Option<()> {
    let (mut fields, is_request) = open(message)?;
    // What is entered need not be whole: a cut message has its first fields.
    if is_request {
        let _authentication = fields.of(3);
        fields.enter(4)?;
        fields.enter(SEQUENCE)?;
        let _options = fields.of(0)?;
        // Who asks with a ticket does not say it again.
        if let Some(client) = fields.of(1) {
            tell_client(client, Subject::Sender, teller);
            tell_realm(fields.of(2)?, Subject::Sender, teller);
        }
        // The service, times, a number, kinds of encryption.
        for number in 2..=8 {
            let _ = fields.of(number);
        }
        tell_addresses(fields.of(9)?, teller)
    } else {
        let _authentication = fields.of(2);
        tell_realm(fields.of(3)?, Subject::Receiver, teller);
        tell_client(fields.of(4)?, Subject::Receiver, teller)
    }
}

fn tell_realm(field: &[u8], about: Subject, teller: &mut Teller<'_>) {
    // Realms of this name belong to nobody (RFC 6111).
    if let Some(realm) = Elements::new(field).of(TEXT).filter(|realm| !realm.starts_with(b"WELLKNOWN:")) {
        teller.say_text(about, IdentityFact::Domain, &Text::of(realm));
    }
}

/// Tells the client's name: that of a user, of a machine (`PC1$`), or of a service on a machine (`host/pc1.corp.example`).
fn tell_client(field: &[u8], about: Subject, teller: &mut Teller<'_>) -> Option<()> {
    let mut name = Elements::new(Elements::new(field).of(SEQUENCE)?);
    let [kind] = *integer(name.of(0)?)? else { return None };
    let mut components = Elements::new(Elements::new(name.of(1)?).of(SEQUENCE)?);
    let (first, second) = (components.of(TEXT)?, components.of(TEXT));
    match (kind, second) {
        (UNKNOWN | PRINCIPAL | MICROSOFT_PRINCIPAL, None) => match first.strip_suffix(b"$") {
            Some(machine) => teller.say_text(about, IdentityFact::HostName, &Text::of(machine)),
            None => teller.say_text(about, IdentityFact::User, &Text::of(first)),
        },
        (ENTERPRISE, None) => teller.say_text(about, IdentityFact::User, &Text::of(first)),
        (UNKNOWN | PRINCIPAL | SERVICE_INSTANCE | SERVICE_HOST, Some(machine)) if first == b"host" => {
            teller.say_text(about, IdentityFact::HostName, &Text::of(machine));
        }
        _ => {}
    }
    Some(())
}

/// Tells the names among the addresses from which a client wants to use its ticket: Windows gives that of the machine.
fn tell_addresses(field: &[u8], teller: &mut Teller<'_>) -> Option<()> {
    let mut addresses = Elements::new(Elements::new(field).of(SEQUENCE)?);
    for _ in 0..ADDRESSES_MAX {
        let mut address = Elements::new(addresses.of(SEQUENCE)?);
        let kind = integer(address.of(0)?)?;
        let value = Elements::new(address.of(1)?).of(OCTET_STRING)?;
        if kind == [NETBIOS_ADDRESS] {
            // The sixteenth byte is a suffix.
            let name = value.get(..15).unwrap_or(value);
            teller.say_text(Subject::Sender, IdentityFact::HostName, &Text::of(name));
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::super::sample::{line, prefixes_say_no_more, statements};
    use super::*;
    use proptest::prelude::*;

    fn element(tag: u8, contents: &[&[u8]]) -> Vec<u8> {
        let content = contents.concat();
        let length = u16::try_from(content.len()).unwrap_or(0).to_be_bytes();
        [&[tag, 0x82], &length[..], &content].concat()
    }

    fn name(kind: u8, components: &[&[u8]]) -> Vec<u8> {
        let components: Vec<_> = components.iter().flat_map(|component| element(0x1b, &[component])).collect();
        element(0x30, &[&[0xa0, 3, 2, 1, kind], &element(0xa1, &[&element(0x30, &[&components])])])
    }

    fn realm() -> Vec<u8> {
        element(0x1b, &[b"CORP.EXAMPLE"])
    }

    fn request(client: &[u8]) -> Vec<u8> {
        let address = element(0x30, &[&[0xa0, 3, 2, 1, 20], &element(0xa1, &[&element(4, &[b"PC1             "])])]);
        let body = [
            &b"\xa0\x07\x03\x05\0\x40\x81\0\x10"[..],
            &element(0xa1, &[client]),
            &element(0xa2, &[&realm()]),
            &element(0xa3, &[&name(2, &[b"krbtgt", b"CORP.EXAMPLE"])]),
            &element(0xa7, &[&[2, 1, 7]]),
            &element(0xa8, &[&[0x30, 3, 2, 1, 18]]),
            &element(0xa9, &[&element(0x30, &[&address])]),
        ];
        let fields =
            [&[0xa1, 3, 2, 1, 5, 0xa2, 3, 2, 1, 10, 0xa3, 2, 0x30, 0][..], &element(0xa4, &[&element(0x30, &body)])];
        element(0x6a, &[&element(0x30, &fields)])
    }

    fn reply(kind: u8, client: &[u8]) -> Vec<u8> {
        let fields = [
            &[0xa0, 3, 2, 1, 5, 0xa1, 3, 2, 1, kind][..],
            &element(0xa3, &[&realm()]),
            &element(0xa4, &[client]),
            &element(0xa5, &[&[0; 40]]),
        ];
        element(0x60 | kind, &[&element(0x30, &fields)])
    }

    #[test]
    fn who_asks_is_named_with_the_machine_it_asks_from() {
        let message = request(&name(PRINCIPAL, &[b"jane"]));
        assert_eq!(
            statements(&message),
            [r#"Sender User("jane")"#, r#"Sender Domain("CORP.EXAMPLE")"#, r#"Sender HostName("PC1")"#]
        );
        prefixes_say_no_more(&message, statements);
    }

    #[test]
    fn a_ticket_names_who_gets_it() {
        for kind in [11, 13] {
            let message = reply(kind, &name(PRINCIPAL, &[b"PC1$"]));
            assert_eq!(statements(&message), [r#"Receiver Domain("CORP.EXAMPLE")"#, r#"Receiver HostName("PC1")"#]);
            prefixes_say_no_more(&message, statements);
        }
    }

    #[test]
    fn names_are_of_users_or_of_machines() {
        for (kind, components, said) in [
            (PRINCIPAL, &[&b"PC1$"[..]][..], Some(r#"HostName("PC1")"#)),
            (ENTERPRISE, &[b"jane@corp.example"], Some(r#"User("jane@corp.example")"#)),
            (PRINCIPAL, &[b"host", b"pc1.corp.example"], Some(r#"HostName("pc1.corp.example")"#)),
            (PRINCIPAL, &[b"jane", b"admin"], None),
            // Nobody.
            (11, &[b"WELLKNOWN", b"ANONYMOUS"], None),
        ] {
            let said = said.map(|said| format!("Receiver {said}"));
            assert_eq!(statements(&reply(11, &name(kind, components))).get(1), said.as_ref());
        }
    }

    #[test]
    fn over_tcp_a_length_comes_first() {
        let message = request(&name(PRINCIPAL, &[b"jane"]));
        let length = u32::try_from(message.len()).unwrap_or(0).to_be_bytes();
        let stream = [&length[..], &message].concat();
        let read = |bytes: &[u8]| {
            let mut said = Vec::new();
            read_stream(bytes, &mut |statement| said.push(line(statement)));
            said
        };
        assert_eq!(read(&stream), statements(&message));
        prefixes_say_no_more(&stream, read);
        let decisions: Vec<_> =
            (0..stream.len()).map(|end| recognise_stream(stream.get(..end).unwrap_or(&[]))).collect();
        let known = decisions.iter().position(|decision| *decision == Match::Yes);
        assert!(known.is_some_and(|known| known < 40));
        assert!(
            decisions
                .iter()
                .enumerate()
                .all(|(end, decision)| { *decision == if Some(end) < known { Match::NeedMore } else { Match::Yes } })
        );
        for other in [&b"\x16\x03\x01\0"[..], b"\0\xff\xff\xff", b"\0\0\0\x20\x05"] {
            assert_eq!(recognise_stream(other), Match::No);
        }
    }

    /// What a stream in pieces of `step` bytes says, and whether a client says it.
    fn said_in_pieces(stream: &[u8], step: usize) -> Vec<String> {
        let mut reader = MessageStream::default();
        let mut said = Vec::new();
        let mut tell =
            |by_client: bool, statement: &Statement<'_>| said.push(format!("{by_client} {}", line(*statement)));
        for piece in stream.chunks(step) {
            if !reader.accept(piece, &mut tell) {
                break;
            }
            assert!(reader.held_bytes() <= MESSAGE_MAX);
        }
        reader.finish(&mut tell);
        said
    }

    #[test]
    fn one_message_of_a_stream_is_read_in_pieces_of_any_size() {
        for (message, by_client) in
            [(request(&name(PRINCIPAL, &[b"jane"])), true), (reply(11, &name(PRINCIPAL, &[b"PC1$"])), false)]
        {
            let length = u32::try_from(message.len()).unwrap_or(0).to_be_bytes();
            let expected: Vec<_> = statements(&message).iter().map(|said| format!("{by_client} {said}")).collect();
            let another = [&length[..], &message, &length, &request(&name(PRINCIPAL, &[b"other"]))].concat();
            // A length that promises more than comes, and one that is too short.
            let long = [&[0, 0x0f, 0xff, 0xff], &message[..], &[0; MESSAGE_MAX]].concat();
            for step in [1, 2, 5, 100, another.len()] {
                assert_eq!(said_in_pieces(&another, step), expected);
                assert_eq!(said_in_pieces(&long, step), expected);
            }
            assert!(said_in_pieces(&[&[0, 0, 0, 9], &message[..]].concat(), 1).is_empty());
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_read_without_harm(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            kind in 0x6a..0x6e_u8,
            step in 1_usize..40,
        ) {
            let stream = [&[0, 0, 0, 180, kind], &bytes[..]].concat();
            prop_assert_eq!(said_in_pieces(&stream, step), said_in_pieces(&stream, stream.len()));
        }
    }
}
