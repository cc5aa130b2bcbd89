//! Unix sockets, as Suricata has them: the collector listens, we connect and try again.

use super::super::Message;
use super::connection::{Outstanding, UNIX_BYTES_MAX};
use super::send_queue::unacknowledged;
use super::{Delivered, Standing, Transport, TransportError};
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::AsyncWriteExt;
use tokio::net::{UnixDatagram, UnixStream};

/// Which socket stands at a path. A number of a file that is gone may be given to the next, so its time belongs to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity(u64, u64, i64, i64);

impl Identity {
    fn at(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        Some(Self(metadata.dev(), metadata.ino(), metadata.ctime(), metadata.ctime_nsec()))
    }

    /// Whether another stands there now. A listener may well take its path away once it has accepted somebody.
    fn was_replaced(self, path: &Path) -> bool {
        Self::at(path).is_some_and(|now| now != self)
    }
}

/// Bytes that the other side must have read of those that were written.
fn read_of(written: u64, socket: &impl AsFd) -> u64 {
    if let Ok(0) = unacknowledged(socket.as_fd()) {
        return written;
    }
    // There is no more room in between.
    let room = rustix::net::sockopt::socket_send_buffer_size(socket).unwrap_or(0).max(UNIX_BYTES_MAX);
    written.saturating_sub(room as u64)
}

/// Lines in a stream.
pub(crate) struct StreamTransport {
    path: PathBuf,
    open: Option<OpenStream>,
    outstanding: Outstanding,
    was_reset: bool,
}

struct OpenStream {
    stream: UnixStream,
    identity: Option<Identity>,
    written: u64,
}

impl OpenStream {
    async fn at(path: &Path) -> io::Result<Self> {
        let identity = Identity::at(path);
        Ok(Self { stream: UnixStream::connect(path).await?, identity, written: 0 })
    }
}

impl StreamTransport {
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), open: None, outstanding: Outstanding::over_unix_socket(), was_reset: false }
    }

    /// Looks how much was read and whether the other side has hung up. It is not supposed to say anything; what it says all the same is
    /// passed over.
    fn look(&mut self) {
        let Some(OpenStream { stream, written, .. }) = &self.open else { return };
        // Asked first: a reader that dies takes with it what it has not read, but the connection is reset before.
        let read = read_of(*written, stream);
        let mut said = [0; 512];
        loop {
            match stream.try_read(&mut said) {
                Ok(0) => {
                    // A reader that dies before it has read everything resets the connection: so all was read.
                    self.outstanding.acknowledge(*written);
                    self.open = None;
                    return;
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => {
                    (self.open, self.was_reset) = (None, true);
                    return;
                }
            }
        }
        self.outstanding.acknowledge(read);
    }

    /// Goes over to whoever listens at the path now, if that is somebody else. The one before may live on without being wanted any more.
    async fn follow(&mut self) {
        if let Some(OpenStream { stream, identity: Some(identity), written }) = &self.open
            && identity.was_replaced(&self.path)
            && let Ok(other) = OpenStream::at(&self.path).await
        {
            tracing::info!("{}: another listener stands there; connected to it", self.path.display());
            self.was_reset = read_of(*written, stream) < *written;
            self.open = Some(other);
        }
    }
}

impl Transport for StreamTransport {
    fn standing(&mut self) -> Standing {
        self.look();
        let standing = self.outstanding.standing();
        Standing { is_broken: self.was_reset && standing.unsettled > 0, ..standing }
    }

    async fn deliver(&mut self, batch: &[Arc<Message>]) -> Result<Delivered, TransportError> {
        self.look();
        self.follow().await;
        let named = |error: io::Error| TransportError::Retry(format!("{}: {error}", self.path.display()));
        // While it is written to, the connection is not ours: given up half-way, it must not be used again.
        let mut open = match self.open.take() {
            Some(open) => open,
            None => OpenStream::at(&self.path).await.map_err(named)?,
        };
        let again = if self.was_reset { self.outstanding.again() } else { Vec::new() };
        let (mut text, mut ends) = (Vec::new(), Vec::new());
        for message in again.iter().chain(batch) {
            text.extend_from_slice(message.line.as_bytes());
            text.push(b'\n');
            ends.push(open.written + text.len() as u64);
        }
        if let Err(error) = open.stream.write_all(&text).await {
            self.was_reset = true;
            return Err(named(error));
        }
        open.written += text.len() as u64;
        let (ends_again, ends) = ends.split_at_checked(again.len()).unwrap_or_default();
        if self.was_reset {
            self.outstanding.wrote_again(ends_again);
        }
        self.outstanding.wrote(batch, ends);
        (self.open, self.was_reset) = (Some(open), false);
        Ok(Delivered::default())
    }
}

/// A datagram for each line.
pub(crate) struct DgramTransport {
    path: PathBuf,
    open: Option<OpenDgram>,
    outstanding: Outstanding,
}

struct OpenDgram {
    socket: UnixDatagram,
    identity: Option<Identity>,
    /// Datagrams, not bytes.
    written: u64,
}

impl OpenDgram {
    fn at(path: &Path) -> io::Result<Self> {
        let identity = Identity::at(path);
        let socket = UnixDatagram::unbound()?;
        socket.connect(path)?;
        Ok(Self { socket, identity, written: 0 })
    }
}

impl DgramTransport {
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), open: None, outstanding: Outstanding::over_unix_socket() }
    }

    /// Looks whether everything was read. A receiver that dies takes with it what it has not read, and nothing tells us so: it must still be
    /// there afterwards.
    fn look(&mut self) {
        if let Some(OpenDgram { socket, identity, written }) = &self.open
            && unacknowledged(socket.as_fd()).is_ok_and(|memory| memory == 0)
        {
            match OpenDgram::at(&self.path) {
                Ok(other) if other.identity == *identity => self.outstanding.acknowledge(*written),
                // It is somebody else, or nobody.
                _ => self.open = None,
            }
        }
    }
}

impl Transport for DgramTransport {
    fn standing(&mut self) -> Standing {
        self.look();
        let standing = self.outstanding.standing();
        Standing { is_broken: self.open.is_none() && standing.unacknowledged > 0, ..standing }
    }

    async fn deliver(&mut self, batch: &[Arc<Message>]) -> Result<Delivered, TransportError> {
        let named = |error: io::Error| TransportError::Retry(format!("{}: {error}", self.path.display()));
        let open = self.open.take();
        let open = open.filter(|open| open.identity.is_none_or(|identity| !identity.was_replaced(&self.path)));
        let (mut open, is_new) = match open {
            Some(open) => (open, false),
            None => (OpenDgram::at(&self.path).map_err(named)?, true),
        };
        let again = if is_new { self.outstanding.again() } else { Vec::new() };
        let (mut delivered, mut taken) = (Delivered::default(), Vec::with_capacity(batch.len()));
        let mut ends = Vec::with_capacity(again.len() + batch.len());
        for (number, message) in again.iter().chain(batch).enumerate() {
            match open.socket.send(message.line.as_bytes()).await {
                Ok(_) => {
                    open.written += 1;
                    if number >= again.len() {
                        taken.push(Arc::clone(message));
                    }
                }
                Err(error) if error.raw_os_error() == Some(libc::EMSGSIZE) => {
                    delivered.rejected += 1;
                    delivered.reason = Some(named(error).to_string());
                    continue;
                }
                Err(error) => return Err(named(error)),
            }
            ends.push(open.written);
        }
        let (ends_again, ends) = ends.split_at_checked(again.len()).unwrap_or_default();
        if is_new {
            self.outstanding.wrote_again(ends_again);
        }
        self.outstanding.wrote(&taken, ends);
        self.open = Some(open);
        Ok(delivered)
    }
}
