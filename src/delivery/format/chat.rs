//! Findings for chats: several that wait together are one message. Nothing in it is read as markup, so no name can make a link or a mention.

use super::words::{Told, heading};
use crate::Message;
use serde_json::{Value, json};
use std::sync::Arc;

/// Findings that are named in one message; the rest is counted. Slack takes 50 blocks.
const NAMED_MAX: usize = 20;
/// Characters of one finding, escaped: Slack takes 3,000 in a text and 40,000 in a message.
const SLACK_CHARS: usize = 1500;
/// Slack takes 150 in a header.
const HEADER_CHARS: usize = 150;
/// Teams takes 28 KB in a message.
const TEAMS_BYTES: usize = 27_000;

/// A message for an incoming webhook of Slack.
pub(crate) fn slack(batch: &[Arc<Message>], sensor: &str) -> String {
    let heading = heading(batch, sensor);
    let text = |text: &str, max: usize| json!({"type": "plain_text", "text": escaped(text, max), "emoji": false});
    let mut blocks = vec![json!({"type": "header", "text": text(&heading, HEADER_CHARS)})];
    for told in batch.iter().take(NAMED_MAX).map(|message| Told::of(message)) {
        let lines = format!("{}\n{}", told.title, told.line());
        blocks.push(json!({"type": "section", "text": text(&lines, SLACK_CHARS)}));
    }
    if let Some(rest) = rest(batch.len(), NAMED_MAX) {
        blocks.push(json!({"type": "section", "text": text(&rest, SLACK_CHARS)}));
    }
    // The text is for notifications.
    let heading = escaped(&heading, HEADER_CHARS);
    json!({"text": heading, "blocks": blocks, "mrkdwn": false, "unfurl_links": false, "unfurl_media": false})
        .to_string()
}

/// A message for a workflow of Microsoft Teams: an adaptive card.
pub(crate) fn teams(batch: &[Arc<Message>], sensor: &str) -> String {
    let told: Vec<Told> = batch.iter().take(NAMED_MAX).map(|message| Told::of(message)).collect();
    let mut named = told.len();
    loop {
        let card = card(&heading(batch, sensor), told.get(..named).unwrap_or_default(), batch.len());
        if card.len() <= TEAMS_BYTES || named == 0 {
            return card;
        }
        named -= 1;
    }
}

fn card(heading: &str, told: &[Told], count: usize) -> String {
    // Runs of text are no Markdown, unlike the text of other elements.
    let block = |text: &str, weight: &str, size: &str| {
        let run = json!({"type": "TextRun", "text": text, "weight": weight, "size": size});
        json!({"type": "RichTextBlock", "inlines": [run]})
    };
    let mut body = vec![block(heading, "Bolder", "Medium")];
    for told in told {
        body.push(block(&told.title, "Bolder", "Default"));
        if !told.facts.is_empty() {
            body.push(block(&told.line(), "Default", "Small"));
        }
    }
    body.extend(rest(count, told.len()).map(|rest| block(&rest, "Default", "Default")));
    let content: Value = json!({"$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard",
        "version": "1.4", "body": body, "msteams": {"width": "Full"}});
    let card =
        json!({"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": null, "content": content});
    json!({"type": "message", "attachments": [card]}).to_string()
}

fn rest(count: usize, named: usize) -> Option<String> {
    let rest = count.checked_sub(named).filter(|&rest| rest > 0)?;
    Some(format!("and {rest} more; `kaspector hosts` on the sensor lists all"))
}

/// With the three characters that Slack gives a meaning as entities; cut before one that would not fit.
fn escaped(text: &str, max: usize) -> String {
    let (mut out, mut left) = (String::new(), max);
    for character in text.chars() {
        let mut buffer = [0; 4];
        let written = match character {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            _ => character.encode_utf8(&mut buffer),
        };
        let Some(rest) = left.checked_sub(written.chars().count()) else { break };
        left = rest;
        out.push_str(written);
    }
    out
}
