//! Programs of `examples/`, for tests that run them.

use std::path::PathBuf;
use std::process::Command;

/// Builds an example as this test was built, and says where it is.
///
/// `cargo test` built it already; `cargo test --test NAME` did not.
pub fn built(name: &str) -> PathBuf {
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--locked", "--example", name]);
    // The very features of this test: with others, everything would be built a second time.
    if !cfg!(feature = "libpcap") {
        build.arg("--no-default-features");
    }
    if cfg!(feature = "kafka") {
        build.args(["--features", "kafka"]);
    }
    if !cfg!(debug_assertions) {
        build.arg("--release");
    }
    // What cargo told this test of its package; build scripts of dependencies would take it for theirs and run again.
    for (variable, _) in std::env::vars_os() {
        let told =
            variable.to_str().is_some_and(|text| text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_"));
        if told || variable == "CARGO_CRATE_NAME" || variable == "CARGO_BIN_NAME" || variable == "OUT_DIR" {
            build.env_remove(variable);
        }
    }
    assert!(
        build.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).status().unwrap().success(),
        "example {name}"
    );
    // target/PROFILE/deps/TEST
    std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("examples").join(name)
}
