#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use super::*;
use kaspector::decode::{MacAddress, Zone};
use kaspector::matching::{
    ConnectionOutcome, Field, LinkAddress, Position, Role, SeenAs, StoredHost, StoredLine, StoredNames, Verdict,
};

fn builtin() -> SignatureSet {
    SignatureSet::builtin()
}

/// A set that has the first indicator of the built-in set, and nothing else.
fn smaller() -> SignatureSet {
    let folder = tempfile::tempdir().unwrap();
    let set = builtin();
    let one = set.iter().next().unwrap();
    let text = format!(
        "[[indicator]]\nid = \"{}\"\nmatch = \"exact\"\nvalue = \"only.example\"\ncategory = \"{}\"\nstrength = \"installed\"\n\
         products = [\"P\"]\nsources = [\"https://example.com\"]\ndate = 2026-11-01\n",
        one.id,
        one.category.name()
    );
    std::fs::write(folder.path().join("a.toml"), text).unwrap();
    SignatureSet::from_folder(folder.path()).unwrap()
}

fn line(indicator: &str, observed: &str, at: u64) -> StoredLine {
    StoredLine {
        indicator: indicator.into(),
        seen_as: SeenAs::Contact,
        connection_outcome: ConnectionOutcome::DataExchanged,
        field: Field::TlsSni,
        observed: observed.into(),
        count: 2,
        first_seen: Timestamp(at),
        last_seen: Timestamp(at + 5),
        server: "2001:db8::1".parse().unwrap(),
        server_port: 443,
        relayed: false,
        role: Role::Endpoint,
        example: Position { input: 1, packet: 9 },
    }
}

fn link(last: u8, first_seen: u64, last_seen: u64) -> LinkAddress {
    LinkAddress {
        mac: MacAddress([0, 1, 0xfe, 3, 4, last]),
        first_seen: Timestamp(first_seen),
        last_seen: Timestamp(last_seen),
        is_next_hop: false,
    }
}

fn host(lines: Vec<StoredLine>) -> StoredHost {
    StoredHost {
        links: vec![link(0, 1, 9)],
        lines,
        flows: 4,
        bytes_sent: 5,
        bytes_received: 6,
        resolves: StoredNames { names: vec!["a.example".into(), "b\u{1b}.example".into()], overflowed: false },
        connects: StoredNames { names: vec![], overflowed: true },
        hop_limits: [(Some(Timestamp(1)), true), (None, false), (Some(Timestamp(2)), true)],
        dropped: 7,
    }
}

fn key(address: &str, vlan: Option<u16>, vni: Option<u32>) -> HostKey {
    HostKey { address: address.parse().unwrap(), zone: Zone { vlan, inner_vlan: None, vni } }
}

fn sensor(name: &str) -> Source {
    Source::Sensor { name: name.to_owned() }
}

fn capture(number: u8) -> Source {
    Source::Capture { digest: [number; 32], bytes: 1, path: format!("{number}.pcap"), filter: None }
}

fn origins() -> Origins {
    ["eth0", "eth1"].into_iter().collect()
}

fn ids() -> (String, String) {
    let set = builtin();
    let mut all = set.iter().map(|indicator| indicator.id.clone());
    (all.next().unwrap(), all.next().unwrap())
}

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hosts.state");
    (folder, path)
}

fn save(state: &mut State, source: &Source, set: &SignatureSet, hosts: &[(HostKey, StoredHost)]) {
    let records = hosts.iter().map(|(host, stored)| (*host, HostRecord::from_stored(stored.clone(), set)));
    state.save(source, set, &origins(), records).unwrap();
}

/// What a source has in the file, as a program that starts now sees it.
fn loaded(path: &Path, source: &Source, set: &SignatureSet) -> Vec<(HostKey, StoredHost)> {
    let mut origins = origins();
    let mut records = Vec::new();
    State::open(path).unwrap().load(source, set, &mut origins, |host, record, _| records.push((host, record))).unwrap();
    records.sort_by_key(|(host, _)| *host);
    records.into_iter().map(|(host, record)| (host, record.to_stored(set))).collect()
}

#[test]
fn records_come_back_as_they_were() {
    let (_folder, path) = folder();
    let (first, second) = ids();
    let hosts = [
        (key("10.0.0.1", None, None), host(vec![line(&second, "x", 3), line(&first, "\u{1b}[2J", 4)])),
        (key("10.0.0.1", Some(12), None), host(vec![line(&first, "y", 1)])),
        (key("10.0.0.1", Some(12), Some(5001)), host(vec![line(&first, "z", 1)])),
        (key("2001:db8::7", None, None), host(vec![line(&first, "v", 1)])),
    ];
    let mut state = State::open(&path).unwrap();
    save(&mut state, &sensor("s"), &builtin(), &hosts);
    assert_eq!(loaded(&path, &sensor("s"), &builtin()), hosts);
    assert_eq!(loaded(&path, &sensor("t"), &builtin()), []);
    // The same again, and a part of it, change nothing.
    save(&mut state, &sensor("s"), &builtin(), &hosts);
    save(&mut state, &sensor("s"), &builtin(), &hosts[1..2]);
    assert_eq!(loaded(&path, &sensor("s"), &builtin()), hosts);
}

#[test]
fn sources_never_touch_each_others_records() {
    let (_folder, path) = folder();
    let (first, second) = ids();
    let set = builtin();
    let one = key("10.0.0.1", None, None);
    let mut state = State::open(&path).unwrap();
    for (source, id) in [(sensor("s"), &first), (capture(1), &second), (capture(2), &second)] {
        save(&mut state, &source, &set, &[(one, host(vec![line(id, "x", 3)]))]);
    }
    save(&mut state, &capture(2), &set, &[(key("10.0.0.2", None, None), host(vec![line(&first, "x", 3)]))]);
    let report = State::open_to_read(&path).unwrap().listing(&set, &HostFilter::default()).unwrap();
    assert_eq!(report.hosts.len(), 2);
    let merged = report.hosts.iter().find(|found| found.host == one).unwrap();
    // The record of capture 2 went with its second scan; the others are added up.
    assert_eq!((merged.flows, merged.evidence.len()), (8, 2));
    assert_eq!(report.sources.iter().map(|source| source.hosts).collect::<Vec<_>>(), [1, 1, 1]);
}

#[test]
fn what_a_set_does_not_know_waits_until_one_does() {
    let (_folder, path) = folder();
    let (first, second) = ids();
    let (all, few) = (builtin(), smaller());
    let one = key("10.0.0.1", None, None);
    for source in [sensor("s"), capture(1)] {
        save(&mut State::open(&path).unwrap(), &source, &all, &[(one, host(vec![line(&second, "old", 3)]))]);
        let mut state = State::open(&path).unwrap();
        if let Source::Sensor { .. } = source {
            let mut numbers = origins();
            let mut counts = Vec::new();
            state.load(&source, &few, &mut numbers, |_, record, _| counts.push(record.line_count())).unwrap();
            assert_eq!(counts, [0]);
        }
        save(&mut state, &source, &few, &[(one, host(vec![line(&first, "new", 7)]))]);
        let lines = |set: &SignatureSet| -> Vec<StoredLine> { loaded(&path, &source, set)[0].1.lines.clone() };
        assert_eq!(lines(&few), [line(&first, "new", 7)]);
        assert_eq!(lines(&all), [line(&second, "old", 3), line(&first, "new", 7)]);
    }
}

#[test]
fn a_set_that_comes_while_the_sensor_runs_destroys_nothing() {
    let (_folder, path) = folder();
    let (_, second) = ids();
    let (all, few) = (builtin(), smaller());
    let one = key("10.0.0.1", None, None);
    save(&mut State::open(&path).unwrap(), &sensor("s"), &all, &[(one, host(vec![line(&second, "x", 3)]))]);
    let mut state = State::open(&path).unwrap();
    state.load(&sensor("s"), &few, &mut origins(), |_, _, _| ()).unwrap();
    // The sensor never heard of the earlier line, and sees the same again with a set that knows it: twice.
    for _ in 0..2 {
        save(&mut state, &sensor("s"), &all, &[(one, host(vec![line(&second, "x", 30)]))]);
    }
    let lines = &loaded(&path, &sensor("s"), &all)[0].1.lines;
    assert_eq!(lines.len(), 1);
    assert_eq!((lines[0].count, lines[0].first_seen, lines[0].last_seen), (4, Timestamp(3), Timestamp(35)));
}

#[test]
fn counts_beyond_what_a_file_can_hold_stay_at_the_largest() {
    let (_folder, path) = folder();
    let mut large = host(vec![StoredLine { count: u64::MAX, ..line(&ids().0, "x", 3) }]);
    large.bytes_sent = u64::MAX;
    let one = key("10.0.0.1", None, None);
    save(&mut State::open(&path).unwrap(), &sensor("s"), &builtin(), &[(one, large.clone())]);
    save(&mut State::open(&path).unwrap(), &sensor("t"), &builtin(), &[(one, large)]);
    let most = u64::try_from(i64::MAX).unwrap();
    let stored = &loaded(&path, &sensor("s"), &builtin())[0].1;
    assert_eq!((stored.bytes_sent, stored.lines[0].count), (most, most));
    let report = State::open(&path).unwrap().listing(&builtin(), &HostFilter::default()).unwrap();
    assert_eq!(report.hosts[0].bytes_sent, 2 * most);
}

#[test]
fn a_damaged_row_is_said_and_left() {
    let (_folder, path) = folder();
    let one = key("10.0.0.1", None, None);
    save(&mut State::open(&path).unwrap(), &sensor("s"), &builtin(), &[(one, host(vec![line(&ids().0, "x", 3)]))]);
    let damage = Connection::open(&path).unwrap();
    damage.execute("UPDATE record SET address = 'x'", []).unwrap();
    let error = State::open_to_read(&path).unwrap().listing(&builtin(), &HostFilter::default()).unwrap_err();
    assert!(matches!(error, StateError::Damaged { .. }), "{error}");
    damage.execute("UPDATE record SET address = '10.0.0.1', flows = -1", []).unwrap();
    let report = State::open_to_read(&path).unwrap().listing(&builtin(), &HostFilter::default()).unwrap();
    assert_eq!(report.hosts[0].flows, 0);
}

#[test]
fn only_its_user_may_read_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let (_folder, path) = folder();
    let _state = State::open(&path).unwrap();
    for file in [path.clone(), beside(&path, "-wal"), beside(&path, "-shm")] {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{}", file.display());
    }
}

/// Whoever looks while another makes the file sees nothing of it, or all: never a half that looks like somebody else's.
#[test]
fn a_file_in_the_making_is_nobody_elses() {
    for _ in 0..100 {
        let (_folder, path) = folder();
        let start = std::sync::Barrier::new(3);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    start.wait();
                    State::open(&path).unwrap();
                });
            }
        });
        State::open_to_read(&path).unwrap();
    }
}

#[test]
fn a_name_of_a_file_has_no_other_meaning() {
    let folder = tempfile::tempdir().unwrap();
    for name in [":memory:", "file:a?mode=memory", "a%41.state"] {
        let path = folder.path().join(name);
        drop(State::open(&path).unwrap());
        assert!(path.metadata().unwrap().len() > 0, "{name}");
        reader(&path, &immutable(&path).unwrap()).unwrap();
    }
}

#[test]
fn link_layer_addresses_come_back_and_show_routers_together() {
    let (_folder, path) = folder();
    let set = builtin();
    let with = |links: Vec<LinkAddress>| StoredHost { links, ..host(vec![line(&ids().0, "x", 3)]) };
    let second = 1_000_000_000;
    let hosts = [
        (key("10.0.0.1", None, None), with(vec![link(1, 0, second)])),
        (key("10.0.0.2", None, None), with(vec![LinkAddress { is_next_hop: true, ..link(2, 0, second) }])),
        (key("10.0.0.3", None, None), with(vec![link(2, 99 * second, 7200 * second)])),
        (key("10.0.0.4", None, None), with(vec![link(3, 0, second), link(4, 9 * second, 10 * second)])),
    ];
    save(&mut State::open(&path).unwrap(), &sensor("s"), &set, &hosts);
    // What another source saw at about the same time.
    let neighbour = [(key("10.0.0.5", None, None), with(vec![link(1, 5 * second, 5 * second)]))];
    save(&mut State::open(&path).unwrap(), &sensor("t"), &set, &neighbour);
    assert_eq!(loaded(&path, &sensor("s"), &set), hosts);
    let state = State::open_to_read(&path).unwrap();
    let told = |filter: &HostFilter| -> Vec<_> {
        let report = state.listing(&set, filter).unwrap();
        assert_eq!(report.in_all, 5);
        let last = |mac: Option<MacAddress>| mac.map(|mac| mac.0[5]);
        report
            .hosts
            .iter()
            .map(|host| (host.host.address.to_string(), last(host.mac), last(host.next_hop_mac)))
            .collect()
    };
    let all = told(&HostFilter::default());
    let expected =
        [("1", None, Some(1)), ("2", None, Some(2)), ("3", None, Some(2)), ("4", Some(4), None), ("5", None, Some(1))];
    assert_eq!(all, expected.map(|(last, mac, hop)| (format!("10.0.0.{last}"), mac, hop)));
    // Whoever is asked for alone has the same neighbours.
    for host in &all {
        let only = HostFilter { addresses: vec![host.0.parse().unwrap()], ..HostFilter::default() };
        assert_eq!(told(&only), std::slice::from_ref(host));
    }
}

/// A file of the first version, as that version wrote it.
#[test]
fn a_file_of_the_first_version_is_taken_up() {
    let (_folder, path) = folder();
    let set = builtin();
    let old = Connection::open(&path).unwrap();
    old.execute_batch(include_str!("version_1.sql")).unwrap();
    old.pragma_update(None, "application_id", 0x4b61_7370).unwrap();
    old.pragma_update(None, "user_version", 1).unwrap();
    old.execute_batch(
        "INSERT INTO source VALUES (1, 'sensor', 's', 's', '', '', '0.1.0', 0);
         INSERT INTO input VALUES (1, 'eth0');
         INSERT INTO record (source, address, vlan, mac, first_seen, last_seen, flows, bytes_sent, bytes_received, given_up)
         VALUES (1, '10.0.0.7', 12, '02:00:00:00:00:07', 5, 9, 1, 2, 3, 0),
                (1, '2001:db8::7', NULL, NULL, 5, 9, 1, 2, 3, 0)",
    )
    .unwrap();
    for record in [1, 2] {
        old.execute(
            "INSERT INTO evidence (record, indicator, seen_as, reached, field, observed, count, first_seen, last_seen, server,
             server_port, relayed, role, input, packet)
             VALUES (?1, ?2, 'contact', 'established', 'tls.sni', 'x', 1, 5, 9, '192.0.2.1', 443, 0, 'endpoint', 1, 1)",
            params![record, ids().0],
        )
        .unwrap();
    }
    drop(old);
    // Who only reads leaves it as it is.
    let before = std::fs::read(&path).unwrap();
    assert_eq!(State::open_to_read(&path).unwrap().listing(&set, &HostFilter::default()).unwrap().hosts.len(), 2);
    assert_eq!(std::fs::read(&path).unwrap(), before);
    let hosts = loaded(&path, &sensor("s"), &set);
    let macs: Vec<_> = hosts.iter().map(|(host, stored)| (host.address.to_string(), stored.links.clone())).collect();
    let known = LinkAddress { mac: MacAddress([2, 0, 0, 0, 0, 7]), ..link(0, 5, 9) };
    assert_eq!(macs, [("10.0.0.7".to_owned(), vec![known]), ("2001:db8::7".to_owned(), vec![])]);
    let state = State::open_to_read(&path).unwrap();
    for range in ["10.0.0.0/8", "2001:db8::/32"] {
        let only = HostFilter { addresses: vec![range.parse().unwrap()], ..HostFilter::default() };
        assert_eq!(state.listing(&set, &only).unwrap().hosts.len(), 1, "{range}");
    }
}

/// A file that the last program with version 2 wrote: six captures, then a sensor.
#[test]
fn a_file_of_the_second_version_is_taken_up() {
    let (_folder, path) = folder();
    let set = builtin();
    let old = Connection::open(&path).unwrap();
    old.execute_batch(include_str!("written_by_version_2.sql")).unwrap();
    old.pragma_update(None, "application_id", 0x4b61_7370).unwrap();
    old.pragma_update(None, "user_version", 2).unwrap();
    drop(old);
    let told = |state: &State| {
        let report = state.listing(&set, &HostFilter::default()).unwrap();
        let told = |host: &kaspector::matching::HostFinding| {
            format!("{} {} {} {}", host.host.address, host.verdict.name(), host.role.name(), host.evidence.len())
        };
        (report.sources.len(), report.hosts.iter().map(told).collect::<Vec<_>>())
    };
    let before = told(&State::open_to_read(&path).unwrap());
    assert_eq!(before.0, 7);
    assert_eq!(
        before.1,
        [
            "10.20.0.5 confirmed endpoint 9",
            "10.20.0.5 confirmed endpoint 2",
            "192.0.2.1 confirmed endpoint 2",
            "2001:db8:20::7 confirmed endpoint 2",
            "10.20.0.53 suspected relay 1",
            "10.20.0.80 suspected relay 2",
        ]
    );
    let mut known = Vec::new();
    let mut state = State::open(&path).unwrap();
    state
        .load(&sensor("sensor-01"), &set, &mut Origins::default(), |host, _, silence| known.push((host, silence)))
        .unwrap();
    assert_eq!(known, [(key("10.20.0.5", None, None), None), (key("2001:db8:20::7", None, None), None)]);
    drop(state);
    assert_eq!(told(&State::open_to_read(&path).unwrap()), before);
}

#[test]
fn what_silence_was_told_is_kept_until_the_host_shows_itself() {
    let (_folder, path) = folder();
    let (first, _) = ids();
    let hosts = [key("10.0.0.1", Some(7), None), key("10.0.0.2", None, None)];
    let mut state = State::open(&path).unwrap();
    let all = hosts.map(|host_key| (host_key, host(vec![line(&first, "x", 3)])));
    save(&mut state, &sensor("s"), &builtin(), &all);
    save(&mut state, &sensor("t"), &builtin(), &all);
    let kept = |state: &mut State, name: &str| {
        let mut kept = Vec::new();
        state.load(&sensor(name), &builtin(), &mut origins(), |_, _, silence| kept.push(silence)).unwrap();
        kept
    };
    state.note_silences(&sensor("s"), [(hosts[0], Some(Timestamp(8)))]).unwrap();
    // What is saved of a host later says nothing of its silence.
    save(&mut state, &sensor("s"), &builtin(), &all);
    assert_eq!((kept(&mut state, "s"), kept(&mut state, "t")), (vec![Some(Timestamp(8)), None], vec![None, None]));
    state.note_silences(&sensor("s"), [(hosts[0], None)]).unwrap();
    assert_eq!(kept(&mut state, "s"), [None, None]);
}

/// The database leaves out nobody whom the filter would accept, and the filter nobody else.
#[test]
fn what_the_database_chooses_is_what_the_filter_chooses() {
    let (_folder, path) = folder();
    let (all, few) = (builtin(), smaller());
    let mut indicators: Vec<&kaspector::matching::Indicator> = all.iter().collect();
    indicators.sort_by_key(|indicator| (indicator.category, indicator.strength));
    indicators.dedup_by_key(|indicator| (indicator.category, indicator.strength));
    let mut hosts = Vec::new();
    for (number, indicator) in (0_u8..).zip(&indicators) {
        for (kind, seen_as) in (0_u64..).zip(SeenAs::ALL) {
            let role = if kind == 1 { Role::Server } else { Role::Endpoint };
            let mut one = line(&indicator.id, "x", 100 * u64::from(number));
            (one.seen_as, one.role) = (seen_as, role);
            let two = line(&indicators[0].id, "y", 7);
            let address = if kind == 2 { format!("2001:db8:{number:x}::1") } else { format!("10.{kind}.{number}.1") };
            let lines = if number % 5 == 4 { vec![one, two] } else { vec![one] };
            hosts.push((key(&address, (number % 3 == 0).then_some(u16::from(number)), None), host(lines)));
        }
    }
    let mut state = State::open(&path).unwrap();
    save(&mut state, &sensor("s"), &all, &hosts);
    save(&mut state, &sensor("t"), &all, &hosts[..20]);
    // Evidence that the latest set of a sensor did not know.
    state.load(&sensor("t"), &few, &mut origins(), |_, _, _| ()).unwrap();
    save(&mut state, &sensor("t"), &few, &hosts[..9]);
    let state = State::open_to_read(&path).unwrap();
    for set in [&all, &few] {
        let whole = state.listing(set, &HostFilter::default()).unwrap();
        for parts in 2..6 {
            let in_parts = state.listing_in_parts(set, &HostFilter::default(), parts).unwrap();
            assert_eq!((in_parts.hosts, in_parts.in_all), (whole.hosts.clone(), whole.in_all), "{parts} connections");
        }
        let mut filters = vec![HostFilter { since: Some(Timestamp(505)), ..HostFilter::default() }];
        for verdict in [Verdict::Confirmed, Verdict::Suspected, Verdict::Browsing] {
            filters.push(HostFilter { verdict: Some(verdict), ..HostFilter::default() });
        }
        for indicator in &indicators {
            filters.push(HostFilter { categories: vec![indicator.category], ..HostFilter::default() });
            let products = indicator.products.first().map(|name| name.to_uppercase()).into_iter().collect();
            filters.push(HostFilter { products, ..HostFilter::default() });
        }
        for roles in [vec![Role::Server], vec![Role::Endpoint], vec![Role::Server, Role::Gateway], vec![Role::Relay]] {
            filters.push(HostFilter { roles, ..HostFilter::default() });
        }
        for ranges in [&["10.0.3.1"][..], &["10.1.0.0/16", "2001:db8::/33"], &["0.0.0.0/0"], &["::/0"]] {
            let addresses = ranges.iter().map(|range| range.parse().unwrap()).collect();
            filters.push(HostFilter { addresses, ..HostFilter::default() });
        }
        filters.push(HostFilter { vlans: vec![3, 6], ..HostFilter::default() });
        for at in [7, 12, 13, 205, 500, 505, 506] {
            filters.push(HostFilter { not_since: Some(Timestamp(at)), ..HostFilter::default() });
            filters.push(HostFilter { until: Some(Timestamp(at)), ..HostFilter::default() });
        }
        let both = |a: &HostFilter, b: &HostFilter| HostFilter {
            verdict: a.verdict.or(b.verdict),
            since: a.since.or(b.since),
            not_since: a.not_since.or(b.not_since),
            until: a.until.or(b.until),
            categories: [&a.categories[..], &b.categories].concat(),
            products: [&a.products[..], &b.products].concat(),
            addresses: [&a.addresses[..], &b.addresses].concat(),
            roles: [&a.roles[..], &b.roles].concat(),
            vlans: [&a.vlans[..], &b.vlans].concat(),
        };
        let pairs: Vec<HostFilter> = filters.iter().zip(filters.iter().rev()).map(|(a, b)| both(a, b)).collect();
        let mut chosen_ever = 0;
        for filter in filters.iter().chain(&pairs) {
            let listed = state.listing(set, filter).unwrap();
            let expected: Vec<HostKey> =
                whole.hosts.iter().filter(|host| filter.accepts(host)).map(|host| host.host).collect();
            assert_eq!(listed.hosts.iter().map(|host| host.host).collect::<Vec<_>>(), expected, "{filter:?}");
            assert_eq!(listed.in_all, whole.hosts.len());
            chosen_ever += usize::from(!expected.is_empty() && expected.len() < whole.hosts.len());
        }
        assert!(chosen_ever > 20 || std::ptr::eq(set, &few), "{chosen_ever}");
    }
}
