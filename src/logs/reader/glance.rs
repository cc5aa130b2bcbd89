//! A first look at a line, which most lines do not survive: nothing in them can matter, and they need not be read as JSON. Whatever is not
//! written just as Suricata writes it, or may matter, is read in full.

use crate::http::BODIES;
use crate::observer::Ends;
use crate::timestamp;
use crate::tls::common_names;
use kaspector::capture::Timestamp;
use kaspector::decode::{FiveTuple, Zone};
use kaspector::inspect::DomainName;
use kaspector::matching::{Ledger, SignatureSet};
use memchr::memmem::Finder;
use std::net::IpAddr;
use std::str::{self, FromStr};
use std::sync::LazyLock;

/// Where in a line, from the end of its flow's number, its kind and its addresses must begin.
const HEADER_MAX: usize = 512;

/// A record of which nothing can matter but that there was one.
pub(super) struct Glance {
    pub at: Timestamp,
    pub flow_id: u64,
    pub ends: Ends,
    /// Whether it says that its flow is over.
    pub is_over: bool,
    /// Whether it says whom its flow is for.
    pub is_named: bool,
    /// Whether it is a query of DNS.
    pub is_query: bool,
}

/// Searches for keys. To prepare one takes longer than the search.
struct Keys {
    event_type: Finder<'static>,
    src_ip: Finder<'static>,
    rrname: Finder<'static>,
    rdata: Finder<'static>,
    answers: Finder<'static>,
    grouped: Finder<'static>,
    query: Finder<'static>,
    request: Finder<'static>,
    sni: Finder<'static>,
    hash: Finder<'static>,
    ja4: Finder<'static>,
    subject: Finder<'static>,
    issuer: Finder<'static>,
    hostname: Finder<'static>,
    url: Finder<'static>,
    user_agent: Finder<'static>,
    header_kept: [Finder<'static>; 4],
}

static KEYS: LazyLock<Keys> = LazyLock::new(|| Keys {
    event_type: Finder::new(br#","event_type":""#),
    src_ip: Finder::new(br#","src_ip":""#),
    rrname: Finder::new(br#""rrname":""#),
    rdata: Finder::new(br#""rdata":""#),
    answers: Finder::new(br#""answers":"#),
    grouped: Finder::new(br#""grouped":"#),
    query: Finder::new(br#""type":"query""#),
    request: Finder::new(br#""type":"request""#),
    sni: Finder::new(br#""sni":""#),
    hash: Finder::new(br#""hash":""#),
    ja4: Finder::new(br#""ja4":""#),
    subject: Finder::new(br#""subject":""#),
    issuer: Finder::new(br#""issuerdn":""#),
    hostname: Finder::new(br#""hostname":""#),
    url: Finder::new(br#""url":""#),
    user_agent: Finder::new(br#""http_user_agent":""#),
    header_kept: [&br#""request_headers":"#[..], br#""via":"#, br#""xff":"#, br#""x_forwarded_for":"#].map(Finder::new),
});

/// `None` if the line has to be read.
pub(super) fn glance(line: &[u8], signatures: &SignatureSet, ledger: &Ledger) -> Option<Glance> {
    let rest = line.strip_prefix(br#"{"timestamp":""#)?;
    let (time, rest) = rest.split_at_checked(memchr::memchr(b'"', rest)?)?;
    let rest = rest.strip_prefix(br#"","flow_id":"#)?;
    let (flow_id, rest) = number::<u64>(rest)?;
    let (_, rest) = after(rest, &KEYS.event_type)?;
    let (kind, rest) = rest.split_at_checked(memchr::memchr(b'"', rest)?)?;
    if !matches!(kind, b"dns" | b"tls" | b"quic" | b"http" | b"flow") {
        return None;
    }
    let (before, rest) = after(rest, &KEYS.src_ip)?;
    let zone = zone(before.strip_prefix(b"\"")?)?;
    let (src, rest) = address(rest)?;
    let (src_port, rest) = number::<u16>(rest.strip_prefix(br#"","src_port":"#)?)?;
    let (dst, rest) = address(rest.strip_prefix(br#","dest_ip":""#)?)?;
    let (dst_port, rest) = number::<u16>(rest.strip_prefix(br#"","dest_port":"#)?)?;
    let rest = rest.strip_prefix(br#","proto":""#)?;
    let protocol = match rest.get(..4)? {
        b"TCP\"" => FiveTuple::TCP,
        b"UDP\"" => FiveTuple::UDP,
        _ => return None,
    };
    // A line that was cut short has to be counted.
    let count = |wanted| memchr::memchr_iter(wanted, line).count();
    if line.last() != Some(&b'}') || count(b'{') != count(b'}') {
        return None;
    }
    let five_tuple = FiveTuple { src, dst, src_port, dst_port, protocol };
    let of_interest = signatures.is_port_of_interest(src_port, protocol)
        || signatures.is_port_of_interest(dst_port, protocol)
        || signatures.match_address(src).is_some()
        || signatures.match_address(dst).is_some();
    if of_interest || ledger.may_matter(&five_tuple) {
        return None;
    }
    let look = Look { rest, signatures, ledger };
    let is_named = match kind {
        b"dns" => look.dns()?,
        b"tls" => look.tls()?,
        b"quic" => look.quic()?,
        b"http" => look.http()?,
        _ => false,
    };
    let at = timestamp(str::from_utf8(time).ok()?)?;
    let is_query = kind == b"dns" && look.is_query();
    Some(Glance { at, flow_id, ends: Ends::of(&five_tuple, zone), is_over: kind == b"flow", is_named, is_query })
}

/// The part of a line behind its addresses. Each question is answered by `None` if something may match.
struct Look<'a> {
    rest: &'a [u8],
    signatures: &'a SignatureSet,
    ledger: &'a Ledger,
}

impl Look<'_> {
    fn dns(&self) -> Option<bool> {
        let mut is_named = false;
        for name in self.values(&KEYS.rrname) {
            is_named |= self.passes_name(name?)?;
        }
        for data in self.values(&KEYS.rdata) {
            let data = data?;
            match str::from_utf8(data).ok()?.parse::<IpAddr>() {
                Ok(address) => self.passes_address(address)?,
                Err(_) => _ = self.passes_name(data)?,
            }
        }
        // Addresses that stand in a list alone.
        (self.has(&KEYS.answers) || !self.has(&KEYS.grouped)).then_some(is_named)
    }

    fn is_query(&self) -> bool {
        self.has(&KEYS.query) || self.has(&KEYS.request)
    }

    fn has(&self, key: &Finder<'_>) -> bool {
        key.find(self.rest).is_some()
    }

    fn tls(&self) -> Option<bool> {
        let mut is_named = self.quic()?;
        for hash in self.values(&KEYS.hash) {
            let hash = u128::from_str_radix(str::from_utf8(hash?).ok()?, 16).ok()?;
            self.signatures.match_ja3(&hash.to_be_bytes()).is_none().then_some(())?;
        }
        for ja4 in self.values(&KEYS.ja4) {
            self.signatures.match_ja4(str::from_utf8(ja4?).ok()?).is_none().then_some(())?;
        }
        for subject in self.values(&KEYS.subject) {
            let subject = str::from_utf8(subject?).ok()?;
            let mut common_names = common_names(subject).peekable();
            // Without a common name it may have other names.
            common_names.peek()?;
            for name in common_names {
                let name = name.to_ascii_lowercase();
                self.passes_name(name.strip_prefix("*.").unwrap_or(&name).as_bytes())?;
            }
            self.passes_certificate(subject)?;
            is_named = true;
        }
        for issuer in self.values(&KEYS.issuer) {
            self.passes_certificate(str::from_utf8(issuer?).ok()?)?;
        }
        Some(is_named)
    }

    fn quic(&self) -> Option<bool> {
        let mut is_named = false;
        for name in self.values(&KEYS.sni) {
            is_named |= self.passes_name(name?)?;
        }
        Some(is_named)
    }

    /// A request for a path of its server. Any other form asks a proxy.
    fn http(&self) -> Option<bool> {
        if KEYS.header_kept.iter().any(|key| self.has(key)) || BODIES.iter().any(|body| self.is_body_known(body)) {
            return None;
        }
        for target in self.values(&KEYS.url) {
            let target = target?;
            let is_path = target.first() == Some(&b'/') && memchr::memchr(b' ', target).is_none();
            (is_path && self.signatures.match_path(target).is_none()).then_some(())?;
        }
        for agent in self.values(&KEYS.user_agent) {
            self.signatures.match_user_agent(agent?.trim_ascii()).is_none().then_some(())?;
        }
        let mut is_named = false;
        for host in self.values(&KEYS.hostname) {
            let host = host?;
            memchr::memchr3(b':', b'@', b' ', host).is_none().then_some(())?;
            is_named |= self.passes_name(host)?;
        }
        Some(is_named)
    }

    fn is_body_known(&self, body: &[u8]) -> bool {
        self.signatures.match_body(body).is_some()
    }

    /// The values of a key; `None` for one with an escape in it.
    fn values(&self, key: &'static Finder<'static>) -> impl Iterator<Item = Option<&[u8]>> + use<'_> {
        let rest = self.rest;
        key.find_iter(rest).map(move |at| {
            let value = rest.get(at + key.needle().len()..)?;
            let value = value.get(..memchr::memchr(b'"', value)?)?;
            memchr::memchr(b'\\', value).is_none().then_some(value)
        })
    }

    /// Gives whether it is a name.
    fn passes_name(&self, name: &[u8]) -> Option<bool> {
        let Some(name) = DomainName::from_text(name) else { return Some(false) };
        self.signatures.match_name(name.as_str()).is_none().then_some(true)
    }

    fn passes_certificate(&self, name: &str) -> Option<()> {
        (!self.signatures.may_match_certificate_text(name)).then_some(())
    }

    /// Whether nobody got this address for a name that matches, so that another name takes nothing back.
    fn passes_address(&self, address: IpAddr) -> Option<()> {
        let both = FiveTuple { src: address, dst: address, src_port: 0, dst_port: 0, protocol: 0 };
        (!self.ledger.may_matter(&both)).then_some(())
    }
}

/// What stands before a key, and what behind it.
fn after<'a>(bytes: &'a [u8], key: &Finder<'_>) -> Option<(&'a [u8], &'a [u8])> {
    let at = key.find(bytes.get(..HEADER_MAX).unwrap_or(bytes))?;
    Some((bytes.get(..at)?, bytes.get(at + key.needle().len()..)?))
}

fn number<T: FromStr>(bytes: &[u8]) -> Option<(T, &[u8])> {
    let end = bytes.iter().take(20).position(|byte| !byte.is_ascii_digit())?;
    let (digits, rest) = bytes.split_at_checked(end)?;
    Some((str::from_utf8(digits).ok()?.parse().ok()?, rest))
}

fn address(bytes: &[u8]) -> Option<(IpAddr, &[u8])> {
    let (text, rest) = bytes.split_at_checked(memchr::memchr(b'"', bytes)?)?;
    Some((str::from_utf8(text).ok()?.parse().ok()?, rest))
}

/// What stands between kind and addresses: nothing, or tags.
fn zone(bytes: &[u8]) -> Option<Zone> {
    if bytes.is_empty() {
        return Some(Zone::default());
    }
    let tags = str::from_utf8(bytes.strip_prefix(br#","vlan":["#)?.strip_suffix(b"]")?).ok()?;
    let mut all = [None; 2];
    let mut count = 0;
    for tag in tags.split(',') {
        let tag: u16 = tag.parse().ok()?;
        if tag != 0
            && let Some(place) = all.get_mut(count)
        {
            *place = Some(tag);
            count += 1;
        }
    }
    let [vlan, inner_vlan] = all;
    Some(Zone { vlan, inner_vlan, vni: None })
}
