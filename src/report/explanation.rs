//! How a verdict came about, in plain words: the rules of docs/verdicts.md, as they met one host.

use super::escape::for_terminal;
use super::scan_table::{counted, host_label, wrapped};
use super::spelling::rfc3339;
use kaspector::matching::{
    Confidence, ConnectionOutcome, EvidenceLine, HostFinding, Indicator, Reasoning, Role, SeenAs, SignatureSet,
    Strength, Verdict, judge, reason,
};
use std::io;

/// Pieces of evidence of which it is said what would be without them.
const WITHOUT_MAX: usize = 8;

/// An input that evidence points into.
#[derive(Clone, Debug, Default)]
pub struct ExplainedInput {
    /// Its name; empty when nobody knows.
    pub name: String,
    /// What is counted in it: `packet` of a capture, `line` of a log.
    pub counts: &'static str,
}

/// Writes how the verdict of a host came about, in lines of at most `width` columns. `inputs` are those that its examples stand in.
///
/// # Errors
/// When `out` fails.
pub fn write_explanation(
    out: &mut impl io::Write,
    finding: &HostFinding,
    inputs: &[ExplainedInput],
    signatures: &SignatureSet,
    width: usize,
) -> io::Result<()> {
    let strength_of = |indicator| signatures.get(indicator).strength;
    let Some(reasoning) = reason(&finding.evidence, strength_of) else { return Ok(()) };
    let (verdict, sure) = (finding.verdict.name(), finding.confidence.0);
    writeln!(out, "{}: {verdict}, {sure} % sure that it runs the software", host_label(finding))?;
    for note in &finding.notes {
        indented(out, "  ", &format!("Note: {}", for_terminal(note)), width)?;
    }
    writeln!(out, "\nEvidence, what supports most first")?;
    for ((number, line), of_line) in (1..).zip(&finding.evidence).zip(&reasoning.lines) {
        let indicator = signatures.get(line.indicator);
        let observed = for_terminal(&line.observed);
        writeln!(out, "{number:>3}  {} {} {observed}", indicator.id, line.field.name())?;
        for text in about_line(line, *of_line, indicator, inputs) {
            indented(out, "     ", &text, width)?;
        }
        let told = (1..).zip(&finding.evidence).find(|(_, earlier)| earlier.indicator == line.indicator);
        let told = told.map(|(earlier, _)| earlier).filter(|&earlier| earlier < number);
        for text in about_source(indicator, told) {
            indented(out, "     ", &text, width)?;
        }
    }
    writeln!(out, "\nVerdict: {verdict}")?;
    indented(out, "  ", &about_verdict(finding, signatures), width)?;
    writeln!(out, "\nConfidence: {sure} %")?;
    for part in &reasoning.contributions {
        let further = match part.further {
            0 => String::new(),
            count => format!(", and a tenth of the doubt less for each of {}", counted(count, "further indicator")),
        };
        indented(out, "  ", &format!("{}: {} % by its best evidence{further}", part.kind, part.weight), width)?;
    }
    indented(out, "  ", &about_confidence(&reasoning), width)?;
    writeln!(out, "\nRole: {}", finding.role.name())?;
    indented(out, "  ", about_role(finding.role), width)?;
    writeln!(out, "\nWhat would have changed it")?;
    for text in alternatives(finding, signatures) {
        indented(out, "  ", &text, width)?;
    }
    Ok(())
}

/// A text in lines that begin so.
fn indented(out: &mut impl io::Write, indent: &str, text: &str, width: usize) -> io::Result<()> {
    wrapped(text, width.saturating_sub(indent.len())).lines().try_for_each(|line| writeln!(out, "{indent}{line}"))
}

/// All that is known of a piece of evidence.
fn about_line(
    line: &EvidenceLine,
    (verdict, weight, kind): (Verdict, u32, &str),
    indicator: &Indicator,
    inputs: &[ExplainedInput],
) -> Vec<String> {
    let closeness = match line.seen_as {
        SeenAs::Contact => "contact: the host talked to it, or asked a proxy to",
        SeenAs::Lookup => "lookup: the name was asked for or answered in DNS, no more",
        SeenAs::Hint => "hint: other software shows this, too",
    };
    let strength = match indicator.strength {
        Strength::Installed => "only the product or an embedded engine does this",
        Strength::Ambiguous => "products, browsers and administrators may all do this",
        Strength::Browse => "a person or a web page does this; it shows no product",
    };
    let is_lookup = line.seen_as == SeenAs::Lookup;
    let reached = match line.connection_outcome {
        ConnectionOutcome::Attempted => "nobody answered, as far as was seen",
        ConnectionOutcome::Established if is_lookup => "the answer had no address",
        ConnectionOutcome::Refused if is_lookup => "the answer was an error, or an address that leads nowhere",
        ConnectionOutcome::DataExchanged if is_lookup => "it was answered",
        ConnectionOutcome::Established => "a connection came about",
        ConnectionOutcome::Refused => "it was refused",
        ConnectionOutcome::DataExchanged => "data went both ways",
    };
    let mut texts = vec![
        format!("matches {} {} ({})", indicator.kind.name(), for_terminal(&indicator.value), indicator.category.name()),
        format!("strength {}: {strength}", indicator.strength.name()),
        format!("seen as {closeness}; {reached}"),
    ];
    if line.relayed {
        texts.push("relayed: it did this for somebody else".to_owned());
    }
    texts.push(format!("supports {verdict} by itself, and is worth {weight} % as {kind}", verdict = verdict.name()));
    let times = if line.count == 1 {
        rfc3339(line.first_seen)
    } else {
        format!("{} times, {} to {}", line.count, rfc3339(line.first_seen), rfc3339(line.last_seen))
    };
    texts.push(format!("{times}; server {}, port {}", line.server, line.server_port));
    let input = usize::try_from(line.example.input).ok().and_then(|at| inputs.get(at));
    if let Some(ExplainedInput { name, counts }) = input.filter(|input| !input.name.is_empty()) {
        texts.push(format!("{counts} {} of {}", line.example.packet, for_terminal(name)));
    }
    texts
}

/// What is known of an indicator, unless that was told before.
fn about_source(indicator: &Indicator, told: Option<usize>) -> Vec<String> {
    if let Some(earlier) = told {
        return vec![format!("source as of evidence {earlier}")];
    }
    let era = if indicator.era.is_empty() { String::new() } else { format!(", era {}", indicator.era) };
    let sources = for_terminal(&indicator.sources.join(" ")).into_owned();
    let mut texts = vec![format!("source, checked {}{era}: {sources}", indicator.date)];
    if !indicator.note.is_empty() {
        texts.push(format!("note: {}", for_terminal(&indicator.note)));
    }
    texts
}

fn about_verdict(finding: &HostFinding, signatures: &SignatureSet) -> String {
    let strongest = (1..).zip(&finding.evidence).find(|(_, line)| {
        let strength = signatures.get(line.indicator).strength;
        Verdict::of(strength, line.seen_as, line.relayed) == finding.verdict
    });
    let Some((number, line)) = strongest else { return String::new() };
    let strength = signatures.get(line.indicator).strength.name();
    let relayed = if line.relayed { ", though for somebody else, which never supports more" } else { "" };
    format!(
        "The strongest that any evidence supports counts. Of evidence {number}, an indicator of strength {strength} was seen as {}{relayed}: \
         that is {}.",
        line.seen_as.name(),
        finding.verdict.name()
    )
}

fn about_confidence(reasoning: &Reasoning) -> String {
    let Reasoning { verdict, ceiling, confidence: Confidence(sure), .. } = reasoning;
    format!(
        "Kinds are independent, so their doubts multiply, and {} % of doubt is left, rounded up. Repetition adds nothing. What is {} may \
         claim {ceiling} % at most.",
        100 - u32::from(*sure),
        verdict.name()
    )
}

const fn about_role(role: Role) -> &'static str {
    match role {
        Role::Relay => {
            "All of its evidence is relayed: it was asked by others, or said itself that it asks for them. Look for those."
        }
        Role::Server => {
            "Others had a contact with it as a server that came about, or all of its evidence is that of a server."
        }
        Role::Gateway => "A mail that it sent bears a header field of its own.",
        _ => "It did at least some of this for itself, and others were not seen to use it as a server or mail gateway.",
    }
}

/// What verdict and confidence would be if something were otherwise; as the rules say, not as anybody guesses.
fn alternatives(finding: &HostFinding, signatures: &SignatureSet) -> Vec<String> {
    let strength_of = |indicator| signatures.get(indicator).strength;
    let is = (finding.verdict, finding.confidence);
    let evidence = &finding.evidence;
    let judged = |lines: &[EvidenceLine]| judge(lines, strength_of);
    let said = |would: Option<(Verdict, Confidence)>| match would {
        Some((verdict, Confidence(sure))) => format!("{}, {sure} %", verdict.name()),
        None => "not listed at all".to_owned(),
    };
    let with = |change: &dyn Fn(&mut EvidenceLine)| {
        let mut lines = evidence.clone();
        lines.iter_mut().for_each(change);
        judged(&lines)
    };
    let mut texts = Vec::new();
    let without = (0..evidence.len()).filter_map(|number| {
        let lines: Vec<_> = (0..).zip(evidence).filter(|(at, _)| *at != number).map(|(_, line)| line.clone()).collect();
        let would = judged(&lines);
        (would != Some(is)).then(|| format!("Without evidence {}: {}.", number + 1, said(would)))
    });
    texts.extend(without.take(WITHOUT_MAX));
    if texts.is_empty() {
        texts.push("Without any single piece of evidence: the same, since others say as much.".to_owned());
    }
    if evidence.iter().all(|line| line.relayed) {
        let own = with(&|line| line.relayed = false);
        texts.push(format!("Had nobody else asked it for this: {}.", said(own)));
    } else {
        let relayed = with(&|line| line.relayed = true);
        texts.push(format!("Had others asked it for all of this, as a resolver or proxy: {}, a relay.", said(relayed)));
    }
    let is_looked_up = |line: &EvidenceLine| {
        line.seen_as == SeenAs::Lookup && !line.relayed && strength_of(line.indicator) == Strength::Installed
    };
    if finding.verdict != Verdict::Confirmed {
        texts.push(if evidence.iter().any(is_looked_up) {
            let contacted = with(&|line| {
                if is_looked_up(line) {
                    line.seen_as = SeenAs::Contact;
                }
            });
            format!("Had it been seen to contact what it looked up: {} or more.", said(contacted))
        } else {
            "An indicator of strength installed, seen as contact and not for others, makes it confirmed.".to_owned()
        });
    }
    texts.push("Evidence of one more kind lessens the doubt; more of the same indicator and kind does not.".to_owned());
    texts
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::samples;
    use kaspector::matching::{HostRecord, LINES_MAX};

    #[test]
    fn what_is_said_is_what_the_rules_say() {
        let signatures = SignatureSet::builtin();
        let mut record = HostRecord::default();
        let mut alert = samples::tls();
        record.add(&alert, 0, LINES_MAX, &signatures);
        alert.seen_as = SeenAs::Lookup;
        alert.field = kaspector::matching::Field::DnsQuery;
        alert.observed = "\u{1b}[2Jx".into();
        record.add(&alert, 0, LINES_MAX, &signatures);
        let finding = record.finding(alert.host(), &signatures).unwrap();
        let mut text = Vec::new();
        write_explanation(
            &mut text,
            &finding,
            &[ExplainedInput { name: "a.pcap".to_owned(), counts: "packet" }],
            &signatures,
            400,
        )
        .unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(!text.contains('\u{1b}'));
        for part in [
            ": confirmed, 95 % sure",
            "Of evidence 1, an indicator of strength installed was seen as contact",
            "  server name: 90 % by its best evidence\n",
            "  DNS: 50 % by its best evidence\n",
            "  Without evidence 1: suspected, 50 %.\n",
            "  Without evidence 2: confirmed, 90 %.\n",
            " of a.pcap\n",
            "asked it for all of this, as a resolver or proxy: suspected, 9 %, a relay.",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }
}
