//! Which evidence is a name: what programs can show that know names alone.

use kaspector::matching::Field;

/// Fields that hold a name of a server. A certificate is one by its names alone, which the value shows.
pub const NAMES: [Field; 9] = [
    Field::DnsQuery,
    Field::DnsAnswer,
    Field::TlsSni,
    Field::QuicSni,
    Field::HttpHost,
    Field::HttpConnect,
    Field::HttpTarget,
    Field::SocksDomain,
    Field::TlsCertificate,
];
