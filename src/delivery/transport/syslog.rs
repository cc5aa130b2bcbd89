//! Syslog: RFC 5424 messages over UDP (RFC 5426), TCP (RFC 6587) and TLS (RFC 5425).
//!
//! Syslog knows no acknowledgement. Over TCP and TLS a message counts as there when the other system has acknowledged its last byte; what it
//! may not have read by the time the connection breaks is written once more.

use super::super::output::{SyslogBody, host_and_port};
use super::super::{Message, format, time};
use super::connection::Outstanding;
use super::tcp::{Connection, Heard, PATIENCE};
use super::tls::Files;
use super::{Delivered, Standing, Transport, TransportError};
use std::io;
use std::sync::Arc;
use tokio::net::UdpSocket;

/// How messages are written.
pub(crate) struct Form {
    pub body: SyslogBody,
    pub facility: u32,
    pub sensor: Arc<str>,
}

/// Where they go.
pub(crate) struct SyslogTransport {
    form: Form,
    server: String,
    way: Way,
    outstanding: Outstanding,
}

enum Way {
    Udp(Option<UdpSocket>),
    Stream(Stream),
}

struct Stream {
    open: Option<Connection>,
    /// Whether the last connection broke, and did not end in good order.
    was_broken: bool,
    tls: Option<Tls>,
}

struct Tls {
    files: Files,
    connector: tokio_rustls::TlsConnector,
}

const UDP_MAX: usize = 1400;
const CUT_MARK: &str = "...[cut]";

impl SyslogTransport {
    pub fn udp(server: &str, form: Form) -> Self {
        Self::new(server, form, Way::Udp(None))
    }

    pub fn tcp(server: &str, form: Form) -> Self {
        Self::new(server, form, Way::Stream(Stream { open: None, was_broken: false, tls: None }))
    }

    /// Reads certificates. The error names what cannot be read.
    pub fn tls(server: &str, form: Form, files: Files) -> Result<Self, String> {
        let connector = files.read()?.into();
        let tls = Some(Tls { files, connector });
        Ok(Self::new(server, form, Way::Stream(Stream { open: None, was_broken: false, tls })))
    }

    fn new(server: &str, form: Form, way: Way) -> Self {
        Self { form, server: server.to_owned(), way, outstanding: Outstanding::over_tcp() }
    }
}

impl Transport for SyslogTransport {
    /// A connection that is open stays so: the next one is made with what the files say now.
    fn reopen(&mut self) {
        if let Way::Stream(Stream { tls: Some(Tls { files, connector }), .. }) = &mut self.way {
            match files.read() {
                Ok(config) => *connector = config.into(),
                Err(error) => tracing::warn!("{error}; the certificates read before stay in use"),
            }
        }
    }

    /// Over UDP nothing is ever written again, so nothing is gained by waiting.
    fn standing(&mut self) -> Standing {
        let Way::Stream(stream) = &mut self.way else { return Standing::default() };
        stream.listen(&mut self.outstanding);
        let standing = self.outstanding.standing();
        let missing = if stream.was_broken { standing.unsettled } else { standing.unacknowledged };
        Standing { is_broken: stream.open.is_none() && missing > 0, ..standing }
    }

    async fn deliver(&mut self, batch: &[Arc<Message>]) -> Result<Delivered, TransportError> {
        let Self { form, server, way, outstanding } = self;
        let named = |error: io::Error| TransportError::Retry(format!("{server}: {error}"));
        let (host, port) = host_and_port(server).ok_or_else(|| named(io::ErrorKind::InvalidInput.into()))?;
        match way {
            Way::Udp(socket) => {
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
                    open.send(&cut(form.write(message))).await.map_err(named)?;
                }
                *socket = Some(open);
            }
            Way::Stream(stream) => stream.deliver(batch, form, (host, port), outstanding).await.map_err(named)?,
        }
        Ok(Delivered::default())
    }
}

impl Stream {
    /// Hears what has arrived, and whether the connection is still there.
    fn listen(&mut self, outstanding: &mut Outstanding) {
        let Some(open) = &mut self.open else { return };
        // Asked first: of a connection that has broken since then, this much had been acknowledged.
        let heard = open.acknowledged().and_then(|bytes| {
            outstanding.acknowledge(bytes);
            open.listen()
        });
        match heard {
            Ok(Heard::Open) => {}
            Ok(Heard::Closed) => self.open = None,
            Err(_) => (self.open, self.was_broken) = (None, true),
        }
    }

    /// Writes what the last connection may have swallowed, where this is another, and then `batch`.
    async fn deliver(
        &mut self,
        batch: &[Arc<Message>],
        form: &Form,
        (host, port): (&str, u16),
        outstanding: &mut Outstanding,
    ) -> io::Result<()> {
        let late = |_| io::Error::other(format!("no progress for {} s", PATIENCE.as_secs()));
        self.listen(outstanding);
        // While it is written to, the connection is not ours: given up half-way, it must not be used again.
        let (mut open, is_new) = match self.open.take() {
            Some(open) => (open, false),
            None => {
                let tls = self.tls.as_ref().map(|tls| &tls.connector);
                let connecting = tokio::time::timeout(PATIENCE, Connection::open(host, port, tls));
                (connecting.await.map_err(late)??, true)
            }
        };
        self.was_broken = true;
        let again = if is_new { outstanding.again() } else { Vec::new() };
        let mut ends = Vec::with_capacity(again.len() + batch.len());
        for message in again.iter().chain(batch) {
            let text = form.write(message);
            // Octet counting (RFC 6587 section 3.4.1, RFC 5425 section 4.3).
            let framed = format!("{} {text}", text.len());
            let writing = tokio::time::timeout(PATIENCE, open.write(framed.as_bytes()));
            ends.push(writing.await.map_err(late)??);
        }
        let (ends_again, ends) = ends.split_at_checked(again.len()).unwrap_or_default();
        if is_new {
            outstanding.wrote_again(ends_again);
        }
        outstanding.wrote(batch, ends);
        (self.open, self.was_broken) = (Some(open), false);
        Ok(())
    }
}

impl Form {
    /// One message without framing.
    fn write(&self, message: &Message) -> String {
        let event = Some(&message.line).and_then(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let field = |name: &str| event.as_ref().and_then(|event| event.get(name)).and_then(|value| value.as_str());
        let at = field("timestamp").and_then(time::from_eve);
        let at = at.map_or_else(|| "-".to_owned(), time::rfc3339);
        let kind = printable(field("event_type").unwrap_or("-"), 32);
        // Severity 5 is notice.
        let priority = self.facility * 8 + 5;
        let uid = message.uid.replace('\\', "\\\\").replace('"', "\\\"").replace(']', "\\]");
        let body = match self.body {
            SyslogBody::Json => None,
            SyslogBody::Cef => format::cef(&message.line, &message.uid, &self.sensor),
            SyslogBody::Ecs => format::ecs(&message.line, &message.uid, &self.sensor),
            SyslogBody::Ocsf => format::ocsf(&message.line, &message.uid, &self.sensor),
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
    use crate::Weight;

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
