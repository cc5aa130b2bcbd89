#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;
use crate::samples;
use kaspector::decode::Zone;
use kaspector::matching::{HostFinding, Verdict};

const WHOLE: &str = r#"
[[subnet]]
range = "10.0.0.0/8"
name = "Everything"
owner = "IT"

[[subnet]]
range = "10.20.0.0/16"
name = "Berlin"

[[machine]]
address = "10.20.0.5"
name = "File server"
owner = "Storage team"

[[machine]]
mac = "46-7E-3F-AF-25-32"
name = "Laptop 7"

[[machine]]
hostname = "Kiosk"
name = "Kiosk in the hall"

[[resolver]]
address = "10.20.0.53"

[[nat]]
address = "10.20.0.53"
name = "Branch router"

[[proxy]]
address = "10.30.0.0/24"

[[exception]]
address = "10.20.0.0/24"
reason = "Laboratory"
until = 2026-11-23

[[exception]]
address = "10.20.0.5"
reason = "Being replaced"
until = "2026-11-22"

[[exception]]
mac = "02:00:00:00:00:01"
reason = "Exhibit"
until = 2027-01-31
"#;

fn site() -> Site {
    Site::from_toml(WHOLE, "site.toml").unwrap()
}

fn finding(address: &str) -> HostFinding {
    samples::host(address, Zone::default(), Verdict::Confirmed, 95, Vec::new())
}

fn faults(text: &str) -> Vec<String> {
    Site::from_toml(text, "s.toml").unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn the_most_specific_subnet_wins() {
    let site = site();
    let name = |address: &str| site.subnet(address.parse().unwrap()).map(|subnet| subnet.name.as_str());
    assert_eq!(name("10.20.7.1"), Some("Berlin"));
    assert_eq!(name("10.21.0.1"), Some("Everything"));
    assert_eq!((name("192.168.0.1"), name("fd00::1")), (None, None));
    let reversed: Vec<&str> = WHOLE.split("\n\n").collect();
    let reversed = reversed.into_iter().rev().collect::<Vec<_>>().join("\n\n");
    let other = Site::from_toml(&reversed, "s").unwrap();
    assert_eq!(other.subnet("10.20.7.1".parse().unwrap()).unwrap().name, "Berlin", "whatever the order");
}

#[test]
fn a_machine_is_known_by_its_link_layer_address_its_address_or_its_name() {
    let site = site();
    let name = |finding: &HostFinding, names: &[&str]| {
        site.of_finding(finding, names.iter().copied()).machine.map(|machine| machine.name.clone())
    };
    let mut host = finding("10.20.0.5");
    assert_eq!(name(&host, &[]).as_deref(), Some("File server"));
    host.mac = Some("46:7e:3f:af:25:32".parse().unwrap());
    assert_eq!(name(&host, &["kiosk"]).as_deref(), Some("Laptop 7"));
    let host = finding("10.20.0.9");
    assert_eq!(name(&host, &["KIOSK.corp.example"]).as_deref(), Some("Kiosk in the hall"));
    assert_eq!(name(&host, &["kiosk2", "my.kiosk"]), None);
}

#[test]
fn an_exception_ends() {
    let site = site();
    // Its last evidence is of 2026-11-23.
    let excepted = |finding: &HostFinding| {
        site.of_finding(finding, []).exception.map(|(exception, holds)| (exception.reason.clone(), holds))
    };
    assert_eq!(excepted(&finding("10.20.0.7")), Some(("Laboratory".to_owned(), true)), "on its last day");
    assert_eq!(excepted(&finding("10.20.0.5")), Some(("Being replaced".to_owned(), false)), "a day later");
    let mut host = finding("10.20.0.7");
    host.last_seen = Timestamp(host.last_seen.0 + 86_400_000_000_000);
    assert_eq!(excepted(&host), Some(("Laboratory".to_owned(), false)));
    host.mac = Some("02:00:00:00:00:01".parse().unwrap());
    assert_eq!(excepted(&host), Some(("Exhibit".to_owned(), true)), "the machine's own comes first");
    assert_eq!(excepted(&finding("10.30.0.7")), None);
    let host = finding("10.20.0.5");
    let entry = site.of_finding(&host, []);
    assert!(!entry.is_excepted());
    assert_eq!(entry.exception_line().unwrap(), "the exception ended on 2026-11-22: Being replaced");
}

#[test]
fn addresses_of_many_say_so() {
    let site = site();
    let line = |address: &str| site.of_finding(&finding(address), []).shared_line();
    let both = "one address, possibly many endpoints: the site file says that it is a resolver and an address that \
        others are translated to, Branch router";
    assert_eq!(line("10.20.0.53").unwrap(), both);
    assert!(line("10.30.0.200").unwrap().ends_with("it is a proxy"));
    assert_eq!(line("10.20.0.54"), None);
}

#[test]
fn all_that_is_wrong_is_said_with_its_line() {
    let said = faults(
        "[[subnett]]\nname = 'x'\n[[subnet]]\nrange = '10.0.0.7/8'\nname = ''\n[[subnet]]\nnmae = 'x'\n\
        [[machine]]\nname = 'a'\n[[machine]]\naddress = '10.0.0.0/24'\nmac = 'x'\nname = 7\n[[machine]]\nmac = '1:2'\n\
        name = 'b'\n[[exception]]\naddress = '10.0.0.1'\n[[exception]]\nhostname = 'x'\nreason = 'y'\nuntil = 7\n",
    );
    let expected = [
        "s.toml:1: unknown key \"subnett\"; did you mean [[subnet]]? there are [[subnet]], [[machine]], [[resolver]], \
         [[proxy]], [[nat]], [[exception]], [[finding]]",
        "s.toml:4: \"10.0.0.7/8\" does not begin where this range begins; write 10.0.0.0/8",
        "s.toml:5: name is empty; write something, or leave it out",
        "s.toml:6: this [[subnet]] has no name",
        "s.toml:6: this [[subnet]] has no range",
        "s.toml:7: unknown key \"nmae\" of [[subnet]]; did you mean name? there are range, name, owner",
        "s.toml:8: this [[machine]] does not say whom it means; it needs one of address, mac, hostname",
        "s.toml:12: mac is one too many; name whom it means by one of address, mac, hostname, and write another [[machine]]",
        "s.toml:13: name is no text; write it between quotation marks",
        "s.toml:15: \"1:2\" is no link-layer address such as 46:7e:3f:af:25:32",
        "s.toml:17: an exception ends: it needs the last day on which it holds, such as until = 2027-03-31",
        "s.toml:17: this [[exception]] has no reason",
        "s.toml:19: this [[exception]] does not say whom it means; it needs one of address, mac",
        "s.toml:20: an exception holds for an address, a range or a mac: a hostname is what a machine says of itself",
        "s.toml:22: no date; expected the last day on which it holds, such as until = 2027-03-31",
    ];
    assert_eq!(said, expected);
}

#[test]
fn of_two_that_mean_the_same_both_lines_are_said() {
    let said = faults(
        "[[subnet]]\nrange = '10.0.0.0/8'\nname = 'a'\n[[subnet]]\nname = 'b'\nrange = '10.0.0.0/8'\n\
        [[machine]]\nmac = '02:00:00:00:00:01'\nname = 'a'\n[[machine]]\nmac = '02-00-00-00-00-01'\nname = 'b'\n\
        [[machine]]\nhostname = 'A'\nname = 'a'\n[[machine]]\nhostname = 'a.'\nname = 'b'\n",
    );
    assert_eq!(
        said,
        [
            "s.toml:6: 10.0.0.0/8 is given twice, first in line 2; keep one of them",
            "s.toml:11: 02-00-00-00-00-01 is given twice, first in line 8; keep one of them",
            "s.toml:17: a. is given twice, first in line 14; keep one of them",
        ]
    );
    assert!(Site::from_toml("[[subnet]]\nrange='10.0.0.0/8'\nname='a'\n[[nat]]\naddress='10.0.0.0/8'", "s").is_ok());
}

#[test]
fn every_prefix_of_a_file_is_taken_or_refused_with_a_line() {
    for end in 0..=WHOLE.len() {
        let Err(found) = Site::from_toml(&WHOLE[..end], "s.toml") else { continue };
        assert!(!found.is_empty() && found.iter().all(|fault| fault.line >= 1 && fault.line <= 60), "{found:?}");
        assert!(found.is_sorted());
    }
    let texts = [format!("[[subnet]]\nrange='10.0.0.0/8'\nname='{}'", "x".repeat(256)), "=\n[[subnet]]".to_owned()];
    assert!(faults(&texts[0])[0].contains("at most 255"));
    assert!(faults(&texts[1])[0].starts_with("s.toml:1: not TOML: "));
    assert!(faults("subnet = 7")[0].contains("begin each one with [[subnet]]"));
}

#[test]
fn an_empty_file_says_nothing_of_anybody() {
    let site = Site::from_toml("# nothing yet\n", "s").unwrap();
    assert!(site.is_empty() && site.of_finding(&finding("10.0.0.1"), []).is_empty());
}

#[test]
fn a_file_that_cannot_be_read_says_so() {
    let error = Site::from_file(std::path::Path::new("/nonexistent/site.toml")).unwrap_err().to_string();
    assert!(error.starts_with("/nonexistent/site.toml: cannot be read: "), "{error}");
}

/// The report of the samples, on a site whose people write whatever they like.
fn report() -> crate::ScanReport {
    let text = "[[subnet]]\nrange = '10.20.0.0/24'\nname = \"=1+1\\u001b[2J\"\nowner = '<b>IT</b>'\n\
        [[machine]]\naddress = '10.20.0.5'\nname = \"@file\\u202e server\"\n\
        [[exception]]\naddress = '10.20.0.5'\nreason = \"+cmd|'/C calc'!A0\\u001b[0m\"\nuntil = 2026-12-31\n\
        [[resolver]]\naddress = '10.20.0.53'\nname = \"-dns\\u0007\"\n";
    let mut report = samples::report();
    report.set_site(std::sync::Arc::new(Site::from_toml(text, "s").unwrap()));
    report
}

#[test]
fn whatever_the_site_file_says_stays_text() {
    let (report, signatures) = (report(), kaspector::matching::SignatureSet::builtin());
    let (mut table, mut csv, mut json) = (Vec::new(), Vec::new(), Vec::new());
    crate::write_table(&mut table, &report, &signatures, crate::TableStyle::default()).unwrap();
    crate::write_csv(&mut csv, &report, &signatures).unwrap();
    crate::write_json(&mut json, &report, &signatures).unwrap();
    let [table, csv] = [table, csv].map(|text| String::from_utf8(text).unwrap());
    for line in [
        "  @file\\u{202e} server, in =1+1\\u{1b}[2J (<b>IT</b>)\n",
        "  excepted until 2026-12-31: +cmd|'/C calc'!A0\\u{1b}[0m\n",
        "Excepted by the site file: 1 host.\n",
    ] {
        assert!(table.contains(line), "{table}");
    }
    assert!(table.contains("10.20.0.5  confirmed"), "an excepted host is shown: {table}");
    assert!(
        csv.contains(",'@file\\u{202e} server,,'=1+1\\u{1b}[2J,<b>IT</b>,'+cmd|'/C calc'!A0\\u{1b}[0m,2026-12-31,"),
        "{csv}"
    );
    assert!(!table.contains(['\u{1b}', '\u{7}', '\u{202e}']) && !csv.contains(['\u{1b}', '\u{7}', '\u{202e}']));
    let answer: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(
        answer["hosts"][0]["site"],
        serde_json::json!({
            "machine": {"name": "@file\u{202e} server", "owner": null},
            "subnet": {"range": "10.20.0.0/24", "name": "=1+1\u{1b}[2J", "owner": "<b>IT</b>"},
            "exception": {"reason": "+cmd|'/C calc'!A0\u{1b}[0m", "until": "2026-12-31", "holds": true},
        })
    );
    let notes = answer["hosts"][1]["notes"].as_array().unwrap();
    assert!(notes[1].as_str().unwrap().ends_with("that it is a resolver, -dns\u{7}"), "{notes:?}");
}

#[test]
fn without_a_site_file_no_host_says_anything_of_it() {
    let mut json = Vec::new();
    crate::write_json(&mut json, &samples::report(), &kaspector::matching::SignatureSet::builtin()).unwrap();
    assert!(!String::from_utf8(json).unwrap().contains("\"site\""));
}
