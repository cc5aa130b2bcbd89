//! The house stays tidy: rooms name only rooms above them, signatures are compiled in, and nothing names what it should not.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Packages of several rooms, by folder, and the rooms of each: lowest first, so that a room names only those before it. What a package may
/// name at all is held by Cargo.
const HOUSES: [(&str, &[&str]); 2] = [
    ("src", &["capture", "decode", "flow", "inspect", "matching", "pipeline"]),
    (
        "src/program",
        &[
            "inputs", "process", "sandbox", "scan", "evidence", "state", "status", "web", "config", "sensor", "top",
            "cli", "commands",
        ],
    ),
];

/// The manifest of each package.
fn manifests() -> Vec<String> {
    let folders = ["src", "plugins"].into_iter().flat_map(|folder| fs::read_dir(root().join(folder)).unwrap());
    let of_folders = folders.map(|entry| entry.unwrap().path().join("Cargo.toml")).filter(|path| path.exists());
    [root().join("Cargo.toml")].into_iter().chain(of_folders).map(|path| fs::read_to_string(path).unwrap()).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &str) -> Vec<PathBuf> {
    walkdir::WalkDir::new(root().join(folder))
        .into_iter()
        .map(|entry| entry.unwrap().into_path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

/// The room of a file below the folder of a package; `None` for the files that only list rooms, and for other packages.
fn room_of(path: &Path, (house, floors): (&str, &[&str])) -> Option<usize> {
    let inside = path.strip_prefix(root().join(house)).unwrap();
    let first = inside.components().next()?.as_os_str().to_str()?;
    let room = first.strip_suffix(".rs").unwrap_or(first);
    floors.iter().position(|&name| name == room)
}

/// Rooms that a text names, as `crate::room` or inside `crate::{...}`.
fn rooms_named(text: &str) -> Vec<String> {
    let mut named = Vec::new();
    // What tests and documentation name is no dependency of the room.
    let code: String = text
        .split("#[cfg(test)]\nmod tests")
        .next()
        .unwrap()
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n");
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let list = match rest.strip_prefix('{') {
            Some(inside) => inside.split('}').next().unwrap(),
            None => rest,
        };
        let parts = if rest.starts_with('{') { list.split(',').collect() } else { vec![list] };
        for part in parts {
            let name: String = part.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            named.push(name);
        }
    }
    named
}

#[test]
fn rooms_name_only_rooms_above_them() {
    let mut broken = Vec::new();
    for house in HOUSES {
        for path in rust_files(house.0) {
            let Some(room) = room_of(&path, house) else { continue };
            if path.file_name().is_some_and(|name| name == "tests.rs") {
                continue;
            }
            for other in rooms_named(&fs::read_to_string(&path).unwrap()) {
                if house.1.iter().position(|&name| name == other).is_some_and(|height| height > room) {
                    broken.push(format!("{}: names {other}, which stands below it", path.display()));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// Who embeds the detector owns the terminal, the clock, the threads and the end of the process.
#[test]
fn the_detector_neither_prints_nor_ends_the_process_nor_reads_a_clock() {
    let owned_by_the_program = [
        "println!",
        "eprintln!",
        "print!(",
        "dbg!(",
        "stdout()",
        "stderr()",
        "process::exit",
        "process::abort",
        "SystemTime",
        "Instant",
        "env::var",
        "thread::spawn",
    ];
    let (house, rooms) = HOUSES[0];
    let files =
        rooms.iter().flat_map(|room| rust_files(&format!("{house}/{room}"))).chain([root().join("src/pipeline.rs")]);
    let mut read = 0;
    for path in files.filter(|path| path.file_name().is_some_and(|name| name != "tests.rs")) {
        read += 1;
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("mod tests {").next().unwrap();
        for (number, line) in code.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
            let named = owned_by_the_program.iter().find(|name| line.contains(**name));
            assert!(named.is_none(), "{}:{}: {}", path.display(), number + 1, named.unwrap());
        }
    }
    assert!(read > 100, "{read} files of the detector were read");
}

#[test]
fn every_room_opens_with_its_contract() {
    let of_house = |(house, floors): (&str, &[&str])| -> Vec<PathBuf> {
        floors.iter().map(|room| root().join(house).join(room).join("mod.rs")).collect()
    };
    let packages =
        ["live", "report", "export", "delivery", "logs"].map(|package| root().join("src").join(package).join("lib.rs"));
    for path in HOUSES.into_iter().flat_map(of_house).chain(packages).filter(|path| path.exists()) {
        let text = fs::read_to_string(&path).unwrap();
        for word in ["//! In:", "//! Out:", "//! Never:"] {
            assert!(text.contains(word), "{} lacks {word}", path.display());
        }
    }
}

/// Packages name what their manifests say, rooms what [`HOUSES`] lets them: the drawing shows both, and no more.
#[test]
fn the_drawing_of_the_architecture_shows_the_floors() {
    let page = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let drawing = page.split("```mermaid").nth(1).unwrap().split("```").next().unwrap();
    let drawn: BTreeSet<Vec<&str>> = drawing
        .lines()
        .filter(|line| line.contains("-->"))
        .map(|line| line.split("-->").map(str::trim).collect())
        .collect();
    let manifests = manifests();
    assert!(manifests.len() >= 6, "{}", manifests.len());
    let mut floors: BTreeSet<Vec<&str>> =
        HOUSES.iter().map(|(_, rooms)| rooms.iter().rev().copied().collect()).collect();
    for manifest in &manifests {
        let (_, package) =
            manifest.split_once("\n[package]\nname = \"").or_else(|| manifest.split_once("name = \"")).unwrap();
        let package = package.split('"').next().unwrap();
        let dependencies = manifest.split("\n[dependencies]\n").nth(1).unwrap().split("\n[").next().unwrap();
        let names = dependencies.lines().filter_map(|line| line.split(['.', ' ']).next());
        floors.extend(names.filter(|name| name.starts_with("kaspector")).map(|name| vec![package, name]));
    }
    assert_eq!(drawn, floors);
}

/// Cargo finds no target by itself here: those of several packages stand in one folder.
#[test]
fn every_test_bench_and_example_belongs_to_a_package() {
    let manifests = manifests().concat();
    for folder in ["tests", "benches", "examples"] {
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let listed = manifests.matches(&format!("{folder}/{name}\"")).count();
            assert!(listed == 1 || !name.ends_with(".rs"), "{folder}/{name} stands in {listed} manifests");
        }
    }
}

#[test]
fn unsafe_code_stands_where_it_is_explained() {
    let elsewhere = ["examples", "benches", "plugins"].into_iter().flat_map(rust_files);
    for path in rust_files("src").into_iter().chain(elsewhere) {
        let text = fs::read_to_string(&path).unwrap();
        let blocks = text.matches("unsafe {").count();
        let reasons = text.matches("// SAFETY:").count();
        assert!(blocks <= reasons, "{}: {blocks} unsafe blocks, {reasons} reasons", path.display());
        if text.contains("allow(unsafe_code)") {
            let name = path.strip_prefix(root()).unwrap().display().to_string();
            let known = [
                "benches/traffic/arrivals.rs",
                "benches/traffic/wire.rs",
                "examples/confined.rs",
                "plugins/c/benches/c_interface.rs",
                "plugins/c/src/handle.rs",
                "plugins/c/src/lib.rs",
                "plugins/c/src/options.rs",
                "plugins/c/src/packets.rs",
                "plugins/c/tests/misuse.rs",
                "plugins/suricata/src/border.rs",
                "plugins/suricata/src/engine.rs",
                "plugins/suricata/src/lib.rs",
                "plugins/suricata/src/suricata7.rs",
                "plugins/suricata/src/suricata8.rs",
                "src/live/mapping.rs",
                "src/live/socket.rs",
                "src/capture/prefetch.rs",
                "src/flow/pages.rs",
                "src/flow/table/bucket.rs",
                "src/inspect/quic/ghash.rs",
                "src/program/memory.rs",
                "src/delivery/transport/send_queue.rs",
            ];
            assert!(known.contains(&name.as_str()), "{name}: a new place for unsafe code needs a line here");
        }
    }
}

#[test]
fn every_link_of_the_documentation_leads_somewhere() {
    let mut dead = Vec::new();
    let pages = walkdir::WalkDir::new(root())
        .into_iter()
        .filter_entry(|entry| !matches!(entry.file_name().to_str(), Some("target" | ".git" | "corpus")))
        .map(|entry| entry.unwrap().into_path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        for link in text.split("](").skip(1) {
            let target = link.split([')', '#', ' ']).next().unwrap();
            let is_local = !target.is_empty() && !target.contains("://") && !target.starts_with("mailto:");
            if is_local && !page.parent().unwrap().join(target).exists() {
                dead.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(dead.is_empty(), "{}", dead.join("\n"));
}
