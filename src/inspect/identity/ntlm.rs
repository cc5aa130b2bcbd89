//! NTLM ([MS-NLMP]): machines, domains and users in the tokens that SMB, HTTP, LDAP and others carry.
//!
//! Each of the three messages is about its sender: the client's offer, the server's challenge, the client's proof.

use super::text::Text;
use super::{IdentityFact, IdentitySource, Statement, Subject, Teller};
use crate::inspect::Reader;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt::Write as _;

const SIGNATURE: &[u8] = b"NTLMSSP\0";
/// Characters of a token in HTTP that are read, and the bytes that they stand for. Names stand before the keys.
const HEADER_MAX: usize = 4096;
const TOKEN_MAX: usize = HEADER_MAX / 4 * 3;
/// What a server says of itself: entries of one challenge that are read.
const PAIRS_MAX: usize = 16;

const NEGOTIATE: u32 = 1;
const CHALLENGE: u32 = 2;
const AUTHENTICATE: u32 = 3;

// Flags (section 2.2.2.5).
const UNICODE: u32 = 0x0000_0001;
const HAS_DOMAIN: u32 = 0x0000_1000;
const HAS_WORKSTATION: u32 = 0x0000_2000;
const HAS_TARGET_INFO: u32 = 0x0080_0000;
const HAS_VERSION: u32 = 0x0200_0000;

// What a server says of itself (section 2.2.2.1).
const END: u16 = 0;
const NETBIOS_COMPUTER: u16 = 1;
const NETBIOS_DOMAIN: u16 = 2;
const DNS_COMPUTER: u16 = 3;
const DNS_DOMAIN: u16 = 4;

/// The token in these bytes: from its signature on.
#[must_use]
pub fn find(bytes: &[u8]) -> Option<&[u8]> {
    bytes.get(memchr::memmem::find(bytes, SIGNATURE)?..)
}

/// Reads a token, which begins with its signature. What follows it is not read.
pub fn read(token: &[u8], tell: &mut impl FnMut(Statement<'_>)) {
    let teller = &mut Teller { source: IdentitySource::Ntlm, tell };
    let token = Token(token);
    let _ = match token.kind() {
        Some(NEGOTIATE) => token.read_offer(teller),
        Some(CHALLENGE) => token.read_challenge(teller),
        Some(AUTHENTICATE) => token.read_proof(teller),
        _ => None,
    };
}

/// Whether a token is the last of its sender: a server's challenge, or a client's proof.
#[must_use]
pub fn is_last(token: &[u8]) -> bool {
    matches!(Token(token).kind(), Some(CHALLENGE | AUTHENTICATE))
}

/// Reads the token in the value of an `Authorization`, `Proxy-Authorization`, `WWW-Authenticate` or `Proxy-Authenticate` field of HTTP.
pub fn read_http_field(value: &[u8], tell: &mut impl FnMut(Statement<'_>)) {
    let _ = decode(value, |token| read(token, tell));
}

/// Decodes what follows the name of the scheme, alone or within SPNEGO (RFC 4559), and hands on the token in it.
fn decode(value: &[u8], take: impl FnOnce(&[u8])) -> Option<()> {
    let value = value.trim_ascii();
    let space = memchr::memchr(b' ', value)?;
    let (scheme, encoded) = value.split_at(space);
    if !scheme.eq_ignore_ascii_case(b"NTLM") && !scheme.eq_ignore_ascii_case(b"Negotiate") {
        return None;
    }
    let encoded = encoded.trim_ascii();
    let encoded = encoded.get(..HEADER_MAX).unwrap_or(encoded);
    // A value that was cut has its first groups of four.
    let encoded = encoded.get(..encoded.len() / 4 * 4)?;
    let mut token = [0; TOKEN_MAX];
    let length = STANDARD.decode_slice(encoded, &mut token).ok()?;
    take(find(token.get(..length)?)?);
    Some(())
}

/// A token from its signature on.
#[derive(Clone, Copy)]
struct Token<'a>(&'a [u8]);

impl<'a> Token<'a> {
    fn at(self, offset: usize) -> Option<Reader<'a>> {
        self.0.get(offset..).map(Reader::new)
    }

    fn number(self, offset: usize) -> Option<u32> {
        self.at(offset)?.array().map(u32::from_le_bytes)
    }

    fn kind(self) -> Option<u32> {
        self.0.starts_with(SIGNATURE).then(|| self.number(SIGNATURE.len()))?
    }

    /// The bytes that the length and the offset at `at` lead to; they stand behind all of those.
    fn field(self, at: usize) -> Option<&'a [u8]> {
        let mut reader = self.at(at)?;
        let length = reader.array().map(u16::from_le_bytes)?;
        // As much as there is room for.
        reader.skip(2)?;
        let offset = reader.array().map(u32::from_le_bytes)?;
        self.at(usize::try_from(offset).ok()?)?.take(length.into())
    }

    fn read_offer(self, teller: &mut Teller<'_>) -> Option<()> {
        let flags = self.number(12)?;
        // Before the two agree on Unicode, names are in the client's own character set.
        if flags & HAS_DOMAIN != 0 || self.is_plain_name(16) {
            let domain = Text::of(self.field(16)?);
            teller.say_text(Subject::Sender, IdentityFact::Domain, &domain);
        }
        if flags & HAS_WORKSTATION != 0 || self.is_plain_name(24) {
            let workstation = Text::of(self.field(24)?);
            teller.say_text(Subject::Sender, IdentityFact::HostName, &workstation);
        }
        self.tell_version(flags, 32, teller)
    }

    /// Whether the length and the offset at `at` are those of a name, which Samba does not announce by a flag: there is exactly as much
    /// room as needed, behind the fixed part.
    fn is_plain_name(self, at: usize) -> bool {
        const FIXED: u32 = 32;
        let Some([low, high, room_low, room_high, offset @ ..]) = self.at(at).and_then(|mut field| field.array::<8>())
        else {
            return false;
        };
        [low, high] == [room_low, room_high] && [low, high] != [0; 2] && u32::from_le_bytes(offset) >= FIXED
    }

    fn read_challenge(self, teller: &mut Teller<'_>) -> Option<()> {
        let flags = self.number(20)?;
        if flags & HAS_TARGET_INFO != 0
            && let Some(info) = self.field(40)
        {
            let pair = |wanted| pairs(info).find_map(|(kind, value)| (kind == wanted).then(|| Text::of_utf16(value)));
            let mut of_computer = [None; 2];
            for (name, [computer, domain]) in
                of_computer.iter_mut().zip([[NETBIOS_COMPUTER, NETBIOS_DOMAIN], [DNS_COMPUTER, DNS_DOMAIN]])
            {
                *name = pair(computer);
                if let Some(name) = name {
                    teller.say_text(Subject::Sender, IdentityFact::HostName, name);
                }
                // A machine without a domain names itself.
                if let Some(domain) = pair(domain)
                    && !name.is_some_and(|name| name.as_str().eq_ignore_ascii_case(domain.as_str()))
                {
                    teller.say_text(Subject::Sender, IdentityFact::Domain, &domain);
                }
            }
        }
        self.tell_version(flags, 48, teller)
    }

    fn read_proof(self, teller: &mut Teller<'_>) -> Option<()> {
        let flags = self.number(60)?;
        let text = if flags & UNICODE == 0 { Text::of } else { Text::of_utf16 };
        let [domain, user, workstation] = [28, 36, 44].map(|at| self.field(at).map(text));
        // All names, or it was cut: without that of the machine one cannot tell a domain from it.
        let (domain, user, workstation) = (domain?, user?, workstation?);
        teller.say_text(Subject::Sender, IdentityFact::HostName, &workstation);
        // Nobody's name is empty.
        if !user.as_str().is_empty() {
            match user.as_str().strip_suffix('$') {
                Some(machine) => teller.say(Subject::Sender, IdentityFact::HostName(machine)),
                None => teller.say(Subject::Sender, IdentityFact::User(user.as_str())),
            }
            // Users of the machine itself have its name for a domain.
            if !domain.as_str().eq_ignore_ascii_case(workstation.as_str()) && domain.as_str() != "." {
                teller.say_text(Subject::Sender, IdentityFact::Domain, &domain);
            }
        }
        self.tell_version(flags, 64, teller)
    }

    /// Tells the version of Windows, or the one that others pass for (section 2.2.2.10).
    fn tell_version(self, flags: u32, at: usize, teller: &mut Teller<'_>) -> Option<()> {
        if flags & HAS_VERSION == 0 {
            return None;
        }
        let mut reader = self.at(at)?;
        let [major, minor] = reader.array()?;
        let build = reader.array().map(u16::from_le_bytes)?;
        // Reserved, and the revision of the protocol, which is 15.
        let [_, _, _, 15] = reader.array()? else { return None };
        if major > 0 {
            let mut system = Text::EMPTY;
            // There is room for it.
            let _ = write!(system, "Windows NT {major}.{minor}.{build}");
            teller.say_text(Subject::Sender, IdentityFact::System, &system);
        }
        Some(())
    }
}

/// Kind and value of what a server says of itself.
fn pairs(info: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut reader = Reader::new(info);
    std::iter::from_fn(move || {
        let kind = reader.array().map(u16::from_le_bytes).filter(|&kind| kind != END)?;
        let length = reader.array().map(u16::from_le_bytes)?;
        Some((kind, reader.take(length.into())?))
    })
    .take(PAIRS_MAX)
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::sample::{line, prefixes_say_no_more};
    use super::*;
    use proptest::prelude::*;

    const VERSION: [u8; 8] = [10, 0, 0x61, 0x4a, 0, 0, 0, 15];

    fn said(token: &[u8]) -> Vec<String> {
        let mut said = Vec::new();
        read(token, &mut |statement| said.push(line(statement)));
        said
    }

    fn utf16(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    /// A message whose fixed part has `fixed`, with the places of `fields` at the numbers before them.
    fn token(kind: u8, mut fixed: Vec<u8>, fields: &[(usize, Vec<u8>)]) -> Vec<u8> {
        let start = fixed.len();
        let mut tail = Vec::new();
        for (at, field) in fields {
            let length = u16::try_from(field.len()).unwrap_or(0).to_le_bytes();
            let offset = u32::try_from(start + tail.len()).unwrap_or(0).to_le_bytes();
            fixed.splice(at..&(at + 8), [&length[..], &length, &offset].concat());
            tail.extend_from_slice(field);
        }
        fixed.splice(..12, [SIGNATURE, &[kind, 0, 0, 0]].concat());
        fixed.extend(tail);
        fixed
    }

    fn with_flags(length: usize, at: usize, flags: u32, version_at: usize) -> Vec<u8> {
        let mut fixed = vec![0; length];
        fixed.splice(at..at + 4, flags.to_le_bytes());
        fixed.splice(version_at..version_at + 8, VERSION);
        fixed
    }

    /// With the flags that announce its names, or without, as Samba's is.
    pub(in super::super) fn offer(is_announced: bool) -> Vec<u8> {
        let flags = if is_announced { HAS_DOMAIN | HAS_WORKSTATION | HAS_VERSION } else { 0 };
        token(1, with_flags(40, 12, flags, 32), &[(24, b"PC1".to_vec()), (16, b"CORP".to_vec())])
    }

    pub(in super::super) fn proof(domain: &str, user: &str, workstation: &str) -> Vec<u8> {
        let fields = [(28, utf16(domain)), (36, utf16(user)), (44, utf16(workstation)), (20, vec![7; 40])];
        token(3, with_flags(88, 60, UNICODE | HAS_VERSION, 64), &fields)
    }

    pub(in super::super) fn challenge(computer: &str, domain: &str) -> Vec<u8> {
        let pair = |kind: u16, text: &str| {
            let value = utf16(text);
            [&kind.to_le_bytes(), &u16::try_from(value.len()).unwrap_or(0).to_le_bytes(), &value[..]].concat()
        };
        let info = [
            pair(NETBIOS_DOMAIN, domain),
            pair(NETBIOS_COMPUTER, computer),
            pair(DNS_DOMAIN, "corp.example"),
            pair(DNS_COMPUTER, "fs1.corp.example"),
            pair(END, ""),
        ];
        let flags = UNICODE | HAS_TARGET_INFO | HAS_VERSION;
        token(2, with_flags(56, 20, flags, 48), &[(12, utf16(domain)), (40, info.concat())])
    }

    #[test]
    fn an_offer_names_the_machine_in_its_own_character_set() {
        let offer = self::offer(true);
        let facts = [r#"Domain("CORP")"#, r#"HostName("PC1")"#, r#"System("Windows NT 10.0.19041")"#];
        assert_eq!(said(&offer), facts.map(|fact| format!("Sender {fact}")));
        prefixes_say_no_more(&offer, said);
        assert_eq!(said(&self::offer(false)), [r#"Sender Domain("CORP")"#, r#"Sender HostName("PC1")"#]);
        let nothing = [SIGNATURE, &[1, 0, 0, 0, 0, 0, 0, 0], &utf16("Windows for nobody")].concat();
        assert!(said(&nothing).is_empty());
    }

    #[test]
    fn a_challenge_names_the_server() {
        let message = challenge("FS1", "CORP");
        let facts = [
            r#"HostName("FS1")"#,
            r#"Domain("CORP")"#,
            r#"HostName("fs1.corp.example")"#,
            r#"Domain("corp.example")"#,
            r#"System("Windows NT 10.0.19041")"#,
        ];
        assert_eq!(said(&message), facts.map(|fact| format!("Sender {fact}")));
        prefixes_say_no_more(&message, said);
        assert!(!said(&challenge("FS1", "fs1")).contains(&r#"Sender Domain("fs1")"#.to_owned()));
    }

    #[test]
    fn a_proof_names_machine_domain_and_user() {
        let message = proof("CORP", "jane", "PC1");
        let facts =
            [r#"HostName("PC1")"#, r#"User("jane")"#, r#"Domain("CORP")"#, r#"System("Windows NT 10.0.19041")"#];
        assert_eq!(said(&message), facts.map(|fact| format!("Sender {fact}")));
        prefixes_say_no_more(&message, said);
        let first = |message: &[u8]| said(message).into_iter().take(2).collect::<Vec<_>>();
        // A user of the machine itself, the machine, nobody.
        assert_eq!(
            said(&proof("pc1", "jane", "PC1")).get(2).map(String::as_str),
            Some(r#"Sender System("Windows NT 10.0.19041")"#)
        );
        assert_eq!(first(&proof("CORP", "PC1$", "")), [r#"Sender HostName("PC1")"#, r#"Sender Domain("CORP")"#]);
        assert_eq!(
            first(&proof("", "", "PC1")),
            [r#"Sender HostName("PC1")"#, r#"Sender System("Windows NT 10.0.19041")"#]
        );
    }

    #[test]
    fn tokens_are_found_in_other_bytes_and_in_http() {
        let message = proof("CORP", "jane", "PC1");
        let within = [b"\x60\x48\x06\x06", &message[..], b"\0\0"].concat();
        assert_eq!(find(&within).map(said), Some(said(&message)));
        assert_eq!(find(b"NTLMSSP"), None);
        let in_field = |value: &[u8]| {
            let mut said = Vec::new();
            read_http_field(value, &mut |statement| said.push(line(statement)));
            said
        };
        for scheme in ["NTLM", "negotiate"] {
            let value = format!("{scheme} {}", STANDARD.encode(&within));
            assert_eq!(in_field(value.as_bytes()), said(&message));
            prefixes_say_no_more(value.as_bytes(), in_field);
        }
        for other in [&b"NTLM"[..], b"NTLM ", b"NTLM %%%%", b"Basic TlRMTVNTUAA="] {
            assert!(in_field(other).is_empty());
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_read_without_harm(kind in 1..4_u8, bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            said(&[SIGNATURE, &[kind, 0, 0, 0], &bytes].concat());
        }
    }
}
