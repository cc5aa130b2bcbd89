//! What real programs say of who they are (`pcaps/names.pcap`, made by `pcaps/make/names.sh`) is what Wireshark reads there.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use kaspector::capture::CaptureFile;
use kaspector::matching::SignatureSet;
use kaspector::pipeline::Detector;
use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Arc;

const CAPTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/pcaps/names.pcap");

/// What a machine is called: its address, the source, what it is, and the text.
type Said = (String, String, String, String);

fn ours() -> BTreeSet<Said> {
    let signatures = Arc::new(SignatureSet::builtin());
    let mut detector = Detector::new(&signatures);
    for block in CaptureFile::open(CAPTURE).unwrap().blocks() {
        detector.feed_block(block.unwrap().view(), |_| true);
    }
    let mut said = BTreeSet::new();
    for machine in detector.finish().machines() {
        let address = machine.addresses[0].address.to_string();
        for label in machine.labels {
            let (source, kind) = (label.source.name().to_owned(), label.kind.name().to_owned());
            said.insert((address.clone(), source, kind, label.text.to_string()));
        }
    }
    said
}

/// The machines of the capture, by what packets name them by.
const CLIENT: &str = "10.20.0.100";
const CLIENT_LINK: &str = "02:4e:00:00:00:02";

/// What Wireshark reads: in packets that a filter chooses, fields that say something of the machine that the first field names.
struct Oracle {
    filter: &'static str,
    whose: &'static str,
    source: &'static str,
    fields: &'static [(&'static str, &'static str)],
}

const ORACLES: [Oracle; 8] = [
    Oracle {
        filter: "dhcp.option.dhcp in {1, 3, 5}",
        whose: "dhcp.hw.mac_addr",
        source: "dhcp",
        fields: &[
            ("dhcp.option.hostname", "name"),
            ("dhcp.fqdn.name", "name"),
            ("dhcp.option.domain_name", "domain"),
            ("dhcp.option.vendor_class_id", "device"),
        ],
    },
    // Registrations; a name of a group is that of a workgroup or domain.
    Oracle {
        filter: "nbns.flags.opcode == 5 && nbns.nb_flags.group == 0",
        whose: "ip.src",
        source: "netbios",
        fields: &[("nbns.name", "name")],
    },
    Oracle {
        filter: "nbns.flags.opcode == 5 && nbns.nb_flags.group == 1",
        whose: "ip.src",
        source: "netbios",
        fields: &[("nbns.name", "domain")],
    },
    Oracle {
        filter: "browser.command == 1",
        whose: "ip.src",
        source: "netbios",
        fields: &[("browser.server", "name"), ("browser.comment", "device")],
    },
    Oracle {
        filter: "ntlmssp.messagetype == 3",
        whose: "ip.src",
        source: "ntlm",
        fields: &[
            ("ntlmssp.auth.hostname", "name"),
            ("ntlmssp.auth.username", "user"),
            ("ntlmssp.auth.domain", "domain"),
        ],
    },
    Oracle {
        filter: "ntlmssp.messagetype == 2",
        whose: "ip.src",
        source: "ntlm",
        fields: &[
            ("ntlmssp.challenge.target_info.nb_computer_name", "name"),
            ("ntlmssp.challenge.target_info.dns_computer_name", "name"),
            ("ntlmssp.challenge.target_info.nb_domain_name", "domain"),
            ("ntlmssp.challenge.target_info.dns_domain_name", "domain"),
        ],
    },
    Oracle {
        filter: "kerberos.msg_type == 10",
        whose: "ip.src",
        source: "kerberos",
        fields: &[("kerberos.CNameString", "user"), ("kerberos.realm", "domain")],
    },
    Oracle {
        filter: "kerberos.msg_type == 11 || kerberos.msg_type == 13",
        whose: "ip.dst",
        source: "kerberos",
        fields: &[("kerberos.CNameString", "user"), ("kerberos.crealm", "domain")],
    },
];

/// What stands on one side only, and why.
const WIRESHARK_ALONE: [(&str, &str, &str, &str); 1] =
    // A server that is in no domain gives its own name in place of one.
    [("10.20.0.2", "ntlm", "domain", "FILESRV")];
const OURS_ALONE: [(&str, &str, &str, &str); 4] = [
    // Put together of numbers: version of the operating system, and flags that say which it is.
    ("10.20.0.2", "netbios", "system", "Unix, as Windows NT 6.1"),
    ("10.20.0.2", "ntlm", "system", "Windows NT 6.1.0"),
    (CLIENT, "ntlm", "system", "Windows NT 6.1.0"),
    // Wireshark does not say which of the names of an answer has the address; it is the one that is no address itself.
    ("10.20.0.2", "mdns", "name", "filesrv.local"),
];

fn owned((address, source, kind, text): (&str, &str, &str, &str)) -> Said {
    (address.to_owned(), source.to_owned(), kind.to_owned(), text.to_owned())
}

/// Lines of fields, separated by tabs, each with its values separated by `|`; `None` where there is no tshark.
fn tshark(filter: &str, fields: &[&str]) -> Option<String> {
    let fields = fields.iter().flat_map(|field| ["-e", field]);
    let output = Command::new("tshark")
        .args(["-r", CAPTURE, "-Y", filter, "-T", "fields", "-E", "aggregator=|"])
        .args(fields)
        .output();
    let Ok(output) = output else {
        assert!(std::env::var_os("CI").is_none(), "this test must run here: install tshark");
        eprintln!("skipped: needs tshark");
        return None;
    };
    assert!(output.status.success(), "{filter}: {}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap())
}

fn of_wireshark(oracle: &Oracle) -> Option<BTreeSet<Said>> {
    let names: Vec<&str> = std::iter::once(oracle.whose).chain(oracle.fields.iter().map(|(field, _)| *field)).collect();
    let text = tshark(oracle.filter, &names)?;
    let mut said = BTreeSet::new();
    for line in text.lines() {
        let mut cells = line.split('\t');
        let whose = cells.next().unwrap();
        let address = if whose == CLIENT_LINK { CLIENT } else { whose };
        for (cell, (field, kind)) in cells.zip(oracle.fields) {
            for value in cell.split('|').filter(|value| !value.is_empty()) {
                // `FILESRV<20> (Server service)`: behind the name stands what it is registered for.
                let value = if *field == "nbns.name" { value.split('<').next().unwrap() } else { value };
                said.insert(owned((address, oracle.source, kind, value)));
            }
        }
    }
    assert!(!said.is_empty(), "{} chooses nothing", oracle.filter);
    Some(said)
}

#[test]
fn names_are_what_wireshark_reads() {
    let mut theirs = BTreeSet::new();
    for oracle in &ORACLES {
        let Some(said) = of_wireshark(oracle) else { return };
        theirs.extend(said);
    }
    let ours = ours();
    let difference =
        |one: &BTreeSet<Said>, other: &BTreeSet<Said>| one.difference(other).cloned().collect::<BTreeSet<_>>();
    assert_eq!(difference(&theirs, &ours), WIRESHARK_ALONE.map(owned).into());
    assert_eq!(difference(&ours, &theirs), OURS_ALONE.map(owned).into());
    // Multicast names, and who answers for them.
    let answers = tshark("mdns && dns.flags.response == 1", &["ip.src", "dns.a", "dns.resp.name"]).unwrap();
    let line = answers.lines().next().unwrap();
    assert!(line.starts_with("10.20.0.2\t10.20.0.2\t") && line.contains("filesrv.local"), "{answers}");
}
