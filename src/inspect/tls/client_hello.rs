//! The ClientHello (RFC 8446 section 4.1.2).

use crate::inspect::{DomainName, Reader};

/// Extension numbers (IANA TLS ExtensionType registry).
pub(super) mod extension {
    pub const SERVER_NAME: u16 = 0;
    pub const SUPPORTED_GROUPS: u16 = 10;
    pub const EC_POINT_FORMATS: u16 = 11;
    pub const SIGNATURE_ALGORITHMS: u16 = 13;
    pub const ALPN: u16 = 16;
    pub const SUPPORTED_VERSIONS: u16 = 43;
    pub const ENCRYPTED_CLIENT_HELLO: u16 = 0xfe0d;
}

/// A ClientHello, borrowed from the handshake bytes.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct ClientHello<'a> {
    /// `legacy_version` of the hello.
    pub legacy_version: u16,
    /// Server name (RFC 6066 section 3), if there is one and it is a name.
    pub sni: Option<DomainName>,
    /// First protocol of the ALPN extension (RFC 7301).
    pub alpn: Option<&'a [u8]>,
    /// Whether an encrypted_client_hello extension is there (RFC 9849), so that `sni` may be only the outer name.
    pub ech: bool,
    /// Whether the message was there to its end; fingerprints of a part would be wrong.
    pub is_complete: bool,
    /// Cipher suites, two bytes each.
    pub(super) cipher_suites: &'a [u8],
    /// Extensions: type, length, data.
    pub(super) extensions: &'a [u8],
    /// Versions of the supported_versions extension, two bytes each.
    pub(super) versions: &'a [u8],
    /// Protocols of the ALPN extension, each behind its length.
    pub(super) protocols: &'a [u8],
}

impl<'a> ClientHello<'a> {
    /// Reads the body of a ClientHello message. Damage behind the cipher suites costs only what lies behind it.
    #[must_use]
    pub fn parse(body: &'a [u8], is_complete: bool) -> Option<Self> {
        let mut reader = Reader::new(body);
        let legacy_version = reader.u16()?;
        if legacy_version >> 8 < 3 {
            return None;
        }
        reader.skip(32)?;
        let session_id = usize::from(reader.u8()?);
        reader.skip(session_id)?;
        let suites = usize::from(reader.u16()?);
        let mut hello = Self { legacy_version, ..Self::default() };
        hello.cipher_suites = reader.sub_lax(suites).rest();
        hello.is_complete = hello.read_rest(&mut reader).is_some() && is_complete;
        // Servers take a version of the future for the highest that they know (RFC 5246 appendix E.1), so it may be any; but then
        // nothing else may be odd.
        (legacy_version >> 8 == 3 || hello.is_complete).then_some(hello)
    }

    /// A hello of which no more is known than whom it names: one of another protocol.
    pub(in crate::inspect) fn naming(sni: Option<DomainName>) -> Self {
        Self { sni, ..Self::default() }
    }

    /// The highest version that the client offers: 0x0304 for TLS 1.3.
    #[must_use]
    pub fn version(&self) -> u16 {
        pairs(self.versions).filter(|&version| !is_grease(version)).max().unwrap_or(self.legacy_version)
    }

    /// Protocols of the ALPN extension, in the client's order.
    pub fn alpns(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut list = Reader::new(self.protocols);
        std::iter::from_fn(move || {
            let length = usize::from(list.u8()?);
            list.take(length)
        })
    }

    /// Extensions: type and data, in the client's order.
    pub(super) fn extensions(&self) -> impl Iterator<Item = (u16, &'a [u8])> + use<'a> {
        let mut list = Reader::new(self.extensions);
        std::iter::from_fn(move || {
            let kind = list.u16()?;
            let length = usize::from(list.u16()?);
            let data = list.sub_lax(length);
            Some((kind, data.rest()))
        })
    }

    /// Compression methods and extensions; `None` when the bytes end first.
    fn read_rest(&mut self, reader: &mut Reader<'a>) -> Option<()> {
        let compressions = usize::from(reader.u8()?);
        reader.skip(compressions)?;
        if reader.is_empty() {
            // A hello without extensions (RFC 5246 section 7.4.1.2).
            return Some(());
        }
        let length = usize::from(reader.u16()?);
        let whole = reader.rest().len() >= length;
        self.extensions = reader.sub_lax(length).rest();
        for (kind, data) in self.extensions() {
            match kind {
                extension::SERVER_NAME => self.sni = self.sni.or_else(|| server_name(data)),
                extension::ALPN => {
                    let mut list = Reader::new(data);
                    let length = usize::from(list.u16().unwrap_or(0));
                    self.protocols = list.sub_lax(length).rest();
                    self.alpn = self.alpns().next();
                }
                extension::SUPPORTED_VERSIONS => {
                    let mut list = Reader::new(data);
                    let length = usize::from(list.u8().unwrap_or(0));
                    self.versions = list.sub_lax(length).rest();
                }
                extension::ENCRYPTED_CLIENT_HELLO => self.ech = true,
                _ => {}
            }
        }
        whole.then_some(())
    }
}

/// The first host name of a server_name extension. A list cut short yields none: half a name is another name.
fn server_name(data: &[u8]) -> Option<DomainName> {
    let mut reader = Reader::new(data);
    let length = usize::from(reader.u16()?);
    let mut list = reader.sub_lax(length);
    while !list.is_empty() {
        let kind = list.u8()?;
        let length = usize::from(list.u16()?);
        let name = list.take(length)?;
        if kind == 0 {
            return DomainName::from_text(name);
        }
    }
    None
}

/// Big-endian values of two bytes each.
pub(super) fn pairs(bytes: &[u8]) -> impl Iterator<Item = u16> + '_ {
    bytes.as_chunks::<2>().0.iter().map(|&pair| u16::from_be_bytes(pair))
}

/// Values that clients send so that servers learn to ignore what they do not know (RFC 8701).
pub(super) const fn is_grease(value: u16) -> bool {
    value & 0x0f0f == 0x0a0a && value >> 8 == value & 0xff
}
