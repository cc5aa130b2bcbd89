//! Who may ask what: methods, names under which we are reached, the token, and headers that keep browsers from harm.

use super::Token;
use super::page::login;
use super::shown::Shown;
use super::token::{COOKIE, token_of};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

/// Nothing but our own script, style and data; nobody may frame us.
const CONTENT_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
    base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// What tells nothing, so needs no token.
const OPEN: [&str; 4] = ["/healthz", "/app.css", "/app.js", "/icon.svg"];

/// Lets a request through, or says why not.
pub(super) async fn guard(State(shown): State<Arc<Shown>>, request: Request, next: Next) -> Response {
    let refused = refuse(&shown, &request);
    let mut response = match refused {
        Some(response) => response,
        None => next.run(request).await,
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CONTENT_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (header::HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

fn refuse(shown: &Shown, request: &Request) -> Option<Response> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let said = "this server only shows; use GET\n";
        return Some((StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD")], said).into_response());
    }
    let named = request.headers().get(header::HOST).map(|value| value.to_str().unwrap_or_default());
    // A page of somebody else's, whose name was turned to a loopback address, sends that name (DNS rebinding).
    if shown.is_loopback && named.is_some_and(|host| !is_ours(host, &shown.web.options().host_names)) {
        let said = "this name is not known here; use localhost, or add the name with --http-host\n";
        return Some((StatusCode::MISDIRECTED_REQUEST, said).into_response());
    }
    let token = shown.web.options().token.as_ref()?;
    let path = request.uri().path();
    if OPEN.contains(&path) || is_known(token, request.headers()) {
        return None;
    }
    if path != "/" {
        let said = "a token is needed: Authorization: Bearer TOKEN\n";
        return Some((StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")], said).into_response());
    }
    let given = token_of(request.uri());
    if given.as_deref().is_some_and(|text| token.is(text)) { None } else { Some(login(given.is_some())) }
}

/// By header (RFC 6750 section 2.1), or by the page's cookie.
fn is_known(token: &Token, headers: &HeaderMap) -> bool {
    let texts = |name| headers.get_all(name).into_iter().filter_map(|value: &HeaderValue| value.to_str().ok());
    let by_header = texts(header::AUTHORIZATION).any(|value| {
        let scheme = value.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        scheme.is_some_and(|(_, text)| token.is(text.trim()))
    });
    by_header
        || texts(header::COOKIE)
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .any(|(name, value)| name == COOKIE && token.is_cookie(value))
}

/// Whether a Host header names this machine's loopback, or one of `names`.
fn is_ours(host: &str, names: &[String]) -> bool {
    let name = without_port(host);
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).map_or_else(
        || name.parse::<IpAddr>().ok().filter(IpAddr::is_ipv4),
        |inside| inside.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
    );
    address.is_some_and(|address| address.is_loopback())
        || name.eq_ignore_ascii_case("localhost")
        || names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_ours() {
        let names = ["sensor.example".to_owned()];
        for ours in
            ["localhost", "LOCALHOST:9317", "127.0.0.1:9317", "127.9.9.9", "[::1]:9317", "[::1]", "Sensor.Example:443"]
        {
            assert!(is_ours(ours, &names), "{ours}");
        }
        for other in [
            "",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example:80",
            "10.0.0.1",
            "[::2]",
            "::1",
            "[127.0.0.1]",
        ] {
            assert!(!is_ours(other, &names), "{other}");
        }
    }
}
