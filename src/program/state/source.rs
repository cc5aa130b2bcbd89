//! Who writes to a state file, and where what they tell of was seen.

use std::collections::HashMap;
use std::fmt::Write;

/// A writer of a state file. Each has its own records, and only ever replaces those.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A sensor. Two that run at the same time need two names, or each takes the other's records for its own.
    Sensor {
        /// Its name.
        name: String,
    },
    /// A capture that was scanned. What it is follows from what it holds, wherever it lies.
    Capture {
        /// [`InputReport::digest`](kaspector_report::InputReport::digest).
        digest: [u8; 32],
        /// Captured bytes of its packets.
        bytes: u64,
        /// Where it lay.
        path: String,
        /// The libpcap expression that chose packets of it: what a filter chose is a source of its own.
        filter: Option<String>,
    },
}

impl Source {
    /// The name of its kind.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Sensor { .. } => "sensor",
            Self::Capture { .. } => "capture",
        }
    }

    /// The sensor's name, or the capture's path.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Sensor { name } => name,
            Self::Capture { path, .. } => path,
        }
    }

    /// What tells it from others of its kind.
    pub(super) fn key(&self) -> String {
        match self {
            Self::Sensor { name } => name.clone(),
            Self::Capture { digest, bytes, .. } => {
                let mut key = String::with_capacity(96);
                for byte in digest {
                    // Writing to a string cannot fail.
                    let _ = write!(key, "{byte:02x}");
                }
                let _ = write!(key, " {bytes}");
                if !self.filter().is_empty() {
                    let _ = write!(key, " {}", self.filter());
                }
                key
            }
        }
    }

    pub(super) fn filter(&self) -> &str {
        match self {
            Self::Capture { filter: Some(filter), .. } => filter,
            _ => "",
        }
    }
}

/// Names of inputs by the numbers that a [`Position`](kaspector::matching::Position) holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins {
    names: Vec<String>,
    numbers: HashMap<String, u32>,
}

impl Origins {
    /// The number of an input of that name, given to it now if it has none.
    pub fn intern(&mut self, name: &str) -> u32 {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        let number = self.add(name);
        self.numbers.insert(name.to_owned(), number);
        number
    }

    /// The input's name; empty for a number that was not given.
    #[must_use]
    pub fn name(&self, number: u32) -> &str {
        usize::try_from(number).ok().and_then(|at| self.names.get(at)).map(String::as_str).unwrap_or_default()
    }

    /// All names, by their numbers.
    #[must_use]
    pub fn into_names(self) -> Vec<String> {
        self.names
    }

    fn add(&mut self, name: &str) -> u32 {
        let number = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.names.push(name.to_owned());
        number
    }
}

/// The names of inputs in their order: the first one is number 0. A name may stand there twice.
impl<S: AsRef<str>> FromIterator<S> for Origins {
    fn from_iter<I: IntoIterator<Item = S>>(names: I) -> Self {
        let mut origins = Self::default();
        for name in names {
            let number = origins.add(name.as_ref());
            origins.numbers.entry(name.as_ref().to_owned()).or_insert(number);
        }
        origins
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_number() {
        let mut origins: Origins = ["eth0", "eth1", "eth0"].into_iter().collect();
        assert_eq!((origins.intern("eth1"), origins.intern("eth0"), origins.intern("a.pcap")), (1, 0, 3));
        assert_eq!((origins.name(2), origins.name(3), origins.name(4)), ("eth0", "a.pcap", ""));
    }

    #[test]
    fn captures_are_told_apart_by_what_they_hold() {
        let capture = |bytes, path: &str, filter: Option<&str>| {
            let (path, filter) = (path.to_owned(), filter.map(str::to_owned));
            Source::Capture { digest: [0xab; 32], bytes, path, filter }.key()
        };
        assert_eq!(capture(7, "a", None), capture(7, "b", None));
        assert_ne!(capture(7, "a", None), capture(8, "a", None));
        assert_ne!(capture(7, "a", None), capture(7, "a", Some("udp")));
    }
}
