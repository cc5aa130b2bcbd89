//! `/api/alerts`: server-sent events (WHATWG HTML, section 9.2), one for each alert.

use super::feed::Subscription;
use super::shown::Shown;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use kaspector_delivery::{Message, Weight};
use serde::Deserialize;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, watch};

/// A comment goes out after so long a silence, so that proxies and browsers see that the line is alive.
const HEARTBEAT: Duration = Duration::from_secs(15);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    /// Alerts from before that a new reader wants.
    #[serde(default)]
    recent: usize,
}

/// Sends what there was, then what comes. A slow reader is told how many it missed (`lagged`), and nobody waits for it.
pub(super) async fn alerts(
    State(shown): State<Arc<Shown>>,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
) -> Response {
    let Ok(permit) = Arc::clone(&shown.streams).try_acquire_owned() else {
        let said = "too many readers of alerts; close another, or come again\n";
        return (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "10")], said).into_response();
    };
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok()).filter(|id| !id.is_empty());
    let subscription = shown.web.alerts().subscribe(last, parameters.recent);
    let reader = Reader { greeted: false, subscription, stopped: shown.stopped.clone(), _permit: permit };
    let events = stream::unfold(reader, |mut reader| async move {
        reader.next().await.map(|text| (Ok::<_, Infallible>(text), reader))
    });
    // nginx would hold events back.
    let headers = [(header::CONTENT_TYPE.as_str(), "text/event-stream"), ("x-accel-buffering", "no")];
    (headers, Body::from_stream(events)).into_response()
}

struct Reader {
    greeted: bool,
    subscription: Subscription,
    stopped: watch::Receiver<bool>,
    /// One of [`super::Limits::streams`], given back when the reader goes.
    _permit: OwnedSemaphorePermit,
}

impl Reader {
    /// The next piece of the stream; `None` when the sensor ends.
    async fn next(&mut self) -> Option<String> {
        if !self.greeted {
            self.greeted = true;
            let gap = if self.subscription.has_gap { lagged(None) } else { String::new() };
            return Some(format!("retry: 2000\n\n{gap}"));
        }
        if let Some(message) = self.subscription.before.pop_front() {
            return Some(event(&message));
        }
        tokio::select! {
            received = self.subscription.receiver.recv() => match received {
                Ok(message) => Some(event(&message)),
                Err(RecvError::Lagged(missed)) => Some(lagged(Some(missed))),
                Err(RecvError::Closed) => None,
            },
            () = tokio::time::sleep(HEARTBEAT) => Some(": \n\n".to_owned()),
            _ = self.stopped.wait_for(|&stopped| stopped) => None,
        }
    }
}

/// `missed` alerts are not in this stream; `null`: nobody can say how many.
fn lagged(missed: Option<u64>) -> String {
    let missed = missed.map_or_else(|| "null".to_owned(), |missed| missed.to_string());
    format!("event: lagged\ndata: {{\"missed\":{missed}}}\n\n")
}

fn event(message: &Message) -> String {
    let kind = match message.weight {
        Weight::Finding => "finding",
        Weight::Summary => "summary",
        Weight::Stats => "stats",
    };
    // JSON has no line break outside of texts, and inside it is written out; one that came all the same would begin another field.
    let one_line = |text: &str| text.replace(['\n', '\r', '\0'], " ");
    format!("id: {}\nevent: {kind}\ndata: {}\n\n", one_line(&message.uid), one_line(&message.line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_begins_a_field_of_its_own() {
        let message = Message {
            uid: "a\nevent: b".into(),
            host: "".into(),
            weight: Weight::Summary,
            line: "{}\r\n\ndata: x".into(),
        };
        assert_eq!(event(&message), "id: a event: b\nevent: summary\ndata: {}   data: x\n\n");
        assert_eq!(lagged(Some(3)), "event: lagged\ndata: {\"missed\":3}\n\n");
    }
}
