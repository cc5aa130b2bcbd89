//! What types alone cannot hold of an output.

use super::{HttpShape, MailSecurity, OutputSpec, RecordFormat, SyslogTransport};
use std::path::Path;

impl OutputSpec {
    /// What types alone cannot hold. Also for specs that came out of TOML.
    ///
    /// # Errors
    /// What is wrong, and what is expected.
    pub fn check(&self) -> Result<(), String> {
        match self {
            Self::Syslog { server, facility, transport, ca, cert, key, .. } => {
                if host_and_port(server).is_none() {
                    return Err(format!("{server}: expected HOST:PORT"));
                }
                if *facility > 23 {
                    return Err(format!("facility: {facility} is out of range; expected 0 to 23"));
                }
                if *transport != SyslogTransport::Tls && (ca.is_some() || cert.is_some() || key.is_some()) {
                    return Err("ca, cert and key: only syslog+tls takes them".to_owned());
                }
                check_pair(cert.as_deref(), key.as_deref())?;
            }
            Self::Http { .. } => self.check_http()?,
            Self::Smtp { .. } => self.check_smtp()?,
            Self::Kafka { brokers, topic, .. } => {
                if brokers.is_empty() || topic.is_empty() || topic.contains('/') {
                    return Err("expected kafka://BROKER:PORT[,BROKER:PORT]/TOPIC".to_owned());
                }
                if !cfg!(feature = "kafka") {
                    return Err("this build knows no Kafka; build with --features kafka".to_owned());
                }
            }
            Self::Stdout { .. } | Self::File { .. } | Self::UnixStream { .. } | Self::UnixDgram { .. } => {}
        }
        Ok(())
    }

    fn check_smtp(&self) -> Result<(), String> {
        let Self::Smtp { security, server, from, to, user, token_env, token_file, ca, .. } = self else {
            return Ok(());
        };
        if server.contains('@') {
            return Err("no user or password in the address; use user=NAME&token-file=PATH".to_owned());
        }
        if host_and_port(server).is_none() {
            return Err(format!(
                "{server}: expected HOST:PORT, as smtp://HOST:25, smtp+starttls://HOST:587, smtps://HOST:465"
            ));
        }
        for (name, address) in std::iter::once(("from", from)).chain(to.iter().map(|to| ("to", to))) {
            let parsed = address.parse::<lettre::message::Mailbox>();
            let parsed = parsed.map_err(|error| format!("{name}: {address:?}: {error}; expected NAME@HOST"))?;
            if !parsed.email.to_string().is_ascii() {
                return Err(format!(
                    "{name}: {address:?}: only ASCII is taken by every server; write the host as xn--..."
                ));
            }
        }
        if to.is_empty() || to.len() > RECIPIENTS_MAX {
            return Err(format!("to: expected one to {RECIPIENTS_MAX} addresses, to=NAME@HOST,NAME@HOST"));
        }
        if token_env.is_some() && token_file.is_some() {
            return Err("token-env and token-file: give one of them".to_owned());
        }
        if user.is_some() != (token_env.is_some() || token_file.is_some()) {
            return Err(
                "user: needs token-env=NAME or token-file=PATH for the password, and these need user=NAME".to_owned()
            );
        }
        if *security == MailSecurity::None && (user.is_some() || ca.is_some()) {
            return Err(
                "user and ca: only smtp+starttls and smtps take them, so that no password is sent in the clear"
                    .to_owned(),
            );
        }
        Ok(())
    }

    fn check_http(&self) -> Result<(), String> {
        let Self::Http { url, url_file, url_env, shape, format, index, auth, token_env, token_file, ca, cert, key } =
            self
        else {
            return Ok(());
        };
        let given = [url.is_some(), url_file.is_some(), url_env.is_some()].into_iter().filter(|&given| given).count();
        if given != 1 {
            return Err("url, url-file and url-env: give one of them".to_owned());
        }
        if url.is_some() && shape.is_chat() {
            let shape = format!("{shape:?}").to_lowercase();
            return Err(format!(
                "who knows the URL can post to the channel, and others see it in the list of processes and in logs; put it into a file \
                 that only the sensor reads, and give https:?shape={shape}&url-file=PATH (or url-env=NAME)"
            ));
        }
        if let Some(url) = url {
            let url = parsed_url(url)?;
            if url.scheme() == "http" && (ca.is_some() || cert.is_some() || key.is_some()) {
                return Err("ca, cert and key: only https takes them".to_owned());
            }
        }
        check_pair(cert.as_deref(), key.as_deref())?;
        if *format != RecordFormat::Eve && (shape.is_chat() || *shape == HttpShape::Splunk) {
            return Err("format: only shape=ndjson and shape=elastic take it".to_owned());
        }
        if *shape != HttpShape::Elastic && index.is_some() {
            return Err("index: only shape=elastic takes it".to_owned());
        }
        if token_env.is_some() && token_file.is_some() {
            return Err("token-env and token-file: give one of them".to_owned());
        }
        if auth.is_some() && token_env.is_none() && token_file.is_none() {
            return Err("auth: needs token-env=NAME or token-file=PATH".to_owned());
        }
        Ok(())
    }
}

const RECIPIENTS_MAX: usize = 100;

/// A URL to post to. The error does not repeat it: it may hold what is nobody's business.
pub(crate) fn parsed_url(text: &str) -> Result<reqwest::Url, String> {
    let url = reqwest::Url::parse(text).map_err(|error| format!("url: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("url: expected http:// or https://".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("url: no user or password here; use auth=basic&token-env=NAME".to_owned());
    }
    Ok(url)
}

fn check_pair(cert: Option<&Path>, key: Option<&Path>) -> Result<(), String> {
    if cert.is_some() == key.is_some() { Ok(()) } else { Err("cert and key: one needs the other".to_owned()) }
}

/// Takes `host:port` and `[address]:port` apart.
pub(crate) fn host_and_port(server: &str) -> Option<(&str, u16)> {
    let (host, port) = server.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    (!host.is_empty()).then_some((host, port.parse().ok().filter(|&port| port != 0)?))
}
