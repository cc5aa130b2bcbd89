//! Community IDs of the flows that show evidence.

use kaspector::matching::{Alert, FlowSummary};
use kaspector_report::community_id;
use kaspector_report::compliance::EvidencePlace;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Flows that are kept; evidence in others has no Community ID.
const FLOWS_MAX: usize = 1 << 19;

/// Flows by where they show evidence.
#[derive(Debug, Default)]
pub struct CommunityIds(Mutex<Flows>);

#[derive(Debug, Default)]
struct Flows {
    /// Inputs that were taken: they come in the order of the report's rows.
    inputs: u32,
    by_place: HashMap<EvidencePlace, FlowSummary>,
}

impl CommunityIds {
    /// Takes the alerts of the next input.
    pub fn take(&self, alerts: &[Alert]) {
        let mut flows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let input = flows.inputs;
        for alert in alerts {
            if flows.by_place.len() >= FLOWS_MAX {
                break;
            }
            flows.by_place.entry((input, alert.packet, alert.indicator, alert.field)).or_insert(alert.flow);
        }
        flows.inputs += 1;
    }

    /// As text.
    pub fn into_texts(self) -> HashMap<EvidencePlace, String> {
        let flows = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        let text = |flow: FlowSummary| {
            community_id(flow.client, flow.server, flow.client_port, flow.server_port, flow.protocol)
        };
        flows.by_place.into_iter().map(|(place, flow)| (place, text(flow))).collect()
    }
}
