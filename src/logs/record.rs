//! What one record of a log tells, in the words of Suricata's EVE format, which has the most of them: other formats are put into these. Of EVE
//! itself these are the fields that are read; Suricata 4 to 8 have them under these names, and all others are ignored.

use crate::timestamp;
use kaspector::capture::Timestamp;
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

/// Text that borrows the line where it holds no escapes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Text<'a>(pub Cow<'a, str>);

impl Text<'_> {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Text<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("text")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        from.deserialize_str(Reader)
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

impl<'a> From<Cow<'a, str>> for Text<'a> {
    fn from(text: Cow<'a, str>) -> Self {
        Self(text)
    }
}

/// Reads a time; none if it is not one.
fn time<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
    Ok(Option::<Text<'de>>::deserialize(from)?.and_then(|text| timestamp(text.as_str())))
}

/// Reads an address; none if it is not one.
fn address<'de, D: Deserializer<'de>>(from: D) -> Result<Option<IpAddr>, D::Error> {
    Ok(Option::<Text<'de>>::deserialize(from)?.and_then(|text| text.as_str().parse().ok()))
}

#[derive(Debug, Default, serde::Deserialize)]
pub(crate) struct Record<'a> {
    #[serde(default, rename = "timestamp", deserialize_with = "time")]
    pub at: Option<Timestamp>,
    #[serde(borrow)]
    pub event_type: Text<'a>,
    /// What records of one flow have in common.
    pub flow_id: Option<u64>,
    /// Whether that is only ours, made of what another engine calls the flow.
    #[serde(skip)]
    pub is_flow_id_made: bool,
    #[serde(default)]
    pub vlan: Vec<u16>,
    #[serde(default, deserialize_with = "address")]
    pub src_ip: Option<IpAddr>,
    pub src_port: Option<u16>,
    #[serde(default, deserialize_with = "address")]
    pub dest_ip: Option<IpAddr>,
    pub dest_port: Option<u16>,
    #[serde(borrow)]
    pub proto: Option<Text<'a>>,
    #[serde(borrow)]
    pub community_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub app_proto: Option<Text<'a>>,
    #[serde(borrow)]
    pub direction: Option<Text<'a>>,
    pub tx_id: Option<u64>,
    #[serde(borrow)]
    pub dns: Option<Dns<'a>>,
    #[serde(borrow)]
    pub tls: Option<Tls<'a>>,
    #[serde(borrow)]
    pub quic: Option<Quic<'a>>,
    #[serde(borrow)]
    pub http: Option<Http<'a>>,
    #[serde(borrow)]
    pub ftp: Option<Ftp<'a>>,
    pub flow: Option<Flow>,
    #[serde(borrow)]
    pub tcp: Option<Tcp<'a>>,
}

/// A message of versions 1 to 3, or what an alert tells of one.
#[derive(Debug, Default, serde::Deserialize)]
pub(crate) struct Dns<'a> {
    #[serde(rename = "type", borrow)]
    pub kind: Option<Text<'a>>,
    pub id: Option<u16>,
    /// Of the whole message in hexadecimal.
    #[serde(borrow)]
    pub flags: Option<Text<'a>>,
    pub rd: Option<bool>,
    #[serde(borrow)]
    pub rcode: Option<Text<'a>>,
    #[serde(borrow)]
    pub rrname: Option<Text<'a>>,
    #[serde(borrow)]
    pub rrtype: Option<Text<'a>>,
    /// Version 1 has a line for each record of an answer.
    pub ttl: Option<u32>,
    #[serde(borrow)]
    pub rdata: Option<Text<'a>>,
    /// Version 3.
    #[serde(borrow, default)]
    pub queries: Vec<Question<'a>>,
    #[serde(borrow, default)]
    pub answers: Vec<Answer<'a>>,
    #[serde(borrow)]
    pub grouped: Option<Grouped<'a>>,
    /// In alerts of Suricata 7.
    #[serde(borrow, default)]
    pub query: Vec<Question<'a>>,
    #[serde(borrow)]
    pub answer: Option<Box<Dns<'a>>>,
}

#[derive(Debug, Default, serde::Deserialize)]
pub(crate) struct Question<'a> {
    pub id: Option<u16>,
    #[serde(borrow)]
    pub rrname: Option<Text<'a>>,
    #[serde(borrow)]
    pub rrtype: Option<Text<'a>>,
}

#[derive(Debug, Default, serde::Deserialize)]
pub(crate) struct Answer<'a> {
    #[serde(borrow)]
    pub rrname: Option<Text<'a>>,
    #[serde(borrow)]
    pub rrtype: Option<Text<'a>>,
    pub ttl: Option<u32>,
    #[serde(borrow)]
    pub rdata: Option<Text<'a>>,
}

/// Data of an answer by type, without owners and times to live.
#[derive(Debug, Default, serde::Deserialize)]
pub(crate) struct Grouped<'a> {
    #[serde(rename = "A", borrow, default)]
    pub a: Vec<Text<'a>>,
    #[serde(rename = "AAAA", borrow, default)]
    pub aaaa: Vec<Text<'a>>,
    #[serde(rename = "CNAME", borrow, default)]
    pub cname: Vec<Text<'a>>,
}

#[derive(Debug, Default, serde::Deserialize)]
pub(crate) struct Tls<'a> {
    #[serde(borrow)]
    pub sni: Option<Text<'a>>,
    /// Of the server's hello; `UNDETERMINED` when there was none.
    #[serde(borrow)]
    pub version: Option<Text<'a>>,
    #[serde(borrow)]
    pub subject: Option<Text<'a>>,
    #[serde(borrow)]
    pub issuerdn: Option<Text<'a>>,
    /// Suricata 8.
    #[serde(borrow)]
    pub subjectaltname: Option<Vec<Text<'a>>>,
    #[serde(borrow)]
    pub ja3: Option<Ja3<'a>>,
    #[serde(borrow)]
    pub ja4: Option<Text<'a>>,
}

#[derive(Debug, Default, serde::Deserialize)]
pub(crate) struct Ja3<'a> {
    #[serde(borrow)]
    pub hash: Option<Text<'a>>,
    #[serde(borrow)]
    pub string: Option<Text<'a>>,
}

#[derive(Debug, Default, serde::Deserialize)]
pub(crate) struct Quic<'a> {
    #[serde(borrow)]
    pub version: Option<Text<'a>>,
    #[serde(borrow)]
    pub sni: Option<Text<'a>>,
    #[serde(borrow)]
    pub ja3: Option<Ja3<'a>>,
    #[serde(borrow)]
    pub ja4: Option<Text<'a>>,
}

#[derive(Debug, Default, serde::Deserialize)]
pub(crate) struct Http<'a> {
    #[serde(borrow)]
    pub hostname: Option<Text<'a>>,
    pub http_port: Option<u16>,
    #[serde(borrow)]
    pub url: Option<Text<'a>>,
    #[serde(borrow)]
    pub http_user_agent: Option<Text<'a>>,
    #[serde(borrow)]
    pub http_content_type: Option<Text<'a>>,
    #[serde(borrow)]
    pub http_method: Option<Text<'a>>,
    #[serde(borrow)]
    pub protocol: Option<Text<'a>>,
    pub status: Option<u16>,
    /// Whoever passes a request on says for whom; who that is, is not believed.
    #[serde(borrow)]
    pub xff: Option<Text<'a>>,
    #[serde(borrow)]
    pub via: Option<Text<'a>>,
    #[serde(borrow)]
    pub x_forwarded_for: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub request_headers: Vec<Header<'a>>,
}

#[derive(Debug, serde::Deserialize)]
pub(crate) struct Header<'a> {
    #[serde(borrow)]
    pub name: Option<Text<'a>>,
    #[serde(borrow)]
    pub value: Option<Text<'a>>,
}

#[derive(Debug, Default, serde::Deserialize)]
pub(crate) struct Ftp<'a> {
    #[serde(borrow)]
    pub command: Option<Text<'a>>,
    #[serde(borrow)]
    pub command_data: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub completion_code: Vec<Text<'a>>,
}

#[derive(Debug, Default, serde::Deserialize)]
pub(crate) struct Flow {
    #[serde(default)]
    pub pkts_toserver: u64,
    #[serde(default)]
    pub pkts_toclient: u64,
    #[serde(default)]
    pub bytes_toserver: u64,
    #[serde(default)]
    pub bytes_toclient: u64,
    #[serde(default, deserialize_with = "time")]
    pub start: Option<Timestamp>,
    /// In alerts: the end that is the client.
    #[serde(default, deserialize_with = "address")]
    pub src_ip: Option<IpAddr>,
    pub src_port: Option<u16>,
}

#[derive(Debug, Default, serde::Deserialize)]
pub(crate) struct Tcp<'a> {
    /// Control bits that either side sent, in hexadecimal.
    #[serde(borrow)]
    pub tcp_flags_ts: Option<Text<'a>>,
    #[serde(borrow)]
    pub tcp_flags_tc: Option<Text<'a>>,
}
