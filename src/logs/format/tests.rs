#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;
use crate::LogReader;
use crate::reader::tests::looked_at_and_in_full;
use jiff::tz::TimeZone;
use kaspector::matching::{Field, SeenAs, SignatureSet};
use proptest::prelude::*;
use std::sync::{Arc, LazyLock};

static SIGNATURES: LazyLock<Arc<SignatureSet>> = LazyLock::new(|| Arc::new(SignatureSet::builtin()));

/// 2026-11-24T03:39:09Z.
const AT: u64 = 1_795_491_549;

fn clock() -> Clock {
    Clock::from_year(TimeZone::UTC, 2026)
}

/// Host, field and observed value of each piece of evidence, how closely it was seen, and in which second.
type Line = (String, Field, String, SeenAs, u64);

fn evidence(reader: &mut LogReader) -> Vec<Line> {
    let mut all = Vec::new();
    for host in reader.finish().host_findings(&SIGNATURES) {
        for line in host.evidence {
            let second = line.first_seen.seconds();
            all.push((host.host.address.to_string(), line.field, line.observed.to_string(), line.seen_as, second));
        }
    }
    all.sort();
    all
}

fn found(format: LogFormat, lines: &[&str]) -> Vec<Line> {
    let mut reader = LogReader::new(&SIGNATURES);
    let mut parser = LineParser::new(format, clock());
    for line in lines {
        reader.line(&mut parser, line.as_bytes());
    }
    assert_eq!(reader.counters().malformed, 0, "{:?}", reader.counters());
    evidence(&mut reader)
}

fn lookup(client: &str, name: &str) -> Vec<Line> {
    vec![(client.to_owned(), Field::DnsQuery, name.to_owned(), SeenAs::Lookup, AT)]
}

const UPDATE: &str = "s07.upd.kaspersky.com";

#[test]
fn resolvers_name_who_asked() {
    use LogFormat::{Bind, Dnsmasq, Unbound, WindowsDns};
    for (format, line) in [
        (
            WindowsDns,
            "11/24/2026 3:39:09 AM 0E24 PACKET  00000000028657F0 UDP Rcv 10.0.0.5        b4f3   Q [0001   D   NOERROR] A      (3)S07(3)UPD(9)kaspersky(3)com(0)",
        ),
        (
            WindowsDns,
            "24.11.2026 03:39:09 0E24 PACKET  00000000028657F0 TCP Rcv 10.0.0.5        b4f3   Q [1001   D   NOERROR] AAAA   (3)s07(3)upd(9)kaspersky(3)com(0)",
        ),
        (
            Bind,
            "24-Nov-2026 03:39:09.282 queries: info: client @0x7f1c 10.0.0.5#55400 (s07.upd.kaspersky.com): query: s07.upd.kaspersky.com IN A +E(0)K (10.0.0.53)",
        ),
        (
            Bind,
            "24-Nov-2026 03:39:09.282 client 10.0.0.5#55400 (S07.UPD.kaspersky.com): view lan: query: S07.UPD.kaspersky.com IN AAAA + (10.0.0.53)",
        ),
        (
            Bind,
            "Nov 24 03:39:09 ns1 named[811]: client @0x7f1c 10.0.0.5#55400 (s07.upd.kaspersky.com): query: s07.upd.kaspersky.com IN HTTPS +T (10.0.0.53)",
        ),
        (
            Bind,
            "2026-11-24T03:39:09.282Z queries: info: client @0x7f1c 10.0.0.5#55400 (s07.upd.kaspersky.com): query: s07.upd.kaspersky.com IN A + (10.0.0.53)",
        ),
        (Unbound, "[1795491549] unbound[1234:0] info: 10.0.0.5 s07.upd.kaspersky.com. A IN"),
        (Unbound, "[1795491549] unbound[1234:0] info: query: 10.0.0.5 s07.upd.kaspersky.com. A IN"),
        (
            Unbound,
            "[1795491549] unbound[1234:0] info: reply: 10.0.0.5 s07.upd.kaspersky.com. A IN NOERROR 0.012345 0 128",
        ),
        (Unbound, "Nov 24 03:39:09 ns1 unbound: [1234:0] info: 10.0.0.5 s07.upd.kaspersky.com. A IN"),
        (
            Unbound,
            "2026-11-24T03:39:09.282+00:00 ns1 unbound[1234]: [1234:0] info: 10.0.0.5 s07.upd.kaspersky.com. A IN",
        ),
        (Dnsmasq, "Nov 24 03:39:09 dnsmasq[1234]: query[A] s07.upd.kaspersky.com from 10.0.0.5"),
        (Dnsmasq, "Nov 24 03:39:09 router dnsmasq[1234]: query[AAAA] s07.upd.kaspersky.com from 10.0.0.5"),
        (Dnsmasq, "Nov 24 03:39:09 dnsmasq[1234]: 12 10.0.0.5/55400 query[A] s07.upd.kaspersky.com from 10.0.0.5"),
    ] {
        assert_eq!(LogFormat::recognise(line.as_bytes()), Some(format), "{line}");
        let mut expected = lookup("10.0.0.5", UPDATE);
        if line.contains("reply: ") {
            // An answer alone says what was asked, too.
            expected[0].1 = Field::DnsAnswer;
        }
        assert_eq!(found(format, &[line]), expected, "{line}");
    }
}

#[test]
fn what_a_resolver_says_of_itself_proves_nothing() {
    use LogFormat::{Bind, Dnsmasq, Unbound, WindowsDns};
    for (format, line) in [
        (WindowsDns, "Message logging key (for packets - other items use a subset of these fields):"),
        (
            WindowsDns,
            "11/24/2026 3:39:09 AM 0E24 PACKET  00000000028657F0 UDP Snd 192.0.2.53      b4f3   Q [0001   D   NOERROR] A      (3)s07(3)upd(9)kaspersky(3)com(0)",
        ),
        (
            WindowsDns,
            "11/24/2026 3:39:09 AM 0E24 PACKET  00000000028657F0 UDP Rcv 192.0.2.53      b4f3 R Q [8081   DR  NOERROR] A      (3)s07(3)upd(9)kaspersky(3)com(0)",
        ),
        (
            Bind,
            "24-Nov-2026 03:39:09.282 resolver: info: shut down hung fetch while resolving 's07.upd.kaspersky.com/A'",
        ),
        (Unbound, "[1795491549] unbound[1234:0] info: resolving s07.upd.kaspersky.com. A IN"),
        (Unbound, "[1795491549] unbound[1234:0] notice: init module 0: validator"),
        (Dnsmasq, "Nov 24 03:39:09 dnsmasq[1234]: forwarded s07.upd.kaspersky.com to 10.0.0.1"),
        (Dnsmasq, "Nov 24 03:39:09 dnsmasq[1234]: reply s07.upd.kaspersky.com is 198.51.100.10"),
        (Dnsmasq, "Nov 24 03:39:09 dnsmasq[1234]: gravity blocked s07.upd.kaspersky.com is 0.0.0.0"),
    ] {
        assert_eq!(found(format, &[line]), [], "{line}");
    }
}

#[test]
fn a_proxy_names_who_asked_it() {
    let native = "1795491549.282    120 10.0.0.5 TCP_TUNNEL/200 5120 CONNECT s07.upd.kaspersky.com:443 - HIER_DIRECT/198.51.100.10 -";
    let combined = r#"10.0.0.5 - - [24/Nov/2026:03:39:09 +0000] "CONNECT s07.upd.kaspersky.com:443 HTTP/1.1" 200 39 "-" "-" TCP_TUNNEL:HIER_DIRECT"#;
    for line in [native, combined] {
        assert_eq!(LogFormat::recognise(line.as_bytes()), Some(LogFormat::Squid), "{line}");
        let expected = ("10.0.0.5".to_owned(), Field::HttpConnect, UPDATE.to_owned(), SeenAs::Contact, AT);
        assert_eq!(found(LogFormat::Squid, &[line]), [expected], "{line}");
    }
    let plain = "1795491549.282 120 10.0.0.5 TCP_MISS/200 5120 GET http://dnl-05.geo.kaspersky.com/index/u1313g.xml - HIER_DIRECT/198.51.100.10 text/xml";
    let fields: Vec<Field> = found(LogFormat::Squid, &[plain]).into_iter().map(|line| line.1).collect();
    assert_eq!(fields, [Field::HttpTarget, Field::HttpPath]);
}

/// The header of a log of Zeek.
fn header(path: &str, fields: &str) -> Vec<String> {
    let fields = fields.replace(' ', "\t");
    ["#separator \\x09", "#set_separator\t,", "#empty_field\t(empty)", "#unset_field\t-"]
        .into_iter()
        .map(str::to_owned)
        .chain([format!("#path\t{path}"), format!("#fields\t{fields}")])
        .collect()
}

/// What logs of one Zeek show, each of them with its header, read one behind the other.
fn zeek(logs: &[(&str, &str, &[&str])]) -> Vec<Line> {
    let mut reader = LogReader::new(&SIGNATURES);
    for (input, (path, fields, rows)) in (0..).zip(logs) {
        reader.select_input(input);
        let mut parser = LineParser::new(LogFormat::ZeekTsv, clock());
        for line in
            header(path, fields).into_iter().chain(rows.iter().map(|row| row.replace(' ', "\t").replace('~', " ")))
        {
            reader.line(&mut parser, line.as_bytes());
        }
        assert_eq!(reader.counters().malformed, 0, "{path}: {:?}", reader.counters());
    }
    evidence(&mut reader)
}

const DNS: &str =
    "ts uid id.orig_h id.orig_p id.resp_h id.resp_p proto trans_id rtt query qtype_name rcode_name RD answers TTLs";
const SSL: &str = "ts uid id.orig_h id.orig_p id.resp_h id.resp_p version server_name established cert_chain_fps";
const X509: &str = "ts fingerprint certificate.subject certificate.issuer san.dns";
const CONN: &str = "ts uid id.orig_h id.orig_p id.resp_h id.resp_p proto service duration orig_bytes resp_bytes conn_state history orig_pkts resp_pkts";

#[test]
fn logs_of_one_zeek_say_together_what_none_says_alone() {
    let dns = "1795491549.0 Cd 10.0.0.5 55400 10.0.0.53 53 udp 7 0.01 s07.upd.kaspersky.com A NOERROR T edge.cdn.example,198.51.100.10 300.0,30.0";
    let no_name = "1795491550.0 Cs 10.0.0.5 55401 198.51.100.10 443 TLSv13 - T -";
    let conn = "1795491550.0 Cs 10.0.0.5 55401 198.51.100.10 443 tcp ssl 2.5 800 5000 SF ShADadFf 8 7";
    let by_address = ("10.0.0.5".to_owned(), Field::ResolvedAddress, UPDATE.to_owned(), SeenAs::Contact, AT + 1);
    let mut both = lookup("10.0.0.5", UPDATE);
    both.push(by_address);
    both.sort();
    assert_eq!(zeek(&[("dns", DNS, &[dns]), ("ssl", SSL, &[no_name]), ("conn", CONN, &[conn])]), both);
    assert_eq!(zeek(&[("dns", DNS, &[dns])]), lookup("10.0.0.5", UPDATE));
    assert_eq!(zeek(&[("ssl", SSL, &[no_name]), ("conn", CONN, &[conn])]), []);

    // The names of a certificate stand in another log than the connection.
    let certificate = "1795491550.1 aa11 CN=p07.upd.kaspersky.com,O=Corp CN=CA p07.upd.kaspersky.com";
    let with_certificate = "1795491550.0 Ct 10.0.0.6 55402 198.51.100.11 443 TLSv12 - T aa11,bb22";
    let found = zeek(&[("x509", X509, &[certificate]), ("ssl", SSL, &[with_certificate])]);
    let of_certificate = ("10.0.0.6".to_owned(), Field::TlsCertificate, "p07.upd.kaspersky.com".to_owned());
    assert_eq!(found.iter().map(|line| (line.0.clone(), line.1, line.2.clone())).collect::<Vec<_>>(), [of_certificate]);
}

#[test]
fn each_log_of_zeek_is_read_as_text_and_as_json() {
    const COMMON: &str =
        r#""uid":"C1","id.orig_h":"10.0.0.5","id.orig_p":55400,"id.resp_h":"198.51.100.10","id.resp_p":443"#;
    let [ssl, dns, http, quic] = [
        format!(r#"{{"ts":1795491549.0,{COMMON},"version":"TLSv13","server_name":"{UPDATE}","established":true}}"#),
        format!(
            r#"{{"ts":"2026-11-24T03:39:09.000000Z",{COMMON},"proto":"udp","query":"{UPDATE}","qtype_name":"A","RD":true}}"#
        ),
        format!(
            r#"{{"_path":"http","ts":1795491549.0,{COMMON},"trans_depth":1,"method":"GET","host":"dnl-05.geo.kaspersky.com","uri":"/index/u1313g.xml","status_code":200}}"#
        ),
        format!(r#"{{"ts":1795491549.0,{COMMON},"version":"1","client_initial_dcid":"00","server_name":"{UPDATE}"}}"#),
    ];
    let fields = |line: &str| {
        assert_eq!(LogFormat::recognise(line.as_bytes()), Some(LogFormat::ZeekJson), "{line}");
        found(LogFormat::ZeekJson, &[line]).into_iter().map(|line| line.1).collect::<Vec<_>>()
    };
    assert_eq!(fields(&ssl), [Field::TlsSni]);
    assert_eq!(fields(&dns), [Field::DnsQuery]);
    assert_eq!(fields(&http), [Field::HttpHost, Field::HttpPath]);
    assert_eq!(fields(&quic), [Field::QuicSni]);
    let text = "1795491549.0 C1 10.0.0.5 55400 198.51.100.10 443 TLSv13 s07.upd.kaspersky.com T -";
    assert_eq!(zeek(&[("ssl", SSL, &[text])]), found(LogFormat::ZeekJson, &[&ssl]));
    // Of a QUIC connection ssl says the same again.
    assert_eq!(found(LogFormat::ZeekJson, &[&quic, &ssl]).len(), 1);
}

#[test]
fn a_header_that_changes_midway_is_followed() {
    let first = header("ssl", SSL);
    let second = header("ssl", "ts uid id.orig_h id.orig_p id.resp_h id.resp_p server_name version established");
    let row = [
        "1795491549.0 C1 10.0.0.5 55400 198.51.100.10 443 TLSv13 www.example T -",
        "1795491549.0 C2 10.0.0.6 55400 198.51.100.10 443 s07.upd.kaspersky.com TLSv13 T",
    ]
    .map(|row| row.replace(' ', "\t"));
    let lines: Vec<&str> = first.iter().chain([&row[0]]).chain(&second).chain([&row[1]]).map(String::as_str).collect();
    let hosts: Vec<_> = found(LogFormat::ZeekTsv, &lines).into_iter().map(|line| line.0).collect();
    assert_eq!(hosts, ["10.0.0.6"]);
}

fn samples() -> Vec<(LogFormat, String)> {
    vec![
        (LogFormat::Bind, "24-Nov-2026 03:39:09.282 queries: info: client @0x7f1c 10.0.0.5#55400 (s07.upd.kaspersky.com): query: s07.upd.kaspersky.com IN A +E(0)K (10.0.0.53)".to_owned()),
        (LogFormat::Unbound, "[1795491549] unbound[1234:0] info: 10.0.0.5 s07.upd.kaspersky.com. A IN".to_owned()),
        (LogFormat::Dnsmasq, "Nov 24 03:39:09 dnsmasq[1234]: query[A] s07.upd.kaspersky.com from 10.0.0.5".to_owned()),
        (LogFormat::Squid, "1795491549.282    120 10.0.0.5 TCP_TUNNEL/200 5120 CONNECT s07.upd.kaspersky.com:443 - HIER_DIRECT/198.51.100.10 -".to_owned()),
        (LogFormat::WindowsDns, "11/24/2026 3:39:09 AM 0E24 PACKET  00000000028657F0 UDP Rcv 10.0.0.5        b4f3   Q [0001   D   NOERROR] A      (3)s07(3)upd(9)kaspersky(3)com(0)".to_owned()),
        (LogFormat::ZeekJson, format!(r#"{{"ts":1795491549.0,"uid":"C1","id.orig_h":"10.0.0.5","id.orig_p":55400,"id.resp_h":"198.51.100.10","id.resp_p":443,"version":"TLSv13","server_name":"{UPDATE}","established":true}}"#)),
    ]
}

#[test]
fn every_prefix_of_a_line_is_read_or_counted() {
    for (format, line) in samples() {
        for end in 0..line.len() {
            let mut reader = LogReader::new(&SIGNATURES);
            reader.line(&mut LineParser::new(format, clock()), &line.as_bytes()[..end]);
            let counters = reader.counters().clone();
            let told = counters.read + counters.others + counters.malformed;
            assert_eq!(counters.lines, told, "{}", &line[..end]);
            reader.finish();
        }
    }
}

proptest! {
    /// Whatever a line holds, it is counted once, whichever format it is taken for.
    #[test]
    fn any_line_is_counted(sample in 0..samples().len(), format in prop::sample::select(LogFormat::all()), at: prop::sample::Index, bytes: Vec<u8>) {
        let mut line = samples()[sample].1.clone().into_bytes();
        let at = at.index(line.len());
        line.splice(at..at, bytes);
        let _ = LogFormat::recognise(&line);
        let mut reader = LogReader::new(&SIGNATURES);
        let mut parser = LineParser::new(format, clock());
        reader.line(&mut parser, b"#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tquery\tanswers");
        reader.line(&mut parser, b"#path\tdns");
        reader.line(&mut parser, &line);
        let counters = reader.counters().clone();
        prop_assert_eq!(counters.lines, counters.read + counters.others + counters.undirected + counters.malformed);
        reader.finish();
    }
}

/// A log of Zeek by its header, and the rows that these choices make.
fn rows(choices: &[(usize, usize, usize)]) -> Vec<String> {
    let names = [UPDATE, "www.example", "S07.UPD.Kaspersky.com", "edge.cdn.example", "\\x6baspersky.com", "-"];
    let address = ["198.51.100.10", "203.0.113.9", "77.74.181.1", "10.0.0.2", "2a03:2480::5", "2001:db8::1"];
    let conn = header("conn", CONN);
    let mut lines = Vec::new();
    for &(kind, one, other) in choices {
        let (name, server) = (names[one], address[other]);
        let at = 1_795_491_549 + one * 7 + other;
        let (fields, row) = match kind {
            0 => (
                header("dns", DNS),
                format!(
                    "{at}.0 Cd{one} 10.0.0.5 55400 10.0.0.53 53 udp 7 0.01 {name} A NOERROR T edge.cdn.example,{server} 300.0,30.0"
                ),
            ),
            1 => (
                header("ssl", SSL),
                format!("{at}.0 Cs{other} 10.0.0.5 5540{other} {server} 443 TLSv12 {name} T aa{one},bb22"),
            ),
            2 => (header("x509", X509), format!("{at}.1 aa{other} CN={name},O=Corp CN=CA {name}")),
            3 => (
                conn.clone(),
                format!("{at}.0 Cs{other} 10.0.0.5 5540{other} {server} 443 tcp ssl 2.5 800 5000 SF ShADadFf 8 7"),
            ),
            4 => (
                header(
                    "http",
                    "ts uid id.orig_h id.orig_p id.resp_h id.resp_p trans_depth method host uri user_agent status_code",
                ),
                format!(
                    "{at}.0 Ch{other} 10.0.0.5 5540{other} {server} 80 1 GET {name} /{} Mozilla/5.0 200",
                    ["", "updates/ksc/x", "%75pdates/ksc/a", "index/u1313g.xml", "a", "b"][other]
                ),
            ),
            5 => (
                header(
                    "quic",
                    "ts uid id.orig_h id.orig_p id.resp_h id.resp_p version client_initial_dcid server_name",
                ),
                format!("{at}.0 Cq{other} 10.0.0.5 5540{other} {server} 443 1 00 {name}"),
            ),
            _ => (conn.clone(), format!("{at}.0 Cd{one} 10.0.0.5 55400 10.0.0.53 53 udp dns 0.01 80 90 SF Dd 1 1")),
        };
        lines.extend(fields);
        lines.push(row.replace(' ', "\t"));
    }
    lines
}

/// The same rows as JSON.
fn objects(rows: &[String]) -> Vec<String> {
    let mut fields: Vec<String> = Vec::new();
    let mut objects = Vec::new();
    let mut path = String::new();
    for row in rows {
        let cells: Vec<&str> = row.split('\t').collect();
        match cells[0] {
            "#fields" => fields = cells[1..].iter().map(|&cell| cell.to_owned()).collect(),
            "#path" => cells[1].clone_into(&mut path),
            start if start.starts_with('#') => {}
            _ => {
                let cells = fields.iter().zip(cells).filter(|(_, cell)| *cell != "-").map(|(field, cell)| {
                    let is_list = ["answers", "TTLs", "cert_chain_fps", "san.dns"].contains(&field.as_str());
                    let is_plain = cell.parse::<f64>().is_ok() || cell == "T" || cell == "F";
                    let value = match cell {
                        "T" => "true".to_owned(),
                        "F" => "false".to_owned(),
                        cell if is_list => {
                            let all: Vec<_> = cell
                                .split(',')
                                .map(
                                    |one| {
                                        if one.parse::<f64>().is_ok() { one.to_owned() } else { format!("\"{one}\"") }
                                    },
                                )
                                .collect();
                            format!("[{}]", all.join(","))
                        }
                        cell if is_plain && field != "version" && field != "client_initial_dcid" => cell.to_owned(),
                        cell => format!("\"{}\"", cell.replace("\\x6b", "\\u006b")),
                    };
                    format!("\"{field}\":{value}")
                });
                let cells: Vec<_> = cells.collect();
                objects.push(format!("{{\"_path\":\"{path}\",{}}}", cells.join(",")));
            }
        }
    }
    objects
}

/// Lines of plain text by what these choices make of them.
fn plain_lines(format: LogFormat, choices: &[(usize, usize, usize)]) -> Vec<String> {
    let names = [UPDATE, "www.example", "S07.UPD.Kaspersky.com", "a.example", "xkaspersky.com", "kas.pr"];
    let line = |&(kind, one, other): &(usize, usize, usize)| {
        let name = names[one];
        let minute = format!("{:02}", kind * 6 + other);
        match (format, kind) {
            (LogFormat::Bind, _) => format!(
                "24-Nov-2026 03:{minute}:09.282 queries: info: client @0x7f1c 10.0.0.{other}#55400 ({name}): query: {name} IN A + (10.0.0.53)"
            ),
            (LogFormat::Unbound, 0) => format!("[17954915{minute}] unbound[1234:0] notice: init module"),
            (LogFormat::Unbound, _) => format!("[17954915{minute}] unbound[1234:0] info: 10.0.0.{other} {name}. A IN"),
            (LogFormat::Dnsmasq, 0) => format!("Nov 24 03:{minute}:09 dnsmasq[1234]: reply {name} is 198.51.100.10"),
            (LogFormat::Dnsmasq, _) => format!(
                "{} 24 03:{minute}:09 dnsmasq[1234]: query[A] {name} from 10.0.0.{other}",
                ["Dec", "Jan"][kind % 2]
            ),
            (_, 0) => format!(
                "1795491{minute}9.282 120 10.0.0.{other} TCP_TUNNEL/200 5120 CONNECT {name}:443 - HIER_DIRECT/198.51.100.10 -"
            ),
            _ => format!(
                "10.0.0.{other} - - [24/Nov/2026:03:{minute}:09 +0000] \"GET http://{name}/x HTTP/1.1\" 200 512 \"-\" \"{}\"",
                ["curl/8", "@Zm9vYmFyMTIzNDU2Nzg5MA==", "*"][kind % 3]
            ),
        }
    };
    choices.iter().map(line).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Rows of which most are passed over say what they say when each is read, as text and as JSON.
    #[test]
    fn rows_passed_over_say_the_same(choices in prop::collection::vec((0_usize..7, 0_usize..6, 0_usize..6), 1..24)) {
        let rows = rows(&choices);
        let [looked, in_full] = looked_at_and_in_full(&LineParser::new(LogFormat::ZeekTsv, clock()), &rows, &SIGNATURES);
        prop_assert_eq!(looked, in_full);
        let [looked, in_full] =
            looked_at_and_in_full(&LineParser::new(LogFormat::ZeekJson, clock()), &objects(&rows), &SIGNATURES);
        prop_assert_eq!(looked, in_full);
    }

    #[test]
    fn plain_lines_passed_over_say_the_same(
        format in prop::sample::select(vec![LogFormat::Bind, LogFormat::Unbound, LogFormat::Dnsmasq, LogFormat::Squid]),
        choices in prop::collection::vec((0_usize..6, 0_usize..6, 0_usize..6), 1..24),
    ) {
        let lines = plain_lines(format, &choices);
        let [looked, in_full] = looked_at_and_in_full(&LineParser::new(format, clock()), &lines, &SIGNATURES);
        prop_assert_eq!(looked, in_full);
    }
}
