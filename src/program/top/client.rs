//! Asks a sensor over HTTP, and hears its alerts as server-sent events.

use super::answers::{Hosts, Status};
use anyhow::{Context, bail};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{Request, Response, header};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest answer.
const ANSWER_MAX: usize = 64 << 20;
/// Longest line of the stream of alerts.
const LINE_MAX: usize = 256 << 10;
/// How long alerts of before are waited for: they come at once.
const RECENT: Duration = Duration::from_millis(500);
/// Hosts that are asked for.
const HOSTS: usize = 200;

/// Where a sensor is, and what it wants to be shown.
#[derive(Clone, Debug)]
pub struct Sensor {
    /// `ADDRESS:PORT`.
    pub address: String,
    /// Its token, if it asks for one.
    pub token: Option<String>,
}

impl Sensor {
    /// Its numbers and its hosts, the latest first.
    pub async fn answers(&self) -> anyhow::Result<(Status, Hosts)> {
        let status = self.json("/api/status").await?;
        Ok((status, self.json(&format!("/api/hosts?sort=last_seen&order=desc&limit={HOSTS}")).await?))
    }

    /// Hears alerts until the connection ends: first some of before, the oldest first, then what comes.
    pub async fn alerts(&self, recent: usize, take: impl FnMut(String)) -> anyhow::Result<()> {
        let answer = timeout(PATIENCE, self.get(&format!("/api/alerts?recent={recent}"))).await??;
        events(answer.into_body(), take, None).await
    }

    /// The alerts of before alone.
    pub async fn recent_alerts(&self, recent: usize, take: impl FnMut(String)) -> anyhow::Result<()> {
        let answer = timeout(PATIENCE, self.get(&format!("/api/alerts?recent={recent}"))).await??;
        events(answer.into_body(), take, Some(Instant::now() + RECENT)).await
    }

    async fn json<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let asked = async {
            let answer = self.get(path).await?;
            let body = Limited::new(answer.into_body(), ANSWER_MAX).collect().await;
            anyhow::Ok(body.map_err(|error| anyhow::anyhow!(error))?.to_bytes())
        };
        let of_sensor = || format!("the sensor at {}", self.address);
        let body = timeout(PATIENCE, asked).await.context("no answer in time").and_then(|asked| asked);
        let body = body.with_context(of_sensor)?;
        serde_json::from_slice(&body).with_context(|| {
            format!("what answers at {}{path} is no kaspector, or one of another version", self.address)
        })
    }

    async fn get(&self, path: &str) -> anyhow::Result<Response<Incoming>> {
        let stream = TcpStream::connect(&self.address)
            .await
            .context("no sensor is heard; run 'kaspector watch' with --http ADDRESS:PORT, and name the same here")?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let mut request = Request::get(path).header(header::HOST, &self.address);
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let answer = sender.send_request(request.body(Empty::<Bytes>::new())?).await?;
        match answer.status().as_u16() {
            200 => Ok(answer),
            401 | 403 => bail!("the sensor refuses: name the file with its token with --http-token-file"),
            status => bail!("the sensor answers {status}"),
        }
    }
}

/// Gives the data of each event (WHATWG HTML, section 9.2) that is an alert.
async fn events(mut body: Incoming, mut take: impl FnMut(String), until: Option<Instant>) -> anyhow::Result<()> {
    let mut line = Vec::new();
    let mut is_alert = false;
    loop {
        let frame = match until {
            Some(until) => match timeout_at(until, body.frame()).await {
                Ok(frame) => frame,
                Err(_) => return Ok(()),
            },
            None => body.frame().await,
        };
        let Some(frame) = frame else { return Ok(()) };
        let Ok(data) = frame?.into_data() else { continue };
        for &byte in &data {
            if byte != b'\n' {
                if line.len() >= LINE_MAX {
                    bail!("the sensor sends a line that is too long");
                }
                line.push(byte);
                continue;
            }
            let text = String::from_utf8_lossy(&line);
            match text.split_once(": ") {
                Some(("event", kind)) => is_alert = matches!(kind, "finding" | "summary"),
                Some(("data", data)) if is_alert => take(data.to_owned()),
                _ => {}
            }
            line.clear();
        }
    }
}
