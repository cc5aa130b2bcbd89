//! The two directions of one TCP connection: which protocol each speaks, and where a tunnel turns it into another.
//!
//! Each direction is recognised by its own bytes, so one that was captured alone is read as well. They meet only where one
//! decides what the other's bytes mean: behind a CONNECT or a SOCKS request.

use super::dns::{self, Message};
use super::ftp;
use super::http::{self, RequestStream, ResponseStream};
use super::lines::{self, LineStream};
use super::preamble;
use super::proxy_protocol::{self, HeaderStream};
use super::recognition::Match;
use super::reputation::{self, FrameStream, Frames};
use super::smtp;
use super::socks::{self, ClientStream};
use super::syslog;
use super::tds;
use super::tls::{self, Handshake, HandshakeStream};
use super::{Bound, HttpRequest, HttpTarget, Observation, ProxyKind, ProxyRequest};
use crate::flow::Side;
use std::cell::RefCell;

/// Runs of bytes that may begin no protocol that we know before a direction is left alone. A run is tried at its start: after an
/// unknown preamble the next message usually begins a segment.
const TRIES_MAX: u8 = 16;
/// Bytes kept while they may still become one protocol or another.
const PREFIX_MAX: usize = 4096;
/// Bytes that are given of a stream that begins in no protocol that we know.
const UNKNOWN_START_MAX: usize = 16;
/// Tunnels within tunnels, and refused ones, that are followed: a client that may not out asks on in the same connection.
const TUNNELS_MAX: u8 = 64;
/// Changes of protocol within one piece: those messages, and what begins behind each.
const PASSES_MAX: u8 = 160;
/// Messages of a protocol that may turn into TLS that are passed over: a negotiation takes a handful.
const PREAMBLES_MAX: u8 = 64;

/// What a direction speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Speech {
    /// Not known yet.
    #[default]
    Start,
    /// TLS, up to the hello or the certificate.
    Tls,
    /// HTTP/1 requests.
    Requests,
    /// DNS messages.
    Dns,
    /// A SOCKS client's negotiation.
    Socks,
    /// A mail client's commands and messages.
    Smtp,
    /// A file transfer client's commands.
    Ftp,
    /// Syslog messages.
    Syslog,
    /// Lines of text.
    Lines,
    /// Frames of the reputation service's own protocol.
    Frames,
    /// What a proxy says before it passes a connection on.
    ProxyHeader,
    /// A message that may ask for TLS, or grant it.
    Preamble,
    /// TLS in packets of TDS.
    Tds,
    /// HTTP/1 responses: the beginning of one.
    Responses,
    /// The rest of a response, which we do not read: until there is another, or a tunnel changes what it is.
    Parked,
    /// Nothing more to learn.
    Done,
}

/// Both directions of a TCP connection.
#[derive(Debug, Default)]
pub struct Conversation {
    low: Direction,
    high: Direction,
    tunnels: u8,
}

/// What a direction's bytes led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// Nothing that concerns the other direction.
    None,
    /// The rest is inside a tunnel.
    Tunnel,
    /// Frames that the other direction may have answered, or asked for.
    Frames,
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

/// One direction. The readers keep their memory when the connection changes.
#[derive(Debug, Default)]
struct Direction {
    speech: Speech,
    /// Offset of the byte that comes next, once any came.
    next: Option<u64>,
    /// Whether the first bytes that came are the first that were sent.
    from_start: bool,
    tries: u8,
    /// Whether the other side asked for a tunnel, so that a response is only its beginning.
    tunnel_asked: bool,
    /// Bytes that may still become one protocol or another.
    prefix: Vec<u8>,
    /// The first bytes of a tunnel that came before the bytes at hand.
    carried: Vec<u8>,
    tls: HandshakeStream,
    requests: RequestStream,
    dns: TcpMessages,
    socks: ClientStream,
    lines: LineStream,
    /// Bytes of the message at hand still to come, and how many such messages there were.
    preamble_left: u64,
    preambles: u8,
    /// Apart from the others, so that connections that do not need them do not touch their memory either. Made when first needed.
    further: Option<Box<Further>>,
    /// Whether what they hold is of this connection.
    further_used: bool,
}

/// Readers that few connections need.
#[derive(Debug, Default)]
struct Further {
    responses: ResponseStream,
    smtp: smtp::ClientStream,
    ftp: ftp::ClientStream,
    syslog: syslog::MessageStream,
    frames: FrameStream,
    proxy: HeaderStream,
    tds: tds::PacketStream,
}

impl Further {
    fn clear(&mut self) {
        self.proxy.clear();
        self.tds.clear();
        self.responses.clear();
        self.smtp.clear();
        self.ftp.clear();
        self.syslog.clear();
        self.frames = FrameStream::default();
    }
}

/// DNS over TCP is rare among connections, so its message is made when it is met.
#[derive(Debug, Default)]
struct TcpMessages {
    stream: dns::TcpStream,
    message: Option<Box<Message>>,
}

/// Gets facts, and whether the bytes' sender is the client.
trait Emit: FnMut(bool, &Observation<'_>) {}
impl<F: FnMut(bool, &Observation<'_>)> Emit for F {}

impl Direction {
    /// Notes that `len` bytes come at `offset`. Whatever a gap interrupted is over.
    fn arrive(&mut self, offset: u64, len: usize, emit: &mut impl Emit) {
        let expected = self.next.replace(offset.saturating_add(len as u64));
        if expected.is_none() {
            self.from_start = offset == 0;
        }
        let Some(missing) =
            expected.filter(|&expected| expected != offset).map(|expected| offset.checked_sub(expected))
        else {
            return;
        };
        let kept = self.speech == Speech::Requests && missing.is_some_and(|missing| self.requests.skip(missing));
        if kept || matches!(self.speech, Speech::Parked | Speech::Done) {
            return;
        }
        if self.speech == Speech::Responses {
            // Bytes that nobody listened to were left out between one response and the next.
            if self.further().responses.interrupt(|response| emit(false, &Observation::HttpResponse(response)))
                == http::ResponseProgress::Over
            {
                self.speech = Speech::Parked;
            }
            return;
        }
        if self.speech == Speech::Frames {
            // Where a frame ends before a gap is not known, so nothing is finished.
            if !missing.is_some_and(|missing| self.further().frames.skip(missing)) {
                self.tell_frames_start(true, emit);
                self.further().frames.interrupt();
                self.speech = Speech::Start;
            }
            return;
        }
        self.finish(emit);
        self.speech = Speech::Start;
        // What lies on both sides of a gap is not one run.
        self.prefix.clear();
        if missing.is_none() {
            // The stream begins earlier than it seemed, so its pieces are read once more; how it seemed to begin was told.
            self.tries = self.tries.min(1);
        }
    }

    /// The readers that few connections need, as new for each connection.
    fn further(&mut self) -> &mut Further {
        let further = self.further.get_or_insert_default();
        if !self.further_used {
            self.further_used = true;
            further.clear();
        }
        further
    }

    /// The frames of this connection, if there were any.
    fn frames(&self) -> Option<&FrameStream> {
        self.further.as_ref().filter(|_| self.further_used).map(|further| &further.frames)
    }

    /// The other side sent a request: a response will come.
    fn expect_response(&mut self, request: &HttpRequest<'_>) {
        self.further().responses.expect(request);
        if self.speech == Speech::Parked {
            self.speech = Speech::Responses;
        }
    }

    /// Reads bytes as far as they go; what a tunnel's first bytes are is given back.
    ///
    /// `asked`: the frames of the other side, if it speaks in frames.
    fn read<'b>(&mut self, bytes: &'b [u8], asked: Option<&FrameStream>, emit: &mut impl Emit) -> (Turn, &'b [u8]) {
        // Every pass either ends or takes bytes, or turns Start into something else.
        let mut rest = bytes;
        let mut retries = PASSES_MAX;
        loop {
            match self.speech {
                Speech::Parked | Speech::Done => return (Turn::None, &[]),
                Speech::Start if self.prefix.is_empty() => match self.begin(rest, emit) {
                    Match::Yes => {}
                    Match::No => {
                        self.tell_unknown(rest, emit);
                        return (Turn::None, &[]);
                    }
                    Match::NeedMore => {
                        self.prefix.extend_from_slice(rest.get(..PREFIX_MAX.min(rest.len())).unwrap_or(&[]));
                        return (Turn::None, &[]);
                    }
                },
                Speech::Start => return self.read_prefixed(rest, asked, emit),
                Speech::Tls => {
                    let progress = self.tls.accept(rest, |message| handshake(&message, emit));
                    if progress == tls::Progress::Done {
                        self.tls.clear();
                        self.speech = Speech::Done;
                    }
                    return (Turn::None, &[]);
                }
                Speech::Requests => {
                    let progress = accept_requests(&mut self.requests, rest, emit);
                    give_up(Bound::HttpHead, self.requests.take_overlong(), emit);
                    match progress {
                        http::Progress::More => return (Turn::None, &[]),
                        http::Progress::Tunnel(inside) => return (Turn::Tunnel, inside),
                        http::Progress::Lost(at) => {
                            self.requests.clear();
                            rest = at;
                            self.speech = Speech::Start;
                        }
                    }
                }
                Speech::Dns => {
                    self.dns.accept(rest, emit);
                    return (Turn::None, &[]);
                }
                Speech::Socks => {
                    let progress = self.socks.accept(rest, |request| emit(true, &Observation::ProxyRequest(request)));
                    match progress {
                        socks::Progress::More => return (Turn::None, &[]),
                        socks::Progress::Tunnel(inside) => return (Turn::Tunnel, inside),
                        socks::Progress::Lost(_) => {
                            self.speech = Speech::Done;
                            return (Turn::None, &[]);
                        }
                    }
                }
                Speech::Responses => {
                    let progress = self
                        .further()
                        .responses
                        .accept(rest, |response| emit(false, &Observation::HttpResponse(response)));
                    give_up(Bound::HttpResponseHead, self.further().responses.take_overlong(), emit);
                    if progress == http::ResponseProgress::Over {
                        self.speech = Speech::Parked;
                    }
                    return (Turn::None, &[]);
                }
                Speech::Smtp => {
                    let smtp = &mut self.further().smtp;
                    let progress = smtp.accept(rest, |header| emit(true, &Observation::MailHeader(header)));
                    let (commands, headers) = smtp.take_overlong();
                    give_up(Bound::Command, commands, emit);
                    give_up(Bound::MailHeader, headers, emit);
                    match progress {
                        smtp::Progress::More => return (Turn::None, &[]),
                        smtp::Progress::Over(at) => {
                            smtp.clear();
                            rest = at;
                            self.speech = Speech::Start;
                            self.tries = 0;
                        }
                        smtp::Progress::Endless => self.end(Bound::MailSession, emit),
                    }
                }
                Speech::Ftp => {
                    let ftp = &mut self.further().ftp;
                    let progress = ftp.accept(rest, |request| emit(true, &Observation::FtpRequest(request)));
                    give_up(Bound::Command, ftp.take_overlong(), emit);
                    match progress {
                        ftp::Progress::More => return (Turn::None, &[]),
                        ftp::Progress::Over(at) => {
                            ftp.clear();
                            rest = at;
                            self.speech = Speech::Start;
                            self.tries = 0;
                        }
                        ftp::Progress::Endless => self.end(Bound::FtpSession, emit),
                    }
                }
                Speech::Syslog => {
                    let syslog = &mut self.further().syslog;
                    match syslog.accept(rest, |originator| emit(true, &Observation::SyslogOriginator(originator))) {
                        syslog::Progress::More => return (Turn::None, &[]),
                        syslog::Progress::Over(at) => {
                            syslog.clear();
                            rest = at;
                            self.speech = Speech::Start;
                            self.tries = 0;
                        }
                        syslog::Progress::Enough => {
                            self.speech = Speech::Done;
                            return (Turn::None, &[]);
                        }
                    }
                }
                Speech::Frames => return (self.read_frames(rest, asked, emit), &[]),
                Speech::Lines => {
                    // Joined midway, a body looks like text, but the next request begins a segment. And some text has no lines: XMPP,
                    // or LDAP, whose messages begin with a byte that is also a letter.
                    // A handshake's first byte is in no text, so it may come alone.
                    if http::recognise_request(rest) == Match::Yes
                        || reputation::recognise(rest) == Match::Yes
                        || !rest.is_empty()
                            && [tls::recognise_client, tls::recognise_server]
                                .iter()
                                .any(|recognise| recognise(rest) != Match::No)
                    {
                        self.speech = Speech::Start;
                        continue;
                    }
                    match self.lines.accept(rest) {
                        lines::Progress::More => return (Turn::None, &[]),
                        lines::Progress::Over(at) => {
                            rest = at;
                            self.speech = Speech::Start;
                            self.tries = 0;
                        }
                        lines::Progress::Endless => self.end(Bound::TextLines, emit),
                    }
                }
                Speech::ProxyHeader => {
                    match self.further().proxy.accept(rest, |source| emit(true, &Observation::PassedOnFor(source))) {
                        proxy_protocol::Progress::More => return (Turn::None, &[]),
                        proxy_protocol::Progress::Over(at) => {
                            rest = at;
                            self.speech = Speech::Start;
                            self.tries = 0;
                        }
                    }
                }
                Speech::Preamble => {
                    let skipped = usize::try_from(self.preamble_left).unwrap_or(usize::MAX).min(rest.len());
                    self.preamble_left -= skipped as u64;
                    rest = rest.get(skipped..).unwrap_or(&[]);
                    if self.preamble_left > 0 {
                        return (Turn::None, &[]);
                    }
                    self.speech = Speech::Start;
                    self.tries = 0;
                    self.preambles += 1;
                    if self.preambles >= PREAMBLES_MAX {
                        self.end(Bound::Preambles, emit);
                    }
                }
                Speech::Tds => {
                    let mut tds = self.further().tds;
                    let tls = &mut self.tls;
                    let mut is_done = false;
                    let progress = tds.accept(rest, |bytes| {
                        is_done = tls.accept(bytes, |message| handshake(&message, emit)) == tls::Progress::Done;
                        !is_done
                    });
                    self.further().tds = tds;
                    if is_done {
                        self.tls.clear();
                        self.speech = Speech::Done;
                        return (Turn::None, &[]);
                    }
                    match progress {
                        tds::Progress::More => return (Turn::None, &[]),
                        tds::Progress::Over(at) => {
                            self.tls.clear();
                            rest = at;
                            self.speech = Speech::Start;
                        }
                    }
                }
            }
            // Nothing is left, and what began so far is read.
            if rest.is_empty() {
                return (Turn::None, &[]);
            }
            retries -= 1;
            if retries == 0 {
                self.end(Bound::UnknownPieces, emit);
            }
        }
    }

    /// Goes on with bytes that alone were too few to tell.
    fn read_prefixed<'b>(
        &mut self,
        bytes: &'b [u8],
        asked: Option<&FrameStream>,
        emit: &mut impl Emit,
    ) -> (Turn, &'b [u8]) {
        let before = self.prefix.len();
        let taken = bytes.len().min(PREFIX_MAX.saturating_sub(before));
        self.prefix.extend_from_slice(bytes.get(..taken).unwrap_or(&[]));
        let mut prefix = std::mem::take(&mut self.prefix);
        let old = prefix.get(..before).unwrap_or(&[]);
        let result = match self.begin(&prefix, emit) {
            Match::NeedMore if prefix.len() < PREFIX_MAX => {
                self.prefix = prefix;
                return (Turn::None, &[]);
            }
            Match::NeedMore => {
                self.fail(emit);
                (Turn::None, &[][..])
            }
            // The new bytes may begin what the old ones did not.
            Match::No => {
                self.tell_unknown(&prefix, emit);
                self.read(bytes, asked, emit)
            }
            // Old and new one after the other, since a border between segments may be one between messages.
            Match::Yes => match self.read(old, asked, emit) {
                (Turn::Tunnel, inside) => {
                    self.carried.extend_from_slice(inside);
                    (Turn::Tunnel, bytes)
                }
                (Turn::None | Turn::Frames, _) => self.read(bytes, asked, emit),
            },
        };
        prefix.clear();
        if self.prefix.is_empty() {
            self.prefix = prefix;
        }
        result
    }

    /// Decides what begins with `bytes`.
    fn begin(&mut self, bytes: &[u8], emit: &mut impl Emit) -> Match {
        let mut undecided = false;
        for (recognise, speech) in RECOGNISERS {
            match recognise(bytes) {
                Match::Yes if undecided => break,
                Match::Yes => {
                    self.speech = match speech {
                        Speech::Responses if self.tunnel_asked => Speech::Lines,
                        speech => *speech,
                    };
                    self.lines = LineStream::default();
                    if *speech == Speech::Preamble {
                        self.preamble_left = preamble::length(bytes);
                    }
                    return Match::Yes;
                }
                Match::NeedMore => undecided = true,
                Match::No => {}
            }
        }
        if undecided {
            return Match::NeedMore;
        }
        self.fail(emit);
        Match::No
    }

    /// Tells what the stream began with, once that turned out to be nothing that we know.
    fn tell_unknown(&self, start: &[u8], emit: &mut impl Emit) {
        if self.tries == 1 && !self.tunnel_asked && self.preambles == 0 {
            let start = start.get(..UNKNOWN_START_MAX).unwrap_or(start);
            emit(true, &Observation::UnknownStart(start));
        }
    }

    /// Reads frames, and tells how the first one began: a run of bytes may turn out to be no frames, and its first ones are what there is.
    fn read_frames(&mut self, bytes: &[u8], asked: Option<&FrameStream>, emit: &mut impl Emit) -> Turn {
        let is_first = self.from_start && self.tries == 0;
        let frames = &mut self.further().frames;
        if is_first && frames.is_new() {
            frames.begin();
        }
        let progress = frames.accept(bytes, asked);
        self.tell_frames_start(progress != reputation::Progress::More, emit);
        match progress {
            reputation::Progress::More => {}
            reputation::Progress::Lost => {
                self.further().frames.interrupt();
                self.speech = Speech::Start;
                self.fail(emit);
            }
            reputation::Progress::Endless => self.speech = Speech::Done,
        }
        Turn::Frames
    }

    fn tell_frames_start(&mut self, is_over: bool, emit: &mut impl Emit) {
        let is_start = self.tries == 0 && !self.tunnel_asked;
        if let Some(start) = self.further().frames.take_start(is_over)
            && is_start
        {
            emit(true, &Observation::UnknownStart(start));
        }
    }

    /// Counts a run of bytes that began nothing.
    fn fail(&mut self, emit: &mut impl Emit) {
        self.tries += 1;
        if self.tries >= TRIES_MAX {
            self.end(Bound::UnknownPieces, emit);
        }
    }

    /// Leaves the rest alone, because a bound was met.
    fn end(&mut self, bound: Bound, emit: &mut impl Emit) {
        self.speech = Speech::Done;
        give_up(bound, 1, emit);
    }

    /// Begins anew: what comes next belongs to the tunnel.
    fn enter_tunnel(&mut self) {
        if self.speech != Speech::Done {
            self.speech = Speech::Start;
        }
        self.tries = 0;
        self.tunnel_asked = true;
        self.prefix.clear();
        std::mem::swap(&mut self.prefix, &mut self.carried);
        self.requests.clear();
        self.socks.clear();
    }

    fn finish(&mut self, emit: &mut impl Emit) {
        match self.speech {
            Speech::Tls | Speech::Tds => self.tls.finish(|message| handshake(&message, emit)),
            Speech::Requests => self.requests.finish(|request| http_request(request, emit)),
            Speech::Dns => self.dns.finish(emit),
            Speech::Responses => {
                self.further().responses.finish(|response| emit(false, &Observation::HttpResponse(response)))
            }
            Speech::Smtp => self.further().smtp.finish(|header| emit(true, &Observation::MailHeader(header))),
            Speech::Ftp => self.further().ftp.clear(),
            Speech::Syslog => {
                self.further().syslog.finish(|originator| emit(true, &Observation::SyslogOriginator(originator)))
            }
            Speech::Frames => {
                self.tell_frames_start(true, emit);
                self.further().frames.finish();
            }
            Speech::ProxyHeader => self.further().proxy.clear(),
            // Too few bytes to tell, and no more will come.
            Speech::Start if !self.prefix.is_empty() && self.tries == 0 => {
                self.tries = 1;
                let prefix = std::mem::take(&mut self.prefix);
                self.tell_unknown(&prefix, emit);
                self.prefix = prefix;
            }
            _ => {}
        }
        self.prefix.clear();
        self.socks.clear();
        self.preamble_left = 0;
        if self.speech == Speech::Tds {
            self.further().tds.clear();
        }
    }

    fn held_bytes(&self) -> usize {
        self.prefix.len()
            + self.tls.held_bytes()
            + self.requests.held_bytes()
            + self.dns.stream.held_bytes()
            + self.socks.held_bytes()
            + self.further_held_bytes()
    }

    /// Asked of every packet, so the memory of readers that are at rest is not touched.
    fn further_held_bytes(&self) -> usize {
        match (self.speech, &self.further) {
            (Speech::Responses, Some(further)) => further.responses.held_bytes(),
            (Speech::Smtp, Some(further)) => further.smtp.held_bytes(),
            (Speech::Ftp, Some(further)) => further.ftp.held_bytes(),
            (Speech::Syslog, Some(further)) => further.syslog.held_bytes(),
            (Speech::ProxyHeader, Some(further)) => further.proxy.held_bytes(),
            _ => 0,
        }
    }

    fn clear(&mut self) {
        self.speech = Speech::Start;
        self.next = None;
        self.from_start = false;
        self.tries = 0;
        self.tunnel_asked = false;
        self.prefix.clear();
        self.carried.clear();
        self.tls.clear();
        self.requests.clear();
        self.dns.stream.clear();
        self.socks.clear();
        self.lines = LineStream::default();
        self.preamble_left = 0;
        self.preambles = 0;
        self.further_used = false;
    }
}

/// Says whether bytes begin a protocol.
type Recogniser = fn(&[u8]) -> Match;

/// In the order in which they are asked; the first that is sure decides, unless an earlier one needs more.
const RECOGNISERS: &[(Recogniser, Speech)] = &[
    (tls::recognise_client, Speech::Tls),
    (tls::recognise_server, Speech::Tls),
    (tls::recognise_protected, Speech::Done),
    (proxy_protocol::recognise, Speech::ProxyHeader),
    (http::recognise_request, Speech::Requests),
    (http::recognise_response, Speech::Responses),
    (dns::recognise_stream, Speech::Dns),
    (tds::recognise, Speech::Tds),
    (preamble::recognise, Speech::Preamble),
    (socks::recognise, Speech::Socks),
    (smtp::recognise, Speech::Smtp),
    (ftp::recognise, Speech::Ftp),
    (syslog::recognise, Speech::Syslog),
    (reputation::recognise, Speech::Frames),
    (lines::recognise, Speech::Lines),
];

impl TcpMessages {
    fn accept(&mut self, bytes: &[u8], emit: &mut impl Emit) {
        let Self { stream, message } = self;
        let message = message.get_or_insert_default();
        stream.accept(bytes, |bytes| tell(message, bytes, emit));
    }

    fn finish(&mut self, emit: &mut impl Emit) {
        let Self { stream, message } = self;
        let message = message.get_or_insert_default();
        stream.finish(|bytes| tell(message, bytes, emit));
    }
}

fn tell(message: &mut Message, bytes: &[u8], emit: &mut impl Emit) {
    if dns::recognise(bytes) && message.parse(bytes).is_ok() {
        emit(!message.is_response, &Observation::Dns(message));
        give_up(Bound::DnsMessage, message.over_bound.into(), emit);
    }
}

/// Tells that a bound was met so many times.
fn give_up(bound: Bound, times: u32, emit: &mut impl Emit) {
    for _ in 0..times {
        emit(true, &Observation::BoundReached(bound));
    }
}

fn handshake(message: &Handshake<'_>, emit: &mut impl Emit) {
    match message {
        Handshake::ClientHello(hello) => emit(true, &Observation::TlsClientHello(hello)),
        Handshake::Certificate(certificate) => emit(false, &Observation::TlsCertificate(certificate)),
        Handshake::BoundReached(bound) => emit(false, &Observation::BoundReached(*bound)),
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

/// Reads requests and what they upload.
fn accept_requests<'b>(requests: &mut RequestStream, bytes: &'b [u8], emit: &mut impl Emit) -> http::Progress<'b> {
    let emit = RefCell::new(emit);
    requests.accept_with_uploads(
        bytes,
        |request| http_request(request, &mut **emit.borrow_mut()),
        |piece| (**emit.borrow_mut())(true, &Observation::HttpUpload(piece)),
    )
}

/// A request, and that it asks a proxy if it does.
fn http_request(request: &HttpRequest<'_>, emit: &mut impl Emit) {
    emit(true, &Observation::HttpRequest(request));
    let kind = match request.target_form {
        HttpTarget::Absolute => ProxyKind::HttpAbsolute,
        HttpTarget::Authority => ProxyKind::HttpConnect,
        HttpTarget::Origin | HttpTarget::Asterisk => return,
    };
    emit(
        true,
        &Observation::ProxyRequest(&ProxyRequest {
            kind,
            name: request.host.as_ref(),
            address: request.host_address,
            port: request.port.unwrap_or(80),
        }),
    );
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::super::reputation::tests::{answer, request};
    use super::*;
    use proptest::prelude::*;

    /// A smallest hello with a server name.
    fn hello(name: &str) -> Vec<u8> {
        let length = |value: usize| u16::try_from(value).unwrap().to_be_bytes();
        let mut list = vec![0];
        list.extend(length(name.len()));
        list.extend(name.as_bytes());
        let mut extension = vec![0, 0];
        extension.extend(length(list.len() + 2));
        extension.extend(length(list.len()));
        extension.extend(list);
        let mut body = vec![3, 3];
        body.extend([1; 32]);
        body.extend([0, 0, 2, 0x13, 1, 1, 0]);
        body.extend(length(extension.len()));
        body.extend(extension);
        let mut record = vec![22, 3, 1];
        record.extend(length(body.len() + 4));
        record.extend([1, 0]);
        record.extend(length(body.len()));
        record.extend(body);
        record
    }

    fn words(observation: &Observation<'_>) -> String {
        match observation {
            Observation::TlsClientHello(hello) => {
                format!("hello {}", hello.sni.map(|name| name.to_string()).unwrap_or_default())
            }
            Observation::HttpRequest(request) => {
                format!("http {}", request.host.map(|name| name.to_string()).unwrap_or_default())
            }
            Observation::ProxyRequest(request) => {
                format!("proxy {:?} {}", request.kind, request.name.map(ToString::to_string).unwrap_or_default())
            }
            Observation::HttpResponse(response) => {
                let path = response.request().map(|request| String::from_utf8_lossy(request.path).into_owned());
                format!(
                    "{} {} for {}",
                    response.status,
                    String::from_utf8_lossy(response.body),
                    path.unwrap_or_default()
                )
            }
            Observation::FtpRequest(request) => format!("ftp {}", String::from_utf8_lossy(request.path)),
            Observation::MailHeader(header) => format!("mail from {}", String::from_utf8_lossy(header.greeting)),
            Observation::SyslogOriginator(originator) => {
                let text = originator.device.or(originator.structured_data).unwrap_or_default();
                format!("syslog by {}", String::from_utf8_lossy(text))
            }
            Observation::HttpUpload(piece) => format!("upload {}", String::from_utf8_lossy(piece)),
            Observation::UnknownStart(start) => format!("unknown {start:?}"),
            Observation::ReputationFrames(frames) => format!("frames {frames:?}"),
            Observation::Dns(message) => {
                format!("dns {}", message.question.map(|(name, _)| name.to_string()).unwrap_or_default())
            }
            other => format!("{other:?}"),
        }
    }

    /// Every fact, when the low side sends `stream` in pieces of `step` bytes.
    fn facts(stream: &[u8], step: usize) -> Vec<String> {
        let mut conversation = Conversation::default();
        let mut all = Vec::new();
        let mut at = 0;
        for piece in stream.chunks(step) {
            conversation.accept(Side::Low, at, piece, |client, observation| {
                assert_eq!(client, Side::Low);
                all.push(words(observation));
            });
            at += piece.len() as u64;
        }
        conversation.finish(Side::Low, |_, observation| all.push(words(observation)));
        all
    }

    fn check(stream: &[u8], expected: &[&str]) {
        for step in 1..=stream.len() {
            assert_eq!(facts(stream, step), expected, "step {step}");
        }
    }

    #[test]
    fn a_hello_behind_connect() {
        let mut stream = b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example\r\n\r\n".to_vec();
        stream.extend(hello("s07.upd.kaspersky.com"));
        check(&stream, &["http a.example", "proxy HttpConnect a.example", "hello s07.upd.kaspersky.com"]);
    }

    #[test]
    fn a_hello_behind_socks_behind_connect() {
        let mut stream =
            b"CONNECT socks.example:1080 HTTP/1.1\r\n\r\n\x05\x01\x00\x05\x01\x00\x03\x10ds.kaspersky.com\x01\xbb"
                .to_vec();
        stream.extend(hello("ds.kaspersky.com"));
        let expected = [
            "http socks.example",
            "proxy HttpConnect socks.example",
            "proxy Socks5 ds.kaspersky.com",
            "hello ds.kaspersky.com",
        ];
        check(&stream, &expected);
    }

    #[test]
    fn a_hello_behind_starttls() {
        for text in
            ["EHLO a.example\r\nSTARTTLS\r\n", "a1 CAPABILITY\r\na2 STARTTLS\r\n", "CAPA\r\nSTLS\r\n", "AUTH TLS\r\n"]
        {
            let mut stream = text.as_bytes().to_vec();
            stream.extend(hello("ds.kaspersky.com"));
            check(&stream, &["hello ds.kaspersky.com"]);
        }
    }

    #[test]
    fn both_hellos_behind_text_without_lines() {
        // LDAP's StartTLS and its answer (RFC 4511 section 4.14): the first byte is also the digit 0.
        let mut conversation = Conversation::default();
        conversation.accept(Side::Low, 0, b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037", |_, _| {});
        conversation.accept(Side::High, 0, b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00", |_, _| {});
        let mut names = Vec::new();
        conversation.accept(Side::Low, 31, &hello("ds.kaspersky.com"), |_, observation| names.push(words(observation)));
        assert_eq!(names, ["hello ds.kaspersky.com"]);
        conversation.accept(Side::High, 14, &[22, 3, 3, 0, 74, 2, 0, 0, 70], |_, _| {});
        assert_eq!(conversation.high.speech, Speech::Tls);
    }

    #[test]
    fn messages_of_dns() {
        let mut query = vec![0, 33, 0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 2];
        query.extend(b"ds\x09kaspersky\x03com\0\0\x01\0\x01");
        query[1] = u8::try_from(query.len() - 2).unwrap();
        let stream = [query.clone(), query].concat();
        check(&stream, &["dns ds.kaspersky.com", "dns ds.kaspersky.com"]);
    }

    #[test]
    fn a_tunnel_behind_refused_ones() {
        let mut stream =
            b"CONNECT a.example:443 HTTP/1.1\r\n\r\nCONNECT a.example:443 HTTP/1.1\r\nProxy-Authorization: x\r\n\r\n"
                .to_vec();
        stream.extend(hello("a.example"));
        let connect = ["http a.example", "proxy HttpConnect a.example"];
        check(&stream, &[&connect[..], &connect[..], &["hello a.example"]].concat());
    }

    #[test]
    fn requests_are_found_behind_the_middle_of_another() {
        let mut conversation = Conversation::default();
        let mut all = Vec::new();
        let pieces = [&b"<html>the rest of an upload</html>"[..], b"GET / HTTP/1.1\r\nHost: ds.kaspersky.com\r\n\r\n"];
        let mut at = 1 << 32;
        for piece in pieces {
            conversation.accept(Side::High, at, piece, |_, observation| all.push(words(observation)));
            at += piece.len() as u64;
        }
        assert_eq!(all, ["http ds.kaspersky.com"]);
    }

    #[test]
    fn a_gap_ends_what_it_interrupts_and_nothing_else() {
        let mut conversation = Conversation::default();
        let mut all = Vec::new();
        let mut send = |offset, bytes: &[u8]| {
            conversation.accept(Side::Low, offset, bytes, |_, observation| all.push(words(observation)))
        };
        send(0, b"GET / HTTP/1.1\r\nHost: a.example\r\nUser-A");
        send(1_000, b"gent: x\r\n\r\n");
        send(1_011, b"GET / HTTP/1.1\r\nHost: b.example\r\n\r\n");
        assert_eq!(all, ["http a.example", "http b.example"]);
    }

    #[test]
    fn the_answer_to_connect_is_not_taken_for_the_end() {
        let mut conversation = Conversation::default();
        conversation.accept(Side::Low, 0, b"CONNECT a.example:443 HTTP/1.1\r\n\r\n", |_, _| {});
        conversation.accept(Side::High, 0, b"HTTP/1.1 200 Connection established\r\n\r\n", |_, _| {});
        assert!(conversation.wants(Side::High) && conversation.wants(Side::Low));
        conversation.accept(Side::Low, 34, &hello("a.example"), |_, _| {});
        assert!(!conversation.wants(Side::Low));
        conversation.accept(
            Side::High,
            39,
            &[&[22, 3, 3, 0, 74, 2, 0, 0, 70][..], &[0; 70], &[20, 3, 3, 0, 1, 1]].concat(),
            |_, _| {},
        );
        assert!(conversation.is_settled());
    }

    #[test]
    fn a_connection_joined_behind_its_handshake_is_left_alone_at_once() {
        let mut conversation = Conversation::default();
        let record: Vec<u8> = [&[23, 3, 3, 0, 100][..], &[0x41; 100]].concat();
        for side in [Side::Low, Side::High] {
            assert!(conversation.wants(side));
            let (first, rest) = record.split_at(3);
            conversation.accept(side, 1 << 32, first, |_, _| panic!("too few bytes"));
            conversation.accept(side, (1 << 32) + 3, rest, |_, _| panic!("nothing to tell"));
        }
        assert!(conversation.is_settled());
    }

    #[test]
    fn each_response_is_read_as_far_as_its_body_begins() {
        let ask = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a.example\r\n\r\n").into_bytes();
        let answer = |body: &str| format!("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{body}").into_bytes();
        let mut conversation = Conversation::default();
        let mut all = Vec::new();
        let mut offsets = [0, 0];
        for round in 0..3 {
            for (at, bytes) in [ask(&format!("/{round}")), answer(&"K".repeat(2_000))].into_iter().enumerate() {
                let side = if at == 0 { Side::Low } else { Side::High };
                for piece in bytes.chunks(500) {
                    conversation.accept(side, offsets[at], piece, |client, observation| {
                        assert_eq!(client, Side::Low);
                        all.push(words(observation));
                    });
                    offsets[at] += piece.len() as u64;
                }
            }
            assert!(!conversation.wants(Side::High), "the rest of the body is left alone");
            // Nobody hears of the rest: it shows as a gap.
            offsets[1] += 98_000;
        }
        let expected = (0..3).flat_map(|round| {
            ["http a.example".to_owned(), format!("200 {} for /{round}", "K".repeat(http::BODY_MAX))]
        });
        assert_eq!(all, expected.collect::<Vec<_>>());
        conversation.clear();
        let mut asked = Vec::new();
        conversation.accept(Side::High, 0, &answer(&"K".repeat(99)), |_, observation| asked.push(words(observation)));
        assert_eq!(asked, [format!("200 {} for ", "K".repeat(http::BODY_MAX))], "nothing of the connection before");
    }

    #[test]
    fn mail_and_files_are_read_and_a_handshake_behind_them() {
        let mut stream =
            b"EHLO mx.a.example\r\nMAIL FROM:<a>\r\nDATA\r\nSubject: x\r\n\r\nhello\r\n.\r\nSTARTTLS\r\n".to_vec();
        stream.extend(hello("s07.upd.kaspersky.com"));
        check(&stream, &["mail from mx.a.example", "hello s07.upd.kaspersky.com"]);
        let mut stream = b"USER a\r\nCWD /index\r\nRETR u1313g.xml\r\nAUTH TLS\r\n".to_vec();
        stream.extend(hello("s07.upd.kaspersky.com"));
        check(&stream, &["ftp /index/", "ftp /index/u1313g.xml", "hello s07.upd.kaspersky.com"]);
    }

    #[test]
    fn what_begins_nothing_tells_its_first_bytes_once() {
        let mut stream = b"KE\0\x02".to_vec();
        stream.extend([0xff; 40]);
        assert_eq!(
            facts(&stream, stream.len()),
            ["unknown [75, 69, 0, 2, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255]"]
        );
        for step in 1..stream.len() {
            let facts = facts(&stream, step);
            assert!(facts.len() == 1 && facts[0].starts_with("unknown [75, 69, 0, 2"), "{step}: {facts:?}");
        }
        assert_eq!(facts(b"KE\0\x02\0", 5), ["unknown [75, 69, 0, 2, 0]"], "too short to tell, and over");
    }

    /// What a client (low) and a server (high) said, in the order in which it came, from that offset on; then both ends.
    fn dialogue(messages: &[(Side, Vec<u8>)], step: usize, start: u64) -> Vec<(Side, String)> {
        let mut conversation = Conversation::default();
        let mut all = Vec::new();
        let mut offsets = [start, start];
        for (from, bytes) in messages {
            let offset = &mut offsets[usize::from(*from == Side::High)];
            for piece in bytes.chunks(step) {
                conversation.accept(*from, *offset, piece, |client, seen| all.push((client, words(seen))));
                *offset += piece.len() as u64;
            }
        }
        for side in [Side::Low, Side::High] {
            conversation.finish(side, |client, seen| all.push((client, words(seen))));
        }
        all.retain(|(_, words)| !words.starts_with("unknown"));
        all
    }

    #[test]
    fn frames_that_are_answered_tell_who_asked() {
        let exchange = |number| [(Side::High, request(number, 90)), (Side::Low, answer(number, 40))];
        let answered = vec![(Side::High, "frames Answered".to_owned())];
        for step in (1..30).chain([1_000]) {
            for start in [0, 1 << 32] {
                assert_eq!(dialogue(&exchange(6), step, start), answered, "{step}");
                assert_eq!(
                    dialogue(&[exchange(6), exchange(8), exchange(9)].concat(), step, start),
                    answered,
                    "{step}"
                );
            }
        }
        let together =
            [(Side::High, [request(1, 9), request(2, 9)].concat()), (Side::Low, [answer(2, 3), answer(1, 3)].concat())];
        assert_eq!(dialogue(&together, 1_000, 0), answered);
        let joined_late = [(Side::Low, answer(5, 40)), (Side::High, request(6, 90)), (Side::Low, answer(6, 40))];
        assert_eq!(dialogue(&joined_late, 1_000, 1 << 32), answered);
        let joined_within =
            [&[(Side::High, vec![0x9c; 50]), (Side::Low, vec![0x9c; 50])][..], &exchange(6), &exchange(7)].concat();
        assert_eq!(dialogue(&joined_within, 1_000, 1 << 32), answered);
        let tunnel = [
            &[
                (Side::High, b"CONNECT a.example:443 HTTP/1.1\r\n\r\n".to_vec()),
                (Side::Low, b"HTTP/1.1 200 OK\r\n\r\n".to_vec()),
            ][..],
            &exchange(6),
            &exchange(7),
        ]
        .concat();
        assert_eq!(dialogue(&tunnel, 1_000, 0).last(), answered.last());
    }

    #[test]
    fn frames_that_nobody_answers_tell_something_only_if_nobody_was_heard() {
        let asked: Vec<_> = (1..5).map(|number| (Side::Low, request(number, 90))).collect();
        assert_eq!(dialogue(&asked, 1_000, 0), [(Side::Low, "frames OneSided".to_owned())]);
        let answers: Vec<_> = (1..5).map(|number| (Side::Low, answer(number, 90))).collect();
        assert_eq!(dialogue(&answers, 1_000, 0), [(Side::High, "frames OneSided".to_owned())]);
        assert_eq!(dialogue(&asked[..2], 1_000, 0), []);
        let endless: Vec<_> = (1..100).map(|number| (Side::Low, request(number, 9))).collect();
        assert_eq!(dialogue(&endless, 1_000, 0), [(Side::Low, "frames OneSided".to_owned())]);
        for other in [vec![0], answer(9, 4), request(1, 4), b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), b"KE\0\0".to_vec()] {
            let all = dialogue(&[&[(Side::High, other)], &asked[..]].concat(), 1_000, 0);
            assert!(all.iter().all(|(_, words)| !words.starts_with("frames")), "{all:?}");
        }
    }

    #[test]
    fn strange_bytes_are_left_alone_after_some_tries() {
        let mut conversation = Conversation::default();
        for number in 0..TRIES_MAX {
            assert!(conversation.wants(Side::Low));
            conversation.accept(Side::Low, u64::from(number) * 20, &[0xff; 20], |_, _| {});
        }
        assert!(!conversation.wants(Side::Low));
    }

    proptest! {
        #[test]
        fn arbitrary_conversations_never_panic_and_hold_little(
            pieces in prop::collection::vec((any::<bool>(), 0u64..3, prop::sample::select(vec![
                &b"CONNECT a:1 HTTP/1.1\r\n\r\n"[..], b"GET / HTTP/1.1\r\n", b"Host: x\r\n\r\n", b"\x05\x01\x00", b"\x16\x03\x01\x02\x00\x01\x00",
                b"\x00\x1d\x00\x01\x01\x00\x00\x01", b"EHLO x\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"DATA\r\nX: y\r\n\r\n", b"USER x\r\nRETR y\r\n", b"KE\0\0", b"\0\x01\x01\x55\0\0\0\x02", b"\0\x01\0\0\0\0\x02", b"\0\0\0\0", b"\xff\xff", b"\x05\x01\x00\x03\x03abc\x01\xbb",
            ])), 0..60),
        ) {
            let mut conversation = Conversation::default();
            let mut offsets = [0u64; 2];
            for (side, gap, bytes) in pieces {
                let offset = &mut offsets[usize::from(side)];
                *offset += gap;
                conversation.accept(if side { Side::High } else { Side::Low }, *offset, bytes, |_, _| {});
                *offset += bytes.len() as u64;
                prop_assert!(conversation.held_bytes() < 64 << 10);
            }
            conversation.finish(Side::Low, |_, _| {});
            conversation.finish(Side::High, |_, _| {});
        }
    }
}
