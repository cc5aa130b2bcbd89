//! Syslog: RFC 5424 messages over UDP (RFC 5426), TCP (RFC 6587) and TLS (RFC 5425).
//!
//! Syslog knows no acknowledgement. A batch counts as there when the system has taken it.

use super::super::output::{SyslogBody, host_and_port};
use super::super::{Message, cef, spelling};
use super::connection::Unconfirmed;
use super::tls::Files;
use super::{Delivered, Transport, TransportError};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpStream, UdpSocket};

/// How messages are written.
pub(in super::super) struct Form {
    pub body: SyslogBody,
    pub facility: u32,
    pub sensor: Arc<str>,
}

/// Where they go.
pub(in super::super) struct SyslogTransport {
    form: Form,
    server: String,
    way: Way,
    unconfirmed: Unconfirmed,
    is_new: bool,
}

enum Way {
    Udp(Option<UdpSocket>),
    Stream(Option<Pin<Box<dyn Stream>>>, Option<Tls>),
}

struct Tls {
    files: Files,
    connector: tokio_rustls::TlsConnector,
}

trait Stream: AsyncRead + AsyncWrite + Send + Sync {}
impl<S: AsyncRead + AsyncWrite + Send + Sync> Stream for S {}

const UDP_MAX: usize = 1400;
const CUT_MARK: &str = "...[cut]";
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a new TLS connection is listened to before anything is written to it: longer than an answer takes around the world.
const REFUSAL_WAIT: Duration = Duration::from_secs(1);

impl SyslogTransport {
    pub fn udp(server: &str, form: Form) -> Self {
        Self::new(server, form, Way::Udp(None))
    }

    pub fn tcp(server: &str, form: Form) -> Self {
        Self::new(server, form, Way::Stream(None, None))
    }

    /// Reads certificates. The error names what cannot be read.
    pub fn tls(server: &str, form: Form, files: Files) -> Result<Self, String> {
        let connector = files.read()?.into();
        Ok(Self::new(server, form, Way::Stream(None, Some(Tls { files, connector }))))
    }

    fn new(server: &str, form: Form, way: Way) -> Self {
        Self { form, server: server.to_owned(), way, unconfirmed: Unconfirmed::over_tcp(), is_new: true }
    }

    async fn connect(server: &str, tls: Option<&Tls>) -> io::Result<Pin<Box<dyn Stream>>> {
        let (host, port) = host_and_port(server).ok_or(io::ErrorKind::InvalidInput)?;
        let stream = TcpStream::connect((host, port)).await?;
        stream.set_nodelay(true)?;
        let Some(tls) = tls else { return Ok(Box::pin(stream)) };
        let name = rustls::pki_types::ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let mut stream = tls.connector.connect(name, stream).await?;
        if stream.get_ref().1.protocol_version() == Some(rustls::ProtocolVersion::TLSv1_3) {
            // Here our handshake is over before the server has looked at our certificate (RFC 8446 section 2): it may still say no, and
            // has then taken nothing of what we write meanwhile. It has nothing else to say.
            if let Ok(said) = tokio::time::timeout(REFUSAL_WAIT, stream.read(&mut [0; 512])).await
                && said? == 0
            {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
        }
        Ok(Box::pin(stream))
    }
}

impl Transport for SyslogTransport {
    /// A connection that is open stays so: the next one is made with what the files say now.
    fn reopen(&mut self) {
        if let Way::Stream(_, Some(Tls { files, connector })) = &mut self.way {
            match files.read() {
                Ok(config) => *connector = config.into(),
                Err(error) => tracing::warn!("{error}; the certificates read before stay in use"),
            }
        }
    }

    /// Over UDP nothing is ever written again, so nothing is gained by waiting.
    fn swallows(&self) -> Option<usize> {
        (!matches!(self.way, Way::Udp(_))).then(|| self.unconfirmed.bytes_max())
    }

    async fn deliver(&mut self, batch: &[Arc<Message>]) -> Result<Delivered, TransportError> {
        let server = &self.server;
        let named = |error: io::Error| TransportError::Retry(format!("{server}: {error}"));
        let late = |_| TransportError::Retry(format!("{server}: no progress for {} s", PATIENCE.as_secs()));
        let mut rewrote = false;
        match &mut self.way {
            Way::Udp(socket) => {
                let (host, port) = host_and_port(server).ok_or_else(|| named(io::ErrorKind::InvalidInput.into()))?;
                let open = match socket.take() {
                    Some(open) => open,
                    None => {
                        let address = tokio::net::lookup_host((host, port)).await.map_err(named)?.next();
                        let address = address.ok_or_else(|| named(io::ErrorKind::NotFound.into()))?;
                        let local = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
                        let open = UdpSocket::bind(local).await.map_err(named)?;
                        open.connect(address).await.map_err(named)?;
                        open
                    }
                };
                for message in batch {
                    open.send(&cut(self.form.write(message))).await.map_err(named)?;
                }
                *socket = Some(open);
            }
            Way::Stream(stream, tls) => {
                let mut open = match still_open(stream.take()).map_err(named)? {
                    Some(open) => open,
                    None => {
                        self.is_new = true;
                        let connecting = tokio::time::timeout(PATIENCE, Self::connect(server, tls.as_ref()));
                        connecting.await.map_err(late)?.map_err(named)?
                    }
                };
                let again = if self.is_new { self.unconfirmed.again() } else { Vec::new() };
                rewrote = !again.is_empty();
                for message in again.iter().chain(batch) {
                    let text = self.form.write(message);
                    // Octet counting (RFC 6587 section 3.4.1, RFC 5425 section 4.3).
                    let framed = format!("{} {text}", text.len());
                    let writing = tokio::time::timeout(PATIENCE, open.write_all(framed.as_bytes()));
                    writing.await.map_err(late)?.map_err(named)?;
                }
                tokio::time::timeout(PATIENCE, open.flush()).await.map_err(late)?.map_err(named)?;
                self.unconfirmed.wrote(batch);
                self.is_new = false;
                *stream = Some(open);
            }
        }
        Ok(Delivered { rewrote, ..Delivered::default() })
    }
}

/// Drops a connection that the other side has closed: writing to it would still seem to succeed once. The error is what broke it: the
/// messages that it swallowed are written again over the next.
fn still_open(stream: Option<Pin<Box<dyn Stream>>>) -> io::Result<Option<Pin<Box<dyn Stream>>>> {
    let Some(mut stream) = stream else { return Ok(None) };
    let mut said = [0; 512];
    loop {
        let mut buffer = ReadBuf::new(&mut said);
        match stream.as_mut().poll_read(&mut Context::from_waker(Waker::noop()), &mut buffer) {
            Poll::Pending => return Ok(Some(stream)),
            Poll::Ready(read) => read?,
        }
        if buffer.filled().is_empty() {
            return Ok(None);
        }
    }
}

impl Form {
    /// One message without framing.
    fn write(&self, message: &Message) -> String {
        let event = Some(&message.line).and_then(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let field = |name: &str| event.as_ref().and_then(|event| event.get(name)).and_then(|value| value.as_str());
        let at = field("timestamp").and_then(spelling::from_eve);
        let at = at.map_or_else(|| "-".to_owned(), spelling::rfc3339_of);
        let kind = printable(field("event_type").unwrap_or("-"), 32);
        // Severity 5 is notice.
        let priority = self.facility * 8 + 5;
        let uid = message.uid.replace('\\', "\\\\").replace('"', "\\\"").replace(']', "\\]");
        let body = match self.body {
            SyslogBody::Json => None,
            SyslogBody::Cef => cef::cef(&message.line, &message.uid, &self.sensor),
        };
        let body = body.as_deref().unwrap_or(&message.line);
        let (sensor, process) = (printable(&self.sensor, 255), std::process::id());
        format!("<{priority}>1 {at} {sensor} kaspector {process} {kind} [kaspector@32473 uid=\"{uid}\"] {body}")
    }
}

/// PRINTUSASCII of RFC 5424 section 6.
fn printable(text: &str, max: usize) -> String {
    let text: String = text.chars().map(|c| if c.is_ascii_graphic() { c } else { '_' }).take(max).collect();
    if text.is_empty() { "-".to_owned() } else { text }
}

fn cut(mut text: String) -> Vec<u8> {
    if text.len() > UDP_MAX {
        text.truncate(text.floor_char_boundary(UDP_MAX - CUT_MARK.len()));
        text.push_str(CUT_MARK);
    }
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::Weight;

    #[test]
    fn a_message_has_the_events_time_and_a_datagram_its_bound() {
        let form = Form { body: SyslogBody::Json, facility: 21, sensor: "sensor 01".into() };
        let line = format!(
            "{{\"timestamp\":\"2026-01-01T00:00:00.090000+0000\",\"event_type\":\"alert\",\"x\":\"{}\"}}",
            "é".repeat(900)
        );
        let message = Message { uid: "a]\"b".into(), host: "".into(), weight: Weight::Finding, line: line.into() };
        let text = form.write(&message);
        let start = format!(
            "<173>1 2026-01-01T00:00:00.090000Z sensor_01 kaspector {} alert [kaspector@32473 uid=\"a\\]\\\"b\"] {{\"timestamp\"",
            std::process::id()
        );
        assert!(text.starts_with(&start), "{text}");
        let datagram = String::from_utf8(cut(text)).expect("cut between characters");
        assert!(datagram.len() <= UDP_MAX && datagram.ends_with(CUT_MARK));
    }
}
