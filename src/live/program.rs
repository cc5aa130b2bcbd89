//! The socket filter: which frames the kernel copies into a ring, and how much of them (`linux/filter.h`).

use super::RingOptions;
use super::filter::{self, Instruction};
use kaspector::capture::LinkType;

/// Classes and modes of classic BPF (bpf(4) of the BSDs).
const CLASS: u16 = 0x07;
const LOAD: u16 = 0x00;
const LOAD_INDEX: u16 = 0x01;
const RETURN: u16 = 0x06;
const RETURN_CONSTANT: u16 = RETURN;
const MODE: u16 = 0xe0;
const MODE_LENGTH: u16 = 0x80;
/// Loads a word from a fixed place into the accumulator.
const LOAD_ABSOLUTE: u16 = 0x20;
/// Compares the accumulator with a constant.
const JUMP_EQUAL: u16 = 0x15;
/// `SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT`: Linux answers whether it took a tag off the frame.
const TAG_TAKEN_OFF: u32 = (-0x1000_i32 + 48).cast_unsigned();
/// Frames of more bytes than this do not exist.
const WHOLE: u32 = 65535;

/// A program, and whether the user's filter is in it.
#[derive(Debug)]
pub(super) struct Program {
    /// What to attach; empty when every frame is taken whole.
    pub(super) instructions: Vec<libc::sock_filter>,
    /// Whether a filter expression was compiled into it.
    pub(super) filters: bool,
}

impl Program {
    /// The program for frames of a link type.
    pub(super) fn of(options: &RingOptions, link_type: LinkType) -> Self {
        let compiled = options.filter.as_deref().and_then(|expression| filter::compiled(expression, link_type));
        if let Some(instructions) = compiled.as_deref().and_then(|compiled| guarded(compiled, options.snaplen)) {
            return Self { instructions, filters: true };
        }
        let cuts = options.snaplen < WHOLE;
        Self { instructions: if cuts { vec![take(options.snaplen)] } else { Vec::new() }, filters: false }
    }
}

/// `None` when the program asks how long the frame is: user space sees the length of what was kept, the kernel that of the frame, and
/// a frame would be chosen here that is not chosen there.
fn guarded(compiled: &[Instruction], snaplen: u32) -> Option<Vec<libc::sock_filter>> {
    let asks_length = |instruction: &Instruction| {
        matches!(instruction.code & CLASS, LOAD | LOAD_INDEX) && instruction.code & MODE == MODE_LENGTH
    };
    if compiled.iter().any(asks_length) {
        return None;
    }
    let mut program = vec![
        libc::sock_filter { code: LOAD_ABSOLUTE, jt: 0, jf: 0, k: TAG_TAKEN_OFF },
        libc::sock_filter { code: JUMP_EQUAL, jt: 1, jf: 0, k: 0 },
        take(snaplen),
    ];
    // Jumps are relative, so the program may stand anywhere.
    program.extend(compiled.iter().map(|&Instruction { code, jt, jf, k }| match (code, k) {
        (RETURN_CONSTANT, 1..) => take(snaplen),
        _ => libc::sock_filter { code, jt, jf, k },
    }));
    Some(program)
}

fn take(snaplen: u32) -> libc::sock_filter {
    libc::sock_filter { code: RETURN_CONSTANT, jt: 0, jf: 0, k: snaplen }
}

#[cfg(all(test, feature = "libpcap"))]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use super::*;

    fn program(filter: Option<&str>, snaplen: u32) -> Program {
        let options = RingOptions { filter: filter.map(str::to_owned), snaplen, ..RingOptions::default() };
        Program::of(&options, LinkType::ETHERNET)
    }

    #[test]
    fn without_a_filter_only_a_snap_length_needs_a_program() {
        assert!(program(None, 65535).instructions.is_empty());
        let cutting = program(None, 96);
        assert_eq!((cutting.instructions.len(), cutting.instructions[0].k, cutting.filters), (1, 96, false));
    }

    #[test]
    fn a_filter_keeps_the_snap_length_of_the_ring() {
        let program = program(Some("tcp port 443 or vlan 7"), 96);
        assert!(program.filters);
        let returned = program.instructions.iter().filter(|it| it.code == RETURN_CONSTANT).map(|it| it.k);
        let returned: Vec<_> = returned.collect();
        assert!(returned.len() >= 3 && returned.iter().all(|&bytes| bytes == 0 || bytes == 96), "{returned:?}");
    }

    #[test]
    fn what_asks_for_lengths_or_means_nothing_is_left_to_user_space() {
        assert!(!program(Some("less 100"), 65535).filters);
        assert!(!program(Some("host and"), 65535).filters);
    }
}
