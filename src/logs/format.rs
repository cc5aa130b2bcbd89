//! The formats of logs: which one a file is in, by its content, and a parser for each, which puts its lines in the words of EVE records.

mod bind;
mod clock;
mod dnsmasq;
mod eve;
mod lookup;
mod map;
mod plain;
mod squid;
mod unbound;
mod windows_dns;
mod zeek;

use super::reader::Malformed;
use super::record::Record;
use super::sieve::Escapes;
use super::skim::{Look, Looking};
use super::time::MinuteClock;
pub use clock::{Clock, time_zone};
use kaspector::capture::Timestamp;
pub(crate) use lookup::unspecified;
use map::MapReader;
pub use map::{MapError, Mapped};
use plain::PlainLook;
pub(crate) use zeek::Context;

/// Takes the records of a line.
pub(crate) type Emit<'a> = dyn FnMut(&Record<'_>) -> Result<(), Malformed> + 'a;

/// A format of logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum LogFormat {
    /// Suricata's EVE JSON.
    Eve,
    /// Zeek's tab-separated logs.
    ZeekTsv,
    /// Zeek's JSON logs.
    ZeekJson,
    /// The query log of BIND.
    Bind,
    /// The log of Unbound with `log-queries` or `log-replies`.
    Unbound,
    /// The log of dnsmasq and of Pi-hole, with `log-queries`.
    Dnsmasq,
    /// The access log of Squid, native or combined.
    Squid,
    /// The debug log of the DNS server of Windows.
    WindowsDns,
    /// Messages that resolvers log as dnstap, put in lines by [`as_lines`](crate::as_lines).
    Dnstap,
    /// A log of rows, by a map of its columns.
    Mapped(Mapped),
}

impl LogFormat {
    /// All of them, those by the maps that come with the program among them.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let own = [
            Self::Eve,
            Self::ZeekTsv,
            Self::ZeekJson,
            Self::Bind,
            Self::Unbound,
            Self::Dnsmasq,
            Self::Squid,
            Self::WindowsDns,
            Self::Dnstap,
        ];
        own.into_iter().chain(Mapped::builtin().map(Self::Mapped)).collect()
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Eve => "eve",
            Self::ZeekTsv => "zeek-tsv",
            Self::ZeekJson => "zeek-json",
            Self::Bind => "bind",
            Self::Unbound => "unbound",
            Self::Dnsmasq => "dnsmasq",
            Self::Squid => "squid",
            Self::WindowsDns => "windows-dns",
            Self::Dnstap => "dnstap",
            Self::Mapped(map) => map.name(),
        }
    }

    /// The format of a log that begins with these bytes: whole lines, and the beginning of one more. The first of its lines that is in any of the
    /// formats decides, so what a program says of itself before it logs the first query does not matter.
    ///
    /// ```
    /// use kaspector_logs::LogFormat;
    /// let line = br#"{"timestamp":"2026-11-24T03:39:09.282434+0000","flow_id":1,"event_type":"tls""#;
    /// assert_eq!(LogFormat::recognise(line), Some(LogFormat::Eve));
    /// assert_eq!(LogFormat::recognise(b"#separator \\x09\n#set_separator\t,\n"), Some(LogFormat::ZeekTsv));
    /// assert_eq!(LogFormat::recognise(b"Dear diary,\n"), None);
    /// ```
    #[must_use]
    pub fn recognise(head: &[u8]) -> Option<Self> {
        let own = head.split(|&byte| byte == b'\n').find_map(Self::of_line);
        own.or_else(|| Mapped::builtin().find(|map| map.is_of(head)).map(Self::Mapped))
    }

    fn of_line(line: &[u8]) -> Option<Self> {
        let line = line.trim_ascii();
        if line.starts_with(b"#separator ") {
            return Some(Self::ZeekTsv);
        }
        if line.starts_with(b"{") {
            let has = |key: &[u8]| memchr::memmem::find(line, key).is_some();
            return if has(br#""event_type":"#) && has(br#""timestamp":"#) {
                Some(if has(br#""in_iface":"dnstap""#) { Self::Dnstap } else { Self::Eve })
            } else if zeek::is_json(line) {
                Some(Self::ZeekJson)
            } else {
                None
            };
        }
        let text = std::str::from_utf8(line).ok()?;
        if dnsmasq::is_line(text) {
            Some(Self::Dnsmasq)
        } else if unbound::is_line(text) {
            Some(Self::Unbound)
        } else if bind::is_line(text) {
            Some(Self::Bind)
        } else if squid::is_line(text) {
            Some(Self::Squid)
        } else if windows_dns::is_line(text) {
            Some(Self::WindowsDns)
        } else {
            None
        }
    }

    /// What its times leave out, so that somebody has to say it; judged by lines that are the beginning of a log.
    #[must_use]
    pub fn lacks(self, head: &[u8]) -> Lacks {
        let lines = || head.split(|&byte| byte == b'\n').filter_map(|line| std::str::from_utf8(line.trim_ascii()).ok());
        match self {
            Self::Eve | Self::ZeekTsv | Self::ZeekJson | Self::Dnstap => Lacks::default(),
            Self::Dnsmasq => Lacks { zone: true, year: true },
            Self::Bind => lines().find_map(bind::lacks).unwrap_or_default(),
            Self::Unbound => lines().find_map(unbound::lacks).unwrap_or_default(),
            Self::Squid => Lacks::default(),
            Self::WindowsDns => Lacks { zone: true, year: false },
            Self::Mapped(map) => map.lacks(head),
        }
    }
}

/// What times of a log leave out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lacks {
    /// How far they are ahead of UTC.
    pub zone: bool,
    /// The year.
    pub year: bool,
}

/// Puts the lines of one input in the words of EVE records.
#[derive(Clone, Debug)]
pub struct LineParser(Parser);

#[derive(Clone, Debug)]
enum Parser {
    Eve(MinuteClock),
    ZeekTsv(Box<zeek::TsvParser>),
    ZeekJson(zeek::JsonParser),
    /// A format whose lines have nothing to do with each other.
    Plain(Plain, Clock, Box<PlainLook>),
    Mapped(Box<MapReader>),
}

/// Reads a line.
type Plain = fn(&str, &mut Clock, &mut Emit<'_>) -> Result<(), Malformed>;

impl LineParser {
    /// For lines of a format; `clock` says what their times leave out.
    #[must_use]
    pub fn new(format: LogFormat, clock: Clock) -> Self {
        let plain = |parse, mark| Parser::Plain(parse, clock.clone(), Box::new(PlainLook::new(mark)));
        Self(match format {
            LogFormat::Eve | LogFormat::Dnstap => Parser::Eve(MinuteClock::default()),
            LogFormat::ZeekTsv => Parser::ZeekTsv(Box::default()),
            LogFormat::ZeekJson => Parser::ZeekJson(zeek::JsonParser),
            LogFormat::Bind => plain(bind::parse, Some(" query: ")),
            LogFormat::Unbound => plain(unbound::parse, Some(" IN")),
            LogFormat::Dnsmasq => plain(dnsmasq::parse, Some("query[")),
            LogFormat::Squid => plain(squid::parse, None),
            // Its names are spelled in a way of its own.
            LogFormat::WindowsDns => {
                Parser::Plain(windows_dns::parse, clock.clone(), Box::new(PlainLook::reading(" Rcv ")))
            }
            LogFormat::Mapped(map) => Parser::Mapped(Box::new(MapReader::new(map, clock.clone()))),
        })
    }

    /// For Suricata's EVE records.
    #[must_use]
    pub fn eve() -> Self {
        Self(Parser::Eve(MinuteClock::default()))
    }

    pub(crate) const fn is_eve(&self) -> bool {
        matches!(self.0, Parser::Eve(_))
    }

    pub(crate) fn parse(&mut self, line: &[u8], context: &mut Context, emit: &mut Emit<'_>) -> Result<(), Malformed> {
        match &mut self.0 {
            Parser::Eve(_) => eve::parse(line, emit),
            Parser::ZeekTsv(parser) => parser.parse(line, context, emit),
            Parser::ZeekJson(parser) => parser.parse(line, context, emit),
            Parser::Plain(parse, clock, _) => parse(text(line)?, clock, emit),
            Parser::Mapped(reader) => reader.parse(text(line)?, emit),
        }
    }

    /// Looks at a line, which is not empty, without reading it.
    pub(crate) fn look(&mut self, line: &[u8], looking: &mut Looking<'_>) -> Look {
        match &mut self.0 {
            Parser::Eve(clock) => eve::look(line, clock, looking),
            Parser::ZeekTsv(parser) => parser.look(line, looking),
            Parser::ZeekJson(_) => zeek::JsonParser::look(line, looking),
            Parser::Plain(.., look) => look.look(line),
            Parser::Mapped(reader) => reader.look(line),
        }
    }

    /// Gets ready for the first line of a block.
    pub(crate) fn begin_block(&mut self) {
        match &mut self.0 {
            Parser::Plain(.., look) => look.begin(),
            Parser::Mapped(reader) => reader.begin_block(),
            _ => {}
        }
    }

    /// Takes note of what lines of a block say about those behind it.
    pub(crate) fn take_headers(&mut self, block: &[u8]) {
        match &mut self.0 {
            Parser::ZeekTsv(parser) => parser.take_headers(block),
            Parser::Mapped(reader) => reader.take_headers(block),
            _ => {}
        }
    }

    pub(crate) fn escapes(&self) -> Escapes {
        match &self.0 {
            Parser::Eve(_) | Parser::ZeekJson(_) => Escapes::Json,
            Parser::ZeekTsv(_) => Escapes::Hexadecimal,
            Parser::Plain(..) => Escapes::None,
            Parser::Mapped(reader) => reader.escapes(),
        }
    }

    /// The time that a line tells, if it tells of anything that is looked at.
    #[must_use]
    pub fn time(&mut self, line: &[u8]) -> Option<Timestamp> {
        let mut time = None;
        let outcome = self.parse(line.trim_ascii_end(), &mut Context::default(), &mut |record| {
            time = time.or(record.at);
            Ok(())
        });
        time.filter(|_| outcome.is_ok())
    }
}

fn text(line: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(line).map_err(|_| Malformed::Utf8)
}

#[cfg(test)]
mod tests;
