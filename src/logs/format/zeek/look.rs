//! A first look at a row: when it was written, and what it has in common with other rows.

use super::Column;
use super::kind::{AHEAD_NS, Kind};
use crate::skim::line::{address, is_target_of_interest, number, seconds};
use crate::skim::{Key, Look, Looking, What};
use crate::timestamp;
use foldhash::fast::FixedState;
use kaspector::capture::Timestamp;
use kaspector::decode::FiveTuple;
use std::hash::BuildHasher;

/// Columns of a log that a look asks for.
pub(super) const fn asked(kind: Kind) -> &'static [Column] {
    use Column::{Answers, ChainFps, ChainFuids, Duration, OrigH, OrigP, Proto, RespH, RespP, Rtt, Ts, Uid, Uri};
    match kind {
        Kind::Conn => &[Ts, Uid, OrigH, OrigP, RespH, RespP, Proto, Duration],
        Kind::Dns => &[Ts, Uid, OrigH, OrigP, RespH, RespP, Proto, Rtt, Answers],
        Kind::Ssl => &[Ts, Uid, OrigH, OrigP, RespH, RespP, ChainFps, ChainFuids],
        Kind::X509 => &[Ts],
        Kind::Http => &[Ts, Uid, OrigH, OrigP, RespH, RespP, Uri],
        Kind::Quic | Kind::Ftp => &[Ts, Uid, OrigH, OrigP, RespH, RespP],
    }
}

/// The columns of a row as they are written.
pub(super) trait RawColumns {
    /// What stands there; `None` for nothing, or for what has to be read with more care.
    fn raw(&self, column: Column) -> Option<&[u8]>;

    /// Where in the row what may match by a text begins.
    fn text_from(&self) -> usize {
        0
    }

    /// Each element of a list.
    fn each(&self, column: Column, take: &mut dyn FnMut(&[u8]));
}

/// Looks at a row. `None` when it is not written as Zeek writes them.
pub(super) fn look(kind: Kind, row: &impl RawColumns, looking: &mut Looking<'_>) -> Option<Look> {
    let at = time(row.raw(Column::Ts)?)?;
    let after = |column| row.raw(column).map_or(Some(0), |text| seconds(text).map(|after| after.0));
    let written = Timestamp(match kind {
        Kind::Conn => at.0.saturating_add(after(Column::Duration)?),
        Kind::Dns => at.0.saturating_add(after(Column::Rtt)?),
        Kind::X509 | Kind::Quic => at.0.saturating_sub(AHEAD_NS),
        Kind::Ssl | Kind::Http | Kind::Ftp => at.0,
    });
    let at = if kind == Kind::Quic { at } else { written };
    if kind == Kind::X509 {
        return Some(Look { written, text: 0, ..Look::OTHER });
    }
    // Commands of one connection make sense together.
    let must_be_read = Some(Look { written, ..Look::READ });
    if kind == Kind::Ftp || kind == Kind::Http && looking.sieve.reads_http {
        return must_be_read;
    }
    let protocol = match (kind, row.raw(Column::Proto)) {
        (Kind::Quic, _) | (_, Some(b"udp")) => FiveTuple::UDP,
        (_, None | Some(b"tcp")) => FiveTuple::TCP,
        _ => return Some(Look { written, ..Look::OTHER }),
    };
    looking.keys.push(Key::connection(flow_number(row.raw(Column::Uid)?)));
    let end = |host, port| {
        let (port, rest) = number(row.raw(port)?)?;
        rest.is_empty().then_some((address(row.raw(host)?)?, u16::try_from(port).ok()?))
    };
    let (src, dst) = (end(Column::OrigH, Column::OrigP)?, end(Column::RespH, Column::RespP)?);
    if looking.ends(src, dst, protocol) {
        return must_be_read;
    }
    match kind {
        Kind::Dns => row.each(Column::Answers, &mut |data| looking.keys.extend(address(data).map(Key::address))),
        Kind::Ssl => {
            let mut first = None;
            let mut take = |id: &[u8]| {
                first = first.or_else(|| std::str::from_utf8(id).ok().map(Key::certificate));
            };
            row.each(Column::ChainFps, &mut take);
            row.each(Column::ChainFuids, &mut take);
            looking.keys.extend(first);
        }
        Kind::Http if row.raw(Column::Uri).is_some_and(is_target_of_interest) => return must_be_read,
        _ => {}
    }
    // The row of a connection has no text of its own.
    let (what, text) = if kind == Kind::Conn { (What::PassedEnd, usize::MAX) } else { (What::Passed, row.text_from()) };
    Some(Look { what, at: Some(at), written, text })
}

/// Stands for a connection in place of what Zeek calls it.
pub(super) fn flow_number(uid: &[u8]) -> u64 {
    FixedState::default().hash_one(uid)
}

/// Seconds since the epoch, or a time in ISO 8601.
fn time(text: &[u8]) -> Option<Timestamp> {
    seconds(text).or_else(|| timestamp(std::str::from_utf8(text).ok()?))
}
