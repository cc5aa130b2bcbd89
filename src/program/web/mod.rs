//! What the sensor shows over HTTP: metrics, health, hosts, alerts, and one page.
//!
//! In:    [`Status`](crate::status::Status), hosts and alerts, as the sensor puts them up.
//! Out:   metrics, health, JSON, server-sent events and a page.
//! Never: changes anything, or keeps the sensor waiting.
//!
//! | Path | Gives |
//! |---|---|
//! | `/` | the page |
//! | `/metrics` | counters for Prometheus |
//! | `/healthz`, `/readyz` | whether the process, and whether the sensor, is well |
//! | `/api/hosts` | JSON or CSV |
//! | `/api/indicator`, `/api/status`, `/api/history` | JSON |
//! | `/api/alerts` | server-sent events |
//!
//! It only reads: methods other than GET and HEAD are refused.

mod events;
mod feed;
mod filter;
mod guard;
mod hosts;
mod indicator;
mod metrics;
mod over_time;
mod page;
mod patient;
mod readiness;
mod serve;
mod shown;
mod state;
mod status;
mod token;
mod who_is;

use feed::AlertFeed;

pub use feed::RECENT_MAX;
pub use hosts::{HostBrief, HostList, HostSnapshot};
pub use readiness::unready;
pub use serve::serve;
pub use state::{Limits, Web, WebOptions};
pub use token::{Token, TokenError};
pub use who_is::{Asked, WhoIs};
