//! Products that indicators may name: the vendor's own, and those of others with the engine inside.

use serde::Serialize;

/// What a product is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ProductKind {
    /// Several products that the sources do not tell apart.
    Family,
    /// On the machine of a person.
    Endpoint,
    /// On a server, for the server.
    Server,
    /// In the way of mail.
    Mail,
    /// In the way of other traffic, or beside it.
    Network,
    /// An engine for other programs.
    Engine,
    /// Manages others, or serves them.
    Management,
    /// A service of the vendor's.
    Service,
    /// Another vendor's, with the engine inside.
    OtherVendor,
}

impl ProductKind {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Family,
        Self::Endpoint,
        Self::Server,
        Self::Mail,
        Self::Network,
        Self::Engine,
        Self::Management,
        Self::Service,
        Self::OtherVendor,
    ];

    /// The name used in signature files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Family => "family",
            Self::Endpoint => "endpoint",
            Self::Server => "server",
            Self::Mail => "mail",
            Self::Network => "network",
            Self::Engine => "engine",
            Self::Management => "management",
            Self::Service => "service",
            Self::OtherVendor => "other-vendor",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// A product that indicators may name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Product {
    /// Short and lasting: `kes-windows`.
    pub id: String,
    /// As people read it.
    pub name: String,
    /// What it is.
    pub kind: ProductKind,
}
