//! Mail by SMTP (RFC 5321), in clear, with STARTTLS (RFC 3207) or over TLS (RFC 8314). A mail is there when the server has taken its data.

use super::super::output::{MailSecurity, host_and_port};
use super::super::{Message, format};
use super::tls::certificates;
use super::{Delivered, Transport, TransportError};
use lettre::Address;
use lettre::message::Mailbox;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Sends mails.
pub(crate) struct MailTransport {
    route: Route,
    from: Mailbox,
    to: Vec<Mailbox>,
    tls: Option<TlsParameters>,
    credentials: Option<Credentials>,
    /// When a mail was last taken.
    last: Option<Instant>,
    /// A mail that some have got, while others are to get it later, and who has.
    partly: Option<(String, Vec<Address>)>,
    was_refused: bool,
}

/// Which server, and how.
pub(crate) struct Route {
    pub security: MailSecurity,
    pub server: String,
    pub user: Option<String>,
    pub token_env: Option<String>,
    pub token_file: Option<PathBuf>,
    pub ca: Option<PathBuf>,
    pub every: Duration,
    pub sensor: Arc<str>,
}

const CONNECT: Duration = Duration::from_secs(10);
/// For the whole dialogue: a server may look into a mail for long before it takes it.
const PATIENCE: Duration = Duration::from_secs(120);
/// Before the next mail, after one that was refused.
const REFUSED: Duration = Duration::from_secs(1);

impl MailTransport {
    /// Reads password and certificates. The error names what cannot be read.
    pub fn new(route: Route, from: &str, to: &[String]) -> Result<Self, String> {
        let mailbox = |text: &str| text.parse::<Mailbox>().map_err(|error| format!("{text}: {error}"));
        let (from, to) = (mailbox(from)?, to.iter().map(|to| mailbox(to)).collect::<Result<_, _>>()?);
        let (tls, credentials) = (route.tls()?, route.credentials()?);
        Ok(Self { route, from, to, tls, credentials, last: None, partly: None, was_refused: false })
    }

    /// Who has not got this mail yet.
    fn left(&self, id: &str) -> Vec<Address> {
        let has =
            |address: &Address| self.partly.as_ref().is_some_and(|(known, got)| known == id && got.contains(address));
        self.to.iter().map(|to| to.email.clone()).filter(|address| !has(address)).collect()
    }

    /// Takes a mail to the server. Gives what it says of recipients that it refuses for good.
    async fn send(&mut self, id: &str, mail: &[u8]) -> Result<Option<String>, TransportError> {
        let mut open = self.open().await?;
        open.command(Mail::new(Some(self.from.email.clone()), Vec::new())).await.map_err(later)?;
        let (mut taken, mut refused, mut deferred) = (Vec::new(), Vec::new(), Vec::new());
        for address in self.left(id) {
            match open.command(Rcpt::new(address.clone(), Vec::new())).await {
                Ok(_) => taken.push(address),
                Err(error) if error.is_permanent() => refused.push(format!("{address}: {}", said(&error))),
                Err(error) if error.is_transient() => deferred.push(format!("{address}: {}", said(&error))),
                Err(error) => return Err(later(error)),
            }
        }
        if !taken.is_empty() {
            let of_content = |error: Error| {
                if error.is_permanent() { TransportError::Reject(said(&error)) } else { later(error) }
            };
            open.command(Data).await.map_err(of_content)?;
            open.message(mail).await.map_err(of_content)?;
            // It has the mail, whatever it says now.
            let _ = open.quit().await;
        }
        let reached = !taken.is_empty() || self.partly.as_ref().is_some_and(|(known, _)| known == id);
        if !deferred.is_empty() {
            if reached {
                let (_, got) = self.partly.take().filter(|(known, _)| known == id).unwrap_or_default();
                self.partly = Some((id.to_owned(), got.into_iter().chain(taken).collect()));
            }
            return Err(TransportError::Retry(format!("not every recipient yet: {}", deferred.join("; "))));
        }
        if !reached {
            // An address can be put right.
            return Err(TransportError::Retry(format!("no recipient is taken: {}", refused.join("; "))));
        }
        self.partly = None;
        Ok((!refused.is_empty()).then(|| format!("refused recipients: {}", refused.join("; "))))
    }

    /// A connection that is as safe as it was told to be, or none.
    async fn open(&mut self) -> Result<AsyncSmtpConnection, TransportError> {
        let (host, port) = host_and_port(&self.route.server)
            .ok_or_else(|| TransportError::Retry(format!("{}: expected HOST:PORT", self.route.server)))?;
        let hello = hello(&self.route.sensor);
        let at_once = self.tls.clone().filter(|_| self.route.security == MailSecurity::Tls);
        let connecting = AsyncSmtpConnection::connect_tokio1((host, port), Some(CONNECT), &hello, at_once, None);
        let mut open = connecting.await.map_err(later)?;
        if self.route.security == MailSecurity::Starttls {
            let Some(tls) = self.tls.clone().filter(|_| open.can_starttls()) else {
                let _ = open.quit().await;
                return Err(TransportError::Retry("the server offers no STARTTLS; nothing was sent".to_owned()));
            };
            open.starttls(tls, &hello).await.map_err(later)?;
        }
        if self.route.security != MailSecurity::None && !open.is_encrypted() {
            return Err(TransportError::Retry("no TLS; nothing was sent".to_owned()));
        }
        if let Some(credentials) = &self.credentials {
            open.auth(&[Mechanism::Plain, Mechanism::Login], credentials).await.map_err(|error| {
                TransportError::Retry(format!("the server refuses user and password: {}", said(&error)))
            })?;
        }
        Ok(open)
    }
}

impl Transport for MailTransport {
    async fn deliver(&mut self, batch: &[Arc<Message>]) -> Result<Delivered, TransportError> {
        let (id, mail) =
            format::mail(batch, &self.route.sensor, &self.from, &self.to).map_err(TransportError::Reject)?;
        if std::mem::take(&mut self.was_refused) {
            tokio::time::sleep(REFUSED).await;
        }
        let late = |_| TransportError::Retry(format!("no answer for {} s", PATIENCE.as_secs()));
        match tokio::time::timeout(PATIENCE, self.send(&id, &mail)).await.map_err(late)? {
            Ok(reason) => {
                self.last = Some(Instant::now());
                Ok(Delivered { reason, ..Delivered::default() })
            }
            Err(error) => {
                self.was_refused = matches!(error, TransportError::Reject(_));
                // The password may have been renewed since it was read.
                if let Ok(credentials) = self.route.credentials() {
                    self.credentials = credentials;
                }
                Err(error)
            }
        }
    }

    fn ready_in(&self) -> Duration {
        self.last.map_or(Duration::ZERO, |last| self.route.every.saturating_sub(last.elapsed()))
    }

    fn reopen(&mut self) {
        match self.route.credentials() {
            Ok(credentials) => self.credentials = credentials,
            Err(error) => tracing::warn!("{error}; the password read before stays in use"),
        }
        match self.route.tls() {
            Ok(tls) => self.tls = tls,
            Err(error) => tracing::warn!("{error}; the certificates read before stay in use"),
        }
    }
}

impl Route {
    /// Whom to trust, where there is TLS.
    fn tls(&self) -> Result<Option<TlsParameters>, String> {
        if self.security == MailSecurity::None {
            return Ok(None);
        }
        let (host, _) = host_and_port(&self.server).ok_or("expected HOST:PORT")?;
        let mut builder = TlsParameters::builder(host.to_owned());
        if let Some(path) = &self.ca {
            builder = builder.certificate_store(CertificateStore::None);
            for certificate in authorities(path)? {
                builder = builder.add_root_certificate(certificate);
            }
        }
        builder.build_rustls().map(Some).map_err(|error| error.to_string())
    }

    fn credentials(&self) -> Result<Option<Credentials>, String> {
        let Some(user) = &self.user else { return Ok(None) };
        let password = match (&self.token_env, &self.token_file) {
            (Some(name), _) => std::env::var(name).map_err(|_| format!("environment variable {name} is not set"))?,
            (_, Some(path)) => std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?,
            _ => return Err("user: needs token-env=NAME or token-file=PATH".to_owned()),
        };
        Ok(Some(Credentials::new(user.clone(), password.trim().to_owned())))
    }
}

fn authorities(path: &Path) -> Result<Vec<Certificate>, String> {
    let named = |error: Error| format!("{}: {error}", path.display());
    let found = certificates(path)?;
    if found.is_empty() {
        return Err(format!("{}: no certificate in it; expected PEM", path.display()));
    }
    found.into_iter().map(|certificate| Certificate::from_der(certificate.to_vec()).map_err(named)).collect()
}

/// The sensor's name where it can be one of a host.
fn hello(sensor: &str) -> ClientId {
    let is_host = !sensor.is_empty() && sensor.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'));
    if is_host { ClientId::Domain(sensor.to_owned()) } else { ClientId::default() }
}

fn later(error: Error) -> TransportError {
    TransportError::Retry(said(&error))
}

/// What went wrong, in the server's words if it has any.
fn said(error: &Error) -> String {
    error.to_string().chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect()
}
