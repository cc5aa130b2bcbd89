//! What the sensor answers, as far as the screen shows it.

use serde::{Deserialize, Deserializer, de};

/// `/api/status`.
#[derive(Clone, Debug, Deserialize)]
pub struct Status {
    pub sensor: String,
    pub version: String,
    #[serde(deserialize_with = "moment")]
    pub now: jiff::Timestamp,
    #[serde(deserialize_with = "moment")]
    pub started: jiff::Timestamp,
    pub ready: bool,
    pub reasons: Vec<String>,
    pub signatures: Signatures,
    pub interfaces: Vec<Interface>,
    pub flows_active: u64,
    #[serde(default)]
    pub machines: Machines,
    pub outputs: Vec<Output>,
    pub troubles: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Signatures {
    pub version: String,
    pub indicators: usize,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Interface {
    pub name: String,
    pub is_up: bool,
    pub packets: u64,
    pub bytes: u64,
    pub kernel_drops: u64,
    pub nic_drops: u64,
    pub queue_drops: u64,
    pub silent_s: Option<f64>,
}

impl Interface {
    /// Packets that went past it, wherever they were lost.
    pub const fn drops(&self) -> u64 {
        self.kernel_drops.saturating_add(self.nic_drops).saturating_add(self.queue_drops)
    }
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct Machines {
    pub seen: usize,
    pub judged: usize,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Output {
    pub name: String,
    pub delivered: u64,
    pub lost: u64,
    pub waiting: u64,
}

/// `/api/hosts`.
#[derive(Clone, Debug, Deserialize)]
pub struct Hosts {
    pub total: usize,
    pub verdicts: Verdicts,
    pub hosts: Vec<Host>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Verdicts {
    pub confirmed: usize,
    pub suspected: usize,
    pub browsing: usize,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Host {
    pub address: String,
    pub vlan: Option<u16>,
    pub verdict: String,
    pub confidence: u8,
    pub categories: Vec<String>,
    pub products: Vec<String>,
    #[serde(deserialize_with = "moment")]
    pub last_seen: jiff::Timestamp,
    /// What it calls itself, strongest first.
    #[serde(default)]
    pub identity: Vec<Label>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Label {
    pub kind: String,
    pub text: String,
}

impl Host {
    /// Address, tenant, and its name if one was heard.
    pub fn label(&self) -> String {
        let vlan = self.vlan.map(|vlan| format!(" vlan {vlan}")).unwrap_or_default();
        let name = self.identity.iter().find(|label| label.kind == "name");
        let name = name.map(|label| format!(" {}", label.text)).unwrap_or_default();
        format!("{}{vlan}{name}", self.address)
    }
}

fn moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<jiff::Timestamp, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
}
