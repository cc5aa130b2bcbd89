//! The rules that a report serves, and which findings each is about.
//!
//! A rule binds those whom it names; whether that is this organisation, no traffic says. What can be said is whether a finding is of the
//! kind that the rule is about, and why.

use super::product::Embedding;
use kaspector::matching::{Category, Role, Verdict};
use serde::Serialize;

/// A rule about the vendor's products.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(into = "&'static str")]
pub enum Regime {
    /// US Binding Operational Directive 17-01.
    UsDirective1701,
    /// US FAR 52.204-23, which carries out NDAA 2018 section 1634.
    UsFar,
    /// US Final Determination of the Department of Commerce, 2024.
    UsCommerce2024,
    /// Canada's decision of 2023 about government mobile devices.
    Canada2023,
    /// Australia's PSPF Direction 002-2025.
    Australia2025,
    /// The warning of Germany's BSI of 2022.
    Germany2022,
}

impl From<Regime> for &'static str {
    fn from(regime: Regime) -> Self {
        regime.id()
    }
}

impl Regime {
    /// All of them, in the order of a report.
    pub const ALL: [Self; 6] = [
        Self::UsDirective1701,
        Self::UsFar,
        Self::UsCommerce2024,
        Self::Canada2023,
        Self::Australia2025,
        Self::Germany2022,
    ];

    /// The name used in JSON.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::UsDirective1701 => "us-bod-17-01",
            Self::UsFar => "us-far-52.204-23",
            Self::UsCommerce2024 => "us-commerce-2024",
            Self::Canada2023 => "ca-mobile-2023",
            Self::Australia2025 => "au-pspf-002-2025",
            Self::Germany2022 => "de-bsi-2022",
        }
    }

    /// In a table's column.
    #[must_use]
    pub const fn short(self) -> &'static str {
        match self {
            Self::UsDirective1701 => "17-01",
            Self::UsFar => "FAR",
            Self::UsCommerce2024 => "Commerce",
            Self::Canada2023 => "Canada",
            Self::Australia2025 => "PSPF",
            Self::Germany2022 => "BSI",
        }
    }

    /// As a heading.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::UsDirective1701 => "United States: Binding Operational Directive 17-01 (2017)",
            Self::UsFar => "United States: FAR 52.204-23 and NDAA 2018 section 1634",
            Self::UsCommerce2024 => "United States: Final Determination of the Department of Commerce (2024)",
            Self::Canada2023 => "Canada: government mobile devices (2023)",
            Self::Australia2025 => "Australia: PSPF Direction 002-2025",
            Self::Germany2022 => "Germany: warning of the BSI (2022)",
        }
    }

    /// Whom it is about, and what.
    #[must_use]
    pub const fn about(self) -> &'static str {
        match self {
            Self::UsDirective1701 => {
                "Federal agencies identify the vendor's branded products within 30 days, plan their removal within 60, begin it within 90, \
                 and report progress every 30 days until none is left. Code inside other vendors' products, threat intelligence and \
                 training are left out."
            }
            Self::UsFar => {
                "Contractors report hardware, software and services that the vendor made in whole or in part, when they find them in what \
                 they deliver or use under a contract: within 3 business days, and the rest within 10 more."
            }
            Self::UsCommerce2024 => {
                "The vendor may not provide antivirus and cybersecurity software in the United States or to US persons, nor updates and \
                 network service since 29 September 2024; software of others that has it inside is included. Threat intelligence, training \
                 and advice are not. What is installed keeps calling: that it was not answered shows nothing about its removal."
            }
            Self::Canada2023 => {
                "The vendor's applications were removed from, and blocked on, government-issued mobile devices."
            }
            Self::Australia2025 => {
                "Government entities prevent the installation of the vendor's products and web services, remove those that are there, \
                 and report when that is done. Exemptions are for national security functions, with mitigations."
            }
            Self::Germany2022 => {
                "The BSI warned of the vendor's antivirus software and advised to replace it. It is a warning and forbids nothing."
            }
        }
    }
}

/// Whether a finding is of the kind that a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum InScope {
    /// It is.
    Yes,
    /// It is not.
    No,
    /// Somebody has to look.
    Review,
}

impl InScope {
    /// The name used in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::Review => "review",
        }
    }
}

/// What a finding is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// Software on the endpoint.
    Software,
    /// A portal or feed of threat intelligence.
    ThreatIntelligence,
    /// Courses. Traffic does not tell them from other web pages, so no finding is of this kind by itself.
    Training,
    /// Somebody, or a page, opened web pages of the vendor.
    WebBrowsing,
}

impl FindingKind {
    /// The name used in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Software => "software",
            Self::ThreatIntelligence => "threat-intelligence",
            Self::Training => "training",
            Self::WebBrowsing => "web-browsing",
        }
    }
}

/// Why a finding is in scope of a rule, or is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The vendor's own product.
    VendorProduct,
    /// The vendor's code in another vendor's product, where the rule says so.
    InPart,
    /// The same, for the determination.
    Integrated,
    /// A service of the vendor.
    Service,
    /// The warning is about it.
    Warned,
    /// Code inside other vendors' products is left out.
    EmbeddedLeftOut,
    /// Threat intelligence and training are left out.
    AdviceLeftOut,
    /// Web pages were opened, no more.
    Browsing,
    /// The rule is about mobile devices.
    NotMobile,
    /// A mobile product.
    Mobile,
    /// The rule does not speak of code inside other products.
    EmbeddedUnsaid,
    /// The rule names web services.
    WebService,
    /// The rule does not speak of threat intelligence.
    AdviceUnsaid,
    /// Whose product it is does not show.
    ProductUnknown,
    /// Only suspected.
    Suspected,
    /// It acts for others.
    Relay,
}

impl Reason {
    /// All of them, in the order of the legend.
    pub const ALL: [Self; 16] = [
        Self::VendorProduct,
        Self::InPart,
        Self::Integrated,
        Self::Service,
        Self::Warned,
        Self::EmbeddedLeftOut,
        Self::AdviceLeftOut,
        Self::Browsing,
        Self::NotMobile,
        Self::Mobile,
        Self::EmbeddedUnsaid,
        Self::WebService,
        Self::AdviceUnsaid,
        Self::ProductUnknown,
        Self::Suspected,
        Self::Relay,
    ];

    /// Its number in the legend, from 1.
    #[must_use]
    pub const fn number(self) -> usize {
        self as usize + 1
    }

    /// In words.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::VendorProduct => "a product of the vendor was in contact with its service",
            Self::InPart => "the rule takes what the vendor made in whole or in part, inside products of others, too",
            Self::Integrated => "the determination includes the vendor's software inside products of others",
            Self::Service => "the rule takes services of the vendor, too",
            Self::Warned => "the warning is about the vendor's antivirus software; it advises and forbids nothing",
            Self::EmbeddedLeftOut => "the rule leaves out the vendor's code inside products of others",
            Self::AdviceLeftOut => "the rule leaves out threat intelligence, training and advice",
            Self::Browsing => "a person or a page opened web pages of the vendor, which shows no product",
            Self::NotMobile => "the rule is about mobile devices, and nothing shows a mobile product",
            Self::Mobile => "a mobile product; in scope if the device is a government's",
            Self::EmbeddedUnsaid => "the rule does not speak of the vendor's code inside products of others",
            Self::WebService => "the rule names web services; see what the service is used for",
            Self::AdviceUnsaid => "the rule does not speak of threat intelligence",
            Self::ProductUnknown => {
                "the evidence does not say whether the product is the vendor's own or another's with its code inside"
            }
            Self::Suspected => "only suspected; look at the machine first",
            Self::Relay => "it did this for others, as a resolver or proxy does; look for those",
        }
    }
}

/// What the rules ask of a finding.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    pub embedding: Embedding,
    pub kind: FindingKind,
    pub verdict: Verdict,
    pub role: Role,
    pub is_mobile: bool,
}

impl Facts {
    /// What a finding is of, by the services that its evidence belongs to.
    pub fn kind(verdict: Verdict, services: super::endpoint::Services) -> FindingKind {
        if verdict == Verdict::Browsing {
            FindingKind::WebBrowsing
        } else if services.is_only(Category::ThreatIntel) {
            FindingKind::ThreatIntelligence
        } else {
            FindingKind::Software
        }
    }

    /// Whether a rule is about it, and why.
    pub fn scope(&self, regime: Regime) -> (InScope, Reason) {
        let (in_scope, reason) = self.by_kind(regime);
        // What is not in scope stays out, however sure it is.
        match (in_scope, self.role, self.verdict) {
            (InScope::No, ..) => (in_scope, reason),
            (_, Role::Relay, _) => (InScope::Review, Reason::Relay),
            (_, _, Verdict::Suspected) => (InScope::Review, Reason::Suspected),
            _ => (in_scope, reason),
        }
    }

    fn by_kind(&self, regime: Regime) -> (InScope, Reason) {
        use Regime::{Australia2025, Canada2023, Germany2022, UsCommerce2024, UsDirective1701, UsFar};
        match (self.kind, self.embedding, regime) {
            (FindingKind::WebBrowsing, ..) => (InScope::No, Reason::Browsing),
            (FindingKind::ThreatIntelligence | FindingKind::Training, _, regime) => match regime {
                UsDirective1701 | UsCommerce2024 => (InScope::No, Reason::AdviceLeftOut),
                UsFar => (InScope::Yes, Reason::Service),
                Australia2025 => (InScope::Review, Reason::WebService),
                Canada2023 => (InScope::No, Reason::NotMobile),
                Germany2022 => (InScope::Review, Reason::AdviceUnsaid),
            },
            (FindingKind::Software, _, Canada2023) if self.is_mobile => (InScope::Review, Reason::Mobile),
            (FindingKind::Software, Embedding::Unknown, Canada2023) => (InScope::Review, Reason::ProductUnknown),
            (FindingKind::Software, _, Canada2023) => (InScope::No, Reason::NotMobile),
            (FindingKind::Software, Embedding::VendorProduct, Germany2022) => (InScope::Yes, Reason::Warned),
            (FindingKind::Software, Embedding::VendorProduct, _) => (InScope::Yes, Reason::VendorProduct),
            // Whichever it is, made in part it is.
            (FindingKind::Software, _, UsFar) => (InScope::Yes, Reason::InPart),
            (FindingKind::Software, _, UsCommerce2024) => (InScope::Yes, Reason::Integrated),
            (FindingKind::Software, Embedding::EmbeddedInThirdParty, UsDirective1701) => {
                (InScope::No, Reason::EmbeddedLeftOut)
            }
            (FindingKind::Software, Embedding::EmbeddedInThirdParty, Australia2025 | Germany2022) => {
                (InScope::Review, Reason::EmbeddedUnsaid)
            }
            (FindingKind::Software, Embedding::Unknown, _) => (InScope::Review, Reason::ProductUnknown),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scopes(facts: Facts) -> Vec<&'static str> {
        Regime::ALL.iter().map(|&regime| facts.scope(regime).0.name()).collect()
    }

    const FACTS: Facts = Facts {
        embedding: Embedding::VendorProduct,
        kind: FindingKind::Software,
        verdict: Verdict::Confirmed,
        role: Role::Endpoint,
        is_mobile: false,
    };

    #[test]
    fn rules_are_about_different_things() {
        assert_eq!(scopes(FACTS), ["yes", "yes", "yes", "no", "yes", "yes"]);
        let embedded = Facts { embedding: Embedding::EmbeddedInThirdParty, ..FACTS };
        assert_eq!(scopes(embedded), ["no", "yes", "yes", "no", "review", "review"]);
        let unknown = Facts { embedding: Embedding::Unknown, ..FACTS };
        assert_eq!(scopes(unknown), ["review", "yes", "yes", "review", "review", "review"]);
        let advice = Facts { kind: FindingKind::ThreatIntelligence, ..FACTS };
        assert_eq!(scopes(advice), ["no", "yes", "no", "no", "review", "review"]);
        assert_eq!(scopes(Facts { is_mobile: true, ..FACTS })[3], "review");
        assert_eq!(scopes(Facts { kind: FindingKind::WebBrowsing, ..FACTS }), ["no"; 6]);
    }

    #[test]
    fn what_is_only_suspected_or_done_for_others_is_for_somebody_to_look_at() {
        let suspected = Facts { verdict: Verdict::Suspected, ..FACTS };
        assert_eq!(scopes(suspected), ["review", "review", "review", "no", "review", "review"]);
        let relay = Facts { role: Role::Relay, ..suspected };
        assert_eq!(relay.scope(Regime::UsFar), (InScope::Review, Reason::Relay));
    }

    #[test]
    fn reasons_have_the_numbers_of_their_places() {
        for (number, reason) in (1..).zip(Reason::ALL) {
            assert_eq!(reason.number(), number);
        }
    }
}
