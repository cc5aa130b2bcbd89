//! The configuration in use, written as a file that would say the same.

use super::value::{Count, Size, Span};
use super::{EveVersion, LogFormat, LogLevel, WatchConfig};
use serde::Serialize;
use std::fmt;
use std::path::Path;
use std::time::Duration;

type AnySpan = Span<0, { u64::MAX }>;
type AnySize = Size<0, { u64::MAX }>;
type AnyCount = Count<0, { u64::MAX }>;

/// All keys, in the order of the documentation; what was not said and has no default is left out.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Effective<'a> {
    interface: &'a [String],
    capture: String,
    workers: AnyCount,
    ring_block_size: AnySize,
    #[serde(skip_serializing_if = "Option::is_none")]
    ring_blocks: Option<AnyCount>,
    hardware_time: bool,
    snaplen: AnyCount,
    filter: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tunnel: Vec<String>,
    promiscuous: bool,
    signatures: Option<&'a Path>,
    signatures_extra: Option<&'a Path>,
    site: Option<&'a Path>,
    spool: Option<&'a Path>,
    spool_size: AnySize,
    evidence: Option<&'a Path>,
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence_packets: Option<AnyCount>,
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence_size: Option<AnySize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence_total: Option<AnySize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence_redact: Option<bool>,
    state: Option<&'a Path>,
    http: Option<String>,
    http_token_file: Option<&'a Path>,
    http_host: Option<&'a [String]>,
    summary_interval: AnySpan,
    stats_interval: AnySpan,
    stale_after: AnySpan,
    #[serde(skip_serializing_if = "Option::is_none")]
    silent_after: Option<AnySpan>,
    drain_timeout: AnySpan,
    user: Option<&'a str>,
    sandbox: &'static str,
    sensor: &'a str,
    eve_compat: EveVersion,
    log_level: LogLevel,
    log_format: LogFormat,
    /// Last, since it may hold tables.
    output: &'a [toml::Value],
}

impl fmt::Display for WatchConfig {
    /// As TOML. Secrets are in files and in the environment, so none is shown.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let span = |duration: Duration| Span(duration);
        let (http, evidence) = (self.http.as_ref(), self.evidence.as_ref());
        let effective = Effective {
            interface: &self.interfaces,
            capture: self.capture.to_string(),
            workers: Count(self.workers as u64),
            ring_block_size: Size(self.ring_block_bytes.into()),
            ring_blocks: self.ring_blocks.map(|blocks| Count(blocks.into())),
            hardware_time: self.hardware_time,
            snaplen: Count(self.snaplen.into()),
            filter: self.filter.as_deref(),
            tunnel: self.tunnels.iter().map(ToString::to_string).collect(),
            promiscuous: self.promiscuous,
            signatures: self.signatures.as_deref(),
            signatures_extra: self.signatures_extra.as_deref(),
            site: self.site.as_deref(),
            spool: self.spool.as_deref(),
            spool_size: Size(self.spool_bytes),
            evidence: evidence.map(|evidence| evidence.folder.as_path()),
            evidence_packets: evidence.map(|evidence| Count(evidence.packets.into())),
            evidence_size: evidence.map(|evidence| Size(evidence.bytes)),
            evidence_total: evidence.map(|evidence| Size(evidence.total_bytes)),
            evidence_redact: evidence.map(|evidence| evidence.redacts),
            state: self.state.as_deref(),
            http: http.map(|http| http.address.to_string()),
            http_token_file: http.and_then(|http| http.token_file.as_deref()),
            http_host: http.map(|http| http.hosts.as_slice()).filter(|hosts| !hosts.is_empty()),
            summary_interval: span(self.summary_interval),
            stats_interval: span(self.stats_interval),
            stale_after: span(self.stale_after),
            silent_after: self.silent_after.map(span),
            drain_timeout: span(self.drain_timeout),
            user: self.user.as_deref(),
            sandbox: self.sandbox.name(),
            sensor: &self.sensor,
            eve_compat: self.eve_compat,
            log_level: self.log_level,
            log_format: self.log_format,
            output: &self.said_outputs,
        };
        // A path that is not UTF-8 has no form in TOML.
        out.write_str(&toml::to_string(&effective).map_err(|_| fmt::Error)?)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::{WatchSettings, merged};
    use std::path::Path;

    #[test]
    fn what_is_shown_says_the_same_when_it_is_read() {
        let text = "interface = ['eth1', 'eth2']\nworkers = 4\nsnaplen = 2048\ntunnel = ['vxlan:14789', 'gtp-u:9']\nring-block-size = '2MiB'\nspool = '/s'\n\
            evidence = '/v'\nevidence-redact = true\nhttp = '127.0.0.1:9317'\nhttp-host = 'sensor.example'\nuser = 'nobody'\nsensor = 'a \"b\" \\u001b'\neve-compat = 8\n\
            summary-interval = '1d'\n[[output]]\nkind = 'file'\npath = '/e'\nkeep = 2\n[[output]]\nkind = 'stdout'\n";
        let text = text.replace("sensor = 'a \"b\" \\u001b'", "sensor = \"a \\\"b\\\" \\u001b\"");
        let read = |text: &str| {
            merged(WatchSettings::default(), WatchSettings::from_toml(text, Path::new("k.toml")).unwrap()).unwrap()
        };
        let config = read(&text);
        assert_eq!(read(&config.to_string()), config);
    }

    #[test]
    fn keys_in_a_url_are_not_shown() {
        let text = "interface = 'lo'\n[[output]]\nkind = 'http'\nurl = 'http://127.0.0.1/x?key=hunter2'\n";
        let options = WatchSettings::from_toml(text, Path::new("k.toml")).unwrap();
        let shown = merged(WatchSettings::default(), options).unwrap().to_string();
        assert!(shown.contains("http://127.0.0.1/x") && !shown.contains("hunter2"), "{shown}");
    }
}
