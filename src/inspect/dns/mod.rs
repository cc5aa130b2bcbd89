//! DNS messages (RFC 1035, SVCB and HTTPS records of RFC 9460), over UDP or, length-prefixed, over TCP.

mod answers;
mod name;
mod name_table;
mod tcp;

use super::recognition::Match;
use super::{DomainName, Reader};
use answers::Answers;
use name::read_name;
use std::net::IpAddr;

pub use tcp::TcpStream;

/// Bytes of the fixed header.
const HEADER: usize = 12;
/// Smallest question: the root name, type, class.
const QUESTION_MIN: usize = 5;
/// Response bit of the flags.
const QR: u16 = 0x8000;
/// Truncation bit.
const TC: u16 = 0x0200;
/// Recursion desired.
const RD: u16 = 0x0100;
/// The one bit that is still reserved (RFC 6895 section 2.1).
const RESERVED: u16 = 0x0040;

/// What a DNS message says; reused from message to message, so that parsing allocates nothing once warm.
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// Transaction identifier.
    pub id: u16,
    /// Whether it is a response.
    pub is_response: bool,
    /// RD: the asker wants the whole work done. Resolvers' own queries upstream have it clear.
    pub recursion_desired: bool,
    /// RCODE, 4 bits.
    pub response_code: u8,
    /// TC: the answer did not fit.
    pub truncated: bool,
    /// First question: name and type. `None` for the root or when there is no question.
    pub question: Option<(DomainName, u16)>,
    /// Names of the answer section: owners, CNAME and SVCB targets, in order, each once, other than the question's.
    pub names: Vec<DomainName>,
    /// Addresses that the question leads to: A, AAAA, and the hints of HTTPS and SVCB records.
    pub addresses: Vec<ResolvedAddress>,
    answers: Answers,
}

/// One address out of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResolvedAddress {
    /// The address.
    pub address: IpAddr,
    /// Seconds that the answer lives: the smallest time to live on the way from the question.
    pub ttl_s: u32,
}

/// The bytes are no DNS message, or end before its first question does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl Message {
    /// Reads a message. One that was cut short behind its question still says what its bytes say.
    ///
    /// # Errors
    /// [`Malformed`] when header or question cannot be read; the message then holds nothing of use.
    pub fn parse(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        self.names.clear();
        self.addresses.clear();
        self.question = None;
        let mut reader = Reader::new(bytes);
        let header = Header::read(&mut reader).ok_or(Malformed)?;
        self.id = header.id;
        self.is_response = header.flags & QR != 0;
        self.recursion_desired = header.flags & RD != 0;
        self.truncated = header.flags & TC != 0;
        self.response_code = u8::try_from(header.flags & 0x000f).unwrap_or(0);
        let mut at = HEADER;
        for number in 0..header.questions.min(QUESTIONS_MAX) {
            let (name, after) = read_name(bytes, at).ok_or(Malformed)?;
            let mut fields = Reader::new(bytes.get(after..).unwrap_or(&[]));
            let (record_type, _class) = fields.u16().zip(fields.u16()).ok_or(Malformed)?;
            at = after + 4;
            if number == 0 {
                self.question = name.map(|name| (name, record_type));
            }
        }
        if self.is_response && header.questions <= QUESTIONS_MAX {
            self.answers.read(bytes, self.question.as_ref().map(|(name, _)| name), at, &header);
            self.answers.follow(&mut self.names, &mut self.addresses);
        }
        Ok(())
    }
}

/// Questions that are skipped on the way to the answers; more than one is unheard of outside multicast DNS.
const QUESTIONS_MAX: u16 = 16;

/// The fixed part of a message.
#[derive(Clone, Copy, Debug)]
struct Header {
    id: u16,
    flags: u16,
    questions: u16,
    answers: u16,
    authorities: u16,
    additional: u16,
}

impl Header {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            id: reader.u16()?,
            flags: reader.u16()?,
            questions: reader.u16()?,
            answers: reader.u16()?,
            authorities: reader.u16()?,
            additional: reader.u16()?,
        })
    }

    /// Whether the fields make sense together: queries, notifications and updates (opcodes 0, 4, 5), with a plausible number of records.
    fn is_plausible(&self) -> bool {
        let opcode = (self.flags >> 11) & 0x0f;
        if !matches!(opcode, 0 | 4 | 5) || self.flags & RESERVED != 0 {
            return false;
        }
        if self.flags & QR == 0 {
            // A query answers nothing, and fails at nothing.
            self.questions == 1
                && self.flags & 0x000f == 0
                && (opcode != 0 || self.answers == 0)
                && self.additional <= 8
        } else {
            self.questions <= 1 && (self.questions == 1 || self.answers > 0)
        }
    }
}

/// Whether a datagram is a DNS message.
#[must_use]
pub fn recognise(bytes: &[u8]) -> bool {
    let mut reader = Reader::new(bytes);
    let Some(header) = Header::read(&mut reader).filter(Header::is_plausible) else { return false };
    let Some((_, after)) = read_name(bytes, HEADER) else { return false };
    let mut fields = Reader::new(bytes.get(after..).unwrap_or(&[]));
    let Some((_, class)) = fields.u16().zip(fields.u16()) else { return false };
    // Internet, Chaos, Hesiod, none, any; the top bit is multicast DNS's own (RFC 6762).
    header.questions == 0 || matches!(class & 0x7fff, 1 | 3 | 4 | 254 | 255)
}

/// Whether the start of a TCP stream is a length-prefixed DNS message (RFC 7766 section 8).
#[must_use]
pub fn recognise_stream(bytes: &[u8]) -> Match {
    let mut reader = Reader::new(bytes);
    let Some(length) = reader.u16() else { return Match::NeedMore };
    if usize::from(length) < HEADER + QUESTION_MIN {
        return Match::No;
    }
    // What lies behind the message is none of its question.
    let mut reader = reader.sub_lax(length.into());
    let message = reader.rest();
    match Header::read(&mut reader) {
        Some(header) if !header.is_plausible() || header.questions != 1 => Match::No,
        Some(_) if recognise(message) => Match::Yes,
        // The question is complete within the longest name, type and class.
        _ if message.len() < usize::from(length) && message.len() < HEADER + 256 + 4 => Match::NeedMore,
        _ => Match::No,
    }
}

#[cfg(test)]
mod tests;
