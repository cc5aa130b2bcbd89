//! Plugin and EVE file type as Suricata 7 declares them (`suricata-plugin.h` of 7.0.10).

#![allow(unsafe_code)]

use super::border;
use super::engine::{ConfNode, Engine, Level, symbol};
use std::ffi::{c_char, c_int, c_void};
use std::mem::offset_of;

/// `SCPlugin`.
#[repr(C)]
struct Plugin {
    name: *const c_char,
    license: *const c_char,
    author: *const c_char,
    init: extern "C" fn(),
}

/// `SCEveFileType`. The engine keeps it in a list, by the two pointers at its end.
#[repr(C)]
struct EveFileType {
    name: *const c_char,
    init: unsafe extern "C" fn(*mut ConfNode, bool, *mut *mut c_void) -> c_int,
    write: unsafe extern "C" fn(*const c_char, c_int, *mut c_void, *mut c_void) -> c_int,
    deinit: unsafe extern "C" fn(*mut c_void),
    thread_init: unsafe extern "C" fn(*mut c_void, c_int, *mut *mut c_void) -> c_int,
    thread_deinit: unsafe extern "C" fn(*mut c_void, *mut c_void) -> c_int,
    entries: [*mut c_void; 2],
}

const POINTER: usize = size_of::<*const c_void>();
const _: () = assert!(size_of::<Plugin>() == 4 * POINTER);
const _: () = assert!(offset_of!(Plugin, init) == 3 * POINTER);
const _: () = assert!(size_of::<EveFileType>() == 8 * POINTER);
const _: () = assert!(offset_of!(EveFileType, write) == 2 * POINTER);
const _: () = assert!(offset_of!(EveFileType, thread_init) == 4 * POINTER);
const _: () = assert!(offset_of!(EveFileType, entries) == 6 * POINTER);

/// The plugin.
pub fn plugin() -> *const c_void {
    described(register)
}

/// One that does nothing.
pub fn inert() -> *const c_void {
    described(nothing)
}

fn described(init: extern "C" fn()) -> *const c_void {
    let plugin =
        Plugin { name: c"kaspector".as_ptr(), license: c"GPL-2.0-only".as_ptr(), author: c"Kaspector".as_ptr(), init };
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
            write,
            deinit,
            thread_init,
            thread_deinit,
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

unsafe extern "C" fn init(node: *mut ConfNode, _threaded: bool, init_data: *mut *mut c_void) -> c_int {
    // SAFETY: Suricata gives the node of the output, and a place for a pointer.
    unsafe { border::init(node, init_data) }
}

unsafe extern "C" fn write(record: *const c_char, length: c_int, init_data: *mut c_void, _: *mut c_void) -> c_int {
    // SAFETY: Suricata gives a record, and what `init` wrote.
    unsafe { border::write(record, length, init_data) }
}

unsafe extern "C" fn deinit(init_data: *mut c_void) {
    // SAFETY: Suricata gives what `init` wrote, when its threads have ended.
    unsafe { border::deinit(init_data) }
}

/// Threads share one queue, so none has anything of its own.
unsafe extern "C" fn thread_init(_: *mut c_void, _: c_int, thread_data: *mut *mut c_void) -> c_int {
    // SAFETY: Suricata gives a place for a pointer.
    unsafe { *thread_data = std::ptr::null_mut() };
    0
}

unsafe extern "C" fn thread_deinit(_: *mut c_void, _: *mut c_void) -> c_int {
    0
}
