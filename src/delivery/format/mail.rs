//! Findings as a mail of plain text. The same findings give the same mail, whenever it is written.

use super::event::Event;
use super::words::{Told, heading, plain};
use crate::Message;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, SinglePart};
use sha2::Digest;
use std::fmt::Write;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Findings that are told at length; the others have a line each.
const AT_LENGTH: usize = 100;
/// Findings that the subject names.
const IN_SUBJECT: usize = 3;

/// A mail, and its identifier. The error says what is wrong with an address.
pub(crate) fn mail(
    batch: &[Arc<Message>],
    sensor: &str,
    from: &Mailbox,
    to: &[Mailbox],
) -> Result<(String, Vec<u8>), String> {
    let told: Vec<Told> = batch.iter().map(|message| Told::of(message)).collect();
    let id = id(batch, from);
    let mut builder = lettre::Message::builder()
        .from(from.clone())
        .subject(subject(batch, sensor, &told))
        .date(date(batch))
        .message_id(Some(id.clone()));
    for to in to {
        builder = builder.to(to.clone());
    }
    // No holiday answers to it (RFC 3834).
    let name = HeaderName::new_from_ascii_str("Auto-Submitted");
    let builder = builder.raw_header(HeaderValue::new(name, "auto-generated".to_owned()));
    let message = builder.singlepart(SinglePart::plain(text(sensor, &told)));
    Ok((id, message.map_err(|error| error.to_string())?.formatted()))
}

fn subject(batch: &[Arc<Message>], sensor: &str, told: &[Told]) -> String {
    let mut briefs: Vec<&str> = Vec::new();
    for told in told {
        if !briefs.contains(&told.brief.as_str()) {
            briefs.push(&told.brief);
        }
        if briefs.len() > IN_SUBJECT {
            break;
        }
    }
    let more = if briefs.len() > IN_SUBJECT { ", ..." } else { "" };
    briefs.truncate(IN_SUBJECT);
    format!("{}: {}{more}", heading(batch, sensor), briefs.join(", "))
}

/// One paragraph for each finding.
fn text(sensor: &str, told: &[Told]) -> String {
    let mut out = String::new();
    for (number, told) in told.iter().enumerate() {
        out.push_str(&told.title);
        out.push_str("\r\n");
        if number < AT_LENGTH {
            for (name, value) in &told.facts {
                // Writing to a string cannot fail.
                let _ = write!(out, "  {name}: {value}\r\n");
            }
            out.push_str("\r\n");
        }
    }
    let _ = write!(out, "\r\n-- \r\nkaspector on {}; `kaspector hosts` there lists all hosts\r\n", plain(sensor));
    out
}

/// When the latest of them was seen.
fn date(batch: &[Arc<Message>]) -> SystemTime {
    let seen = batch.iter().filter_map(|message| Event::from_line(&message.line)?.time("/timestamp")).max();
    seen.map_or(UNIX_EPOCH, SystemTime::from)
}

/// The same for the same findings, so that who gets a mail twice can see it.
fn id(batch: &[Arc<Message>], from: &Mailbox) -> String {
    let mut digest = sha2::Sha256::new();
    for message in batch {
        digest.update(message.uid.as_bytes());
        digest.update([0]);
    }
    let digest: [u8; 32] = digest.finalize().into();
    let digits: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let first = batch.first().map_or("", |message| &*message.uid);
    let first: String = first.chars().filter(char::is_ascii_alphanumeric).take(26).collect();
    format!("<{first}.{digits}.kaspector@{}>", from.email.domain())
}
