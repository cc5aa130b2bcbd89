//! TCP segments on their way to a conversation: which bytes the receiver takes, in order, and when there is nothing more to learn.

use super::inspection::Inspection;
use super::observer::{Current, FlowObserver};
use crate::decode::{Segment, tcp_flags};
use crate::flow::{Checksum, Doubt, Origin, Side, Slot, Stream, checksum, sum, timestamps, urgent};
use crate::inspect::Conversation;
use crate::matching::Sent;
use crate::pipeline::EventSink;
use crate::pipeline::flow_record::{FlowRecord, Phase, is_syn, pick, pick_mut};
use crate::pipeline::pool::Handle;

/// Both directions of a TCP connection, and what is being read from them.
#[derive(Debug, Default)]
pub(super) struct TcpConversation {
    streams: [Stream; 2],
    conversation: Conversation,
    /// The last packet of each side whose bytes were read.
    last: [Origin; 2],
    /// Where each side said that its stream ends: the sequence number of its FIN.
    ends: [Option<u32>; 2],
    /// The timestamp of the last segment of each side that was read.
    timestamps: [Option<u32>; 2],
    held_bytes: usize,
}

impl TcpConversation {
    fn clear(&mut self) {
        for stream in &mut self.streams {
            stream.clear();
        }
        self.conversation.clear();
        self.ends = [None; 2];
        self.timestamps = [None; 2];
        self.held_bytes = 0;
    }

    /// Whether both sides are through to their ends.
    fn has_ended(&self) -> bool {
        self.streams.iter().zip(self.ends).all(|(stream, end)| end.is_some_and(|end| stream.is_through(end)))
    }

    /// Bytes held back at the last look and now.
    fn measure(&mut self) -> (usize, usize) {
        let now = self.streams.iter().map(Stream::held_bytes).sum::<usize>() + self.conversation.held_bytes();
        (std::mem::replace(&mut self.held_bytes, now), now)
    }
}

impl Inspection {
    /// Gives the slots of flows whose conversations had to make room.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn tcp(
        &mut self,
        record: &mut FlowRecord,
        slot: Slot,
        current: Current<'_>,
        side: Side,
        (seq, ack, flags): (u32, u32, u8),
        segment: &Segment<'_>,
        sink: &mut impl EventSink,
    ) -> [Option<Slot>; 2] {
        record.note_segment(side, seq, flags, segment);
        let first_byte = if flags & tcp_flags::SYN != 0 { seq.wrapping_add(1) } else { seq };
        let mut displaced = None;
        let handle = match record.phase {
            Phase::Conversing(handle) => handle,
            Phase::Waiting if !segment.payload.is_empty() => {
                let (handle, victim) = self.conversations.claim(slot);
                if let Some(victim) = victim {
                    self.counters.conversations_evicted += 1;
                    displaced = Some(victim);
                }
                let claimed = self.conversations.get(handle);
                self.held_bytes -= claimed.held_bytes;
                claimed.clear();
                self.conversations.weigh(handle, 0);
                let claimed = self.conversations.get(handle);
                for side in [Side::Low, Side::High] {
                    if let Some(syn) = record.syn_of(side) {
                        pick_mut(&mut claimed.streams, side).synchronise(syn);
                    }
                }
                record.phase = Phase::Conversing(handle);
                handle
            }
            _ => return [None; 2],
        };
        let alone = pick(record.sent, side.other()) == Sent::default();
        let handshake_timestamp = record.timestamp_of(side);
        let tcp = self.conversations.get(handle);
        let TcpConversation { streams, conversation, last, timestamps: seen, .. } = tcp;
        let mut is_read = false;
        let mut is_sound = true;
        let mut observer = FlowObserver::new(&self.signatures, &mut self.counters.read_counters, record, current, sink);
        let streams_counters = &mut self.counters.streams;
        let origin = Origin { packet: current.packet, at: current.at };
        if is_syn(flags) {
            pick_mut(streams, side).synchronise(seq);
        }
        if flags & tcp_flags::ACK != 0 {
            pick_mut(streams, side.other()).acknowledge(origin.at, ack, streams_counters, |origin, offset, bytes| {
                is_read = true;
                *pick_mut(last, side.other()) = origin;
                observer.read(conversation, side.other(), origin, offset, bytes);
            });
        }
        if segment.payload_len > 0 {
            let could_acknowledge =
                flags & tcp_flags::ACK == 0 || pick_mut(streams, side.other()).could_be_acknowledged(ack);
            let stream = pick_mut(streams, side);
            // A direction that nobody listens to keeps its place in the stream, without its bytes.
            let wanted = conversation.wants(side);
            is_read |= wanted;
            let payload = if wanted { segment.payload } else { &[] };
            let sum = sum(payload);
            let doubt = if wanted {
                let known = pick_mut(seen, side);
                doubt_of(
                    segment,
                    flags,
                    sum,
                    stream.checksums_mean_nothing(),
                    alone,
                    known.or(handshake_timestamp),
                    known,
                )
            } else {
                None
            };
            let doubt = doubt.or((wanted && !could_acknowledge).then_some(Doubt::Acknowledgement));
            is_sound = doubt.is_none();
            if let Some(byte) = urgent(segment).filter(|_| wanted && is_sound) {
                #[allow(clippy::cast_possible_truncation)]
                stream.set_urgent(first_byte.wrapping_add(byte as u32));
            }
            let mut hear = |origin: Origin, offset: u64, bytes: &[u8]| {
                is_read = true;
                *pick_mut(last, side) = origin;
                observer.read(conversation, side, origin, offset, bytes);
            };
            match doubt {
                None => stream.accept_summed(
                    origin,
                    first_byte,
                    (payload, sum),
                    segment.payload_len,
                    streams_counters,
                    &mut hear,
                ),
                Some(doubt) => {
                    stream.doubt(origin, first_byte, payload, segment.payload_len, doubt, streams_counters, &mut hear)
                }
            }
            if stream.is_midstream() && !conversation.may_begin_earlier(side) {
                stream.forget_kept();
            }
        }
        if flags & (tcp_flags::FIN | tcp_flags::RST) == tcp_flags::FIN && is_sound {
            let end = first_byte.wrapping_add(segment.payload_len);
            *pick_mut(&mut tcp.ends, side) = Some(end);
            pick_mut(&mut tcp.streams, side).close(end);
        }
        if is_read && tcp.conversation.is_settled() {
            record.phase = Phase::Settled;
            self.release(handle);
            return [displaced, None];
        }
        if tcp.has_ended() {
            // A reset may be forged; two ends without a gap before either cannot be followed by more.
            self.finish_conversation(record, handle, current, sink);
            record.phase = Phase::Settled;
            return [displaced, None];
        }
        if !is_read {
            return [displaced, None];
        }
        let (before, now) = tcp.measure();
        self.held_bytes = self.held_bytes + now - before;
        self.conversations.weigh(handle, now);
        [displaced, self.relieve()]
    }

    pub(super) fn release(&mut self, handle: Handle) {
        let tcp = self.conversations.get(handle);
        self.held_bytes -= tcp.held_bytes;
        tcp.clear();
        self.conversations.weigh(handle, 0);
        self.conversations.release(handle);
    }

    pub(super) fn finish_conversation(
        &mut self,
        record: &mut FlowRecord,
        handle: Handle,
        current: Current<'_>,
        sink: &mut impl EventSink,
    ) {
        let TcpConversation { streams, conversation, last, .. } = self.conversations.get(handle);
        let mut observer = FlowObserver::new(&self.signatures, &mut self.counters.read_counters, record, current, sink);
        for side in [Side::Low, Side::High] {
            pick_mut(streams, side).finish(&mut self.counters.streams, |origin, offset, bytes| {
                *pick_mut(last, side) = origin;
                observer.read(conversation, side, origin, offset, bytes);
            });
            let origin = pick(*last, side);
            conversation.finish(side, |client, observation| observer.observe(origin, client, observation));
        }
        self.release(handle);
    }
}

/// Why the receiver of a segment may have dropped it; notes its timestamp if it did not. `alone`: whether nothing came from the receiver, so
/// that it will not say what it took.
fn doubt_of(
    segment: &Segment<'_>,
    flags: u8,
    payload_sum: u64,
    checksums_mean_nothing: bool,
    alone: bool,
    newest: Option<u32>,
    known: &mut Option<u32>,
) -> Option<Doubt> {
    if !checksums_mean_nothing {
        match checksum(segment, payload_sum) {
            Checksum::Wrong => return Some(Doubt::Checksum),
            Checksum::Unfinished if !alone => return Some(Doubt::Checksum),
            _ => {}
        }
    }
    if flags & tcp_flags::SYN != 0 {
        return Some(Doubt::WithSyn);
    }
    let newest = newest?;
    let (value, _) = timestamps(segment.header)?;
    if value.wrapping_sub(newest) > i32::MAX as u32 {
        return Some(Doubt::Old);
    }
    *known = Some(value);
    None
}
