//! The framing of the reputation service's own protocol, as its clients spoke it over TCP in 2020: no TLS, at any port.
//!
//! A request begins with a mark of four bytes, a number (2), a type (2) and the length of what follows (4), big-endian: 12 bytes. Its
//! answer begins with the same mark and the same number, a status (1) and a length (4): 11 bytes. No specification is public. The layout
//! was read off a capture that is kept with nDPI (`tests/cfgs/default/pcap/mongo_false_positive.pcapng`, July 2020): it fits all of
//! its 22 messages, and nothing in them contradicts it. The mark is older: libprotoident knows it since 2011.
//!
//! A length is believed once the frame ends where it says: where the next one begins, or where the stream ends. So what is found depends
//! on the bytes of the two streams alone, not on how they were cut into segments. What stands in a frame is not looked at.

use super::recognition::Match;

/// How every frame begins: `KE`, and two zero bytes.
pub const MARK: [u8; 4] = [0x4B, 0x45, 0, 0];
/// Frames of one direction, each ending where it says, that tell something although nobody heard the other side.
pub const ALONE_MIN: u8 = 3;
/// Frames of one direction that are followed for an answered one.
const FRAMES_MAX: u8 = 64;
/// Longest frame that is followed; the longest of the capture has 1,274 bytes.
const FRAME_BYTES_MAX: u32 = 1 << 20;
/// Numbers of each kind that wait for their like on the other side. Later ones take the place of the earliest.
const NUMBERS_MAX: usize = 16;
/// Bytes that are given of a stream's beginning.
const START_MAX: usize = 16;

/// What frames prove.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Frames {
    /// A request, and behind it an answer with the same number, both as long as they say.
    Answered,
    /// At least [`ALONE_MIN`] frames in a row as long as they say, their numbers rising. Of the other side nothing was seen.
    OneSided,
}

/// Whether a stream begins with a frame.
#[must_use]
pub fn recognise(bytes: &[u8]) -> Match {
    let start = bytes.get(..MARK.len()).unwrap_or(bytes);
    if !MARK.starts_with(start) {
        Match::No
    } else if start.len() == MARK.len() {
        Match::Yes
    } else {
        Match::NeedMore
    }
}

/// What follows the bytes that were taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// More frames.
    More,
    /// They are no frames of this protocol.
    Lost,
    /// More frames than are followed.
    Endless,
}

/// Which header a reading of the bytes takes them to have. Which one it is, only the lengths tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Header {
    Request,
    Answer,
}

impl Header {
    const fn len(self) -> usize {
        match self {
            Self::Request => 12,
            Self::Answer => 11,
        }
    }
}

/// The last numbers of some frames.
#[derive(Clone, Copy, Debug, Default)]
struct Numbers {
    last: [Option<u16>; NUMBERS_MAX],
    next: usize,
    /// Whether earlier ones had to go.
    overflowed: bool,
}

impl Numbers {
    fn push(&mut self, number: u16) {
        if let Some(place) = self.last.get_mut(self.next) {
            self.overflowed |= place.is_some();
            *place = Some(number);
        }
        self.next = (self.next + 1) % NUMBERS_MAX;
    }

    fn contains(&self, number: u16) -> bool {
        self.last.contains(&Some(number))
    }

    fn share_one_with(&self, other: &Self) -> bool {
        self.last.iter().flatten().any(|&number| other.contains(number))
    }
}

/// One direction, read with one kind of header.
#[derive(Clone, Copy, Debug)]
struct Reading {
    header: Header,
    /// The header at hand, as far as it came.
    held: [u8; 12],
    filled: usize,
    /// Bytes of the frame at hand that are still to come.
    rest: u32,
    /// Number of the frame whose end is not proved yet, and whether the other side had sent a request with it.
    open: Option<(u16, bool)>,
    /// Frames in a row that ended where they said, with rising numbers.
    in_row: u8,
    previous: Option<u16>,
    /// Of frames that ended where they said: requests, or answers to requests that were seen before.
    numbers: Numbers,
    /// Whether a frame ended where it said, and had a number that the other side had not sent.
    unasked: bool,
    is_lost: bool,
}

impl Reading {
    fn new(header: Header) -> Self {
        Self {
            header,
            held: [0; 12],
            filled: 0,
            rest: 0,
            open: None,
            in_row: 0,
            previous: None,
            numbers: Numbers::default(),
            unasked: false,
            is_lost: false,
        }
    }

    /// Takes the next bytes; `open` gets the number of each frame that begins, and says whether the other side had sent it.
    fn accept(&mut self, mut bytes: &[u8], mut open: impl FnMut(u16) -> bool) {
        // Every pass takes bytes, or ends.
        while !bytes.is_empty() && !self.is_lost {
            if self.rest > 0 {
                let taken = u32::try_from(bytes.len()).unwrap_or(u32::MAX).min(self.rest);
                self.rest -= taken;
                bytes = bytes.get(taken as usize..).unwrap_or(&[]);
                continue;
            }
            let wanted = self.header.len().saturating_sub(self.filled);
            let (here, after) = bytes.split_at(wanted.min(bytes.len()));
            for (place, &byte) in self.held.iter_mut().skip(self.filled).zip(here) {
                *place = byte;
            }
            self.filled += here.len();
            bytes = after;
            self.read_header(&mut open);
        }
    }

    /// Looks at what there is of the header at hand.
    fn read_header(&mut self, open: &mut impl FnMut(u16) -> bool) {
        let held = self.held.get(..self.filled).unwrap_or(&[]);
        match recognise(held) {
            Match::No => return self.lose(),
            Match::NeedMore => return,
            Match::Yes => {}
        }
        let (number, length) = match (self.header, held) {
            (Header::Request, &[_, _, _, _, n0, n1, _, _, l0, l1, l2, l3])
            | (Header::Answer, &[_, _, _, _, n0, n1, _, l0, l1, l2, l3]) => {
                (u16::from_be_bytes([n0, n1]), u32::from_be_bytes([l0, l1, l2, l3]))
            }
            // The mark proves that the frame before ended where it said.
            _ => return self.close(),
        };
        self.close();
        if length > FRAME_BYTES_MAX {
            return self.lose();
        }
        self.filled = 0;
        self.open = Some((number, open(number)));
        self.rest = length;
    }

    /// The frame before has ended where it said.
    fn close(&mut self) {
        let Some((number, was_asked)) = self.open.take() else { return };
        // Numbers begin again behind the highest one, and some are left out.
        let rises = self.previous.is_none_or(|previous| (1..0x8000).contains(&number.wrapping_sub(previous)));
        self.in_row = if rises { self.in_row.saturating_add(1) } else { 1 };
        self.previous = Some(number);
        match (self.header, was_asked) {
            (Header::Request, _) | (Header::Answer, true) => self.numbers.push(number),
            (Header::Answer, false) => self.unasked = true,
        }
    }

    /// The stream is over.
    fn finish(&mut self) {
        if !self.is_lost && self.filled == 0 && self.rest == 0 {
            self.close();
        }
    }

    /// Passes over bytes that were not seen, if they are all of the frame at hand.
    fn skip(&mut self, missing: u64) {
        match u32::try_from(missing) {
            Ok(missing) if missing <= self.rest => self.rest -= missing,
            _ => self.lose(),
        }
    }

    /// What comes is no frame of this kind. What was proved before stays.
    const fn lose(&mut self) {
        self.is_lost = true;
        self.open = None;
        self.held = [0; 12];
        self.filled = 0;
        self.rest = 0;
    }

    /// As new, but for what was proved.
    fn interrupt(&mut self) {
        let Self { header, numbers, unasked, .. } = *self;
        *self = Self { numbers, unasked, ..Self::new(header) };
    }
}

/// One direction of a connection.
#[derive(Clone, Copy, Debug)]
pub struct FrameStream {
    requests: Reading,
    answers: Reading,
    /// Numbers of all frames that began, read as requests.
    asked: Numbers,
    /// Whether these are all that this side sent.
    is_whole: bool,
    start: [u8; START_MAX],
    started: usize,
    start_given: bool,
}

impl Default for FrameStream {
    fn default() -> Self {
        Self {
            requests: Reading::new(Header::Request),
            answers: Reading::new(Header::Answer),
            asked: Numbers::default(),
            is_whole: false,
            start: [0; START_MAX],
            started: 0,
            start_given: false,
        }
    }
}

impl FrameStream {
    /// Whether nothing came yet.
    #[must_use]
    pub const fn is_new(&self) -> bool {
        self.started == 0
    }

    /// Says that what comes next is the first that this side sent.
    pub const fn begin(&mut self) {
        self.is_whole = true;
    }

    /// Takes the next bytes. `other`: the other side up to now.
    pub fn accept(&mut self, bytes: &[u8], other: Option<&Self>) -> Progress {
        for (place, &byte) in self.start.iter_mut().skip(self.started).zip(bytes) {
            *place = byte;
            self.started += 1;
        }
        let asked = &mut self.asked;
        self.requests.accept(bytes, |number| {
            asked.push(number);
            false
        });
        // Of a side that was not seen from its beginning, nobody knows what it asked.
        self.answers.accept(bytes, |number| other.is_some_and(|other| other.asked.contains(number)));
        self.progress()
    }

    /// Passes over `missing` bytes that were not seen: whether they lie in the middle of a frame, so that reading can go on behind them.
    pub fn skip(&mut self, missing: u64) -> bool {
        self.requests.skip(missing);
        self.answers.skip(missing);
        self.is_whole &= !self.requests.is_lost;
        self.progress() != Progress::Lost
    }

    /// Bytes are missing, or others stood between: where a frame begins is not known any more. What was proved stays.
    pub fn interrupt(&mut self) {
        self.requests.interrupt();
        self.answers.interrupt();
        self.is_whole = false;
    }

    /// The stream is over, so a frame that ends here ends where it says.
    pub fn finish(&mut self) {
        self.requests.finish();
        self.answers.finish();
    }

    /// How the stream began, once: as soon as there are sixteen bytes of it, or when it is `over`.
    pub fn take_start(&mut self, over: bool) -> Option<&[u8]> {
        if self.start_given || !(over || self.started == START_MAX) {
            return None;
        }
        self.start_given = true;
        self.start.get(..self.started)
    }

    /// Whether a request of this direction was answered by `other`, and `other` answered nothing that was not asked.
    #[must_use]
    pub fn is_answered_by(&self, other: &Self) -> bool {
        let contradicted = other.answers.unasked && self.is_whole && !self.asked.overflowed;
        !contradicted && self.requests.numbers.share_one_with(&other.answers.numbers)
    }

    /// For a direction whose other side was not seen: whether enough frames in a row were right. If so, whether they are requests.
    #[must_use]
    pub fn stands_alone(&self) -> Option<bool> {
        if self.requests.in_row >= ALONE_MIN {
            Some(true)
        } else if self.answers.in_row >= ALONE_MIN {
            Some(false)
        } else {
            None
        }
    }

    fn progress(&self) -> Progress {
        if self.requests.is_lost && self.answers.is_lost {
            Progress::Lost
        } else if self.requests.in_row.max(self.answers.in_row) >= FRAMES_MAX {
            Progress::Endless
        } else {
            Progress::More
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use proptest::prelude::*;

    /// A request with that many bytes behind its header.
    pub fn request(number: u16, len: u32) -> Vec<u8> {
        let mut frame = MARK.to_vec();
        frame.extend(number.to_be_bytes());
        frame.extend([1, 0x55]);
        frame.extend(len.to_be_bytes());
        frame.extend((0..len).map(|at| (at % 251) as u8 ^ 0x6b));
        frame
    }

    /// An answer with that many bytes behind its header.
    pub fn answer(number: u16, len: u32) -> Vec<u8> {
        let mut frame = MARK.to_vec();
        frame.extend(number.to_be_bytes());
        frame.push(0);
        frame.extend(len.to_be_bytes());
        frame.extend((0..len).map(|at| (at % 241) as u8 ^ 0x33));
        frame
    }

    /// What a client and a server said, each from its beginning, in the order in which it came.
    fn is_answered(messages: &[(bool, Vec<u8>)], step: usize) -> bool {
        let mut sides = [FrameStream::default(); 2];
        sides.iter_mut().for_each(FrameStream::begin);
        for (from_server, bytes) in messages {
            for piece in bytes.chunks(step) {
                let other = sides[usize::from(!from_server)];
                sides[usize::from(*from_server)].accept(piece, Some(&other));
            }
        }
        sides.iter_mut().for_each(FrameStream::finish);
        let [client, server] = sides;
        assert!(!server.is_answered_by(&client));
        client.is_answered_by(&server)
    }

    #[test]
    fn an_answered_request_is_found_however_it_is_cut() {
        let once = [(false, request(0x0206, 926)), (true, answer(0x0206, 124))];
        let several = [
            (false, [request(7, 5), request(9, 0), request(10, 300)].concat()),
            (true, [answer(9, 1), answer(10, 2)].concat()),
        ];
        for step in (1..40).chain([100, 1000, 10_000]) {
            assert!(is_answered(&once, step), "{step}");
            assert!(is_answered(&several, step), "{step}");
        }
    }

    #[test]
    fn a_length_that_does_not_fit_is_no_proof() {
        for (asked, answered) in [(1, 0), (-1, 0), (0, 1), (0, -1), (12, 0), (0, 11), (-12, 0), (0, -11), (1, -1)] {
            let with = |mut frame: Vec<u8>, at: usize, change: i32| {
                let length = u32::from_be_bytes(frame[at..at + 4].try_into().unwrap());
                frame[at..at + 4].copy_from_slice(&length.checked_add_signed(change).unwrap().to_be_bytes());
                frame
            };
            let messages: Vec<_> = (1..9)
                .flat_map(|number| {
                    [(false, with(request(number, 90), 8, asked)), (true, with(answer(number, 50), 7, answered))]
                })
                .collect();
            for step in [1, 7, 1000] {
                assert!(!is_answered(&messages, step), "{asked} {answered}");
            }
        }
        // The length of everything, as others count it; and with the bytes the other way round.
        let whole = [(false, [&MARK[..], &[0, 1, 1, 0x55, 0, 0, 0, 102], &[7; 90]].concat()), (true, answer(1, 50))];
        assert!(!is_answered(&whole, 1000));
        let little = [(false, [&MARK[..], &[1, 0, 0x55, 1, 90, 0, 0, 0], &[7; 90]].concat()), (true, answer(1, 50))];
        assert!(!is_answered(&little, 1000));
    }

    #[test]
    fn an_answer_with_another_number_is_no_proof() {
        let dialogue = |answered: &dyn Fn(u16) -> u16| -> Vec<_> {
            (5..16).flat_map(|number| [(false, request(number, 40)), (true, answer(answered(number), 20))]).collect()
        };
        assert!(is_answered(&dialogue(&|number| number), 1000));
        for shift in [1, 2, 100, 0xffff, 0xfffe] {
            assert!(!is_answered(&dialogue(&|number| number.wrapping_add(shift)), 1000), "{shift}");
        }
        assert!(!is_answered(&dialogue(&|number| number.swap_bytes()), 1000));
        // Two that speak alike, as of another protocol with such headers.
        let alike: Vec<_> =
            (1..9).flat_map(|number| [(false, request(number, 9)), (true, request(number, 9))]).collect();
        assert!(!is_answered(&alike, 1000));
        let nobody: Vec<_> = (1..9).map(|number| (false, request(number, 40))).collect();
        assert!(!is_answered(&nobody, 1000));
    }

    #[test]
    fn an_answer_to_what_was_not_seen_speaks_against_no_other() {
        let (mut client, mut server) = (FrameStream::default(), FrameStream::default());
        server.accept(&answer(4, 9), Some(&client));
        client.accept(&request(5, 9), Some(&server));
        server.accept(&answer(5, 9), Some(&client));
        assert!(!client.is_answered_by(&server), "where they end is not known yet");
        client.accept(&MARK, Some(&server));
        server.accept(&MARK, Some(&client));
        assert!(client.is_answered_by(&server));
    }

    #[test]
    fn a_frame_without_some_of_its_bytes_is_passed_over() {
        let (mut client, mut server) = (FrameStream::default(), FrameStream::default());
        for number in 1..3 {
            client.accept(&request(number, 500)[..80], None);
            assert!(client.skip(432));
            server.accept(&answer(number, 100)[..80], Some(&client));
            assert!(server.skip(31));
        }
        client.finish();
        assert!(client.is_answered_by(&server));
        client.accept(&request(3, 50), None);
        assert!(!client.skip(1), "a header is missing");
        client.interrupt();
        client.accept(&request(4, 50), None);
        assert!(client.is_answered_by(&server), "what was proved stays");
    }

    #[test]
    fn one_side_alone_needs_frames_in_a_row_with_rising_numbers() {
        let alone = |frames: &[Vec<u8>]| {
            let mut stream = FrameStream::default();
            stream.accept(&frames.concat(), None);
            stream.finish();
            stream.stands_alone()
        };
        assert_eq!(alone(&[request(1, 5), request(2, 90)]), None);
        assert_eq!(alone(&[request(1, 5), request(2, 90), request(7, 0)]), Some(true));
        assert_eq!(alone(&[answer(0xffff, 5), answer(2, 90), answer(7, 3)]), Some(false));
        assert_eq!(alone(&[request(1, 5), request(1, 90), request(1, 90)]), None);
        assert_eq!(alone(&[request(9, 5), request(8, 90), request(7, 90)]), None);
        assert_eq!(alone(&[request(1, 5), request(2, 90), request(3, 90), vec![0]]), None, "it ends elsewhere");
        let mut endless = FrameStream::default();
        let progress: Vec<_> = (0..70).map(|number| endless.accept(&request(number, 3), None)).collect();
        assert_eq!(progress.iter().filter(|one| **one == Progress::More).count(), usize::from(FRAMES_MAX));
    }

    #[test]
    fn the_mark_alone_is_recognised_and_nothing_else() {
        for len in 0..MARK.len() {
            assert_eq!(recognise(&MARK[..len]), Match::NeedMore);
        }
        assert_eq!(recognise(&request(1, 2)), Match::Yes);
        for other in [&b"KE\0\x02"[..], b"KEY", b"KEEP", b"K\0", b"EK\0\0", b"\0\0EK"] {
            assert_eq!(recognise(other), Match::No);
        }
        let mut text = FrameStream::default();
        assert_eq!(text.accept(b"KE\0\0KE\0\0KE\0\0KE\0\0KE\0\0", None), Progress::Lost);
        assert_eq!(text.take_start(false), Some(&b"KE\0\0KE\0\0KE\0\0KE\0\0"[..]));
        assert_eq!(text.take_start(true), None);
    }

    #[test]
    fn each_prefix_of_an_answered_request_proves_nothing_before_its_end() {
        let (asked, answered) = (request(0x0206, 40), answer(0x0206, 20));
        for (asked_len, answered_len) in (0..=asked.len()).flat_map(|a| (0..=answered.len()).map(move |b| (a, b))) {
            let messages = [(false, asked[..asked_len].to_vec()), (true, answered[..answered_len].to_vec())];
            let whole = asked_len == asked.len() && answered_len == answered.len();
            assert_eq!(is_answered(&messages, 1000), whole, "{asked_len} {answered_len}");
        }
    }

    /// The rule for one stream, word for word: where frames begin, if all of them end where they say.
    fn plainly(stream: &[u8], header: usize) -> Option<Vec<u16>> {
        let mut numbers = Vec::new();
        let mut at = 0;
        while at < stream.len() {
            let head = stream.get(at..at + header)?;
            if head[..4] != MARK {
                return None;
            }
            let length = u32::from_be_bytes(head[header - 4..].try_into().unwrap());
            if length > FRAME_BYTES_MAX {
                return None;
            }
            numbers.push(u16::from_be_bytes([head[4], head[5]]));
            at += header + length as usize;
        }
        (at == stream.len()).then_some(numbers)
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(
            frames in prop::collection::vec((any::<bool>(), 0u16..6, 0u32..40, prop::sample::select(vec![0i32, 0, 0, 0, 1, -1])), 0..12),
            cuts in prop::collection::vec(1usize..60, 1..20),
        ) {
            let mut stream = Vec::new();
            for (is_request, number, len, change) in frames {
                let mut frame = if is_request { request(number, len) } else { answer(number, len) };
                let at = if is_request { 11 } else { 10 };
                frame[at] = frame[at].wrapping_add_signed(i8::try_from(change).unwrap());
                stream.extend(frame);
            }
            let mut whole = FrameStream::default();
            whole.accept(&stream, None);
            whole.finish();
            let mut pieces = FrameStream::default();
            let mut rest = &stream[..];
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (piece, after) = rest.split_at((*cut).min(rest.len()));
                pieces.accept(piece, None);
                rest = after;
            }
            pieces.finish();
            prop_assert_eq!(format!("{whole:?}"), format!("{pieces:?}"));
            if let Some(numbers) = plainly(&stream, 12) {
                prop_assert!(!whole.requests.is_lost && whole.requests.open.is_none());
                prop_assert!(numbers.iter().all(|&number| whole.requests.numbers.contains(number)));
            }
        }

        #[test]
        fn arbitrary_bytes_prove_nothing(sides in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..60)), 0..20)) {
            prop_assert!(!is_answered(&sides, 1000));
        }
    }
}
