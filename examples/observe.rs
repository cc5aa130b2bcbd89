//! Embeds the detector: feeds it the frames of capture files, prints every fact that payloads tell, and then what the hosts come to.
//!
//! ```sh
//! cargo run --release --example observe -- pcaps/dns-then-tls.pcap
//! ```

use kaspector::capture::{Block, CaptureFile};
use kaspector::inspect::Observation;
use kaspector::matching::SignatureSet;
use kaspector::pipeline::Detector;
use std::path::Path;
use std::sync::Arc;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let signatures = Arc::new(SignatureSet::builtin());
    let mut detector = Detector::new(&signatures);
    let mut block = Block::default();
    for path in std::env::args_os().skip(1) {
        let mut file = CaptureFile::open(Path::new(&path))?;
        while file.next_block(&mut block)? {
            for frame in block.frames() {
                detector.feed_observed(&frame, |place, observation| {
                    let flow = place.flow;
                    println!(
                        "packet {} {} -> {}:{} {}",
                        place.packet,
                        flow.client,
                        flow.server,
                        flow.server_port,
                        words(observation)
                    );
                });
            }
        }
        let findings = detector.finish();
        for host in findings.host_findings(&signatures) {
            println!("{}: {} with confidence {}", host.host.address, host.verdict.name(), host.confidence.0);
        }
    }
    Ok(())
}

fn words(observation: &Observation<'_>) -> String {
    let or_nobody = |name: Option<String>| name.unwrap_or_else(|| "nobody by name".to_owned());
    match observation {
        Observation::Dns(message) => {
            let kind = if message.is_response { "answers" } else { "asks" };
            let addresses: Vec<_> = message.addresses.iter().map(|resolved| resolved.address.to_string()).collect();
            format!(
                "dns {kind} {} {}",
                or_nobody(message.question.map(|(name, _)| name.to_string())),
                addresses.join(" ")
            )
        }
        Observation::TlsClientHello(hello) => {
            format!("tls hello to {}", or_nobody(hello.sni.map(|name| name.to_string())))
        }
        Observation::QuicClientHello { version, hello } => {
            format!("quic {} hello to {}", version.name(), or_nobody(hello.sni.map(|name| name.to_string())))
        }
        Observation::TlsCertificate(certificate) => format!("tls certificate of {}", certificate.subject),
        Observation::HttpRequest(request) => {
            let (method, path) = (String::from_utf8_lossy(request.method), String::from_utf8_lossy(request.path));
            format!("http {method} {} {path}", or_nobody(request.host.map(|name| name.to_string())))
        }
        Observation::HttpResponse(response) => {
            format!("http answer {}: {:?}", response.status, String::from_utf8_lossy(response.body))
        }
        Observation::FtpRequest(request) => format!("ftp asks for {}", String::from_utf8_lossy(request.path)),
        Observation::MailHeader(header) => format!("mail from {}", String::from_utf8_lossy(header.greeting)),
        Observation::SyslogOriginator(originator) => {
            let text = originator.device.or(originator.structured_data).unwrap_or_default();
            format!("syslog by {}", String::from_utf8_lossy(text))
        }
        Observation::HttpUpload(piece) => format!("http uploads {} bytes", piece.len()),
        Observation::UnknownStart(start) => format!("begins with {start:02x?}"),
        Observation::ReputationFrames(frames) => format!("speaks in frames of the reputation service: {frames:?}"),
        Observation::ProxyRequest(request) => {
            format!("asks a proxy for {}", or_nobody(request.name.map(ToString::to_string)))
        }
        Observation::PassedOnFor(client) => format!("is passed on for {client}"),
        Observation::BoundReached(bound) => format!("is read no further: {bound:?}"),
        other => format!("{other:?}"),
    }
}
