//! Juju's hook tools, as functions over a hook's [`Context`].
//!
//! Behaviour and wording follow juju/juju, internal/worker/uniter/runner/jujuc and worker/uniter/runner/jujuc (2.9).

mod action;
mod client;
mod config;
mod context;
mod flags;
mod keyvalues;
mod leader;
mod log;
mod network;
mod ports;
mod print;
mod relation;
mod relation_set;
mod resource;
mod secret;
mod state;
mod status;
mod table;
mod value;
pub(crate) mod wire;
mod yaml;

use std::fmt::Write as _;
use std::path::PathBuf;

pub use client::{EXEC_SOCKET, PROTOCOL_QUESTION, main};
pub use context::{ActionView, Binding, Context, Interface, Pending, RelationView};
pub use table::{is_tool, tools};
pub use value::Node;
pub use wire::PROTOCOL;

use flags::{Flag, Parsed, Takes, UsageError};
use print::Format;
use table::Tool;

/// What a tool did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// To be printed.
    pub stdout: Vec<u8>,
    /// To be printed on standard error.
    pub stderr: String,
    /// 0 done, 1 failed while running, 2 bad arguments.
    pub exit: i32,
    /// Files to be written, relative to the tool's working directory.
    pub files: Vec<(PathBuf, Vec<u8>)>,
    /// Nothing was done: the call is to be made again with standard input (juju/juju, cmd/jujuc/main.go).
    pub reads_stdin: bool,
}

/// What a tool's function has to say on success.
enum Reply {
    /// Nothing.
    Nothing,
    /// A value, in the form asked for.
    Value(Node),
    /// Bytes, as they are.
    Raw(String),
}

/// Why a tool's function did nothing.
enum Failure {
    /// Bad arguments, exit 2.
    Usage(String),
    /// Exit 1.
    Run(String),
    /// Standard input is needed.
    WantsStdin,
}

/// What a tool's function is called with.
struct Arguments<'a> {
    parsed: Parsed,
    format: Format,
    stdin: Option<&'a [u8]>,
}

impl Arguments<'_> {
    /// Refuses more than `count` positionals.
    fn at_most(&self, count: usize) -> Result<(), Failure> {
        self.parsed.at_most(count).map_err(Failure::Usage)
    }

    /// The relation meant: `-r`, else the hook's.
    fn relation(&self, context: &Context) -> Result<u32, Failure> {
        self.parsed
            .text("relation")
            .and_then(relation_number)
            .or(context.relation)
            .ok_or_else(|| Failure::Usage("no relation id specified".to_owned()))
    }
}

/// Runs one tool. `argv` begins with the tool's name. `stdin` is `None` until the tool asks for it.
pub fn run(context: &mut Context, argv: &[String], stdin: Option<&[u8]>) -> Output {
    let Some((name, rest)) = argv.split_first() else {
        return failed(2, "no command given");
    };
    let Some(tool) = table::find(name, &context.version) else {
        return failed(1, &format!("bad request: unknown command {name:?}"));
    };
    // Early 2.9 said flag where later ones say option. The index of sources has no release tags, so the release of
    // the change is not known; 2.9.0 stands for "early".
    let known_as = if context.version.at_least(2, 9, 1) {
        "option"
    } else {
        "flag"
    };
    let flags = tool.all_flags();
    let parsed = flags::parse(&flags, rest, known_as, |takes, value| {
        check(tool, context, takes, value)
    });
    let parsed = match parsed {
        Ok(parsed) => parsed,
        Err(UsageError::Help) => return help(tool, &flags),
        Err(UsageError::Fault(text)) => return failed(2, &text),
    };
    let format = match parsed.text("format") {
        Some("json") => Format::Json,
        Some("yaml") => Format::Yaml,
        Some("smart") => Format::Smart,
        _ => tool.default_format(),
    };
    let mut output = Output::default();
    if tool.deprecates_format() && parsed.text("format").is_some() {
        output.stderr = format!("--format flag deprecated for command {name:?}");
    }
    let file = parsed.text("output").map(PathBuf::from);
    let arguments = Arguments { parsed, format, stdin };
    let printed = match (tool.run)(context, &arguments) {
        Ok(Reply::Nothing) => return output,
        Ok(Reply::Value(value)) => value.print(format),
        Ok(Reply::Raw(text)) => text,
        Err(Failure::Usage(text)) => return failed(2, &text),
        Err(Failure::Run(text)) => return failed(1, &text),
        Err(Failure::WantsStdin) => {
            output.reads_stdin = true;
            return output;
        }
    };
    match file {
        Some(file) => output.files.push((file, printed.into_bytes())),
        None => output.stdout = printed.into_bytes(),
    }
    output
}

/// What a flag's value must be, told while flags are read, as gnuflag's `Value.Set` does.
fn check(tool: &Tool, context: &Context, takes: Takes, value: &str) -> Result<(), String> {
    match takes {
        Takes::Format if !tool.knows_format(value) => Err(format!("unknown format {value:?}")),
        Takes::Relation => match relation_number(value) {
            None => Err("invalid relation id".to_owned()),
            Some(id) if context.relations.contains_key(&id) => Ok(()),
            Some(_) => Err("relation not found".to_owned()),
        },
        _ => Ok(()),
    }
}

/// `endpoint:4` or `4`; the name is of no account.
fn relation_number(text: &str) -> Option<u32> {
    text.rsplit(':').next()?.parse().ok()
}

fn failed(exit: i32, text: &str) -> Output {
    Output {
        stderr: format!("ERROR {text}\n"),
        exit,
        ..Output::default()
    }
}

fn help(tool: &Tool, flags: &[Flag]) -> Output {
    let mut text = format!("Usage: {} [options] {}\n\nOptions:\n", tool.name, tool.usage);
    for flag in flags {
        let names: Vec<String> = flag
            .names
            .iter()
            .map(|name| {
                if name.len() > 1 {
                    format!("--{name}")
                } else {
                    format!("-{name}")
                }
            })
            .collect();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "    {}", names.join(", "));
    }
    Output {
        stdout: text.into_bytes(),
        ..Output::default()
    }
}
