//! Logs from outside: `kaspector logs`, and `scan` where it meets one.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use serde_json::{Value, json};
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_kaspector");
const UPDATE: &str = "s07.upd.kaspersky.com";

fn kaspector(arguments: &[&str], folder: &Path) -> Output {
    Command::new(PROGRAM).current_dir(folder).args(arguments).output().unwrap()
}

fn answer(arguments: &[&str], folder: &Path) -> Value {
    let output = kaspector(&[arguments, &["--format", "json", "-q"]].concat(), folder);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Address, field, value and place of each piece of evidence.
fn evidence(answer: &Value) -> Vec<String> {
    let mut all = Vec::new();
    for host in answer["hosts"].as_array().unwrap() {
        for line in host["evidence"].as_array().unwrap() {
            let text = |key: &str| line[key].as_str().unwrap().to_owned();
            let example = &line["example"];
            let place = format!("{}#{}", example["input"].as_str().unwrap(), example["packet"]);
            all.push(format!("{} {} {} {place}", host["address"].as_str().unwrap(), text("field"), text("observed")));
        }
    }
    all.sort();
    all
}

/// A record of Suricata's log of a flow.
fn record(second: u32, kind: &str, flow_id: u64, server: [&str; 2], of_kind: &Value) -> String {
    let [address, port] = server;
    let proto = if port == "53" { "UDP" } else { "TCP" };
    let mut record = json!({
        "event_type": kind, "flow_id": flow_id, "src_ip": "10.0.0.5", "src_port": 50_000 + flow_id, "dest_ip": address,
        "dest_port": port.parse::<u16>().unwrap(), "proto": proto, "timestamp": format!("2026-11-24T03:39:{second:02}.000000+0000"),
    });
    for (key, value) in of_kind.as_object().unwrap() {
        record[key] = value.clone();
    }
    format!("{record}\n")
}

#[test]
fn what_was_rotated_is_read_as_one_log() {
    let folder = tempfile::tempdir().unwrap();
    let lookup = json!({"dns": {"version": 2, "type": "query", "id": 7, "rrname": UPDATE, "rrtype": "A"}});
    let answered = json!({"dns": {"version": 2, "type": "answer", "id": 7, "rrname": UPDATE, "rrtype": "A", "rcode": "NOERROR", "rd": true,
        "answers": [{"rrname": UPDATE, "rrtype": "A", "ttl": 300, "rdata": "198.51.100.10"}]}});
    let earlier =
        record(1, "dns", 1, ["10.0.0.53", "53"], &lookup) + &record(2, "dns", 1, ["10.0.0.53", "53"], &answered);
    // A connection to that address which names nobody, once the log was rotated.
    let over = json!({"app_proto": "tls", "flow": {"pkts_toserver": 8, "pkts_toclient": 7, "start": "2026-11-24T03:39:03.000000+0000"},
        "tcp": {"tcp_flags_ts": "1b", "tcp_flags_tc": "1b"}});
    let later = record(9, "flow", 2, ["198.51.100.10", "443"], &over);
    fs::write(folder.path().join("eve.json.1"), earlier).unwrap();
    fs::write(folder.path().join("eve.json"), &later).unwrap();
    let found = answer(&["logs", "."], folder.path());
    let expected = [
        format!("10.0.0.5 dns.query {UPDATE} ./eve.json.1#1"),
        format!("10.0.0.5 resolved_address {UPDATE} ./eve.json#1"),
    ];
    let found_lines = evidence(&found);
    assert_eq!(found_lines, expected.map(|line| line.replace("resolved_address", &field_of(&found_lines))));
    assert_eq!(found["inputs"][0]["log"]["format"], "eve");
    assert_eq!(found, answer(&["logs", ".", "--threads", "1"], folder.path()));
    // Without the file before it the connection says nothing.
    assert_eq!(evidence(&answer(&["logs", "eve.json"], folder.path())), [""; 0]);
    assert_eq!(evidence(&answer(&["scan", "."], folder.path())), found_lines, "a scan that meets logs reads them, too");
}

/// The name of the field of evidence by address, as the answer spells it.
fn field_of(lines: &[String]) -> String {
    lines.iter().find(|line| line.contains("eve.json#1")).unwrap().split(' ').nth(1).unwrap().to_owned()
}

#[test]
fn logs_are_merged_once_and_alerts_say_their_line() {
    let folder = tempfile::tempdir().unwrap();
    let hello = json!({"tls": {"sni": UPDATE, "version": "TLS 1.3"}, "community_id": "1:abc"});
    fs::write(folder.path().join("eve.json"), record(1, "tls", 3, ["198.51.100.10", "443"], &hello)).unwrap();
    let arguments = ["logs", "eve.json", "--state", "hosts.state", "--eve", "alerts.json"];
    let first = kaspector(&arguments, folder.path());
    assert_eq!(first.status.code(), Some(0), "{first:?}");
    let alert: Value = serde_json::from_str(&fs::read_to_string(folder.path().join("alerts.json")).unwrap()).unwrap();
    assert_eq!((&alert["flow_id"], &alert["community_id"]), (&json!(3), &json!("1:abc")));
    assert_eq!(alert["alert"]["metadata"]["kaspector_line"], json!(["1"]));
    let second = kaspector(&arguments, folder.path());
    assert!(String::from_utf8_lossy(&second.stderr).contains("already in hosts.state"), "{second:?}");
    let listed = kaspector(&["hosts", "--state", "hosts.state", "--format", "json"], folder.path());
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(listed["hosts"].as_array().unwrap().len(), 1);
}

#[test]
fn what_times_leave_out_has_to_be_said() {
    let folder = tempfile::tempdir().unwrap();
    let line = format!("Nov 24 03:39:09 dnsmasq[1234]: query[A] {UPDATE} from 10.0.0.5\n");
    fs::write(folder.path().join("dnsmasq.log"), line).unwrap();
    fs::write(folder.path().join("notes.txt"), "nothing of this kind\n").unwrap();
    let refused = kaspector(&["logs", "dnsmasq.log"], folder.path());
    assert_eq!(refused.status.code(), Some(4));
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("dnsmasq.log: its times have no time zone"),
        "{refused:?}"
    );
    let wrong = kaspector(&["logs", "dnsmasq.log", "--timezone", "Mars/Olympus"], folder.path());
    assert_eq!(wrong.status.code(), Some(2));
    let none = kaspector(&["logs", "notes.txt"], folder.path());
    assert_eq!(none.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&none.stderr).contains("in no format of logs that we know"), "{none:?}");
    let found = answer(&["logs", ".", "--timezone", "+02:00", "--year", "2026"], folder.path());
    assert_eq!(evidence(&found), [format!("10.0.0.5 dns.query {UPDATE} ./dnsmasq.log#1")]);
    assert_eq!(found["hosts"][0]["first_seen"], "2026-11-24T01:39:09.000000Z");
    assert_eq!(found["counters"]["left_out"]["not_a_log"], 1);
}

#[test]
fn a_log_of_any_rows_is_read_by_a_map() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    // That of the documentation.
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/logs.md")).unwrap();
    let map = page.split_once("```toml\n").unwrap().1.split_once("```").unwrap().0;
    write("my.toml", map);
    write("fw.log", &format!("day;hour;from;to;port;host\n2026-11-24;03:39:09;10.0.0.5;198.51.100.10;443;{UPDATE}\n"));
    let found = answer(&["logs", "fw.log", "--map", "my.toml", "--timezone", "+01:00"], folder.path());
    assert_eq!(evidence(&found), [format!("10.0.0.5 tls.sni {UPDATE} fw.log#2")]);
    assert_eq!(found["hosts"][0]["first_seen"], "2026-11-24T02:39:09.000000Z");
    assert_eq!(found["inputs"][0]["log"]["format"], "my-firewall");
    let complaint = |arguments: &[&str], code: i32| {
        let output = kaspector(arguments, folder.path());
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let zone = complaint(&["logs", "fw.log", "--map", "my.toml"], 4);
    assert!(zone.contains("fw.log: its times have no time zone"), "{zone}");
    write("other.log", "day;hour;source\n2026-11-24;03:39:09;10.0.0.5\n");
    let unfit = complaint(&["logs", "other.log", "--map", "my.toml"], 4);
    let why = "other.log: the map of my-firewall does not fit: a line has no column \"from\"; it has day, hour, source";
    assert!(unfit.contains(why), "{unfit}");
    write("bad.toml", &map.replace("client =", "clint ="));
    let wrong = complaint(&["logs", "fw.log", "--map", "bad.toml"], 2);
    assert!(wrong.contains("--map: bad.toml: the map has an unknown key \"clint\"; known are "), "{wrong}");
    let missing = complaint(&["logs", "fw.log", "--map", "none.toml"], 2);
    assert!(missing.contains("--map: none.toml: cannot be read"), "{missing}");
    let input = complaint(&["logs", "fw.log", "--map", "my.toml", "--timezone", "UTC", "-o", "my.toml"], 2);
    assert!(input.contains("my.toml"), "{input}");
}

/// A query for an address, as a client sends it (RFC 1035 section 4).
fn query(name: &str) -> Vec<u8> {
    let mut query = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00".to_vec();
    for label in name.split('.') {
        query.push(u8::try_from(label.len()).unwrap());
        query.extend_from_slice(label.as_bytes());
    }
    query.extend_from_slice(b"\x00\x00\x01\x00\x01");
    query
}

/// Asks a resolver until it answers.
fn ask(port: u16, name: &str) {
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let started = Instant::now();
    let mut room = [0; 512];
    while started.elapsed() < Duration::from_secs(60) {
        let _ = client.send_to(&query(name), ("127.0.0.1", port));
        if client.recv(&mut room).is_ok() {
            return;
        }
    }
    panic!("the resolver on port {port} does not answer");
}

fn free_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The program by its name, where the system has it.
fn there(program: &str) -> Option<String> {
    let paths = ["/usr/sbin", "/usr/bin", "/usr/local/sbin"].map(|folder| format!("{folder}/{program}"));
    let found = paths.into_iter().find(|path| Path::new(path).exists());
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "{program} must be here: scripts/install-deps test");
        eprintln!("skipped: {program} is not there");
    }
    found
}

#[test]
fn real_resolvers_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (dnsmasq_port, unbound_port) = (free_port(), free_port());
    if let Some(dnsmasq) = there("dnsmasq") {
        let mut resolver = Command::new(dnsmasq)
            .args([
                "--no-daemon",
                "--no-resolv",
                "--no-hosts",
                "--conf-file=/dev/null",
                "--listen-address=127.0.0.1",
                "--bind-interfaces",
            ])
            .args([
                "--log-queries",
                "--address=/kaspersky.com/198.51.100.10",
                "--pid-file=",
                &format!("--port={dnsmasq_port}"),
            ])
            .arg(format!("--log-facility={}", at("dnsmasq.log")))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        ask(dnsmasq_port, UPDATE);
        resolver.kill().unwrap();
        resolver.wait().unwrap();
        let found = evidence(&answer(&["logs", "dnsmasq.log", "--timezone", "UTC"], folder.path()));
        assert!(
            found.first().is_some_and(|line| line.starts_with(&format!("127.0.0.1 dns.query {UPDATE}"))),
            "{found:?}"
        );
    }
    if let Some(unbound) = there("unbound") {
        let configuration = format!(
            "server:\n  interface: 127.0.0.1\n  port: {unbound_port}\n  do-daemonize: no\n  username: \"\"\n  chroot: \"\"\n  directory: {:?}\n  \
             pidfile: \"\"\n  use-syslog: no\n  logfile: {:?}\n  log-queries: yes\n  log-replies: yes\n  local-zone: \"kaspersky.com.\" redirect\n  \
             local-data: \"kaspersky.com. A 198.51.100.10\"\n",
            folder.path(),
            at("unbound.log")
        );
        fs::write(at("unbound.conf"), configuration).unwrap();
        let mut resolver =
            Command::new(unbound).args(["-d", "-c", &at("unbound.conf")]).stderr(Stdio::null()).spawn().unwrap();
        ask(unbound_port, UPDATE);
        resolver.kill().unwrap();
        resolver.wait().unwrap();
        let found = evidence(&answer(&["logs", "unbound.log"], folder.path()));
        assert!(found.iter().any(|line| line.starts_with(&format!("127.0.0.1 dns.query {UPDATE}"))), "{found:?}");
    }
}

/// A program that is ended when the test is.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn run(program: &str, arguments: &[&str], folder: &Path, output: &str) -> Running {
    let output = fs::File::create(folder.join(output)).unwrap();
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).stdout(output.try_clone().unwrap()).stderr(output);
    Running(command.spawn().unwrap())
}

/// Sends bytes to a port once something listens there, and waits for the end of the connection.
fn say(port: u16, bytes: &[u8]) {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(60) {
        if let Ok(mut connection) = TcpStream::connect(("127.0.0.1", port)) {
            connection.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            connection.write_all(bytes).unwrap();
            let _ = connection.read_to_end(&mut Vec::new());
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("nothing listens on port {port}");
}

/// A hello with that name and nothing else of interest (RFC 8446 section 4.1.2, RFC 6066 section 3).
fn hello(name: &str) -> Vec<u8> {
    let part = |bytes: &[u8]| [&u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat();
    let names = part(&[&[0][..], &part(name.as_bytes())].concat());
    let extensions = part(&[&[0, 0][..], &part(&names)].concat());
    let body = [&[3, 3][..], &[7; 32], &[0], &part(&[0x13, 0x01]), &[1, 0], &extensions].concat();
    let message = [&[1, 0][..], &part(&body)].concat();
    [&[0x16, 3, 1][..], &part(&message)].concat()
}

/// Waits until a log has a line, and gives what is found in it.
fn found_in(log: &str, folder: &Path, arguments: &[&str]) -> Vec<String> {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(60) {
        if fs::read(folder.join(log)).is_ok_and(|text| text.windows(9).any(|part| part == b"kaspersky")) {
            let all = evidence(&answer(&[&["logs", log], arguments].concat(), folder));
            return all.iter().map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect();
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("nothing in {log}");
}

#[test]
fn real_proxies_and_servers_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
    let at = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let contact = [format!("127.0.0.1 tls.sni {UPDATE}")];
    let port = free_port();
    let module = "/usr/lib/nginx/modules/ngx_stream_module.so";
    if let Some(nginx) = there("nginx").filter(|_| Path::new(module).exists()) {
        let map = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../logs/maps/nginx-ssl-preread.toml"))
            .unwrap();
        let format = map.lines().find_map(|line| line.strip_prefix("#   log_format ")).unwrap();
        write(
            "nginx.conf",
            &format!(
                "load_module {module};\ndaemon off;\npid {};\nerror_log {};\nevents {{}}\nstream {{\nlog_format {format}\nserver {{ listen 127.0.0.1:{port}; \
             ssl_preread on; proxy_pass 127.0.0.1:9; access_log {} sni; }}\n}}\n",
                at("nginx.pid"),
                at("nginx.error"),
                at("sni.log")
            ),
        );
        let _nginx = run(&nginx, &["-p", &at(""), "-c", &at("nginx.conf")], folder, "nginx.out");
        say(port, &hello(UPDATE));
        assert_eq!(found_in("sni.log", folder, &[]), contact);
    }
    let port = free_port();
    if let Some(haproxy) = there("haproxy") {
        let map =
            fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../logs/maps/haproxy-sni.toml")).unwrap();
        let said: Vec<&str> = map.lines().filter_map(|line| line.strip_prefix("#   ")).collect();
        write(
            "haproxy.conf",
            &format!(
                "global\n log stdout format rfc5424 local0\ndefaults\n mode tcp\n timeout connect 1s\n timeout client 5s\n timeout server 5s\n\
             frontend tls\n bind 127.0.0.1:{port}\n log global\n {}\n default_backend none\nbackend none\n retries 0\n server s1 127.0.0.1:9\n",
                said.join("\n ")
            ),
        );
        let _haproxy = run(&haproxy, &["-db", "-f", &at("haproxy.conf")], folder, "haproxy.log");
        say(port, &hello(UPDATE));
        assert_eq!(found_in("haproxy.log", folder, &["--timezone", "UTC"]), contact);
    }
    let port = free_port();
    if let Some(squid) = there("squid") {
        write(
            "squid.conf",
            &format!(
                "http_port 127.0.0.1:{port}\npid_filename {}\ncache_log {}\naccess_log stdio:{} squid\naccess_log stdio:{} combined\ncache deny all\n\
             pinger_enable off\nhttp_access allow all\ncoredump_dir {}\nshutdown_lifetime 0 seconds\n",
                at("squid.pid"),
                at("cache.log"),
                at("access.log"),
                at("combined.log"),
                at("")
            ),
        );
        // It gives up the rights of root.
        #[cfg(unix)]
        fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        let _squid = run(&squid, &["-N", "-f", &at("squid.conf")], folder, "squid.out");
        say(
            port,
            format!("CONNECT {UPDATE}:443 HTTP/1.1\r\nHost: {UPDATE}:443\r\nConnection: close\r\n\r\n").as_bytes(),
        );
        let asked = [format!("127.0.0.1 http.connect {UPDATE}")];
        assert_eq!(found_in("access.log", folder, &[]), asked);
        assert_eq!(found_in("combined.log", folder, &[]), asked);
    }
    let port = free_port();
    if let Some(named) = there("named") {
        write(
            "named.conf",
            &format!(
                "options {{ directory \"{}\"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; pid-file none; session-keyfile none; dnstap {{ client; }}; dnstap-output file \"dns.tap\"; }};\n\
             controls {{}};\nlogging {{ channel q {{ file \"query.log\"; print-time yes; print-category yes; print-severity yes; }}; category queries {{ q; }}; }};\n\
             zone \"kaspersky.com\" {{ type primary; file \"zone\"; }};\n",
                folder.display()
            ),
        );
        write("zone", "$TTL 60\n@ SOA . . 1 1 1 1 1\n@ NS localhost.\ns07.upd A 198.51.100.10\n");
        let mut named = run(&named, &["-f", "-c", &at("named.conf")], folder, "named.out");
        ask(port, UPDATE);
        let asked = format!("127.0.0.1 dns.query {UPDATE}");
        assert_eq!(found_in("query.log", folder, &["--timezone", "UTC"]).first(), Some(&asked));
        // It writes messages when it has many of them, or ends.
        let ended = Command::new("kill").arg(named.0.id().to_string()).status().unwrap();
        assert!(ended.success());
        named.0.wait().unwrap();
        assert_eq!(found_in("dns.tap", folder, &[]).first(), Some(&asked));
    }
}
