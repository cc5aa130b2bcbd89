//! HTTP: Elasticsearch's bulk form, Splunk's collector, chats, or plain lines. A batch is there when the answer is 2xx.

use super::super::output::{HttpAuth, HttpShape, parsed_url};
use super::super::{Message, format, time};
use super::tls::Files;
use super::{Delivered, Transport, TransportError};
use base64::Engine;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use reqwest::{Client, StatusCode, Url};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Posts batches.
pub(crate) struct HttpTransport {
    client: Client,
    url: Url,
    target: Target,
    secret: Option<HeaderValue>,
}

/// Whom to talk to, and how.
pub(crate) struct Target {
    pub address: Address,
    pub shape: HttpShape,
    pub index: Option<String>,
    pub auth: Option<HttpAuth>,
    pub token_env: Option<String>,
    pub token_file: Option<PathBuf>,
    pub files: Files,
    pub sensor: Arc<str>,
}

/// Where the URL stands: here, or where only the sensor reads it.
pub(crate) struct Address {
    pub url: Option<String>,
    pub file: Option<PathBuf>,
    pub variable: Option<String>,
}

const PATIENCE: Duration = Duration::from_secs(30);
const ANSWER_MAX: usize = 8 << 20;

impl HttpTransport {
    /// Reads URL, secret and certificates. The error names what cannot be read.
    pub fn new(target: Target) -> Result<Self, String> {
        let url = target.url()?;
        let client = client(&url, &target.files)?;
        let secret = target.secret()?;
        Ok(Self { client, url, secret, target })
    }

    fn body(&self, batch: &[Arc<Message>]) -> (String, &'static str) {
        match self.target.shape {
            HttpShape::Slack => return (format::slack(batch, &self.target.sensor), "application/json"),
            HttpShape::Teams => return (format::teams(batch, &self.target.sensor), "application/json"),
            HttpShape::Ndjson | HttpShape::Elastic | HttpShape::Splunk => {}
        }
        let mut body = String::new();
        for message in batch {
            match self.target.shape {
                HttpShape::Ndjson | HttpShape::Slack | HttpShape::Teams => body.push_str(&message.line),
                HttpShape::Elastic => {
                    let index = self.target.index.as_deref().unwrap_or("kaspector");
                    body.push_str(&json!({"create": {"_index": index, "_id": &*message.uid}}).to_string());
                    body.push('\n');
                    body.push_str(&dated(&message.line));
                }
                HttpShape::Splunk => {
                    let event: Value = serde_json::from_str(&message.line).unwrap_or_else(|_| (&*message.line).into());
                    let at = time_of(&event);
                    let mut envelope = json!({"host": &*self.target.sensor, "sourcetype": "suricata", "event": event});
                    if let (Some(at), Some(envelope)) = (at, envelope.as_object_mut()) {
                        // Sixteen digits fit a double.
                        #[allow(clippy::cast_precision_loss)]
                        let seconds = at.as_microsecond() as f64 / 1e6;
                        envelope.insert("time".to_owned(), json!(seconds));
                    }
                    body.push_str(&envelope.to_string());
                }
            }
            body.push('\n');
        }
        let kind = if self.target.shape == HttpShape::Splunk { "application/json" } else { "application/x-ndjson" };
        (body, kind)
    }
}

/// A client that trusts, and shows itself, as the files say now.
fn client(url: &Url, files: &Files) -> Result<Client, String> {
    let builder = Client::builder()
        .timeout(PATIENCE)
        .connect_timeout(Duration::from_secs(10))
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("kaspector/", env!("CARGO_PKG_VERSION")));
    // The library looks for a provider even when it will speak no TLS.
    let builder = match files.read() {
        Ok(config) => builder.tls_backend_preconfigured(rustls::ClientConfig::clone(&config)),
        Err(error) if url.scheme() == "https" => return Err(error),
        Err(_) => builder,
    };
    builder.build().map_err(|error| error.to_string())
}

fn time_of(event: &Value) -> Option<jiff::Timestamp> {
    // OCSF counts milliseconds.
    let of_ocsf = || jiff::Timestamp::from_millisecond(event.get("time")?.as_i64()?).ok();
    event.get("timestamp").and_then(Value::as_str).and_then(time::from_eve).or_else(of_ocsf)
}

/// The event with `@timestamp` before all else, which data streams demand; and they would not read an EVE time, whose offset has no colon.
/// ECS has it there.
fn dated(line: &str) -> Cow<'_, str> {
    let event = serde_json::from_str(line).ok();
    match event.as_ref().and_then(time_of).zip(line.strip_prefix('{')) {
        Some((at, rest)) => format!("{{\"@timestamp\":\"{}\",{rest}", time::rfc3339(at)).into(),
        None => line.into(),
    }
}

impl Target {
    /// Where to post. The error does not repeat it.
    fn url(&self) -> Result<Url, String> {
        let Address { url, file, variable } = &self.address;
        let (text, place) = match (url, file, variable) {
            (Some(url), _, _) => (url.clone(), None),
            (_, Some(path), _) => {
                let place = path.display().to_string();
                (std::fs::read_to_string(path).map_err(|error| format!("{place}: {error}"))?, Some(place))
            }
            (_, _, Some(name)) => {
                let place = format!("environment variable {name}");
                (std::env::var(name).map_err(|_| format!("{place} is not set"))?, Some(place))
            }
            _ => return Err("no url".to_owned()),
        };
        let mut url = parsed_url(text.trim()).map_err(|error| match place {
            Some(place) => format!("{place}: {error}"),
            None => error,
        })?;
        if self.shape == HttpShape::Elastic && !url.path().ends_with("/_bulk") {
            let path = format!("{}/_bulk", url.path().trim_end_matches('/'));
            url.set_path(&path);
        }
        Ok(url)
    }

    fn secret(&self) -> Result<Option<HeaderValue>, String> {
        let secret = match (&self.token_env, &self.token_file) {
            (Some(name), _) => std::env::var(name).map_err(|_| format!("environment variable {name} is not set"))?,
            (_, Some(path)) => std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?,
            _ => return Ok(None),
        };
        let secret = secret.trim();
        let usual = if self.shape == HttpShape::Splunk { HttpAuth::Splunk } else { HttpAuth::Bearer };
        let text = match self.auth.unwrap_or(usual) {
            HttpAuth::Bearer => format!("Bearer {secret}"),
            HttpAuth::Splunk => format!("Splunk {secret}"),
            HttpAuth::ApiKey => format!("ApiKey {secret}"),
            HttpAuth::Basic => format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(secret)),
        };
        let mut value = HeaderValue::try_from(text).map_err(|_| "the secret has characters that no header can hold")?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

impl Transport for HttpTransport {
    async fn deliver(&mut self, batch: &[Arc<Message>]) -> Result<Delivered, TransportError> {
        let (body, kind) = self.body(batch);
        let mut request = self.client.post(self.url.clone()).header(CONTENT_TYPE, kind).body(body);
        if let Some(secret) = &self.secret {
            request = request.header(AUTHORIZATION, secret.clone());
        }
        let failed = |error: reqwest::Error| TransportError::Retry(causes(&error.without_url()));
        let mut answer = request.send().await.map_err(failed)?;
        let status = answer.status();
        if status.is_success() {
            let mut text = Vec::new();
            if self.target.shape == HttpShape::Elastic {
                while let Some(chunk) = answer.chunk().await.map_err(failed)? {
                    text.extend_from_slice(&chunk);
                    if text.len() > ANSWER_MAX {
                        return Err(TransportError::Reject("answer too long".to_owned()));
                    }
                }
                return items(&text, batch);
            }
            return Ok(Delivered::default());
        }
        let reason = format!("the server answers {status}");
        // What is refused may have been renewed since it was read.
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
            && let Ok(secret) = self.target.secret()
        {
            self.secret = secret;
        }
        let is_unknown = matches!(status, StatusCode::FORBIDDEN | StatusCode::NOT_FOUND | StatusCode::GONE);
        if is_unknown && let Ok(url) = self.target.url() {
            self.url = url;
        }
        Err(match status {
            // What is wrong with the content stays wrong; what is wrong with the address or the secret can be put right.
            StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => {
                TransportError::Reject(reason)
            }
            _ => {
                let after = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
                match after {
                    Some(seconds) => TransportError::RetryAfter(reason, Duration::from_secs(seconds)),
                    None => TransportError::Retry(reason),
                }
            }
        })
    }

    fn reopen(&mut self) {
        match self.target.secret() {
            Ok(secret) => self.secret = secret,
            Err(error) => tracing::warn!("{error}; the secret read before stays in use"),
        }
        match self.target.url() {
            Ok(url) => self.url = url,
            Err(error) => tracing::warn!("{error}; the URL read before stays in use"),
        }
        match client(&self.url, &self.target.files) {
            Ok(client) => self.client = client,
            Err(error) => tracing::warn!("{error}; the certificates read before stay in use"),
        }
    }
}

/// What Elasticsearch says of each message of a batch.
fn items(answer: &[u8], batch: &[Arc<Message>]) -> Result<Delivered, TransportError> {
    let answer: Value = serde_json::from_slice(answer)
        .map_err(|error| TransportError::Retry(format!("no answer to _bulk: {error}; is this Elasticsearch?")))?;
    if answer.get("errors").and_then(Value::as_bool) == Some(false) {
        return Ok(Delivered::default());
    }
    let items = answer.get("items").and_then(Value::as_array).filter(|items| items.len() == batch.len());
    let items =
        items.ok_or_else(|| TransportError::Retry("the answer to _bulk does not name every message".to_owned()))?;
    let mut delivered = Delivered::default();
    for (item, message) in items.iter().zip(batch) {
        let item = item.get("create").unwrap_or(item);
        match item.get("status").and_then(Value::as_u64).unwrap_or(500) {
            // A conflict: it is there already.
            200..=299 | 409 => continue,
            429 | 500.. => delivered.again.push(Arc::clone(message)),
            _ => delivered.rejected += 1,
        }
        let reason = item.pointer("/error/reason").and_then(Value::as_str).unwrap_or("refused without a reason");
        delivered.reason = Some(reason.chars().filter(|c| !c.is_control()).take(200).collect());
    }
    Ok(delivered)
}

fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
