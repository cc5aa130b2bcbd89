//! What machines say of themselves, by each of the readers. The first byte chooses one, the second where the message is cut.
#![no_main]

use kaspector::inspect::identity::{kerberos, ntlm};
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
        6 => read_ssh(bytes, &mut tell),
        7 => read_lldp(bytes, &mut tell),
        8 => read_cdp(bytes, &mut tell),
        _ => read_user_agent(bytes, &mut tell),
    }
    said
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((&[reader, cut], bytes)) = data.split_first_chunk::<2>() else { return };
    let reader = reader % 10;
    let _ = kerberos::recognise_stream(bytes);
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
