//! Logs that belong together: those of one Zeek, and what was rotated of one log of another program.

use super::look::LogInput;
use super::stream::Stream;
use super::supply::{Helpers, Supply};
use super::{LogReading, LogScan};
use crate::process::panics::Failure;
use kaspector::capture::Timestamp;
use kaspector::matching::Alert;
use kaspector_logs::{FlowName, LogFormat, LogReader};
use kaspector_report::LogReport;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// Logs of one engine, in the order in which they are read where they follow each other; those of several names are read beside each other.
#[derive(Debug)]
pub struct Series {
    streams: BTreeMap<String, Vec<LogInput>>,
}

/// Puts logs into series.
pub fn in_series(logs: Vec<LogInput>) -> Vec<Series> {
    let mut series: BTreeMap<(&str, PathBuf, String), Series> = BTreeMap::new();
    for log in logs {
        let folder = log.path.as_deref().and_then(Path::parent).map(undated).unwrap_or_default();
        let base = log.path.as_deref().map(base_name).unwrap_or_default();
        // All logs of one Zeek are one series, with a stream for each name.
        let is_zeek = matches!(log.format, LogFormat::ZeekTsv | LogFormat::ZeekJson);
        let (of_series, of_stream) = if is_zeek { (String::new(), base) } else { (base, String::new()) };
        let series =
            series.entry((log.format.name(), folder, of_series)).or_insert_with(|| Series { streams: BTreeMap::new() });
        series.streams.entry(of_stream).or_default().push(log);
    }
    let mut all: Vec<_> = series.into_values().collect();
    for series in &mut all {
        for stream in series.streams.values_mut() {
            stream.sort_by(|one, other| (one.first, &one.path).cmp(&(other.first, &other.path)));
        }
    }
    all
}

/// A folder without parts that are dates, such as `2026-11-24`: Zeek keeps each day in a folder of its own.
fn undated(folder: &Path) -> PathBuf {
    let is_date = |part: &Component<'_>| {
        let text = part.as_os_str().as_encoded_bytes();
        let digits = text.iter().filter(|byte| byte.is_ascii_digit()).count();
        digits >= 2 && text.iter().all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.'))
    };
    folder.components().filter(|part| !is_date(part)).collect()
}

/// What names of a log's files have in common, whatever rotation makes of them: `eve.json`, `eve.json.1`, `eve.json-20261124.gz` and
/// `eve-2026-11-24.json` are `eve`.
fn base_name(path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let end = name.find(|letter: char| !letter.is_alphabetic() && letter != '_').unwrap_or(name.len());
    name.get(..end).unwrap_or_default().to_owned()
}

impl Series {
    /// Has its streams ready to be read.
    pub fn open<'a>(self, reading: &LogReading<'a>) -> OpenSeries<'a> {
        let logs = self.streams.values().flatten().map(|log| (log.index, log.name.clone())).collect();
        let streams = self
            .streams
            .into_values()
            .map(|logs| Stream::new(Arc::new(Supply::new(logs, reading.skimmer.clone(), reading.progress))));
        OpenSeries { logs, streams: streams.collect() }
    }
}

/// A series that can be read.
pub struct OpenSeries<'a> {
    /// Its logs: the place of each in the list that is scanned, and its name.
    pub logs: Vec<(usize, String)>,
    streams: Vec<Stream<'a>>,
}

impl<'a> OpenSeries<'a> {
    /// Where its lines come from.
    pub fn supplies(&self) -> impl Iterator<Item = Arc<Supply<'a>>> {
        self.streams.iter().map(|stream| Arc::clone(&stream.supply))
    }

    /// Reads its logs to their end.
    pub fn read(self, reading: &LogReading<'_>, helpers: &Helpers<'_>) -> Result<Vec<LogScan>, Failure> {
        let Self { logs, mut streams } = self;
        let first = logs.iter().map(|&(index, _)| index).min().unwrap_or_default();
        let mut reader = LogReader::of_input(reading.signatures, number(first));
        let mut alerts: Vec<(u32, (Alert, FlowName))> = Vec::new();
        let mut take = |reader: &mut LogReader| {
            let taken = reader.take_alerts();
            if reading.keeps_alerts {
                alerts.extend(taken.into_iter().map(|one| (one.input, (one.alert, one.flow))));
            }
        };
        for stream in &mut streams {
            stream.advance(&mut reader, helpers)?;
        }
        // The stream whose next line was written first, and until when it stays that.
        while let Some((next, until)) = next_of(&streams) {
            if let Some(stream) = streams.get_mut(next) {
                stream.read_until(until, &mut reader);
                stream.advance(&mut reader, helpers)?;
            }
            take(&mut reader);
        }
        let mut findings = reader.finish();
        take(&mut reader);
        let mut scans: Vec<LogScan> = streams
            .into_iter()
            .flat_map(Stream::into_reports)
            .map(|(index, report)| LogScan { index, report, ..LogScan::default() })
            .collect();
        scans.sort_by_key(|scan| scan.index);
        let mut digest = Sha256::new();
        scans.iter().for_each(|scan| digest.update(scan.report.digest));
        let digest: [u8; 32] = digest.finalize().into();
        for scan in &mut scans {
            if let Some(log) = &mut scan.report.log {
                log.series = digest;
            }
        }
        for (input, alert) in alerts {
            if let Some(scan) = scans.iter_mut().find(|scan| number(scan.index) == input) {
                scan.alerts.push(alert);
            }
        }
        if let Some(scan) = scans.first_mut() {
            scan.findings = std::mem::take(&mut findings);
        }
        Ok(scans)
    }
}

/// The stream whose next line was written first, and when the next line of any other was written.
fn next_of(streams: &[Stream<'_>]) -> Option<(usize, Timestamp)> {
    let mut first: Option<(Timestamp, usize)> = None;
    let mut second = Timestamp(u64::MAX);
    for (at, stream) in streams.iter().enumerate() {
        let Some(written) = stream.next_written() else { continue };
        match &mut first {
            Some((known, place)) if written < *known => {
                second = std::mem::replace(known, written);
                *place = at;
            }
            Some(_) => second = second.min(written),
            None => first = Some((written, at)),
        }
    }
    first.map(|(_, at)| (at, second))
}

/// The number of the input at a place in the list.
pub(super) fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// The report of a log of which nothing was read yet.
pub(super) fn unread(format: LogFormat) -> LogReport {
    LogReport { format: format.name(), ..LogReport::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotated_logs_have_one_name() {
        for name in ["eve.json", "eve.json.1", "eve.json-20261124.gz", "eve-2026-11-24.json", "EVE.json"] {
            assert_eq!(base_name(Path::new(name)), "eve", "{name}");
        }
        assert_eq!(base_name(Path::new("conn.2026-11-24-00-00-00.log.gz")), "conn");
        assert_eq!(base_name(Path::new("known_hosts.log")), "known_hosts");
        assert_eq!(undated(Path::new("zeek/logs/2026-11-24")), Path::new("zeek/logs"));
        assert_eq!(undated(Path::new("zeek/logs/current")), Path::new("zeek/logs/current"));
    }
}
