//! The system in a `User-Agent` of HTTP (RFC 9110 section 10.1.5): browsers name it in the comment behind the first product.
//!
//! What names a system is a handful of words; libraries for this know thousands of browsers, of which nothing is asked here.

use super::text::Text;
use super::{IdentityFact, IdentitySource, Statement, Subject, Teller};

/// Bytes of a value that are read.
const VALUE_MAX: usize = 512;

/// Words that a part of a comment begins with when it names a system.
const SYSTEMS: [&[u8]; 13] = [
    b"Windows NT ",
    b"Windows Phone ",
    b"Android ",
    b"Mac OS X",
    b"iPhone OS ",
    b"OS ",
    b"CrOS ",
    b"Linux ",
    b"FreeBSD ",
    b"OpenBSD ",
    b"NetBSD ",
    b"Tizen ",
    b"SunOS ",
];
/// Words before those.
const BEFORE: [&[u8]; 3] = [b"Intel ", b"PPC ", b"CPU "];
/// Products that are parts of a system, and have its version.
const PRODUCTS: [&[u8]; 3] = [b"Darwin/", b"Microsoft-CryptoAPI/", b"Windows-Update-Agent/"];

/// Reads the value of a `User-Agent` field.
pub fn read_user_agent(value: &[u8], tell: &mut impl FnMut(Statement<'_>)) {
    let value = value.get(..VALUE_MAX).unwrap_or(value);
    if let Some(system) = in_comment(value).or_else(|| in_products(value)) {
        Teller { source: IdentitySource::UserAgent, tell }.say_text(
            Subject::Sender,
            IdentityFact::System,
            &Text::of(system),
        );
    }
}

/// The system that the first comment names first. Behind it some name what they imitate.
fn in_comment(value: &[u8]) -> Option<&[u8]> {
    let (_, comment) = value.split_at_checked(memchr::memchr(b'(', value)? + 1)?;
    let comment = comment.get(..memchr::memchr(b')', comment)?)?;
    comment.split(|&byte| byte == b';').find_map(|part| {
        let part = part.trim_ascii();
        let part = BEFORE.iter().find_map(|word| part.strip_prefix(*word)).unwrap_or(part);
        // What an iPhone imitates.
        let end = memchr::memmem::find(part, b" like ").unwrap_or(part.len());
        SYSTEMS.iter().any(|word| part.starts_with(word)).then(|| part.get(..end)).flatten()
    })
}

/// A product that is a part of a system, with its version.
fn in_products(value: &[u8]) -> Option<&[u8]> {
    value.split(|&byte| byte == b' ').find(|product| PRODUCTS.iter().any(|name| product.starts_with(name)))
}

#[cfg(test)]
mod tests {
    use super::super::sample::line;
    use super::*;
    use proptest::prelude::*;

    fn said(value: &str) -> Vec<String> {
        let mut said = Vec::new();
        read_user_agent(value.as_bytes(), &mut |statement| said.push(line(statement)));
        said
    }

    #[test]
    fn browsers_name_their_system() {
        for (value, system) in [
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
                "Windows NT 10.0",
            ),
            ("Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1; Trident/4.0)", "Windows NT 6.1"),
            ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15", "Mac OS X 10_15_7"),
            ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) AppleWebKit/605.1.15", "iPhone OS 17_1"),
            ("Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) AppleWebKit/605.1.15", "OS 16_6"),
            ("Mozilla/5.0 (Linux; Android 14; K) AppleWebKit/537.36", "Android 14"),
            ("Dalvik/2.1.0 (Linux; U; Android 13; SM-A536B Build/TP1A.220624.014)", "Android 13"),
            ("Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0", "Linux x86_64"),
            ("Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36", "CrOS x86_64 14541.0.0"),
            ("Mozilla/5.0 (Windows Phone 10.0; Android 6.0.1; Microsoft; RM-1152)", "Windows Phone 10.0"),
            ("com.apple.trustd/3.0 CFNetwork/1410.0.3 Darwin/22.6.0", "Darwin/22.6.0"),
            ("Microsoft-CryptoAPI/10.0", "Microsoft-CryptoAPI/10.0"),
        ] {
            assert_eq!(said(value), [format!("Sender System({system:?})")]);
        }
    }

    #[test]
    fn others_name_none() {
        for value in
            ["", "curl/8.5.0", "Mozilla/5.0 (compatible; bot/1.0)", "a (Linux; Windows NT 10.0", "okhttp/4.9 (x)", ")("]
        {
            assert!(said(value).is_empty(), "{value}");
        }
    }

    proptest! {
        #[test]
        fn a_system_is_a_part_of_the_value(value in "[a-zA-Z/]{0,9} \\((Windows NT |Intel |Linux |CPU OS |;| like )[a-z0-9 ;().]{0,40}") {
            for said in said(&value) {
                let system = said.strip_prefix("Sender System(\"").and_then(|said| said.strip_suffix("\")"));
                prop_assert!(system.is_some_and(|system| value.contains(system)), "{said}");
            }
        }
    }
}
