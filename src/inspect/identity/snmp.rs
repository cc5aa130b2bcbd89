//! SNMP versions 1 and 2c (RFC 1157, RFC 3416): an agent's own name and description, where somebody asked for them or a trap has them.

use super::text::Text;
use super::{IdentityFact, Subject, Teller};
use crate::inspect::der::{CONTEXT_SPECIFIC, Elements, INTEGER, OCTET_STRING, SEQUENCE};

/// Bindings of one message that are read.
const BINDINGS_MAX: usize = 128;
/// `sysDescr.0` and `sysName.0` (RFC 3418), as they are encoded.
const SYSTEM_DESCRIPTION: &[u8] = &[0x2b, 6, 1, 2, 1, 1, 1, 0];
const SYSTEM_NAME: &[u8] = &[0x2b, 6, 1, 2, 1, 1, 5, 0];
const OBJECT_IDENTIFIER: u32 = 6;
/// What an agent sends: a response, and the notifications of version 2.
const RESPONSE: u32 = 2;
const INFORM: u32 = 6;
const TRAP: u32 = 7;

/// Whether a datagram begins as a message of these versions does.
pub(super) fn recognise(datagram: &[u8]) -> bool {
    open(datagram).is_some()
}

/// What stands behind version and community: what is asked, answered or told. It need not be whole.
fn open(datagram: &[u8]) -> Option<(u32, Elements<'_>)> {
    let mut elements = Elements::new(datagram);
    elements.enter(SEQUENCE)?;
    let [0 | 1] = elements.of(INTEGER)? else { return None };
    let _community = elements.of(OCTET_STRING)?;
    // LDAP begins in the same way, and goes on with another class.
    let (CONTEXT_SPECIFIC, kind) = elements.peek()? else { return None };
    elements.enter(kind)?;
    Some((kind, elements))
}

/// Reads a message.
pub(super) fn read(datagram: &[u8], teller: &mut Teller<'_>) {
    let _ = read_message(datagram, teller);
}

fn read_message(datagram: &[u8], teller: &mut Teller<'_>) -> Option<()> {
    let (kind, mut elements) = open(datagram)?;
    if !matches!(kind, RESPONSE | INFORM | TRAP) {
        return None;
    }
    let _request = elements.of(INTEGER)?;
    let error = elements.of(INTEGER)?;
    let _error_index = elements.of(INTEGER)?;
    if error != [0] {
        return None;
    }
    elements.enter(SEQUENCE)?;
    for _ in 0..BINDINGS_MAX {
        let mut binding = Elements::new(elements.of(SEQUENCE)?);
        let name = binding.of(OBJECT_IDENTIFIER)?;
        let fact = match name {
            SYSTEM_NAME => IdentityFact::HostName,
            SYSTEM_DESCRIPTION => IdentityFact::System,
            _ => continue,
        };
        if let Some(value) = binding.of(OCTET_STRING) {
            teller.say_text(Subject::Sender, fact, &Text::of(value));
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::super::sample::{prefixes_say_no_more, statements};
    use super::*;

    fn element(tag: u8, content: &[u8]) -> Vec<u8> {
        // In the long form, as many agents write it.
        let length = u16::try_from(content.len()).unwrap_or(0).to_be_bytes();
        [&[tag, 0x82], &length[..], content].concat()
    }

    fn message(version: u8, kind: u8, error: u8, bindings: &[(&[u8], &[u8])]) -> Vec<u8> {
        let bindings: Vec<_> = bindings
            .iter()
            .flat_map(|(name, value)| element(0x30, &[element(6, name), element(4, value)].concat()))
            .collect();
        let pdu = [&[2, 1, 7, 2, 1, error, 2, 1, 0][..], &element(0x30, &bindings)].concat();
        element(0x30, &[&[2, 1, version, 4, 6][..], b"public", &element(kind, &pdu)].concat())
    }

    #[test]
    fn an_agent_tells_its_name_and_its_description() {
        let bindings = [(SYSTEM_DESCRIPTION, &b"Linux sw1 5.10"[..]), (SYSTEM_NAME, b"sw1"), (&[0x2b, 6, 1], b"x")];
        for (version, kind) in [(0, 0xa2), (1, 0xa2), (1, 0xa7), (1, 0xa6)] {
            let response = message(version, kind, 0, &bindings);
            assert_eq!(statements(&response), [r#"Sender System("Linux sw1 5.10")"#, r#"Sender HostName("sw1")"#]);
            prefixes_say_no_more(&response, statements);
        }
        // Who asks, who sets, what failed, what is of another version.
        for (version, kind, error) in [(1, 0xa0, 0), (1, 0xa3, 0), (1, 0xa2, 2), (3, 0xa2, 0), (1, 0x62, 0)] {
            assert!(statements(&message(version, kind, error, &bindings)).is_empty());
        }
    }
}
