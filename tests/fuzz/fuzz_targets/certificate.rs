//! One certificate: what another parser reads we read, too, and alike.
#![no_main]

use kaspector::inspect::tls::Certificate;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// Digits of the largest number in an object identifier that we write as a number.
const NUMBER_DIGITS: usize = 39;

fn has_larger_number(name: &str) -> bool {
    name.split(|character: char| !character.is_ascii_digit()).any(|digits| digits.len() >= NUMBER_DIGITS)
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let length = &(data.len() as u32).to_be_bytes()[1..];
    let body = [length, length, data].concat();
    let ours = Certificate::parse(&body);
    if let Some(ours) = &ours {
        // Hexadecimal takes the most of what a value may take, an object identifier in decimal the most of a type.
        assert!(
            ours.subject.to_string().len() + ours.issuer.to_string().len() + ours.serial().len()
                <= 64 + 40 * data.len()
        );
        assert!(ours.names().all(|name| name.bytes().all(|byte| !byte.is_ascii_uppercase())));
    }
    let Ok((_, theirs)) = X509Certificate::from_der(data) else { return };
    let Some(ours) = ours else {
        // A serial number without a length, which DER does not have, is read by them alone.
        assert!(data.windows(2).any(|two| two[0] & 0x1f == 2 && two[1] == 0x80));
        return;
    };
    for (ours, theirs) in [(ours.subject, theirs.subject()), (ours.issuer, theirs.issuer())] {
        let theirs = theirs.to_string();
        assert!(has_larger_number(&theirs) || ours.to_string() == theirs);
    }
    assert_eq!(ours.serial(), theirs.raw_serial_as_string().to_ascii_uppercase());
    let common = theirs.subject().iter_common_name().filter_map(|name| name.as_str().ok());
    let extension = theirs.subject_alternative_name().ok().flatten();
    let alternatives = extension.iter().flat_map(|extension| &extension.value.general_names);
    let alternatives = alternatives.filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(*name),
        _ => None,
    });
    assert!(ours.names().eq(common.chain(alternatives).map(str::to_ascii_lowercase)));
});
