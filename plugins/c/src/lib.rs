//! The detector for C, and for what calls C: the functions of `include/kaspector.h`.
//!
//! In:    packets and paths of captures, by pointers that are valid during a call.
//! Out:   alerts, hosts and counters as structs that the handle owns; EVE lines and JSON.
//! Never: unwinds into its caller, keeps a pointer that it was given, or has state outside of a handle.

#![allow(unsafe_code, clippy::missing_safety_doc)] // What callers promise stands at the top of the header.

mod abi;
mod handle;
mod options;
mod packets;
mod session;
mod types;
mod views;

pub use abi::KASPECTOR_ABI_VERSION;
pub use handle::Handle;
pub use types::{
    Address, Alert, Counter, CounterKind, Evidence, Host, HostId, Options, Packet, Status, Text, VerdictCode,
};

use handle::Failure;
use options::Settings;
use packets::Packets;
use session::Session;
use std::ffi::c_char;

/// The KASPECTOR_ABI_VERSION that the library was built with. It is the program's own if the program runs at all; programs that load the
/// library by themselves compare.
#[unsafe(no_mangle)]
pub extern "C" fn kaspector_abi_version() -> u32 {
    KASPECTOR_ABI_VERSION
}

/// The version of the library: "0.1.0". Lives as long as the library.
#[unsafe(no_mangle)]
pub extern "C" fn kaspector_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// Fills options with what is the default. `size` is sizeof(kaspector_options). Does nothing if `options` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kaspector_options_init(options: *mut Options, size: usize) {
    if options.is_null() {
        return;
    }
    // SAFETY: the caller has `size` bytes there. All zeros is the default of every option, also of those to come.
    unsafe {
        std::ptr::write_bytes(options.cast::<u8>(), 0, size);
        if size >= size_of::<usize>() {
            (&raw mut (*options).size).write_unaligned(size);
        }
    }
}

/// Makes a detector. `options` may be NULL: the default. If it fails, the detector only tells why, by kaspector_message, and is to be freed
/// all the same.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kaspector_new(options: *const Options, detector: *mut *mut Handle) -> Status {
    if detector.is_null() {
        return Status::KASPECTOR_ERROR_ARGUMENT;
    }
    // SAFETY: options are as their comments say.
    let (handle, status) = Handle::new(|| unsafe { Settings::read(options) }.map(Session::new));
    // SAFETY: not NULL, so it is the caller's variable.
    unsafe { detector.write(Box::into_raw(handle)) };
    status
}

/// Frees a detector and everything that it gave out. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kaspector_free(detector: *mut Handle) {
    // SAFETY: the caller has it from kaspector_new and does not use it again.
    unsafe { Handle::free(detector) }
}

/// What the last call with this detector that failed said; empty if none did. Valid until the next call with the detector.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kaspector_message(detector: *const Handle) -> *const c_char {
    // SAFETY: the caller has it from kaspector_new.
    unsafe { Handle::message(detector) }.data
}

/// Feeds packets, in the order of time. Malformed and cut ones are no errors: kaspector_read_counters tells how many there were.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kaspector_feed(detector: *mut Handle, packets: *const Packet, count: usize) -> Status {
    // SAFETY: the detector is from kaspector_new, `packets` points to `count` packets, and each points to its bytes.
    unsafe {
        Handle::enter(detector, |session| {
            session.feed(Packets::new(packets, count, session.packets() + 1)?);
            Ok(())
        })
    }
}

/// Ends every flow and sums up the hosts of the packets that were fed. The detector is then as new. Alerts that come of it are still to be
/// taken.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kaspector_finish(detector: *mut Handle) -> Status {
    // SAFETY: the detector is from kaspector_new.
    unsafe {
        Handle::enter(detector, |session| {
            session.finish();
            Ok(())
        })
    }
}

/// Reads a capture file to its end: pcap, pcapng and others, also packed ones. Then its hosts, alerts and counters are there, as after
/// kaspector_finish; also those of the part before damage, if the status is KASPECTOR_ERROR_CAPTURE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kaspector_scan(detector: *mut Handle, path: *const c_char) -> Status {
    // SAFETY: the detector is from kaspector_new, and the path ends in a zero byte.
    unsafe {
        Handle::enter(detector, |session| match options::text(path) {
            Some(path) => session.scan(options::path(path)),
            None => Err(Failure::new(Status::KASPECTOR_ERROR_ARGUMENT, "path is NULL")),
        })
    }
}

/// Takes the alerts that were raised since they were taken last. What was taken before is forgotten. `count` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kaspector_take_alerts(detector: *mut Handle, count: *mut usize) -> Status {
    // SAFETY: the detector is from kaspector_new, and `count` is the caller's variable.
    unsafe { counted(detector, count, Session::take_alerts) }
}

/// An alert of those that were taken last, from 0; NULL behind the last. Valid until alerts are taken again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kaspector_alert_at(detector: *const Handle, index: usize) -> *const Alert {
    // SAFETY: the detector is from kaspector_new.
    unsafe { one(detector, |session| session.alert(index)) }
}

/// The same alert as a line of Suricata's EVE JSON, without a newline. Valid until another text is asked for, or alerts are taken again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kaspector_alert_eve(detector: *mut Handle, index: usize, line: *mut Text) -> Status {
    // SAFETY: the detector is from kaspector_new, and `line` is the caller's variable.
    unsafe { text(detector, line, |session| session.alert_eve(index)) }
}

/// How many hosts the input showed that ended last. `count` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kaspector_host_count(detector: *const Handle, count: *mut usize) -> Status {
    // SAFETY: the detector is from kaspector_new, and `count` is the caller's variable.
    unsafe { counted(detector, count, |session| session.host_count()) }
}

/// A host of the input that ended last, from 0: strongest verdict first, then by address. NULL behind the last. Valid until the next
/// input ends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kaspector_host_at(detector: *const Handle, index: usize) -> *const Host {
    // SAFETY: the detector is from kaspector_new.
    unsafe { one(detector, |session| session.host(index)) }
}

/// A piece of evidence of that host, from 0, strongest first; NULL behind the last. Valid as the host is.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kaspector_evidence_at(detector: *const Handle, host: usize, index: usize) -> *const Evidence {
    // SAFETY: the detector is from kaspector_new.
    unsafe { one(detector, |session| session.evidence(host, index)) }
}

/// The same host as JSON, as "kaspector scan --format json" has it. Valid until another text is asked for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kaspector_host_json(detector: *mut Handle, index: usize, json: *mut Text) -> Status {
    // SAFETY: the detector is from kaspector_new, and `json` is the caller's variable.
    unsafe { text(detector, json, |session| session.host_json(index)) }
}

/// Reads the counters: of what was fed since the last end or, if nothing was, of the input that ended last. `count` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kaspector_read_counters(detector: *mut Handle, count: *mut usize) -> Status {
    // SAFETY: the detector is from kaspector_new, and `count` is the caller's variable.
    unsafe { counted(detector, count, Session::read_counters) }
}

/// A counter of those that were read last, from 0; NULL behind the last. Valid until counters are read again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kaspector_counter_at(detector: *const Handle, index: usize) -> *const Counter {
    // SAFETY: the detector is from kaspector_new.
    unsafe { one(detector, |session| session.counter(index)) }
}

/// # Safety
/// `detector` is from kaspector_new, and `count` is NULL or the caller's variable.
unsafe fn counted(detector: *const Handle, count: *mut usize, work: impl FnOnce(&mut Session) -> usize) -> Status {
    let mut counted = 0;
    // SAFETY: as promised above.
    unsafe {
        let status = Handle::enter(detector, |session| {
            counted = work(session);
            Ok(())
        });
        if !count.is_null() {
            count.write(counted);
        }
        status
    }
}

/// # Safety
/// `detector` is from kaspector_new.
unsafe fn one<T>(detector: *const Handle, find: impl FnOnce(&mut Session) -> Option<&T>) -> *const T {
    let mut found = std::ptr::null();
    // SAFETY: as promised above.
    unsafe {
        Handle::enter(detector, |session| {
            found = find(session).map_or(std::ptr::null(), std::ptr::from_ref);
            Ok(())
        });
    }
    found
}

/// # Safety
/// `detector` is from kaspector_new, and `into` is NULL or the caller's variable.
unsafe fn text(
    detector: *const Handle,
    into: *mut Text,
    write: impl FnOnce(&mut Session) -> Result<&[u8], Failure>,
) -> Status {
    // SAFETY: as promised above.
    unsafe {
        if into.is_null() {
            return Handle::enter(detector, |_| {
                Err(Failure::new(Status::KASPECTOR_ERROR_ARGUMENT, "the place for the text is NULL"))
            });
        }
        into.write(Text { data: c"".as_ptr(), len: 0 });
        Handle::enter(detector, |session| {
            let bytes = write(session)?;
            // A zero byte ends them.
            into.write(Text { data: bytes.as_ptr().cast(), len: bytes.len().saturating_sub(1) });
            Ok(())
        })
    }
}
