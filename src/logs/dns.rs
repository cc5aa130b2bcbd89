//! What a log keeps of DNS messages. Versions 1 to 3 of the records, and what alerts tell of messages.

use super::record::{Answer, Dns, Grouped, Question, Text};
use kaspector::inspect::{DnsMessage, DomainName, ResolvedAddress};
use std::net::IpAddr;

/// Questions, names and addresses of one message that are looked at, as of one that is read from its bytes.
const QUESTIONS_MAX: usize = 64;
const NAMES_MAX: usize = 64;
const ADDRESSES_MAX: usize = 128;

/// Which message a record tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Query,
    Answer,
}

impl Dns<'_> {
    /// `None` when the record does not say.
    pub fn kind(&self) -> Option<Kind> {
        match self.kind.as_ref()?.as_str() {
            "query" | "request" => Some(Kind::Query),
            "answer" | "response" => Some(Kind::Answer),
            _ => None,
        }
    }

    /// Whether the asker wanted the whole work done, where the record says; a query of version 2 does not.
    pub fn recursion_desired(&self) -> Option<bool> {
        const RD: u16 = 0x0100;
        let flags = self.flags.as_ref().and_then(|flags| u16::from_str_radix(flags.as_str(), 16).ok());
        self.rd.or(flags.map(|flags| flags & RD != 0))
    }

    /// What is asked: name and type.
    fn questions(&self) -> impl Iterator<Item = (DomainName, u16)> {
        let own = self.rrname.as_ref().map(|name| (name, self.rrtype.as_ref()));
        let listed = self.queries.iter().chain(&self.query);
        let listed = listed.filter_map(|Question { rrname, rrtype, .. }| Some((rrname.as_ref()?, rrtype.as_ref())));
        own.into_iter().chain(listed).filter_map(|(name, of_type)| {
            Some((DomainName::from_text(name.as_str().as_bytes())?, of_type.map_or(0, |one| record_type(one.as_str()))))
        })
    }

    /// Puts what the record tells into `message`.
    pub fn read_into(&self, message: &mut DnsMessage, kind: Kind) {
        let id = self.id.or_else(|| self.query.first()?.id);
        message.id = id.unwrap_or_default();
        message.is_response = kind == Kind::Answer;
        message.recursion_desired = self.recursion_desired().unwrap_or(true);
        message.response_code = self.rcode.as_ref().map_or(0, |code| response_code(code.as_str()));
        message.truncated = false;
        message.over_bound = false;
        message.names.clear();
        message.addresses.clear();
        message.further_questions.clear();
        let mut questions = self.questions();
        message.question = questions.next();
        message.further_questions.extend(questions.take(QUESTIONS_MAX - 1));
        if kind == Kind::Answer {
            self.follow(message);
        }
    }

    /// Walks from the questions along the aliases to the addresses, whatever order they came in.
    fn follow(&self, message: &mut DnsMessage) {
        let mut reached: Vec<(DomainName, u32)> = message.questions().map(|&(name, _)| (name, u32::MAX)).collect();
        let asked = reached.len();
        let records = || self.answers.iter().filter_map(Data::of).chain(self.only_record());
        let mut done = 0;
        // Each name enters once and their number is bounded, so a loop of aliases ends.
        while let Some(&(name, ttl_s)) = reached.get(done) {
            done += 1;
            for (owner, data, ttl) in records() {
                let Data::Alias(to) = data else { continue };
                if owner == name && reached.len() < asked + NAMES_MAX && !reached.iter().any(|(known, _)| *known == to)
                {
                    reached.push((to, ttl_s.min(ttl)));
                }
            }
        }
        for (owner, data, ttl) in records() {
            let (Data::Address(address), Some(&(_, way))) = (data, reached.iter().find(|(name, _)| *name == owner))
            else {
                continue;
            };
            if message.addresses.len() < ADDRESSES_MAX {
                message.addresses.push(ResolvedAddress { address, ttl_s: way.min(ttl) });
            }
        }
        message.names.extend(reached.iter().skip(asked).map(|&(name, _)| name));
        if self.answers.is_empty()
            && let Some(grouped) = &self.grouped
        {
            grouped.read_into(message);
        }
    }

    /// The record of an answer of version 1, which has a line for each.
    fn only_record(&self) -> Option<(DomainName, Data, u32)> {
        Data::read(self.rrname.as_ref()?, self.rrtype.as_ref()?, self.rdata.as_ref()?, self.ttl)
    }
}

impl Grouped<'_> {
    /// Without times to live: an address is then good for a connection that follows at once.
    fn read_into(&self, message: &mut DnsMessage) {
        let names = self.cname.iter().filter_map(|name| DomainName::from_text(name.as_str().as_bytes()));
        message.names.extend(names.take(NAMES_MAX));
        let addresses = self.a.iter().chain(&self.aaaa).filter_map(|text| text.as_str().parse().ok());
        message.addresses.extend(addresses.take(ADDRESSES_MAX).map(|address| ResolvedAddress { address, ttl_s: 0 }));
    }
}

/// What an answer's record leads to.
#[allow(clippy::large_enum_variant, reason = "lives while one record is read")]
enum Data {
    Alias(DomainName),
    Address(IpAddr),
}

impl Data {
    fn of(answer: &Answer<'_>) -> Option<(DomainName, Self, u32)> {
        Self::read(answer.rrname.as_ref()?, answer.rrtype.as_ref()?, answer.rdata.as_ref()?, answer.ttl)
    }

    fn read(
        owner: &Text<'_>,
        of_type: &Text<'_>,
        data: &Text<'_>,
        ttl: Option<u32>,
    ) -> Option<(DomainName, Self, u32)> {
        let data = match of_type.as_str() {
            "A" | "AAAA" => Self::Address(data.as_str().parse().ok()?),
            "CNAME" => Self::Alias(DomainName::from_text(data.as_str().as_bytes())?),
            _ => return None,
        };
        // A time to live with the top bit set counts as zero (RFC 2181 section 8).
        let ttl_s = ttl.filter(|ttl| ttl >> 31 == 0).unwrap_or(0);
        Some((DomainName::from_text(owner.as_str().as_bytes())?, data, ttl_s))
    }
}

/// Numbers of the types that lookups of products ask for; 0 for others.
fn record_type(name: &str) -> u16 {
    match name {
        "A" => 1,
        "NS" => 2,
        "CNAME" => 5,
        "SOA" => 6,
        "PTR" => 12,
        "MX" => 15,
        "TXT" => 16,
        "AAAA" => 28,
        "SRV" => 33,
        "SVCB" => 64,
        "HTTPS" => 65,
        "ANY" => 255,
        _ => 0,
    }
}

/// The number of an outcome (RFC 6895 section 2.3); 15, which none has, for one that is not known.
fn response_code(name: &str) -> u8 {
    match name {
        "NOERROR" => 0,
        "FORMERR" => 1,
        "SERVFAIL" => 2,
        "NXDOMAIN" => 3,
        "NOTIMP" => 4,
        "REFUSED" => 5,
        other => other.parse().unwrap_or(15),
    }
}
