//! Bounds of what is read of one message or connection, and how often each was met: what lies beyond is a number, not silence.

/// A bound within one message or connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[non_exhaustive]
pub enum Bound {
    /// Bytes of a TLS handshake before what is waited for.
    TlsHandshake,
    /// Bytes of a server's certificate.
    Certificate,
    /// Bytes of an HTTP request head.
    HttpHead,
    /// Bytes of an HTTP response head.
    HttpResponseHead,
    /// Bytes of a mail message's header.
    MailHeader,
    /// Commands and message bodies of one SMTP connection.
    MailSession,
    /// Bytes of a command of SMTP or FTP.
    Command,
    /// Commands of one FTP connection.
    FtpSession,
    /// Lines, and bytes of a line, of a text protocol that may turn into TLS.
    TextLines,
    /// Messages of a protocol that may turn into TLS.
    Preambles,
    /// Tunnels of one TCP connection.
    Tunnels,
    /// Pieces of a TCP direction that began no known protocol.
    UnknownPieces,
    /// Questions, records, names, addresses or bytes of one DNS message.
    DnsMessage,
    /// Datagrams or bytes of a QUIC connection before its hello was whole.
    QuicHello,
}

impl Bound {
    /// Every bound, in the order in which they are declared.
    pub const ALL: [Self; 14] = [
        Self::TlsHandshake,
        Self::Certificate,
        Self::HttpHead,
        Self::HttpResponseHead,
        Self::MailHeader,
        Self::MailSession,
        Self::Command,
        Self::FtpSession,
        Self::TextLines,
        Self::Preambles,
        Self::Tunnels,
        Self::UnknownPieces,
        Self::DnsMessage,
        Self::QuicHello,
    ];

    /// The name used in JSON and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TlsHandshake => "tls_handshakes",
            Self::Certificate => "certificates",
            Self::HttpHead => "http_heads",
            Self::HttpResponseHead => "http_response_heads",
            Self::MailHeader => "mail_headers",
            Self::MailSession => "mail_sessions",
            Self::Command => "commands",
            Self::FtpSession => "ftp_sessions",
            Self::TextLines => "text_lines",
            Self::Preambles => "preambles",
            Self::Tunnels => "tunnels",
            Self::UnknownPieces => "unknown_pieces",
            Self::DnsMessage => "dns_messages",
            Self::QuicHello => "quic_hellos",
        }
    }
}

/// How often each [`Bound`] was met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BoundCounters([u64; Bound::ALL.len()]);

impl BoundCounters {
    /// Counts one case.
    pub fn bump(&mut self, bound: Bound) {
        if let Some(counter) = self.0.get_mut(bound as usize) {
            *counter += 1;
        }
    }

    /// The name of each bound that was met, and how often.
    pub fn non_zero(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        Bound::ALL.iter().map(|bound| bound.name()).zip(self.0).filter(|&(_, count)| count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bound_has_a_counter_and_a_name_of_its_own() {
        let mut counters = BoundCounters::default();
        for (at, bound) in Bound::ALL.into_iter().enumerate() {
            assert_eq!(bound as usize, at);
            counters.bump(bound);
        }
        let names: std::collections::BTreeSet<_> = counters.non_zero().map(|(name, _)| name).collect();
        assert_eq!(names.len(), Bound::ALL.len());
        assert!(counters.non_zero().all(|(_, count)| count == 1));
    }
}
