//! Plugin, EVE file type and EVE callback as Suricata 8 declares them (`suricata-plugin.h`, `output-eve.h` of 8.0.8).

#![allow(unsafe_code)]

use super::border;
use super::engine::{ConfNode, Engine, Level, symbol};
use super::mark::{self, Mark};
use kaspector::matching::SignatureSet;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::mem::offset_of;
use std::sync::{Arc, OnceLock};

/// `SC_API_VERSION` of 8.0.
const API_VERSION: u64 = 0x0800;

/// `SCPlugin`.
#[repr(C)]
struct Plugin {
    version: u64,
    suricata_version: *const c_char,
    name: *const c_char,
    plugin_version: *const c_char,
    license: *const c_char,
    author: *const c_char,
    init: extern "C" fn(),
}

/// `SCEveFileType`. The engine keeps it in a list, by the two pointers at its end.
#[repr(C)]
struct EveFileType {
    name: *const c_char,
    init: unsafe extern "C" fn(*const ConfNode, bool, *mut *mut c_void) -> c_int,
    thread_init: unsafe extern "C" fn(*const c_void, c_int, *mut *mut c_void) -> c_int,
    write: unsafe extern "C" fn(*const c_char, c_int, *const c_void, *mut c_void) -> c_int,
    thread_deinit: unsafe extern "C" fn(*const c_void, *mut c_void),
    deinit: unsafe extern "C" fn(*mut c_void),
    entries: [*mut c_void; 2],
}

const POINTER: usize = size_of::<*const c_void>();
const _: () = assert!(size_of::<Plugin>() == 8 + 6 * POINTER);
const _: () = assert!(offset_of!(Plugin, name) == 8 + POINTER);
const _: () = assert!(offset_of!(Plugin, init) == 8 + 5 * POINTER);
const _: () = assert!(size_of::<EveFileType>() == 8 * POINTER);
const _: () = assert!(offset_of!(EveFileType, write) == 3 * POINTER);
const _: () = assert!(offset_of!(EveFileType, deinit) == 5 * POINTER);
const _: () = assert!(offset_of!(EveFileType, entries) == 6 * POINTER);

/// A record that is not finished yet: `SCJsonBuilder`.
#[repr(C)]
struct JsonBuilder {
    _private: [u8; 0],
}

/// `SCEveUserCallbackFn(thread, packet, flow, record, user)`.
type EveCallback = unsafe extern "C" fn(*mut c_void, *const c_void, *mut c_void, *mut JsonBuilder, *mut c_void);

/// What is called to look into a record and to add to it.
struct Records {
    bytes: unsafe extern "C" fn(*const JsonBuilder) -> *const u8,
    length: unsafe extern "C" fn(*const JsonBuilder) -> usize,
    open_object: unsafe extern "C" fn(*mut JsonBuilder, *const c_char) -> bool,
    set_string: unsafe extern "C" fn(*mut JsonBuilder, *const c_char, *const c_char) -> bool,
    close: unsafe extern "C" fn(*mut JsonBuilder) -> bool,
    signatures: Arc<SignatureSet>,
}

/// Set once, by the first output that wants records marked.
static RECORDS: OnceLock<Records> = OnceLock::new();

/// The plugin.
pub fn plugin() -> *const c_void {
    described(API_VERSION, register)
}

/// One for a version that is not known: its number is none, so the engine refuses it before it looks further.
pub fn inert() -> *const c_void {
    described(0, nothing)
}

fn described(version: u64, init: extern "C" fn()) -> *const c_void {
    let plugin = Plugin {
        version,
        suricata_version: c"8.0".as_ptr(),
        name: c"kaspector".as_ptr(),
        plugin_version: concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast(),
        license: c"GPL-2.0-only".as_ptr(),
        author: c"Kaspector".as_ptr(),
        init,
    };
    std::ptr::from_ref(Box::leak(Box::new(plugin))).cast()
}

extern "C" fn nothing() {}

extern "C" fn register() {
    border::guarded((), || {
        let Some(found) = symbol(c"SCRegisterEveFileType") else {
            Engine::running().log(Level::Error, "this Suricata takes no EVE file types; the plugin does nothing here");
            return;
        };
        let file_type = EveFileType {
            name: c"kaspector".as_ptr(),
            init,
            thread_init,
            write,
            thread_deinit,
            deinit,
            entries: [std::ptr::null_mut(); 2],
        };
        // SAFETY: `bool SCRegisterEveFileType(SCEveFileType *)`; the engine keeps the value, which is never freed, and changes it.
        let is_taken = unsafe {
            std::mem::transmute::<*mut c_void, unsafe extern "C" fn(*mut EveFileType) -> bool>(found)(
                std::ptr::from_mut(Box::leak(Box::new(file_type))),
            )
        };
        if !is_taken {
            Engine::running()
                .log(Level::Error, "Suricata did not take the EVE file type; the plugin does nothing here");
        }
    });
}

/// Marks records from now on, once for all outputs. Where the engine has not what it takes, records stay as they are.
pub fn mark_records(signatures: &Arc<SignatureSet>) {
    let register = symbol(c"SCEveRegisterCallback");
    let names = [c"SCJbPtr", c"SCJbLen", c"SCJbOpenObject", c"SCJbSetString", c"SCJbClose"];
    let [Some(bytes), Some(length), Some(open_object), Some(set_string), Some(close)] = names.map(symbol) else {
        return;
    };
    let Some(register) = register else { return };
    // SAFETY: in the versions that this file is for, these names are functions of these types.
    let records = unsafe {
        Records {
            bytes: std::mem::transmute::<*mut c_void, unsafe extern "C" fn(*const JsonBuilder) -> *const u8>(bytes),
            length: std::mem::transmute::<*mut c_void, unsafe extern "C" fn(*const JsonBuilder) -> usize>(length),
            open_object: std::mem::transmute::<
                *mut c_void,
                unsafe extern "C" fn(*mut JsonBuilder, *const c_char) -> bool,
            >(open_object),
            set_string: std::mem::transmute::<
                *mut c_void,
                unsafe extern "C" fn(*mut JsonBuilder, *const c_char, *const c_char) -> bool,
            >(set_string),
            close: std::mem::transmute::<*mut c_void, unsafe extern "C" fn(*mut JsonBuilder) -> bool>(close),
            signatures: Arc::clone(signatures),
        }
    };
    if RECORDS.set(records).is_ok() {
        // SAFETY: `bool SCEveRegisterCallback(SCEveUserCallbackFn, void *)`; no thread of the engine writes records yet.
        unsafe {
            std::mem::transmute::<*mut c_void, unsafe extern "C" fn(EveCallback, *mut c_void) -> bool>(register)(
                mark_record,
                std::ptr::null_mut(),
            );
        }
    }
}

/// Adds an object to a record that names what matches. The record is looked into as it stands; nothing waits.
unsafe extern "C" fn mark_record(
    _: *mut c_void,
    _: *const c_void,
    _: *mut c_void,
    record: *mut JsonBuilder,
    _: *mut c_void,
) {
    let Some(records) = RECORDS.get() else { return };
    if record.is_null() || mark::is_off() {
        return;
    }
    let is_done = border::guarded(false, || {
        // SAFETY: the engine gives a record that it is about to finish; what it holds does not change while it is looked at.
        let found = unsafe {
            let (bytes, length) = ((records.bytes)(record), (records.length)(record));
            if bytes.is_null() {
                None
            } else {
                mark::find(std::slice::from_raw_parts(bytes, length), &records.signatures)
            }
        };
        if let Some(Mark { indicator, category, strength }) = found {
            let indicator = CString::new(indicator).unwrap_or_default();
            // SAFETY: as above; all strings end with a zero byte, and the engine copies them.
            unsafe {
                if (records.open_object)(record, c"kaspector".as_ptr()) {
                    let set = |key: &CStr, value: &CStr| (records.set_string)(record, key.as_ptr(), value.as_ptr());
                    set(c"indicator", &indicator);
                    set(c"category", &CString::new(category).unwrap_or_default());
                    set(c"strength", &CString::new(strength).unwrap_or_default());
                    (records.close)(record);
                }
            }
        }
        true
    });
    if !is_done {
        mark::turn_off();
    }
}

unsafe extern "C" fn init(node: *const ConfNode, _threaded: bool, init_data: *mut *mut c_void) -> c_int {
    // SAFETY: Suricata gives the node of the output, and a place for a pointer.
    unsafe { border::init(node.cast_mut(), init_data) }
}

unsafe extern "C" fn write(record: *const c_char, length: c_int, init_data: *const c_void, _: *mut c_void) -> c_int {
    // SAFETY: Suricata gives a record, and what `init` wrote.
    unsafe { border::write(record, length, init_data) }
}

unsafe extern "C" fn deinit(init_data: *mut c_void) {
    // SAFETY: Suricata gives what `init` wrote, when its threads have ended.
    unsafe { border::deinit(init_data) }
}

/// Threads share one queue, so none has anything of its own.
unsafe extern "C" fn thread_init(_: *const c_void, _: c_int, thread_data: *mut *mut c_void) -> c_int {
    // SAFETY: Suricata gives a place for a pointer.
    unsafe { *thread_data = std::ptr::null_mut() };
    0
}

unsafe extern "C" fn thread_deinit(_: *const c_void, _: *mut c_void) {}
