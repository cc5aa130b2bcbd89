//! What a log keeps of HTTP, as the head of a request that the detector's own reader takes.

use super::record::{Http, Text};
use kaspector::inspect::HttpResponse;

/// The request of a record as it may have been sent: what the log kept, and no more. `None` when it has no target.
pub(crate) fn request_head(http: &Http<'_>, head: &mut Vec<u8>) -> Option<()> {
    head.clear();
    let url = http.url.as_ref()?;
    push(head, text(http.http_method.as_ref()).unwrap_or("GET"), b' ');
    head.push(b' ');
    push(head, url.as_str(), b' ');
    let protocol = text(http.protocol.as_ref()).filter(|protocol| protocol.starts_with("HTTP/1."));
    head.push(b' ');
    push(head, protocol.unwrap_or("HTTP/1.1"), b' ');
    if let Some(host) = text(http.hostname.as_ref()) {
        head.extend_from_slice(b"\r\nHost: ");
        push(head, host, b' ');
        if let Some(port) = http.http_port {
            head.extend_from_slice(format!(":{port}").as_bytes());
        }
    }
    let agent = ("User-Agent", text(http.http_user_agent.as_ref()));
    let via = ("Via", text(http.via.as_ref()));
    let forwarded = ("X-Forwarded-For", text(http.xff.as_ref()).or(text(http.x_forwarded_for.as_ref())));
    let others = http.request_headers.iter().filter_map(|header| {
        let name = text(header.name.as_ref())?;
        let known = ["host", "user-agent"].iter().any(|known| name.eq_ignore_ascii_case(known));
        (!known).then_some((name, text(header.value.as_ref())))
    });
    for (name, value) in [agent, via, forwarded].into_iter().chain(others) {
        let Some(value) = value else { continue };
        head.extend_from_slice(b"\r\n");
        push(head, name, b':');
        head.extend_from_slice(b": ");
        push(head, value, b'\0');
    }
    head.extend_from_slice(b"\r\n\r\n");
    Some(())
}

/// What stands for the body of a response: of a page, and of anything else.
pub(crate) const BODIES: [&[u8]; 2] = [b"<html", b""];

/// The response of a record. A log does not keep the body, so its type stands for it: servers that answer whatever they are asked with a
/// page say that it is one. `None` when status or type are not known.
pub(crate) fn response<'a>(http: &Http<'_>, head: &'a [u8]) -> Option<HttpResponse<'a>> {
    let status = http.status?;
    let of_type = text(http.http_content_type.as_ref())?;
    let [page, other] = BODIES;
    let body = if of_type.to_ascii_lowercase().contains("html") { page } else { other };
    Some(HttpResponse { status, body, request_head: head })
}

/// Appends text that must not end a line, nor hold the byte that would end its part of the line.
fn push(head: &mut Vec<u8>, text: &str, end: u8) {
    head.extend(text.bytes().map(|byte| if byte < b' ' || byte == end { b'?' } else { byte }));
}

fn text<'a>(text: Option<&'a Text<'_>>) -> Option<&'a str> {
    text.map(Text::as_str)
}
