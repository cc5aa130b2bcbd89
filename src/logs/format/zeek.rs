//! Zeek's logs (<https://docs.zeek.org/en/master/logs/index.html>): conn, dns, ssl, x509, http, quic and ftp of Zeek 3 to 8, separated by tabs or as
//! JSON.
//!
//! One connection is told by several logs, which have its `uid` in common; a certificate is told by x509 alone, and ssl refers to it. So the logs of
//! one Zeek belong together, and are read in about the order in which Zeek wrote their lines.

mod cell;
mod context;
mod json;
mod kind;
mod look;
mod tsv;

pub use context::Context;
pub use json::{JsonParser, is_json};
pub use tsv::TsvParser;

use cell::Cell;

/// Declares the columns that are read.
macro_rules! columns {
    ($($column:ident $name:literal,)*) => {
        /// A column that is read.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        enum Column {
            $($column,)*
        }

        impl Column {
            const COUNT: usize = [$(Self::$column,)*].len();

            /// By the name that Zeek gives it.
            fn named(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$column),)*
                    _ => None,
                }
            }
        }
    };
}

columns! {
    Path "_path",
    Ts "ts",
    Uid "uid",
    OrigH "id.orig_h",
    OrigP "id.orig_p",
    RespH "id.resp_h",
    RespP "id.resp_p",
    Proto "proto",
    Vlan "vlan",
    InnerVlan "inner_vlan",
    CommunityId "community_id",
    Service "service",
    Duration "duration",
    OrigBytes "orig_bytes",
    RespBytes "resp_bytes",
    ConnState "conn_state",
    History "history",
    OrigPkts "orig_pkts",
    RespPkts "resp_pkts",
    TransId "trans_id",
    Rtt "rtt",
    Query "query",
    QtypeName "qtype_name",
    Rcode "rcode_name",
    Rd "RD",
    Answers "answers",
    Ttls "TTLs",
    Version "version",
    ServerName "server_name",
    Established "established",
    Subject "subject",
    Issuer "issuer",
    ChainFps "cert_chain_fps",
    ChainFuids "cert_chain_fuids",
    Ja3 "ja3",
    Ja4 "ja4",
    Fingerprint "fingerprint",
    CertificateId "id",
    CertificateSubject "certificate.subject",
    CertificateIssuer "certificate.issuer",
    SanDns "san.dns",
    TransDepth "trans_depth",
    ClientInitialDcid "client_initial_dcid",
    Method "method",
    Host "host",
    Uri "uri",
    UserAgent "user_agent",
    StatusCode "status_code",
    RespMimeTypes "resp_mime_types",
    Proxied "proxied",
    Command "command",
    Arg "arg",
    ReplyCode "reply_code",
}

/// The columns of one line.
trait Columns<'a> {
    /// What stands there; `None` for nothing.
    fn cell(&self, column: Column) -> Option<Cell<'a>>;
}
