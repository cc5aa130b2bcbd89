#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::draft::{FILES, builtin, map};
use super::*;
use crate::format::{LineParser, LogFormat};
use crate::reader::LogReader;
use crate::reader::tests::looked_at_and_in_full;
use jiff::tz::TimeZone;
use kaspector::matching::{Field, SeenAs, SignatureSet};
use proptest::prelude::*;

static SIGNATURES: LazyLock<Arc<SignatureSet>> = LazyLock::new(|| Arc::new(SignatureSet::builtin()));
/// 2026-11-24T03:39:09Z.
const AT: u64 = 1_795_491_549;
const UPDATE: &str = "s07.upd.kaspersky.com";

fn leaked(text: &str) -> Mapped {
    Mapped(Box::leak(Box::new(map(text).unwrap())))
}

/// Host, field, observed value, closeness and second of each piece of evidence.
fn found(format: LogFormat, lines: &str) -> Vec<(String, Field, String, SeenAs, u64)> {
    let mut reader = LogReader::new(&SIGNATURES);
    let mut parser = LineParser::new(format, Clock::from_year(TimeZone::UTC, 2026));
    for line in lines.lines() {
        reader.read_line(&mut parser, line.as_bytes());
    }
    assert_eq!(reader.counters().malformed, 0, "{:?}", reader.counters());
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

/// The format's name, lines of it, and the fields of the evidence that they give.
const SAMPLES: [(&str, &str, &[Field]); 16] = [
    (
        "route53-resolver",
        r#"{"version":"1.100000","account_id":"1","region":"us-east-1","vpc_id":"vpc-1","query_timestamp":"2026-11-24T03:39:09Z","query_name":"s07.upd.kaspersky.com.","query_type":"A","query_class":"IN","rcode":"NOERROR","answers":[{"Rdata":"198.51.100.10","Type":"A","Class":"IN"}],"srcaddr":"10.0.0.5","srcport":"60000","transport":"UDP","srcids":{"instance":"i-1"}}"#,
        &[Field::DnsQuery],
    ),
    (
        "adguard-home",
        r#"{"T":"2026-11-24T04:39:09.123456789+01:00","QH":"s07.upd.kaspersky.com","QT":"A","QC":"IN","CP":"","Upstream":"https://dns.example","Answer":"AAAA","Result":{},"Elapsed":12,"IP":"10.0.0.5"}"#,
        &[Field::DnsQuery],
    ),
    (
        "cloudflare-gateway-dns",
        r#"{"Datetime":"2026-11-24T03:39:09Z","QueryName":"s07.upd.kaspersky.com","QueryTypeName":"A","RCode":0,"ResolvedIPs":["198.51.100.10"],"SrcIP":"10.0.0.5","SrcPort":50000}"#,
        &[Field::DnsQuery],
    ),
    (
        "cloudflare-gateway-http",
        r#"{"Datetime":1795491549000000000,"URL":"https://s07.upd.kaspersky.com/x","HTTPMethod":"GET","SourceIP":"10.0.0.5","SourcePort":50000,"DestinationIP":"198.51.100.10","DestinationPort":443}"#,
        &[Field::TlsSni],
    ),
    (
        "cloudflare-gateway-network",
        r#"{"Datetime":"2026-11-24T03:39:09Z","SNI":"s07.upd.kaspersky.com","Transport":"tcp","SourceIP":"10.0.0.5","SourcePort":50000,"DestinationIP":"198.51.100.10","DestinationPort":443}"#,
        &[Field::TlsSni],
    ),
    (
        "cisco-umbrella",
        r#""2026-11-24 03:39:09","PC-5","PC-5,Network","10.0.0.5","203.0.113.7","Allowed","1 (A)","NOERROR","s07.upd.kaspersky.com.","Software","Networks","Networks","""#,
        &[Field::DnsQuery],
    ),
    (
        "aws-vpc-flow",
        "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status\n2 1 eni-1 10.0.0.5 77.74.181.1 50000 443 6 10 840 1795491549 1795491609 ACCEPT OK",
        &[Field::Address],
    ),
    (
        "paloalto-threat",
        "1,2026/11/24 03:39:09,0001,THREAT,url,2560,2026/11/24 03:39:09,10.0.0.5,198.51.100.10,0.0.0.0,0.0.0.0,rule,,,ssl,vsys1,in,out,e1,e2,log,0,1,1,50000,443,0,0,0x0,tcp,alert,\"s07.upd.kaspersky.com/\",(9999),computer",
        &[Field::TlsSni],
    ),
    (
        "paloalto-traffic",
        "1,2026/11/24 03:39:09,0001,TRAFFIC,end,2560,2026/11/24 03:39:09,10.0.0.5,77.74.181.1,0.0.0.0,0.0.0.0,rule,,,ssl,vsys1,in,out,e1,e2,log,0,1,1,50000,443,0,0,0x0,tcp,allow,5000,1000,4000,20",
        &[Field::Address],
    ),
    (
        "fortinet",
        "date=2026-11-24 time=03:39:09 devname=\"fw\" eventtime=1795491549123456789 tz=\"+0000\" logid=\"1501054802\" type=\"utm\" subtype=\"dns\" srcip=10.0.0.5 srcport=50000 dstip=10.0.0.53 dstport=53 proto=17 qname=\"s07.upd.kaspersky.com\" qtype=\"A\" ipaddr=\"198.51.100.10\"\ndate=2026-11-24 time=03:39:09 eventtime=1795491549123456789 tz=\"+0000\" logid=\"0316013056\" type=\"utm\" subtype=\"webfilter\" srcip=10.0.0.5 srcport=50001 dstip=198.51.100.10 dstport=443 proto=6 hostname=\"s07.upd.kaspersky.com\" url=\"https://s07.upd.kaspersky.com/\"\n<189>date=2019-05-13 time=16:29:45 logid=\"0316013056\" type=\"utm\" subtype=\"webfilter\" eventtime=1795491549 srcip=10.0.0.5 srcport=50002 dstip=198.51.100.10 dstport=80 proto=6 service=\"HTTP\" hostname=\"dnl-05.geo.kaspersky.com\" url=\"/\"\n<190>date=2019-05-15 time=18:03:36 logid=\"1059028704\" type=\"utm\" subtype=\"app-ctrl\" eventtime=1795491549 srcip=10.0.0.5 dstip=198.51.100.10 srcport=50003 dstport=443 proto=6 service=\"SSL\" hostname=\"s08.upd.kaspersky.com\" url=\"/\"",
        &[Field::DnsQuery, Field::TlsSni, Field::HttpHost, Field::TlsSni],
    ),
    (
        "cef",
        "Nov 24 03:39:09 fw CEF:0|Zscaler|NSSWeblog|5.0|Allowed|Allowed|3|act=Allowed app=HTTPS rt=1795491549000 src=10.0.0.5 dst=198.51.100.10 dpt=443 request=https://s07.upd.kaspersky.com/a\\=b requestMethod=CONNECT requestClientApplication=Mozilla/5.0 (x)",
        &[Field::TlsSni],
    ),
    (
        "leef",
        "<13>Nov 24 03:39:09 nss LEEF:1.0|Zscaler|NSS|5.0|Allowed|cat=Allowed\tdevTime=Nov 24 2026 03:39:09 GMT\tsrc=10.0.0.5\tdst=198.51.100.10\turl=s07.upd.kaspersky.com:443",
        &[Field::TlsSni],
    ),
    (
        "w3c",
        "#Software: SGOS 7.3\n#Fields: date time time-taken c-ip cs-method cs-uri-scheme cs-host cs-uri-port cs-uri-path cs(User-Agent) sc-status\n2026-11-24 03:39:09 12 10.0.0.5 CONNECT tcp s07.upd.kaspersky.com 443 / \"Mozilla/5.0 (x)\" 200\n2026-11-24 03:39:09 12 10.0.0.5 GET http dnl-05.geo.kaspersky.com 80 /index/u1313g.xml - 200",
        &[Field::TlsSni, Field::HttpHost, Field::HttpPath],
    ),
    (
        "nginx-ssl-preread",
        "10.0.0.5 [24/Nov/2026:03:39:09 +0000] TCP 200 5120 517 0.120 \"s07.upd.kaspersky.com\"",
        &[Field::TlsSni],
    ),
    (
        "haproxy-sni",
        "Nov 24 03:39:09 lb haproxy[7]: 10.0.0.5:50000 [24/Nov/2026:03:39:09.282] tls tls/s1 1/0/120 5120 -- 1/1/0/0/0 0/0 {s07.upd.kaspersky.com}",
        &[Field::TlsSni],
    ),
    (
        "powerdns",
        "2026-11-24T03:39:09+00:00 ns1 pdns_server[7]: Remote 10.0.0.5 wants 's07.upd.kaspersky.com|A', do = 0, bufsize = 512: packetcache MISS",
        &[Field::DnsQuery],
    ),
];

#[test]
fn each_map_reads_its_format_and_no_other() {
    assert_eq!(builtin().len(), FILES.len(), "{:?}", FILES.map(|(name, text)| (name, map(text).err())));
    for ((name, text), (sample, lines, fields)) in FILES.into_iter().zip(SAMPLES) {
        assert_eq!((map(text).unwrap().name.as_str(), name), (name, sample));
        let format = LogFormat::recognise(format!("{lines}\n").as_bytes());
        assert_eq!(format.map(LogFormat::name), Some(name), "{lines}");
        let found = found(format.unwrap(), lines);
        let mut told: Vec<Field> = found.iter().map(|line| line.1).collect();
        let mut expected = fields.to_vec();
        told.sort();
        expected.sort();
        assert_eq!(told, expected, "{name}: {found:?}");
        assert!(found.iter().all(|line| (line.0.as_str(), line.4) == ("10.0.0.5", AT)), "{name}: {found:?}");
    }
}

#[test]
fn what_times_leave_out_is_known_of_each() {
    let lacking = SAMPLES.iter().filter(|(_, lines, _)| {
        let head = format!("{lines}\n");
        LogFormat::recognise(head.as_bytes()).expect(lines).lacks(head.as_bytes()).zone
    });
    let lacking: Vec<&str> = lacking.map(|sample| sample.0).collect();
    assert_eq!(lacking, ["paloalto-threat", "paloalto-traffic", "haproxy-sni"]);
}

const OWN: &str = r#"
format = "my-firewall"
shape = "csv"
separator = ";"
time = ["day", "hour"]
client = "from"
server = "to"
server-port = "port"
name = "host"
field = "tls.sni"
"#;

#[test]
fn a_map_of_ones_own_is_read() {
    let map = leaked(OWN);
    let head =
        b"day;hour;from;to;port;host\n2026-11-24;03:39:09;10.0.0.5;198.51.100.10;443;\"s07.upd.kaspersky.com\"\n";
    assert_eq!(map.fits(head), Ok(()));
    assert!(map.lacks(head).zone);
    let found = found(LogFormat::Mapped(map), std::str::from_utf8(head).unwrap());
    assert_eq!(found, [("10.0.0.5".to_owned(), Field::TlsSni, UPDATE.to_owned(), SeenAs::Contact, AT)]);
    let nested = leaked(
        "shape = \"json\"\nfield = \"dns.query\"\ntime = \"at\"\nclient = \"client.ip\"\nname = \"query.name\"\n",
    );
    let line = r#"{"at":1795491549,"client":{"ip":"10.0.0.5:5353"},"query":{"name":"s07.upd.kaspersky.com"}}"#;
    assert_eq!(nested.fits(format!("{line}\n").as_bytes()), Ok(()));
    assert_eq!(self::found(LogFormat::Mapped(nested), line)[0].1, Field::DnsQuery);
}

#[test]
fn a_map_that_does_not_fit_says_why() {
    let map = leaked(OWN);
    let why = |head: &str| map.fits(head.as_bytes()).unwrap_err();
    assert!(
        why("day;hour;client\n2026-11-24;03:39:09;10.0.0.5\n").contains("no column \"from\"; it has day, hour, client")
    );
    assert!(
        why("day;hour;from\n2026-11-24;later;10.0.0.5\n").contains("\"2026-11-24 later\" is no time that can be read")
    );
    assert!(why("day;hour;from\n2026-11-24;03:39:09;pc5\n").contains("\"pc5\" is no address of a client"));
    assert!(why("").contains("no whole line"));
}

#[test]
fn a_wrong_map_says_what_is_wrong() {
    let wrong = |text: &str| super::draft::map(text).unwrap_err();
    let lacks = |cut: &str| wrong(&OWN.replace(cut, ""));
    assert!(wrong("x").contains("line 1"), "{}", wrong("x"));
    assert!(lacks("time = [\"day\", \"hour\"]\n").contains("does not say which column is its time"));
    assert!(lacks("client = \"from\"\n").contains("does not say which column is its client"));
    assert!(lacks("name = \"host\"\n").contains("does not say which column is its name"));
    assert!(lacks("field = \"tls.sni\"\n").contains("what does its name stand for? Say one of dns.query, tls.sni"));
    assert!(lacks("shape = \"csv\"\n").contains("say json, csv"));
    assert!(wrong(&OWN.replace("server =", "sever =")).contains("unknown key \"sever\""));
    assert!(wrong(&OWN.replace("\";\"", "\"ab\"")).contains("one character"));
    assert!(wrong(&format!("{OWN}zone = \"Europe/Berlin\"\n")).contains("--timezone"));
    assert!(wrong(&OWN.replace("\"csv\"", "\"pattern\"\npattern = \"(\"")).contains("pattern: "));
    assert!(
        wrong(&format!("{OWN}[[record]]\nfield = \"dns.query\"\nnam = 1\n"))
            .contains("[[record]] 1 has an unknown key")
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Lines of which most are passed over say what they say when each is read; and whatever is cut or changed, each is counted once.
    #[test]
    fn rows_passed_over_say_the_same(
        sample in 0..SAMPLES.len(), names in prop::collection::vec(0_usize..4, 1..20), cut: prop::sample::Index, byte: u8,
    ) {
        let (_, lines, _) = SAMPLES[sample];
        let format = LogFormat::recognise(format!("{lines}\n").as_bytes()).unwrap();
        let parser = LineParser::new(format, Clock::default());
        let (header, row) = lines.rsplit_once('\n').unwrap_or(("", lines));
        let mut all: Vec<String> = header.lines().map(str::to_owned).collect();
        for name in names {
            all.push(row.replace(UPDATE, [UPDATE, "www.example", "S07.UPD.kaspersky.com", "a.b"][name]));
        }
        let [looked, in_full] = looked_at_and_in_full(&parser, &all, &SIGNATURES);
        prop_assert_eq!(looked, in_full);
        let mut torn = row.as_bytes().to_vec();
        let at = cut.index(torn.len());
        torn[at] = byte;
        let mut reader = LogReader::new(&SIGNATURES);
        let mut parser = LineParser::new(format, Clock::default());
        for line in all.iter().map(String::as_bytes).chain([&torn[..], &row.as_bytes()[..at]]) {
            reader.line(&mut parser, line);
        }
        let counters = reader.counters().clone();
        prop_assert_eq!(counters.lines, counters.read + counters.others + counters.undirected + counters.malformed);
        reader.finish();
    }
}
