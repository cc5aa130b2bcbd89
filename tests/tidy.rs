//! The house stays tidy: rooms name only rooms above them, signatures are compiled in, and nothing names what it should not.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::fs;
use std::path::{Path, PathBuf};

/// The rooms in the order in which a frame travels. `pipeline` stands above `sink` and `supervisor`, which come after it in use.
const FLOORS: [&str; 8] = ["capture", "decode", "flow", "inspect", "matching", "pipeline", "sink", "supervisor"];

/// Rooms that a room may not name although they stand above it.
const CLOSED: [(&str, &str); 1] = [("sink", "pipeline")];

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

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|&name| name == room)
}

/// The room of a file below `src`; `None` for the map and the binary.
fn room_of(path: &Path) -> Option<String> {
    let inside = path.strip_prefix(root().join("src")).unwrap();
    let first = inside.components().next().unwrap().as_os_str().to_str().unwrap();
    let room = first.strip_suffix(".rs").unwrap_or(first);
    floor(room).map(|_| room.to_owned())
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
    for path in rust_files("src") {
        let Some(room) = room_of(&path) else { continue };
        if path.file_name().is_some_and(|name| name == "tests.rs") {
            continue;
        }
        for other in rooms_named(&fs::read_to_string(&path).unwrap()) {
            let Some(height) = floor(&other) else { continue };
            let closed = CLOSED.contains(&(room.as_str(), other.as_str()));
            if height > floor(&room).unwrap() || closed {
                broken.push(format!("{}: {room} names {other}, which stands below it", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_room_opens_with_its_contract() {
    for room in FLOORS.iter().filter(|&&room| room != "pipeline") {
        let text = fs::read_to_string(root().join("src").join(room).join("mod.rs")).unwrap();
        for word in ["//! In:", "//! Out:", "//! Never:"] {
            assert!(text.contains(word), "src/{room}/mod.rs lacks {word}");
        }
    }
}

#[test]
fn unsafe_code_stands_where_it_is_explained() {
    let elsewhere = ["examples", "benches"].into_iter().flat_map(rust_files);
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
                "src/capture/live/mapping.rs",
                "src/capture/live/socket.rs",
                "src/capture/prefetch.rs",
                "src/flow/pages.rs",
                "src/flow/table.rs",
                "src/memory.rs",
                "src/sink/transport/send_queue.rs",
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
