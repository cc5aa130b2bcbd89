//! The form that the command line has for an output.

use super::{OutputError, OutputSpec};

const KINDS: &str = "expected stdout, file:PATH, unix-stream:PATH, unix-dgram:PATH, syslog+udp://HOST:514, syslog+tcp://HOST:601, \
    syslog+tls://HOST:6514, http://HOST/PATH, https://HOST/PATH, https:?url-file=PATH, smtp://HOST:25, smtp+starttls://HOST:587, smtps://HOST:465 or kafka://BROKER:9092/TOPIC";

impl std::str::FromStr for OutputSpec {
    type Err = OutputError;

    /// Reads the form of the command line.
    fn from_str(text: &str) -> Result<Self, OutputError> {
        let (target, query) = text.split_once('?').unwrap_or((text, ""));
        let (kind, rest) = target.split_once(':').unwrap_or((target, ""));
        // A user name and password may stand in what follows.
        let failed = |what: String| OutputError { spec: kind.to_owned(), what };
        let mut table = toml::Table::new();
        let mut put = |key: &str, value: &str| table.insert(key.to_owned(), toml::Value::String(value.to_owned()));
        let authority =
            || rest.strip_prefix("//").filter(|rest| !rest.is_empty()).ok_or_else(|| failed(KINDS.to_owned()));
        match kind {
            "stdout" if rest.is_empty() => _ = put("kind", kind),
            "file" | "unix-stream" | "unix-dgram" if !rest.is_empty() => {
                put("kind", kind);
                put("path", &decoded(rest).ok_or_else(|| failed(format!("{rest}: % must be followed by two digits")))?);
            }
            "syslog+udp" | "syslog+tcp" | "syslog+tls" => {
                put("kind", "syslog");
                put("transport", kind.trim_start_matches("syslog+"));
                put("server", authority()?.trim_end_matches('/'));
            }
            "http" | "https" => {
                put("kind", "http");
                // Where the URL is a secret, it stands elsewhere.
                if !rest.is_empty() || !query.split('&').any(|pair| pair.starts_with("url-")) {
                    authority()?;
                    put("url", target);
                }
            }
            "smtp" | "smtp+starttls" | "smtps" => {
                put("kind", "smtp");
                put("security", if kind == "smtps" { "tls" } else { kind.strip_prefix("smtp+").unwrap_or("none") });
                put("server", authority()?.trim_end_matches('/'));
            }
            "kafka" => {
                put("kind", "kafka");
                let (brokers, topic) = authority()?.split_once('/').unwrap_or_default();
                put("brokers", brokers);
                put("topic", topic);
            }
            _ => return Err(failed(format!("unknown kind or no target; {KINDS}"))),
        }
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').ok_or_else(|| failed(format!("{pair}: expected NAME=VALUE")))?;
            let value = decoded(value).ok_or_else(|| failed(format!("{key}: % must be followed by two digits")))?;
            if key == "to"
                && let Some(toml::Value::String(before)) = table.get_mut(key)
            {
                before.push(',');
                before.push_str(&value);
                continue;
            }
            if key == "kind" || table.contains_key(key) {
                return Err(failed(format!("{key}: given twice")));
            }
            table.insert(key.to_owned(), toml::Value::String(value));
        }
        let spec: Self = table.try_into().map_err(|error: toml::de::Error| failed(error.message().to_owned()))?;
        spec.check().map_err(failed)?;
        Ok(spec)
    }
}

/// RFC 3986 section 2.1.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let mut digit = || char::from(bytes.next()?).to_digit(16);
            out.push(u8::try_from(digit()? * 16 + digit()?).ok()?);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}
