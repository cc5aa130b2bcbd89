//! DNS messages (RFC 1035, SVCB and HTTPS records of RFC 9460), over UDP or, length-prefixed, over TCP.

mod answers;
mod name;
mod name_table;
mod tcp;

use super::recognition::Match;
use super::{DomainName, Reader};
use answers::Answers;
use name::{read_name, read_name_into, skip_name};
use std::net::IpAddr;

pub(super) use name::walk_name;
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
/// Questions that a message may be believed to ask: a network's devices ask their neighbours for many names at once (RFC 6762).
const QUESTIONS_PLAUSIBLE: u16 = 128;
/// Questions at the beginning of a stream that are waited for.
const QUESTIONS_OF_STREAM: u16 = 12;
/// The one bit that is still reserved (RFC 6895 section 2.1).
const RESERVED: u16 = 0x0040;

/// What a DNS message says; reused from message to message, so that parsing allocates nothing once warm.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
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
    /// Further questions, of which none but multicast DNS knows more than one (RFC 9619), though anybody may ask them.
    pub further_questions: Vec<(DomainName, u16)>,
    /// Whether there were more questions, records, names or addresses than are looked at.
    pub over_bound: bool,
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
        self.further_questions.clear();
        self.answers.begin();
        let mut reader = Reader::new(bytes);
        let Some(header) = Header::read(&mut reader) else {
            self.question = None;
            return Err(Malformed);
        };
        self.id = header.id;
        self.is_response = header.flags & QR != 0;
        self.recursion_desired = header.flags & RD != 0;
        self.truncated = header.flags & TC != 0;
        self.response_code = u8::try_from(header.flags & 0x000f).unwrap_or(0);
        self.over_bound = header.questions > QUESTIONS_MAX;
        let mut at = HEADER;
        if header.questions == 0 {
            self.question = None;
        } else {
            at = self.first_question(bytes)?;
        }
        for _ in 1..header.questions.min(QUESTIONS_MAX) {
            // What was cut short behind the first still says what its bytes say.
            let Some((name, record_type, after)) = question(bytes, at) else { return Ok(()) };
            if let Some(name) = name {
                if self.is_response {
                    self.answers.ask(&name, at);
                }
                self.further_questions.push((name, record_type));
            }
            at = after;
        }
        if self.is_response && header.questions <= QUESTIONS_MAX {
            self.answers.read(bytes, at, &header);
            self.over_bound |= !self.answers.follow(&mut self.names, &mut self.addresses);
        }
        Ok(())
    }

    /// Reads the first question, in nearly all messages the only one, to where it is kept. Says where it ends.
    fn first_question(&mut self, bytes: &[u8]) -> Result<usize, Malformed> {
        let (name, record_type) = self.question.get_or_insert((DomainName::EMPTY, 0));
        let read = read_name_into(bytes, HEADER, name).and_then(|(is_some, after)| {
            let (question_type, after) = question_type(bytes, after)?;
            *record_type = question_type;
            Some((is_some, after))
        });
        if self.is_response
            && let Some((true, _)) = read
        {
            self.answers.ask(name, HEADER);
        }
        if !matches!(read, Some((true, _))) {
            self.question = None;
        }
        read.map(|(_, after)| after).ok_or(Malformed)
    }

    /// All questions: name and type.
    pub fn questions(&self) -> impl Iterator<Item = &(DomainName, u16)> {
        self.question.iter().chain(&self.further_questions)
    }
}

/// The question at `at`: its name, `None` for the root, its type, and where the next one begins.
fn question(bytes: &[u8], at: usize) -> Option<(Option<DomainName>, u16, usize)> {
    let (name, after) = read_name(bytes, at)?;
    let (record_type, after) = question_type(bytes, after)?;
    Some((name, record_type, after))
}

/// The type behind the name of a question, and where the question ends.
fn question_type(bytes: &[u8], at: usize) -> Option<(u16, usize)> {
    let mut fields = Reader::new(bytes.get(at..)?);
    let (record_type, _class) = fields.u16().zip(fields.u16())?;
    Some((record_type, at + 4))
}

/// Questions of one message that are read.
const QUESTIONS_MAX: u16 = 64;

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
            (1..=QUESTIONS_PLAUSIBLE).contains(&self.questions)
                && self.flags & 0x000f == 0
                && (opcode != 0 || self.answers == 0)
                && self.additional <= 8
        } else {
            self.questions <= QUESTIONS_PLAUSIBLE && (self.questions > 0 || self.answers > 0)
        }
    }
}

/// Whether a datagram is a DNS message.
#[must_use]
pub fn recognise(bytes: &[u8]) -> bool {
    let mut reader = Reader::new(bytes);
    let Some(header) = Header::read(&mut reader).filter(Header::is_plausible) else { return false };
    // One question is the rule. Where there are more, each has to be one, or other bytes would pass for DNS too often.
    let mut at = HEADER;
    for _ in 0..header.questions.clamp(1, QUESTIONS_MAX) {
        let Some(after) = skip_name(bytes, at) else { return false };
        let mut fields = Reader::new(bytes.get(after..).unwrap_or(&[]));
        let Some((_, class)) = fields.u16().zip(fields.u16()) else { return false };
        // Internet, Chaos, Hesiod, none, any; the top bit is multicast DNS's own (RFC 6762).
        if header.questions > 0 && !matches!(class & 0x7fff, 1 | 3 | 4 | 254 | 255) {
            return false;
        }
        at = after + 4;
    }
    true
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
        Some(header) if !header.is_plausible() || header.questions == 0 => Match::No,
        Some(_) if recognise(message) => Match::Yes,
        // Each question is complete within the longest name, type and class; a stream waits for a few.
        Some(header)
            if message.len() < usize::from(length)
                && message.len() < HEADER + usize::from(header.questions.min(QUESTIONS_OF_STREAM)) * (256 + 4) =>
        {
            Match::NeedMore
        }
        None if message.len() < usize::from(length) => Match::NeedMore,
        _ => Match::No,
    }
}

#[cfg(test)]
mod tests;
