//! NetBIOS over UDP (RFC 1001, RFC 1002): the name service, the datagram service, and the browser's announcements in it ([MS-BRWS]).
//!
//! A name has 15 bytes and a suffix that says what it is for. A unique name is one machine's; a group's name is that of a domain or
//! workgroup. Who only asks for a name says nothing of itself.

use super::text::Text;
use super::{IdentityFact, Subject, Teller};
use crate::decode::MacAddress;
use crate::inspect::Reader;
use std::fmt::Write as _;
use std::net::Ipv4Addr;

/// Bytes of a name in the encoding of the first level: each half of a byte is a letter (RFC 1001 section 14.1).
const ENCODED: u8 = 32;
/// Labels of a scope behind a name that are passed over.
const SCOPE_LABELS_MAX: usize = 16;
/// Addresses of one record that are read.
const ADDRESSES_MAX: usize = 32;

// Types of records.
const NB: u16 = 0x0020;
const NBSTAT: u16 = 0x0021;
/// A group's name, in the flags of a name.
const GROUP: u16 = 0x8000;

// Flags of a message, and operations.
const RESPONSE: u16 = 0x8000;
const RESERVED: u16 = 0x0060;
const QUERY: u16 = 0;
const REGISTRATION: u16 = 5;
const REFRESH: u16 = 8;
/// Some senders count from 1 (RFC 1002 section 4.2.4 gives both).
const REFRESH_OTHERWISE: u16 = 9;
const MULTIHOMED_REGISTRATION: u16 = 15;

// Suffixes.
const WORKSTATION: u8 = 0x00;
const SERVER: u8 = 0x20;
const DOMAIN_MASTER_BROWSER: u8 = 0x1b;
const DOMAIN_CONTROLLERS: u8 = 0x1c;
const MASTER_BROWSER: u8 = 0x1d;
const BROWSERS: u8 = 0x1e;

/// A name and its suffix.
#[derive(Clone, Copy)]
struct Name([u8; 16]);

impl Name {
    /// Reads the encoding of the first level.
    fn decode(encoded: &[u8]) -> Option<Self> {
        let mut name = [0; 16];
        let (pairs, _) = encoded.as_chunks::<2>();
        for (byte, [high, low]) in name.iter_mut().zip(pairs) {
            let (b'A'..=b'P', b'A'..=b'P') = (*high, *low) else { return None };
            *byte = (high - b'A') << 4 | (low - b'A');
        }
        (pairs.len() == name.len()).then_some(Self(name))
    }

    const fn suffix(self) -> u8 {
        let [.., suffix] = self.0;
        suffix
    }

    fn text(self) -> Text {
        Text::of(self.0.get(..15).unwrap_or(&[]))
    }

    /// What the name makes of a machine that has it.
    fn fact<'a>(self, is_group: bool) -> Option<fn(&'a str) -> IdentityFact<'a>> {
        // Groups of programs, and names of Microsoft's web server.
        if [&b"\x01\x02__MSBROWSE__"[..], b"INet~", b"IS~", b"*"].iter().any(|other| self.0.starts_with(other)) {
            return None;
        }
        match (self.suffix(), is_group) {
            (WORKSTATION | SERVER, false) => Some(IdentityFact::HostName),
            (WORKSTATION | DOMAIN_CONTROLLERS | BROWSERS, true) | (DOMAIN_MASTER_BROWSER | MASTER_BROWSER, false) => {
                Some(IdentityFact::Domain)
            }
            _ => None,
        }
    }

    fn tell(self, is_group: bool, about: Subject, teller: &mut Teller<'_>) {
        if let Some(fact) = self.fact(is_group) {
            teller.say_text(about, fact, &self.text());
        }
    }
}

/// Reads the name at `at`, and says where the bytes after it begin. It may point back to one other name.
fn read_name(message: &[u8], at: usize) -> Option<(Name, usize)> {
    if let [high @ 0xc0..=0xff, low, ..] = *message.get(at..)? {
        let target = usize::from(u16::from_be_bytes([high & 0x3f, low]));
        let (name, _) = read_name_itself(message, target).filter(|_| target < at)?;
        return Some((name, at + 2));
    }
    read_name_itself(message, at)
}

fn read_name_itself(message: &[u8], at: usize) -> Option<(Name, usize)> {
    let mut reader = Reader::new(message.get(at..)?);
    if reader.u8()? != ENCODED {
        return None;
    }
    let name = Name::decode(reader.take(ENCODED.into())?)?;
    for _ in 0..SCOPE_LABELS_MAX {
        match reader.u8()? {
            0 => return Some((name, message.len() - reader.rest().len())),
            length @ ..64 => reader.skip(length.into())?,
            0xc0.. => {
                reader.skip(1)?;
                return Some((name, message.len() - reader.rest().len()));
            }
            _ => return None,
        }
    }
    None
}

/// Whether a datagram is a message of the name service. DNS has the same form: its names differ.
pub(super) fn recognise_name_service(datagram: &[u8]) -> bool {
    const NAME_AT: usize = 12;
    let Some(&[ENCODED, b'A'..=b'P', b'A'..=b'P']) = datagram.get(NAME_AT..).and_then(<[u8]>::first_chunk) else {
        return false;
    };
    let Some((_, after)) = read_name(datagram, NAME_AT) else { return false };
    matches!(Reader::new(datagram.get(after..).unwrap_or(&[])).u16(), Some(NB | NBSTAT))
}

/// Tells the two names in a request for a session (RFC 1002 section 4.3.2): whom it is for, and who asks.
pub(super) fn tell_session_names(body: &[u8], teller: &mut Teller<'_>) {
    if let Some((called, at)) = read_name_itself(body, 0) {
        called.tell(false, Subject::Receiver, teller);
        if let Some((calling, _)) = read_name_itself(body, at) {
            calling.tell(false, Subject::Sender, teller);
        }
    }
}

/// Reads a message of the name service.
pub(super) fn read_name_service(datagram: &[u8], teller: &mut Teller<'_>) {
    let _ = read_names(datagram, teller);
}

fn read_names(message: &[u8], teller: &mut Teller<'_>) -> Option<()> {
    let mut reader = Reader::new(message);
    let [_id, flags, questions, _answers, _authorities, _additional] =
        [reader.u16()?, reader.u16()?, reader.u16()?, reader.u16()?, reader.u16()?, reader.u16()?];
    let is_response = flags & RESPONSE != 0;
    match flags >> 11 & 0x0f {
        QUERY if is_response => {}
        REGISTRATION | REFRESH | REFRESH_OTHERWISE | MULTIHOMED_REGISTRATION => {}
        _ => return None,
    }
    // A result other than success says that the name is not had.
    if flags & RESERVED != 0 || flags & 0x0f != 0 {
        return None;
    }
    let mut at = message.len() - reader.rest().len();
    if questions > 0 {
        at = read_name(message, at)?.1 + 4;
    }
    let (name, after) = read_name(message, at)?;
    let mut record = Reader::new(message.get(after..)?);
    let [kind, _class] = [record.u16()?, record.u16()?];
    record.skip(4)?;
    let length = record.u16()?;
    match kind {
        NB => {
            let mut entries = record.sub_lax(length.into());
            for _ in 0..ADDRESSES_MAX {
                let is_group = entries.u16()? & GROUP != 0;
                let address = Ipv4Addr::from(entries.array::<4>()?);
                if !address.is_unspecified() && !address.is_broadcast() {
                    name.tell(is_group, Subject::Address(address.into()), teller);
                } else if !is_response {
                    name.tell(is_group, Subject::Sender, teller);
                }
            }
        }
        NBSTAT if is_response => read_node_status(record.sub_lax(length.into()), teller)?,
        _ => {}
    }
    Some(())
}

/// Reads a machine's own list of names, and its link-layer address behind them (RFC 1002 section 4.2.18).
fn read_node_status(mut reader: Reader<'_>, teller: &mut Teller<'_>) -> Option<()> {
    let count = usize::from(reader.u8()?);
    let names = reader;
    let of = |mut names: Reader<'_>, about, teller: &mut Teller<'_>| {
        for _ in 0..count {
            let Some((name, flags)) = names.array().zip(names.u16()) else { return };
            Name(name).tell(flags & GROUP != 0, about, teller);
        }
    };
    of(names, Subject::Sender, teller);
    reader.skip(count * 18)?;
    let mac: [u8; 6] = reader.array()?;
    if mac != [0; 6] {
        of(names, Subject::Link(MacAddress(mac)), teller);
    }
    Some(())
}

/// Where the name of the sender stands in a message of the datagram service.
const SOURCE_AT: usize = 14;

/// Whether a datagram is a message of the datagram service: to one, to a group, or to all.
pub(super) fn recognise_datagram_service(datagram: &[u8]) -> bool {
    matches!(datagram.first(), Some(0x10..=0x12)) && read_name(datagram, SOURCE_AT).is_some()
}

/// Reads a message of the datagram service.
pub(super) fn read_datagram_service(datagram: &[u8], teller: &mut Teller<'_>) {
    let _ = read_datagram(datagram, teller);
}

fn read_datagram(datagram: &[u8], teller: &mut Teller<'_>) -> Option<()> {
    let mut reader = Reader::new(datagram);
    // Type, flags, identifier.
    reader.skip(4)?;
    let source = Ipv4Addr::from(reader.array::<4>()?);
    // Port, length.
    reader.skip(4)?;
    let offset = reader.u16()?;
    let about = if source.is_unspecified() { Subject::Sender } else { Subject::Address(source.into()) };
    let (sender, after) = read_name(datagram, SOURCE_AT)?;
    if matches!(sender.suffix(), WORKSTATION | SERVER) {
        sender.tell(false, about, teller);
    }
    let (receiver, after) = read_name(datagram, after)?;
    // The beginning of a message that was sent in parts has all of this.
    let announcement = Announcement::read(datagram.get(after..).filter(|_| offset == 0)?)?;
    announcement.tell(receiver, about, teller)
}

/// What a machine makes known to the browsers of its network ([MS-BRWS] section 2.2).
struct Announcement<'a> {
    kind: u8,
    body: Reader<'a>,
}

impl<'a> Announcement<'a> {
    const HOST: u8 = 0x01;
    const DOMAIN: u8 = 0x0c;
    const LOCAL_MASTER: u8 = 0x0f;
    /// A server that runs on Xenix, or any Unix: Samba says so.
    const UNIX: u32 = 0x0000_0800;

    /// Finds it in a transaction of SMB ([MS-CIFS] section 2.2.4.33.1).
    fn read(message: &'a [u8]) -> Option<Self> {
        const HEADER: usize = 32;
        const TRANSACTION: u8 = 0x25;
        const MAILSLOT: &[u8] = b"\\MAILSLOT\\BROWSE\0";
        let mut reader = Reader::new(message.strip_prefix(b"\xffSMB")?);
        if reader.u8()? != TRANSACTION {
            return None;
        }
        let mut reader = Reader::new(message.get(HEADER..)?);
        let words = usize::from(reader.u8()?);
        let mut parameters = reader.sub(words * 2)?;
        // Counts, limits, flags, a time, and where the parameters are.
        parameters.skip(22)?;
        let [_count, offset] =
            [parameters.array().map(u16::from_le_bytes)?, parameters.array().map(u16::from_le_bytes)?];
        // How many bytes follow.
        reader.skip(2)?;
        let slot = reader.take(MAILSLOT.len())?;
        if !slot.eq_ignore_ascii_case(MAILSLOT) {
            return None;
        }
        let mut body = Reader::new(message.get(offset.into()..)?);
        let kind = body.u8()?;
        // How often it was sent, and how often it will be.
        body.skip(5)?;
        Some(Self { kind, body })
    }

    fn tell(mut self, receiver: Name, about: Subject, teller: &mut Teller<'_>) -> Option<()> {
        let name = Text::of(&self.body.array::<16>()?);
        match self.kind {
            Self::HOST | Self::LOCAL_MASTER => teller.say_text(about, IdentityFact::HostName, &name),
            // By the master browser of a workgroup, whose name it gives.
            Self::DOMAIN => {
                teller.say_text(about, IdentityFact::Domain, &name);
                return Some(());
            }
            _ => return None,
        }
        // Announcements go to the master browser of one's workgroup, or to its browsers.
        if matches!(receiver.suffix(), MASTER_BROWSER | BROWSERS) {
            teller.say_text(about, IdentityFact::Domain, &receiver.text());
        }
        let [major, minor] = self.body.array()?;
        let kind = self.body.array().map(u32::from_le_bytes)?;
        let mut system = Text::EMPTY;
        let family = if kind & Self::UNIX == 0 { "Windows NT" } else { "Unix, as Windows NT" };
        // There is room for it.
        let _ = write!(system, "{family} {major}.{minor}");
        teller.say_text(about, IdentityFact::System, &system);
        // Version of the protocol, signature.
        self.body.skip(4)?;
        let comment = self.body.rest();
        let comment = comment.get(..comment.iter().position(|&byte| byte == 0)?)?;
        // Samba's own comment tells its version, and often that of the system.
        let is_samba = comment.windows(5).any(|word| word.eq_ignore_ascii_case(b"samba"));
        let fact = if is_samba { IdentityFact::System } else { IdentityFact::Device };
        teller.say_text(about, fact, &Text::of(comment));
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{prefixes_say_no_more, statements};
    use super::*;

    fn name(text: &str, suffix: u8) -> [u8; 16] {
        let mut name = [b' '; 16];
        name.iter_mut().zip(text.bytes()).for_each(|(into, byte)| *into = byte);
        if let Some(last) = name.last_mut() {
            *last = suffix;
        }
        name
    }

    fn encoded(text: &str, suffix: u8) -> Vec<u8> {
        let letters = name(text, suffix).into_iter().flat_map(|byte| [b'A' + (byte >> 4), b'A' + (byte & 15)]);
        [ENCODED].into_iter().chain(letters).chain([0]).collect()
    }

    fn registration(flags: [u8; 2], text: &str, suffix: u8, name_flags: u8) -> Vec<u8> {
        [
            &[7, 7, flags[0], flags[1], 0, 1, 0, 0, 0, 0, 0, 1][..],
            &encoded(text, suffix),
            b"\0\x20\0\x01\xc0\x0c\0\x20\0\x01\0\0\x0e\x10\0\x06",
            &[name_flags, 0, 10, 0, 0, 5],
        ]
        .concat()
    }

    #[test]
    fn registered_names_are_of_hosts_or_of_groups() {
        let whole = registration([0x29, 0x10], "PC1", 0, 0);
        assert_eq!(statements(&whole), [r#"Address(10.0.0.5) HostName("PC1")"#]);
        prefixes_say_no_more(&whole, statements);
        for (suffix, flags, said) in [
            (0x20, 0, Some(r#"HostName("X")"#)),
            (0x00, 0x80, Some(r#"Domain("X")"#)),
            (0x1b, 0, Some(r#"Domain("X")"#)),
            (0x1c, 0x80, Some(r#"Domain("X")"#)),
            (0x1d, 0, Some(r#"Domain("X")"#)),
            (0x1e, 0x80, Some(r#"Domain("X")"#)),
            // A user's name, or a machine's.
            (0x03, 0, None),
            (0x20, 0x80, None),
        ] {
            let said: Vec<_> = said.map(|said| format!("Address(10.0.0.5) {said}")).into_iter().collect();
            assert_eq!(statements(&registration([0x40, 0], "X", suffix, flags)), said, "{suffix:x}");
        }
        assert!(statements(&registration([0x29, 0x10], "\x01\x02__MSBROWSE__\x02", 1, 0x80)).is_empty());
        // Releases, failures, and who asks.
        for flags in [[0x30, 0], [0xad, 0x86], [0x01, 0x10]] {
            assert!(statements(&registration(flags, "PC1", 0, 0)).is_empty());
        }
    }

    #[test]
    fn an_answer_tells_who_has_the_name() {
        let answer = [
            &[7, 7, 0x85, 0, 0, 0, 0, 1, 0, 0, 0, 0][..],
            &encoded("PC1", 0x20),
            b"\0\x20\0\x01\0\0\x0e\x10\0\x0c\0\0\x0a\0\0\x05\0\0\xc0\0\x02\x05",
        ]
        .concat();
        let said = [r#"Address(10.0.0.5) HostName("PC1")"#, r#"Address(192.0.2.5) HostName("PC1")"#];
        assert_eq!(statements(&answer), said);
        prefixes_say_no_more(&answer, statements);
    }

    #[test]
    fn a_node_s_status_tells_its_names_and_its_card() {
        let status = [
            &[7, 7, 0x84, 0, 0, 0, 0, 1, 0, 0, 0, 0][..],
            &encoded("*", 0),
            b"\0\x21\0\x01\0\0\0\0\0\x6b\x03",
            &name("PC1", 0),
            b"\x04\0",
            &name("CORP", 0),
            b"\x84\0",
            &name("PC1", 3),
            b"\x04\0",
            b"\x02\0\0\0\0\x01",
            &[0; 40],
        ]
        .concat();
        let facts = [r#"HostName("PC1")"#, r#"Domain("CORP")"#];
        let said: Vec<_> = ["Sender", "Link(MacAddress([2, 0, 0, 0, 0, 1]))"]
            .iter()
            .flat_map(|about| facts.map(|fact| format!("{about} {fact}")))
            .collect();
        assert_eq!(statements(&status), said);
        prefixes_say_no_more(&status, statements);
    }

    fn announcement(kind: u8, announced: &str, server_type: u32, receiver: (&str, u8), comment: &[u8]) -> Vec<u8> {
        let mut fixed_name = [0; 16];
        fixed_name.iter_mut().zip(announced.bytes()).for_each(|(into, byte)| *into = byte);
        let body = [
            &[kind, 0, 0xc0, 0xd4, 1, 0],
            &fixed_name[..],
            &[10, 0],
            &server_type.to_le_bytes(),
            b"\x0f\x01\x55\xaa",
            comment,
            b"\0",
        ]
        .concat();
        [
            &[0x11, 2, 7, 7, 10, 0, 0, 5, 0, 138, 0, 0, 0, 0][..],
            &encoded("PC1", 0),
            &encoded(receiver.0, receiver.1),
            b"\xffSMB\x25",
            &[0; 27],
            &[17],
            &[0; 22],
            &[0, 0, 86, 0],
            &[3, 0, 1, 0, 0, 0, 2, 0],
            &[0, 0],
            b"\\MAILSLOT\\BROWSE\0",
            &body,
        ]
        .concat()
    }

    #[test]
    fn announcements_tell_name_workgroup_and_system() {
        let host = announcement(1, "PC1", 0x1003, ("CORP", 0x1d), b"Front desk");
        let facts = [
            r#"HostName("PC1")"#,
            r#"HostName("PC1")"#,
            r#"Domain("CORP")"#,
            r#"System("Windows NT 10.0")"#,
            r#"Device("Front desk")"#,
        ];
        assert_eq!(statements(&host), facts.map(|fact| format!("Address(10.0.0.5) {fact}")));
        prefixes_say_no_more(&host, statements);
        let samba = announcement(0x0f, "PC1", 0x1803, ("CORP", 0x1e), b"Samba 4.17.12-Debian");
        let said = statements(&samba);
        assert_eq!(
            said.get(3..).unwrap_or(&[]),
            [
                r#"Address(10.0.0.5) System("Unix, as Windows NT 10.0")"#,
                r#"Address(10.0.0.5) System("Samba 4.17.12-Debian")"#
            ]
        );
        let domain = announcement(0x0c, "CORP", 0x1003, ("\x01\x02__MSBROWSE__\x02", 1), b"PC1");
        let facts = [r#"HostName("PC1")"#, r#"Domain("CORP")"#];
        assert_eq!(statements(&domain), facts.map(|fact| format!("Address(10.0.0.5) {fact}")));
    }
}
