//! `/api/indicator`: what one indicator means, as `signatures list` has it.

use super::shown::Shown;
use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use kaspector::matching::Strength;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    id: String,
}

#[derive(Serialize)]
struct Answer<'a> {
    id: &'a str,
    kind: &'static str,
    value: &'a str,
    category: &'static str,
    strength: &'static str,
    /// What the strength means, in words.
    proves: &'static str,
    products: &'a [String],
    engine_in: &'a [String],
    note: &'a str,
    sources: &'a [String],
    date: &'a str,
}

pub(super) async fn indicator(State(shown): State<Arc<Shown>>, Query(parameters): Query<Parameters>) -> Response {
    let snapshot = shown.web.hosts().await;
    let Some(indicator) = snapshot.signatures.find(&parameters.id) else {
        return (StatusCode::NOT_FOUND, "no indicator of the set in use has this id\n").into_response();
    };
    let answer = Answer {
        id: &indicator.id,
        kind: indicator.kind.name(),
        value: &indicator.value,
        category: indicator.category.name(),
        strength: indicator.strength.name(),
        proves: match indicator.strength {
            Strength::Installed => "only the product or an embedded engine does this",
            Strength::Ambiguous => "products, browsers and administrators may all do this",
            Strength::Browse => "a person or a web page does this; it shows no product",
        },
        products: &indicator.products,
        engine_in: &indicator.engine_in,
        note: &indicator.note,
        sources: &indicator.sources,
        date: &indicator.date,
    };
    Json(answer).into_response()
}
