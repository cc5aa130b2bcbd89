//! The page and what belongs to it, out of the program itself.

use super::Web;
use super::readiness::unready;
use super::shown::Shown;
use super::token::{COOKIE, token_of};
use crate::process::clock::now;
use crate::status::InterfaceStatus;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

const INDEX: &str = include_str!("page/index.html");
const LOGIN: &str = include_str!("page/login.html");
const SCRIPT: &str = include_str!("page/app.js");
const STYLE: &str = include_str!("page/app.css");
const ICON: &str = include_str!("page/icon.svg");

const HTML: &str = "text/html; charset=utf-8";

/// The page. Whoever came with the token in the address gets a cookie for it, which no script can read and no other site can send.
pub(super) async fn index(State(shown): State<Arc<Shown>>, uri: Uri) -> Response {
    let body = INDEX.replace("{still}", &still(&shown.web));
    let mut response = ([(header::CONTENT_TYPE, HTML)], body).into_response();
    let given = token_of(&uri);
    if let Some(token) =
        shown.web.options().token.as_ref().filter(|token| given.as_deref().is_some_and(|text| token.is(text)))
    {
        let cookie = format!("{COOKIE}={}; Path=/; Max-Age=2592000; HttpOnly; SameSite=Strict", token.cookie());
        if let Ok(value) = cookie.parse() {
            response.headers_mut().insert(header::SET_COOKIE, value);
        }
    }
    response
}

/// What is known at this moment, for whoever lets no script run. Numbers alone: no text off the wire comes into the page here.
fn still(web: &Web) -> String {
    let status = web.status();
    let state = if unready(&status, now(), web.stale_after()).is_empty() { "ready" } else { "not ready" };
    let sum = |of: fn(&InterfaceStatus) -> u64| status.interfaces.iter().map(of).fold(0, u64::saturating_add);
    format!(
        "The sensor is {state}. Hosts with findings: {}. Packets taken: {}; dropped: {}.",
        status.endpoints_with_findings,
        sum(|interface| interface.packets),
        sum(|interface| interface.kernel_drops.saturating_add(interface.nic_drops)),
    )
}

/// Asks for the token.
pub(super) fn login(was_wrong: bool) -> Response {
    let said = if was_wrong { "That was not the token." } else { "This sensor asks for a token." };
    let body = LOGIN.replace("{said}", said);
    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer"), (header::CONTENT_TYPE, HTML)], body)
        .into_response()
}

pub(super) async fn script() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], SCRIPT)
}

pub(super) async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE)
}

pub(super) async fn icon() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "image/svg+xml")], ICON)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kaspector::matching::{Category, Role};

    #[test]
    fn every_service_and_role_can_be_chosen() {
        let names = Category::ALL.map(Category::name).into_iter().chain(Role::ALL.map(Role::name));
        for name in names {
            assert!(INDEX.contains(&format!("<option>{name}</option>")), "{name}");
        }
    }

    #[test]
    fn nothing_reads_text_as_markup_or_comes_from_elsewhere() {
        for door in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "Function(",
            "DOMParser",
            "srcdoc",
        ] {
            assert!(!SCRIPT.contains(door), "{door}");
        }
        for text in [INDEX, LOGIN, SCRIPT, STYLE, ICON] {
            // Nothing is fetched from the name of SVG's elements, nor from an address that is only written.
            let text =
                text.replace("http://www.w3.org/2000/svg", "").replace("new URL(`http://[${address}]/`).hostname", "");
            assert!(!text.contains("http:") && !text.contains("https:") && !text.contains("@import"));
        }
        for text in [INDEX, LOGIN] {
            assert!(
                !text.contains("<style") && !text.contains(" style=") && !text.contains(" on"),
                "inline script or style"
            );
        }
    }
}
