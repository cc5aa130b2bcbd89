//! The two directions of one TCP connection: which protocol each speaks, and where a tunnel turns it into another.
//!
//! Each direction is recognised by its own bytes, so one that was captured alone is read as well. They meet only where one
//! decides what the other's bytes mean: behind a CONNECT or a SOCKS request.

mod direction;
mod facts;
mod further;
mod speech;
#[cfg(test)]
mod tests;

use super::reputation::Frames;
use super::{Bound, Observation};
use crate::flow::Side;
use direction::{Direction, Turn};
use facts::Emit;
use speech::Speech;

/// Tunnels within tunnels, and refused ones, that are followed: a client that may not out asks on in the same connection.
const TUNNELS_MAX: u8 = 64;

/// Both directions of a TCP connection.
#[derive(Debug, Default)]
pub struct Conversation {
    low: Direction,
    high: Direction,
    tunnels: u8,
}

impl Conversation {
    /// Takes the next bytes that `from` sent; `offset` counts them from the start of its stream, so that gaps show.
    ///
    /// `emit` gets each fact, with the side that its bytes prove to be the client.
    pub fn accept(&mut self, from: Side, offset: u64, bytes: &[u8], mut emit: impl FnMut(Side, &Observation<'_>)) {
        let (mine, other) = match from {
            Side::Low => (&mut self.low, &mut self.high),
            Side::High => (&mut self.high, &mut self.low),
        };
        let mut tell = |is_client: bool, observation: &Observation<'_>| {
            emit(if is_client { from } else { from.other() }, observation);
        };
        mine.arrive(offset, bytes.len(), &mut tell);
        let mut rest = bytes;
        // Which numbers the other side has asked with matters when the answers begin, not when they are complete.
        let asked = if other.speech == Speech::Frames { other.frames().copied() } else { None };
        loop {
            let (turn, left) = mine.read(rest, asked.as_ref(), &mut |is_client, observation: &Observation<'_>| {
                if let Observation::HttpRequest(request) = observation {
                    other.expect_response(request);
                }
                tell(is_client, observation);
            });
            match turn {
                Turn::None => break,
                Turn::Frames => {
                    let is_over = mine.speech == Speech::Done;
                    judge_frames(mine, other, is_over, &mut tell);
                    break;
                }
                Turn::Tunnel => {}
            }
            self.tunnels += 1;
            if self.tunnels > TUNNELS_MAX {
                mine.speech = Speech::Done;
                tell(true, &Observation::BoundReached(Bound::Tunnels));
                break;
            }
            mine.enter_tunnel();
            other.enter_tunnel();
            rest = left;
            if rest.is_empty() {
                break;
            }
        }
    }

    /// Reads what there is of messages that will not be completed: the connection is over.
    pub fn finish(&mut self, from: Side, mut emit: impl FnMut(Side, &Observation<'_>)) {
        let (mine, other) = match from {
            Side::Low => (&mut self.low, &mut self.high),
            Side::High => (&mut self.high, &mut self.low),
        };
        let mut tell = |is_client: bool, observation: &Observation<'_>| {
            emit(if is_client { from } else { from.other() }, observation);
        };
        let has_frames = mine.speech == Speech::Frames;
        mine.finish(&mut tell);
        if has_frames {
            judge_frames(mine, other, true, &mut tell);
        }
    }

    /// Whether the bytes of `from` are still of interest.
    #[must_use]
    pub fn wants(&self, from: Side) -> bool {
        !matches!(self.direction(from).speech, Speech::Parked | Speech::Done)
    }

    /// Whether what `from` said so far may be the middle of something whose beginning is still to come: it began nothing, or what looks
    /// like text.
    #[must_use]
    pub fn may_begin_earlier(&self, from: Side) -> bool {
        matches!(self.direction(from).speech, Speech::Start | Speech::Lines)
    }

    /// Whether there is nothing more to learn from either side.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        !self.wants(Side::Low) && !self.wants(Side::High)
    }

    /// Bytes held for now.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.low.held_bytes() + self.high.held_bytes()
    }

    /// Forgets everything, and keeps the memory.
    pub fn clear(&mut self) {
        self.low.clear();
        self.high.clear();
        self.tunnels = 0;
    }

    const fn direction(&self, side: Side) -> &Direction {
        match side {
            Side::Low => &self.low,
            Side::High => &self.high,
        }
    }
}

/// Tells what the frames of both sides prove together, as soon as they do; then there is nothing more to learn. `is_over`: no more of
/// `mine` will be read.
fn judge_frames(mine: &mut Direction, other: &mut Direction, is_over: bool, emit: &mut impl Emit) {
    let Some(frames) = mine.frames() else { return };
    let (client, proved) = match other.frames() {
        Some(others) if frames.is_answered_by(others) => (true, Frames::Answered),
        Some(others) if others.is_answered_by(frames) => (false, Frames::Answered),
        // The other side said something else, or nothing that fits.
        _ if !is_over || other.next.is_some() => return,
        _ => match frames.stands_alone() {
            Some(is_client) => (is_client, Frames::OneSided),
            None => return,
        },
    };
    emit(client, &Observation::ReputationFrames(proved));
    mine.speech = Speech::Done;
    other.speech = Speech::Done;
}
