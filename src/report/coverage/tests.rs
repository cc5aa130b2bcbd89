#![allow(clippy::unwrap_used)]

use super::*;
use crate::samples;

#[test]
fn times_are_rounded_down_and_shares_up() {
    let of = |seconds| hours(Duration::from_secs(seconds));
    assert_eq!([of(0), of(3_600), of(86_399), of(86_400)], ["0", "1", "23.9", "24"]);
    assert_eq!([share(0, 0), share(1, 2), share(1, 3), share(1, 100_000)], ["0 %", "50 %", "33.4 %", "0.1 %"]);
}

#[test]
fn a_report_of_confirmed_hosts_is_found_and_says_what_there_may_be() {
    let coverage = samples::report().coverage();
    assert_eq!(coverage.verdict, RunVerdict::Found);
    assert_eq!(coverage.hosts, HostCounts { confirmed: 1, suspected: 1, browsing: 1, excepted: 0 });
    let ids: Vec<_> = coverage.missing.iter().map(|missing| missing.id).collect();
    assert_eq!(ids, ["suspects", "machines", "window"]);
    assert!(coverage.sentence().starts_with("Verdict of the whole: found, 1 host confirmed. There may be more: "));
    assert_eq!(coverage.advice(), None);
}

#[test]
fn an_excepted_host_is_found_but_may_be_left_out_of_account() {
    let mut report = samples::report();
    let text = "[[exception]]\naddress = '10.20.0.5'\nreason = 'x'\nuntil = 2027-01-01";
    report.set_site(std::sync::Arc::new(crate::Site::from_toml(text, "s").unwrap()));
    assert_eq!(report.coverage().verdict, RunVerdict::Found);
    assert_eq!(report.coverage_beyond_exceptions().verdict, RunVerdict::Inconclusive);
}
