//! Whether the sensor does what it is for, and if not, why.

use crate::status::Status;
use kaspector::capture::Timestamp;
use std::time::Duration;

/// Reasons why the sensor is not ready, in plain words; none when it captures, has signatures, and each interface gave a packet within
/// `stale_after` before `now`.
#[must_use]
pub fn unready(status: &Status, now: Timestamp, stale_after: Duration) -> Vec<String> {
    let mut reasons = Vec::new();
    if status.indicators == 0 {
        reasons.push("no signatures are loaded, so nothing can be found".to_owned());
    }
    if status.interfaces.is_empty() {
        reasons.push("no interface is open".to_owned());
    }
    for interface in &status.interfaces {
        let name = &interface.name;
        if !interface.is_up {
            reasons.push(format!("interface {name} is down"));
        }
        match interface.last_packet {
            None => reasons.push(format!("interface {name} has not shown a packet yet")),
            Some(last) => {
                let silent = Duration::from_nanos(now.since(last));
                if silent > stale_after {
                    let (silent, allowed) = (silent.as_secs(), stale_after.as_secs());
                    reasons.push(format!("interface {name} has been silent for {silent} s, more than {allowed} s"));
                }
            }
        }
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::InterfaceStatus;

    const NOW: Timestamp = Timestamp(1_000_000_000_000);

    fn reasons(interface: InterfaceStatus, indicators: usize) -> Vec<String> {
        let status = Status { indicators, interfaces: vec![interface], ..Status::default() };
        unready(&status, NOW, Duration::from_secs(120))
    }

    #[test]
    fn a_sensor_that_sees_is_ready() {
        let seen = |seconds_ago: u64| InterfaceStatus {
            name: "eth1".to_owned(),
            is_up: true,
            last_packet: Some(Timestamp(NOW.0 - seconds_ago * 1_000_000_000)),
            ..InterfaceStatus::default()
        };
        assert!(reasons(seen(120), 5).is_empty());
        assert_eq!(reasons(seen(121), 5), ["interface eth1 has been silent for 121 s, more than 120 s"]);
        assert_eq!(reasons(seen(0), 0), ["no signatures are loaded, so nothing can be found"]);
    }

    #[test]
    fn each_reason_is_given() {
        let interface = InterfaceStatus { name: "eth1".to_owned(), ..InterfaceStatus::default() };
        assert_eq!(reasons(interface, 5), ["interface eth1 is down", "interface eth1 has not shown a packet yet"]);
        assert_eq!(
            unready(&Status { indicators: 1, ..Status::default() }, NOW, Duration::ZERO),
            ["no interface is open"]
        );
    }
}
