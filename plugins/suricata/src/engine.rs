//! What is called in the program that loaded the library. Nothing is linked: each function is looked up by its name, so that a version
//! without it can be told of it.

#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::sync::OnceLock;

/// A node of Suricata's configuration: `SCConfNode`, before 8 `ConfNode`.
#[repr(C)]
pub struct ConfNode {
    _private: [u8; 0],
}

/// How loud a line of the log is: `SCLogLevel`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Level {
    Error = 1,
    Warning = 2,
    Notice = 3,
}

/// `SCLogMessage(level, file, line, function, module, message)`.
type LogMessage =
    unsafe extern "C" fn(c_int, *const c_char, c_uint, *const c_char, *const c_char, *const c_char) -> c_int;
/// `GetProgramVersion()`, `ConfigGetLogDirectory()`.
type GiveText = unsafe extern "C" fn() -> *const c_char;
/// `ConfNodeLookupChildValue(node, name)`.
type ChildValue = unsafe extern "C" fn(*const ConfNode, *const c_char) -> *const c_char;

/// Functions that 7 and 8 have alike, though some under other names.
#[derive(Debug)]
pub struct Engine {
    log_message: Option<LogMessage>,
    version: Option<GiveText>,
    log_folder: Option<GiveText>,
    child_value: Option<ChildValue>,
}

impl Engine {
    /// The program that loaded the library.
    pub fn running() -> &'static Self {
        static RUNNING: OnceLock<Engine> = OnceLock::new();
        RUNNING.get_or_init(|| {
            let text = |name| {
                symbol(name).map(|found| {
                    // SAFETY: in every version that exports this name it is a function of this type.
                    unsafe { std::mem::transmute::<*mut c_void, GiveText>(found) }
                })
            };
            Self {
                // SAFETY: as above.
                log_message: symbol(c"SCLogMessage")
                    .map(|found| unsafe { std::mem::transmute::<*mut c_void, LogMessage>(found) }),
                version: text(c"GetProgramVersion"),
                log_folder: text(c"SCConfigGetLogDirectory").or_else(|| text(c"ConfigGetLogDirectory")),
                child_value: symbol(c"SCConfNodeLookupChildValue").or_else(|| symbol(c"ConfNodeLookupChildValue")).map(
                    |found| {
                        // SAFETY: as above.
                        unsafe { std::mem::transmute::<*mut c_void, ChildValue>(found) }
                    },
                ),
            }
        })
    }

    /// Its version: `7.0.10 RELEASE`.
    pub fn version(&self) -> Option<String> {
        self.version.and_then(text_of)
    }

    /// Whether its plugins begin with the number of the interface, as from 8 on.
    #[allow(clippy::unused_self)]
    pub fn has_versioned_plugins(&self) -> bool {
        symbol(c"SCEveRegisterCallback").is_some()
    }

    /// The folder of its logs.
    pub fn log_folder(&self) -> Option<String> {
        self.log_folder.and_then(text_of)
    }

    /// The value of a key of a node.
    ///
    /// # Safety
    /// `node` is null, or a node that Suricata gave and that lives during the call.
    pub unsafe fn child_value(&self, node: *const ConfNode, name: &CStr) -> Option<String> {
        let child_value = self.child_value.filter(|_| !node.is_null())?;
        // SAFETY: the node lives, by the caller's promise; the name ends with a zero byte.
        let value = unsafe { child_value(node, name.as_ptr()) };
        // SAFETY: null, or a string of the configuration, which lives as long as its node.
        (!value.is_null()).then(|| unsafe { CStr::from_ptr(value) }.to_string_lossy().into_owned())
    }

    /// Writes a line into the program's log; to standard error where it has none.
    pub fn log(&self, level: Level, text: &str) {
        let Some(log_message) = self.log_message else {
            eprintln!("kaspector: {text}");
            return;
        };
        let line = CString::new(text.replace('\0', "?")).unwrap_or_default();
        // SAFETY: all strings end with a zero byte and live during the call, which copies what it keeps.
        unsafe {
            log_message(
                level as c_int,
                c"kaspector".as_ptr(),
                0,
                c"kaspector".as_ptr(),
                c"kaspector".as_ptr(),
                line.as_ptr(),
            );
        }
    }
}

/// The address of a function of the running program, or of what it has loaded.
pub fn symbol(name: &CStr) -> Option<*mut c_void> {
    // SAFETY: the name ends with a zero byte; the search changes nothing.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    (!found.is_null()).then_some(found)
}

fn text_of(give: GiveText) -> Option<String> {
    // SAFETY: the function takes nothing, and gives null or a string that lives as long as the program.
    let text = unsafe { give() };
    // SAFETY: as above.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
}
