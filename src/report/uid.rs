//! Names for alerts and flows that two runs over the same capture agree on.

use kaspector::capture::Timestamp;
use kaspector::decode::FiveTuple;
use kaspector::flow::FlowKey;
use kaspector::matching::{Alert, EvidenceLine, Field, FlowSummary, HostKey, Role};
use sha2::{Digest, Sha256};
use std::net::IpAddr;
use ulid::Ulid;

/// The ULID of an alert: its time in milliseconds, then 80 bits that follow from the input, the packet and what matched there.
///
/// Field and host are part of it, because one packet can show the same indicator in two places or of two hosts, and a receiver
/// that drops copies by this identifier must not drop those.
#[must_use]
pub fn alert_uid(alert: &Alert, indicator: &str, digest: &[u8; 32]) -> Ulid {
    uid(alert.at, alert.packet, alert.field, alert.host_is_server, indicator, digest)
}

/// The ULID of the alert that began a line of evidence.
#[must_use]
pub fn evidence_uid(line: &EvidenceLine, indicator: &str, digest: &[u8; 32]) -> Ulid {
    uid(line.first_seen, line.example.packet, line.field, line.role == Role::Server, indicator, digest)
}

fn uid(at: Timestamp, packet: u64, field: Field, host_is_server: bool, indicator: &str, digest: &[u8; 32]) -> Ulid {
    let mut hash = Sha256::new();
    hash.update(digest);
    hash.update(packet.to_be_bytes());
    hash.update(indicator.as_bytes());
    hash.update([0]);
    hash.update(field.name().as_bytes());
    hash.update([0, u8::from(host_is_server)]);
    let [high, low] = first_words(hash);
    let Timestamp(nanoseconds) = at;
    // from_parts takes the lower 80 bits.
    Ulid::from_parts(nanoseconds / 1_000_000, u128::from(high) << 64 | u128::from(low))
}

/// The ULID of the record that a host has been silent since then: its own time in milliseconds, then 80 bits that follow from the run, the
/// host and its last evidence.
pub(super) fn silence_uid(host: &HostKey, silent_since: Timestamp, at: Timestamp, run: &[u8; 32]) -> Ulid {
    let mut hash = Sha256::new();
    hash.update(run);
    update_host(&mut hash, host);
    hash.update(silent_since.0.to_be_bytes());
    let [high, low] = first_words(hash);
    Ulid::from_parts(at.0 / 1_000_000, u128::from(high) << 64 | u128::from(low))
}

/// A number from 1 to 2^51-1, as Suricata has them: the same for both directions and for all alerts of a flow.
pub(super) fn flow_id(flow: &FlowSummary) -> u64 {
    let tuple = FiveTuple {
        src: flow.client,
        dst: flow.server,
        src_port: flow.client_port,
        dst_port: flow.server_port,
        protocol: flow.protocol,
    };
    // Through the key, because who is the client may become known only after the first alert.
    let (key, _) = FlowKey::of(&tuple, &flow.zone);
    let (tuple, zone) = key.endpoints();
    let mut hash = Sha256::new();
    update_host(&mut hash, &HostKey { address: tuple.src, zone });
    update_host(&mut hash, &HostKey { address: tuple.dst, zone });
    hash.update(tuple.src_port.to_be_bytes());
    hash.update(tuple.dst_port.to_be_bytes());
    hash.update([tuple.protocol]);
    hash.update(flow.started.0.to_be_bytes());
    let [number, _] = first_words(hash);
    (number & FLOW_ID_MAX).max(1)
}

/// The finding that an alert belongs to: one per host, whichever input shows it.
pub(super) fn finding_id(host: &HostKey) -> String {
    let mut hash = Sha256::new();
    update_host(&mut hash, host);
    let [number, _] = first_words(hash);
    format!("f-{:012x}", number >> 16)
}

fn update_host(hash: &mut Sha256, host: &HostKey) {
    match host.address {
        IpAddr::V4(address) => hash.update(address.octets()),
        IpAddr::V6(address) => hash.update(address.octets()),
    }
    // Tags are 12 bits and network identifiers 24, so all ones stands for "none".
    hash.update(host.zone.vlan.unwrap_or(u16::MAX).to_be_bytes());
    hash.update(host.zone.inner_vlan.unwrap_or(u16::MAX).to_be_bytes());
    hash.update(host.zone.vni.unwrap_or(u32::MAX).to_be_bytes());
}

fn first_words(hash: Sha256) -> [u64; 2] {
    let bytes: [u8; 32] = hash.finalize().into();
    let words = u128::from_be_bytes(*bytes.first_chunk().expect("32 bytes begin with 16"));
    #[allow(clippy::cast_possible_truncation)]
    let low = words as u64;
    [(words >> 64) as u64, low]
}

const FLOW_ID_MAX: u64 = (1 << 51) - 1;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::samples;
    use kaspector::decode::Zone;
    use kaspector::matching::Field;

    #[test]
    fn the_same_packet_and_indicator_give_the_same_uid_and_anything_else_another() {
        let alert = samples::tls();
        let uid = alert_uid(&alert, "KL-UPD-0001", &[7; 32]);
        assert_eq!(alert_uid(&alert, "KL-UPD-0001", &[7; 32]), uid);
        assert_eq!(uid.timestamp_ms(), alert.at.0 / 1_000_000);
        assert_ne!(alert_uid(&alert, "KL-UPD-0002", &[7; 32]), uid);
        assert_ne!(alert_uid(&alert, "KL-UPD-0001", &[8; 32]), uid);
        for change in [
            (|alert| alert.packet += 1) as fn(&mut Alert),
            |alert| alert.field = Field::TlsCertificate,
            |alert| alert.host_is_server = true,
        ] {
            let mut other = samples::tls();
            change(&mut other);
            assert_ne!(alert_uid(&other, "KL-UPD-0001", &[7; 32]), uid);
        }
    }

    #[test]
    fn flow_ids_fit_and_do_not_depend_on_who_is_taken_for_the_client() {
        let flow = samples::tls().flow;
        let id = flow_id(&flow);
        assert!((1..1 << 51).contains(&id));
        let mut turned = flow;
        (turned.client, turned.client_port) = (flow.server, flow.server_port);
        (turned.server, turned.server_port) = (flow.client, flow.client_port);
        assert_eq!(flow_id(&turned), id);
        let mut later = flow;
        later.started.0 += 1;
        assert_ne!(flow_id(&later), id);
        let mut elsewhere = flow;
        elsewhere.zone.vlan = Some(1);
        assert_ne!(flow_id(&elsewhere), id);
    }

    #[test]
    fn a_finding_is_a_host_in_its_tenant() {
        let host = HostKey { address: "10.20.0.5".parse().unwrap(), zone: Zone::default() };
        let elsewhere = HostKey { zone: Zone { vni: Some(1), ..Zone::default() }, ..host };
        assert_eq!(finding_id(&host), finding_id(&host));
        assert_ne!(finding_id(&host), finding_id(&elsewhere));
        assert_eq!(finding_id(&host).len(), 14);
    }
}
