//! Where messages go: what `--output` and `[[output]]` say.

use kaspector::capture::display_path;
use serde::{Deserialize, Deserializer, de};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// One output. The text form is `kind:target?option=value&...`; in TOML it is `kind = "..."` and the fields by name.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields, rename_all_fields = "kebab-case")]
pub enum OutputSpec {
    /// EVE lines on standard output.
    Stdout,
    /// EVE lines at the end of a file, synced batch by batch.
    File {
        /// The file.
        path: PathBuf,
        /// Begin a new file above so many bytes.
        #[serde(default, deserialize_with = "optional_size")]
        rotate_size: Option<u64>,
        /// Begin a new file when this one is so old.
        #[serde(default, deserialize_with = "optional_age")]
        rotate_age: Option<Duration>,
        /// Old files that stay, as `PATH.1` (the newest) to `PATH.N`.
        #[serde(default = "default_keep", deserialize_with = "number")]
        keep: u32,
    },
    /// EVE lines into a Unix stream socket that the other side listens on.
    UnixStream {
        /// The socket.
        path: PathBuf,
    },
    /// One datagram for each EVE line.
    UnixDgram {
        /// The socket.
        path: PathBuf,
    },
    /// Syslog by RFC 5424.
    Syslog {
        /// How it travels.
        transport: SyslogTransport,
        /// `host:port`.
        server: String,
        /// What stands behind the header.
        #[serde(default)]
        body: SyslogBody,
        /// 0 to 23 (RFC 5424 section 6.2.1); 21 is local5.
        #[serde(default = "default_facility", deserialize_with = "number")]
        facility: u32,
        /// PEM file of the authorities that the server's certificate must come from, instead of the system's.
        #[serde(default)]
        ca: Option<PathBuf>,
        /// PEM file of our own certificate.
        #[serde(default)]
        cert: Option<PathBuf>,
        /// PEM file of its key.
        #[serde(default)]
        key: Option<PathBuf>,
    },
    /// HTTP POST.
    Http {
        /// Where to.
        url: String,
        /// What the body looks like.
        #[serde(default)]
        shape: HttpShape,
        /// Index or data stream of Elasticsearch.
        #[serde(default)]
        index: Option<String>,
        /// How the secret is shown.
        #[serde(default)]
        auth: Option<HttpAuth>,
        /// Environment variable that holds the secret; for `basic` it is `user:password`.
        #[serde(default)]
        token_env: Option<String>,
        /// File that holds the secret.
        #[serde(default)]
        token_file: Option<PathBuf>,
        /// PEM file of the authorities that the server's certificate must come from, instead of the system's.
        #[serde(default)]
        ca: Option<PathBuf>,
        /// PEM file of our own certificate.
        #[serde(default)]
        cert: Option<PathBuf>,
        /// PEM file of its key.
        #[serde(default)]
        key: Option<PathBuf>,
    },
    /// A Kafka topic.
    Kafka {
        /// `host:port`, separated by commas.
        brokers: String,
        /// The topic.
        topic: String,
    },
}

/// How syslog travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SyslogTransport {
    /// RFC 5426; best effort.
    Udp,
    /// RFC 6587 with octet counting; nearly nothing is lost.
    Tcp,
    /// RFC 5425.
    Tls,
}

/// What stands behind the header of a syslog message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SyslogBody {
    /// The EVE object.
    #[default]
    Json,
    /// ArcSight's Common Event Format.
    Cef,
}

/// What the body of a request looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HttpShape {
    /// One EVE object for each line.
    #[default]
    Ndjson,
    /// Elasticsearch's and OpenSearch's `_bulk`.
    Elastic,
    /// Splunk's HTTP Event Collector.
    Splunk,
}

/// How a secret is shown to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HttpAuth {
    /// `Authorization: Bearer`.
    Bearer,
    /// `Authorization: Basic`.
    Basic,
    /// `Authorization: Splunk`.
    Splunk,
    /// `Authorization: ApiKey`, as Elasticsearch has it.
    ApiKey,
}

/// Why an output cannot be understood.
#[derive(Debug, thiserror::Error)]
#[error("output {spec}: {what}")]
pub struct OutputError {
    /// The kind, or as much of the text as cannot hold a secret.
    pub spec: String,
    /// What is wrong, and what is expected.
    pub what: String,
}

const KINDS: &str = "expected stdout, file:PATH, unix-stream:PATH, unix-dgram:PATH, syslog+udp://HOST:514, syslog+tcp://HOST:601, \
    syslog+tls://HOST:6514, http://HOST/PATH, https://HOST/PATH or kafka://BROKER:9092/TOPIC";

impl std::str::FromStr for OutputSpec {
    type Err = OutputError;

    /// Reads the form of the command line.
    fn from_str(text: &str) -> Result<Self, OutputError> {
        let (target, query) = text.split_once('?').unwrap_or((text, ""));
        let (kind, rest) = target.split_once(':').unwrap_or((target, ""));
        // A user name and password may stand in what follows.
        let failed = |what: String| OutputError { spec: kind.to_owned(), what };
        let mut table = toml::Table::new();
        let mut put = |key: &str, value: &str| table.insert(key.to_owned(), toml::Value::String(value.to_owned()));
        let authority =
            || rest.strip_prefix("//").filter(|rest| !rest.is_empty()).ok_or_else(|| failed(KINDS.to_owned()));
        match kind {
            "stdout" if rest.is_empty() => _ = put("kind", kind),
            "file" | "unix-stream" | "unix-dgram" if !rest.is_empty() => {
                put("kind", kind);
                put("path", &decoded(rest).ok_or_else(|| failed(format!("{rest}: % must be followed by two digits")))?);
            }
            "syslog+udp" | "syslog+tcp" | "syslog+tls" => {
                put("kind", "syslog");
                put("transport", kind.trim_start_matches("syslog+"));
                put("server", authority()?.trim_end_matches('/'));
            }
            "http" | "https" => {
                put("kind", "http");
                authority()?;
                put("url", target);
            }
            "kafka" => {
                put("kind", "kafka");
                let (brokers, topic) = authority()?.split_once('/').unwrap_or_default();
                put("brokers", brokers);
                put("topic", topic);
            }
            _ => return Err(failed(format!("unknown kind or no target; {KINDS}"))),
        }
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').ok_or_else(|| failed(format!("{pair}: expected NAME=VALUE")))?;
            let value = decoded(value).ok_or_else(|| failed(format!("{key}: % must be followed by two digits")))?;
            if key == "kind" || table.contains_key(key) {
                return Err(failed(format!("{key}: given twice")));
            }
            table.insert(key.to_owned(), toml::Value::String(value));
        }
        let spec: Self = table.try_into().map_err(|error: toml::de::Error| failed(error.message().to_owned()))?;
        spec.check().map_err(failed)?;
        Ok(spec)
    }
}

impl OutputSpec {
    /// What types alone cannot hold. Also for specs that came out of TOML.
    ///
    /// # Errors
    /// What is wrong, and what is expected.
    pub fn check(&self) -> Result<(), String> {
        match self {
            Self::Syslog { server, facility, transport, ca, cert, key, .. } => {
                if host_and_port(server).is_none() {
                    return Err(format!("{server}: expected HOST:PORT"));
                }
                if *facility > 23 {
                    return Err(format!("facility: {facility} is out of range; expected 0 to 23"));
                }
                if *transport != SyslogTransport::Tls && (ca.is_some() || cert.is_some() || key.is_some()) {
                    return Err("ca, cert and key: only syslog+tls takes them".to_owned());
                }
                check_pair(cert.as_deref(), key.as_deref())?;
            }
            Self::Http { url, shape, index, auth, token_env, token_file, ca, cert, key } => {
                // The URL itself may hold what should not be repeated.
                let url = reqwest::Url::parse(url).map_err(|error| format!("url: {error}"))?;
                if !matches!(url.scheme(), "http" | "https") {
                    return Err("url: expected http:// or https://".to_owned());
                }
                if url.scheme() == "http" && (ca.is_some() || cert.is_some() || key.is_some()) {
                    return Err("ca, cert and key: only https takes them".to_owned());
                }
                check_pair(cert.as_deref(), key.as_deref())?;
                if !url.username().is_empty() || url.password().is_some() {
                    return Err("url: no user or password here; use auth=basic&token-env=NAME".to_owned());
                }
                if *shape != HttpShape::Elastic && index.is_some() {
                    return Err("index: only shape=elastic takes it".to_owned());
                }
                if token_env.is_some() && token_file.is_some() {
                    return Err("token-env and token-file: give one of them".to_owned());
                }
                if auth.is_some() && token_env.is_none() && token_file.is_none() {
                    return Err("auth: needs token-env=NAME or token-file=PATH".to_owned());
                }
            }
            Self::Kafka { brokers, topic } => {
                if brokers.is_empty() || topic.is_empty() || topic.contains('/') {
                    return Err("expected kafka://BROKER:PORT[,BROKER:PORT]/TOPIC".to_owned());
                }
                if !cfg!(feature = "kafka") {
                    return Err("this build knows no Kafka; build with --features kafka".to_owned());
                }
            }
            Self::Stdout | Self::File { .. } | Self::UnixStream { .. } | Self::UnixDgram { .. } => {}
        }
        Ok(())
    }

    /// Whether it gets the sensor's counters, too. Collectors of alerts do not want them.
    #[must_use]
    pub const fn takes_stats(&self) -> bool {
        matches!(self, Self::Stdout | Self::File { .. } | Self::UnixStream { .. } | Self::UnixDgram { .. })
    }

    /// The file that it writes, beside which older ones are kept.
    #[must_use]
    pub fn writes(&self) -> Option<&Path> {
        match self {
            Self::File { path, .. } => Some(path),
            _ => None,
        }
    }

    /// Files that it reads at the start.
    #[must_use]
    pub fn reads(&self) -> Vec<&Path> {
        match self {
            Self::Syslog { ca, cert, key, .. } => {
                [ca, cert, key].into_iter().filter_map(|path| path.as_deref()).collect()
            }
            Self::Http { token_file, ca, cert, key, .. } => {
                [token_file, ca, cert, key].into_iter().filter_map(|path| path.as_deref()).collect()
            }
            _ => Vec::new(),
        }
    }
}

impl fmt::Display for OutputSpec {
    /// Kind and target, without options: names the output in logs and metrics, and its checkpoint.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdout => out.write_str("stdout"),
            Self::File { path, .. } => write!(out, "file:{}", display_path(path)),
            Self::UnixStream { path } => write!(out, "unix-stream:{}", display_path(path)),
            Self::UnixDgram { path } => write!(out, "unix-dgram:{}", display_path(path)),
            Self::Syslog { transport, server, .. } => {
                write!(out, "syslog+{}://{server}", format!("{transport:?}").to_lowercase())
            }
            Self::Http { url, .. } => out.write_str(url.split(['?', '#']).next().unwrap_or_default()),
            Self::Kafka { brokers, topic } => write!(out, "kafka://{brokers}/{topic}"),
        }
    }
}

fn check_pair(cert: Option<&Path>, key: Option<&Path>) -> Result<(), String> {
    if cert.is_some() == key.is_some() { Ok(()) } else { Err("cert and key: one needs the other".to_owned()) }
}

/// Takes `host:port` and `[address]:port` apart.
pub(super) fn host_and_port(server: &str) -> Option<(&str, u16)> {
    let (host, port) = server.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    (!host.is_empty()).then_some((host, port.parse().ok().filter(|&port| port != 0)?))
}

/// RFC 3986 section 2.1.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let mut digit = || char::from(bytes.next()?).to_digit(16);
            out.push(u8::try_from(digit()? * 16 + digit()?).ok()?);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}

#[derive(Deserialize)]
#[serde(untagged)]
enum TextOrNumber {
    Number(u64),
    Text(String),
}

/// A number with one of some units behind it.
fn with_unit(value: TextOrNumber, units: &[(&str, u64)], example: &str) -> Result<u64, String> {
    let text = match value {
        TextOrNumber::Number(number) => return Ok(number),
        TextOrNumber::Text(text) => text,
    };
    let split = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    let factor =
        if unit.is_empty() { Some(1) } else { units.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor) };
    let number = digits.parse::<u64>().ok().zip(factor).and_then(|(number, factor)| number.checked_mul(factor));
    number.filter(|&number| number > 0).ok_or_else(|| format!("{text:?}: expected a number with a unit, as {example}"))
}

fn optional_size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let units = [("K", 1 << 10), ("M", 1 << 20), ("G", 1 << 30), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
    with_unit(TextOrNumber::deserialize(deserializer)?, &units, "100M").map(Some).map_err(de::Error::custom)
}

fn optional_age<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let units = [("s", 1), ("m", 60), ("h", 3600), ("d", 86_400)];
    let seconds = with_unit(TextOrNumber::deserialize(deserializer)?, &units, "1d").map_err(de::Error::custom)?;
    Ok(Some(Duration::from_secs(seconds)))
}

fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let number = match TextOrNumber::deserialize(deserializer)? {
        TextOrNumber::Number(number) => u32::try_from(number).ok(),
        TextOrNumber::Text(text) => text.parse().ok(),
    };
    number.ok_or_else(|| de::Error::custom("expected a whole number"))
}

const fn default_keep() -> u32 {
    7
}

const fn default_facility() -> u32 {
    21
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn error(text: &str) -> String {
        text.parse::<OutputSpec>().unwrap_err().to_string()
    }

    #[test]
    fn both_forms_say_the_same() {
        for (text, toml) in [
            ("stdout", "kind = 'stdout'"),
            (
                "file:/var/log/e%3Fe.json?rotate-size=100M&rotate-age=1d&keep=3",
                "kind = 'file'\npath = '/var/log/e?e.json'\nrotate-size = '100M'\nrotate-age = '1d'\nkeep = 3",
            ),
            (
                "syslog+tls://[::1]:6514?ca=/ca.pem&body=cef&facility=16",
                "kind = 'syslog'\ntransport = 'tls'\nserver = '[::1]:6514'\nca = '/ca.pem'\nbody = 'cef'\nfacility = 16",
            ),
            (
                "https://es:9200/?shape=elastic&index=alerts&auth=api-key&token-env=ES",
                "kind = 'http'\nurl = 'https://es:9200/'\nshape = 'elastic'\nindex = 'alerts'\nauth = 'api-key'\ntoken-env = 'ES'",
            ),
        ] {
            assert_eq!(text.parse::<OutputSpec>().unwrap(), toml::from_str::<OutputSpec>(toml).unwrap(), "{text}");
        }
    }

    #[test]
    fn errors_name_the_part_and_what_is_expected() {
        for (text, part) in [
            ("", "expected stdout"),
            ("file:", "expected stdout"),
            ("ftp://x", "unknown kind"),
            ("file:/a?kep=1", "kep"),
            ("file:/a?keep=x", "whole number"),
            ("file:/a?rotate-size=1X", "as 100M"),
            ("file:/a?keep=1&keep=2", "twice"),
            ("syslog+udp://host", "HOST:PORT"),
            ("syslog+udp://host:514?facility=24", "0 to 23"),
            ("syslog+tcp://host:514?ca=/x", "only syslog+tls"),
            ("https://h/?shape=xml", "xml"),
            ("https://user:secret@h/", "auth=basic"),
            ("kafka://b:9092", "TOPIC"),
        ] {
            assert!(error(text).contains(part), "{text}: {}", error(text));
            assert!(!error(text).contains("secret"));
        }
    }

    #[test]
    fn names_hold_no_options() {
        let spec: OutputSpec = "https://h/p?token-env=NAME".parse().unwrap();
        assert_eq!(spec.to_string(), "https://h/p");
        let spec: OutputSpec = "syslog+tcp://h:601?body=cef".parse().unwrap();
        assert_eq!(spec.to_string(), "syslog+tcp://h:601");
    }
}
