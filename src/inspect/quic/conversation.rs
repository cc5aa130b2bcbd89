//! The beginning of a QUIC connection: from the client's Initial packets to its ClientHello.

use super::crypto_stream::CryptoStream;
use super::keys::ClientKeys;
use super::packet::{Initial, Packet, Packets, variable_length};
use super::{Connection, ConnectionId, QuicVersion, google};
use crate::flow::Side;
use crate::inspect::{Bound, Observation, Reader, tls};

/// Datagrams of one connection that are looked at for its hello.
const DATAGRAMS_MAX: u16 = 512;
/// Frames of one packet that are looked at.
const FRAMES_MAX: usize = 2_048;

/// Frame types that an Initial packet may carry (RFC 9000 section 12.4).
mod frame {
    pub const PADDING: u64 = 0x00;
    pub const PING: u64 = 0x01;
    pub const ACK: u64 = 0x02;
    pub const ACK_ECN: u64 = 0x03;
    pub const CRYPTO: u64 = 0x06;
    /// The same two in Google's own numbering (Chromium's `quic_types.h`).
    pub const GOOGLE_PING: u64 = 0x07;
    pub const GOOGLE_CRYPTO: u64 = 0x08;
}

/// Keys, and the connection that they belong to.
#[derive(Debug)]
struct Opened {
    side: Side,
    version: QuicVersion,
    connection: Connection,
    keys: ClientKeys,
}

/// A connection whose ClientHello is not complete yet.
#[derive(Debug, Default)]
pub struct InitialConversation {
    opened: Option<Opened>,
    crypto: CryptoStream,
    plain: Vec<u8>,
    datagrams: u16,
    settled: bool,
}

impl InitialConversation {
    /// Takes a datagram that `side` sent. When it completes the hello, `emit` gets it together with the side of the client.
    pub fn accept(&mut self, side: Side, datagram: &[u8], mut emit: impl FnMut(Side, &Observation<'_>)) {
        if self.settled {
            return;
        }
        self.datagrams += 1;
        for packet in Packets::new(datagram) {
            let Packet::Initial(initial) = packet else { continue };
            self.initial(side, &initial, &mut emit);
            if self.settled {
                return;
            }
        }
        if self.datagrams >= DATAGRAMS_MAX {
            self.settled = true;
            emit(side, &Observation::BoundReached(Bound::QuicHello));
        }
    }

    /// Reads what there is of a hello that will not be completed.
    pub fn finish(&mut self, mut emit: impl FnMut(Side, &Observation<'_>)) {
        let body = self.crypto.prefix().split_at_checked(4).map_or(&[][..], |(_, body)| body);
        if let Some(opened) = &self.opened
            && !self.settled
            && let Some(hello) = tls::ClientHello::parse(body, false)
        {
            emit(opened.side, &Observation::QuicClientHello { version: opened.version, hello: &hello });
        }
        self.clear();
    }

    /// Whether the hello was read, or will not come.
    #[must_use]
    pub const fn is_settled(&self) -> bool {
        self.settled
    }

    /// The connection whose packets were opened.
    #[must_use]
    pub fn connection(&self) -> Option<Connection> {
        self.opened.as_ref().map(|opened| opened.connection)
    }

    /// Bytes held for now.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.crypto.held_bytes()
    }

    /// Forgets everything, and keeps the memory.
    pub fn clear(&mut self) {
        self.opened = None;
        self.crypto.clear();
        self.datagrams = 0;
        self.settled = false;
    }

    fn initial(&mut self, side: Side, initial: &Initial<'_>, emit: &mut impl FnMut(Side, &Observation<'_>)) {
        let mut plain = std::mem::take(&mut self.plain);
        if self.open(side, initial, &mut plain) {
            self.frames(&plain, initial.version == QuicVersion::Q050);
            self.conclude(side, initial.version, emit);
        }
        self.plain = plain;
    }

    /// Removes the protection. The client is whoever's packets open with a client's keys: its identifier changes to one that the server
    /// chose, but its keys stay; they change after a Retry (RFC 9001 section 5.2), or when another connection takes the same ports.
    fn open(&mut self, side: Side, initial: &Initial<'_>, plain: &mut Vec<u8>) -> bool {
        if let Some(known) = &self.opened
            && known.side == side
            && known.version == initial.version
            && known.keys.open(initial, plain).is_some()
        {
            return true;
        }
        let ends = (ConnectionId::of(initial.dcid), ConnectionId::of(initial.scid));
        if let Some(known) = &mut self.opened
            && known.version == initial.version
            && known.connection.takes(known.side == side, ends)
        {
            // The server's own, or damaged: there are no keys to open it with.
            return false;
        }
        let keys = ClientKeys::derive(initial.version, initial.dcid);
        if keys.open(initial, plain).is_none() {
            return false;
        }
        self.crypto.clear();
        self.opened = Some(Opened { side, version: initial.version, connection: Connection::begun_by(initial), keys });
        true
    }

    fn frames(&mut self, plain: &[u8], is_google: bool) {
        let mut reader = Reader::new(plain);
        for _ in 0..FRAMES_MAX {
            // A run of padding is one frame for our count.
            let rest = reader.rest();
            let padding = rest.iter().take_while(|&&byte| byte == 0).count();
            if reader.skip(padding).is_none() || reader.is_empty() || self.frame(&mut reader, is_google).is_none() {
                return;
            }
        }
    }

    fn frame(&mut self, reader: &mut Reader<'_>, is_google: bool) -> Option<()> {
        match variable_length(reader)? {
            frame::GOOGLE_PING if is_google => {}
            frame::GOOGLE_CRYPTO if is_google => self.crypto_frame(reader)?,
            _ if is_google => return None,
            frame::PADDING | frame::PING => {}
            kind @ (frame::ACK | frame::ACK_ECN) => {
                variable_length(reader)?;
                variable_length(reader)?;
                let ranges = variable_length(reader)?;
                variable_length(reader)?;
                for _ in 0..ranges {
                    variable_length(reader)?;
                    variable_length(reader)?;
                }
                if kind == frame::ACK_ECN {
                    for _ in 0..3 {
                        variable_length(reader)?;
                    }
                }
            }
            frame::CRYPTO => self.crypto_frame(reader)?,
            // CONNECTION_CLOSE ends the packet; anything else does not belong here.
            _ => return None,
        }
        Some(())
    }

    fn crypto_frame(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        let offset = variable_length(reader)?;
        let length = usize::try_from(variable_length(reader)?).ok()?;
        self.crypto.insert(offset, reader.take(length)?);
        Some(())
    }

    fn conclude(&mut self, client: Side, version: QuicVersion, emit: &mut impl FnMut(Side, &Observation<'_>)) {
        if version == QuicVersion::Q050 {
            if let Some(hello) = google::message(self.crypto.prefix()) {
                self.settled = true;
                emit(client, &Observation::QuicClientHello { version, hello: &hello });
            }
            return;
        }
        let Some(message) = tls::whole_client_hello(self.crypto.prefix()) else { return };
        self.settled = true;
        if let Some(hello) = message {
            emit(client, &Observation::QuicClientHello { version, hello: &hello });
        }
    }
}
