//! Which inputs are read beside each other, and which by all threads together.

use crate::inputs::Input;
use kaspector::capture::CaptureError;

/// Inputs at least this large (compressed, if they are) are read by all threads together, in bytes.
const BIG_INPUT: u64 = 32 << 20;

/// An input and its place in the list.
#[derive(Clone, Copy, Debug)]
pub struct Job<'i> {
    /// In the order given.
    pub index: usize,
    /// What to read.
    pub input: &'i Input,
}

impl Job<'_> {
    /// What evidence calls the input.
    #[must_use]
    pub fn number(&self) -> u32 {
        number(self.index)
    }
}

/// The number of the input at a place in the list.
#[must_use]
pub fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// Small inputs until the next big one, and that one: what comes behind a big one would wait for it with all that it showed.
#[derive(Debug, Default)]
pub struct Group<'i> {
    /// One thread each.
    pub small: Vec<Job<'i>>,
    /// All threads together.
    pub big: Option<Job<'i>>,
}

/// Groups the inputs that can be read, in their order.
#[must_use]
pub fn groups(inputs: &[Result<Input, CaptureError>], threads: usize) -> Vec<Group<'_>> {
    let (mut groups, mut group) = (Vec::new(), Group::default());
    for (index, input) in inputs.iter().enumerate() {
        let Ok(input) = input else { continue };
        let job = Job { index, input };
        if threads > 1 && size(input).is_none_or(|size| size >= BIG_INPUT) {
            groups.push(Group { big: Some(job), ..std::mem::take(&mut group) });
        } else {
            group.small.push(job);
        }
    }
    groups.push(group);
    groups
}

/// Bytes of an input's file; `None` where it is a stream.
#[must_use]
pub fn size(input: &Input) -> Option<u64> {
    let (Input::Named(path) | Input::Found(path)) = input else { return None };
    path.metadata().ok().filter(std::fs::Metadata::is_file).map(|metadata| metadata.len())
}
