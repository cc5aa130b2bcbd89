//! All hosts as they were at one moment, for who lists a few of them.

use crate::web::{HostBrief, HostList};
use kaspector::matching::{HostFinding, HostKey, HostRecord, NextHops, SignatureSet, Verdict};
use std::borrow::Cow;
use std::cmp::Reverse;
use std::sync::{Arc, OnceLock};

/// A host, what it is known to add up to, and its records.
type One = (HostKey, Option<Verdict>, Box<[Arc<HostRecord>]>);

/// The hosts. Their records are shared with those who go on with them, so that nothing is copied before it changes.
#[derive(Debug, Default)]
pub struct Listed {
    hosts: Vec<One>,
    /// What all of them together show of the routers on the way; found when it is asked for.
    hops: OnceLock<NextHops>,
}

impl FromIterator<One> for Listed {
    fn from_iter<T: IntoIterator<Item = One>>(hosts: T) -> Self {
        Self { hosts: hosts.into_iter().collect(), hops: OnceLock::new() }
    }
}

impl HostList for Listed {
    fn briefs(&self, signatures: &SignatureSet) -> Vec<HostBrief> {
        let brief = |(at, (host, verdict, records)): (usize, &One)| {
            // Without evidence there is nothing to weigh.
            (*verdict)?;
            let record = merged(records, signatures)?;
            let (verdict, Reverse(confidence), ..) = record.standing(signatures)?;
            Some(HostBrief {
                at,
                host: *host,
                verdict,
                confidence,
                role: record.role(),
                first_seen: record.first_seen(),
                last_seen: record.last_seen(),
                bytes: record.bytes(),
            })
        };
        let mut briefs: Vec<HostBrief> = self.hosts.iter().enumerate().filter_map(brief).collect();
        briefs.sort_unstable_by_key(|brief| (brief.verdict, brief.host));
        briefs
    }

    fn finding(&self, at: usize, signatures: &SignatureSet) -> Option<HostFinding> {
        let (host, _, records) = self.hosts.get(at)?;
        merged(records, signatures)?.finding_among(*host, signatures, self.hops())
    }
}

impl Listed {
    fn hops(&self) -> &NextHops {
        self.hops.get_or_init(|| {
            let links = |(host, _, records): &One| {
                let host = *host;
                let links: Vec<_> = records.iter().flat_map(|record| record.link_addresses()).collect();
                links.into_iter().map(move |link| (host, link))
            };
            NextHops::among(self.hosts.iter().flat_map(links))
        })
    }
}

/// All records of a host as one.
fn merged<'a>(records: &'a [Arc<HostRecord>], signatures: &SignatureSet) -> Option<Cow<'a, HostRecord>> {
    let (first, later) = records.split_first()?;
    let first = Cow::Borrowed(&**first);
    Some(later.iter().fold(first, |mut earlier, later| {
        earlier.to_mut().merge(HostRecord::clone(later), signatures);
        earlier
    }))
}
