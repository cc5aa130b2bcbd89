//! The part of the Python package that is compiled: packets and captures in, findings out as JSON, which `python/kaspector` makes
//! dataclasses of.
//!
//! In:    paths and bytes of captures, packets one by one.
//! Out:   the answer of a scan as the program writes it, and alerts.
//! Never: holds the global interpreter lock while it works, or lets a panic end the interpreter.

mod answer;
mod detector;
mod packet;
mod scan;

use kaspector::matching::SignatureSet;
use pyo3::create_exception;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;

create_exception!(kaspector, Error, PyException, "Base of what this package raises by itself.");
create_exception!(kaspector, CaptureError, Error, "A capture that cannot be read, or not to its end.");
create_exception!(kaspector, SignatureError, Error, "Signature files that cannot be read or are wrong.");

/// What is looked for: immutable, and shared by any number of detectors.
#[pyclass(frozen, module = "kaspector")]
struct Signatures {
    set: Arc<SignatureSet>,
}

#[pymethods]
impl Signatures {
    #[new]
    #[pyo3(signature = (folder = None, *, extra = None))]
    fn new(py: Python<'_>, folder: Option<PathBuf>, extra: Option<PathBuf>) -> PyResult<Self> {
        let set = detached(py, || match (&folder, &extra) {
            (None, None) => Ok(SignatureSet::builtin()),
            (folder, extra) => SignatureSet::of_folders(folder.as_deref(), extra.as_deref()),
        })?;
        set.map(|set| Self { set: Arc::new(set) }).map_err(|faults| {
            let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
            SignatureError::new_err(lines.join("\n"))
        })
    }

    /// The version that the files name.
    #[getter]
    fn version(&self) -> &str {
        self.set.version()
    }

    /// SHA-256 over what the indicators say.
    #[getter]
    fn sha256(&self) -> &str {
        self.set.sha256()
    }

    fn __len__(&self) -> usize {
        self.set.len()
    }

    fn __repr__(&self) -> String {
        format!("Signatures(version={:?}, indicators={})", self.set.version(), self.set.len())
    }
}

/// Works without the interpreter's lock; a panic becomes an exception.
fn detached<T: Send>(py: Python<'_>, work: impl FnOnce() -> T + Send) -> PyResult<T> {
    py.detach(|| catch_unwind(AssertUnwindSafe(work))).map_err(|payload| {
        let text = payload.downcast_ref::<&str>().map(ToString::to_string);
        let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
        let text = text.or_else(|| payload.downcast_ref::<kaspector::flow::NoMemory>().map(ToString::to_string));
        let text = text.unwrap_or_else(|| "no text".to_owned());
        Error::new_err(format!("a defect of kaspector: {text}; please report the packets that bring it about"))
    })
}

/// The module `kaspector._kaspector`.
#[pymodule]
fn _kaspector(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("Error", py.get_type::<Error>())?;
    module.add("CaptureError", py.get_type::<CaptureError>())?;
    module.add("SignatureError", py.get_type::<SignatureError>())?;
    module.add_class::<Signatures>()?;
    module.add_class::<detector::Detector>()?;
    module.add_function(wrap_pyfunction!(scan::scan_path, module)?)?;
    module.add_function(wrap_pyfunction!(scan::scan_bytes, module)?)
}
