//! How far a contact or a lookup came. One that was blocked is evidence all the same: the host tried.

use crate::decode::tcp_flags;

/// How far it came. What sorts later says more: a connection that comes about may still be refused, and one that was refused is
/// overruled by another in which data went both ways.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ConnectionOutcome {
    /// Nobody answered, as far as was seen.
    #[default]
    Attempted,
    /// A connection came about, without an answer to what was asked in it; of a lookup, an answer without an address.
    Established,
    /// The answer was no: a reset, a TLS alert in place of a hello; of a lookup, an error or an address that leads nowhere.
    Refused,
    /// Both sides sent data; of a lookup, an answer.
    DataExchanged,
}

impl ConnectionOutcome {
    /// All of them, in their order.
    pub const ALL: [Self; Self::DataExchanged as usize + 1] =
        [Self::Attempted, Self::Established, Self::Refused, Self::DataExchanged];

    /// The one of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|connection_outcome| connection_outcome.name() == name)
    }

    /// The name used in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Attempted => "attempted",
            Self::Refused => "refused",
            Self::Established => "established",
            Self::DataExchanged => "data-exchanged",
        }
    }

    /// Whether there was a connection, or an answer, that was not a no.
    #[must_use]
    pub const fn came_about(self) -> bool {
        matches!(self, Self::Established | Self::DataExchanged)
    }

    /// How far a TCP connection came, by what either side sent.
    #[must_use]
    pub const fn of_tcp(client: Sent, server: Sent) -> Self {
        if server.has(Sent::DATA) && !server.has(Sent::ALERT) && client.has(Sent::DATA) {
            Self::DataExchanged
        } else if server.has(Sent::ALERT | Sent::RESET) {
            // A reset behind the client's hello is how a filter says no.
            Self::Refused
        } else if server.has(Sent::DATA | Sent::ANSWER) || client.has(Sent::DATA | Sent::CONSENT) {
            // The client's consent alone tells where only its own packets were captured.
            Self::Established
        } else {
            Self::Attempted
        }
    }

    /// How far an exchange of datagrams came.
    #[must_use]
    pub const fn of_udp(from_client: bool, from_server: bool) -> Self {
        if from_client && from_server { Self::DataExchanged } else { Self::Attempted }
    }
}

/// What one side of a TCP connection was seen to send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent(u8);

impl Sent {
    /// A SYN of its own accord.
    const OPENING: u8 = 1;
    /// A SYN that acknowledges the other's.
    const ANSWER: u8 = 2;
    /// An acknowledgement that closes the handshake, or comes behind it.
    const CONSENT: u8 = 4;
    const RESET: u8 = 8;
    const DATA: u8 = 16;
    /// Its first data was a TLS alert (RFC 8446 section 6).
    const ALERT: u8 = 32;

    /// Takes the next segment of this side: its control bits, and its payload, of which `payload_len` bytes were sent.
    #[inline]
    pub fn note(&mut self, flags: u8, payload_len: u32, payload: &[u8]) {
        let (syn, ack) = (flags & tcp_flags::SYN != 0, flags & tcp_flags::ACK != 0);
        let reset = flags & tcp_flags::RST != 0;
        self.0 |= match (syn, ack) {
            (true, false) => Self::OPENING,
            (true, true) => Self::ANSWER,
            (false, true) if !reset => Self::CONSENT,
            _ => 0,
        };
        if reset {
            self.0 |= Self::RESET;
        }
        if payload_len > 0 && !self.has(Self::DATA) {
            self.0 |= Self::DATA;
            if let [21, 3, ..] = payload {
                self.0 |= Self::ALERT;
            }
        }
    }

    /// Whether it took part in the opening handshake, so that it is known which side opened the connection.
    #[must_use]
    pub const fn shook_hands(self) -> bool {
        self.has(Self::OPENING | Self::ANSWER)
    }

    /// Whether it sent any of `what`.
    const fn has(self, what: u8) -> bool {
        self.0 & what != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tcp_flags::{ACK, FIN, PSH, RST, SYN};

    /// What the sides sent, as control bits and payload; how far that came.
    fn connection_outcome(client: &[(u8, &[u8])], server: &[(u8, &[u8])]) -> ConnectionOutcome {
        let sent = |segments: &[(u8, &[u8])]| {
            let mut sent = Sent::default();
            for &(flags, payload) in segments {
                sent.note(flags, u32::try_from(payload.len()).unwrap_or(u32::MAX), payload);
            }
            sent
        };
        ConnectionOutcome::of_tcp(sent(client), sent(server))
    }

    const HELLO: (u8, &[u8]) = (PSH | ACK, &[22, 3, 1]);
    const ALERT: (u8, &[u8]) = (PSH | ACK, &[21, 3, 3, 0, 2, 2, 40]);

    #[test]
    fn connections_are_told_by_what_either_side_sent() {
        let [syn, answer, ack]: [(u8, &[u8]); 3] = [(SYN, &[]), (SYN | ACK, &[]), (ACK, &[])];
        assert_eq!(connection_outcome(&[syn, syn], &[]), ConnectionOutcome::Attempted);
        assert_eq!(connection_outcome(&[syn], &[(RST | ACK, &[])]), ConnectionOutcome::Refused);
        assert_eq!(
            connection_outcome(&[syn, (RST, &[])], &[answer]),
            ConnectionOutcome::Established,
            "a scanner hangs up"
        );
        assert_eq!(connection_outcome(&[syn, ack], &[answer]), ConnectionOutcome::Established);
        assert_eq!(
            connection_outcome(&[syn, ack, HELLO], &[answer, (RST, &[])]),
            ConnectionOutcome::Refused,
            "a filter read the hello"
        );
        assert_eq!(
            connection_outcome(&[syn, ack, HELLO], &[answer, ALERT, (FIN | ACK, &[])]),
            ConnectionOutcome::Refused
        );
        assert_eq!(
            connection_outcome(&[syn, ack, HELLO], &[answer, HELLO, (RST, &[])]),
            ConnectionOutcome::DataExchanged
        );
        assert_eq!(connection_outcome(&[syn, ack, HELLO], &[answer, HELLO, ALERT]), ConnectionOutcome::DataExchanged);
        assert_eq!(connection_outcome(&[syn, ack, HELLO], &[]), ConnectionOutcome::Established, "only its own packets");
        assert_eq!(connection_outcome(&[], &[answer, HELLO]), ConnectionOutcome::Established);
        assert_eq!(connection_outcome(&[], &[]), ConnectionOutcome::Attempted);
    }

    #[test]
    fn datagrams_are_told_by_their_directions() {
        assert_eq!(ConnectionOutcome::of_udp(true, false), ConnectionOutcome::Attempted);
        assert_eq!(ConnectionOutcome::of_udp(true, true), ConnectionOutcome::DataExchanged);
    }

    #[test]
    fn a_handshake_shows_who_opened() {
        let mut sent = Sent::default();
        sent.note(ACK, 3, b"abc");
        assert!(!sent.shook_hands());
        sent.note(SYN, 0, &[]);
        assert!(sent.shook_hands());
    }

    #[test]
    fn what_says_more_sorts_later() {
        use ConnectionOutcome::{Attempted, DataExchanged, Established, Refused};
        assert!(Attempted < Established && Established < Refused && Refused < DataExchanged);
    }
}
