//! Writes the manual pages and shell completions, from the one definition of the command line.
//!
//! `manual DIR` makes `DIR/man/*.1`, `DIR/bash/kaspector`, `DIR/zsh/_kaspector` and `DIR/fish/kaspector.fish`. A file of such a name that
//! does not tell of kaspector is somebody else's, and is left alone.

use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};
use kaspector_cli::cli;
use kaspector_cli::commands::completion_script;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let folder: PathBuf = std::env::args_os().nth(1).ok_or("usage: manual DIR")?.into();
    let mut program = cli::Arguments::command().disable_help_subcommand(true);
    let name = program.get_name().to_owned();
    let completions = [
        // The name that bash-completion looks for.
        (Shell::Bash, folder.join("bash").join(&name)),
        (Shell::Zsh, folder.join("zsh").join(format!("_{name}"))),
        (Shell::Fish, folder.join("fish").join(format!("{name}.fish"))),
    ];
    for (shell, path) in completions {
        write(&path, &completion_script(shell))?;
    }
    program.build();
    pages(&program, &name, &folder.join("man"))
}

/// Puts a whole file in its place, or leaves what is there.
fn write(path: &Path, text: &[u8]) -> Result<(), Box<dyn Error>> {
    let named = |error: std::io::Error| format!("{}: {error}", path.display());
    match fs::read(path) {
        Ok(found) if !found.is_empty() && memchr::memmem::find(&found, b"kaspector").is_none() => {
            let refused = "is somebody else's, and is left as it is; name another folder";
            return Err(format!("{} {refused}", path.display()).into());
        }
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(named(error).into()),
        _ => {}
    }
    fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).map_err(named)?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    fs::write(&beside, text).and_then(|()| fs::rename(&beside, path)).map_err(named)?;
    Ok(())
}

/// A page for the command and for each below it.
fn pages(command: &Command, page: &str, folder: &Path) -> Result<(), Box<dyn Error>> {
    let below = |child: &Command| format!("{page}-{}", child.get_name());
    let neighbours: Vec<String> = command.get_subcommands().map(below).collect();
    write(&folder.join(format!("{page}.1")), &text(command, page, &neighbours)?)?;
    command.get_subcommands().try_for_each(|child| pages(child, &below(child), folder))
}

fn text(command: &Command, page: &str, neighbours: &[String]) -> Result<Vec<u8>, Box<dyn Error>> {
    let man = Man::new(command.clone())
        .title(page.to_uppercase())
        .date(date()?)
        .source(concat!("kaspector ", env!("CARGO_PKG_VERSION")))
        .manual("Kaspector Manual");
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    if command.get_arguments().next().is_some() {
        man.render_options_section(&mut text)?;
    }
    if command.has_subcommands() {
        man.render_subcommands_section(&mut text)?;
    }
    let mut rest = Roff::new();
    if let Some(help) = command.get_after_long_help().or(command.get_after_help()) {
        sections(&help.to_string(), &mut rest);
    }
    let parent = page.rsplit_once('-').map(|(parent, _)| parent.to_owned());
    let others: Vec<String> = parent.iter().chain(neighbours).map(|name| format!("{name}(1)")).collect();
    if !others.is_empty() {
        rest.control("SH", ["SEE ALSO"]).text([roman(others.join(", "))]);
    }
    rest.to_writer(&mut text)?;
    Ok(text)
}

/// The day of the release, where the builder says it (reproducible-builds.org, SOURCE_DATE_EPOCH), else today: `2026-01-31`.
fn date() -> Result<String, Box<dyn Error>> {
    let now = match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(seconds) => jiff::Timestamp::from_second(seconds.parse()?)?,
        Err(_) => jiff::Timestamp::now(),
    };
    Ok(now.strftime("%Y-%m-%d").to_string())
}

/// Each block under a heading becomes a section, its lines as they stand: they are tables and commands.
fn sections(help: &str, roff: &mut Roff) {
    for block in help.split("\n\n") {
        let Some((heading, lines)) = block.split_once(":\n") else {
            roff.control("PP", []).text([roman(block)]);
            continue;
        };
        roff.control("SH", [heading.to_uppercase().as_str()]).control("nf", []);
        for line in lines.lines() {
            roff.text([roman(line)]);
        }
        roff.control("fi", []);
    }
}
