//! The callbacks of an EVE file type, as far as both versions have them alike. Pointers become references here, and no panic passes.

#![allow(unsafe_code)]

use super::engine::{ConfNode, Engine, Level};
use super::instance::Instance;
use super::settings::Settings;
use std::ffi::{c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `work`; if it panics, says so in Suricata's log and gives `otherwise`.
pub fn guarded<T>(otherwise: T, work: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        let _ = catch_unwind(|| {
            Engine::running().log(Level::Error, "a defect in the plugin; this output is quiet from now on")
        });
        otherwise
    })
}

/// Begins an output of the configuration. An output that cannot be begun is quiet, and Suricata goes on.
///
/// # Safety
/// `node` is the node of the output or null; `init_data` points to where a pointer may be written.
pub unsafe fn init(node: *mut ConfNode, init_data: *mut *mut c_void) -> c_int {
    // SAFETY: by the caller's promise.
    unsafe { *init_data = std::ptr::null_mut() };
    guarded(0, || {
        let engine = Engine::running();
        // SAFETY: by the caller's promise.
        let settings = Settings::read(|name| unsafe { engine.child_value(node, name) }, engine.log_folder());
        match settings.and_then(Instance::start) {
            // SAFETY: as above.
            Ok(instance) => unsafe { *init_data = Box::into_raw(Box::new(instance)).cast() },
            Err(why) => engine.log(Level::Error, &format!("{why}; nothing is detected by this output")),
        }
        0
    })
}

/// Takes a record.
///
/// # Safety
/// `init_data` is what [`init`] wrote and was not given to [`deinit`]; `record` points to `length` bytes.
pub unsafe fn write(record: *const c_char, length: c_int, init_data: *const c_void) -> c_int {
    // SAFETY: by the caller's promise; null if the output could not be begun.
    let Some(instance) = (unsafe { init_data.cast::<Instance>().as_ref() }) else { return 0 };
    let Some(length) = usize::try_from(length).ok().filter(|_| !record.is_null()) else { return 0 };
    if instance.is_quiet() {
        return 0;
    }
    let taken = guarded(false, || {
        // SAFETY: by the caller's promise.
        instance.write(unsafe { std::slice::from_raw_parts(record.cast(), length) });
        true
    });
    if !taken {
        instance.be_quiet();
    }
    0
}

/// Ends an output: what is in the queue is still read.
///
/// # Safety
/// `init_data` is what [`init`] wrote, and nobody uses it any more.
pub unsafe fn deinit(init_data: *mut c_void) {
    if init_data.is_null() {
        return;
    }
    guarded((), || {
        // SAFETY: made by `Box::into_raw` in `init`, and given here once.
        let instance = unsafe { Box::from_raw(init_data.cast::<Instance>()) };
        instance.stop();
    });
}
