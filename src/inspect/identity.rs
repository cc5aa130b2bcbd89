//! What machines say of themselves and of each other, in the protocols that exist for it: names, domains, systems, leases.
//!
//! A statement is what somebody sent, no more: it can be wrong, old or a lie. It names a machine for readers and moves no verdict.

mod cdp;
mod dhcp;
mod dhcp_v6;
pub mod kerberos;
mod lldp;
mod multicast_dns;
mod netbios;
pub mod ntlm;
mod records;
#[cfg(test)]
mod sample;
pub mod smb;
mod snmp;
mod ssdp;
pub mod ssh;
mod text;
mod user_agent;

use crate::decode::MacAddress;
use std::net::IpAddr;
use text::Text;

pub use cdp::{cdp_addresses, read_cdp};
pub use lldp::{lldp_addresses, read_lldp};
pub use multicast_dns::{read_llmnr, read_mdns};
pub use ssh::read_ssh;
pub use user_agent::read_user_agent;

/// Protocols over UDP that exist to say who somebody is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdentityProtocol {
    /// DHCP.
    Dhcp,
    /// DHCP for IPv6.
    DhcpV6,
    /// The name service of NetBIOS.
    NetBiosNames,
    /// The datagram service of NetBIOS.
    NetBiosDatagram,
    /// SSDP.
    Ssdp,
    /// Kerberos.
    Kerberos,
    /// SNMP, versions 1 and 2c.
    Snmp,
}

impl IdentityProtocol {
    /// What its statements have as their source.
    #[must_use]
    pub const fn source(self) -> IdentitySource {
        match self {
            Self::Dhcp => IdentitySource::Dhcp,
            Self::DhcpV6 => IdentitySource::DhcpV6,
            Self::NetBiosNames | Self::NetBiosDatagram => IdentitySource::NetBios,
            Self::Ssdp => IdentitySource::Ssdp,
            Self::Kerberos => IdentitySource::Kerberos,
            Self::Snmp => IdentitySource::Snmp,
        }
    }
}

/// Which of these protocols a datagram belongs to, by its bytes. A datagram of another protocol costs a few comparisons.
///
/// The name service of NetBIOS has the form of DNS: who looks for DNS first takes its messages for that.
#[must_use]
pub fn recognise_identity(datagram: &[u8]) -> Option<IdentityProtocol> {
    match datagram.first()? {
        1 | 2 if dhcp::recognise(datagram) => Some(IdentityProtocol::Dhcp),
        1..=13 if dhcp_v6::recognise(datagram) => Some(IdentityProtocol::DhcpV6),
        0x10..=0x12 if netbios::recognise_datagram_service(datagram) => Some(IdentityProtocol::NetBiosDatagram),
        b'H' | b'M' | b'N' if ssdp::recognise(datagram) => Some(IdentityProtocol::Ssdp),
        0x30 if snmp::recognise(datagram) => Some(IdentityProtocol::Snmp),
        0x6a..=0x6d if kerberos::recognise(datagram) => Some(IdentityProtocol::Kerberos),
        _ if netbios::recognise_name_service(datagram) => Some(IdentityProtocol::NetBiosNames),
        _ => None,
    }
}

/// Reads what a datagram of this protocol says. A datagram that was cut short says no more than the whole one, and other bytes nothing.
pub fn read_identity(protocol: IdentityProtocol, datagram: &[u8], tell: &mut impl FnMut(Statement<'_>)) {
    let teller = &mut Teller { source: protocol.source(), tell };
    match protocol {
        IdentityProtocol::Dhcp => dhcp::read(datagram, teller),
        IdentityProtocol::DhcpV6 => dhcp_v6::read(datagram, teller),
        IdentityProtocol::NetBiosNames => netbios::read_name_service(datagram, teller),
        IdentityProtocol::NetBiosDatagram => netbios::read_datagram_service(datagram, teller),
        IdentityProtocol::Ssdp => ssdp::read(datagram, teller),
        IdentityProtocol::Kerberos => kerberos::read(datagram, teller),
        IdentityProtocol::Snmp => snmp::read(datagram, teller),
    }
}

/// Hands on what one message says.
struct Teller<'t> {
    source: IdentitySource,
    tell: &'t mut dyn FnMut(Statement<'_>),
}

impl Teller<'_> {
    fn say(&mut self, about: Subject, fact: IdentityFact<'_>) {
        (self.tell)(Statement { about, source: self.source, fact });
    }

    /// Says what a text makes of a machine, unless the text is empty.
    fn say_text<'a>(&mut self, about: Subject, fact: fn(&'a str) -> IdentityFact<'a>, text: &'a Text) {
        if !text.as_str().is_empty() {
            self.say(about, fact(text.as_str()));
        }
    }
}

/// One statement about one machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statement<'a> {
    /// Which machine it is about.
    pub about: Subject,
    /// The protocol that it was made in.
    pub source: IdentitySource,
    /// What it says.
    pub fact: IdentityFact<'a>,
}

impl Statement<'_> {
    /// The same in the words of the other side.
    #[must_use]
    pub const fn turned(self) -> Self {
        let about = match self.about {
            Subject::Sender => Subject::Receiver,
            Subject::Receiver => Subject::Sender,
            other => other,
        };
        Self { about, ..self }
    }
}

/// Which machine a statement is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Subject {
    /// Whoever sent it.
    Sender,
    /// Whoever it was sent to.
    Receiver,
    /// The machine that has this address.
    Address(IpAddr),
    /// The machine that has this link-layer address.
    Link(MacAddress),
}

/// What is said of a machine. Texts are as they were sent, at most 255 bytes long, and may hold any character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdentityFact<'a> {
    /// Its name, alone or with its domain.
    HostName(&'a str),
    /// The Windows domain or workgroup, Kerberos realm, or DNS domain that it belongs to.
    Domain(&'a str),
    /// Somebody who uses it.
    User(&'a str),
    /// Its operating system or firmware.
    System(&'a str),
    /// Its maker, model or kind.
    Device(&'a str),
    /// An address that it may use, and for how many seconds from now.
    Lease {
        /// The address.
        address: IpAddr,
        /// Seconds; `u32::MAX` for ever.
        seconds: u32,
    },
}

/// Protocols in which machines say who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum IdentitySource {
    /// DHCP (RFC 2131).
    Dhcp,
    /// DHCP for IPv6 (RFC 8415).
    DhcpV6,
    /// NetBIOS name service, and the browser's announcements (RFC 1001, RFC 1002).
    NetBios,
    /// Multicast DNS (RFC 6762) and DNS-SD (RFC 6763).
    Mdns,
    /// LLMNR (RFC 4795).
    Llmnr,
    /// SSDP of UPnP.
    Ssdp,
    /// Kerberos (RFC 4120).
    Kerberos,
    /// NTLM in SMB or HTTP ([MS-NLMP]).
    Ntlm,
    /// SNMP (RFC 3418: `sysName`, `sysDescr`).
    Snmp,
    /// LLDP (IEEE 802.1AB).
    Lldp,
    /// Cisco Discovery Protocol.
    Cdp,
    /// The certificate that a TLS server showed.
    TlsCertificate,
    /// How an SSH server or client presents itself (RFC 4253 section 4.2).
    Ssh,
    /// A `User-Agent` in HTTP.
    UserAgent,
}

impl IdentitySource {
    /// All, those first whose names say most of a machine of which several are known.
    pub const ALL: [Self; 14] = [
        Self::Dhcp,
        Self::DhcpV6,
        Self::Kerberos,
        Self::Ntlm,
        Self::NetBios,
        Self::Mdns,
        Self::Llmnr,
        Self::Lldp,
        Self::Cdp,
        Self::Snmp,
        Self::TlsCertificate,
        Self::Ssh,
        Self::Ssdp,
        Self::UserAgent,
    ];

    /// Its place in [`Self::ALL`].
    #[must_use]
    pub fn rank(self) -> usize {
        Self::ALL.iter().position(|&source| source == self).unwrap_or(Self::ALL.len())
    }

    /// The one with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.name() == name)
    }

    /// Its name in answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dhcp => "dhcp",
            Self::DhcpV6 => "dhcpv6",
            Self::NetBios => "netbios",
            Self::Mdns => "mdns",
            Self::Llmnr => "llmnr",
            Self::Ssdp => "ssdp",
            Self::Kerberos => "kerberos",
            Self::Ntlm => "ntlm",
            Self::Snmp => "snmp",
            Self::Lldp => "lldp",
            Self::Cdp => "cdp",
            Self::TlsCertificate => "tls-certificate",
            Self::Ssh => "ssh",
            Self::UserAgent => "user-agent",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn arbitrary_bytes_are_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            if let Some(protocol) = recognise_identity(&bytes) {
                read_identity(protocol, &bytes, &mut |_| {});
            }
        }
    }

    #[test]
    fn each_source_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<_> = IdentitySource::ALL.map(IdentitySource::name).into();
        assert_eq!(names.len(), IdentitySource::ALL.len());
    }
}
