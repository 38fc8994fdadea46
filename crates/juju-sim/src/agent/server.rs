//! The agent's side of the hook tools: answers calls on a Unix socket while a hook runs, one at a time as Juju does
//! (juju/juju, internal/worker/uniter/runner/jujuc/server.go).

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result};

use super::{Call, Fault};
use crate::hooktool::wire::{Request, Response};
use crate::hooktool::{self, Context};

/// A socket that hook tools call.
pub(super) struct Server {
    listener: UnixListener,
    path: PathBuf,
    done: AtomicBool,
}

impl Server {
    pub fn bind(path: &Path) -> Result<Self> {
        // One that a killed command left would be in the way.
        let _ = std::fs::remove_file(path);
        let listener = UnixListener::bind(path).with_context(|| {
            format!(
                "cannot make the socket {}; where its path is longer than about 100 bytes, give a shorter directory: TMPDIR for tests, --dir for site",
                path.display()
            )
        })?;
        Ok(Self {
            listener,
            path: path.to_owned(),
            done: AtomicBool::new(false),
        })
    }

    /// Answers calls until [`Server::finish`].
    pub fn serve(&self, context: &mut Context, id: &str, faults: &BTreeMap<String, Fault>) -> Vec<Call> {
        let mut calls = Vec::new();
        // Held open, so that their clients wait for an answer.
        let mut hanging = Vec::new();
        while let Ok((stream, _)) = self.listener.accept() {
            if self.done.load(Ordering::Acquire) {
                break;
            }
            // A client that breaks off (its hook was killed) leaves nothing to be answered.
            match answer(stream, context, id, faults) {
                Ok(Answered::Call(call)) => calls.push(call),
                Ok(Answered::Not(stream)) => hanging.push(stream),
                Ok(Answered::ToComeAgain) | Err(_) => {}
            }
        }
        calls
    }

    /// Ends [`Server::serve`].
    pub fn finish(&self) {
        self.done.store(true, Ordering::Release);
        // Wakes the accept; were it to fail, the listener would be gone as well.
        let _ = UnixStream::connect(&self.path);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// What became of a call.
enum Answered {
    Call(Call),
    /// It is to come again with standard input.
    ToComeAgain,
    /// It hangs.
    Not(UnixStream),
}

/// Answers one call.
fn answer(
    mut stream: UnixStream,
    context: &mut Context,
    id: &str,
    faults: &BTreeMap<String, Fault>,
) -> std::io::Result<Answered> {
    let request = Request::receive(&mut stream)?;
    let argv: Vec<String> = request
        .argv
        .iter()
        .map(|argument| String::from_utf8_lossy(argument).into_owned())
        .collect();
    let fault = argv.first().and_then(|tool| faults.get(tool));
    if matches!(fault, Some(Fault::Hang)) {
        return Ok(Answered::Not(stream));
    }
    let response = if request.context == id.as_bytes() {
        respond(context, &argv, &request, fault)
    } else {
        let got = String::from_utf8_lossy(&request.context);
        Response {
            exit: 1,
            stderr: format!("ERROR bad request: expected context id {id:?}, got {got:?}\n").into_bytes(),
            ..Response::default()
        }
    };
    response.send(&mut stream)?;
    if response.reads_stdin {
        return Ok(Answered::ToComeAgain);
    }
    Ok(Answered::Call(Call {
        argv,
        stdin: request.stdin,
        exit: response.exit,
        stdout: response.stdout,
        stderr: String::from_utf8_lossy(&response.stderr).into_owned(),
    }))
}

fn respond(context: &mut Context, argv: &[String], request: &Request, fault: Option<&Fault>) -> Response {
    if let Some(Fault::Exit(exit, stderr)) = fault {
        return Response {
            exit: *exit,
            stderr: stderr.clone().into_bytes(),
            ..Response::default()
        };
    }
    context.cwd = PathBuf::from(std::ffi::OsString::from_vec(request.cwd.clone()));
    let output = hooktool::run(context, argv, request.stdin.as_deref());
    let mut response = Response {
        exit: output.exit,
        reads_stdin: output.reads_stdin,
        stdout: output.stdout,
        stderr: output.stderr.into_bytes(),
    };
    // The agent writes the file, not the client, as in Juju.
    for (file, content) in output.files {
        if let Err(error) = std::fs::write(context.cwd.join(&file), content) {
            response.exit = 1;
            response
                .stderr
                .extend(format!("ERROR {}: {error}\n", file.display()).into_bytes());
        }
    }
    if let Some(Fault::Raw(bytes)) = fault {
        response.stdout.clone_from(bytes);
        response.exit = 0;
    }
    response
}
