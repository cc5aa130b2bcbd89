#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;
use crate::flows::QUERIES_MAX;
use kaspector::matching::{ConnectionOutcome, Field, Role, SeenAs, Verdict};
use proptest::prelude::*;
use std::sync::LazyLock;

static SIGNATURES: LazyLock<Arc<SignatureSet>> = LazyLock::new(|| Arc::new(SignatureSet::builtin()));

const UPDATE: &str = "s07.upd.kaspersky.com";

/// A record of the flow with this number: what kind, in which second, from where to where, and what else it has.
fn record(kind: &str, flow_id: u64, second: u32, [src, dst]: [&str; 2], proto: &str, rest: &str) -> String {
    let [(src_ip, src_port), (dest_ip, dest_port)] = [src, dst].map(|end| end.rsplit_once(':').unwrap());
    format!(
        r#"{{"timestamp":"2026-11-24T03:39:{second:02}.000000+0000","flow_id":{flow_id},"in_iface":"lab0","event_type":"{kind}","src_ip":"{src_ip}","src_port":{src_port},"dest_ip":"{dest_ip}","dest_port":{dest_port},"proto":"{proto}","community_id":"1:x={flow_id}",{rest}}}"#
    )
}

const CLIENT: &str = "10.0.0.5:50000";
const RESOLVER: &str = "10.0.0.53:53";
const SERVER: &str = "198.51.100.10:443";

fn dns(second: u32, rest: &str) -> String {
    record("dns", 1, second, [CLIENT, RESOLVER], "UDP", &format!(r#""dns":{{{rest}}}"#))
}

fn tls(flow_id: u64, second: u32, rest: &str) -> String {
    record("tls", flow_id, second, ["10.0.0.5:50001", SERVER], "TCP", &format!(r#""tls":{{{rest}}}"#))
}

fn http(rest: &str) -> String {
    record("http", 3, 5, ["10.0.0.5:50002", "10.0.0.9:80"], "TCP", &format!(r#""tx_id":0,"http":{{{rest}}}"#))
}

fn over(flow_id: u64, second: u32, ends: [&str; 2], flags: [&str; 2], app_proto: &str) -> String {
    let [ts, tc] = flags;
    let rest = format!(
        r#""app_proto":"{app_proto}","flow":{{"pkts_toserver":8,"pkts_toclient":7,"bytes_toserver":1264,"bytes_toclient":2205,"start":"2026-11-24T03:39:04.500000+0000"}},"tcp":{{"tcp_flags":"1f","tcp_flags_ts":"{ts}","tcp_flags_tc":"{tc}"}}"#
    );
    record("flow", flow_id, second, ends, "TCP", &rest)
}

fn read(lines: &[String]) -> LogReader {
    let mut reader = LogReader::new(&SIGNATURES);
    for line in lines {
        reader.line(&mut LineParser::eve(), line.as_bytes());
    }
    assert_eq!(reader.counters().malformed, 0, "{:?}", reader.counters());
    reader
}

/// Field, observed value and outcome.
type Line = (Field, String, ConnectionOutcome);
/// Address, verdict, role and evidence.
type Host = (String, Verdict, Role, Vec<Line>);

fn found(lines: &[String]) -> Vec<Host> {
    let hosts = read(lines).finish().host_findings(&SIGNATURES);
    let of = |host: &kaspector::matching::HostFinding| {
        let mut lines: Vec<_> =
            host.evidence.iter().map(|line| (line.field, line.observed.to_string(), line.connection_outcome)).collect();
        lines.sort();
        (host.host.address.to_string(), host.verdict, host.role, lines)
    };
    hosts.iter().map(of).collect()
}

fn endpoint(verdict: Verdict, evidence: &[(Field, &str, ConnectionOutcome)]) -> Vec<Host> {
    let mut evidence: Vec<_> =
        evidence.iter().map(|&(field, text, outcome)| (field, text.to_owned(), outcome)).collect();
    evidence.sort();
    vec![("10.0.0.5".to_owned(), verdict, Role::Endpoint, evidence)]
}

use ConnectionOutcome::{Attempted, DataExchanged, Established, Refused};

fn query2(id: u16) -> String {
    format!(r#""version":2,"type":"query","id":{id},"rrname":"{UPDATE}","rrtype":"A","tx_id":0,"opcode":0"#)
}

fn answer2(id: u16, flags: &str, rd: &str) -> String {
    format!(
        r#""version":2,"type":"answer","id":{id},"flags":"{flags}","qr":true,{rd}"rrname":"{UPDATE}","rrtype":"A","rcode":"NOERROR","answers":[{{"rrname":"{UPDATE}","rrtype":"CNAME","ttl":300,"rdata":"edge.cdn.example"}},{{"rrname":"edge.cdn.example","rrtype":"A","ttl":30,"rdata":"198.51.100.10"}}],"grouped":{{"A":["198.51.100.10"]}}"#
    )
}

#[test]
fn a_lookup_of_each_version_leads_to_its_address() {
    let no_name = r#""version":"TLS 1.3","ja3":{"hash":"0149f47eabf9a20d0893e2a44e5a6323","string":"771,4866,0,29,0"}"#;
    let versions = [
        [
            r#""version":1,"type":"query","id":7,"rrname":"s07.upd.kaspersky.com","rrtype":"A","tx_id":0"#.to_owned(),
            r#""version":1,"type":"answer","id":7,"rcode":"NOERROR","rrname":"s07.upd.kaspersky.com","rrtype":"A","ttl":30,"rdata":"198.51.100.10""#.to_owned(),
        ],
        [query2(7), answer2(7, "8180", r#""rd":true,"#)],
        [
            query2(7),
            r#""version":2,"type":"answer","id":7,"flags":"8180","rrname":"s07.upd.kaspersky.com","rrtype":"A","rcode":"NOERROR","grouped":{"A":["198.51.100.10"],"CNAME":["edge.cdn.example"]}"#.to_owned(),
        ],
        [
            r#""version":3,"type":"request","tx_id":0,"id":7,"flags":"100","rd":true,"opcode":0,"rcode":"NOERROR","queries":[{"rrname":"S07.UPD.kaspersky.com","rrtype":"A"}]"#.to_owned(),
            r#""version":3,"type":"response","tx_id":1,"id":7,"flags":"8180","rd":true,"opcode":0,"rcode":"NOERROR","queries":[{"rrname":"s07.upd.kaspersky.com","rrtype":"A"}],"answers":[{"rrname":"s07.upd.kaspersky.com","rrtype":"A","ttl":300,"rdata":"198.51.100.10"}]"#.to_owned(),
        ],
    ];
    for [query, answer] in versions {
        let mut answer_line = dns(2, &answer);
        if answer.contains("response") {
            answer_line = record("dns", 1, 2, [RESOLVER, CLIENT], "UDP", &format!(r#""dns":{{{answer}}}"#));
        }
        let lines = [
            dns(1, &query),
            answer_line,
            tls(2, 3, no_name),
            over(2, 5, ["10.0.0.5:50001", SERVER], ["1b", "1b"], "tls"),
        ];
        let expected = endpoint(
            Verdict::Confirmed,
            &[(Field::DnsQuery, UPDATE, DataExchanged), (Field::ResolvedAddress, UPDATE, DataExchanged)],
        );
        assert_eq!(found(&lines), expected, "{query}");
        // The lookup alone.
        assert_eq!(found(&lines[..2])[0].1, Verdict::Suspected);
        assert_eq!(found(&lines[1..2])[0].3, [(Field::DnsAnswer, UPDATE.to_owned(), DataExchanged)], "{answer}");
    }
}

#[test]
fn an_answer_says_whether_its_query_was_a_resolvers() {
    let role = |answer: &str| found(&[dns(1, &query2(7)), dns(2, answer)])[0].2;
    assert_eq!(role(&answer2(7, "8400", "")), Role::Relay);
    assert_eq!(role(&answer2(7, "8180", r#""rd":true,"#)), Role::Endpoint);
    // Without an answer it counts when its flow is over.
    let mut reader = read(&[dns(1, &query2(7)), dns(2, &answer2(8, "8400", ""))]);
    assert!(reader.take_alerts().iter().all(|alert| alert.alert.field != Field::DnsQuery));
    assert_eq!(found(&[dns(1, &query2(7))]), endpoint(Verdict::Suspected, &[(Field::DnsQuery, UPDATE, Attempted)]));
    let failed = r#""version":2,"type":"answer","id":7,"flags":"8183","rd":true,"rrname":"s07.upd.kaspersky.com","rrtype":"A","rcode":"NXDOMAIN""#;
    assert_eq!(
        found(&[dns(1, &query2(7)), dns(2, failed)]),
        endpoint(Verdict::Suspected, &[(Field::DnsQuery, UPDATE, Refused)])
    );
}

#[test]
fn a_hello_is_a_contact_that_came_as_far_as_the_log_shows() {
    let named = r#""sni":"s07.upd.kaspersky.com","version":"TLS 1.3""#;
    let expected = |outcome| endpoint(Verdict::Confirmed, &[(Field::TlsSni, UPDATE, outcome)]);
    assert_eq!(found(&[tls(2, 1, named)]), expected(DataExchanged));
    let unanswered = r#""sni":"S07.UPD.KASPERSKY.COM","version":"UNDETERMINED""#;
    assert_eq!(found(&[tls(2, 1, unanswered)]), expected(Established));
    let reset = over(2, 2, ["10.0.0.5:50001", SERVER], ["1a", "16"], "tls");
    assert_eq!(found(&[tls(2, 1, unanswered), reset]), expected(Refused));
    let alert = over(2, 2, ["10.0.0.5:50001", SERVER], ["1b", "1b"], "tls");
    assert_eq!(found(&[tls(2, 1, unanswered), alert]), expected(Established), "what the server pushed may be an alert");
    assert_eq!(found(&[tls(2, 1, r#""sni":"www.example","version":"TLS 1.3""#)]), []);
}

#[test]
fn fingerprints_are_hints() {
    let ja3 = SIGNATURES_JA3.as_str();
    let line = tls(2, 1, &format!(r#""sni":"www.example","version":"TLS 1.2","ja3":{{"hash":"{ja3}","string":""}}"#));
    let mut reader = read(&[line]);
    let alerts = reader.take_alerts();
    assert_eq!(
        alerts.iter().map(|one| (one.alert.field, one.alert.seen_as)).collect::<Vec<_>>(),
        [(Field::Ja3, SeenAs::Hint)]
    );
}

static SIGNATURES_JA3: LazyLock<String> = LazyLock::new(|| {
    let all =
        (0..u32::try_from(SIGNATURES.len()).unwrap()).map(|at| SIGNATURES.get(kaspector::matching::IndicatorIndex(at)));
    all.filter(|one| one.kind == kaspector::matching::MatchKind::Ja3).map(|one| one.value.clone()).next().unwrap()
});

#[test]
fn a_certificate_whose_other_names_are_not_logged_is_a_hint() {
    let subject =
        r#""version":"TLS 1.2","subject":"O=Laboratory, CN=s07.upd.kaspersky.com","issuerdn":"C=US, O=Some CA""#;
    let with = |names: &str| found(&[tls(2, 1, &format!(r#"{subject},"subjectaltname":[{names}]"#))]);
    assert_eq!(found(&[tls(2, 1, subject)])[0].1, Verdict::Suspected);
    assert_eq!(with(r#""s07.upd.kaspersky.com","s05.upd.kaspersky.com""#)[0].1, Verdict::Confirmed);
    assert_eq!(with(r#""s07.upd.kaspersky.com","shop.example""#), [], "a content network's");
    // Made by a product on the machine itself.
    let root = r#""version":"TLS 1.2","subject":"CN=shop.example","issuerdn":"O=AO Kaspersky Lab, CN=Kaspersky Anti-Virus Personal Root Certificate""#;
    assert_eq!(found(&[tls(2, 1, root)])[0].1, Verdict::Confirmed);
}

#[test]
fn quic_is_read_from_the_clients_hello_alone() {
    let quic = |ends, rest: &str| record("quic", 4, 1, ends, "UDP", &format!(r#""quic":{{{rest}}}"#));
    let lines = [
        quic(["10.0.0.5:50003", SERVER], r#""version":"1""#),
        quic(
            ["10.0.0.5:50003", SERVER],
            r#""version":"1","sni":"ksn-url-geo.kaspersky-labs.com","ja3":{"hash":"3ba2a4bcb84a8dbb86feef0042e75f83","string":""}"#,
        ),
        quic([SERVER, "10.0.0.5:50003"], r#""version":"1""#),
        record(
            "flow",
            4,
            9,
            ["10.0.0.5:50003", SERVER],
            "UDP",
            r#""app_proto":"quic","flow":{"pkts_toserver":3,"pkts_toclient":2,"bytes_toserver":3000,"bytes_toclient":2000}"#,
        ),
    ];
    let expected = [(Field::QuicSni, "ksn-url-geo.kaspersky-labs.com", DataExchanged)];
    assert_eq!(found(&lines), endpoint(Verdict::Confirmed, &expected));
    assert_eq!(read(&lines).counters().read, 4);
}

#[test]
fn a_request_is_read_as_the_client_sent_it() {
    let index = r#""url":"/index/u1313g.xml","http_user_agent":"x","http_method":"GET","protocol":"HTTP/1.1""#;
    let fields = |rest: &str| {
        let hosts = found(&[http(rest)]);
        hosts
            .into_iter()
            .map(|(address, _, role, lines)| {
                (address, role, lines.into_iter().map(|(field, ..)| field).collect::<Vec<_>>())
            })
            .collect::<Vec<_>>()
    };
    let client = |fields: &[Field]| ("10.0.0.5".to_owned(), Role::Endpoint, fields.to_vec());
    assert_eq!(fields(&format!(r#""hostname":"10.0.0.9",{index}"#)), [client(&[Field::HttpPath])]);
    assert_eq!(
        fields(&format!(r#""hostname":"dnl-05.geo.kaspersky.com",{index},"status":200"#)),
        [client(&[Field::HttpHost, Field::HttpPath])]
    );
    // Whoever hands the index out is a mirror, unless it hands out a page whatever is asked.
    let answered = |of_type: &str| {
        fields(&format!(r#""hostname":"10.0.0.9",{index},"status":200,"http_content_type":"{of_type}""#))
    };
    assert_eq!(
        answered("text/xml"),
        [client(&[Field::HttpPath]), ("10.0.0.9".to_owned(), Role::Server, vec![Field::HttpPath])]
    );
    assert_eq!(answered("text/html;charset=UTF-8"), [client(&[Field::HttpPath])]);
    // Asked of a proxy.
    let absolute =
        r#""hostname":"dnl-05.geo.kaspersky.com","url":"http://dnl-05.geo.kaspersky.com/","http_method":"GET""#;
    assert_eq!(fields(absolute), [client(&[Field::HttpTarget])]);
    let connect = r#""hostname":"s07.upd.kaspersky.com","http_port":443,"url":"s07.upd.kaspersky.com:443","http_method":"CONNECT""#;
    assert_eq!(fields(connect), [client(&[Field::HttpConnect])]);
    // Passed on for somebody else.
    let passed = format!(r#""hostname":"dnl-05.geo.kaspersky.com","xff":"10.0.0.77",{index}"#);
    assert_eq!(found(&[http(&passed)])[0].2, Role::Relay);
    // Text of a record cannot add a field.
    let split = r#""hostname":"www.example","url":"/x HTTP/1.1\r\nHost: dnl-05.geo.kaspersky.com","http_method":"GET""#;
    assert_eq!(fields(split), []);
    // Where header fields are logged, they are read.
    let engine = r#""hostname":"10.0.0.9","url":"/api/v3.0/scanmemory","http_method":"POST","status":200,"http_content_type":"application/json","request_headers":[{"name":"x-kav-protocolversion","value":"1"}]"#;
    assert_eq!(fields(engine), [("10.0.0.9".to_owned(), Role::Server, vec![Field::HttpPath, Field::HttpHeader])]);
}

#[test]
fn an_ftp_client_works_in_a_folder() {
    let ftp = |command: &str, data: &str| {
        let rest = format!(r#""ftp":{{"command":"{command}","command_data":"{data}","completion_code":["250"]}}"#);
        record("ftp", 5, 1, ["10.0.0.5:50004", "10.0.0.9:21"], "TCP", &rest)
    };
    let lines = [ftp("USER", "anonymous"), ftp("CWD", "index"), ftp("RETR", "u1313g.xml")];
    let hosts = found(&lines);
    assert_eq!(hosts[0].3, [(Field::FtpPath, "/index/u1313g.xml".to_owned(), DataExchanged)]);
    assert_eq!(hosts[1].2, Role::Server);
    assert_eq!(found(&lines[..2]), []);
}

/// An alert of any rule on a packet of the flow shows what its transaction record shows, too.
#[test]
fn a_fact_counts_once_for_alert_and_record() {
    let alert = |ends, flow_id, proto, rest: &str| {
        record("alert", flow_id, 1, ends, proto, &format!(r#""alert":{{"signature_id":1,"signature":"x"}},{rest}"#))
    };
    let named = r#""sni":"s07.upd.kaspersky.com","version":"TLS 1.3""#;
    let of_tls = format!(r#""direction":"to_server","tls":{{{named}}}"#);
    let of_tls = alert(["10.0.0.5:50001", SERVER], 2, "TCP", &of_tls);
    let back = format!(r#""direction":"to_client","tls":{{{named}}}"#);
    let back = alert([SERVER, "10.0.0.5:50001"], 2, "TCP", &back);
    let of_dns = alert(
        [CLIENT, RESOLVER],
        1,
        "UDP",
        &format!(
            r#""direction":"to_server","dns":{{"query":[{{"type":"query","id":7,"rrname":"{UPDATE}","rrtype":"A","tx_id":0,"opcode":0}}]}}"#
        ),
    );
    let sightings = |lines: &[String]| {
        let hosts = read(lines).finish().host_findings(&SIGNATURES);
        hosts.iter().flat_map(|host| &host.evidence).map(|line| line.count).sum::<u64>()
    };
    for lines in
        [vec![of_tls.clone(), tls(2, 2, named)], vec![tls(2, 1, named), back.clone()], vec![back], vec![of_tls]]
    {
        assert_eq!(sightings(&lines), 1, "{lines:?}");
    }
    assert_eq!(sightings(&[of_dns.clone(), dns(2, &query2(7)), dns(3, &answer2(7, "8180", r#""rd":true,"#))]), 1);
    assert_eq!(sightings(&[dns(2, &query2(7)), of_dns, dns(3, &answer2(7, "8180", r#""rd":true,"#))]), 1);
    // Suricata 6 does not say which way the packet went.
    let undirected = alert(["10.0.0.5:50001", SERVER], 2, "TCP", &format!(r#""tls":{{{named}}}"#));
    assert_eq!(read(&[undirected]).counters().undirected, 1);
}

#[test]
fn management_flows_count_in_the_order_in_which_they_began() {
    let flow = |flow_id, second, ends, proto, start: u32, rest: &str| {
        let rest = format!(
            r#""flow":{{"pkts_toserver":3,"pkts_toclient":2,"bytes_toserver":300,"bytes_toclient":200,"start":"2026-11-24T03:39:{start:02}.000000+0000"}}{rest}"#
        );
        record("flow", flow_id, second, ends, proto, &rest)
    };
    let tcp = r#","tcp":{"tcp_flags_ts":"1b","tcp_flags_tc":"1b"}"#;
    // The connection is over, and logged, long before the datagram's flow.
    let lines = [
        flow(8, 20, ["10.0.0.5:50006", "10.0.0.2:13000"], "TCP", 12, tcp),
        flow(7, 50, ["10.0.0.2:40000", "10.0.0.5:15000"], "UDP", 10, ""),
    ];
    let hosts = found(&lines);
    assert_eq!(
        hosts.iter().map(|host| (host.0.as_str(), host.1)).collect::<Vec<_>>(),
        [("10.0.0.2", Verdict::Confirmed), ("10.0.0.5", Verdict::Confirmed)]
    );
    assert!(hosts.iter().all(|host| host.3.iter().any(|line| line.0 == Field::WakeUp)));
    // Time passes: what was held is told.
    let mut reader = read(&lines);
    assert!(reader.take_alerts().is_empty());
    reader.line(&mut LineParser::eve(), br#"{"timestamp":"2026-11-24T03:59:00.000000+0000","event_type":"flow","src_ip":"10.0.0.6","src_port":1,"dest_ip":"10.0.0.7","dest_port":2,"proto":"UDP","flow":{}}"#);
    assert!(!reader.take_alerts().is_empty());
}

#[test]
fn alerts_have_the_engines_names_for_their_flow() {
    let mut reader = read(&[tls(2, 1, r#""sni":"s07.upd.kaspersky.com","version":"TLS 1.3""#)]);
    let alerts = reader.take_alerts();
    assert_eq!(alerts[0].flow, FlowName { first_line: 1, flow_id: Some(2), community_id: Some("1:x=2".into()) });
    assert_eq!((alerts[0].alert.packet, alerts[0].alert.at.0 % 60_000_000_000), (1, 1_000_000_000));
    assert!(reader.take_alerts().is_empty());
    let findings = reader.finish();
    assert_eq!((findings.flows, findings.hosts.len()), (1, 1));
    assert!(reader.finish().hosts.is_empty(), "as new");
}

#[test]
fn an_engine_that_begins_anew_may_use_a_number_again() {
    let other = record(
        "tls",
        2,
        5,
        ["10.0.0.6:50001", SERVER],
        "TCP",
        r#""tls":{"sni":"s05.upd.kaspersky.com","version":"TLS 1.3"}"#,
    );
    let lines = [tls(2, 1, r#""sni":"s07.upd.kaspersky.com","version":"TLS 1.3""#), other];
    assert_eq!(found(&lines).len(), 2);
}

#[test]
fn tenants_are_kept_apart() {
    let mut line = tls(2, 1, r#""sni":"s07.upd.kaspersky.com","version":"TLS 1.3""#);
    line.insert_str(1, r#""vlan":[0,30,40],"#);
    let hosts = read(&[line]).finish().host_findings(&SIGNATURES);
    assert_eq!((hosts[0].host.zone.vlan, hosts[0].host.zone.inner_vlan), (Some(30), Some(40)));
}

#[test]
fn what_cannot_be_read_is_counted_with_the_first_reason() {
    let good = tls(2, 1, r#""sni":"s07.upd.kaspersky.com","version":"TLS 1.3""#);
    let why = |line: &[u8]| {
        let mut reader = LogReader::new(&SIGNATURES);
        reader.line(&mut LineParser::eve(), b"\r\n");
        reader.line(&mut LineParser::eve(), good.as_bytes());
        reader.line(&mut LineParser::eve(), line);
        assert_eq!((reader.counters().lines, reader.counters().read, reader.counters().malformed), (2, 1, 1));
        let (number, why) = reader.counters().first_malformed.clone().unwrap();
        assert_eq!(number, 3);
        why
    };
    assert!(matches!(why(b"no json"), Malformed::Json(_)));
    assert!(matches!(why(b"{\"event_type\":\"dns\",\"src_ip\":\"\xff\"}"), Malformed::Json(_)));
    assert!(matches!(why("[".repeat(2000).as_bytes()), Malformed::Json(_)));
    assert!(matches!(
        why(format!(r#"{{"event_type":"dns","x":{}"#, "[".repeat(60_000)).as_bytes()),
        Malformed::Json(_)
    ));
    assert_eq!(why(" x".repeat(LINE_MAX).as_bytes()), Malformed::Overlong);
    assert_eq!(why(good.replace("2026-11", "2026-13").as_bytes()), Malformed::Time);
    assert_eq!(why(good.replace("10.0.0.5", "10.0.0.555").as_bytes()), Malformed::Addresses);
    let mut reader = read(&[r#"{"event_type":"stats","stats":{}}"#.to_owned(), good.replace("TCP", "ICMP")]);
    assert_eq!((reader.counters().others, reader.counters().read), (2, 0));
    assert!(reader.finish().hosts.is_empty());
}

/// Lines in which nothing matters are passed over, and everything that may matter is read.
#[test]
fn a_first_look_passes_over_what_cannot_matter() {
    let mut reader = LogReader::new(&SIGNATURES);
    let (mut skimmer, mut skim) = (Skimmer::new(&LineParser::eve(), &SIGNATURES), Skim::default());
    let mut passes = |line: &str| {
        skimmer.skim(line.as_bytes(), &mut skim);
        let is_watched = skim.keys.iter().any(|&key| reader.watch.may_hold(key));
        reader.line(&mut LineParser::eve(), line.as_bytes());
        skim.lines[0].what != What::Read && !is_watched
    };
    let https = ["10.0.0.5:50001", SERVER];
    let other = r#""sni":"www.example","version":"TLS 1.2","subject":"CN=www.example","issuerdn":"O=CA","ja3":{"hash":"0149f47eabf9a20d0893e2a44e5a6323","string":"x"}"#;
    let mut tagged = tls(2, 1, other).replace(r#","src_ip""#, r#","vlan":[30],"src_ip""#);
    assert!(passes(&tagged));
    tagged.insert(1, ' ');
    assert!(!passes(&tagged), "not as Suricata writes it");
    assert!(passes(&tls(3, 1, other)) && passes(&over(3, 5, https, ["1b", "1b"], "tls")));
    for matters in [
        other.replace("www.example\",\"version", "S07.UPD.kaspersky.com\",\"version"),
        other.replace("CN=www.example", "CN=s07.upd.kaspersky.com, O=x"),
        other.replace("O=CA", "O=AO Kaspersky Lab"),
        other.replace("www.example", "www.\\u0065xample"),
        other.replace("0149f47eabf9a20d0893e2a44e5a6323", &SIGNATURES_JA3),
    ] {
        assert!(!passes(&tls(4, 1, &matters)), "{matters}");
    }
    assert!(!passes(&tls(4, 2, other)), "its flow gave evidence");
    assert!(!passes(&over(5, 5, ["10.0.0.5:50001", "10.0.0.2:13000"], ["1b", "1b"], "tls")), "a port of interest");
    let page = r#""hostname":"www.example","url":"/index.html?a=1","http_user_agent":"Mozilla/5.0","http_method":"GET","protocol":"HTTP/1.1","status":200,"http_content_type":"text/html","length":512"#;
    assert!(passes(&http(page)));
    for matters in [
        page.replace("www.example", "dnl-05.geo.kaspersky.com"),
        page.replace("/index.html?a=1", "/index/u1313g.xml"),
        page.replace("/index.html?a=1", "http://www.example/"),
        page.replace("/index.html?a=1", "/a b"),
        page.replace("/index.html?a=1", "/%75pdates/ksc/a"),
        page.replace("Mozilla/5.0", "Mozilla\\u002f5.0"),
        format!(r#"{page},"request_headers":[{{"name":"X-KAV-Timeout","value":"1"}}]"#),
    ] {
        assert!(!passes(&http(&matters)), "{matters}");
    }
    let unrelated = answer2(9, "8180", "").replace(UPDATE, "shop.example");
    let alias = unrelated.replace("edge.cdn.example", UPDATE);
    assert!(passes(&dns(1, &query2(9).replace(UPDATE, "shop.example"))) && passes(&dns(1, &unrelated)));
    assert!(!passes(&dns(1, &alias)), "an alias of ours");
    // From here on somebody has the address for a name that matches: another name for it matters, and so does a connection.
    assert!(!passes(&dns(1, &unrelated)) && !passes(&tls(6, 2, other)));
    let torn = over(7, 5, ["10.0.0.6:50001", "192.0.2.1:443"], ["1b", "1b"], "tls");
    assert!(!passes(torn.strip_suffix('}').unwrap()) && passes(&torn));
}

#[test]
fn flows_have_a_bound() {
    let mut reader = LogReader::new(&SIGNATURES);
    reader.flows = Flows::with_limit(8);
    let flows = |reader: &mut LogReader, numbers: std::ops::Range<u64>| {
        for number in numbers {
            reader.line(
                &mut LineParser::eve(),
                tls(number, 1, r#""sni":"s07.upd.kaspersky.com","version":"TLS 1.3""#).as_bytes(),
            );
        }
    };
    flows(&mut reader, 0..8);
    assert_eq!(reader.flows_given_up, 0);
    flows(&mut reader, 8..9);
    assert_eq!(reader.flows_given_up, 4);
    let findings = reader.finish();
    assert_eq!((findings.dropped["log_flows"], findings.flows), (4, 9));
    let mut reader = LogReader::new(&SIGNATURES);
    for id in 0..40 {
        reader.line(&mut LineParser::eve(), dns(1, &query2(id)).as_bytes());
    }
    assert_eq!(reader.finish().dropped["log_queries"], 40 - QUERIES_MAX as u64);
}

/// One record of each kind.
fn samples() -> Vec<String> {
    vec![
        dns(1, &query2(7)),
        dns(2, &answer2(7, "8180", r#""rd":true,"#)),
        tls(
            2,
            1,
            r#""sni":"s07.upd.kaspersky.com","version":"TLS 1.2","subject":"CN=s07.upd.kaspersky.com","issuerdn":"CN=\u00e9","ja3":{"hash":"0149f47eabf9a20d0893e2a44e5a6323","string":"771,4866,0,29,0"},"ja4":"t13d3112h2_e8f1e7e78f70_b26ce05bbdd6""#,
        ),
        http(
            r#""hostname":"dnl-05.geo.kaspersky.com","http_port":8080,"url":"/index/u1313g.xml","http_user_agent":"x","http_method":"GET","protocol":"HTTP/1.1","status":200,"http_content_type":"text/xml""#,
        ),
        over(2, 5, ["10.0.0.5:50001", SERVER], ["1b", "1b"], "tls"),
    ]
}

#[test]
fn every_prefix_of_a_record_is_counted_and_proves_nothing() {
    for line in samples() {
        for end in 1..line.len() {
            let mut reader = LogReader::new(&SIGNATURES);
            reader.line(&mut LineParser::eve(), &line.as_bytes()[..end]);
            assert_eq!(reader.counters().malformed, 1, "{}", &line[..end]);
            assert!(reader.take_alerts().is_empty() && reader.finish().hosts.is_empty());
        }
    }
}

/// Names of interest and others, in whatever case.
fn any_name() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        UPDATE,
        "www.example",
        "S07.UPD.kaspersky.com",
        "edge.cdn.example",
        "kaspersky.com.evil.example",
        "ksn1.kaspersky-labs.com",
        "a\\u006b.example",
        "",
    ])
    .prop_map(str::to_owned)
}

/// What lines show when they are looked at in blocks first, and when each is read.
pub fn looked_at_and_in_full(parser: &LineParser, lines: &[String], signatures: &Arc<SignatureSet>) -> [String; 2] {
    [true, false].map(|looks| {
        let mut reader = LogReader::new(signatures);
        let (mut skimmer, mut skim) = (Skimmer::new(parser, signatures), Skim::default());
        let mut parser = parser.clone();
        for block in lines.chunks(7) {
            let block = block.join("\n");
            if looks {
                let mut looker = skimmer.clone();
                looker.skim(block.as_bytes(), &mut skim);
                skimmer.advance(block.as_bytes());
                reader.lines(&mut parser, block.as_bytes(), &skim, &mut 0, Timestamp(u64::MAX), &mut |_| {});
            } else {
                block.lines().for_each(|line| _ = reader.read_line(&mut parser, line.as_bytes()));
            }
        }
        let alerts: Vec<_> = reader.take_alerts().iter().map(|one| format!("{one:?}")).collect();
        let LogCounters { lines, malformed, undirected, read, others, .. } = reader.counters().clone();
        let findings = reader.finish();
        let hosts = findings.host_findings(signatures);
        format!("{lines} {malformed} {undirected} {} {} {alerts:?} {hosts:?}", read + others, findings.flows)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Each line is counted once, whatever it holds.
    #[test]
    fn any_bytes_are_counted(lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..200), 0..8)) {
        let mut reader = LogReader::new(&SIGNATURES);
        for line in &lines {
            reader.line(&mut LineParser::eve(), line);
        }
        let LogCounters { lines: counted, read, others, undirected, malformed, .. } = reader.counters().clone();
        prop_assert!(counted as usize <= lines.len());
        prop_assert_eq!(counted, read + others + undirected + malformed);
        reader.finish();
    }

    /// Lines of which most are passed over say what they say when each of them is read.
    #[test]
    fn lines_passed_over_say_the_same(
        lines in prop::collection::vec((0_usize..7, 1_u64..6, 0_u32..60, any_name(), 0_usize..6, 0_usize..6), 1..40),
    ) {
        let address = ["198.51.100.10", "203.0.113.9", "77.74.181.1", "10.0.0.2", "2a03:2480::5", "2001:db8::1"];
        let lines: Vec<String> = lines.into_iter().map(|(kind, flow, second, name, server, other)| {
            let port = [443, 80, 13_000, 443, 443, 8_080][other];
            let client = format!("10.0.0.{}:{}", 4 + flow, 50_000 + flow);
            let to = format!("{}:{port}", address[server]);
            let ends = [client.as_str(), to.as_str()];
            let from_whom = [client.as_str(), RESOLVER];
            let path = ["/", "/index/u1313g.xml", "/a?b=%20", "/%75pdates/ksc/a", "/updates/x", "http://x.example/"][other];
            match kind {
                0 => record("dns", 100 + flow, second, from_whom, "UDP", &format!(r#""dns":{{{}}}"#, query2(7).replace(UPDATE, &name))),
                1 => record("dns", 100 + flow, second, from_whom, "UDP", &format!(r#""dns":{{{}}}"#, answer2(7, "8180", r#""rd":true,"#)
                    .replace(UPDATE, &name).replace("198.51.100.10", address[server]))),
                2 => record("tls", flow, second, ends, "TCP", &format!(r#""tls":{{"sni":"{name}","version":"TLS 1.2","subject":"CN={name}","issuerdn":"O=CA"}}"#)),
                3 => record("http", flow, second, ends, "TCP", &format!(
                    r#""tx_id":0,"http":{{"hostname":"{name}","url":"{path}","http_user_agent":"Mozilla/5.0","http_method":"GET","status":200,"http_content_type":"text/html"}}"#)),
                4 => record("quic", flow, second, ends, "UDP", &format!(r#""quic":{{"version":"1","sni":"{name}"}}"#)),
                5 => over(100 + flow, second, from_whom, ["1b", "1b"], "dns").replace("TCP", "UDP"),
                _ => over(flow, second, ends, ["1b", "1b"], "tls"),
            }
        }).collect();
        let [looked, in_full] = looked_at_and_in_full(&LineParser::eve(), &lines, &SIGNATURES);
        prop_assert_eq!(looked, in_full);
    }

    /// Records with bytes exchanged, and records in any order.
    #[test]
    fn damaged_records_are_counted(order in prop::collection::vec(0_usize..5, 1..12), at: prop::sample::Index, byte: u8) {
        let samples = samples();
        let mut reader = LogReader::new(&SIGNATURES);
        for number in order {
            let mut line = samples[number].clone().into_bytes();
            let at = at.index(line.len());
            line[at] = byte;
            reader.line(&mut LineParser::eve(), &line);
            reader.line(&mut LineParser::eve(), samples[number].as_bytes());
        }
        let LogCounters { lines, read, others, undirected, malformed, .. } = reader.counters().clone();
        prop_assert_eq!(lines, read + others + undirected + malformed);
        reader.finish();
    }
}
