//! What a configuration that was read again changes, and what of that has to wait for a start.

use super::{EvidenceConfig, WatchConfig};
use std::ffi::OsString;

/// Keys whose values differ, by when the new value counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// At once.
    pub now: Vec<&'static str>,
    /// At the next start: sockets, files and users are settled then.
    pub at_start: Vec<&'static str>,
}

impl WatchConfig {
    /// What differs in `newer`. Folders of signatures are no matter of keys: what they hold is read again whatever happened to their names.
    #[must_use]
    pub fn changes(&self, newer: &Self) -> Changes {
        let differing = |keys: &[(&'static str, bool)]| -> Vec<&'static str> {
            keys.iter().filter_map(|&(key, differs)| differs.then_some(key)).collect()
        };
        let now = [
            ("signatures", self.signatures != newer.signatures),
            ("signatures-extra", self.signatures_extra != newer.signatures_extra),
            ("site", self.site != newer.site),
            ("summary-interval", self.summary_interval != newer.summary_interval),
            ("stats-interval", self.stats_interval != newer.stats_interval),
            ("stale-after", self.stale_after != newer.stale_after),
            ("silent-after", self.silent_after != newer.silent_after),
            ("log-level", self.log_level != newer.log_level),
            ("filter", self.filter != newer.filter),
            ("snaplen", self.snaplen != newer.snaplen),
            ("output", self.outputs != newer.outputs),
        ];
        let differs = |of: &dyn Fn(&EvidenceConfig) -> OsString| {
            self.evidence.as_ref().map(of) != newer.evidence.as_ref().map(of)
        };
        let at_start = [
            ("interface", self.interfaces != newer.interfaces),
            ("capture", self.capture != newer.capture),
            ("workers", self.workers != newer.workers),
            ("ring-block-size", self.ring_block_bytes != newer.ring_block_bytes),
            ("ring-blocks", self.ring_blocks != newer.ring_blocks),
            ("hardware-time", self.hardware_time != newer.hardware_time),
            ("tunnel", self.tunnels != newer.tunnels),
            ("promiscuous", self.promiscuous != newer.promiscuous),
            ("spool", self.spool != newer.spool),
            ("spool-size", self.spool_bytes != newer.spool_bytes),
            ("evidence", differs(&|evidence| evidence.folder.clone().into())),
            ("evidence-packets", differs(&|evidence| evidence.packets.to_string().into())),
            ("evidence-size", differs(&|evidence| evidence.bytes.to_string().into())),
            ("evidence-total", differs(&|evidence| evidence.total_bytes.to_string().into())),
            ("evidence-redact", differs(&|evidence| evidence.redacts.to_string().into())),
            ("state", self.state != newer.state),
            ("http", self.http.as_ref().map(|http| http.address) != newer.http.as_ref().map(|http| http.address)),
            ("http-token-file", token_file(self) != token_file(newer)),
            ("http-host", self.http.as_ref().map(|http| &http.hosts) != newer.http.as_ref().map(|http| &http.hosts)),
            ("drain-timeout", self.drain_timeout != newer.drain_timeout),
            ("user", self.user != newer.user),
            ("sandbox", self.sandbox != newer.sandbox),
            ("sensor", self.sensor != newer.sensor),
            ("eve-compat", self.eve_compat != newer.eve_compat),
            ("log-format", self.log_format != newer.log_format),
        ];
        Changes { now: differing(&now), at_start: differing(&at_start) }
    }
}

fn token_file(config: &WatchConfig) -> Option<&std::path::Path> {
    config.http.as_ref().and_then(|http| http.token_file.as_deref())
}

impl Changes {
    /// What the user should know: which keys keep their old values.
    #[must_use]
    pub fn remark(&self) -> Option<String> {
        match self.at_start.as_slice() {
            [] => None,
            [one] => Some(format!("{one} changed in the configuration; the new value counts after a restart")),
            several => Some(format!(
                "{} changed in the configuration; the new values count after a restart",
                several.join(", ")
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::{WatchSettings, merged};
    use super::*;
    use std::path::Path;

    fn config(text: &str) -> WatchConfig {
        merged(WatchSettings::default(), WatchSettings::from_toml(text, Path::new("k")).unwrap()).unwrap()
    }

    #[test]
    fn what_changed_and_waits_for_a_start_is_named() {
        let old = config("interface = 'lo'");
        let changes = old.changes(&config("interface = 'lo'\nstats-interval = '1s'\nuser = 'u'\nspool = '/s'"));
        assert_eq!(changes, Changes { now: vec!["stats-interval"], at_start: vec!["spool", "user"] });
        let said = changes.remark().unwrap();
        assert_eq!(said, "spool, user changed in the configuration; the new values count after a restart");
        assert_eq!(old.changes(&old), Changes::default());
        assert_eq!(Changes::default().remark(), None);
    }

    #[test]
    fn every_key_that_can_differ_is_told_of() {
        let other = "interface = 'eth9'\ncapture = 'afpacket'\nworkers = 2\nring-block-size = '2MiB'\nring-blocks = 8\n\
            snaplen = 100\nfilter = 'tcp'\ntunnel = 'gre:9'\npromiscuous = false\nsignatures = '/a'\nsignatures-extra = '/b'\n\
            output = 'file:/x'\nspool = '/s'\nspool-size = '1GiB'\nevidence = '/v'\nevidence-packets = 9\nevidence-size = '1MiB'\nevidence-total = '2MiB'\n\
            evidence-redact = true\nstate = '/h'\nhttp = '127.0.0.1:1'\nhttp-token-file = '/t'\n\
            http-host = 'h'\nsummary-interval = '1m'\nstats-interval = '1m'\nstale-after = '1m'\nsilent-after = '1d'\ndrain-timeout = '1m'\n\
            user = 'u'\nsandbox = 'off'\nsensor = 'surely another'\neve-compat = 8\nlog-level = 'debug'\nlog-format = 'json'\n";
        let changes = config("interface = 'lo'").changes(&config(other));
        let mut told: Vec<&str> = changes.now.iter().chain(&changes.at_start).copied().collect();
        // The one kind of capture that Linux has by default.
        told.push("capture");
        let mut keys: Vec<&str> = other.lines().filter_map(|line| line.split_once(" = ").map(|(key, _)| key)).collect();
        told.sort_unstable();
        keys.sort_unstable();
        assert_eq!(told, keys);
    }
}
