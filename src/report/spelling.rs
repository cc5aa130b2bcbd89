//! How times, link-layer addresses and link types are written outside of EVE.

use kaspector::capture::{LinkType, Timestamp};
use kaspector::matching::Alternatives;
use std::borrow::Cow;
use std::collections::BTreeSet;

/// RFC 3339 in UTC, with six digits behind the point, or nine where six would lose something.
#[must_use]
pub fn rfc3339(at: Timestamp) -> String {
    let digits = if at.0.is_multiple_of(1000) { 6 } else { 9 };
    let printer = jiff::fmt::temporal::DateTimePrinter::new().precision(Some(digits));
    printer.timestamp_to_string(&civil(at))
}

/// In UTC, in a form of `strftime`.
pub(crate) fn formatted(at: Timestamp, form: &str) -> String {
    civil(at).strftime(form).to_string()
}

fn civil(at: Timestamp) -> jiff::Timestamp {
    // 2^64 nanoseconds end in the year 2554, and the calendar goes up to 9999.
    jiff::Timestamp::from_nanosecond(i128::from(at.0)).expect("any 64-bit count of nanoseconds is a date")
}

/// The name that libpcap has for a link type.
pub(crate) fn link_type(link_type: LinkType) -> Cow<'static, str> {
    Cow::Borrowed(match link_type {
        LinkType::NULL => "NULL",
        LinkType::ETHERNET => "EN10MB",
        LinkType::PPP => "PPP",
        LinkType::PPP_HDLC => "PPP_SERIAL",
        LinkType::PPPOE => "PPP_ETHER",
        LinkType::RAW => "RAW",
        LinkType::C_HDLC => "C_HDLC",
        LinkType::IEEE802_11 => "IEEE802_11",
        LinkType::LOOP => "LOOP",
        LinkType::LINUX_SLL => "LINUX_SLL",
        LinkType::PRISM => "PRISM_HEADER",
        LinkType::IEEE802_11_RADIOTAP => "IEEE802_11_RADIO",
        LinkType::IEEE802_11_AVS => "IEEE802_11_RADIO_AVS",
        LinkType::PPP_PPPD => "PPP_PPPD",
        LinkType::PPI => "PPI",
        LinkType::PPP_WITH_DIRECTION => "PPP_WITH_DIR",
        LinkType::IPV4 => "IPV4",
        LinkType::IPV6 => "IPV6",
        LinkType::LINUX_SLL2 => "LINUX_SLL2",
        LinkType::TOKEN_RING => "IEEE802",
        LinkType::SLIP => "SLIP",
        LinkType::FDDI => "FDDI",
        LinkType::OLD_PFLOG => "OLD_PFLOG",
        LinkType::ATM_RFC1483 => "ATM_RFC1483",
        LinkType::ATM_CLIP => "ATM_CLIP",
        LinkType::FRAME_RELAY => "FRELAY",
        LinkType::ENC => "ENC",
        LinkType::PFLOG => "PFLOG",
        LinkType::IP_OVER_FC => "IP_OVER_FC",
        LinkType::SUNATM => "SUNATM",
        LinkType::TZSP => "TZSP",
        LinkType::APPLE_IEEE1394 => "APPLE_IP_OVER_IEEE1394",
        LinkType::DOCSIS => "DOCSIS",
        LinkType::USER2 => "USER2",
        LinkType::JUNIPER_PPPOE => "JUNIPER_PPPOE",
        LinkType::JUNIPER_ETHER => "JUNIPER_ETHER",
        LinkType::JUNIPER_PPP => "JUNIPER_PPP",
        LinkType::JUNIPER_FRAME_RELAY => "JUNIPER_FRELAY",
        LinkType::JUNIPER_C_HDLC => "JUNIPER_CHDLC",
        LinkType::MULTILINK_FRAME_RELAY => "MFR",
        LinkType::C_HDLC_WITH_DIRECTION => "C_HDLC_WITH_DIR",
        LinkType::FRAME_RELAY_WITH_DIRECTION => "FRELAY_WITH_DIR",
        LinkType::MPLS => "MPLS",
        LinkType::IPNET => "IPNET",
        LinkType::NFLOG => "NFLOG",
        LinkType::NETANALYZER => "NETANALYZER",
        LinkType::NETANALYZER_TRANSPARENT => "NETANALYZER_TRANSPARENT",
        LinkType::IP_OVER_INFINIBAND => "IPOIB",
        LinkType::PKTAP => "PKTAP",
        LinkType::EPON => "EPON",
        LinkType::ETHERNET_MPACKET => "ETHERNET_MPACKET",
        LinkType::DSA_BROADCOM => "DSA_TAG_BRCM",
        LinkType::DSA_BROADCOM_PREPENDED => "DSA_TAG_BRCM_PREPEND",
        LinkType::DSA_MARVELL => "DSA_TAG_DSA",
        LinkType::DSA_MARVELL_ETHERTYPE => "DSA_TAG_EDSA",
        LinkType::UNKNOWN => "UNKNOWN",
        LinkType(number) => return Cow::Owned(format!("LINKTYPE_{number}")),
    })
}

/// Products for a reader: those that are named for certain, then `one of: A, B` for each list of which one is meant.
pub(crate) fn named(products: &Alternatives) -> Vec<String> {
    let one_of =
        |list: &BTreeSet<String>| format!("one of: {}", list.iter().map(String::as_str).collect::<Vec<_>>().join(", "));
    products.certain().map(str::to_owned).chain(products.one_of.iter().map(one_of)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_nine_digits_only_where_six_would_lose_something() {
        assert_eq!(rfc3339(Timestamp(0)), "1970-01-01T00:00:00.000000Z");
        assert_eq!(rfc3339(Timestamp(1_795_448_634_449_556_000)), "2026-11-23T15:43:54.449556Z");
        assert_eq!(rfc3339(Timestamp(1_795_448_634_449_556_001)), "2026-11-23T15:43:54.449556001Z");
        assert_eq!(rfc3339(Timestamp(u64::MAX)), "2554-07-21T23:34:33.709551615Z");
    }

    #[test]
    fn link_types_without_a_name_show_their_number() {
        assert_eq!(link_type(LinkType::ETHERNET), "EN10MB");
        assert_eq!(link_type(LinkType(249)), "LINKTYPE_249");
    }
}
