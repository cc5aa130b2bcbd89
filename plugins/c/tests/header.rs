//! The header says what the library has: it is written out of the source, and nobody edits it.

#![allow(clippy::unwrap_used)]

use std::path::Path;

/// What stands above the functions.
const PREAMBLE: &str = "\
/* libkaspector: finds the machines that run Kaspersky software by their traffic. Packets in; alerts, hosts and counters out.
 * Made by cbindgen out of plugins/c/src; do not edit. docs/plugins.md shows how to use it, examples/scan.c a whole program.
 *
 * Pointers. What a function is given is read during the call alone. What it gives belongs to the detector, and is valid until the
 * call that its comment names, or kaspector_free. Nothing but a detector is ever freed. A pointer that is not from kaspector_new, or
 * that was freed, is undefined behaviour, as anywhere in C.
 *
 * Errors. A function returns KASPECTOR_OK or less. kaspector_message then says where, what, and what to do. NULL in the place of a
 * detector is KASPECTOR_ERROR_ARGUMENT.
 *
 * Threads. A detector may move between threads, and is used by one at a time: a second call at once is KASPECTOR_ERROR_BUSY.
 * Different detectors are independent; the library has no state of its own, starts no thread, and installs no handler.
 *
 * Defects. No exception and no panic leaves a function. After a defect the detector answers KASPECTOR_ERROR_PANICKED until it is
 * freed; one line about it goes to standard error. Where the system refuses memory, the process ends, as with most libraries.
 *
 * Growth. Later versions may add fields at the end of structs (not of kaspector_packet and kaspector_text): do not make arrays of them.
 * The detector is licensed under MIT or Apache-2.0.
 */";

#[test]
fn the_header_is_that_of_the_source() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config {
        header: Some(PREAMBLE.to_owned()),
        ..cbindgen::Config::from_file(root.join("cbindgen.toml")).unwrap()
    };
    let mut builder = cbindgen::Builder::new().with_config(config);
    for file in ["abi", "types", "handle", "lib"] {
        builder = builder.with_src(root.join("src").join(file).with_extension("rs"));
    }
    let mut made = Vec::new();
    builder.generate().unwrap().write(&mut made);
    let made = String::from_utf8(made).unwrap();
    let path = root.join("include/kaspector.h");
    if std::env::var_os("UPDATE_HEADER").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == made,
        "include/kaspector.h is not that of the source: UPDATE_HEADER=1 cargo test --test header writes it"
    );
    for function in ["kaspector_new", "kaspector_feed", "kaspector_finish", "kaspector_scan", "kaspector_free"] {
        assert!(
            made.contains(&format!(" {function}(")) || made.contains(&format!("*{function}(")),
            "{function} is missing"
        );
    }
}
