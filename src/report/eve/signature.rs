//! What an IDS knows an alert by: a number and a text that say the service and where it was seen, never a name.

use kaspector::matching::{Category, Field};

/// First number of the block; consoles derive links to other vendors' pages from numbers outside 1,000,000 to 1,999,999.
const FIRST: u32 = 1_990_000;
/// Last number of the block.
const LAST: u32 = 1_990_999;
/// The number of a host that shows nothing any more.
pub(super) const SILENCE: u32 = LAST;
/// Numbers that each category has; more than there are fields, so that new ones find room.
const PER_CATEGORY: u32 = 40;

/// Every category and field has its number and its words: what panics here does not compile.
#[expect(clippy::indexing_slicing, reason = "an index out of range does not compile")]
const _: () = {
    let mut category = 0;
    while category < Category::ALL.len() {
        let mut field = 0;
        while field < Field::ALL.len() {
            assert!(field_number(Field::ALL[field]) < PER_CATEGORY && !seen(Field::ALL[field]).is_empty());
            assert!(id(Category::ALL[category], Field::ALL[field]) < SILENCE);
            field += 1;
        }
        category += 1;
    }
};

/// The number: the same for every indicator of a category that was seen in the same field. 1,990,001 to 1,990,999.
pub(super) const fn id(category: Category, field: Field) -> u32 {
    FIRST + category.number() * PER_CATEGORY + field_number(field)
}

/// The text that goes with the number.
pub(super) fn text(category: Category, field: Field) -> String {
    format!("KASPECTOR {}: {}", category.name(), seen(field))
}

/// Written out rather than counted, so that no number in use changes when a field is added or moved.
const fn field_number(field: Field) -> u32 {
    match field {
        Field::DnsQuery => 1,
        Field::TlsSni => 2,
        Field::QuicSni => 3,
        Field::HttpHost => 4,
        Field::HttpConnect => 5,
        Field::HttpTarget => 6,
        Field::HttpPath => 7,
        Field::HttpUserAgent => 8,
        Field::SocksDomain => 9,
        Field::TlsCertificate => 10,
        Field::ResolvedAddress => 11,
        Field::DnsAnswer => 12,
        Field::Address => 13,
        Field::Ja3 => 14,
        Field::Ja4 => 15,
        Field::ServerPort => 30,
        Field::Beacon => 31,
        Field::WakeUp => 32,
        Field::ResolverOrder => 33,
        Field::HttpHeader => 24,
        Field::HttpBody => 25,
        Field::FtpPath => 26,
        Field::MailHeader => 27,
        Field::FirstBytes => 28,
        Field::HttpUpload => 29,
        Field::Protocol => 34,
        Field::SyslogOriginator => 35,
        _ => panic!("a field without a number"),
    }
}

/// What was seen, without its value.
const fn seen(field: Field) -> &'static str {
    match field {
        Field::TlsSni => "TLS server name",
        Field::QuicSni => "QUIC server name",
        Field::HttpHost => "HTTP host",
        Field::HttpConnect => "CONNECT request to a proxy",
        Field::HttpTarget => "HTTP request to a proxy",
        Field::HttpPath => "HTTP path",
        Field::HttpUserAgent => "HTTP user agent",
        Field::SocksDomain => "SOCKS request",
        Field::TlsCertificate => "TLS server certificate",
        Field::ResolvedAddress => "flow to an address from a DNS answer",
        Field::DnsQuery => "DNS query",
        Field::DnsAnswer => "DNS answer",
        Field::Address => "flow to a published address range",
        Field::Ja3 => "JA3 fingerprint",
        Field::Ja4 => "JA4 fingerprint",
        Field::ServerPort => "management port",
        Field::Beacon => "connections at a steady pace",
        Field::WakeUp => "wake-up call and connection back",
        Field::ResolverOrder => "fallback to public resolvers",
        Field::HttpHeader => "HTTP header",
        Field::HttpBody => "HTTP response body",
        Field::HttpUpload => "HTTP upload",
        Field::FtpPath => "FTP path",
        Field::MailHeader => "mail header",
        Field::FirstBytes => "first bytes of a flow",
        Field::SyslogOriginator => "syslog originator",
        Field::Protocol => "protocol of the vendor's own",
        _ => panic!("a field without words"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn each_number_has_one_text_and_stays_in_the_block() {
        let mut texts = BTreeMap::new();
        for category in Category::ALL {
            for field in Field::ALL {
                let number = id(category, field);
                assert!((FIRST + 1..=LAST).contains(&number));
                assert!(texts.insert(number, text(category, field)).is_none(), "{number}");
            }
        }
        assert_eq!(id(Category::Update, Field::TlsSni), 1_990_002);
    }
}
