//! One direction of a connection: its bytes go to the reader of whatever it speaks, and what ends there begins anew.

mod beginning;

use super::facts::{Emit, TcpMessages, accept_requests, give_up, handshake, http_request, statement};
use super::further::Further;
use super::speech::Speech;
use crate::inspect::http::{self, RequestStream};
use crate::inspect::identity::ssh;
use crate::inspect::lines::{self, LineStream};
use crate::inspect::recognition::Match;
use crate::inspect::reputation::{self, FrameStream};
use crate::inspect::socks::{self, ClientStream};
use crate::inspect::tls::{self, HandshakeStream};
use crate::inspect::{Bound, HttpRequest, Observation, ftp, proxy_protocol, smtp, syslog, tds};
use beginning::PREFIX_MAX;

/// Runs of bytes that may begin no protocol that we know before a direction is left alone. A run is tried at its start: after an
/// unknown preamble the next message usually begins a segment.
pub const TRIES_MAX: u8 = 16;
/// Changes of protocol within one piece: those messages, and what begins behind each.
const PASSES_MAX: u8 = 160;
/// Messages of a protocol that may turn into TLS that are passed over: a negotiation takes a handful.
const PREAMBLES_MAX: u8 = 64;

/// What a direction's bytes led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Nothing that concerns the other direction.
    None,
    /// The rest is inside a tunnel.
    Tunnel,
    /// Frames that the other direction may have answered, or asked for.
    Frames,
}

/// One direction. The readers keep their memory when the connection changes.
#[derive(Debug, Default)]
pub struct Direction {
    pub speech: Speech,
    /// Offset of the byte that comes next, once any came.
    pub next: Option<u64>,
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

impl Direction {
    /// Notes that `len` bytes come at `offset`. Whatever a gap interrupted is over.
    pub fn arrive(&mut self, offset: u64, len: usize, emit: &mut impl Emit) {
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
    pub fn frames(&self) -> Option<&FrameStream> {
        self.further.as_ref().filter(|_| self.further_used).map(|further| &further.frames)
    }

    /// The other side sent a request: a response will come.
    pub fn expect_response(&mut self, request: &HttpRequest<'_>) {
        self.further().responses.expect(request);
        if self.speech == Speech::Parked {
            self.speech = Speech::Responses;
        }
    }

    /// Reads bytes as far as they go; what a tunnel's first bytes are is given back.
    ///
    /// `asked`: the frames of the other side, if it speaks in frames.
    pub fn read<'b>(&mut self, bytes: &'b [u8], asked: Option<&FrameStream>, emit: &mut impl Emit) -> (Turn, &'b [u8]) {
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
                            self.begin_anew();
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
                            self.begin_anew();
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
                            self.begin_anew();
                        }
                        syslog::Progress::Enough => {
                            self.speech = Speech::Done;
                            return (Turn::None, &[]);
                        }
                    }
                }
                Speech::Ssh => {
                    match self.further().ssh.accept(rest, |line| emit(true, &Observation::SshGreeting(line))) {
                        ssh::Progress::More => return (Turn::None, &[]),
                        ssh::Progress::Over(at) => {
                            self.further().ssh.clear();
                            rest = at;
                            self.begin_anew();
                        }
                        ssh::Progress::Enough => self.speech = Speech::Done,
                    }
                }
                Speech::Smb => {
                    if !self.further().smb.accept(rest, |by_client, said| statement(by_client, said, emit)) {
                        self.further().smb.clear();
                        self.speech = Speech::Done;
                    }
                    return (Turn::None, &[]);
                }
                Speech::Kerberos => {
                    if !self.further().kerberos.accept(rest, |by_client, said| statement(by_client, said, emit)) {
                        self.speech = Speech::Done;
                    }
                    return (Turn::None, &[]);
                }
                Speech::Frames => return (self.read_frames(rest, asked, emit), &[]),
                Speech::Lines => {
                    // Joined midway, a body looks like text, but the next request begins a segment. And some text has no lines: XMPP,
                    // or LDAP, whose messages begin with a byte that is also a letter.
                    // A handshake's first byte is in no text, so it may come alone.
                    if http::recognise_request(rest) == Match::Yes
                        || reputation::recognise(rest) == Match::Yes
                        || ssh::recognise(rest) == Match::Yes
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
                            self.begin_anew();
                        }
                        lines::Progress::Endless => self.end(Bound::TextLines, emit),
                    }
                }
                Speech::ProxyHeader => {
                    match self.further().proxy.accept(rest, |source| emit(true, &Observation::PassedOnFor(source))) {
                        proxy_protocol::Progress::More => return (Turn::None, &[]),
                        proxy_protocol::Progress::Over(at) => {
                            rest = at;
                            self.begin_anew();
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
                    self.begin_anew();
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

    /// Leaves the rest alone, because a bound was met.
    fn end(&mut self, bound: Bound, emit: &mut impl Emit) {
        self.speech = Speech::Done;
        give_up(bound, 1, emit);
    }

    /// What comes next is in another protocol.
    const fn begin_anew(&mut self) {
        self.speech = Speech::Start;
        self.tries = 0;
    }

    /// Begins anew: what comes next belongs to the tunnel.
    pub fn enter_tunnel(&mut self) {
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

    pub fn finish(&mut self, emit: &mut impl Emit) {
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
            Speech::Ssh => self.further().ssh.clear(),
            Speech::Smb => self.further().smb.finish(|by_client, said| statement(by_client, said, emit)),
            Speech::Kerberos => self.further().kerberos.finish(|by_client, said| statement(by_client, said, emit)),
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

    pub fn held_bytes(&self) -> usize {
        self.prefix.len()
            + self.tls.held_bytes()
            + self.requests.held_bytes()
            + self.dns.stream.held_bytes()
            + self.socks.held_bytes()
            + self.further_held_bytes()
    }

    /// Asked of every packet, so the memory of readers that are at rest is not touched.
    fn further_held_bytes(&self) -> usize {
        self.further.as_ref().map_or(0, |further| further.held_bytes(self.speech))
    }

    pub fn clear(&mut self) {
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
