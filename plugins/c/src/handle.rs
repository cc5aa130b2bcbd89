//! What C holds a pointer to, and the one door into it: no panic gets out, and no second thread gets in.

#![allow(unsafe_code)]

use crate::session::Session;
use crate::types::{Status, Text};
use std::cell::UnsafeCell;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

/// Why a call failed, and what its caller is told.
#[derive(Debug)]
pub struct Failure(pub Status, pub String);

impl Failure {
    /// One with that text.
    pub fn new(status: Status, what: impl Display) -> Self {
        Self(status, what.to_string())
    }
}

/// A detector: opaque. Made by kaspector_new, given back by kaspector_free.
pub struct Handle {
    /// Whether a call is under way.
    busy: AtomicBool,
    state: UnsafeCell<State>,
}

struct State {
    /// Or why there is none.
    session: Result<Session, Status>,
    /// What the last call that failed said; ends in a zero byte.
    message: Vec<u8>,
}

impl State {
    fn say(&mut self, what: &str) {
        self.message.clear();
        // A zero byte within would end it early.
        self.message.extend(what.bytes().filter(|&byte| byte != 0));
        self.message.push(0);
    }

    fn fail(&mut self, Failure(status, what): Failure) -> Status {
        self.say(&what);
        status
    }
}

impl Handle {
    /// One for what `make` gives; if that fails, one that says why, and nothing else.
    pub fn new(make: impl FnOnce() -> Result<Session, Failure>) -> (Box<Self>, Status) {
        let made = catch_unwind(AssertUnwindSafe(make)).unwrap_or_else(|payload| Err(of_panic(payload)));
        let (session, status, what) = match made {
            Ok(session) => (Ok(session), Status::KASPECTOR_OK, String::new()),
            Err(Failure(status, what)) => (Err(status), status, what),
        };
        let mut state = State { session, message: Vec::new() };
        state.say(&what);
        (Box::new(Self { busy: AtomicBool::new(false), state: UnsafeCell::new(state) }), status)
    }

    /// Does some work with the session, unless another call is under way or an earlier one was fatal.
    ///
    /// # Safety
    /// `handle` is NULL or from [`Self::new`], and not freed before this returns.
    pub unsafe fn enter(handle: *const Self, work: impl FnOnce(&mut Session) -> Result<(), Failure>) -> Status {
        // SAFETY: as promised above.
        let Some(handle) = (unsafe { handle.as_ref() }) else { return Status::KASPECTOR_ERROR_ARGUMENT };
        if handle.busy.swap(true, Ordering::Acquire) {
            return Status::KASPECTOR_ERROR_BUSY;
        }
        // SAFETY: whoever turns `busy` from false to true has the state alone until it is false again.
        let state = unsafe { &mut *handle.state.get() };
        let status = match &mut state.session {
            Err(status) => *status,
            Ok(session) => match catch_unwind(AssertUnwindSafe(|| work(session))) {
                Ok(Ok(())) => Status::KASPECTOR_OK,
                Ok(Err(failure)) => state.fail(failure),
                Err(payload) => {
                    let status = state.fail(of_panic(payload));
                    // What is left may be half changed. It is not even dropped, which could panic again.
                    std::mem::forget(std::mem::replace(&mut state.session, Err(status)));
                    status
                }
            },
        };
        handle.busy.store(false, Ordering::Release);
        status
    }

    /// What the last call that failed said; valid until the next call.
    ///
    /// # Safety
    /// As for [`Self::enter`].
    pub unsafe fn message(handle: *const Self) -> Text {
        let fixed = |text: &'static std::ffi::CStr| Text { data: text.as_ptr(), len: text.count_bytes() };
        // SAFETY: as promised above.
        let Some(handle) = (unsafe { handle.as_ref() }) else { return fixed(c"the detector is NULL") };
        if handle.busy.swap(true, Ordering::Acquire) {
            return fixed(c"another thread is in a call with this detector; use it in one thread at a time");
        }
        // SAFETY: as in `enter`.
        let state = unsafe { &*handle.state.get() };
        let message = Text { data: state.message.as_ptr().cast(), len: state.message.len().saturating_sub(1) };
        handle.busy.store(false, Ordering::Release);
        message
    }

    /// Gives everything back.
    ///
    /// # Safety
    /// `handle` is NULL or from [`Self::new`], and is not used again.
    pub unsafe fn free(handle: *mut Self) {
        if !handle.is_null() {
            // SAFETY: it came from a box, and nobody has it any more.
            let handle = unsafe { Box::from_raw(handle) };
            // What a panic leaves is leaked.
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(handle))) {
                std::mem::forget(payload);
            }
        }
    }
}

/// What the payload of a panic says.
fn of_panic(payload: Box<dyn std::any::Any + Send>) -> Failure {
    let what = if let Some(text) = payload.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else if let Some(refused) = payload.downcast_ref::<kaspector::flow::NoMemory>() {
        let what = format!("{refused}; free this detector and make one with smaller bounds");
        return Failure::new(Status::KASPECTOR_ERROR_PANICKED, what);
    } else {
        "no text".to_owned()
    };
    // Its own drop could panic.
    std::mem::forget(payload);
    let what =
        format!("a defect of the library: {what}; free this detector, and report the packets that bring it about");
    Failure::new(Status::KASPECTOR_ERROR_PANICKED, what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Settings;

    fn made() -> Result<Session, Failure> {
        // SAFETY: NULL stands for the default.
        unsafe { Settings::read(std::ptr::null()) }.map(Session::new)
    }

    fn text(message: Text) -> String {
        // SAFETY: a message lives until the next call with its handle.
        let bytes = unsafe { std::slice::from_raw_parts(message.data.cast::<u8>(), message.len) };
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[test]
    fn a_panic_stays_inside_and_is_told_until_the_handle_is_freed() {
        let (handle, status) = Handle::new(made);
        assert_eq!(status, Status::KASPECTOR_OK);
        let handle = Box::into_raw(handle);
        // SAFETY: the handle is freed at the end alone.
        unsafe {
            assert_eq!(Handle::enter(handle, |_| Ok(())), Status::KASPECTOR_OK);
            let status = Handle::enter(handle, |_| panic!("a test\0 asked for it"));
            assert_eq!(status, Status::KASPECTOR_ERROR_PANICKED);
            assert!(text(Handle::message(handle)).starts_with("a defect of the library: a test asked for it; "));
            assert_eq!(Handle::enter(handle, |_| Ok(())), Status::KASPECTOR_ERROR_PANICKED);
            assert!(text(Handle::message(handle)).contains("a test asked for it"));
            Handle::free(handle);
        }
        let (handle, status) = Handle::new(|| panic!("so did this one"));
        assert_eq!(status, Status::KASPECTOR_ERROR_PANICKED);
        // SAFETY: as above.
        unsafe { Handle::free(Box::into_raw(handle)) };
    }

    #[test]
    fn a_second_call_at_once_is_refused() {
        let (handle, _) = Handle::new(made);
        let handle = Box::into_raw(handle);
        // SAFETY: as above.
        unsafe {
            let status = Handle::enter(handle, |_| {
                assert_eq!(Handle::enter(handle, |_| Ok(())), Status::KASPECTOR_ERROR_BUSY);
                assert!(text(Handle::message(handle)).contains("one thread at a time"));
                Ok(())
            });
            assert_eq!(status, Status::KASPECTOR_OK);
            Handle::free(handle);
        }
    }
}
