//! A TCP connection, with or without TLS, that knows how much of what was written has arrived.

use super::send_queue::unacknowledged;
use std::io::{self, IoSlice};
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// How long bytes may stay unacknowledged, or a receiver may take none, before the connection is given up.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// How long a new TLS connection is listened to before anything is written to it: longer than an answer takes around the world.
const REFUSAL_WAIT: Duration = Duration::from_secs(1);

/// A connection.
pub(super) enum Connection {
    Plain(Counted),
    Tls(Box<TlsStream<Counted>>),
}

/// What the connection says of itself.
pub(super) enum Heard {
    /// Nothing, or something that nobody asked for.
    Open,
    /// The other side has closed it and says nothing more.
    Closed,
}

impl Connection {
    /// Connects, by TLS where there is a connector.
    pub async fn open(host: &str, port: u16, tls: Option<&TlsConnector>) -> io::Result<Self> {
        let stream = TcpStream::connect((host, port)).await?;
        stream.set_nodelay(true)?;
        // Without this the system tries for a quarter of an hour before it says that nobody acknowledges anything (tcp(7)).
        #[cfg(target_os = "linux")]
        rustix::net::sockopt::set_tcp_user_timeout(&stream, u32::try_from(PATIENCE.as_millis()).unwrap_or(u32::MAX))?;
        let stream = Counted { stream, given: 0 };
        let Some(tls) = tls else { return Ok(Self::Plain(stream)) };
        let name = rustls::pki_types::ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let mut stream = tls.connect(name, stream).await?;
        if stream.get_ref().1.protocol_version() == Some(rustls::ProtocolVersion::TLSv1_3) {
            // Here our handshake is over before the server has looked at our certificate (RFC 8446 section 2): it may still say no, and
            // has then taken nothing of what we write meanwhile. It has nothing else to say.
            if let Ok(said) = tokio::time::timeout(REFUSAL_WAIT, stream.read(&mut [0; 512])).await
                && said? == 0
            {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
        }
        Ok(Self::Tls(Box::new(stream)))
    }

    /// Writes all of it, and gives the bytes that the system has been given over this connection, encrypted ones where they are.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<u64> {
        match self {
            Self::Plain(stream) => stream.write_all(bytes).await?,
            Self::Tls(stream) => {
                stream.write_all(bytes).await?;
                // Records may still wait inside the library.
                stream.flush().await?;
            }
        }
        Ok(self.counted().given)
    }

    /// How many of these bytes the other system has acknowledged.
    pub fn acknowledged(&self) -> io::Result<u64> {
        let Counted { stream, given } = self.counted();
        Ok(given.saturating_sub(unacknowledged(stream.as_fd())?))
    }

    /// Whether it is still open: writing to one that was closed would seem to succeed once. The error is what broke it. What the other side
    /// says is passed over.
    pub fn listen(&mut self) -> io::Result<Heard> {
        let mut said = [0; 512];
        loop {
            let mut buffer = ReadBuf::new(&mut said);
            let mut context = Context::from_waker(Waker::noop());
            let read = match self {
                Self::Plain(stream) => Pin::new(stream).poll_read(&mut context, &mut buffer),
                Self::Tls(stream) => Pin::new(stream).poll_read(&mut context, &mut buffer),
            };
            match read {
                Poll::Pending => return Ok(Heard::Open),
                Poll::Ready(read) => read?,
            }
            if buffer.filled().is_empty() {
                return Ok(Heard::Closed);
            }
        }
    }

    fn counted(&self) -> &Counted {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
        }
    }
}

/// Counts the bytes that the system was given.
pub(super) struct Counted {
    stream: TcpStream,
    given: u64,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let taken = ready!(Pin::new(&mut self.stream).poll_write(context, bytes))?;
        self.given += taken as u64;
        Poll::Ready(Ok(taken))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let taken = ready!(Pin::new(&mut self.stream).poll_write_vectored(context, parts))?;
        self.given += taken as u64;
        Poll::Ready(Ok(taken))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
