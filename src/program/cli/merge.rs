//! `kaspector merge`.

use super::help::{ENVIRONMENT, MERGE_EXAMPLES, MERGE_EXIT, MERGE_FILES, long};
use super::{Format, ScanFailOn, SignatureFolders};
use clap::{Args, ValueHint};
use std::path::PathBuf;

/// Merge what several scans wrote with --partial into one answer.
///
/// The answer is that of one scan over all their inputs, in the order of their paths: however the inputs were split, and in whatever order and
/// whatever steps the files are merged. An input that is in several files counts once.
#[derive(Debug, Args)]
#[command(after_help = MERGE_EXAMPLES, after_long_help = long(MERGE_EXAMPLES, &[MERGE_EXIT, MERGE_FILES, ENVIRONMENT]))]
pub struct MergeArguments {
    /// Files that 'kaspector scan --partial' or 'kaspector merge --partial' wrote
    #[arg(required = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub parts: Vec<PathBuf>,

    /// What to print on standard output
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub format: Format,

    /// Write what can be merged again, in place of an answer to read
    #[arg(long, requires = "output", conflicts_with = "format")]
    pub partial: bool,

    /// Write it to FILE, whole or not at all [default: standard output]
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,

    /// Write --output and --state also over files that another program made
    #[arg(long)]
    pub force: bool,

    /// Merge what is found into the inventory of hosts in FILE, which 'kaspector hosts' lists
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub state: Option<PathBuf>,

    /// What is known of the site (TOML): names and owners of subnets and machines, resolvers, proxies, NAT, exceptions
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub site: Option<PathBuf>,

    #[command(flatten)]
    pub signatures: SignatureFolders,

    /// Exit with code 3 when a host has this verdict or a stronger one; inconclusive: when the verdict of the whole is not none-found
    #[arg(long, value_name = "VERDICT")]
    pub fail_on: Option<ScanFailOn>,

    /// Print nothing but results and errors
    #[arg(short, long)]
    pub quiet: bool,
}
