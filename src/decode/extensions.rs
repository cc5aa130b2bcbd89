//! Extension headers of IPv6 (RFC 8200 section 4), and the authentication header, which IPv4 has, too.

use super::carried::Carried;
use super::fragment::{Fragment, FragmentKey};
use super::{Context, Next, Outcome, Step};
use etherparse::IpNumber;

/// IPv6 extension headers in one packet that are followed.
const EXTENSIONS_MAX: usize = 16;

/// Whether an IPv6 packet may go on with another header behind this one (RFC 7045), ESP apart.
pub(super) const fn is_extension(protocol: u8) -> bool {
    matches!(
        IpNumber(protocol),
        IpNumber::IPV6_HEADER_HOP_BY_HOP
            | IpNumber::IPV6_ROUTE_HEADER
            | IpNumber::IPV6_DESTINATION_OPTIONS
            | IpNumber::MOBILITY_HEADER
            | IpNumber::HIP
            | IpNumber::SHIM6
            | IpNumber::EXPERIMENTAL_AND_TESTING_0
            | IpNumber::EXPERIMENTAL_AND_TESTING_1
            | IpNumber::AUTHENTICATION_HEADER
            | IpNumber::IPV6_FRAGMENTATION_HEADER
    )
}

/// Follows the extension headers of IPv6 to what they stand before, and goes on `behind` them.
pub(super) fn follow<'a>(
    mut carried: Carried<'a>,
    context: &mut Context,
    behind: impl FnOnce(Carried<'a>, &mut Context) -> Step<'a>,
) -> Step<'a> {
    let short = context.short(Outcome::MalformedNetwork);
    for _ in 0..EXTENSIONS_MAX {
        if !is_extension(carried.protocol) {
            return behind(carried, context);
        }
        let length = match IpNumber(carried.protocol) {
            IpNumber::IPV6_FRAGMENTATION_HEADER => {
                let (fragment, bytes) = carried.bytes.split_first_chunk::<8>().ok_or(short)?;
                let [protocol, _, high, low, id @ ..] = *fragment;
                let promised = carried.promised.saturating_sub(8);
                carried = Carried { protocol, bytes, promised, ..carried };
                let word = u16::from_be_bytes([high, low]);
                if word & 0xfff9 == 0 {
                    // An atomic fragment is a whole datagram (RFC 6946).
                    continue;
                }
                let Carried { src, dst, .. } = carried;
                let key = FragmentKey { src, dst, id: u32::from_be_bytes(id), protocol: 0, zone: context.zone };
                let offset = u32::from(word & 0xfff8);
                return Ok(Next::Fragment(Fragment::new(key, offset, word & 1 == 1, carried, *context)));
            }
            // Counted in units of four bytes, less two (RFC 4302 section 2.2).
            IpNumber::AUTHENTICATION_HEADER => 4,
            _ => 8,
        };
        let length = 8 + length * u32::from(carried.bytes.get(1).copied().ok_or(short)?);
        carried = Carried {
            protocol: carried.bytes.first().copied().ok_or(short)?,
            bytes: carried.bytes.get(length as usize..).ok_or(short)?,
            promised: carried.promised.saturating_sub(length),
            ..carried
        };
    }
    Err(Outcome::NestedTooDeep)
}
