//! The command line of the site. Called by the name of a hook tool, it is that tool.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    // First of all, since a hook calls tools by the dozen.
    juju_sim::hooktool::main().unwrap_or_else(cli::main)
}
