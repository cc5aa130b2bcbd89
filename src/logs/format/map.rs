//! Logs whose lines are rows of named columns: which column, or which path in a JSON object, is time, client, server and name.
//!
//! A map is a small TOML file. Those in `maps` come with the program, each with the documentation of its format; `--map` takes one more.

mod draft;
mod row;

use super::clock::Clock;
use super::lookup::{Lookup, unspecified};
use super::plain::PlainLook;
use super::{Emit, Lacks};
use crate::reader::Malformed;
use crate::record::{Answer, Flow, Http, Record, Text, Tls};
use crate::sieve::Escapes;
use crate::skim::Look;
pub use draft::MapError;
use kaspector::capture::Timestamp;
use row::{Row, Shape};
use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, LazyLock};

/// Lines between two of which the time is read, where nothing matters in those.
const TICK: u32 = 64;
/// Answers of one lookup that are looked at.
const ANSWERS_MAX: usize = 64;

/// A map of a format's columns.
#[derive(Debug)]
pub struct Map {
    name: String,
    shape: Shape,
    /// Columns that a line must have for its log to be taken for one of this format.
    recognise: Vec<String>,
    /// What its times are in where they have no zone; known of some formats.
    is_utc: bool,
    /// The form of its times (`strftime`), where it is none that is known without being told.
    time_form: Option<String>,
    rules: Vec<Rule>,
}

/// How rows of one kind are read.
#[derive(Debug)]
struct Rule {
    /// Columns that must have one of these values.
    when: Vec<(String, Vec<String>)>,
    field: MappedField,
    columns: Columns,
}

/// Columns, each with those that may stand in its place.
#[derive(Clone, Debug, Default)]
struct Columns {
    /// Joined by blanks.
    time: Vec<String>,
    client: Vec<String>,
    client_port: Vec<String>,
    server: Vec<String>,
    server_port: Vec<String>,
    protocol: Vec<String>,
    name: Vec<String>,
    method: Vec<String>,
    path: Vec<String>,
    user_agent: Vec<String>,
    status: Vec<String>,
    record_type: Vec<String>,
    response_code: Vec<String>,
    answers: Vec<String>,
    sent: Vec<String>,
    received: Vec<String>,
}

/// What a row's name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MappedField {
    /// Who asked a resolver for it.
    Dns,
    /// The server's name in a hello.
    Tls,
    /// The `Host` of a request.
    Host,
    /// What a proxy was asked for: a URL, or a name and port.
    Target,
    /// The URL of a request on its way to its server.
    Url,
    /// No name: addresses and ports alone.
    Address,
}

/// A map that lives as long as the program does.
#[derive(Clone, Copy)]
pub struct Mapped(&'static Map);

impl Mapped {
    /// Reads a map.
    ///
    /// # Errors
    /// [`MapError`], with the place and what would be right.
    pub fn read(path: &Path) -> Result<Self, MapError> {
        let map = draft::read(path)?;
        Ok(Self(Box::leak(Box::new(map))))
    }

    /// Those that come with the program.
    pub fn builtin() -> impl Iterator<Item = Self> {
        static MAPS: LazyLock<Vec<Map>> = LazyLock::new(draft::builtin);
        MAPS.iter().map(Self)
    }

    /// The name of its format.
    #[must_use]
    pub fn name(self) -> &'static str {
        &self.0.name
    }

    /// Whether these are the first lines of such a log.
    pub(super) fn is_of(self, head: &[u8]) -> bool {
        self.fits(head).is_ok()
    }

    /// Whether these are the first lines of such a log.
    ///
    /// # Errors
    /// What the first of them lacks.
    pub fn fits(self, head: &[u8]) -> Result<(), String> {
        let mut reader = MapReader::new(self, Clock::default());
        let mut first = None;
        for line in
            head.split_inclusive(|&byte| byte == b'\n').filter(|line| line.ends_with(b"\n") || line.len() == head.len())
        {
            let line = line.trim_ascii();
            match std::str::from_utf8(line).map_err(|_| "it is no text".to_owned()).and_then(|line| reader.trial(line))
            {
                _ if line.is_empty() => {}
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(what) => _ = first.get_or_insert(what),
            }
        }
        Err(first.unwrap_or_else(|| "there is no whole line".to_owned()))
    }

    /// What its times leave out.
    pub(super) fn lacks(self, head: &[u8]) -> Lacks {
        let mut reader = MapReader::new(self, Clock::default());
        let lines = head.split(|&byte| byte == b'\n').filter_map(|line| std::str::from_utf8(line.trim_ascii()).ok());
        let mut times = lines.filter_map(|line| reader.time_of(line));
        Lacks { zone: !self.0.is_utc && times.next().is_some_and(|time| !self.0.has_zone(&time)), year: false }
    }
}

impl fmt::Debug for Mapped {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Mapped").field(&self.0.name).finish()
    }
}

impl PartialEq for Mapped {
    fn eq(&self, other: &Self) -> bool {
        self.0.name == other.0.name
    }
}

impl Eq for Mapped {}

impl PartialOrd for Mapped {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Mapped {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.name.cmp(&other.0.name)
    }
}

impl Map {
    fn has_zone(&self, time: &str) -> bool {
        Clock::has_zone(time, self.time_form.as_deref())
    }
}

/// Reads lines by a map.
#[derive(Clone, Debug)]
pub struct MapReader {
    map: Mapped,
    clock: Clock,
    /// Columns as a line of the log names them.
    header: Arc<[String]>,
    look: PlainLook,
}

impl MapReader {
    pub fn new(map: Mapped, clock: Clock) -> Self {
        let header = map.0.shape.columns().into();
        Self { map, clock, header, look: PlainLook::every(TICK) }
    }

    pub const fn escapes(&self) -> Escapes {
        if self.map.0.shape.is_json() { Escapes::Json } else { Escapes::None }
    }

    /// Looks at a line. Where addresses say something each is read.
    pub fn look(&mut self, line: &[u8]) -> Look {
        let needs_names =
            self.map.0.shape.names_columns(line) || self.header.is_empty() && self.map.0.shape.has_header();
        if needs_names || self.map.0.rules.iter().any(|rule| rule.reads_addresses()) {
            return Look::READ;
        }
        self.look.look(line)
    }

    pub fn begin_block(&mut self) {
        self.look.begin();
    }

    /// Takes note of which columns the lines of a block name.
    pub fn take_headers(&mut self, block: &[u8]) {
        let shape = &self.map.0.shape;
        if shape.has_header()
            && self.header.is_empty()
            && let Some(first) = block.split(|&byte| byte == b'\n').find(|line| !line.trim_ascii().is_empty())
        {
            self.name_columns(&String::from_utf8_lossy(first));
        }
    }

    fn name_columns(&mut self, line: &str) -> bool {
        let Some(names) = self.map.0.shape.names(line.trim_ascii(), !self.header.is_empty()) else { return false };
        self.header = names.into();
        true
    }

    /// The time of a row as it is written.
    fn time_of(&mut self, line: &str) -> Option<String> {
        if line.is_empty() || self.name_columns(line) {
            return None;
        }
        let row = Row::new(&self.map.0.shape, &self.header, line)?;
        let rule = self.map.0.rules.iter().find(|rule| rule.holds(&row))?;
        rule.time(&row)
    }

    /// Whether a line is a row that can be read; false for one that names columns.
    fn trial(&mut self, line: &str) -> Result<bool, String> {
        if line.is_empty() || self.name_columns(line) {
            return Ok(false);
        }
        let map = self.map.0;
        let row =
            Row::new(&map.shape, &self.header, line).ok_or_else(|| format!("a line is not {}", map.shape.words()))?;
        let lacks = |column: &str| format!("a line has no column {column:?}; it has {}", row.names());
        if let Some(column) = map.recognise.iter().find(|column| row.get(column).is_none()) {
            return Err(lacks(column));
        }
        let Some(rule) = map.rules.iter().find(|rule| rule.holds(&row)) else {
            return Err("no 'when' holds for a line".to_owned());
        };
        let time = rule.time(&row).ok_or_else(|| lacks(rule.columns.time.first().map_or("", String::as_str)))?;
        if self.clock.free(&time, map.time_form.as_deref()).is_none() {
            return Err(format!("{time:?} is no time that can be read; say its form with time-form"));
        }
        let client = rule.text(&row, &rule.columns.client);
        let client = client.ok_or_else(|| lacks(rule.columns.client.first().map_or("", String::as_str)))?;
        if address(&client).is_none() {
            return Err(format!("{client:?} is no address of a client"));
        }
        Ok(true)
    }

    pub fn parse(&mut self, line: &str, emit: &mut Emit<'_>) -> Result<(), Malformed> {
        if self.name_columns(line) {
            return Ok(());
        }
        let map = self.map.0;
        let row = Row::new(&map.shape, &self.header, line).ok_or(Malformed::Line("not a row as the map has it"))?;
        let Some(rule) = map.rules.iter().find(|rule| rule.holds(&row)) else { return Ok(()) };
        let time = rule.time(&row).ok_or(Malformed::Time)?;
        let at = self.clock.free(&time, map.time_form.as_deref()).ok_or(Malformed::Time)?;
        rule.tell(&row, at, emit)
    }
}

impl Rule {
    fn holds(&self, row: &Row<'_>) -> bool {
        self.when.iter().all(|(column, values)| {
            row.get(column).is_some_and(|value| values.iter().any(|wanted| wanted.eq_ignore_ascii_case(&value)))
        })
    }

    /// Whether addresses matter by themselves: those of a resolver do not.
    fn reads_addresses(&self) -> bool {
        self.field != MappedField::Dns && !self.columns.server.is_empty()
    }

    fn time(&self, row: &Row<'_>) -> Option<String> {
        let parts: Option<Vec<Cow<'_, str>>> = self.columns.time.iter().map(|column| row.get(column)).collect();
        let parts = parts.filter(|parts| !parts.is_empty())?;
        Some(parts.join(" "))
    }

    /// The first of these columns that holds something.
    #[allow(clippy::unused_self, reason = "reads like the others")]
    fn text<'r>(&self, row: &'r Row<'_>, columns: &[String]) -> Option<Cow<'r, str>> {
        columns.iter().find_map(|column| row.get(column).filter(|text| !matches!(&**text, "" | "-" | "n/a" | "None")))
    }

    fn number(&self, row: &Row<'_>, columns: &[String]) -> Option<u64> {
        self.text(row, columns)?.trim().parse().ok()
    }

    fn tell(&self, row: &Row<'_>, at: Timestamp, emit: &mut Emit<'_>) -> Result<(), Malformed> {
        let Self { field, columns, .. } = self;
        let client = self.text(row, &columns.client).and_then(|text| address(&text)).ok_or(Malformed::Addresses)?;
        let port = |columns: &[String]| self.number(row, columns).and_then(|port| u16::try_from(port).ok());
        let server = self.text(row, &columns.server).and_then(|text| address(&text));
        let name = self.text(row, &columns.name);
        let (client_port, server_port) = (port(&columns.client_port).unwrap_or(0), port(&columns.server_port));
        let protocol = self.text(row, &columns.protocol);
        let is_udp = protocol.as_deref().is_some_and(|text| text.eq_ignore_ascii_case("udp") || text == "17");
        let is_tcp = protocol.as_deref().is_none_or(|text| text.eq_ignore_ascii_case("tcp") || text == "6");
        if *field == MappedField::Dns {
            let Some(name) = name else { return Ok(()) };
            return self.lookup(row, at, (client, client_port), server, &name, !is_tcp || protocol.is_none(), emit);
        }
        if !is_udp && !is_tcp {
            return Ok(());
        }
        let mut record = Record {
            at: Some(at),
            src_ip: Some(client),
            src_port: Some(client_port),
            dest_ip: Some(server.unwrap_or_else(|| unspecified(client))),
            dest_port: Some(server_port.unwrap_or(0)),
            proto: Some(Text::from(if is_udp { "UDP" } else { "TCP" })),
            flow: Some(Flow {
                bytes_toserver: self.number(row, &columns.sent).unwrap_or(0),
                bytes_toclient: self.number(row, &columns.received).unwrap_or(0),
                ..Flow::default()
            }),
            ..Record::default()
        };
        let text = |columns: &[String]| self.text(row, columns).map(|text| Text(Cow::Owned(text.into_owned())));
        let http = |host: Option<&str>, target: &str| Http {
            hostname: host.map(|host| Text(Cow::Owned(host.to_owned()))),
            url: Some(Text(Cow::Owned(target.to_owned()))),
            http_method: text(&columns.method),
            http_user_agent: text(&columns.user_agent),
            status: port(&columns.status).filter(|&status| status > 0),
            ..Http::default()
        };
        let tls = |name: &str| Tls { sni: Some(Text(Cow::Owned(name.to_owned()))), ..Tls::default() };
        let path = || self.text(row, &columns.path).unwrap_or(Cow::Borrowed("/"));
        let name = name.unwrap_or_default();
        match field {
            MappedField::Tls => (record.event_type, record.tls) = (Text::from("tls"), Some(tls(host_of(&name)))),
            MappedField::Host => {
                (record.event_type, record.http) = (Text::from("http"), Some(http(Some(host_of(&name)), &path())));
            }
            MappedField::Target => {
                (record.event_type, record.http) = (Text::from("http"), Some(http(None, &name)));
            }
            MappedField::Url => match name.split_once("://") {
                Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => {
                    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                    let path = if path.is_empty() { "/" } else { path };
                    (record.event_type, record.http) = (Text::from("http"), Some(http(Some(host_of(host)), path)));
                }
                rest => {
                    // Without its scheme, the name alone is certain.
                    let rest = rest.map_or(&*name, |(_, rest)| rest);
                    let host = host_of(rest.split('/').next().unwrap_or_default());
                    (record.event_type, record.tls) = (Text::from("tls"), Some(tls(host)));
                }
            },
            MappedField::Dns | MappedField::Address => record.event_type = Text::from("flow"),
        }
        emit(&record)
    }

    #[allow(clippy::too_many_arguments, reason = "what a lookup is")]
    fn lookup(
        &self,
        row: &Row<'_>,
        at: Timestamp,
        (client, client_port): (IpAddr, u16),
        resolver: Option<IpAddr>,
        name: &str,
        is_udp: bool,
        emit: &mut Emit<'_>,
    ) -> Result<(), Malformed> {
        let record_type = self.text(row, &self.columns.record_type).unwrap_or_default();
        // As `1 (A)`.
        let spelled = record_type.split_once('(').map_or(&*record_type, |(_, name)| name.trim_end_matches(')'));
        let query = Lookup {
            at,
            client,
            client_port,
            resolver,
            name,
            record_type: spelled,
            recursion_desired: true,
            over_tcp: !is_udp,
            response_code: None,
        };
        emit(&query.record())?;
        let code = self.text(row, &self.columns.response_code);
        let answers: Vec<String> =
            self.columns.answers.iter().flat_map(|column| row.all(column)).take(ANSWERS_MAX).collect();
        if answers.is_empty() && code.is_none() {
            return Ok(());
        }
        let code = code.as_deref().map_or("NOERROR", |code| if code == "0" { "NOERROR" } else { code });
        let mut answer = Lookup { response_code: Some(code), ..query }.record();
        // The query was told.
        answer.flow = Some(Flow { pkts_toserver: 1, pkts_toclient: 1, ..Flow::default() });
        if let Some(dns) = &mut answer.dns {
            dns.answers = told(name, &answers);
        }
        emit(&answer)
    }
}

/// The records of an answer of which addresses and aliases are known, in their order.
fn told<'a>(name: &'a str, answers: &'a [String]) -> Vec<Answer<'a>> {
    let mut owner = name;
    let mut all = Vec::new();
    for data in answers {
        let kind = match data.parse::<IpAddr>() {
            Ok(IpAddr::V4(_)) => "A",
            Ok(IpAddr::V6(_)) => "AAAA",
            Err(_) if data.contains(' ') => continue,
            Err(_) => "CNAME",
        };
        all.push(Answer {
            rrname: Some(Text::from(owner)),
            rrtype: Some(Text::from(kind)),
            ttl: None,
            rdata: Some(Text::from(data.as_str())),
        });
        if kind == "CNAME" {
            owner = data;
        }
    }
    all
}

/// A name without its port.
fn host_of(text: &str) -> &str {
    match text.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !host.contains(':') => host,
        _ => text,
    }
}

/// An address, perhaps with its port.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    text.parse().ok().or_else(|| text.parse::<std::net::SocketAddr>().ok().map(|end| end.ip()))
}

#[cfg(test)]
mod tests;
