//! Options as C gives them become settings that are known to be right.

#![allow(unsafe_code)]

use crate::handle::{Failure, Handle};
use crate::session::eve_form;
use crate::types::{Options, Status};
use kaspector::flow::Capacities;
use kaspector::matching::SignatureSet;
use kaspector::pipeline::{Bounds, Detector, OFFLINE_SEED};
use kaspector_report::EveCompat;
use std::ffi::{CStr, OsStr, c_char};
use std::path::Path;
use std::sync::Arc;

/// Bytes of the options in the first version of this interface.
const OPTIONS_MIN: usize = std::mem::offset_of!(Options, held_bytes) + size_of::<usize>();

/// What a detector is made of.
#[derive(Debug)]
pub struct Settings {
    /// What to look for.
    pub signatures: Arc<SignatureSet>,
    /// Where fed packets come from.
    pub source: String,
    /// What tells this run from others.
    pub run: [u8; 32],
    /// The form of EVE lines.
    pub eve: EveCompat,
    seed: u64,
    bounds: Bounds,
    keeps_alerts: bool,
}

impl Settings {
    /// A detector that is so.
    pub fn detector(&self) -> Detector {
        let builder = Detector::builder().signatures(&self.signatures).seed(self.seed).bounds(self.bounds);
        if self.keeps_alerts { builder } else { builder.without_alerts() }.build()
    }

    /// The settings that options mean; NULL is the default.
    ///
    /// # Safety
    /// `options` is NULL or points to `size` readable bytes, and each pointer in it is NULL or what its comment says.
    pub unsafe fn read(options: *const Options) -> Result<Self, Failure> {
        // SAFETY: as promised above.
        let options = unsafe { copied(options) }?;
        let Options { flows, half_open_flows, datagram_flows, conversations, initials, held_bytes, .. } = options;
        let or = |given: usize, default: usize| if given == 0 { default } else { given };
        let mut bounds = Bounds::default();
        let Capacities { kept, half_open, datagrams, lookups } = bounds.flows;
        bounds.flows = Capacities {
            kept: or(flows, kept),
            half_open: or(half_open_flows, half_open),
            datagrams: or(datagram_flows, datagrams),
            lookups,
        };
        bounds.conversations = or(conversations, bounds.conversations);
        bounds.initials = or(initials, bounds.initials);
        bounds.held_bytes = or(held_bytes, bounds.held_bytes);
        // SAFETY: as promised above.
        let (signatures, source) = unsafe { (signatures(&options)?, text(options.source)) };
        let source = match source {
            None => "packets".to_owned(),
            Some(source) => source.to_str().map(str::to_owned).map_err(|error| {
                Failure::new(Status::KASPECTOR_ERROR_ARGUMENT, format!("options: source is not UTF-8: {error}"))
            })?,
        };
        Ok(Self {
            signatures,
            source,
            run: options.run,
            eve: eve_form(options.eve_version)?,
            seed: if options.seed == 0 { OFFLINE_SEED } else { options.seed },
            bounds,
            keeps_alerts: !options.without_alerts,
        })
    }
}

/// Options of whichever version of the header, as those of this one.
///
/// # Safety
/// As for [`Settings::read`].
unsafe fn copied(options: *const Options) -> Result<Options, Failure> {
    let mut copy = Options::default();
    if options.is_null() {
        return Ok(copy);
    }
    let refused = |what: String| Failure::new(Status::KASPECTOR_ERROR_ARGUMENT, what);
    // SAFETY: the size comes first in every version.
    let size = unsafe { (&raw const (*options).size).read_unaligned() };
    if !(OPTIONS_MIN..=1 << 16).contains(&size) {
        return Err(refused(format!("options: size is {size}; call kaspector_options_init before you set anything")));
    }
    // SAFETY: so many bytes are readable, as promised.
    let given = unsafe { std::slice::from_raw_parts(options.cast::<u8>(), size) };
    if given.iter().skip(size_of::<Options>()).any(|&byte| byte != 0) {
        let what = "options: the program knows options that this library does not; update the library";
        return Err(refused(what.to_owned()));
    }
    // SAFETY: no more than either has; the one flag is a byte that is looked at before it is taken for one.
    unsafe {
        let flag = given.get(std::mem::offset_of!(Options, without_alerts)).copied().unwrap_or_default();
        if flag > 1 {
            return Err(refused(format!("options: without_alerts is {flag}; it is 0 or 1")));
        }
        let known = size.min(size_of::<Options>());
        std::ptr::copy_nonoverlapping(given.as_ptr(), (&raw mut copy).cast::<u8>(), known);
    }
    Ok(copy)
}

/// # Safety
/// As for [`Settings::read`].
unsafe fn signatures(options: &Options) -> Result<Arc<SignatureSet>, Failure> {
    // SAFETY: as promised above.
    let (replace, extra) = unsafe { (text(options.signatures), text(options.extra_signatures)) };
    if !options.share_signatures.is_null() {
        if replace.is_some() || extra.is_some() {
            let what = "options: share_signatures excludes signatures and extra_signatures; set one of them";
            return Err(Failure::new(Status::KASPECTOR_ERROR_ARGUMENT, what));
        }
        let mut shared = None;
        // SAFETY: as promised above.
        let status = unsafe {
            Handle::enter(options.share_signatures, |session| {
                shared = Some(Arc::clone(session.signatures()));
                Ok(())
            })
        };
        let what = "options: the detector of share_signatures failed, or another thread is in a call with it";
        return shared.ok_or_else(|| Failure::new(status, what));
    }
    let (replace, extra) = (replace.map(path), extra.map(path));
    SignatureSet::of_folders(replace, extra).map(Arc::new).map_err(|faults| {
        let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
        Failure::new(Status::KASPECTOR_ERROR_SIGNATURES, lines.join("\n"))
    })
}

/// # Safety
/// `text` is NULL, or ends in a zero byte and lives as long as the result is used.
pub unsafe fn text<'a>(text: *const c_char) -> Option<&'a CStr> {
    // SAFETY: as promised above.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) })
}

/// A path as the system has it: bytes, which need not be UTF-8.
#[cfg(unix)]
pub fn path(text: &CStr) -> &Path {
    use std::os::unix::ffi::OsStrExt;
    Path::new(OsStr::from_bytes(text.to_bytes()))
}

/// A path in UTF-8; what is none names nothing.
#[cfg(not(unix))]
pub fn path(text: &CStr) -> &Path {
    Path::new(OsStr::new(text.to_str().unwrap_or_default()))
}
