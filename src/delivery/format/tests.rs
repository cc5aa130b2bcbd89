#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use super::{chat, ecs, ocsf, words};
use crate::{Message, Weight};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

/// One alert for each shape that there is, as sensor and scan write them; the last has a hostile name.
const ALERTS: &str = include_str!("../../../tests/data/alerts.jsonl");
/// Names, types and allowed values out of the published schemas.
const ECS_FIELDS: &str = include_str!("../../../tests/data/ecs-fields.tsv");
const OCSF_FIELDS: &str = include_str!("../../../tests/data/ocsf-fields.tsv");

fn records(encode: fn(&str, &str, &str) -> Option<String>) -> Vec<(Value, Value)> {
    let record = |line: &str| {
        let record = encode(line, "01JGFJ3R0A7Q6T2V9K8M4N5P6Q", "sensor-01").unwrap();
        assert!(!record.contains('\n'));
        (serde_json::from_str(line).unwrap(), serde_json::from_str(&record).unwrap())
    };
    ALERTS.lines().map(record).collect()
}

fn rows(table: &str) -> Vec<Vec<&str>> {
    table.lines().filter(|line| !line.starts_with('#')).map(|line| line.split('\t').collect()).collect()
}

fn each(value: &Value) -> Vec<&Value> {
    value.as_array().map_or_else(|| vec![value], |values| values.iter().collect())
}

#[test]
fn ecs_records_have_only_fields_of_the_schema_each_of_its_type() {
    let fields: BTreeMap<&str, Vec<&str>> = rows(ECS_FIELDS).into_iter().map(|row| (row[0], row)).collect();
    let mut used = BTreeSet::new();
    for (_, record) in records(ecs) {
        for required in ["@timestamp", "ecs.version", "event.kind", "event.id", "rule.id", "observer.name", "host.ip"] {
            let pointer = format!("/{}", required.replace('.', "/"));
            assert!(record.pointer(&pointer).is_some(), "{required}: {record}");
        }
        let mut left = vec![(String::new(), &record)];
        while let Some((path, value)) = left.pop() {
            let Some(field) = fields.get(path.as_str()) else {
                let inner = value.as_object().unwrap_or_else(|| panic!("{path} is not in the schema: {value}"));
                let name = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
                left.extend(inner.iter().map(|(key, value)| (name(key), value)));
                continue;
            };
            used.insert(field[0]);
            assert!(value.is_array() == (field[2] == "array"), "{path}: {value}");
            for value in each(value) {
                let text = value.as_str();
                let is_right = match field[1] {
                    "date" => text.is_some_and(|text| text.parse::<jiff::Timestamp>().is_ok()),
                    "ip" => text.is_some_and(|text| text.parse::<IpAddr>().is_ok_and(|ip| ip.to_string() == text)),
                    "keyword" | "wildcard" | "match_only_text" => text.is_some(),
                    "long" => value.is_u64(),
                    "object" => value.as_object().unwrap().values().flat_map(each).all(Value::is_string),
                    other => panic!("{other}"),
                };
                assert!(is_right, "{path} as {}: {value}", field[1]);
                let allowed = field[3];
                assert!(allowed.is_empty() || allowed.split(',').any(|word| Some(word) == text), "{path}: {value}");
            }
        }
    }
    let unused: Vec<_> = fields.keys().filter(|field| !used.contains(*field)).collect();
    assert!(unused.is_empty(), "no alert has {unused:?}");
}

/// `object attribute type is_array requirement enum`; an attribute whose type is another object is looked into.
#[test]
fn ocsf_records_have_only_attributes_of_the_schema_each_of_its_type_and_all_that_are_required() {
    let mut objects: BTreeMap<&str, BTreeMap<&str, Vec<&str>>> = BTreeMap::new();
    for row in rows(OCSF_FIELDS) {
        objects.entry(row[0]).or_default().insert(row[1], row);
    }
    let mut used = BTreeSet::new();
    for (_, record) in records(ocsf) {
        let mut left = vec![("detection_finding", &record)];
        while let Some((object, value)) = left.pop() {
            let attributes = &objects[object];
            let value = value.as_object().unwrap_or_else(|| panic!("{object}: {value}"));
            for (name, row) in attributes {
                assert!(row[4] != "required" || value.contains_key(*name), "{object} lacks {name}");
            }
            for (name, value) in value {
                let row = attributes.get(name.as_str()).unwrap_or_else(|| panic!("{object} has no {name}"));
                used.insert((object, row[1]));
                assert_eq!(value.is_array(), row[3] == "array", "{object}.{name}");
                for value in each(value) {
                    let is_right = match row[2] {
                        "integer_t" => value.as_i64().is_some_and(|number| i32::try_from(number).is_ok()),
                        "long_t" | "timestamp_t" => value.is_i64() || value.is_u64(),
                        "port_t" => value.as_u64().is_some_and(|port| port <= 65_535),
                        "boolean_t" => value.is_boolean(),
                        "string_t" | "hostname_t" => value.is_string(),
                        "ip_t" => value.as_str().is_some_and(|text| text.parse::<IpAddr>().is_ok()),
                        "object" => value.is_object(),
                        inner => {
                            left.push((inner, value));
                            true
                        }
                    };
                    assert!(is_right, "{object}.{name} as {}: {value}", row[2]);
                    let said = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    assert!(
                        row[5].is_empty() || row[5].split(',').any(|word| word == said),
                        "{object}.{name}: {value}"
                    );
                }
            }
        }
        assert_eq!(record["type_uid"].as_u64().unwrap(), 200_400 + record["activity_id"].as_u64().unwrap());
    }
    let all = objects.iter().flat_map(|(object, attributes)| attributes.keys().map(|name| (*object, *name)));
    let unused: Vec<_> = all.filter(|name| !used.contains(name)).collect();
    assert!(unused.is_empty(), "no alert has {unused:?}");
}

#[test]
fn a_host_has_one_finding_that_is_created_updated_and_closed() {
    let mut activities = BTreeMap::new();
    for (alert, record) in records(ocsf) {
        let metadata = &alert["alert"]["metadata"];
        assert_eq!(record["finding_info"]["uid"], metadata["kaspector_finding"][0]);
        assert_eq!(record["evidences"][0]["src_endpoint"]["port"], alert.get("src_port").cloned().unwrap_or_default());
        let is = |key: &str| metadata.get(key).is_some();
        let expected = match () {
            () if alert["alert"]["signature_id"] == 1_990_999 => 3,
            () if is("kaspector_count") || is("kaspector_verdict_before") || is("kaspector_silent_since") => 2,
            () => 1,
        };
        assert_eq!(record["activity_id"], expected, "{alert}");
        // The same host, as one that was known before.
        let mut known = alert.clone();
        known["alert"]["metadata"]["kaspector_known_since"] = json!(["2020-01-01T00:00:00.000000+0000"]);
        let known: Value = serde_json::from_str(&ocsf(&known.to_string(), "u", "s").unwrap()).unwrap();
        assert_eq!(known["activity_id"], expected.max(2));
        *activities.entry(expected).or_insert(0) += 1;
    }
    assert_eq!(activities.keys().copied().collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn addresses_and_times_are_as_each_schema_wants_them() {
    let line = ALERTS.lines().find(|line| line.contains("\"src_ip\":\"2001:") && line.contains("\"tls\"")).unwrap();
    let alert: Value = serde_json::from_str(line).unwrap();
    let address: IpAddr = alert["src_ip"].as_str().unwrap().parse().unwrap();
    let at = crate::time::from_eve(alert["timestamp"].as_str().unwrap()).unwrap();
    let ecs: Value = serde_json::from_str(&ecs(line, "u", "s").unwrap()).unwrap();
    assert_eq!(ecs["source"]["ip"], address.to_string());
    assert_eq!(ecs["@timestamp"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap(), at);
    assert_eq!((&ecs["event"]["id"], &ecs["observer"]["name"]), (&json!("u"), &json!("s")));
    let ocsf: Value = serde_json::from_str(&ocsf(line, "u", "s").unwrap()).unwrap();
    assert_eq!(ocsf["time"], at.as_millisecond());
    assert_eq!(ocsf["evidences"][0]["tls"]["sni"], alert["tls"]["sni"]);
    for encode in [super::ecs, super::ocsf] {
        assert_eq!(encode("no json", "u", "s"), None);
        assert_eq!(encode("[1]", "u", "s"), None);
    }
}

fn findings(count: usize) -> Vec<Arc<Message>> {
    let line = ALERTS.lines().last().unwrap();
    let message = Message { uid: "01U".into(), host: "h".into(), weight: Weight::Finding, line: line.into() };
    std::iter::repeat_n(Arc::new(message), count).collect()
}

/// All texts of a JSON value that are under such a key.
fn texts<'v>(value: &'v Value, key: &str, out: &mut Vec<&'v str>) {
    for (name, inner) in value.as_object().into_iter().flatten() {
        match inner.as_str() {
            Some(text) if name == key => out.push(text),
            _ => texts(inner, key, out),
        }
    }
    value.as_array().into_iter().flatten().for_each(|inner| texts(inner, key, out));
}

#[test]
fn slack_is_given_plain_text_within_its_bounds() {
    for (count, blocks) in [(1, 2), (20, 21), (512, 22)] {
        let body = chat::slack(&findings(count), "sensor-01");
        let message: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(message["blocks"].as_array().unwrap().len(), blocks);
        assert!(message["text"].as_str().unwrap().contains(&format!("{count} finding")));
        let mut all = Vec::new();
        texts(&message, "text", &mut all);
        assert!(all.iter().map(|text| text.chars().count()).sum::<usize>() < 40_000);
        for text in all {
            assert!(!text.contains(['<', '>', '\u{202e}', '\r']) && text.chars().count() <= 3000, "{text}");
        }
        let mut kinds = Vec::new();
        texts(&message["blocks"], "type", &mut kinds);
        assert!(!kinds.contains(&"mrkdwn"));
        assert!(body.contains("&lt;!channel&gt;"));
    }
    assert!(chat::slack(&findings(512), "s").contains("and 492 more"));
}

#[test]
fn teams_is_given_runs_of_text_within_its_bound() {
    for count in [1, 20, 512] {
        let body = chat::teams(&findings(count), "sensor-01");
        assert!(body.len() <= 28 * 1024, "{}", body.len());
        let message: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(message["type"], "message");
        let card = &message["attachments"][0]["content"];
        assert_eq!((&card["type"], &card["version"]), (&json!("AdaptiveCard"), &json!("1.4")));
        let body = card["body"].as_array().unwrap();
        let named = body.iter().filter(|block| block["inlines"][0]["weight"] == "Bolder").count() - 1;
        assert!(body.iter().all(|block| block["type"] == "RichTextBlock" && block["inlines"][0]["type"] == "TextRun"));
        let last = body.last().unwrap()["inlines"][0]["text"].as_str().unwrap();
        assert!(named == count || last.starts_with(&format!("and {} more", count - named)), "{last}");
    }
}

#[test]
fn a_mail_has_one_subject_whatever_the_wire_says_and_the_same_identifier_each_time() {
    let (from, to) = ("Sensor <s@example.net>".parse().unwrap(), ["a@example.net".parse().unwrap()]);
    for count in [1, 101, 512] {
        let (id, mail) = super::mail(&findings(count), "sensor\r\nBcc: x@example.net", &from, &to).unwrap();
        let again = super::mail(&findings(count), "sensor\r\nBcc: x@example.net", &from, &to).unwrap();
        assert_eq!((&id, &mail), (&again.0, &again.1));
        assert!(id.ends_with("@example.net>"), "{id}");
        let text = String::from_utf8(mail).unwrap();
        let (head, _) = text.split_once("\r\n\r\n").unwrap();
        assert!(!head.contains("\r\nBcc") && head.matches("Subject: ").count() == 1, "{head}");
        assert!(text.lines().all(|line| line.len() <= 998) && !text.contains("\r\nBcc"));
    }
    assert_ne!(
        super::mail(&findings(1), "s", &from, &to).unwrap().0,
        super::mail(&findings(2), "s", &from, &to).unwrap().0
    );
}

#[test]
fn a_finding_is_told_in_words() {
    let told: Vec<words::Told> = ALERTS
        .lines()
        .map(|line| words::Told::of(&Message { line: line.into(), ..Message::clone(&findings(1)[0]) }))
        .collect();
    assert!(told.iter().any(|told| told.title == "10.20.0.53: shows nothing any more"));
    assert!(told.iter().any(|told| told.title.contains("confirmed, suspected before: ")));
    assert!(told.iter().any(|told| told.title.contains("shows itself again: ")));
    for told in told {
        assert!(!told.line().contains(|c: char| c.is_control()) && !told.title.contains('\n'));
        assert!(told.facts.iter().any(|(name, _)| *name == "finding"));
    }
}
