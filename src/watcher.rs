//! The watcher: a small process beside a unit's hooks, which wakes the charm when it would say or do something else.
//!
//! Juju runs hooks on events of its own, and every five minutes; a model becomes ready or breaks in between. So a hook leaves
//! this process behind, in a session of its own, one for a unit. It is told what is asked for and what the charm said last, is
//! told by Kubernetes of every change, looks as a hook does but without its writes, and if the outcome is another one, has Juju
//! run the charm: through `juju-exec`, which Juju before 3.0 calls `juju-run`. It is the pattern of the topology observer of
//! `canonical/postgresql-k8s-operator`.
//!
//! Whatever it waits for has a limit. It reports to each hook how it is, and a hook kills one that is deaf and leaves another behind.

mod health;
mod probe;
mod process;
mod scheduler;
mod session;
mod socket;

use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use tracing::{debug, warn};

use crate::inputs::{Inputs, JujuState};
use crate::integrations::security_log::SecurityEvent;
use crate::reconcile::snapshot::Expected;
use juju_hooks::subprocess;
use juju_hooks::{HookContext, HookTools};

use socket::Peer;
pub use socket::Socket;

/// The argument that makes this program a watcher. Juju gives none.
const WATCH: &str = "watch";
/// The argument that makes it look for one.
const PROBE: &str = "look";
/// The programs that run a command in a hook's place, in Juju since 3.0 and before.
const RUNNERS: [&str; 2] = ["juju-exec", "juju-run"];
/// How long a watcher may take to read its brief and to listen, which it does first.
const START_LIMIT: Duration = Duration::from_secs(10);

/// What a hook tells the watcher.
#[derive(Debug, Serialize, Deserialize)]
pub enum HookMessage {
    /// What is asked for, and what came of it.
    Baseline(Box<Baseline>),
    /// The unit goes.
    End,
}

/// What the watcher goes by.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Baseline {
    /// What Juju asks for.
    pub juju: JujuState,
    /// What the hook would say and do if it looked again.
    pub expected: Expected,
    /// Whether the unit leads, where the hook had to find out.
    pub leads: Option<bool>,
    /// The program that the hook was.
    pub program: Program,
}

/// A program, told apart from the next version of itself at the same path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    path: PathBuf,
    inode: u64,
    changed: i64,
}

impl Program {
    /// This one.
    ///
    /// # Errors
    /// When it cannot be found out.
    pub fn this() -> io::Result<Self> {
        let path = std::env::current_exe()?;
        let file = std::fs::metadata("/proc/self/exe")?;
        Ok(Self {
            path,
            inode: file.ino(),
            changed: file.ctime(),
        })
    }
}

/// Does the part of a watcher that the argument names; nothing, if it names none.
pub async fn run(context: &HookContext, argument: &OsStr) -> Option<ExitCode> {
    match argument.to_str() {
        Some(WATCH) => Some(process::run(context).await),
        Some(PROBE) => Some(probe::run(context).await),
        _ => None,
    }
}

/// Tells the unit's watcher what came of a hook; where there is none, one is left behind. What goes wrong with that is no
/// trouble of the models: their status is then as old as the last hook.
pub fn notify(
    tools: HookTools,
    context: &HookContext,
    socket: Option<Socket>,
    inputs: Inputs,
    expected: Expected,
    leads: Option<bool>,
) {
    if !inputs.is_watched() {
        if socket.is_some_and(|socket| socket.send(&HookMessage::End).is_ok()) {
            SecurityEvent::WatcherOff.log(tools, context);
        }
        return;
    }
    if runner().is_none() {
        return debug!(
            "there is no watcher, as this Juju has neither of {}",
            RUNNERS.join(" and ")
        );
    }
    let program = match Program::this() {
        Ok(program) => program,
        Err(error) => return warn!("there is no watcher, as this program cannot be found: {error}"),
    };
    let mut baseline = Baseline {
        juju: inputs.juju,
        expected,
        leads: leads.or_else(|| context.has_become_leader()),
        program,
    };
    if socket.is_some_and(|socket| socket.send(&HookMessage::Baseline(Box::new(baseline.clone()))).is_ok()) {
        return;
    }
    // Where it is not known, it is better woken once too often.
    baseline.leads = Some(baseline.leads.unwrap_or_else(|| tools.is_leader().unwrap_or(true)));
    if let Err(error) = start(&baseline) {
        warn!("the watcher cannot be started, so the status is looked after every five minutes only: {error}");
    }
}

fn runner() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let find = |program: &str| {
        let mut files = std::env::split_paths(&path).map(|directory| directory.join(program));
        files.find(|file| file.exists())
    };
    RUNNERS.into_iter().find_map(find)
}

/// Leaves a watcher behind that goes by this brief, once it listens: the next hook may be there to end it. If the unit has one
/// already, the new one ends at once.
fn start(baseline: &Baseline) -> io::Result<()> {
    let mut child = Command::new(&baseline.program.path)
        .arg(WATCH)
        .stdin(Stdio::piped())
        // It closes this as soon as it listens. Juju waits for what a hook has left open.
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    subprocess::start(&mut child, &serde_json::to_vec(baseline)?, START_LIMIT).map_err(io::Error::other)
}

/// Takes the line to the unit's watcher, if it has one that is well. One that is not is killed, and the hook leaves another behind.
pub fn connect(context: &HookContext) -> Option<Socket> {
    match Socket::connect(context) {
        Peer::Absent => None,
        Peer::Watcher(socket, report) => {
            for warning in report.warnings() {
                warn!("{warning}");
            }
            Some(socket)
        }
        Peer::Unresponsive(pid, why) => {
            kill(context, pid, &why);
            None
        }
    }
}

/// Kills a watcher that is deaf.
fn kill(context: &HookContext, pid: Option<Pid>, why: &str) {
    let Some(pid) = pid.filter(|pid| session::is_watcher(*pid)) else {
        return warn!("the watcher's socket is held by a process that {why}: changes are seen at the next hook only");
    };
    session::kill_with_all_of_it(pid);
    if socket::is_free(context) {
        warn!("watcher (process {pid}) {why}: killed, to be replaced by a new one");
    } else {
        warn!("watcher (process {pid}) {why}, and cannot be killed: changes are seen at the next hook only");
    }
}

/// Ends the unit's watcher, if it has one.
pub fn end(context: &HookContext) {
    if let Some(socket) = connect(context) {
        // If it is gone meanwhile, all the better.
        let _ = socket.send(&HookMessage::End);
    }
}
