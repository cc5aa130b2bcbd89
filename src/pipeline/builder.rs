//! How a detector is made.

use super::{Bounds, Detector, LANES, Lanes, Numbering, OFFLINE_SEED};
use crate::decode::TunnelPorts;
use crate::matching::{Ledger, SignatureSet};
use std::sync::Arc;

/// Makes a [`Detector`]; see [`Detector::builder`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing before `build`"]
pub struct DetectorBuilder {
    signatures: Option<Arc<SignatureSet>>,
    seed: u64,
    bounds: Bounds,
    tunnels: Option<Arc<TunnelPorts>>,
    keeps_alerts: bool,
}

impl Default for DetectorBuilder {
    fn default() -> Self {
        Self { signatures: None, seed: OFFLINE_SEED, bounds: Bounds::default(), tunnels: None, keeps_alerts: true }
    }
}

impl DetectorBuilder {
    /// What to look for; by default the built-in set. One set may serve any number of detectors.
    pub fn signatures(self, signatures: &Arc<SignatureSet>) -> Self {
        Self { signatures: Some(Arc::clone(signatures)), ..self }
    }

    /// Key of the flow hash. Live traffic wants a random one, so that nobody on the wire can aim at one bucket; without it the key is
    /// constant. The answer for a given input depends on it only when a bound is met.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// How much each lane keeps at most.
    pub fn bounds(self, bounds: Bounds) -> Self {
        Self { bounds, ..self }
    }

    /// Where tunnels are opened: at the assigned ports, and the site's own.
    pub fn tunnels(self, ports: &Arc<TunnelPorts>) -> Self {
        Self { tunnels: Some(Arc::clone(ports)), ..self }
    }

    /// Keeps no alerts, for callers who want only what they add up to.
    pub fn without_alerts(self) -> Self {
        Self { keeps_alerts: false, ..self }
    }

    /// The detector.
    #[must_use]
    pub fn build(self) -> Detector {
        let signatures = self.signatures.unwrap_or_else(|| Arc::new(SignatureSet::builtin()));
        let lanes = Lanes::with_bounds(&signatures, self.seed, LANES, Numbering::ALONE, &self.bounds);
        let lanes = match &self.tunnels {
            Some(ports) => lanes.with_tunnels(ports),
            None => lanes,
        };
        let ledger = Ledger::new(&signatures, 0);
        let ledger = if self.keeps_alerts { ledger } else { ledger.without_alerts() };
        Detector { signatures, input: 0, discards_alerts: !self.keeps_alerts, lanes, ledger }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::{Frame, LinkType, Timestamp};
    use crate::flow::Capacities;
    use etherparse::PacketBuilder;

    #[test]
    fn bounds_are_kept_and_what_is_beyond_is_counted() {
        let dropped = |bounds: Bounds| {
            let mut detector = Detector::builder().bounds(bounds).build();
            for number in 1..=2_000_u16 {
                let client = [10, 0, (number >> 8) as u8, (number & 0xff) as u8];
                let packet = PacketBuilder::ipv4(client, [192, 0, 2, 1], 64).udp(40_000, 9);
                let mut bytes = Vec::new();
                packet.write(&mut bytes, b"nothing known").expect("a vector takes everything");
                let wire_len = u32::try_from(bytes.len()).expect("short");
                let number = u64::from(number);
                let (at, link_type) = (Timestamp(number), LinkType::RAW);
                detector.feed(&Frame { number, at, link_type, wire_len, bytes: &bytes });
            }
            let findings = detector.finish();
            assert_eq!(findings.flows, 2_000);
            findings.dropped.get("datagram_flows").copied().unwrap_or_default()
        };
        assert_eq!(dropped(Bounds::default()), 0);
        let flows = Capacities { datagrams: 32, ..Bounds::default().flows };
        let many = dropped(Bounds { flows, ..Bounds::default() });
        assert!((2_000 - 8 * 64..2_000).contains(&many), "{many}");
    }
}
