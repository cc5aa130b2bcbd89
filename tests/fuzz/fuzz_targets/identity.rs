//! What machines say of themselves, by each of the readers. The first byte chooses one, the second where the message is cut, and how long the
//! pieces of a stream are: it says the same in pieces of any length.
#![no_main]

use kaspector::inspect::identity::{kerberos, ntlm, smb, ssh};
use kaspector::inspect::{
    IdentityFact, Statement, read_cdp, read_identity, read_lldp, read_llmnr, read_mdns, read_ssh, read_user_agent,
    recognise_identity,
};
use std::collections::BTreeSet;

/// Statements of one message: each says something, in a text that is bounded.
fn statements(reader: u8, bytes: &[u8]) -> BTreeSet<String> {
    let mut said = BTreeSet::new();
    let mut tell = |statement: Statement<'_>| {
        if let IdentityFact::HostName(text)
        | IdentityFact::Domain(text)
        | IdentityFact::User(text)
        | IdentityFact::System(text)
        | IdentityFact::Device(text) = statement.fact
        {
            assert!((1..=255).contains(&text.len()));
        }
        said.insert(format!("{statement:?}"));
    };
    match reader {
        0 => {
            if let Some(protocol) = recognise_identity(bytes) {
                read_identity(protocol, bytes, &mut tell);
            }
        }
        1 => read_mdns(bytes, &mut tell),
        2 => read_llmnr(bytes, &mut tell),
        3 => kerberos::read_stream(bytes, &mut tell),
        4 => {
            if let Some(token) = ntlm::find(bytes) {
                ntlm::read(token, &mut tell);
            }
        }
        5 => ntlm::read_http_field(bytes, &mut tell),
        6 => drop(ssh::GreetingStream::default().accept(bytes, |greeting| read_ssh(greeting, &mut tell))),
        7 => read_lldp(bytes, &mut tell),
        8 => read_cdp(bytes, &mut tell),
        _ => read_user_agent(bytes, &mut tell),
    }
    said
}

/// What a reader of a stream says of it in pieces of this length. Held is no more than a message's part that is read.
fn in_pieces(reader: u8, bytes: &[u8], length: usize) -> Vec<String> {
    let (mut sessions, mut messages, mut greeting) =
        <(smb::SessionStream, kerberos::MessageStream, ssh::GreetingStream)>::default();
    let mut said = Vec::new();
    let mut goes_on = true;
    let mut tell = |by_client: bool, statement: &Statement<'_>| said.push(format!("{by_client} {statement:?}"));
    for piece in bytes.chunks(length) {
        goes_on = match reader {
            0 => sessions.accept(piece, &mut tell),
            1 => messages.accept(piece, &mut tell),
            _ => {
                let mut tell = |statement: Statement<'_>| tell(true, &statement);
                greeting.accept(piece, |line| read_ssh(line, &mut tell)) == ssh::Progress::More
            }
        };
        assert!(sessions.held_bytes() <= 4096 && messages.held_bytes() <= 8192 && greeting.held_bytes() <= 255);
        if !goes_on {
            break;
        }
    }
    if goes_on {
        sessions.finish(&mut tell);
        messages.finish(&mut tell);
    }
    said
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((&[reader, cut], bytes)) = data.split_first_chunk::<2>() else { return };
    let reader = reader % 10;
    let _ = (kerberos::recognise_stream(bytes), smb::recognise(bytes), ssh::recognise(bytes));
    for stream in 0..3 {
        let length = usize::from(cut) + 1;
        assert_eq!(in_pieces(stream, bytes, length), in_pieces(stream, bytes, bytes.len().max(1)));
    }
    let whole = statements(reader, bytes);
    let cut = &bytes[..bytes.len() * usize::from(cut) / 256];
    // A text that is cut is another one, a relay's last word on a client may be missing, and what makes a message one of another protocol.
    let is_text = reader == 9;
    let is_relayed = reader == 0 && matches!(bytes.first(), Some(12 | 13));
    let is_other = reader == 0 && recognise_identity(cut) != recognise_identity(bytes);
    if !is_text && !is_relayed && !is_other {
        assert!(statements(reader, cut).is_subset(&whole));
    }
});
