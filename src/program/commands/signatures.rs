//! `kaspector signatures`.

use super::answer::AnswerPlace;
use super::{Exit, Usage, complain, holds_nothing, load, of_stdout};
use crate::cli::{ListFormat, SignaturesCommand};
use crate::process::output_file::Claims;
use kaspector::capture::display_path;
use kaspector::matching::{Explanation, Indicator, SignatureSet};
use kaspector_export::{write_indicators_csv, write_indicators_json};
use std::collections::BTreeSet;
use std::io::{self, BufWriter, Write};
use unicode_width::UnicodeWidthStr;

/// Runs one of the commands about signatures.
pub fn run(command: &SignaturesCommand) -> anyhow::Result<Exit> {
    let mut out = BufWriter::new(io::stdout().lock());
    let answered = match command {
        SignaturesCommand::List { format, output, force, signatures } => {
            let set = load(signatures)?;
            let mut claims = Claims::default();
            for folder in [&signatures.replace, &signatures.extra].into_iter().flatten() {
                claims.add_folder(folder, "toml", "a signature file, which is read");
            }
            let place = AnswerPlace::new(output.as_deref(), &claims, *force)?;
            drop(out);
            place.write(|mut out, _| match format {
                ListFormat::Table => list(&mut out, &set),
                ListFormat::Json => write_indicators_json(&mut out, &set),
                ListFormat::Csv => write_indicators_csv(&mut out, set.iter(), &set),
            })?;
            return Ok(Exit::Ran);
        }
        SignaturesCommand::Show { id, signatures } => {
            let set = load(signatures)?;
            let Some(indicator) = set.find(id).or_else(|| set.find(&id.to_ascii_uppercase())) else {
                return Err(
                    Usage(format!("{id}: no indicator has this id; 'kaspector signatures list' shows all")).into()
                );
            };
            show(&mut out, indicator)
        }
        SignaturesCommand::Check { folder } => {
            let set = match SignatureSet::of_folders(Some(folder), None) {
                Ok(set) => set,
                Err(mut faults) => {
                    let last = faults.pop().map(|fault| fault.to_string()).unwrap_or_default();
                    faults.iter().for_each(complain);
                    return Err(Usage(last).into());
                }
            };
            if set.is_empty() {
                return Err(holds_nothing(folder).into());
            }
            writeln!(
                out,
                "{}: {} indicator{}, version {}, sha256 {}",
                display_path(folder),
                set.len(),
                if set.len() == 1 { "" } else { "s" },
                set.version(),
                set.sha256()
            )
            .and_then(|()| match own_products(&set) {
                own if own.is_empty() => Ok(()),
                own => writeln!(out, "products that no list of products has: {}", own.join("; ")),
            })
            .map(|()| Exit::Ran)
        }
        SignaturesCommand::Test { text, signatures } => {
            let set = load(signatures)?;
            test(&mut out, text, &set, &set.explain(text))
        }
    };
    answered.and_then(|exit| out.flush().map(|()| exit)).map_err(of_stdout)
}

/// Products that the indicators name, and that neither the set nor the built-in one declares: names of the owner's own, or misspelt ones.
fn own_products(set: &SignatureSet) -> Vec<String> {
    let builtin = SignatureSet::builtin();
    let known: BTreeSet<&str> =
        builtin.products().iter().chain(set.products()).map(|product| product.name.as_str()).collect();
    let named: BTreeSet<&String> = set.iter().flat_map(|one| one.products.iter().chain(&one.engine_in)).collect();
    named.into_iter().filter(|name| !known.contains(name.as_str())).cloned().collect()
}

/// Id, category, strength, kind and value; values are the widest and come last.
fn list(out: &mut impl Write, set: &SignatureSet) -> io::Result<()> {
    let cells = |indicator: &Indicator| {
        [
            indicator.id.clone(),
            indicator.category.name().to_owned(),
            indicator.strength.name().to_owned(),
            indicator.kind.name().to_owned(),
        ]
    };
    let mut widths = [0; 4];
    for indicator in set.iter() {
        for (width, cell) in widths.iter_mut().zip(cells(indicator)) {
            *width = (*width).max(cell.width());
        }
    }
    for indicator in set.iter() {
        for (width, cell) in widths.iter().zip(cells(indicator)) {
            write!(out, "{cell:width$}  ")?;
        }
        writeln!(out, "{}", on_one_line(&indicator.value))?;
    }
    Ok(())
}

/// A value as it stands in its file, but for line ends and the like, which some payloads have.
fn on_one_line(value: &str) -> String {
    value.chars().fold(String::new(), |mut line, character| {
        if character.is_control() {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
        line
    })
}

/// All that is known of an indicator.
pub(super) fn show(out: &mut impl Write, indicator: &Indicator) -> io::Result<Exit> {
    let mut row = |name: &str, value: &str| if value.is_empty() { Ok(()) } else { writeln!(out, "{name:<11}{value}") };
    row("id", &indicator.id)?;
    row("match", indicator.kind.name())?;
    row("value", &on_one_line(&indicator.value))?;
    for also in &indicator.also {
        row("and", also)?;
    }
    row("ports", &indicator.ports.join(", "))?;
    row("category", indicator.category.name())?;
    row("strength", indicator.strength.name())?;
    let one_of = |products: &[String]| match products {
        [] | [_] => products.concat(),
        _ => format!("one of: {}", products.join(", ")),
    };
    row("products", &one_of(&indicator.products))?;
    row("engine in", &one_of(&indicator.engine_in))?;
    row("era", &indicator.era)?;
    row("checked", &indicator.date)?;
    for source in &indicator.sources {
        row("source", source)?;
    }
    row("note", &indicator.note)?;
    row("revision", &indicator.rev.to_string())?;
    if !indicator.kind.is_matched() {
        row("use", "knowledge to read; traffic is not held against it yet")?;
    }
    Ok(Exit::Ran)
}

/// The indicators that match a text.
pub(super) fn test(
    out: &mut impl Write,
    text: &str,
    set: &SignatureSet,
    explanation: &Explanation,
) -> io::Result<Exit> {
    let Some(winner) = &explanation.winner else {
        writeln!(out, "{text}: no indicator matches")?;
        return Ok(Exit::Found);
    };
    let indicator = set.get(winner.indicator);
    writeln!(
        out,
        "{} {} {}: {} {} by {}",
        winner.id,
        indicator.category.name(),
        indicator.strength.name(),
        winner.part,
        winner.observed,
        winner.why
    )?;
    for other in &explanation.others {
        let indicator = set.get(other.indicator);
        writeln!(
            out,
            "  also {} {} {}: {} by {}",
            other.id,
            indicator.category.name(),
            indicator.strength.name(),
            other.part,
            other.why
        )?;
    }
    Ok(Exit::Ran)
}
