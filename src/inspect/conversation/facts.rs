//! What the readers found, as observations.

use crate::inspect::dns::{self, Message};
use crate::inspect::http::{self, RequestStream};
use crate::inspect::tls::Handshake;
use crate::inspect::{Bound, HttpRequest, HttpTarget, Observation, ProxyKind, ProxyRequest, Statement};
use std::cell::RefCell;

/// DNS over TCP is rare among connections, so its message is made when it is met.
#[derive(Debug, Default)]
pub struct TcpMessages {
    pub stream: dns::TcpStream,
    message: Option<Box<Message>>,
}

/// Gets facts, and whether the bytes' sender is the client.
pub trait Emit: FnMut(bool, &Observation<'_>) {}
impl<F: FnMut(bool, &Observation<'_>)> Emit for F {}

impl TcpMessages {
    pub fn accept(&mut self, bytes: &[u8], emit: &mut impl Emit) {
        let Self { stream, message } = self;
        let message = message.get_or_insert_default();
        stream.accept(bytes, |bytes| tell(message, bytes, emit));
    }

    pub fn finish(&mut self, emit: &mut impl Emit) {
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
pub fn give_up(bound: Bound, times: u32, emit: &mut impl Emit) {
    for _ in 0..times {
        emit(true, &Observation::BoundReached(bound));
    }
}

pub fn handshake(message: &Handshake<'_>, emit: &mut impl Emit) {
    match message {
        Handshake::ClientHello(hello) => emit(true, &Observation::TlsClientHello(hello)),
        Handshake::Certificate(certificate) => emit(false, &Observation::TlsCertificate(certificate)),
        Handshake::BoundReached(bound) => emit(false, &Observation::BoundReached(*bound)),
    }
}

/// What one side says of a machine, in the client's words.
pub fn statement(by_client: bool, statement: &Statement<'_>, emit: &mut impl Emit) {
    let statement = if by_client { *statement } else { statement.turned() };
    emit(by_client, &Observation::Statement(&statement));
}

/// Reads requests and what they upload.
pub fn accept_requests<'b>(requests: &mut RequestStream, bytes: &'b [u8], emit: &mut impl Emit) -> http::Progress<'b> {
    let emit = RefCell::new(emit);
    requests.accept_with_uploads(
        bytes,
        |request| http_request(request, &mut **emit.borrow_mut()),
        |piece| (**emit.borrow_mut())(true, &Observation::HttpUpload(piece)),
    )
}

/// A request, and that it asks a proxy if it does.
pub fn http_request(request: &HttpRequest<'_>, emit: &mut impl Emit) {
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
