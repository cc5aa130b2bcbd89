//! A libpcap filter expression, applied before anything else.

use kaspector::capture::Frame;
#[cfg(any(feature = "libpcap", target_os = "linux"))]
use kaspector::capture::LinkType;

/// Why an expression is no filter.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// libpcap refuses it.
    #[error("the filter \"{expression}\" is not one that libpcap understands: {cause}; see `man pcap-filter`")]
    Syntax {
        /// As the user wrote it.
        expression: String,
        /// What libpcap says.
        cause: String,
    },
    /// Built without libpcap.
    #[error("this build has no libpcap, so it cannot filter; build with `--features libpcap`")]
    Unsupported,
}

/// A filter expression, compiled once for each link type that is met. Each thread has its own.
pub struct Filter {
    expression: String,
    #[cfg(feature = "libpcap")]
    programs: Vec<(LinkType, Option<pcap::BpfProgram>)>,
}

impl Clone for Filter {
    /// The same expression, yet to be compiled.
    fn clone(&self) -> Self {
        Self {
            expression: self.expression.clone(),
            #[cfg(feature = "libpcap")]
            programs: Vec::new(),
        }
    }
}

impl std::fmt::Debug for Filter {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Filter").field(&self.expression).finish()
    }
}

#[cfg(feature = "libpcap")]
impl Filter {
    /// A filter after `pcap-filter(7)`, checked against Ethernet.
    ///
    /// # Errors
    /// [`FilterError::Syntax`].
    pub fn new(expression: &str) -> Result<Self, FilterError> {
        compile(expression, LinkType::ETHERNET)?;
        Ok(Self { expression: expression.to_owned(), programs: Vec::new() })
    }

    /// Whether the filter chooses `frame`. An expression that has no meaning for the frame's link type chooses nothing.
    pub fn accepts(&mut self, frame: &Frame<'_>) -> bool {
        let known = self.programs.iter().position(|(link_type, _)| *link_type == frame.link_type);
        let at = known.unwrap_or_else(|| {
            self.programs.push((frame.link_type, compile(&self.expression, frame.link_type).ok()));
            self.programs.len() - 1
        });
        self.programs
            .get(at)
            .and_then(|(_, program)| program.as_ref())
            .is_some_and(|program| program.filter(frame.bytes))
    }
}

#[cfg(feature = "libpcap")]
fn compile(expression: &str, link_type: LinkType) -> Result<pcap::BpfProgram, FilterError> {
    // libpcap's DLT numbers are the LINKTYPE numbers of files, but for these.
    let dlt = match link_type {
        LinkType::RAW => pcap::Linktype(12),
        LinkType::ATM_RFC1483 => pcap::Linktype(11),
        LinkType(number) => pcap::Linktype(number.into()),
    };
    pcap::Capture::dead(dlt)
        .and_then(|capture| capture.compile(expression, true))
        .map_err(|cause| FilterError::Syntax { expression: expression.to_owned(), cause: cause.to_string() })
}

/// One instruction of classic BPF, as libpcap and the kernel know it.
#[cfg(target_os = "linux")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Instruction {
    /// Class, size, mode.
    pub code: u16,
    /// Instructions to skip where a comparison holds.
    pub jt: u8,
    /// And where it does not.
    pub jf: u8,
    /// Operand.
    pub k: u32,
}

/// The program of an expression for frames of a link type; `None` where it has no meaning, or this build has no libpcap.
#[cfg(target_os = "linux")]
pub(super) fn compiled(expression: &str, link_type: LinkType) -> Option<Vec<Instruction>> {
    #[cfg(feature = "libpcap")]
    return compile(expression, link_type).ok()?.get_instructions().iter().map(instruction).collect();
    #[cfg(not(feature = "libpcap"))]
    {
        let _ = (expression, link_type);
        None
    }
}

/// The pcap crate gives the four numbers as text alone.
#[cfg(all(feature = "libpcap", target_os = "linux"))]
fn instruction(instruction: &pcap::BpfInstruction) -> Option<Instruction> {
    let text = instruction.to_string();
    let mut numbers = text.split(' ').map(str::parse::<u32>);
    let mut next = || numbers.next()?.ok();
    Some(Instruction {
        code: next()?.try_into().ok()?,
        jt: next()?.try_into().ok()?,
        jf: next()?.try_into().ok()?,
        k: next()?,
    })
}

#[cfg(not(feature = "libpcap"))]
impl Filter {
    /// Never succeeds in this build.
    ///
    /// # Errors
    /// [`FilterError::Unsupported`].
    pub fn new(_: &str) -> Result<Self, FilterError> {
        Err(FilterError::Unsupported)
    }

    /// Never called in this build.
    pub fn accepts(&mut self, _: &Frame<'_>) -> bool {
        false
    }
}

#[cfg(all(test, feature = "libpcap"))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use kaspector::capture::Timestamp;

    fn chosen(filter: &mut Filter, link_type: LinkType, bytes: &[u8]) -> bool {
        filter.accepts(&Frame { number: 1, at: Timestamp(0), link_type, wire_len: 60, bytes })
    }

    #[test]
    fn chooses_by_protocol_on_each_link_type() {
        let mut filter = Filter::new("ip and udp").unwrap();
        let mut ip = vec![0; 28];
        ip.splice(0..10, [0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17]);
        let mut ethernet = vec![0; 12];
        ethernet.extend([8, 0]);
        ethernet.extend(&ip);
        assert!(chosen(&mut filter, LinkType::ETHERNET, &ethernet));
        assert!(chosen(&mut filter, LinkType::RAW, &ip));
        assert!(!chosen(&mut filter, LinkType::RAW, &ethernet));
        assert!(!chosen(&mut filter, LinkType::ETHERNET, &[]));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_program_is_what_tcpdump_shows() {
        // `tcpdump -dd -s 65535 ip`
        let expected = [(0x28, 0, 0, 12), (0x15, 0, 1, 0x800), (0x06, 0, 0, 65535), (0x06, 0, 0, 0)];
        let expected = expected.map(|(code, jt, jf, k)| Instruction { code, jt, jf, k });
        assert_eq!(compiled("ip", LinkType::ETHERNET).unwrap(), expected);
        assert_eq!(compiled("host and", LinkType::ETHERNET), None);
    }

    #[test]
    fn says_what_is_wrong() {
        let message = Filter::new("host and").unwrap_err().to_string();
        assert!(message.contains("host and") && message.contains("pcap-filter"), "{message}");
    }
}
