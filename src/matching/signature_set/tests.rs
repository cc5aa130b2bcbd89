//! Whole sets: as they are compiled in, as one succeeds another, and by their digest.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;
use crate::matching::{Category, Strength};

/// An indicator with that value, and nothing else of interest.
pub fn indicator(kind: MatchKind, value: &str) -> Indicator {
    Indicator {
        id: "KL-UPD-0001".to_owned(),
        kind,
        value: value.to_owned(),
        literal: None,
        also: Vec::new(),
        tls_version: None,
        ports: Vec::new(),
        category: Category::Update,
        strength: Strength::Installed,
        products: Vec::new(),
        engine_in: Vec::new(),
        era: String::new(),
        sources: vec!["https://example.com".to_owned()],
        date: "2026-11-23".to_owned(),
        note: String::new(),
        rev: 1,
    }
}

#[test]
fn the_compiled_in_files_are_those_of_the_folder() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("signatures");
    let mut found: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| format!("signatures/{}", entry.unwrap().file_name().into_string().unwrap()))
        .collect();
    found.sort();
    assert_eq!(found, BUILTIN.iter().map(|(path, _)| (*path).to_owned()).collect::<Vec<_>>());
}

#[test]
fn the_compiled_in_files_pass_every_check() {
    let checked = SignatureSet::from_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("signatures")).unwrap();
    assert_eq!(checked.sha256(), SignatureSet::builtin().sha256());
}

#[test]
fn a_set_may_be_shared_between_threads() {
    fn shared<T: Send + Sync + std::fmt::Debug>(_: &T) {}
    shared(&SignatureSet::default());
}

#[test]
fn the_digest_sees_every_field_and_no_order() {
    let one = indicator(MatchKind::Exact, "a.example.com");
    let other = Indicator { id: "KL-UPD-0002".to_owned(), ..indicator(MatchKind::Exact, "b.example.com") };
    let pair = [one.clone(), other.clone()];
    assert_eq!(digest(&pair), digest(&[other.clone(), one.clone()]));
    let noted = Indicator { note: "x".to_owned(), ..other };
    assert_ne!(digest(&pair), digest(&[one, noted]));
}

/// A set of these, read from a folder.
fn set_of(values: &[(&str, &str)]) -> SignatureSet {
    let folder = tempfile::tempdir().unwrap();
    let text: String = values
        .iter()
        .map(|(id, value)| {
            format!(
                "[[indicator]]\nid = \"{id}\"\nmatch = \"exact\"\nvalue = \"{value}\"\ncategory = \"update\"\n\
                 strength = \"installed\"\nproducts = [\"x\"]\nera = \"2020-\"\nsources = [\"https://example.com\"]\n\
                 date = 2026-11-23\n"
            )
        })
        .collect();
    std::fs::write(folder.path().join("set.toml"), text).unwrap();
    SignatureSet::from_folder(folder.path()).unwrap()
}

#[test]
fn a_set_that_succeeds_another_keeps_its_numbers_and_what_it_found() {
    let first = set_of(&[("KL-UPD-0001", "a.example.com"), ("KL-UPD-0002", "b.example.com")]);
    let [one, two] = ["a.example.com", "b.example.com"].map(|name| first.match_name(name).unwrap());
    let fresh = || set_of(&[("KL-UPD-0003", "c.example.com"), ("KL-UPD-0002", "b2.example.com")]);
    let second = fresh().succeed(&first).unwrap();
    assert_eq!(second.sha256(), fresh().sha256(), "it says the same as when it had come first");
    assert_eq!((second.len(), second.iter().count()), (2, 2));
    assert_eq!(second.match_name("a.example.com"), None);
    assert!(second.find("KL-UPD-0001").is_none());
    assert_eq!(second.get(one).id, "KL-UPD-0001");
    assert_eq!(second.match_name("b.example.com"), None, "it has another value now");
    assert_eq!(second.match_name("b2.example.com"), Some(two));
    let three = second.match_name("c.example.com").unwrap();
    assert_eq!(second.get(three).id, "KL-UPD-0003");
    assert!(three != one && three != two);
    let third = set_of(&[("KL-UPD-0001", "a.example.com")]).succeed(&second).unwrap();
    assert_eq!(third.match_name("a.example.com"), Some(one), "back under its number");
    assert_eq!(third.get(three).id, "KL-UPD-0003");
}

#[test]
#[ignore = "a measurement, not a check: cargo test --release -- --ignored --nocapture cost"]
fn cost_of_ordinary_traffic() {
    let set = SignatureSet::builtin();
    let names = [
        "www.google.com",
        "login.microsoftonline.com",
        "a.very.long.name.of.some.content.network.example.net",
        "x.co.uk",
    ];
    let paths =
        ["/", "/v9/windowsupdate/redir/muv4wuredir.cab", "/filestreamingservice/files/5f7c2a3e-2b1d-4e2d-9f0e-3a"];
    let addresses: Vec<IpAddr> =
        ["142.250.74.36", "10.0.0.1", "2a00:1450:4001::1"].map(|text| text.parse().unwrap()).into();
    let agent = b"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";
    let rounds = 2_000_000_usize;
    let report = |what: &str, run: &dyn Fn(usize) -> bool| {
        let start = std::time::Instant::now();
        let hits = (0..rounds).filter(|&round| run(std::hint::black_box(round))).count();
        println!("{what}: {:.1} ns, {hits} hits", start.elapsed().as_nanos() as f64 / rounds as f64);
    };
    report("name", &|round| set.match_name(names[round % names.len()]).is_some());
    report("name that matches", &|_| set.match_name(std::hint::black_box("s07.upd.kaspersky.com")).is_some());
    report("address", &|round| set.match_address(addresses[round % addresses.len()]).is_some());
    report("path", &|round| set.match_path(paths[round % paths.len()].as_bytes()).is_some());
    report("user agent", &|_| set.match_user_agent(std::hint::black_box(agent)).is_some());
}
