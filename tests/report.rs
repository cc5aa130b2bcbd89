//! The report that an auditor signs, from outside: `kaspector report`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "web/browser.rs"]
#[allow(dead_code, reason = "the tests of the sensor's page ask for more")]
mod browser;
#[path = "web/http.rs"]
#[allow(dead_code, reason = "the tests of the sensor's page ask for more")]
mod http;

use browser::Browser;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const PROGRAM: &str = env!("CARGO_BIN_EXE_kaspector");

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn kaspector(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).current_dir(root()).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// What `report` prints in this form, on the day of the tests.
fn report(format: &str, arguments: &[&str]) -> Vec<u8> {
    let output = kaspector(&[&["report", "--date", "2026-12-01", "--format", format], arguments].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    output.stdout
}

fn json_of(arguments: &[&str]) -> Value {
    serde_json::from_slice(&report("json", arguments)).unwrap()
}

/// A state file with what these captures show.
fn state(folder: &Path, name: &str, captures: &[&str]) -> String {
    let path = folder.join(name).to_str().unwrap().to_owned();
    let output = kaspector(&[&["scan", "--state", &path], captures].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    path
}

#[test]
fn the_same_captures_give_the_same_bytes() {
    for (format, threads) in [("html", "1"), ("html", "5"), ("json", "1"), ("csv", "3")] {
        let once = report(format, &["pcaps/derived"]);
        assert_eq!(report(format, &["pcaps/derived", "--threads", threads]), once, "{format}");
    }
}

/// What `tests/report/check.py` finds wrong with a page; `None` where there is no Python.
fn faults(page: &Path) -> Option<String> {
    let checked = Command::new("python3").arg(root().join("tests/report/check.py")).arg(page).output();
    let Ok(checked) = checked else {
        assert!(std::env::var_os("CI").is_none(), "this test must run here: install python3");
        eprintln!("skipped: needs python3");
        return None;
    };
    assert!(checked.status.success(), "{}", text(&checked.stderr));
    Some(text(&checked.stdout))
}

#[test]
fn the_page_is_well_formed_and_asks_for_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let old = state(folder.path(), "old.state", &["pcaps/dns-then-tls.pcap"]);
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let page = folder.path().join("page.html");
    let at = page.to_str().unwrap();
    for (arguments, code, says) in [
        (vec!["pcaps", "--compare", &old, "--compare", &old], 0, vec!["known before", "Berlin", "to inventory"]),
        (vec!["--state", &old], 0, vec!["1 endpoint in the inventory show", "inventory does not hold"]),
        (vec!["pcaps/lookalikes.pcap"], 0, vec!["None among", "inconclusive", "None."]),
        (vec![empty.to_str().unwrap()], 4, vec!["no capture was found"]),
    ] {
        let site = folder.path().join("site.toml");
        fs::write(&site, "[[subnet]]\nrange = \"10.20.0.0/16\"\nname = \"Berlin\"\n").unwrap();
        let common = ["report", "--site", site.to_str().unwrap(), "--date", "2026-12-01", "--force", "-o", at];
        let output = kaspector(&[&common[..], &arguments].concat());
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", text(&output.stderr));
        if let Some(faults) = faults(&page) {
            assert_eq!(faults, "", "{arguments:?}");
        }
        let html = fs::read_to_string(&page).unwrap();
        for word in
            says.into_iter().chain(["gives evidence, not an inventory", "Signature set", "52.204-23", "2026-12-01"])
        {
            assert!(html.contains(word), "{arguments:?}: {word}");
        }
        assert!(!html.contains("://"), "{arguments:?}");
    }
}

/// The page fits windows of all widths, and its own policy forbids nothing that it needs.
#[test]
fn the_page_fits_narrow_windows_and_paper() {
    let Some(browser) = Browser::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let old = state(folder.path(), "old.state", &["pcaps/dns-then-tls.pcap"]);
    let page = folder.path().join("page.html");
    fs::write(&page, report("html", &["pcaps/derived", "--compare", &old, "--compare", &old])).unwrap();
    browser.open(&format!("file://{}", page.display()));
    for scheme in ["light", "dark"] {
        for width in [320, 375, 1280] {
            browser.look(width, 900, scheme);
            let overflow =
                browser.run("const all = document.documentElement; return all.scrollWidth - all.clientWidth");
            assert!(overflow.as_i64().unwrap() <= 0, "{overflow} pixels at {width}");
            browser.picture(&format!("report-{width}-{scheme}"));
        }
    }
    let background = "return getComputedStyle(document.body).backgroundColor";
    assert_ne!(browser.run(background), "rgb(255, 255, 255)", "the style of the page holds, and is dark");
    browser.print(700);
    assert_eq!(browser.run(background), "rgb(255, 255, 255)", "paper is white");
    assert_eq!(browser.console(), Vec::<Value>::new());
}

/// A capture in which a machine calls itself so, and then does what `dns-then-tls.pcap` shows.
fn named_so(name: &[u8], path: &Path) {
    let capture = fs::read(root().join("pcaps/dns-then-tls.pcap")).unwrap();
    let (header, packets) = capture.split_at(24);
    let mac = [0x1a, 0x52, 0x6c, 0xee, 0x93, 0x90];
    let mut dhcp = vec![1, 1, 6, 0, 1, 2, 3, 4, 0, 0, 0, 0];
    dhcp.resize(28, 0);
    dhcp.extend_from_slice(&mac);
    dhcp.resize(236, 0);
    dhcp.extend_from_slice(&[0x63, 0x82, 0x53, 0x63, 53, 1, 3, 12, u8::try_from(name.len()).unwrap()]);
    dhcp.extend_from_slice(name);
    dhcp.push(255);
    let length = |extra: usize| u16::try_from(dhcp.len() + extra).unwrap().to_be_bytes();
    let mut frame = [&[0xff; 6][..], &mac, &[8, 0, 0x45, 0], &length(28), &[0, 0, 0, 0, 64, 17, 0, 0]].concat();
    frame.extend_from_slice(&[0, 0, 0, 0, 255, 255, 255, 255, 0, 68, 0, 67]);
    frame.extend_from_slice(&length(8));
    frame.extend_from_slice(&[0, 0]);
    frame.extend_from_slice(&dhcp);
    let captured = u32::try_from(frame.len()).unwrap().to_le_bytes();
    // At the time of the first packet of the capture.
    let record = [&packets[..8], &captured, &captured, &frame].concat();
    fs::write(path, [header, &record, packets].concat()).unwrap();
}

#[test]
fn hostile_names_stay_text() {
    let folder = tempfile::tempdir().unwrap();
    let (capture, site) = (folder.path().join("hostile.pcap"), folder.path().join("site.toml"));
    let hostile = "<script>alert(1)</script>\u{1b}[2J\u{202e}cod.exe&\"'";
    let long = "=cmd|' /C calc'!A0".to_owned() + &"a".repeat(237);
    for name in [hostile, &long] {
        named_so(name.as_bytes(), &capture);
        let escaped = "<img src=x onerror=alert(1)>\\u202E";
        let toml = format!(
            "[report]\norganisation = \"{escaped}\"\n[[machine]]\naddress = \"10.20.0.5\"\nname = \"{escaped}\"\n\
             [[exception]]\naddress = \"10.20.0.5\"\nreason = \"=1+1 {escaped}\"\nuntil = 2030-01-01\n"
        );
        fs::write(&site, toml).unwrap();
        let arguments = [capture.to_str().unwrap(), "--site", site.to_str().unwrap()];
        let finding = json_of(&arguments)["findings"][0].clone();
        assert_eq!(finding["endpoint"]["hostname"], name, "JSON has it as it was sent");
        assert_eq!(finding["endpoint"]["first_name_source"], "dhcp");
        let page = folder.path().join("page.html");
        fs::write(&page, report("html", &arguments)).unwrap();
        if let Some(faults) = faults(&page) {
            assert_eq!(faults, "");
        }
        let html = fs::read_to_string(&page).unwrap();
        assert!(!html.contains("<script") && !html.contains("<img"), "{html}");
        assert!(html.contains("&#60;script&#62;") || name == long);
        let csv = report("csv", &arguments);
        assert!(!csv.contains(&0x1b) && !text(&csv).contains('\u{202e}'));
        let mut rows = csv::Reader::from_reader(csv.as_slice());
        for row in rows.records() {
            for cell in &row.unwrap() {
                assert!(!cell.starts_with(['=', '+', '-', '@']), "{cell}");
            }
        }
    }
}

#[test]
fn what_people_say_stands_in_the_report_and_moves_no_verdict() {
    let folder = tempfile::tempdir().unwrap();
    let capture = "pcaps/dns-then-tls.pcap";
    let plain = json_of(&[capture]);
    let id = plain["findings"][0]["finding_id"].as_str().unwrap();
    let site = folder.path().join("site.toml");
    let toml = format!(
        "[report]\norganisation = \"Ministry\"\nremoval_planned = \"2027-01-31\"\n\
         [[finding]]\nid = \"{id}\"\nstate = \"removed\"\nnote = \"reinstalled\"\n"
    );
    fs::write(&site, toml).unwrap();
    let with = json_of(&[capture, "--site", site.to_str().unwrap()]);
    let finding = &with["findings"][0];
    assert_eq!((&finding["state"], &finding["note"]), (&json!("removed"), &json!("reinstalled")));
    assert_eq!(finding["verdict"], plain["findings"][0]["verdict"]);
    assert_eq!(with["organisation"], json!({"organisation": "Ministry", "removal_planned": "2027-01-31"}));
    let page = text(&report("html", &[capture, "--site", site.to_str().unwrap()]));
    assert!(page.contains("<bdi>Ministry</bdi>. Report of") && page.contains("<td><bdi>2027-01-31</bdi></td>"));
    assert!(page.contains("to be filled in by hand"));
    for (wrong, says) in [
        (
            "[report]\norganization = \"x\"\n",
            "site.toml:2: unknown key \"organization\" of [report]; did you mean organisation?",
        ),
        ("[[finding]]\nid = \"f-1\"\nstate = \"gone\"\n", "is no state of a finding"),
        ("report = 1\n", "is one table"),
    ] {
        fs::write(&site, wrong).unwrap();
        let output = kaspector(&["report", capture, "--format", "json", "--site", site.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains(says), "{}", text(&output.stderr));
    }
}

#[test]
fn the_verdict_of_the_whole_is_that_of_the_scan() {
    for capture in ["pcaps/dns-then-tls.pcap", "pcaps/lookalikes.pcap"] {
        let scanned: Value = serde_json::from_slice(&kaspector(&["scan", capture, "--format", "json"]).stdout).unwrap();
        let report = json_of(&[capture]);
        assert_eq!(report["verdict"], scanned["verdict"]);
        assert_eq!(report["coverage"], scanned["coverage"]);
        assert_eq!(report["missing"], scanned["coverage"]["missing"]);
    }
}

#[test]
fn numbers_add_up() {
    let scanned: Value = serde_json::from_slice(&kaspector(&["scan", "pcaps", "--format", "json"]).stdout).unwrap();
    let report = json_of(&["pcaps"]);
    assert_eq!(report["schema"], "kaspector.report/1");
    assert_eq!((&report["schema_version"], &report["generated_at"]), (&json!(1), &json!("2026-12-01")));
    let hosts = scanned["hosts"].as_array().unwrap();
    let figures = &report["figures"];
    let count = |verdict: &str| hosts.iter().filter(|host| host["verdict"] == verdict).count();
    let expected = json!({
        "endpoints": hosts.len(),
        "confirmed": count("confirmed"),
        "suspected": count("suspected"),
        "browsing": count("browsing"),
    });
    assert_eq!(figures["endpoints"], expected);
    let findings = report["findings"].as_array().unwrap();
    assert_eq!(figures["findings"], findings.len());
    let of_products: u64 =
        figures["products"].as_array().unwrap().iter().map(|row| row["endpoints"].as_u64().unwrap()).sum();
    assert_eq!(of_products, findings.len() as u64);
    let of_subnets: u64 =
        figures["by_subnet"].as_array().unwrap().iter().map(|row| row["endpoints"].as_u64().unwrap()).sum();
    assert_eq!(of_subnets, hosts.len() as u64);
    let new: u64 = figures["over_time"].as_array().unwrap().iter().map(|row| row["first_seen"].as_u64().unwrap()).sum();
    assert_eq!(new, hosts.len() as u64);
    let closest: u64 = figures["by_closeness"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
    assert_eq!(closest, hosts.len() as u64);
    // The denominator is the machines of the scan, and what was not examined is told apart.
    for class in ["seen", "judged", "one_sided", "unnamed", "silent"] {
        assert_eq!(report["machines"][class], scanned["machines"][class], "{class}");
    }
    let packets = &report["packets"];
    assert_eq!(packets["seen"], scanned["counters"]["packets"]);
    let why: u64 = packets["why"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
    assert_eq!(packets["not_examined"], why);
    assert_eq!(packets["examined"].as_u64().unwrap() + why, packets["seen"].as_u64().unwrap());
    // Findings are hosts by products: each host has at least one, and its own verdict is the strongest of them.
    let strength =
        |verdict: &Value| ["confirmed", "suspected", "browsing"].iter().position(|one| verdict == one).unwrap();
    for host in hosts {
        let key = |value: &Value| [&value["vlan"], &value["inner_vlan"], &value["vni"]].map(Clone::clone);
        let of_host: Vec<&Value> = findings
            .iter()
            .filter(|one| one["endpoint"]["ip"] == host["address"] && key(&one["endpoint"]) == key(host))
            .collect();
        let strongest = of_host.iter().map(|one| strength(&one["verdict"])).min();
        assert_eq!(strongest, Some(strength(&host["verdict"])), "{host}");
        let named: BTreeSet<&str> = of_host
            .iter()
            .flat_map(|one| one["products"].as_array().unwrap())
            .map(|product| product.as_str().unwrap())
            .collect();
        let of_scan = [&host["products"], &host["engine_in"]].into_iter().flat_map(|list| list.as_array().unwrap());
        assert_eq!(named, of_scan.map(|product| product.as_str().unwrap()).collect(), "{host}");
        let of_evidence = |line: &Value| (line["observed"].to_string(), line["field"].to_string());
        let seen: BTreeSet<_> =
            of_host.iter().flat_map(|one| one["evidence"].as_array().unwrap().iter().map(of_evidence)).collect();
        let all: BTreeSet<_> = host["evidence"].as_array().unwrap().iter().map(of_evidence).collect();
        let left_out: u64 = of_host.iter().map(|one| one["evidence_left_out"].as_u64().unwrap()).sum();
        assert!(seen.is_subset(&all) && (seen == all || left_out > 0), "{host}");
    }
    let ids: BTreeSet<&str> = findings.iter().map(|one| one["finding_id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), findings.len());
}

#[test]
fn a_finding_leads_to_the_packet() {
    let capture = "pcaps/dns-then-tls.pcap";
    let report = json_of(&[capture]);
    let findings = report["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 1);
    let finding = &findings[0];
    assert_eq!(finding["verdict"], "confirmed");
    assert_eq!((&finding["embedding"], &finding["product_basis"]), (&json!("vendor-product"), &json!("one-of")));
    assert_eq!((&finding["reached"], &finding["state"]), (&json!("data-exchanged"), &json!("open")));
    assert_eq!(
        (&finding["contacts"], &finding["times_seen"], &finding["days_seen"]),
        (&json!(1), &json!(3), &json!(1))
    );
    let sum = Command::new("sha256sum").arg(root().join(capture)).output().unwrap().stdout;
    let sum = text(&sum).split(' ').next().unwrap().to_owned();
    assert_eq!(report["inputs"][0]["sha256"], sum);
    let eve = kaspector(&["scan", capture, "--eve", "-"]).stdout;
    let alerts: Vec<Value> = text(&eve).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let lines = finding["evidence"].as_array().unwrap();
    assert_eq!(lines.len(), 2);
    for line in lines {
        assert_eq!((&line["file"], &line["sha256_of_pcap"]), (&json!(capture), &json!(sum)));
        let uid = [line["uid"].clone()];
        let alert = alerts.iter().find(|alert| alert["alert"]["metadata"]["kaspector_uid"] == json!(uid)).unwrap();
        assert_eq!(alert["pcap_cnt"], line["packet_number"]);
        assert_eq!(alert["community_id"], line["community_id"]);
        let id = finding["finding_id"].as_str().unwrap();
        assert_eq!(alert["alert"]["metadata"]["kaspector_finding"][0], id[..14]);
    }
    let scope = |id: &str| {
        let regimes = finding["regimes"].as_array().unwrap();
        regimes.iter().find(|regime| regime["id"] == id).unwrap()["in_scope"].as_str().unwrap()
    };
    assert_eq!((scope("us-bod-17-01"), scope("us-far-52.204-23"), scope("ca-mobile-2023")), ("yes", "yes", "no"));
}

#[test]
fn an_inventory_gives_the_findings_of_its_captures() {
    let folder = tempfile::tempdir().unwrap();
    let captures = ["pcaps/dns-then-tls.pcap", "pcaps/browsing-www.pcap", "pcaps/resolver-both-sides.pcap"];
    let state = state(folder.path(), "hosts.state", &captures);
    let mut of_state = json_of(&["--state", &state]);
    let mut of_captures = json_of(&captures);
    for line in [&mut of_state, &mut of_captures]
        .into_iter()
        .flat_map(|report| report["findings"].as_array_mut().unwrap())
        .inspect(|finding| assert_eq!(finding["finding_id"].as_str().unwrap().len(), 21))
        .flat_map(|finding| finding["evidence"].as_array_mut().unwrap())
    {
        // What an inventory does not hold.
        for key in ["community_id", "sha256_of_pcap", "uid"] {
            line.as_object_mut().unwrap().remove(key);
        }
    }
    for finding in of_captures["findings"].as_array_mut().unwrap() {
        for (key, nothing) in [("names", json!([])), ("hostname", json!(null)), ("first_name_source", json!(null))] {
            finding["endpoint"][key] = nothing;
        }
    }
    assert_eq!(of_state["findings"], of_captures["findings"]);
    assert_eq!(of_state["figures"]["products"], of_captures["figures"]["products"]);
    for unknown in ["packets", "machines", "changes"] {
        assert_eq!(of_state[unknown], json!(null), "{unknown}");
    }
    assert_eq!(of_state["sources"].as_array().unwrap().len(), 3);
}

#[test]
fn a_comparison_says_who_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let old = state(folder.path(), "old.state", &["pcaps/dns-then-tls.pcap"]);
    let new = state(folder.path(), "new.state", &["pcaps/resolver-both-sides.pcap", "pcaps/dns-then-tls.pcap"]);
    let diff: Value =
        serde_json::from_slice(&kaspector(&["hosts", "diff", &old, &new, "--format", "json"]).stdout).unwrap();
    let report = json_of(&["--state", &new, "--compare", &old]);
    for change in ["appeared", "silent", "risen", "changed", "unchanged"] {
        assert_eq!(report["changes"][change], diff["counts"][change], "{change}");
    }
    assert_eq!(report["changes"]["endpoints"].as_array().unwrap().len(), diff["hosts"].as_array().unwrap().len());
    let of_captures = json_of(&["pcaps/dns-then-tls.pcap", "--compare", &old]);
    assert_eq!(of_captures["changes"]["silent"], 1);
    assert_eq!(of_captures["changes"]["has_later_evidence"], false);
}

#[test]
fn several_inventories_show_whether_there_are_fewer() {
    let folder = tempfile::tempdir().unwrap();
    let first = state(folder.path(), "first.state", &["pcaps/dns-then-tls.pcap"]);
    let second = state(folder.path(), "second.state", &["pcaps/resolver-both-sides.pcap", "pcaps/dns-then-tls.pcap"]);
    let third = state(folder.path(), "third.state", &["pcaps"]);
    let all = ["--state", &third, "--compare", &first, "--compare", &second];
    let report = json_of(&all);
    let trend = report["trend"].as_array().unwrap();
    let inventories: Vec<&str> = trend.iter().map(|stage| stage["inventory"].as_str().unwrap()).collect();
    assert_eq!(inventories, [&first, &second, &third]);
    assert_eq!(
        (&trend[0]["heard"], &trend[0]["appeared"], &trend[0]["silent"]),
        (&1.into(), &Value::Null, &Value::Null)
    );
    for (stage, before) in [(1, &first), (2, &second)] {
        let alone = json_of(&["--state", [&second, &third][stage - 1], "--compare", before]);
        for change in ["appeared", "silent"] {
            assert_eq!(trend[stage][change], alone["changes"][change], "{change} in {stage}");
        }
        let number = |key: &str| trend[stage][key].as_u64().unwrap();
        let kept = trend[stage - 1]["endpoints"].as_u64().unwrap() - number("silent");
        assert_eq!(number("heard"), kept + number("appeared"));
        assert_eq!(number("endpoints"), number("confirmed") + number("suspected") + number("browsing"));
    }
    // The changes are those from the latest.
    assert_eq!(report["changes"]["compared_with"], second);
    assert_eq!(report["figures"]["endpoints"]["endpoints"], trend[2]["endpoints"]);
    assert_eq!(json_of(&["--state", &third])["trend"], serde_json::json!([]));
    let page = text(&self::report("html", &all));
    assert!(page.contains("Endpoints from inventory to inventory"));
    let swapped = ["--state", &third, "--compare", &second, "--compare", &first];
    let output = kaspector(&[&["report", "--format", "json"], &swapped[..]].concat());
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("name the earlier inventory first"), "{}", text(&output.stderr));
}

#[test]
fn csv_and_json_agree() {
    let (rows, report) = (report("csv", &["pcaps"]), json_of(&["pcaps"]));
    let mut reader = csv::Reader::from_reader(rows.as_slice());
    let columns = reader.headers().unwrap().clone();
    let rows: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>().unwrap();
    let findings = report["findings"].as_array().unwrap();
    assert_eq!(rows.len(), findings.len());
    for (row, finding) in rows.iter().zip(findings) {
        let cell = |name: &str| &row[columns.iter().position(|column| column == name).unwrap()];
        for key in ["finding_id", "verdict", "strength", "reached", "first_seen", "last_seen", "embedding", "state"] {
            assert_eq!(cell(key), finding[key].as_str().unwrap(), "{key}");
        }
        for key in ["confidence", "contacts", "bytes_out", "days_seen"] {
            assert_eq!(cell(key), finding[key].to_string(), "{key}");
        }
        assert_eq!(cell("address"), finding["endpoint"]["ip"].as_str().unwrap());
        assert_eq!(cell("product"), finding["product"].as_str().unwrap());
        for (number, column) in (0..).zip(columns.iter().filter(|name| name.contains("_20") || name.contains("_17"))) {
            assert_eq!(cell(column), finding["regimes"][number as usize]["in_scope"].as_str().unwrap(), "{column}");
        }
        let evidence = &finding["evidence"][0];
        assert_eq!(cell("indicator_id"), evidence["indicator_id"].as_str().unwrap());
        assert_eq!(cell("packet_number"), evidence["packet_number"].to_string());
    }
}

#[test]
fn what_is_wrong_is_said_before_anything_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let capture = at("a.pcap");
    fs::copy(root().join("pcaps/dns-then-tls.pcap"), &capture).unwrap();
    let foreign = at("notes.json");
    fs::write(&foreign, "{}\n").unwrap();
    let state = state(folder.path(), "hosts.state", &[&capture]);
    let missing = at("missing.state");
    for (arguments, says) in [
        (vec!["report"], "required"),
        (vec!["report", &capture], "no form"),
        (vec!["report", &capture, "-o", "report.txt"], "the name says no form"),
        (vec!["report", &capture, "--state", &state, "--format", "json"], "cannot be used"),
        (vec!["report", "--state", &missing, "--format", "json"], "missing.state"),
        (vec!["report", &capture, "--compare", &missing, "--format", "json"], "missing.state"),
        (vec!["report", &capture, "--date", "tomorrow", "--format", "json"], "no date"),
        (vec!["report", &capture, "--format", "json", "-o", &capture], "this is an input"),
        (vec!["report", &capture, "--format", "json", "-o", &foreign], "holds something else"),
        (vec!["report", "--state", &state, "--format", "json", "-o", &state], "inventory"),
        (vec!["report", &capture, "--compare", &state, "--format", "json", "-o", &state], "inventory"),
    ] {
        let output = kaspector(&arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", text(&output.stderr));
        assert!(text(&output.stderr).contains(says), "{arguments:?}: {}", text(&output.stderr));
        assert!(output.stdout.is_empty());
    }
    let own = at("own.json");
    for _ in 0..2 {
        let output = kaspector(&["report", &capture, "-o", &own]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    }
    let report: Value = serde_json::from_slice(&fs::read(&own).unwrap()).unwrap();
    assert_eq!(report["findings"].as_array().unwrap().len(), 1);
    let forced = kaspector(&["report", &capture, "-o", &foreign, "--force"]);
    assert_eq!(forced.status.code(), Some(0), "{}", text(&forced.stderr));
}

#[test]
fn an_unreadable_input_is_part_of_the_report() {
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("broken.pcap");
    fs::write(&broken, "no capture").unwrap();
    let broken = broken.to_str().unwrap();
    let output = kaspector(&["report", "--date", "2026-12-01", "--format", "json", broken, "pcaps/dns-then-tls.pcap"]);
    assert_eq!(output.status.code(), Some(4), "{}", text(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&report["inputs"][0]["status"], &report["inputs"][1]["status"]),
        (&json!("unreadable"), &json!("read"))
    );
    assert_eq!(report["findings"][0]["evidence"][0]["file"], "pcaps/dns-then-tls.pcap");
    assert!(report["findings"][0]["evidence"][0]["community_id"].is_string());
}
