//! All indicators, compiled for matching; immutable once built.

mod addresses;
mod certificates;
mod digest;
mod error;
mod explain;
mod files;
mod fingerprints;
mod habits;
mod indicators;
mod load;
mod names;
mod ports;
mod prefixes;
mod products;
mod protocols;
mod template;
#[cfg(test)]
mod tests;
mod texts;

pub(super) use certificates::attributes as certificate_attributes;
pub use error::SignatureError;
pub use explain::{Explained, Explanation};
pub use habits::{Beacon, Habits, ResolverOrder, STEPS_MAX};
pub use indicators::Indicators;
pub use ports::PortRange;
pub use products::{Product, ProductKind};
pub(super) use template::expand as expand_template;

use super::products::NamedProducts;
use super::{Indicator, IndicatorIndex, MatchKind};
use crate::capture::display_path;
use crate::inspect::{Certificate, DomainName, Frames};
use addresses::Addresses;
use certificates::Certificates;
use digest::digest;
use files::{BUILTIN, files_of, read_folder, text_of};
use fingerprints::Fingerprints;
use foldhash::fast::FixedState;
use load::{Loader, Place};
use names::Names;
use ports::Ports;
use prefixes::Prefixes;
use protocols::Protocols;
use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;
use texts::Texts;

/// Version of a set whose files name none.
const UNVERSIONED: &str = "unversioned";

/// All indicators, compiled: built once, then only read, by all threads.
#[derive(Debug)]
pub struct SignatureSet {
    /// By index: those that are looked for, and those that a set before this one looked for.
    indicators: Vec<Indicator>,
    /// Where each of those that are looked for stands, and its index, in the order of the files.
    places: Vec<(IndicatorIndex, Place)>,
    /// By index: whether it is looked for.
    in_force: Vec<bool>,
    /// By id.
    indices: HashMap<Box<str>, IndicatorIndex, FixedState>,
    products: Vec<Product>,
    /// By index: what evidence of it names.
    named_products: Vec<NamedProducts>,
    version: String,
    sha256: String,
    names: Names,
    addresses: Addresses,
    paths: Texts,
    user_agents: Texts,
    fingerprints: Fingerprints,
    certificates: Certificates,
    ports: Ports,
    habits: Habits,
    http_headers: Prefixes,
    bodies: Prefixes,
    uploads: Texts,
    streams: Prefixes,
    mail_headers: Prefixes,
    syslog: Prefixes,
    protocols: Protocols,
}

impl Default for SignatureSet {
    /// The empty set.
    fn default() -> Self {
        Self::compile(Loader::default(), UNVERSIONED.to_owned())
    }
}

impl SignatureSet {
    /// The set that comes with the program.
    ///
    /// # Panics
    /// Never: a test reads the very files that are compiled in.
    #[must_use]
    pub fn builtin() -> Self {
        let loader = Self::builtin_files();
        let version = loader.version().unwrap_or(UNVERSIONED).to_owned();
        Self::compile(loader, version)
    }

    fn builtin_files() -> Loader {
        Loader::of_proven_files(BUILTIN).expect("the built-in signature files are read by a test")
    }

    /// Reads every `*.toml` of `folder`, in the order of their names; nothing of the built-in set remains.
    ///
    /// # Errors
    /// [`SignatureError`] for the first thing that is wrong.
    pub fn from_folder(folder: &Path) -> Result<Self, SignatureError> {
        let mut loader = Loader::default();
        read_folder(folder, &mut loader)?;
        let version = loader.version().unwrap_or(UNVERSIONED).to_owned();
        Ok(Self::compile(loader, version))
    }

    /// This set, and every `*.toml` of `folder` besides. The version is then `2026.11+...`, with the version that the folder names, or
    /// `unversioned`.
    ///
    /// # Errors
    /// [`SignatureError`] for the first thing that is wrong; an id or a value that the set already has is wrong, too.
    pub fn with_folder(self, folder: &Path) -> Result<Self, SignatureError> {
        let mut loader = Loader::after(
            &self.products,
            self.places.iter().map(|(index, place)| (self.get(*index).clone(), place.clone())),
        );
        read_folder(folder, &mut loader)?;
        let version = format!("{}+{}", self.version, loader.version().unwrap_or(UNVERSIONED));
        Ok(Self::compile(loader, version))
    }

    /// The set that the files of folders make: of the one that takes the place of the built-in set, if one is named, and of the one that
    /// adds to it. The same as from [`Self::from_folder`] and [`Self::with_folder`].
    ///
    /// # Errors
    /// All that is wrong with the files, in their order.
    pub fn of_folders(replace: Option<&Path>, extra: Option<&Path>) -> Result<Self, Vec<SignatureError>> {
        let (mut faults, mut versions) = (Vec::new(), Vec::new());
        let mut loader = match replace {
            Some(_) => Loader::default(),
            None => {
                let loader = Self::builtin_files();
                versions.push(loader.version().unwrap_or(UNVERSIONED).to_owned());
                loader
            }
        };
        for folder in replace.into_iter().chain(extra) {
            let files = files_of(folder).unwrap_or_else(|fault| {
                faults.push(fault);
                Vec::new()
            });
            // A version of its own each folder may have.
            loader.forget_version();
            for path in files {
                match text_of(&path) {
                    Ok(text) => loader.read(&display_path(&path), &text, &mut faults),
                    Err(fault) => faults.push(fault),
                }
            }
            versions.push(loader.version().unwrap_or(UNVERSIONED).to_owned());
        }
        if faults.is_empty() {
            return Ok(Self::compile(loader, versions.join("+")));
        }
        faults.sort_by(|one, other| one.place().cmp(&other.place()));
        Err(faults)
    }

    /// This set, to take the place of `earlier` while it is in use: an indicator of both keeps its index, and an index of `earlier` alone
    /// still has its indicator, for what it found, although nothing matches it any more.
    ///
    /// # Errors
    /// When so many indicators came and went that there are no numbers left.
    pub fn succeed(self, earlier: &Self) -> Result<Self, SignatureError> {
        let mut indicators = earlier.indicators.clone();
        let mut places = Vec::with_capacity(self.places.len());
        for (index, place) in &self.places {
            let one = self.get(*index).clone();
            let at = match earlier.indices.get(one.id.as_str()) {
                Some(&known) => known,
                None => IndicatorIndex(u32::try_from(indicators.len()).map_err(|_| SignatureError::NumbersUsedUp)?),
            };
            match indicators.get_mut(at.0 as usize) {
                Some(place) => *place = one,
                None => indicators.push(one),
            }
            places.push((at, place.clone()));
        }
        Ok(Self::of(indicators, places, self.products, self.version))
    }

    fn compile(loader: Loader, version: String) -> Self {
        let Loader { indicators, places, products, .. } = loader;
        let places = (0..=u32::MAX).map(IndicatorIndex).zip(places).collect();
        Self::of(indicators, places, products, version)
    }

    fn of(
        indicators: Vec<Indicator>,
        places: Vec<(IndicatorIndex, Place)>,
        products: Vec<Product>,
        version: String,
    ) -> Self {
        let one = |index: IndicatorIndex| Some((index, indicators.get(index.0 as usize)?));
        let numbered: Vec<(IndicatorIndex, &Indicator)> = places.iter().filter_map(|&(index, _)| one(index)).collect();
        let names = Names::build(&numbered);
        let addresses = Addresses::build(&numbered);
        let paths = Texts::build(
            &numbered,
            &[MatchKind::PathPrefix, MatchKind::PathSuffix, MatchKind::PathContains, MatchKind::PathRegex],
        );
        let user_agents = Texts::build(&numbered, &[MatchKind::UserAgentPrefix, MatchKind::UserAgentRegex]);
        let fingerprints = Fingerprints::build(&numbered);
        let certificates = Certificates::build(&numbered);
        let habits = Habits::build(&numbered);
        let ports = Ports::build(&numbered, habits.ports());
        let http_headers = Prefixes::build(&numbered, MatchKind::HttpHeader);
        let bodies = Prefixes::build(&numbered, MatchKind::BodyPrefix);
        let uploads = Texts::build(&numbered, &[MatchKind::UploadContains]);
        let streams = Prefixes::build(&numbered, MatchKind::StreamPrefix);
        let mail_headers = Prefixes::build(&numbered, MatchKind::MailHeader);
        let syslog = Prefixes::build(&numbered, MatchKind::Syslog);
        let protocols = Protocols::build(&numbered);
        let mut in_force = vec![false; indicators.len()];
        for (index, _) in &numbered {
            if let Some(place) = in_force.get_mut(index.0 as usize) {
                *place = true;
            }
        }
        let by_index = (0..=u32::MAX).map(IndicatorIndex).zip(&indicators);
        let indices = by_index.map(|(index, one)| (one.id.as_str().into(), index)).collect();
        let named_products = NamedProducts::of_each(&indicators);
        let sha256 = digest(numbered.iter().map(|&(_, one)| one));
        Self {
            indicators,
            places,
            in_force,
            indices,
            products,
            named_products,
            version,
            sha256,
            names,
            addresses,
            paths,
            user_agents,
            fingerprints,
            certificates,
            ports,
            habits,
            http_headers,
            bodies,
            uploads,
            streams,
            mail_headers,
            syslog,
            protocols,
        }
    }

    /// The products that the files declare, in their order.
    #[must_use]
    pub fn products(&self) -> &[Product] {
        &self.products
    }

    /// The version that the files name: `2026.11`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// SHA-256 over what the indicators say, in hexadecimal: the same for the same indicators, however they are spread over files.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Number of indicators that are looked for.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether nothing is looked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// All indicators that are looked for, in the order of the files.
    #[must_use]
    pub fn iter(&self) -> Indicators<'_> {
        Indicators::of(self)
    }

    /// The same, with their indices.
    fn indexed(&self) -> impl Iterator<Item = (IndicatorIndex, &Indicator)> {
        self.places.iter().map(|(index, _)| (*index, self.get(*index)))
    }

    /// The indicator of an index that this set gave.
    ///
    /// # Panics
    /// With an index of another, larger set.
    #[must_use]
    pub fn get(&self, index: IndicatorIndex) -> &Indicator {
        self.indicators.get(index.0 as usize).expect("the index comes from this set")
    }

    /// What evidence of an indicator names.
    ///
    /// # Panics
    /// As [`Self::get`] does.
    pub(super) fn products_named_by(&self, index: IndicatorIndex) -> &NamedProducts {
        self.named_products.get(index.0 as usize).expect("the index comes from this set")
    }

    /// The indicator with the id `KL-UPD-0001`.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<&Indicator> {
        self.index_of(id).filter(|&index| self.is_in_force(index)).map(|index| self.get(index))
    }

    /// The index of the indicator with that id, also of one that only a set before this one looked for.
    #[must_use]
    pub fn index_of(&self, id: &str) -> Option<IndicatorIndex> {
        self.indices.get(id).copied()
    }

    /// The indicator that wins for a domain name: exact before template before the longest suffix.
    ///
    /// `name`: lower case, without the final dot.
    #[inline]
    #[must_use]
    pub fn match_name(&self, name: &str) -> Option<IndicatorIndex> {
        self.names.find(name)
    }

    /// The same for a name that was read from traffic.
    #[inline]
    #[must_use]
    pub fn match_domain_name(&self, name: &DomainName) -> Option<IndicatorIndex> {
        // As text only if it may match: that it is text is checked each time it is asked for.
        if self.names.may_match(name.as_bytes()) { self.names.find(name.as_str()) } else { None }
    }

    /// Whether the indicator is matched: one that [`Self::succeed`] kept for what it found is not.
    #[must_use]
    pub fn is_in_force(&self, index: IndicatorIndex) -> bool {
        self.in_force.get(index.0 as usize) == Some(&true)
    }

    /// The indicator with the longest prefix that holds `address`.
    #[inline]
    #[must_use]
    pub fn match_address(&self, address: IpAddr) -> Option<IndicatorIndex> {
        self.addresses.find(address)
    }

    /// The indicator that wins for the path of a request: the strongest, then the one that asks for the longest text. What stands
    /// behind `?` or `#` is ignored, and so is case, and whether a letter is written with a percent sign.
    #[must_use]
    pub fn match_path(&self, path: &[u8]) -> Option<IndicatorIndex> {
        let path = texts::without_query(path);
        if memchr::memchr(b'%', path).is_some() { self.match_encoded_path(path) } else { self.paths.find(path) }
    }

    #[cold]
    fn match_encoded_path(&self, path: &[u8]) -> Option<IndicatorIndex> {
        let mut room = [0; texts::ENCODED_MAX];
        self.paths.find(texts::decoded(path, &mut room).unwrap_or(path))
    }

    /// The indicator that wins for a User-Agent, by the same rule.
    #[must_use]
    pub fn match_user_agent(&self, user_agent: &[u8]) -> Option<IndicatorIndex> {
        self.user_agents.find(user_agent)
    }

    /// The indicator of a JA3 hash.
    #[must_use]
    pub fn match_ja3(&self, hash: &[u8; 16]) -> Option<IndicatorIndex> {
        self.fingerprints.find_ja3(hash)
    }

    /// The indicator of a JA4.
    #[must_use]
    pub fn match_ja4(&self, ja4: &str) -> Option<IndicatorIndex> {
        self.fingerprints.find_ja4(ja4)
    }

    /// Whether a ClientHello that offers TLS `version` at most (0x0303 for TLS 1.2) could have any fingerprint of the set. If not, its
    /// hashes need not be computed.
    #[inline]
    #[must_use]
    pub fn may_match_fingerprint(&self, version: u16) -> bool {
        self.fingerprints.may_match(version)
    }

    /// Whether [`Self::match_certificate`] may find anything once the names of this certificate are spelled. If not, they need not be.
    #[inline]
    #[must_use]
    pub fn may_match_certificate(&self, certificate: &Certificate<'_>) -> bool {
        self.certificates.may_match(&certificate.subject, &certificate.issuer)
    }

    /// Whether a subject or an issuer that is spelled already may be one that [`Self::match_certificate`] finds.
    #[must_use]
    pub fn may_match_certificate_text(&self, name: &str) -> bool {
        self.certificates.may_match_text(name)
    }

    /// The indicator whose attributes are all in the issuer, or else in the subject, of a certificate; the one with most attributes.
    ///
    /// Both in RFC 4514 style: `CN=..., O=AO Kaspersky Lab`.
    #[must_use]
    pub fn match_certificate(&self, subject: &str, issuer: &str) -> Option<IndicatorIndex> {
        self.certificates.find(subject, issuer)
    }

    /// Whether a flow with this port, at either end, may be management traffic. `protocol` is an IP protocol number.
    #[inline]
    #[must_use]
    pub fn is_port_of_interest(&self, port: u16, protocol: u8) -> bool {
        self.ports.is_of_interest(port, protocol)
    }

    /// The indicator with the narrowest range of management ports that holds `port`.
    #[must_use]
    pub fn match_port(&self, port: u16, protocol: u8) -> Option<IndicatorIndex> {
        self.ports.find(port, protocol)
    }

    /// The habits in time and order that are followed.
    #[must_use]
    pub fn habits(&self) -> &Habits {
        &self.habits
    }

    /// The indicator of a header field of a request, by its whole name.
    #[inline]
    #[must_use]
    pub fn match_http_header(&self, name: &[u8]) -> Option<IndicatorIndex> {
        self.http_headers.find_whole(name)
    }

    /// The indicator that wins for the first bytes of a response's body: the strongest, then the longest.
    #[inline]
    #[must_use]
    pub fn match_body(&self, body: &[u8]) -> Option<IndicatorIndex> {
        self.bodies.find(body)
    }

    /// The indicator that wins for a piece of what a client uploads: the strongest, then the longest.
    #[must_use]
    pub fn match_upload(&self, piece: &[u8]) -> Option<IndicatorIndex> {
        self.uploads.find(piece)
    }

    /// The indicator that wins for what a flow begins with, at that port of its server. `protocol` is the number that IP has for it.
    #[inline]
    #[must_use]
    pub fn match_stream(&self, start: &[u8], protocol: u8, port: u16) -> Option<IndicatorIndex> {
        self.streams.find_at(start, protocol, port)
    }

    /// Whether any flow that begins so could match. One bit of its first byte tells.
    #[inline]
    #[must_use]
    pub fn may_match_stream(&self, start: &[u8]) -> bool {
        self.streams.may_match(start)
    }

    /// The indicator that wins for a header field of a mail message, a line `Name: value`.
    #[must_use]
    pub fn match_mail_header(&self, line: &[u8]) -> Option<IndicatorIndex> {
        self.mail_headers.find(line)
    }

    /// The indicator that wins for who wrote a syslog message: `Vendor|Product|Version` of its CEF or LEEF header, or the name of its
    /// structured data.
    #[must_use]
    pub fn match_syslog(&self, originator: &[u8]) -> Option<IndicatorIndex> {
        if originator.contains(&b'|') { self.syslog.find(originator) } else { self.syslog.find_whole(originator) }
    }

    /// The indicator of what frames of the reputation service's own protocol prove.
    #[must_use]
    pub fn match_frames(&self, frames: Frames) -> Option<IndicatorIndex> {
        self.protocols.find(frames)
    }

    /// What the set says of a domain name, an address, a URL, a path, a user agent or a fingerprint, and why.
    #[must_use]
    pub fn explain(&self, text: &str) -> Explanation {
        explain::explain(self, text)
    }
}
