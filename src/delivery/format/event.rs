//! An EVE record, taken apart.

use crate::time;
use serde_json::{Map, Value};
use std::net::IpAddr;

/// An EVE record.
pub(crate) struct Event(Value);

/// What an alert tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A host shows an indicator for the first time.
    FirstSight,
    /// The evidence on a host adds up to more.
    Rise,
    /// What was told before was seen again.
    Summary,
    /// A host has shown nothing for long.
    Silence,
    /// A host that was silent shows itself again.
    Return,
}

impl Kind {
    /// As a word that receivers can filter by.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FirstSight => "first-sight",
            Self::Rise => "verdict-rise",
            Self::Summary => "summary",
            Self::Silence => "silence",
            Self::Return => "return",
        }
    }
}

/// The number of the rule that says that a host is silent.
const SILENCE: u64 = 1_990_999;

impl Event {
    /// `None` when the line is no JSON object.
    pub fn from_line(line: &str) -> Option<Self> {
        let event: Value = serde_json::from_str(line).ok()?;
        event.is_object().then_some(Self(event))
    }

    /// A text or a number, as text; `None` where there is none, or an empty one.
    pub fn text(&self, pointer: &str) -> Option<String> {
        let text = match self.0.pointer(pointer)? {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        (!text.is_empty()).then_some(text)
    }

    /// The first of these that is there.
    pub fn first_of(&self, pointers: &[&str]) -> Option<String> {
        pointers.iter().find_map(|pointer| self.text(pointer))
    }

    pub fn number(&self, pointer: &str) -> Option<u64> {
        self.0.pointer(pointer)?.as_u64()
    }

    pub fn time(&self, pointer: &str) -> Option<jiff::Timestamp> {
        time::from_eve(self.0.pointer(pointer)?.as_str()?)
    }

    pub fn address(&self, pointer: &str) -> Option<IpAddr> {
        self.0.pointer(pointer)?.as_str()?.parse().ok()
    }

    /// The first value of this name in the metadata of the rule.
    pub fn metadata(&self, key: &str) -> Option<String> {
        self.text(&format!("/alert/metadata/{key}/0"))
    }

    /// A moment in the metadata of the rule.
    pub fn metadata_time(&self, key: &str) -> Option<jiff::Timestamp> {
        self.time(&format!("/alert/metadata/{key}/0"))
    }

    /// All of the metadata of the rule: names, and each with its values.
    pub fn all_metadata(&self) -> impl Iterator<Item = (&str, &[Value])> {
        let metadata = self.0.pointer("/alert/metadata").and_then(Value::as_object);
        let entries = metadata.into_iter().flat_map(Map::iter);
        entries.filter_map(|(key, values)| Some((key.as_str(), values.as_array()?.as_slice())))
    }

    /// Ports that TCP and UDP have, and a host that shows nothing has not.
    pub fn port(&self, pointer: &str) -> Option<u64> {
        self.number(pointer).filter(|&port| (1..=65_535).contains(&port))
    }

    /// VLAN identifiers, the outermost first.
    pub fn vlans(&self) -> Vec<String> {
        let vlans = self.0.get("vlan").and_then(Value::as_array);
        vlans.into_iter().flatten().filter_map(Value::as_u64).map(|vlan| vlan.to_string()).collect()
    }

    /// The name by which the server was asked for.
    pub fn server_name(&self) -> Option<String> {
        self.first_of(&["/tls/sni", "/quic/sni", "/http/hostname"])
    }

    /// The name that was looked up.
    pub fn question(&self) -> Option<String> {
        self.first_of(&["/dns/query/0/rrname", "/dns/queries/0/rrname"])
    }

    /// The host that the alert is about.
    pub fn host(&self) -> Option<IpAddr> {
        self.address("/alert/target/ip").or_else(|| self.address("/src_ip"))
    }

    pub fn kind(&self) -> Kind {
        let has = |key: &str| self.metadata(key).is_some();
        match () {
            () if self.number("/alert/signature_id") == Some(SILENCE) => Kind::Silence,
            () if has("kaspector_count") => Kind::Summary,
            () if has("kaspector_silent_since") => Kind::Return,
            () if has("kaspector_verdict_before") => Kind::Rise,
            () => Kind::FirstSight,
        }
    }

    /// What it tells, in one sentence.
    pub fn sentence(&self) -> String {
        let what = self.first_of(&["/alert/signature", "/event_type"]).unwrap_or_else(|| "event".to_owned());
        match (self.host(), self.metadata("kaspector_observed")) {
            (Some(host), Some(observed)) => format!("{host}: {what}: {observed}"),
            (Some(host), None) => format!("{host}: {what}"),
            _ => what,
        }
    }
}

/// A JSON object that is put together key by key.
#[derive(Default)]
pub(crate) struct Object(Map<String, Value>);

impl Object {
    /// Puts a value at a path of keys with points between them, if there is one.
    pub fn put<V: Into<Value>>(&mut self, path: &str, value: Option<V>) {
        let Some(value) = value else { return };
        let (folders, key) = path.rsplit_once('.').map_or((None, path), |(folders, key)| (Some(folders), key));
        let mut object = &mut self.0;
        for folder in folders.into_iter().flat_map(|folders| folders.split('.')) {
            let inner = object.entry(folder).or_insert_with(|| Value::Object(Map::new()));
            let Value::Object(inner) = inner else { return };
            object = inner;
        }
        object.insert(key.to_owned(), value.into());
    }

    /// Puts what always is there.
    pub fn set<V: Into<Value>>(&mut self, path: &str, value: V) {
        self.put(path, Some(value));
    }

    /// Puts an entry with a key that may hold points.
    pub fn put_in(&mut self, folder: &str, key: &str, value: Value) {
        let inner = self.0.entry(folder).or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(inner) = inner {
            inner.insert(key.to_owned(), value);
        }
    }

    /// `None` when it is empty.
    pub fn finish(self) -> Option<Value> {
        (!self.0.is_empty()).then_some(Value::Object(self.0))
    }
}
