//! What the header of a mail message says of the host that hands it over.

use super::found::{Found, Place};
use super::{Application, EventKind, Field, IndicatorIndex, SeenAs, SignatureSet};
use crate::inspect::{AddedBy, MailHeader};

/// Indicators that one message may match; a gateway writes a dozen fields into each.
const INDICATORS_MAX: usize = 8;

/// Fields that the sending host added make it a gateway. Those that came along from elsewhere say nothing of it.
pub(super) fn header(
    signatures: &SignatureSet,
    header: &MailHeader<'_>,
    place: &Place<'_>,
    emit: &mut impl FnMut(EventKind),
) {
    let mut found: [Option<IndicatorIndex>; INDICATORS_MAX] = [None; INDICATORS_MAX];
    for (line, by) in header.added_by_client() {
        let Some(indicator) = signatures.match_mail_header(line).filter(|&one| !found.contains(&Some(one))) else {
            continue;
        };
        let Some(room) = found.iter_mut().find(|one| one.is_none()) else { break };
        *room = Some(indicator);
        let seen_as = match by {
            AddedBy::Client => SeenAs::Contact,
            AddedBy::ClientOrAuthor => SeenAs::Hint,
        };
        let observed = String::from_utf8_lossy(line);
        emit(Found::new(indicator, seen_as, Field::MailHeader, &observed).alert(place, Application::Unknown));
    }
}
