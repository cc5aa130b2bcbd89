#![allow(clippy::unwrap_used)]
use super::*;

fn error(text: &str) -> String {
    text.parse::<OutputSpec>().unwrap_err().to_string()
}

#[test]
fn both_forms_say_the_same() {
    for (text, toml) in [
        ("stdout", "kind = 'stdout'"),
        (
            "smtps://h:465?from=a@b&to=c@d&to=e@f,g@h&user=u&token-env=P&every=1h",
            "kind = 'smtp'\nsecurity = 'tls'\nserver = 'h:465'\nfrom = 'a@b'\nto = ['c@d', 'e@f', 'g@h']\nuser = 'u'\ntoken-env = 'P'\nevery = '1h'",
        ),
        (
            "smtp+starttls://h:587?from=a@b&to=c@d",
            "kind = 'smtp'\nsecurity = 'starttls'\nserver = 'h:587'\nfrom = 'a@b'\nto = 'c@d'",
        ),
        ("stdout?format=ecs", "kind = 'stdout'\nformat = 'ecs'"),
        ("https:?shape=teams&url-env=HOOK", "kind = 'http'\nshape = 'teams'\nurl-env = 'HOOK'"),
        (
            "file:/var/log/e%3Fe.json?rotate-size=100M&rotate-age=1d&keep=3",
            "kind = 'file'\npath = '/var/log/e?e.json'\nrotate-size = '100M'\nrotate-age = '1d'\nkeep = 3",
        ),
        (
            "syslog+tls://[::1]:6514?ca=/ca.pem&body=cef&facility=16",
            "kind = 'syslog'\ntransport = 'tls'\nserver = '[::1]:6514'\nca = '/ca.pem'\nbody = 'cef'\nfacility = 16",
        ),
        (
            "https://es:9200/?shape=elastic&index=alerts&auth=api-key&token-env=ES",
            "kind = 'http'\nurl = 'https://es:9200/'\nshape = 'elastic'\nindex = 'alerts'\nauth = 'api-key'\ntoken-env = 'ES'",
        ),
    ] {
        assert_eq!(text.parse::<OutputSpec>().unwrap(), toml::from_str::<OutputSpec>(toml).unwrap(), "{text}");
    }
}

#[test]
fn errors_name_the_part_and_what_is_expected() {
    for (text, part) in [
        ("", "expected stdout"),
        ("file:", "expected stdout"),
        ("ftp://x", "unknown kind"),
        ("file:/a?kep=1", "kep"),
        ("file:/a?keep=x", "whole number"),
        ("file:/a?rotate-size=1X", "as 100M"),
        ("file:/a?keep=1&keep=2", "twice"),
        ("syslog+udp://host", "HOST:PORT"),
        ("syslog+udp://host:514?facility=24", "0 to 23"),
        ("syslog+tcp://host:514?ca=/x", "only syslog+tls"),
        ("https://h/?shape=xml", "xml"),
        ("https://user:secret@h/", "auth=basic"),
        ("https:", "expected stdout"),
        ("https:?shape=slack", "expected stdout"),
        ("https://h/?url-env=X", "give one of them"),
        ("https:?url-env=X&url-file=/x", "give one of them"),
        ("https://hooks.slack.com/services/secret?shape=slack", "url-file=PATH"),
        ("https://h/secret?shape=teams", "https:?shape=teams&url-file=PATH"),
        ("https://h/?shape=splunk&format=ecs", "shape=elastic"),
        ("stdout?format=cef", "cef"),
        ("smtp://h:25?to=a@b", "missing field `from`"),
        ("smtp://h:25?from=a@b", "missing field `to`"),
        ("smtp://h:25?from=a@b&to=", "one to 100 addresses"),
        ("smtp://h:25?from=a&to=b@c", "from: \"a\""),
        ("smtp://h:25?from=a@b&to=c@d%0d%0aBcc:e@f", "to: "),
        ("smtp://h?from=a@b&to=c@d", "smtps://HOST:465"),
        ("smtps://user:secret@h:465?from=a@b&to=c@d", "token-file=PATH"),
        ("smtps://h:465?from=a@b&to=c@d&user=u", "for the password"),
        ("smtp://h:25?from=a@b&to=c@d&user=u&token-env=X", "in the clear"),
        ("smtps://h:465?from=a@b&to=c@d&every=0m", "as 1d"),
        ("kafka://b:9092", "TOPIC"),
    ] {
        assert!(error(text).contains(part), "{text}: {}", error(text));
        assert!(!error(text).contains("secret"));
    }
}

#[test]
fn names_hold_no_options() {
    let spec: OutputSpec = "https://h/p?token-env=NAME".parse().unwrap();
    assert_eq!(spec.to_string(), "https://h/p");
    let spec: OutputSpec = "syslog+tcp://h:601?body=cef".parse().unwrap();
    assert_eq!(spec.to_string(), "syslog+tcp://h:601");
    let spec: OutputSpec = "https:?shape=slack&url-file=/etc/slack".parse().unwrap();
    assert_eq!(spec.to_string(), "http:?url-file=/etc/slack");
    assert_eq!(spec.reads(), [Path::new("/etc/slack")]);
    let spec: OutputSpec = "https:?url-env=HOOK".parse().unwrap();
    assert_eq!(spec.to_string(), "http:?url-env=HOOK");
    let spec: OutputSpec = "smtps://h:465?from=a@b&to=c@d&user=u&token-file=/p&ca=/ca".parse().unwrap();
    assert_eq!(spec.to_string(), "smtps://h:465?to=c@d");
    assert_eq!(spec.reads(), [Path::new("/p"), Path::new("/ca")]);
}
