//! The command line of the site, and every hook tool: which of them, the name it is called by tells.

mod cli;

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args_os();
    let called = args.next().unwrap_or_default();
    let name = Path::new(&called)
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    // First of all, since a hook calls tools by the dozen.
    if site::hooktool::is_tool(name) {
        return site::hooktool::client(name, args);
    }
    if matches!(name, "juju-exec" | "juju-run") {
        return site::hooktool::exec(name, args);
    }
    cli::main()
}
