//! Times and bytes as Python programs have them.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyFloat, PyInt, PyMemoryView};

const NANOSECONDS: f64 = 1e9;

/// The bytes of a packet or a capture: of `bytes` where they lie, of anything else that is made of bytes as a copy.
pub fn bytes_of<'py>(data: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    if let Ok(bytes) = data.cast::<PyBytes>() {
        return Ok(bytes.clone());
    }
    // `bytes(5)` would be five zeros, and `bytes([1])` is no packet of anybody's.
    let is_buffer = PyMemoryView::from(data).is_ok();
    if !is_buffer && !data.hasattr("__bytes__")? {
        let what = format!(
            "a packet is bytes, bytearray, memoryview or has __bytes__, as packets of scapy and dpkt do; this is {}",
            data.get_type().name()?
        );
        return Err(PyTypeError::new_err(what));
    }
    Ok(data.py().get_type::<PyBytes>().call1((data,))?.cast_into::<PyBytes>()?)
}

/// Nanoseconds since 1970: an int is that already, a float or a Decimal is seconds, a datetime has a time zone.
pub fn nanoseconds_of(time: &Bound<'_, PyAny>) -> PyResult<u64> {
    let refused = |why: &str| {
        let shown = time.repr().map(|repr| repr.to_string()).unwrap_or_default();
        PyValueError::new_err(format!("ts is {shown}: {why}"))
    };
    let before = "times begin in 1970 and end in 2554";
    if let Ok(whole) = time.cast::<PyInt>() {
        return whole.extract().map_err(|_| refused(before));
    }
    if let Ok(seconds) = time.cast::<PyFloat>() {
        let seconds = seconds.value();
        // A double has no room for nanoseconds of these years; beyond microseconds it has noise.
        let microseconds = (seconds * 1e6).round();
        if !(0.0..1.8e16).contains(&microseconds) {
            return Err(refused(before));
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within bounds, and whole")]
        return Ok(microseconds as u64 * 1_000);
    }
    if time.hasattr("timestamp")? && time.hasattr("tzinfo")? {
        if time.getattr("tzinfo")?.is_none() {
            return Err(refused("a datetime without a time zone may mean any; give it one, for example timezone.utc"));
        }
        let seconds: f64 = time.call_method0("timestamp")?.extract()?;
        return nanoseconds_of(PyFloat::new(time.py(), seconds).as_any());
    }
    if time.hasattr("as_integer_ratio")? {
        // Decimal, and what scapy makes of it: exact.
        let nanoseconds = time.mul(NANOSECONDS as u64)?;
        let whole = time.py().get_type::<PyInt>().call1((nanoseconds,))?;
        return whole.extract().map_err(|_| refused(before));
    }
    if let Ok(whole) = time.call_method0("__index__") {
        return whole.extract().map_err(|_| refused(before));
    }
    let what = format!(
        "ts is seconds as float or Decimal, nanoseconds as int, or a datetime; this is {}",
        time.get_type().name()?
    );
    Err(PyTypeError::new_err(what))
}
