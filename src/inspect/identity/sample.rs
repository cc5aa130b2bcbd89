//! What the tests of every reader share.

use super::{IdentityProtocol, Statement, read_identity, recognise_identity};

/// What a datagram says, one line each.
pub(super) fn statements(datagram: &[u8]) -> Vec<String> {
    recognise_identity(datagram).map(|protocol| statements_as(protocol, datagram)).unwrap_or_default()
}

pub(super) fn statements_as(protocol: IdentityProtocol, datagram: &[u8]) -> Vec<String> {
    let mut said = Vec::new();
    read_identity(protocol, datagram, &mut |statement| said.push(line(statement)));
    said
}

pub(super) fn line(Statement { about, fact, .. }: Statement<'_>) -> String {
    format!("{about:?} {fact:?}")
}

/// A message cut short says nothing that the whole one does not say. `read` gives what bytes say.
pub(super) fn prefixes_say_no_more(message: &[u8], read: impl Fn(&[u8]) -> Vec<String>) {
    let whole = read(message);
    assert!(!whole.is_empty());
    for end in 0..message.len() {
        let cut = message.get(..end).unwrap_or(&[]);
        for said in read(cut) {
            assert!(whole.contains(&said), "{end} bytes say {said}, all say {whole:?}");
        }
    }
}
