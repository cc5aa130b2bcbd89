//! The alerting rules: Prometheus' own judge runs them against sensors in trouble, and what they ask for is what a sensor really shows.
//!
//! Needs `promtool`, and for the sensor root and `ip`; elsewhere it says so and passes. Where `CI` is set it must run.

#![cfg(all(target_os = "linux", feature = "libpcap"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "support/cable.rs"]
mod cable;
#[path = "web/http.rs"]
#[allow(dead_code)]
mod http;
#[path = "support/sensor.rs"]
#[allow(dead_code)]
mod sensor;
#[path = "losses/served.rs"]
#[allow(dead_code)]
mod server_role;

use cable::Cable;
use server_role::Served;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// What is shipped and names metrics.
const FILES: [&str; 3] =
    ["packaging/prometheus-alerts.yml", "packaging/prometheus-alerts.test.yml", "packaging/grafana.json"];

fn packaging(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("packaging").join(name)
}

/// Metrics that a text names, and the labels that it asks of each.
fn asked(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut asked = BTreeMap::<String, BTreeSet<String>>::new();
    for (at, _) in text.match_indices("kaspector_") {
        let name: String = text[at..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        let rest = &text[at + name.len()..];
        let labels = rest.strip_prefix('{').map_or("", |inside| inside.split('}').next().unwrap());
        let names = labels.split(',').filter_map(|label| label.split_once('=')).map(|(name, _)| name);
        let names = names.map(|name| name.trim_end_matches(['!', '~']).trim().to_owned());
        // Prometheus itself adds these.
        asked.entry(name).or_default().extend(names.filter(|name| name != "instance" && name != "job"));
    }
    asked
}

#[test]
fn each_rule_fires_when_it_should_and_is_silent_when_all_is_well() {
    let run = |arguments: [&str; 2], file: &str| {
        Command::new("promtool").args(arguments).arg(packaging(file)).output().map(|output| {
            let said = [output.stdout, output.stderr].concat();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
        })
    };
    if run(["check", "rules"], "prometheus-alerts.yml").is_err() {
        assert!(std::env::var_os("CI").is_none(), "this test must run here: install prometheus");
        eprintln!("skipped: promtool is missing");
        return;
    }
    run(["test", "rules"], "prometheus-alerts.test.yml").unwrap();
    let rules = fs::read_to_string(packaging("prometheus-alerts.yml")).unwrap();
    let tests = fs::read_to_string(packaging("prometheus-alerts.test.yml")).unwrap();
    let names: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(names.len() > 8, "{names:?}");
    for name in names {
        assert!(tests.contains(&format!("alertname=\"{name}\", instance")), "{name} has no test that has it fire");
    }
}

#[test]
fn what_rules_and_documents_name_is_what_a_sensor_shows() {
    let Some(cable) = Cable::lay("ar") else { return };
    let folder = tempfile::tempdir().unwrap();
    let outputs = ["eve.json", "other.json"].map(|name| format!("file:{}", folder.path().join(name).display()));
    let evidence = folder.path().join("evidence").display().to_string();
    let sensor = Served::start(&cable, &["-o", &outputs[0], "-o", &outputs[1], "--evidence", &evidence]);
    let shown = sensor.metrics();
    let mut exposed = asked(&shown);
    // What has no series yet has a description.
    for line in shown.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        exposed.entry(line.split(' ').next().unwrap().to_owned()).or_default();
    }
    for file in FILES {
        let text = fs::read_to_string(PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join(file)).unwrap();
        for (name, labels) in asked(&text) {
            let has = exposed.get(&name).unwrap_or_else(|| panic!("{file}: no sensor shows {name}"));
            assert!(labels.is_subset(has), "{file}: {name} has the labels {has:?}, not {labels:?}");
        }
    }
    let page =
        fs::read_to_string(PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("docs/operations.md"))
            .unwrap();
    let documented: BTreeSet<String> = asked(&page).into_keys().collect();
    let names: BTreeSet<String> = exposed.into_keys().collect();
    assert_eq!(names.symmetric_difference(&documented).collect::<Vec<_>>(), Vec::<&String>::new());
    sensor.end();
}
