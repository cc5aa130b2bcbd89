//! How an SSH server or client presents itself (RFC 4253 section 4.2): its software, and often the package of its system.

use super::text::Text;
use super::{IdentityFact, IdentitySource, Statement, Subject, Teller};

/// Lines that a server may send before, and bytes of all of them, that are passed over.
const LINES_MAX: usize = 16;
const BYTES_MAX: usize = 2048;

/// Reads the beginning of what one side sent. A line without its end says nothing.
pub fn read_ssh(stream: &[u8], tell: &mut impl FnMut(Statement<'_>)) {
    let stream = stream.get(..BYTES_MAX).unwrap_or(stream);
    let lines = stream.split_inclusive(|&byte| byte == b'\n').filter_map(|line| line.strip_suffix(b"\n"));
    let Some(version) = lines.take(LINES_MAX).find_map(|line| line.strip_prefix(b"SSH-")) else { return };
    // Version of the protocol, then what is behind it.
    let Some(hyphen) = memchr::memchr(b'-', version) else { return };
    let software = Text::of(version.get(hyphen + 1..).unwrap_or(&[]));
    Teller { source: IdentitySource::Ssh, tell }.say_text(Subject::Sender, IdentityFact::System, &software);
}

#[cfg(test)]
mod tests {
    use super::super::sample::{line, prefixes_say_no_more};
    use super::*;

    fn said(stream: &[u8]) -> Vec<String> {
        let mut said = Vec::new();
        read_ssh(stream, &mut |statement| said.push(line(statement)));
        said
    }

    #[test]
    fn software_and_package_are_told() {
        let stream = b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n\0\0\x05";
        assert_eq!(said(stream), [r#"Sender System("OpenSSH_9.2p1 Debian-2+deb12u3")"#]);
        prefixes_say_no_more(stream, said);
        assert_eq!(said(b"Authorised users only.\r\nSSH-1.99-Cisco-1.25\n"), [r#"Sender System("Cisco-1.25")"#]);
        for other in [
            &b"SSH-2.0\r\n"[..],
            b"SSH-2.0-\r\n",
            b"220 ssh.example\r\n",
            b"\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\nSSH-2.0-x\n",
        ] {
            assert!(said(other).is_empty());
        }
    }
}
