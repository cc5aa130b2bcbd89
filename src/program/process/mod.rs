//! What any program needs of the system it runs on: its clock, its panics, the files that it writes.
//!
//! In:    paths that the user named.
//! Out:   the time, and moments as people write them; one sentence for each panic; files that were judged before anything in them is changed.
//! Never: knows what the program is for.

pub(crate) mod clock;
pub(crate) mod moment;
pub mod output_file;
pub(crate) mod panics;
pub mod whole_file;

pub use panics::report_panics;
