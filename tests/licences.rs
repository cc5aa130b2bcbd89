//! Every dependency may be used together with ours, MIT OR Apache-2.0, and the detector has few.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use serde_json::Value;
use std::collections::BTreeSet;
use std::process::Command;

/// Licences that ask for no more than their text, or, like the MPL for its own unchanged files, nothing of those who link.
const COMPATIBLE: [&str; 16] = [
    "MIT",
    "MIT-0",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "0BSD",
    "BSL-1.0",
    "CC0-1.0",
    "Unlicense",
    "Unicode-3.0",
    "MPL-2.0",
    "CDLA-Permissive-2.0",
    "bzip2-1.0.6",
];

/// Whether an SPDX expression can be met: every part joined by AND, and at least one of those joined by OR.
fn can_be_met(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ").replace(['(', ')'], " ");
    // Brackets are only ever put around alternatives, which is how we read what stands between two ANDs.
    expression.split(" AND ").all(|part| part.split(" OR ").any(|licence| COMPATIBLE.contains(&licence.trim())))
}

#[test]
fn expressions_are_read_as_meant() {
    assert!(can_be_met("MIT OR GPL-3.0-only"));
    assert!(can_be_met("(MIT OR Apache-2.0) AND Unicode-3.0"));
    assert!(can_be_met("MIT/Apache-2.0"));
    assert!(!can_be_met("MIT AND GPL-3.0-only"));
    assert!(!can_be_met("AGPL-3.0"));
}

#[test]
fn every_dependency_has_a_licence_that_we_can_meet() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 50, "the whole graph is there");
    // A plugin of Suricata's is a work under Suricata's licence. Nothing depends on it.
    let of_suricata = |package: &&Value| package["name"] == "kaspector-suricata";
    assert!(packages.iter().filter(of_suricata).all(|package| package["license"] == "GPL-2.0-only"));
    let depends = |package: &Value| package["dependencies"].as_array().unwrap().iter().any(|one| of_suricata(&one));
    assert!(!packages.iter().any(depends));
    let refused: Vec<String> = packages
        .iter()
        .filter(|package| !of_suricata(package))
        .filter(|package| !package["license"].as_str().is_some_and(can_be_met))
        .map(|package| format!("{} {}: {}", package["name"], package["version"], package["license"]))
        .collect();
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

/// Who embeds the detector takes on what it needs, and nothing that needs another compiler.
#[test]
fn the_detector_brings_few_packages_along() {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "-p", "kaspector", "-e", "normal,build", "--prefix", "none", "--format", "{p}"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let packages: BTreeSet<&str> = text.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(packages.contains("kaspector") && packages.len() <= 40, "{}: {packages:?}", packages.len());
    for builder in ["cc", "cmake", "bindgen", "pkg-config", "tokio", "clap"] {
        assert!(!packages.contains(builder), "{builder}");
    }
}
