//! Takes connections, each within its bounds, until it is told to stop.

use super::patient::Patient;
use super::readiness::unready;
use super::shown::Shown;
use super::{Limits, Web, events, guard, hosts, indicator, metrics, page, status};
use crate::process::clock::now;
use crate::status::SAMPLE_INTERVAL;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

/// How long connections may take to end when the server does.
const FAREWELL: Duration = Duration::from_secs(2);
/// Pause when the system has no descriptor for another connection.
const BREATH: Duration = Duration::from_millis(100);

/// Serves `web` on `listener` until `shutdown` is done, and then for up to two seconds more.
///
/// Takes a sample for the history every ten seconds. A connection that fails is nobody's trouble but its own.
pub async fn serve(listener: TcpListener, web: Web, shutdown: impl Future<Output = ()>) {
    let limits = web.options().limits;
    let (stop, stopped) = watch::channel(false);
    let is_loopback = listener.local_addr().is_ok_and(|address| address.ip().is_loopback());
    let streams = Arc::new(Semaphore::new(limits.streams));
    let shown = Arc::new(Shown { web, is_loopback, streams, stopped: stopped.clone() });
    let app = router(&shown);
    let connections = Arc::new(Semaphore::new(limits.connections));
    let mut tasks = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    let mut sampler = interval(SAMPLE_INTERVAL);
    sampler.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            _ = sampler.tick() => {
                let status = shown.web.status();
                // What was not put up yet would make the first sample one jump.
                if status.started.0 > 0 {
                    shown.web.with_history(|history| history.record(now(), &status));
                }
            }
            Some(_) = tasks.join_next() => {}
            accepted = accept(&listener, &connections) => match accepted {
                Ok((stream, permit)) => {
                    tasks.spawn(converse(stream, app.clone(), limits, stopped.clone(), permit));
                }
                Err(error) => {
                    tracing::debug!("http: a connection could not be taken: {error}");
                    sleep(BREATH).await;
                }
            },
        }
    }
    drop(listener);
    let _ = stop.send(true);
    let _ = timeout(FAREWELL, async { while tasks.join_next().await.is_some() {} }).await;
}

/// Connections above the bound wait in the system's queue.
async fn accept(listener: &TcpListener, connections: &Arc<Semaphore>) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let permit = Arc::clone(connections).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, permit))
}

async fn converse(
    stream: TcpStream,
    app: Router,
    limits: Limits,
    mut stopped: watch::Receiver<bool>,
    _permit: OwnedSemaphorePermit,
) {
    // Events are small, and should not wait for each other.
    let _ = stream.set_nodelay(true);
    let stream = TokioIo::new(Patient::new(stream, limits.write_timeout));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_buf_size(limits.head_bytes)
        .serve_connection(stream, TowerToHyperService::new(app));
    let mut connection = pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return log(ended),
        _ = stopped.wait_for(|&stopped| stopped) => connection.as_mut().graceful_shutdown(),
    }
    log(connection.await);
}

fn log(ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!("http: {error}");
    }
}

fn router(shown: &Arc<Shown>) -> Router {
    Router::new()
        .route("/", get(page::index))
        .route("/app.js", get(page::script))
        .route("/app.css", get(page::style))
        .route("/icon.svg", get(page::icon))
        .route("/metrics", get(metrics::metrics))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/api/hosts", get(hosts::hosts))
        .route("/api/indicator", get(indicator::indicator))
        .route("/api/alerts", get(events::alerts))
        .route("/api/status", get(status::status))
        .route("/api/history", get(status::history))
        .fallback(async || (StatusCode::NOT_FOUND, "nothing is here; the page is at /\n"))
        .layer(from_fn_with_state(Arc::clone(shown), guard::guard))
        .with_state(Arc::clone(shown))
}

async fn ready(State(shown): State<Arc<Shown>>) -> (StatusCode, String) {
    let reasons = unready(&shown.web.status(), now(), shown.web.stale_after());
    if reasons.is_empty() {
        (StatusCode::OK, "ready\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, reasons.iter().map(|reason| format!("{reason}\n")).collect())
    }
}
