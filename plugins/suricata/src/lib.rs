//! The detector as a plugin of Suricata 7 and 8: an EVE file type `kaspector`, chosen by `filetype: kaspector` of an `eve-log`.
//!
//! In:    the EVE records that Suricata writes, on its own threads.
//! Out:   alerts as EVE lines into a file or a socket; in Suricata 8 also an object `kaspector` in the records that match.
//! Never: makes a thread of Suricata wait, unwinds into Suricata, or ends it.

#![allow(unsafe_code)] // The one symbol that Suricata looks for.

mod border;
mod engine;
mod instance;
mod mark;
mod output;
mod settings;
mod suricata7;
mod suricata8;
mod worker;

use engine::{Engine, Level};
use std::ffi::c_void;

/// What Suricata calls when it has loaded the library: gives a description of the plugin in the form of the version that runs.
#[unsafe(no_mangle)]
pub extern "C" fn SCPluginRegister() -> *const c_void {
    border::guarded(std::ptr::null(), || {
        let engine = Engine::running();
        match engine.version() {
            Some(version) if version.starts_with("7.") => suricata7::plugin(),
            Some(version) if version.starts_with("8.") => suricata8::plugin(),
            other => {
                let found = other.unwrap_or_else(|| "a program that does not say which".to_owned());
                let refusal = format!("this is {found}; the plugin is for Suricata 7 and 8, and does nothing here");
                engine.log(Level::Error, &refusal);
                // What is given has to have the form of the program that asks: the newer one begins with a number.
                if engine.has_versioned_plugins() { suricata8::inert() } else { suricata7::inert() }
            }
        }
    })
}
