#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use super::*;
use crate::decode::{MacAddress, Zone};
use crate::matching::{Field, Position, Reached, Role, SeenAs, StoredHost, StoredLine, StoredNames};

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
        reached: Reached::DataExchanged,
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

fn host(lines: Vec<StoredLine>) -> StoredHost {
    StoredHost {
        mac: Some(MacAddress([0, 1, 0xfe, 3, 4, 5])),
        lines,
        flows: 4,
        bytes_sent: 5,
        bytes_received: 6,
        resolves: StoredNames { names: vec!["a.example".into(), "b\u{1b}.example".into()], overflowed: false },
        connects: StoredNames { names: vec![], overflowed: true },
        hop_limits: [(Some(Timestamp(1)), true), (None, false), (Some(Timestamp(2)), true)],
        given_up: 7,
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
    let records = State::open(path).unwrap().load(source, set, &mut origins).unwrap();
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
            let known = state.load(&source, &few, &mut numbers).unwrap();
            assert_eq!(known[0].1.line_count(), 0);
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
    state.load(&sensor("s"), &few, &mut origins()).unwrap();
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
