//! Unix sockets, as Suricata has them: the collector listens, we connect and try again.

use super::super::Message;
use super::connection::Unconfirmed;
use super::{Delivered, Transport, TransportError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::AsyncWriteExt;
use tokio::net::{UnixDatagram, UnixStream};

/// Lines in a stream.
pub(in super::super) struct StreamTransport {
    path: PathBuf,
    stream: Option<UnixStream>,
    unconfirmed: Unconfirmed,
    was_reset: bool,
}

impl StreamTransport {
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), stream: None, unconfirmed: Unconfirmed::over_unix_socket(), was_reset: false }
    }

    /// Looks whether the other side has hung up. It is not supposed to say anything; what it says all the same is passed over.
    fn look(&mut self) {
        let mut said = [0; 512];
        while let Some(stream) = &self.stream {
            match stream.try_read(&mut said) {
                // A reader that dies before it has read everything resets the connection: so all was read.
                Ok(0) => self.stream = None,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => {
                    self.stream = None;
                    self.was_reset = true;
                }
            }
        }
    }
}

impl Transport for StreamTransport {
    fn swallows(&self) -> Option<usize> {
        Some(self.unconfirmed.bytes_max())
    }

    async fn deliver(&mut self, batch: &[Arc<Message>]) -> Result<Delivered, TransportError> {
        self.look();
        // While it is written to, the connection is not ours: given up half-way, it must not be used again.
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => UnixStream::connect(&self.path)
                .await
                .map_err(|error| TransportError::Retry(format!("{}: {error}", self.path.display())))?,
        };
        let again = if self.was_reset { self.unconfirmed.again() } else { Vec::new() };
        let mut text = Vec::new();
        for message in again.iter().chain(batch) {
            text.extend_from_slice(message.line.as_bytes());
            text.push(b'\n');
        }
        if let Err(error) = stream.write_all(&text).await {
            self.was_reset = true;
            return Err(TransportError::Retry(format!("{}: {error}", self.path.display())));
        }
        self.was_reset = false;
        self.unconfirmed.wrote(batch);
        self.stream = Some(stream);
        Ok(Delivered { rewrote: !again.is_empty(), ..Delivered::default() })
    }
}

/// A datagram for each line.
pub(in super::super) struct DgramTransport {
    path: PathBuf,
    socket: Option<UnixDatagram>,
    unconfirmed: Unconfirmed,
}

impl DgramTransport {
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), socket: None, unconfirmed: Unconfirmed::over_unix_socket() }
    }
}

impl Transport for DgramTransport {
    fn swallows(&self) -> Option<usize> {
        Some(self.unconfirmed.bytes_max())
    }

    async fn deliver(&mut self, batch: &[Arc<Message>]) -> Result<Delivered, TransportError> {
        let named = |error: io::Error| TransportError::Retry(format!("{}: {error}", self.path.display()));
        let (socket, again) = match self.socket.take() {
            Some(socket) => (socket, Vec::new()),
            None => {
                let socket = UnixDatagram::unbound().map_err(named)?;
                socket.connect(&self.path).map_err(named)?;
                (socket, self.unconfirmed.again())
            }
        };
        let mut delivered = Delivered { rewrote: !again.is_empty(), ..Delivered::default() };
        for message in again.iter().chain(batch) {
            match socket.send(message.line.as_bytes()).await {
                Ok(_) => {}
                Err(error) if error.raw_os_error() == Some(libc::EMSGSIZE) => {
                    delivered.rejected += 1;
                    delivered.reason = Some(named(error).to_string());
                }
                Err(error) => return Err(named(error)),
            }
        }
        self.unconfirmed.wrote(batch);
        self.socket = Some(socket);
        Ok(delivered)
    }
}
