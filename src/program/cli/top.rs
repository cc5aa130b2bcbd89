//! The command line of `kaspector top`.

use super::help::{ENVIRONMENT, TOP_EXAMPLES, TOP_EXIT, TOP_FILES, long};
#[cfg(target_os = "linux")]
use crate::config::InterfaceName;
use clap::{Args, ValueHint};
use std::path::PathBuf;

/// Show a sensor on the terminal: rates and losses, hosts, alerts.
///
/// Asks a sensor that runs with 'watch --http', here or elsewhere, and draws what it answers until q is pressed. With -i it starts one, as
/// 'watch -i' does, which ends with the screen. Where standard output is no terminal, the screen is printed once.
#[derive(Debug, Args)]
#[command(after_help = TOP_EXAMPLES, after_long_help = long(TOP_EXAMPLES, &[TOP_EXIT, TOP_FILES, ENVIRONMENT]))]
pub struct TopArguments {
    /// Start a sensor that watches this interface, in place of asking one that runs; may be given several times
    #[cfg(target_os = "linux")]
    #[arg(short, long = "interface", value_name = "IFACE", conflicts_with_all = ["http", "http_token_file"], value_hint = ValueHint::Other)]
    pub interfaces: Vec<InterfaceName>,

    /// Where the sensor serves HTTP
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9317", value_hint = ValueHint::Other)]
    pub http: String,

    /// File with the token that the sensor asks for
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub http_token_file: Option<PathBuf>,

    /// Seconds between two looks
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = clap::value_parser!(u16).range(1..=3600), value_hint = ValueHint::Other)]
    pub interval: u16,

    /// Print the screen once, also on a terminal; with -i, after one interval
    #[arg(long)]
    pub once: bool,
}
