//! Every hook tool, `juju-exec` and `juju-run`: the name it is called by decides which (juju/juju, cmd/jujuc).

use std::process::ExitCode;

use juju_sim::hooktool;

fn main() -> ExitCode {
    if let Some(code) = hooktool::main() {
        return code;
    }
    if std::env::args_os()
        .nth(1)
        .is_some_and(|argument| argument == hooktool::PROTOCOL_QUESTION)
    {
        print!("{}", hooktool::PROTOCOL);
        return ExitCode::SUCCESS;
    }
    eprintln!("ERROR not called by the name of a hook tool");
    ExitCode::from(2)
}
