//! What only people know: particulars that rules ask for, and what became of findings.

use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// What rules ask of an organisation: the key in the table `report`, and what a reader sees.
pub const PARTICULARS: [(&str, &str); 24] = [
    ("organisation", "Organisation"),
    ("component", "Component"),
    ("contact_name", "Contact, name"),
    ("contact_phone", "Contact, telephone"),
    ("contact_email", "Contact, e-mail"),
    ("mission_function", "Mission function that the products serve"),
    ("contracts", "Contracts concerned"),
    ("cost", "Cost of removal"),
    ("challenges", "Challenges"),
    ("removal_planned", "Removal planned for"),
    ("removal_done", "Removal done on"),
    ("replacement", "Replacement product"),
    ("replacement_date", "Replacement in place on"),
    (
        "controls",
        "Controls affected (endpoint protection, web filter, mail filter, device management, encryption, other)",
    ),
    ("contract_number", "Contract number"),
    ("order_number", "Order number"),
    ("supplier", "Supplier"),
    ("part_number", "Model or part number"),
    ("mitigation_taken", "Mitigation taken"),
    ("mitigation_advised", "Mitigation advised"),
    ("prevention", "What is done to keep it from coming back"),
    ("completion", "Statement of completion"),
    ("exemption", "Exemption, reference"),
    ("risk_assessment", "Assessment of the risk, and decision"),
];

/// What became of a finding, as somebody says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingState {
    /// Nobody has said anything.
    #[default]
    Open,
    /// Somebody looked at the machine, and it is so.
    Confirmed,
    /// Somebody looked at the machine, and it is not so.
    FalsePositive,
    /// It was so, and is gone.
    Removed,
}

impl FindingState {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Open, Self::Confirmed, Self::FalsePositive, Self::Removed];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Confirmed => "confirmed",
            Self::FalsePositive => "false-positive",
            Self::Removed => "removed",
        }
    }
}

/// What a site file says for a report.
#[derive(Clone, Debug, Default)]
pub struct ForReport {
    /// By key of [`PARTICULARS`].
    pub particulars: BTreeMap<&'static str, String>,
    /// By the finding's identifier: its state, and a note.
    pub findings: HashMap<String, (FindingState, Option<String>)>,
}

impl ForReport {
    /// Whether it says nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.particulars.is_empty() && self.findings.is_empty()
    }
}
