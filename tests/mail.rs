//! Mail against a real server, which dies, refuses and asks to come again.
//!
//! Needs Debian's python3-aiosmtpd; elsewhere it says so and passes. Where `CI` is set it must run.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use kaspector_delivery::spool::SpoolLimits;
use kaspector_delivery::{Message, OutputOptions, OutputSpec, Outputs, Weight};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PYTHON: &str = "/usr/bin/python3";

fn finding(number: usize, weight: Weight) -> Message {
    let line = include_str!("data/alerts.jsonl").lines().last().unwrap();
    Message { uid: format!("{number:026}").into(), host: "10.20.0.5".into(), weight, line: line.into() }
}

fn start(spec: &str, folder: &Path) -> Outputs {
    let options =
        OutputOptions { spool: Some(folder.join("spool")), limits: SpoolLimits::default(), sensor: "sensor-01".into() };
    Outputs::start(&[spec.parse::<OutputSpec>().unwrap()], &options, &tokio::runtime::Handle::current()).unwrap()
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(40), "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A mail server, gone with this value.
struct Server {
    child: Child,
    folder: PathBuf,
    port: u16,
    security: &'static str,
}

impl Server {
    /// `None`, with a message, where there is none.
    fn start(folder: &Path, security: &'static str) -> Option<Self> {
        let has = Command::new(PYTHON).args(["-c", "import aiosmtpd"]).stderr(Stdio::null()).status();
        if !has.is_ok_and(|status| status.success()) {
            assert!(std::env::var_os("CI").is_none(), "CI must have the package python3-aiosmtpd");
            eprintln!("skipped: needs the package python3-aiosmtpd");
            return None;
        }
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        fs::write(folder.join("ca.pem"), made.cert.pem()).unwrap();
        fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        fs::write(folder.join("password"), "s3cret\n").unwrap();
        Some(Self { child: Self::spawn(folder, port, security), folder: folder.to_owned(), port, security })
    }

    fn spawn(folder: &Path, port: u16, security: &str) -> Child {
        let script = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/support/mail_server.py"));
        let mut command = Command::new(PYTHON);
        command.arg(script).arg(port.to_string()).arg(folder).arg(security);
        command.args([folder.join("ca.pem"), folder.join("key.pem")]).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    }

    fn start_again(&mut self) {
        self.child = Self::spawn(&self.folder, self.port, self.security);
    }

    /// The mails that it took, in order, their lines unfolded.
    fn mails(&self) -> Vec<String> {
        let numbers = (0..).map_while(|number| fs::read_to_string(self.folder.join(format!("{number}.eml"))).ok());
        numbers.map(|mail| mail.replace("\r\n ", " ")).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn header<'m>(mail: &'m str, name: &str) -> &'m str {
    let head = mail.split("\r\n\r\n").next().unwrap();
    let found: Vec<&str> = head
        .lines()
        .filter_map(|line| line.split_once(": ").filter(|(known, _)| *known == name))
        .map(|(_, v)| v)
        .collect();
    assert_eq!(found.len(), 1, "{name} in {mail}");
    found[0]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_with_a_mail_gets_the_same_mail_again() {
    let folder = tempfile::tempdir().unwrap();
    let Some(mut server) = Server::start(folder.path(), "starttls") else { return };
    let at = folder.path().display();
    let spec = format!(
        "smtp+starttls://localhost:{}?from=Sensor%20<sensor@example.net>&to=soc@example.net&to=night@example.net,ciso@example.net\
         &user=sensor&token-file={at}/password&ca={at}/ca.pem&every=3s",
        server.port
    );
    fs::write(folder.path().join("die"), "").unwrap();
    let outputs = start(&spec, folder.path());
    for number in 0..3 {
        assert!(outputs.offer(finding(number, Weight::Finding)));
    }
    assert!(outputs.offer(finding(3, Weight::Summary)));
    until("the first mail is there", || server.mails().len() == 1).await;
    until("its server is gone", || server.child.try_wait().unwrap().is_some()).await;
    let delivered = outputs.status()[0].delivered;
    assert_eq!(delivered, 0, "nobody has said that it was taken");
    server.start_again();
    until("all is delivered", || outputs.status()[0].delivered == 3).await;
    let sent = Instant::now();
    let mails = server.mails();
    assert_eq!(header(&mails[0], "Message-ID"), header(&mails[1], "Message-ID"));
    assert_eq!(mails[0], mails[1], "the same in every byte");
    // Findings may have come to the output in two parts.
    let before = mails.len();
    for number in 4..9 {
        assert!(outputs.offer(finding(number, Weight::Finding)));
    }
    until("the later ones, too", || outputs.status()[0].delivered == 8).await;
    assert!(sent.elapsed() > Duration::from_secs(2), "at most one mail in three seconds");
    let mails = server.mails();
    assert_eq!(mails.len(), before + 1);
    let mail = mails.last().unwrap();
    assert_eq!(mail.matches("X-To: ").count(), 3);
    assert!(mail.contains("X-Tls: True"));
    assert!(header(mail, "Subject").starts_with("[kaspector sensor-01] 5 findings: 10."), "{mail}");
    assert_eq!(header(mail, "Auto-Submitted"), "auto-generated");
    assert!(header(mail, "Date").contains(" 20") && header(mail, "To").contains("night@example.net"));
    assert!(!mail.contains("\r\nBcc:"), "a name on the wire made a header or a line: {mail}");
    let status = &outputs.status()[0];
    assert_eq!((status.rejected, status.lost, status.waiting), (0, 0, 0));
    assert!(status.trouble.is_none() && !status.name.contains("s3cret"), "{status:?}");
    outputs.drain(Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_said_without_the_tls_that_was_asked_for() {
    let (plain, safe) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (Some(without), Some(with)) = (Server::start(plain.path(), "none"), Server::start(safe.path(), "tls")) else {
        return;
    };
    let who = "from=a@example.net&to=b@example.net&every=1s";
    let at = safe.path().display();
    let user = format!("user=sensor&token-file={at}/password");
    let ca = format!("ca={at}/ca.pem");
    let wrong = safe.path().join("wrong");
    fs::write(&wrong, "wrong").unwrap();
    for (spec, why) in [
        (format!("smtp+starttls://localhost:{}?{who}&{user}&{ca}", without.port), "offers no STARTTLS"),
        (format!("smtps://localhost:{}?{who}&{user}", with.port), "certificate"),
        (
            format!("smtps://localhost:{}?{who}&{ca}&user=sensor&token-file={}", with.port, wrong.display()),
            "user and password",
        ),
    ] {
        let spool = tempfile::tempdir().unwrap();
        let outputs = start(&spec, spool.path());
        assert!(outputs.offer(finding(0, Weight::Finding)));
        let says = || outputs.status()[0].trouble.clone().unwrap_or_default();
        until(why, || says().contains(why)).await;
        assert!(!says().contains("s3cret"));
        if why == "user and password" {
            fs::write(&wrong, "s3cret").unwrap();
            until("the password is read again", || outputs.status()[0].delivered == 1).await;
        }
        outputs.drain(Duration::from_millis(100)).await;
    }
    assert!(without.mails().is_empty());
    assert_eq!(with.mails().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recipient_that_is_refused_keeps_nobody_else_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let Some(server) = Server::start(folder.path(), "none") else { return };
    let spec = |to: &str| format!("smtp://localhost:{}?from=a@example.net&to={to}&every=1s", server.port);
    let outputs = start(&spec("b@example.net,refused@example.net,later@example.net"), folder.path());
    assert!(outputs.offer(finding(0, Weight::Finding)));
    until("both have it", || outputs.status()[0].delivered == 1).await;
    let mails = server.mails();
    assert_eq!(mails.len(), 2, "b@ once, later@ once");
    assert!(mails[0].contains("X-To: b@example.net") && !mails[0].contains("X-To: later@"));
    assert!(mails[1].contains("X-To: later@example.net") && !mails[1].contains("X-To: b@"));
    assert_eq!(header(&mails[0], "Message-ID"), header(&mails[1], "Message-ID"));
    let trouble = outputs.status()[0].trouble.clone().unwrap();
    assert!(trouble.contains("refused@example.net") && trouble.contains("no such user"), "{trouble}");
    outputs.drain(Duration::from_secs(10)).await;

    let nobody = tempfile::tempdir().unwrap();
    let outputs = start(&spec("refused@example.net"), nobody.path());
    assert!(outputs.offer(finding(1, Weight::Finding)));
    until("it is said", || outputs.status()[0].trouble.as_ref().is_some_and(|why| why.contains("no recipient"))).await;
    assert_eq!((outputs.status()[0].delivered, outputs.status()[0].rejected), (0, 0), "an address can be put right");
    outputs.drain(Duration::from_millis(100)).await;
}
