//! The program behind every tool's name: it carries a call to the agent and its answer back (juju/juju,
//! cmd/jujuc/main.go). A hook makes dozens of calls, so nothing is done here that need not be.

use std::env;
use std::ffi::OsString;
use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;

use super::table::is_tool;
use super::wire::{Request, Response};

/// The one argument at which `jujuc` prints its protocol and exits.
pub const PROTOCOL_QUESTION: &str = "--tool-protocol";

/// Serves as the hook tool, or `juju-exec`, that the running program is called by the name of, if it is.
pub fn main() -> Option<ExitCode> {
    let mut args = env::args_os();
    let called = args.next()?;
    match Path::new(&called).file_name()?.to_str()? {
        name if is_tool(name) => Some(client(name, args)),
        name @ ("juju-exec" | "juju-run") => Some(exec(name, args)),
        _ => None,
    }
}

/// Carries a call of `tool` with `args` to the agent that `JUJU_AGENT_SOCKET_ADDRESS` names.
fn client(tool: &str, args: impl Iterator<Item = OsString>) -> ExitCode {
    let words = std::iter::once(tool.as_bytes().to_vec())
        .chain(args.map(OsString::into_vec))
        .collect();
    show(call(words))
}

fn show(answer: Result<Response, String>) -> ExitCode {
    match answer {
        Ok(response) => {
            // A reader that has gone away is no failure of the tool.
            let _ = io::stdout().write_all(&response.stdout);
            let _ = io::stderr().write_all(&response.stderr);
            ExitCode::from(u8::try_from(response.exit).unwrap_or(1))
        }
        Err(why) => {
            let _ = writeln!(io::stderr(), "ERROR {why}");
            ExitCode::from(1)
        }
    }
}

/// The socket that [`exec`] calls, in the agent's directory.
pub const EXEC_SOCKET: &str = "exec.socket";

/// Carries a call of `juju-exec` or `juju-run` to the agent whose unit this process is of.
fn exec(program: &str, args: impl Iterator<Item = OsString>) -> ExitCode {
    let words = std::iter::once(program.as_bytes().to_vec())
        .chain(args.map(OsString::into_vec))
        .collect();
    show(call_exec(program, words))
}

fn call_exec(program: &str, argv: Vec<Vec<u8>>) -> Result<Response, String> {
    // juju/juju, cmd/jujud/run.go.
    if let Some(context) = env::var("JUJU_CONTEXT_ID").ok().filter(|context| !context.is_empty()) {
        return Err(format!(
            "{program} cannot be called from within a hook, have context {context:?}"
        ));
    }
    let charm = env::var_os("JUJU_CHARM_DIR").ok_or("JUJU_CHARM_DIR not set")?;
    let unit = Path::new(&charm).parent().ok_or("no unit's directory")?;
    let socket = unit.with_file_name(EXEC_SOCKET);
    let request = Request {
        context: Vec::new(),
        cwd: Vec::new(),
        stdin: None,
        argv,
    };
    let exchange = || -> io::Result<Response> {
        let mut stream = UnixStream::connect(&socket)?;
        request.send(&mut stream)?;
        Response::receive(&mut stream)
    };
    exchange().map_err(|error| format!("dial unix {}: {error}", socket.display()))
}

fn call(argv: Vec<Vec<u8>>) -> Result<Response, String> {
    let variable = |name: &str| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .ok_or_else(|| format!("{name} not set"))
    };
    let context = variable("JUJU_CONTEXT_ID")?.into_vec();
    let address = variable("JUJU_AGENT_SOCKET_ADDRESS")?;
    let cwd = env::current_dir().map_err(|error| error.to_string())?;
    let mut request = Request {
        context,
        cwd: cwd.into_os_string().into_vec(),
        stdin: None,
        argv,
    };
    let exchange = |request: &Request| -> io::Result<Response> {
        let mut stream = UnixStream::connect(&address)?;
        request.send(&mut stream)?;
        Response::receive(&mut stream)
    };
    let shown = address.to_string_lossy();
    let failed = |error: io::Error| format!("dial unix {shown}: {error}");
    let response = exchange(&request).map_err(failed)?;
    if !response.reads_stdin {
        return Ok(response);
    }
    let mut stdin = Vec::new();
    io::stdin()
        .read_to_end(&mut stdin)
        .map_err(|error| format!("cannot read stdin: {error}"))?;
    request.stdin = Some(stdin);
    exchange(&request).map_err(failed)
}
