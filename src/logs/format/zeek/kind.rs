//! What lines of each log tell, in the words of EVE records.

use super::cell::Cell;
use super::context::{Certificate, Context};
use super::look::flow_number;
use super::{Column, Columns};
use crate::format::Emit;
use crate::reader::Malformed;
use crate::record::{Answer, Dns, Flow, Ftp, Header, Http, Ja3, Quic, Record, Tcp, Text, Tls};
use kaspector::capture::Timestamp;
use std::borrow::Cow;

/// How long before they are needed certificates, and the connections that are QUIC's, are read, by the log's own time.
pub(super) const AHEAD_NS: u64 = 60_000_000_000;
/// Records of one answer that are looked at.
const ANSWERS_MAX: usize = 64;

/// A log of Zeek.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Conn,
    Dns,
    Ssl,
    X509,
    Http,
    Quic,
    Ftp,
}

impl Kind {
    /// By the name that `#path` gives it; `None` for one that is not read.
    pub fn named(path: &str) -> Option<Self> {
        Some(match path {
            "conn" => Self::Conn,
            "dns" => Self::Dns,
            "ssl" => Self::Ssl,
            "x509" => Self::X509,
            "http" => Self::Http,
            "quic" => Self::Quic,
            "ftp" => Self::Ftp,
            _ => return None,
        })
    }

    /// By the columns that a line has.
    pub(super) fn with(has: impl Fn(Column) -> bool) -> Option<Self> {
        if has(Column::ConnState) {
            Some(Self::Conn)
        } else if has(Column::Established) {
            Some(Self::Ssl)
        } else if has(Column::CertificateSubject) {
            Some(Self::X509)
        } else if has(Column::Rd) {
            Some(Self::Dns)
        } else if has(Column::TransDepth) && (has(Column::Uri) || has(Column::Method) || has(Column::StatusCode)) {
            Some(Self::Http)
        } else if has(Column::ClientInitialDcid) {
            Some(Self::Quic)
        } else if has(Column::Command) && (has(Column::Arg) || has(Column::ReplyCode)) {
            Some(Self::Ftp)
        } else {
            None
        }
    }
}

/// Tells what a row says.
pub(super) fn read<'a>(
    kind: Kind,
    row: &impl Columns<'a>,
    separator: char,
    context: &mut Context,
    emit: &mut Emit<'_>,
) -> Result<(), Malformed> {
    let row = Row { row, separator };
    if kind == Kind::X509 {
        row.certificate(context);
        return Ok(());
    }
    let record = row.record()?;
    match kind {
        Kind::Conn => emit(&row.conn(record)),
        Kind::Dns => row.dns(record, emit),
        Kind::Ssl if record.flow_id.is_some_and(|flow| context.is_quic(flow)) => Ok(()),
        Kind::Ssl => emit(&row.ssl(record, context)),
        Kind::Quic => {
            if let Some(flow) = record.flow_id {
                context.add_quic(flow);
            }
            emit(&row.quic(record))
        }
        Kind::Http => emit(&row.http(record)),
        Kind::Ftp => emit(&row.ftp(record)),
        Kind::X509 => Ok(()),
    }
}

struct Row<'r, R> {
    row: &'r R,
    separator: char,
}

impl<'a, R: Columns<'a>> Row<'_, R> {
    fn text(&self, column: Column) -> Option<Text<'a>> {
        Some(Text(self.row.cell(column)?.text()?))
    }

    fn number(&self, column: Column) -> Option<u64> {
        self.row.cell(column)?.number()
    }

    fn list(&self, column: Column) -> impl Iterator<Item = Cell<'a>> {
        self.row.cell(column).map(|cell| cell.elements(self.separator)).unwrap_or_default().into_iter()
    }

    /// What all rows of connections have.
    fn record(&self) -> Result<Record<'a>, Malformed> {
        let at = self.row.cell(Column::Ts).and_then(|cell| cell.time()).ok_or(Malformed::Time)?;
        let address = |column| self.row.cell(column)?.address();
        let port = |column| u16::try_from(self.number(column)?).ok();
        let uid = self.text(Column::Uid);
        Ok(Record {
            at: Some(at),
            flow_id: uid.as_ref().map(|uid| flow_number(uid.as_str().as_bytes())),
            is_flow_id_made: true,
            vlan: [Column::Vlan, Column::InnerVlan].into_iter().filter_map(port).collect(),
            src_ip: Some(address(Column::OrigH).ok_or(Malformed::Addresses)?),
            src_port: Some(port(Column::OrigP).ok_or(Malformed::Addresses)?),
            dest_ip: Some(address(Column::RespH).ok_or(Malformed::Addresses)?),
            dest_port: Some(port(Column::RespP).ok_or(Malformed::Addresses)?),
            // Where it does not stand there it is a log of what runs over TCP.
            proto: Some(match self.text(Column::Proto) {
                None => Text::from("TCP"),
                Some(proto) => match proto.as_str() {
                    "tcp" => Text::from("TCP"),
                    "udp" => Text::from("UDP"),
                    _ => proto,
                },
            }),
            community_id: self.text(Column::CommunityId),
            ..Record::default()
        })
    }

    fn conn(&self, record: Record<'a>) -> Record<'a> {
        let started = record.at.unwrap_or_default();
        let lasted = self.row.cell(Column::Duration).and_then(|cell| cell.nanoseconds()).unwrap_or(0);
        let count = |column| self.number(column).unwrap_or(0);
        let history = self.row.cell(Column::History).and_then(Cell::text).unwrap_or_default();
        let (source, destination) = control_bits(&history);
        let bits = |bits: u8| Some(Text(Cow::Owned(format!("{bits:02x}"))));
        let is_tls =
            self.text(Column::Service).is_some_and(|service| service.as_str().split(',').any(|one| one == "ssl"));
        Record {
            at: Some(Timestamp(started.0.saturating_add(lasted))),
            event_type: Text::from("flow"),
            app_proto: is_tls.then(|| Text::from("tls")),
            flow: Some(Flow {
                pkts_toserver: count(Column::OrigPkts),
                pkts_toclient: count(Column::RespPkts),
                bytes_toserver: count(Column::OrigBytes),
                bytes_toclient: count(Column::RespBytes),
                start: Some(started),
                ..Flow::default()
            }),
            tcp: (!history.is_empty()).then(|| Tcp { tcp_flags_ts: bits(source), tcp_flags_tc: bits(destination) }),
            ..record
        }
    }

    /// A lookup, and its answer where there is one: Zeek tells both in one row.
    fn dns(&self, record: Record<'a>, emit: &mut Emit<'_>) -> Result<(), Malformed> {
        let name = self.text(Column::Query);
        let of_type = self.text(Column::QtypeName);
        let message = |kind: &'static str| Dns {
            kind: Some(Text::from(kind)),
            id: self.number(Column::TransId).and_then(|id| u16::try_from(id).ok()),
            rd: self.row.cell(Column::Rd).and_then(|cell| cell.flag()),
            rrname: name.clone(),
            rrtype: of_type.clone(),
            ..Dns::default()
        };
        let (query, answer) = (message("query"), message("answer"));
        let mut record = Record { event_type: Text::from("dns"), dns: Some(query), ..record };
        emit(&record)?;
        let rcode = self.text(Column::Rcode);
        if rcode.is_none() {
            return Ok(());
        }
        let after = self.row.cell(Column::Rtt).and_then(|cell| cell.nanoseconds()).unwrap_or(0);
        record.at = record.at.map(|at| Timestamp(at.0.saturating_add(after)));
        record.dns = Some(Dns { rcode, answers: self.answers(name, of_type), ..answer });
        emit(&record)
    }

    /// The records of an answer. Zeek tells what each holds, in their order, but not whose each is: an alias leads to those behind it.
    fn answers(&self, name: Option<Text<'a>>, of_type: Option<Text<'a>>) -> Vec<Answer<'a>> {
        let is_lookup =
            of_type.is_some_and(|of_type| matches!(of_type.as_str(), "A" | "AAAA" | "CNAME" | "HTTPS" | "*"));
        let Some(mut owner) = name.filter(|_| is_lookup) else { return Vec::new() };
        let mut ttls =
            self.list(Column::Ttls).map(|ttl| ttl.nanoseconds().and_then(|ns| u32::try_from(ns / 1_000_000_000).ok()));
        let mut answers = Vec::new();
        for data in self.list(Column::Answers).take(ANSWERS_MAX) {
            let ttl = ttls.next().flatten();
            let address = data.address();
            let Some(text) = data.text() else { continue };
            let rrtype = match address {
                Some(address) if address.is_ipv4() => "A",
                Some(_) => "AAAA",
                None if text.contains(' ') => continue,
                None => "CNAME",
            };
            let rdata = Text(text);
            let rrname = Some(owner.clone());
            if address.is_none() {
                owner = rdata.clone();
            }
            answers.push(Answer { rrname, rrtype: Some(Text::from(rrtype)), ttl, rdata: Some(rdata) });
        }
        answers
    }

    fn ssl(&self, record: Record<'a>, context: &Context) -> Record<'a> {
        let is_answered = self.text(Column::Version);
        let version = is_answered.map_or(Text::from("UNDETERMINED"), |version| {
            Text::from(match version.as_str() {
                "SSLv2" => "SSLv2",
                "SSLv3" => "SSLv3",
                "TLSv10" => "TLSv1",
                "TLSv11" => "TLS 1.1",
                "TLSv12" => "TLS 1.2",
                "TLSv13" => "TLS 1.3",
                _ => "other",
            })
        });
        // The server's own certificate is the first of the chain.
        let first = self.list(Column::ChainFps).chain(self.list(Column::ChainFuids)).next().and_then(Cell::text);
        let certificate = first.and_then(|id| context.certificate(&id));
        let own = |column| self.text(column).map(|name| Text(Cow::Owned(spelled(name.as_str()))));
        let owned = |text: &String| Text(Cow::Owned(text.clone()));
        let (subject, issuer, names) = match &certificate {
            Some(known) => {
                let names = known.names.iter().map(owned).collect();
                (Some(owned(&known.subject)), Some(owned(&known.issuer)), Some(names))
            }
            None => (own(Column::Subject), own(Column::Issuer), None),
        };
        let tls = Tls {
            sni: self.text(Column::ServerName),
            version: Some(version),
            subject,
            issuerdn: issuer,
            subjectaltname: names,
            ja3: self.text(Column::Ja3).map(|hash| Ja3 { hash: Some(hash), ..Ja3::default() }),
            ja4: self.text(Column::Ja4),
        };
        Record { event_type: Text::from("tls"), tls: Some(tls), ..record }
    }

    fn certificate(&self, context: &mut Context) {
        let id = self.text(Column::Fingerprint).or_else(|| self.text(Column::CertificateId));
        let (Some(id), Some(subject)) = (id, self.text(Column::CertificateSubject)) else { return };
        let issuer = self.text(Column::CertificateIssuer).map(|issuer| spelled(issuer.as_str())).unwrap_or_default();
        let names = self.list(Column::SanDns).filter_map(|name| Some(name.text()?.into_owned())).collect();
        context
            .add_certificate(id.as_str().to_owned(), Certificate { subject: spelled(subject.as_str()), issuer, names });
    }

    fn quic(&self, record: Record<'a>) -> Record<'a> {
        let quic = Quic { sni: self.text(Column::ServerName), version: self.text(Column::Version), ..Quic::default() };
        Record { event_type: Text::from("quic"), quic: Some(quic), proto: Some(Text::from("UDP")), ..record }
    }

    fn http(&self, record: Record<'a>) -> Record<'a> {
        let text = |cell: Cell<'a>| cell.text().map(Text);
        // As `VIA -> 1.1 proxy.example`.
        let headers = self.list(Column::Proxied).filter_map(|cell| {
            let line = cell.text()?;
            let (name, value) = line.split_once(" -> ")?;
            let owned = |text: &str| Some(Text(Cow::Owned(text.to_owned())));
            Some(Header { name: owned(name), value: owned(value) })
        });
        let http = Http {
            hostname: self.text(Column::Host),
            url: self.text(Column::Uri),
            http_user_agent: self.text(Column::UserAgent),
            http_method: self.text(Column::Method),
            http_content_type: self.list(Column::RespMimeTypes).next().and_then(text),
            status: self.number(Column::StatusCode).and_then(|status| u16::try_from(status).ok()),
            request_headers: headers.collect(),
            ..Http::default()
        };
        let tx_id = self.number(Column::TransDepth);
        Record { event_type: Text::from("http"), http: Some(http), tx_id, ..record }
    }

    fn ftp(&self, record: Record<'a>) -> Record<'a> {
        // As `ftp://198.51.100.10/bases/u0607g.xml`.
        let path = self.row.cell(Column::Arg).and_then(Cell::text).map(|arg| {
            let path = arg.strip_prefix("ftp://").and_then(|rest| rest.get(rest.find('/')?..));
            Text(path.map_or(arg.clone(), |path| Cow::Owned(path.to_owned())))
        });
        let code = self.number(Column::ReplyCode).map(|code| Text(Cow::Owned(code.to_string())));
        let ftp = Ftp {
            command: self.text(Column::Command),
            command_data: path,
            completion_code: code.into_iter().collect(),
        };
        Record { event_type: Text::from("ftp"), ftp: Some(ftp), ..record }
    }
}

/// The control bits that each side sent (RFC 9293 section 3.1), the originator's first, by Zeek's history: letters of the originator are large.
fn control_bits(history: &str) -> (u8, u8) {
    const FIN: u8 = 1;
    const SYN: u8 = 2;
    const RST: u8 = 4;
    const PSH: u8 = 8;
    const ACK: u8 = 16;
    let mut sides = [0, 0];
    for letter in history.bytes() {
        let bits = match letter.to_ascii_uppercase() {
            b'S' => SYN,
            b'H' => SYN | ACK,
            b'A' => ACK,
            b'D' => PSH | ACK,
            b'F' => FIN | ACK,
            b'R' => RST,
            _ => 0,
        };
        let [originator, responder] = &mut sides;
        *(if letter.is_ascii_uppercase() { originator } else { responder }) |= bits;
    }
    let [originator, responder] = sides;
    (originator, responder)
}

/// A name as Suricata spells it, `C=RU, O=AO Kaspersky Lab, CN=a`, of one in the order of RFC 2253, `CN=a,O=AO Kaspersky Lab,C=RU`.
fn spelled(name: &str) -> String {
    let mut attributes = vec![String::new()];
    let mut letters = name.chars();
    while let Some(letter) = letters.next() {
        match (letter, attributes.last_mut()) {
            (',', _) => attributes.push(String::new()),
            ('\\', Some(last)) => last.extend(letters.next()),
            (letter, Some(last)) => last.push(letter),
            (_, None) => {}
        }
    }
    attributes.reverse();
    attributes.join(", ")
}
