//! SSDP of UPnP (UPnP Device Architecture 2.0, section 1): requests and answers in the form of HTTP, which name the sender's system.

use super::text::Text;
use super::{IdentityFact, Subject, Teller};

/// Bytes and lines of a message that are read.
const MESSAGE_MAX: usize = 2048;
const LINES_MAX: usize = 64;

const OK: &[u8] = b"HTTP/1.1 200 ";
const BEGINNINGS: [&[u8]; 3] = [b"NOTIFY * HTTP/1.", b"M-SEARCH * HTTP/1.", OK];

/// Whether a datagram begins as a message of SSDP does.
pub(super) fn recognise(datagram: &[u8]) -> bool {
    BEGINNINGS.iter().any(|beginning| datagram.starts_with(beginning))
}

/// Reads a message.
pub(super) fn read(datagram: &[u8], teller: &mut Teller<'_>) {
    let message = datagram.get(..MESSAGE_MAX).unwrap_or(datagram);
    // A line without its end was cut.
    let lines = || message.split_inclusive(|&byte| byte == b'\n').filter_map(|line| line.strip_suffix(b"\n"));
    let fields = || lines().skip(1).take(LINES_MAX).filter_map(field);
    // An answer without what was searched for is none of SSDP.
    let is_answer = message.starts_with(OK);
    if is_answer && !fields().any(|(name, _)| name.eq_ignore_ascii_case(b"ST") || name.eq_ignore_ascii_case(b"USN")) {
        return;
    }
    for (name, value) in fields() {
        if name.eq_ignore_ascii_case(b"SERVER") || name.eq_ignore_ascii_case(b"USER-AGENT") {
            teller.say_text(Subject::Sender, IdentityFact::System, &Text::of(value));
        }
    }
}

/// Name and value of a header field.
fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = memchr::memchr(b':', line)?;
    Some((line.get(..colon)?.trim_ascii(), line.get(colon + 1..)?.trim_ascii()))
}

#[cfg(test)]
mod tests {
    use super::super::sample::{prefixes_say_no_more, statements};

    #[test]
    fn a_device_and_who_searches_name_their_systems() {
        let notify = b"NOTIFY * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nNT: upnp:rootdevice\r\nServer: Linux/3.10 UPnP/1.0 Bridge/1.26\r\nNTS: ssdp:alive\r\n\r\n";
        assert_eq!(statements(notify), [r#"Sender System("Linux/3.10 UPnP/1.0 Bridge/1.26")"#]);
        prefixes_say_no_more(notify, statements);
        let search = b"M-SEARCH * HTTP/1.1\r\nMAN: \"ssdp:discover\"\r\nUSER-AGENT:Example/1 Windows \r\n\r\n";
        assert_eq!(statements(search), [r#"Sender System("Example/1 Windows")"#]);
        let answer = b"HTTP/1.1 200 OK\r\nST: upnp:rootdevice\r\nSERVER: Windows/10.0 UPnP/1.0\r\n\r\n";
        assert_eq!(statements(answer), [r#"Sender System("Windows/10.0 UPnP/1.0")"#]);
        prefixes_say_no_more(answer, statements);
    }

    #[test]
    fn other_messages_of_this_form_say_nothing() {
        assert!(statements(b"HTTP/1.1 200 OK\r\nSERVER: nginx\r\n\r\n").is_empty());
        assert!(statements(b"NOTIFY sip:a@example SIP/2.0\r\nSERVER: x\r\n\r\n").is_empty());
    }
}
