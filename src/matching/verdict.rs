//! The verdict of a host, and how sure it is, by one published rule.

/// What a host's evidence adds up to; stronger verdicts sort first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// At least one `installed` indicator seen as contact.
    Confirmed,
    /// `installed` seen only as lookup, `ambiguous` at any closeness, or hints alone.
    Suspected,
    /// Only `browse` indicators: a person read a web page. Not a product.
    Browsing,
}

impl Verdict {
    /// The name used in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Suspected => "suspected",
            Self::Browsing => "browsing",
        }
    }
}

/// How sure, from 0 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Confidence(pub u8);

/// What a host is to the traffic that named it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Runs the software.
    Endpoint,
    /// Asks on behalf of others: a resolver, a forward proxy.
    Relay,
    /// Others connect to it: a KSC, a KSN proxy, an update mirror.
    Server,
    /// Mail gateway.
    Gateway,
}

impl Role {
    /// The name used in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Endpoint => "endpoint",
            Self::Relay => "relay",
            Self::Server => "server",
            Self::Gateway => "gateway",
        }
    }
}
