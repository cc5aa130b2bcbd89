//! `kaspector export`.

use super::answer::of_output;
use super::{Exit, Usage, load, of_stdout, say};
use crate::cli::{ExportArguments, ExportFormat};
use crate::process::output_file::Claims;
use crate::process::whole_file::{Kind, check_file, write_folder, write_whole};
use anyhow::Context;
use kaspector::capture::display_path;
use kaspector::matching::SignatureSet;
use kaspector_export::{Options, Pack};
use std::io::{self, Write};
use std::path::Path;

/// Writes the signature set in the form of another program.
pub fn export(arguments: &ExportArguments) -> anyhow::Result<Exit> {
    let set = load(&arguments.signatures)?;
    if let Some(date) = &arguments.date {
        day(date)?;
    }
    let options = Options { browse: arguments.browse, date: arguments.date.clone() };
    let pack = pack(arguments.format, &set, &options);
    let mut claims = Claims::default();
    for folder in [&arguments.signatures.replace, &arguments.signatures.extra].into_iter().flatten() {
        claims.add_folder(folder, "toml", "a signature file, which is read");
    }
    let written = match (&*pack.files, &arguments.output) {
        ([file], path) => match path.as_deref().filter(|path| *path != Path::new("-")) {
            None => {
                let mut out = io::stdout().lock();
                out.write_all(&file.bytes).and_then(|()| out.flush()).map_err(of_stdout)?;
                None
            }
            Some(path) => {
                check_file(path, "-o", OURS, &claims, arguments.force).map_err(of_output)?;
                write_whole(path, |out| out.write_all(&file.bytes))
                    .with_context(|| format!("{}: cannot be written", display_path(path)))?;
                Some(path)
            }
        },
        (files, Some(folder)) if folder != Path::new("-") => {
            let files: Vec<(&str, &[u8])> = files.iter().map(|file| (&*file.path, &*file.bytes)).collect();
            write_folder(folder, "-o", &files, &claims, arguments.force).map_err(of_output)?;
            Some(folder.as_path())
        }
        (files, _) => {
            let what = format!("this format has {} files: name a folder for them with -o DIR", files.len());
            return Err(Usage(what).into());
        }
    };
    if !arguments.quiet {
        pack.left_out.lines().iter().for_each(say);
        if let Some(path) = written {
            let plural = if pack.files.len() == 1 { "" } else { "s" };
            say(format_args!("Wrote {} file{plural}: {}", pack.files.len(), display_path(path)));
        }
    }
    Ok(Exit::Ran)
}

/// Every export names where it comes from near its beginning; a table of indicators by its columns.
const OURS: Kind = Kind {
    words: "what an export wrote",
    begins: &[],
    marks: &["Kaspector: ", "\"name\": \"Kaspector\"", "Kaspector signature set", "id,match,value,literal,also,ports,"],
};

fn pack(format: ExportFormat, set: &SignatureSet, options: &Options) -> Pack {
    let write = match format {
        ExportFormat::Suricata => kaspector_export::suricata,
        ExportFormat::Zeek => kaspector_export::zeek,
        ExportFormat::Snort => kaspector_export::snort,
        ExportFormat::Sigma => kaspector_export::sigma,
        ExportFormat::Stix => kaspector_export::stix,
        ExportFormat::Misp => kaspector_export::misp,
        ExportFormat::Rpz => kaspector_export::rpz,
        ExportFormat::Csv => kaspector_export::csv,
        ExportFormat::Wireshark => kaspector_export::wireshark,
    };
    write(set, options)
}

/// Refuses what is no day.
fn day(text: &str) -> anyhow::Result<()> {
    let is_day = text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok();
    if is_day { Ok(()) } else { Err(Usage(format!("--date {text}: no date; write it as 2026-11-23")).into()) }
}
