//! The watcher: a small process that runs alongside a unit's hooks and triggers one when its outcome would change.
//!
//! Juju runs hooks on its own events and every five minutes, but a model can become ready or fail in between. So a
//! hook leaves this process behind, one per unit, in a session of its own. The process knows the inputs and the
//! outcome of the last hook and watches the cluster. After a change it observes the cluster as a hook does, without
//! writing, and if the outcome differs, has Juju run the charm through `juju-exec`, which is called `juju-run` before
//! Juju 3.0. The topology observer of `canonical/postgresql-k8s-operator` follows the same pattern.
//!
//! All its waits are bounded. It reports its health to each hook, and a hook replaces a watcher that does not
//! respond.

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
use zeroize::Zeroizing;

use crate::inputs::{Inputs, JujuState};
use crate::integrations::security_log::SecurityEvent;
use crate::reconcile::snapshot::Expected;
use crate::shell::command;
use juju_hooks::subprocess;
use juju_hooks::{HookContext, HookTools};

use socket::Peer;
pub use socket::Socket;

/// The program's argument for running as a watcher. Juju passes none.
const WATCH: &str = "watch";
/// The program's argument for a single probe.
const PROBE: &str = "probe";
/// They run a command in a hook context; the second before Juju 3.0.
const RUNNERS: [&str; 2] = ["juju-exec", "juju-run"];
/// For reading the baseline and listening on the socket, which a watcher does first.
const START_LIMIT: Duration = Duration::from_secs(10);

/// A message of a hook to the watcher.
#[derive(Debug, Serialize, Deserialize)]
pub enum HookMessage {
    Baseline(Box<Baseline>),
    /// The unit is being removed, or the watcher was disabled.
    End,
}

/// What the watcher compares its observations with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Baseline {
    pub juju: JujuState,
    /// The outcome of the hook if it ran again.
    pub expected: Expected,
    /// Whether the unit is the leader; `None` if the hook did not need to know.
    pub leads: Option<bool>,
    /// The program of the hook. A watcher of another version is replaced.
    pub program: Program,
}

/// Distinguishes versions of the charm's program at the same path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    path: PathBuf,
    inode: u64,
    changed: i64,
}

impl Program {
    /// The running program.
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

/// Runs as a watcher or a probe if the argument says so.
pub async fn run(context: &HookContext, argument: &OsStr) -> Option<ExitCode> {
    match argument.to_str() {
        Some(WATCH) => Some(process::run(context).await),
        Some(PROBE) => Some(probe::run(context).await),
        _ => None,
    }
}

/// Gives the watcher the outcome of a hook, or starts one. Failures here only mean that the status is updated at the
/// next hook instead.
pub fn notify(
    tools: HookTools,
    context: &HookContext,
    socket: Option<Socket>,
    inputs: Inputs,
    expected: Expected,
    leads: Option<bool>,
) {
    if !inputs.config.watch {
        if socket.is_some_and(|socket| socket.send(&HookMessage::End).is_ok()) {
            SecurityEvent::WatcherOff.log(tools, context);
        }
        return;
    }
    if runner().is_none() {
        return debug!("watcher not started: found neither {}", RUNNERS.join(" nor "));
    }
    let program = match Program::this() {
        Ok(program) => program,
        Err(error) => return warn!("watcher not started: cannot find this program: {error}"),
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
    // If unknown, an unnecessary hook is better than a missed one.
    baseline.leads = Some(baseline.leads.unwrap_or_else(|| tools.is_leader().unwrap_or(true)));
    if let Err(error) = start(&baseline) {
        warn!("watcher not started, so the status is updated every five minutes only: {error}");
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

/// Leaves a watcher behind. Returns when it listens, because the next hook may have to stop it. If the unit has a
/// watcher already, the new one exits at once.
fn start(baseline: &Baseline) -> io::Result<()> {
    let mut child = Command::new(&baseline.program.path)
        .arg(WATCH)
        .stdin(Stdio::piped())
        // The watcher closes it as soon as it listens. Juju waits for processes that hold a hook's outputs open.
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    subprocess::start(&mut child, &Zeroizing::new(serde_json::to_vec(baseline)?), START_LIMIT).map_err(io::Error::other)
}

/// Connects to the unit's watcher. One that is not healthy is killed, so that this hook starts another.
pub fn connect(context: &HookContext) -> Option<Socket> {
    match Socket::connect(context) {
        Peer::Absent => None,
        Peer::Healthy(socket, report) => {
            for warning in report.warnings() {
                warn!("{warning}");
            }
            Some(socket)
        }
        Peer::Unhealthy(pid, why) => {
            kill(context, pid, &why);
            None
        }
    }
}

fn kill(context: &HookContext, pid: Option<Pid>, why: &str) {
    let Some(pid) = pid.filter(|pid| session::is_watcher(*pid)) else {
        let pod = context.unit.replace('/', "-");
        let run = command(&["kubectl", "-n", &context.model_name, "delete", "pod", &pod]);
        return warn!(
            "watcher cannot run: its socket is held by a process that {why}; changes take effect at the next hook \
             only. Run: {run} (Juju restarts the unit; models keep serving)"
        );
    };
    session::kill_watcher(pid);
    if socket::is_free(context) {
        warn!("watcher (process {pid}) {why}; killed and replaced");
    } else {
        warn!("watcher (process {pid}) {why} and could not be killed; changes take effect at the next hook only");
    }
}

/// Stops the unit's watcher.
pub fn end(context: &HookContext) {
    if let Some(socket) = connect(context) {
        // It may have exited meanwhile.
        let _ = socket.send(&HookMessage::End);
    }
}
