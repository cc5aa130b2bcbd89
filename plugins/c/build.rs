//! Gives the shared library the name that programs look for at run time: one for each version of its binary interface.

#[path = "src/abi.rs"]
mod abi;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/abi.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libkaspector.so.{}", abi::KASPECTOR_ABI_VERSION);
    }
}
