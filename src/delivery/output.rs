//! Where messages go: what `--output` and `[[output]]` say.

mod check;
mod text;
mod value;

use super::Weight;
use super::format::RecordFormat;
use kaspector::capture::display_path;
use serde::Deserialize;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use value::{addresses, age, default_every, default_facility, default_keep, number, optional_age, optional_size};

pub(super) use check::{host_and_port, parsed_url};

/// One output. The text form is `kind:target?option=value&...`; in TOML it is `kind = "..."` and the fields by name.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields, rename_all_fields = "kebab-case")]
pub enum OutputSpec {
    /// Lines on standard output.
    Stdout {
        /// How records are written.
        #[serde(default)]
        format: RecordFormat,
    },
    /// Lines at the end of a file, synced batch by batch.
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
        /// How records are written.
        #[serde(default)]
        format: RecordFormat,
    },
    /// Lines into a Unix stream socket that the other side listens on.
    UnixStream {
        /// The socket.
        path: PathBuf,
        /// How records are written.
        #[serde(default)]
        format: RecordFormat,
    },
    /// One datagram for each line.
    UnixDgram {
        /// The socket.
        path: PathBuf,
        /// How records are written.
        #[serde(default)]
        format: RecordFormat,
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
        #[serde(default)]
        url: Option<String>,
        /// File that holds the URL, which is a secret.
        #[serde(default)]
        url_file: Option<PathBuf>,
        /// Environment variable that holds it.
        #[serde(default)]
        url_env: Option<String>,
        /// What the body looks like.
        #[serde(default)]
        shape: HttpShape,
        /// How records are written.
        #[serde(default)]
        format: RecordFormat,
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
    /// Mail by SMTP: findings in words, several in one mail.
    Smtp {
        /// How the connection is kept from others.
        #[serde(default)]
        security: MailSecurity,
        /// `host:port`.
        server: String,
        /// Whom it is from.
        from: String,
        /// Whom it is for.
        #[serde(deserialize_with = "addresses")]
        to: Vec<String>,
        /// The name that the server knows us by.
        #[serde(default)]
        user: Option<String>,
        /// Environment variable that holds the password.
        #[serde(default)]
        token_env: Option<String>,
        /// File that holds the password.
        #[serde(default)]
        token_file: Option<PathBuf>,
        /// PEM file of the authorities that the server's certificate must come from, instead of the system's.
        #[serde(default)]
        ca: Option<PathBuf>,
        /// At most one mail in so long.
        #[serde(default = "default_every", deserialize_with = "age")]
        every: Duration,
    },
    /// A Kafka topic.
    Kafka {
        /// `host:port`, separated by commas.
        brokers: String,
        /// The topic.
        topic: String,
        /// How records are written.
        #[serde(default)]
        format: RecordFormat,
    },
}

/// How a connection to a mail server is kept from others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MailSecurity {
    /// Not at all.
    #[default]
    None,
    /// It begins in the clear and must become TLS before anything is said (RFC 3207).
    Starttls,
    /// TLS from the beginning (RFC 8314).
    Tls,
}

impl MailSecurity {
    /// As it begins an output of the command line.
    const fn scheme(self) -> &'static str {
        match self {
            Self::None => "smtp",
            Self::Starttls => "smtp+starttls",
            Self::Tls => "smtps",
        }
    }
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
    /// Elastic Common Schema.
    Ecs,
    /// Open Cybersecurity Schema Framework.
    Ocsf,
}

/// What the body of a request looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HttpShape {
    /// One object for each line.
    #[default]
    Ndjson,
    /// Elasticsearch's and OpenSearch's `_bulk`.
    Elastic,
    /// Splunk's HTTP Event Collector.
    Splunk,
    /// Slack's incoming webhooks: findings in words, several in one message.
    Slack,
    /// Workflows of Microsoft Teams: the same as an adaptive card.
    Teams,
}

impl HttpShape {
    /// Whether people read it: they are told findings, and nothing else.
    #[must_use]
    pub const fn is_chat(self) -> bool {
        matches!(self, Self::Slack | Self::Teams)
    }
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

impl OutputSpec {
    /// The vocabulary of its records.
    #[must_use]
    pub const fn format(&self) -> RecordFormat {
        match self {
            Self::Stdout { format }
            | Self::File { format, .. }
            | Self::UnixStream { format, .. }
            | Self::UnixDgram { format, .. }
            | Self::Http { format, .. }
            | Self::Kafka { format, .. } => *format,
            // Their transports write from the EVE record.
            Self::Syslog { .. } | Self::Smtp { .. } => RecordFormat::Eve,
        }
    }

    /// It gets this and what weighs more. Collectors of alerts do not want the sensor's counters, for which only EVE has words; people do
    /// not want to be told again what they know.
    #[must_use]
    pub const fn lightest(&self) -> Weight {
        match self {
            Self::Stdout { format: RecordFormat::Eve }
            | Self::File { format: RecordFormat::Eve, .. }
            | Self::UnixStream { format: RecordFormat::Eve, .. }
            | Self::UnixDgram { format: RecordFormat::Eve, .. } => Weight::Stats,
            Self::Http { shape, .. } if shape.is_chat() => Weight::Finding,
            Self::Smtp { .. } => Weight::Finding,
            _ => Weight::Summary,
        }
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
            Self::Http { url_file, token_file, ca, cert, key, .. } => {
                [url_file, token_file, ca, cert, key].into_iter().filter_map(|path| path.as_deref()).collect()
            }
            Self::Smtp { token_file, ca, .. } => {
                [token_file, ca].into_iter().filter_map(|path| path.as_deref()).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Environment variables that it reads at the start, each with what can be used in its place.
    #[must_use]
    pub fn variables(&self) -> Vec<(&str, &'static str)> {
        match self {
            Self::Http { url_env, token_env, .. } => {
                let url = url_env.iter().map(|name| (name.as_str(), "url-file"));
                url.chain(token_env.iter().map(|name| (name.as_str(), "token-file"))).collect()
            }
            Self::Smtp { token_env, .. } => token_env.iter().map(|name| (name.as_str(), "token-file")).collect(),
            _ => Vec::new(),
        }
    }
}

impl fmt::Display for OutputSpec {
    /// Kind and target, without options: names the output in logs and metrics, and its checkpoint.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdout { .. } => out.write_str("stdout"),
            Self::File { path, .. } => write!(out, "file:{}", display_path(path)),
            Self::UnixStream { path, .. } => write!(out, "unix-stream:{}", display_path(path)),
            Self::UnixDgram { path, .. } => write!(out, "unix-dgram:{}", display_path(path)),
            Self::Syslog { transport, server, .. } => {
                write!(out, "syslog+{}://{server}", format!("{transport:?}").to_lowercase())
            }
            Self::Http { url_file: Some(path), .. } => write!(out, "http:?url-file={}", display_path(path)),
            Self::Http { url_env: Some(name), .. } => write!(out, "http:?url-env={name}"),
            Self::Http { url, .. } => {
                out.write_str(url.iter().flat_map(|url| url.split(['?', '#'])).next().unwrap_or_default())
            }
            Self::Smtp { security, server, to, .. } => {
                write!(out, "{}://{server}?to={}", security.scheme(), to.join(","))
            }
            Self::Kafka { brokers, topic, .. } => write!(out, "kafka://{brokers}/{topic}"),
        }
    }
}

#[cfg(test)]
mod tests;
