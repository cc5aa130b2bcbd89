//! Readers that few connections need.

use super::speech::Speech;
use crate::inspect::http::ResponseStream;
use crate::inspect::identity::{kerberos, smb, ssh};
use crate::inspect::proxy_protocol::HeaderStream;
use crate::inspect::reputation::FrameStream;
use crate::inspect::{ftp, smtp, syslog, tds};

/// Readers that few connections need.
#[derive(Debug, Default)]
pub struct Further {
    pub responses: ResponseStream,
    pub smtp: smtp::ClientStream,
    pub ftp: ftp::ClientStream,
    pub syslog: syslog::MessageStream,
    pub frames: FrameStream,
    pub proxy: HeaderStream,
    pub tds: tds::PacketStream,
    pub ssh: ssh::GreetingStream,
    pub smb: smb::SessionStream,
    pub kerberos: kerberos::MessageStream,
}

impl Further {
    pub fn clear(&mut self) {
        self.proxy.clear();
        self.tds.clear();
        self.ssh.clear();
        self.smb.clear();
        self.kerberos.clear();
        self.responses.clear();
        self.smtp.clear();
        self.ftp.clear();
        self.syslog.clear();
        self.frames = FrameStream::default();
    }

    /// Bytes that the reader of what is spoken holds; the others are at rest.
    pub fn held_bytes(&self, speech: Speech) -> usize {
        match speech {
            Speech::Responses => self.responses.held_bytes(),
            Speech::Smtp => self.smtp.held_bytes(),
            Speech::Ftp => self.ftp.held_bytes(),
            Speech::Syslog => self.syslog.held_bytes(),
            Speech::ProxyHeader => self.proxy.held_bytes(),
            Speech::Ssh => self.ssh.held_bytes(),
            Speech::Smb => self.smb.held_bytes(),
            Speech::Kerberos => self.kerberos.held_bytes(),
            _ => 0,
        }
    }
}
