//! Juju's unit agent: runs the real charm binary, hook by hook, over a [`World`].
//!
//! A test that runs one hook, with no Kubernetes at all:
//!
//! ```no_run
//! use std::path::Path;
//! use juju_sim::agent::{Agent, Fault, Hook, RelationEvent};
//! use juju_sim::juju::{Charm, World};
//!
//! # fn main() -> anyhow::Result<()> {
//! let mut world = World::new("edge");
//! world.version = "2.9.42".parse()?;
//! let charm = Charm::read(Path::new(env!("CARGO_MANIFEST_DIR")))?;
//! let iris = world.add_application("iris", charm, 2)?; // units iris/0, which leads, and iris/1
//! iris.set_config([("image", "seldonio/sklearn-iris:0.3")])?;
//! iris.set_leader(Some("iris/0"));
//! world.add_application("istio-pilot", Charm::fake("istio-pilot", "1.11/stable"), 1)?;
//! let gateway = world.integrate("iris:gateway-info", "istio-pilot:gateway-info")?;
//! world.write_bag(gateway, "istio-pilot", &[("gateway_name", "istio-gateway"), ("gateway_namespace", "edge")])?;
//!
//! let mut agent = Agent::new("target/debug/dispatch")?;
//! agent.kubeconfig = None; // or Some(path)
//! agent.faults.insert("goal-state".to_owned(), Fault::Missing);
//! let run = agent.run_hook(&mut world, "iris/0", "config-changed")?;
//! assert_eq!(run.exit, 0, "{run:#?}");
//! assert_eq!(run.status.status, "blocked");
//! assert!(run.calls.iter().any(|call| call.tool() == "status-set"));
//!
//! // A relation hook; and what Juju itself would run next, until nothing is due:
//! agent.run_hook(&mut world, "iris/0", Hook::relation(RelationEvent::Broken, gateway))?;
//! let runs = agent.wake(&mut world, "iris/1")?;
//! assert_eq!(runs[0].hook, "install");
//! # Ok(())
//! # }
//! ```

mod environment;
mod exec;
mod kubernetes;
mod operations;
mod provider;
mod resolver;
mod run;
mod scratch;
mod server;
mod snapshot;
mod tool;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use serde_json::Value;

use crate::juju::{LogLine, Status, World};

pub use crate::juju::{Hook, RelationEvent};
pub use kubernetes::Cluster;
pub use provider::{provide_gateways, provide_ingresses};
pub use scratch::Scratch;
pub use tool::jujuc;

/// What goes wrong with a hook tool, for tests.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The tool is not there, as those of a later Juju are not.
    Missing,
    /// It ends with this exit code and this text on standard error, and does nothing.
    Exit(i32, String),
    /// It does its work and exits 0, but prints these bytes.
    Raw(Vec<u8>),
    /// It does nothing and does not end, until somebody kills it or the hook is over.
    Hang,
}

/// One call of a hook tool.
#[derive(Clone, Debug)]
pub struct Call {
    /// The tool and its arguments.
    pub argv: Vec<String>,
    /// What it read from standard input, when it asked for it.
    pub stdin: Option<Vec<u8>>,
    /// Its exit code.
    pub exit: i32,
    /// What it printed.
    pub stdout: Vec<u8>,
    /// What it printed on standard error.
    pub stderr: String,
}

impl Call {
    /// The tool's name.
    #[must_use]
    pub fn tool(&self) -> &str {
        self.argv.first().map_or("", String::as_str)
    }

    /// The arguments after the tool's name.
    #[must_use]
    pub fn args(&self) -> &[String] {
        self.argv.get(1..).unwrap_or_default()
    }
}

/// How an action ended.
#[derive(Clone, Debug)]
pub struct ActionResult {
    /// `completed` or `failed`.
    pub status: String,
    /// The message of a failure.
    pub message: String,
    /// What action-set told, with `stdout`, `stderr` and `return-code` as Juju adds them.
    pub results: BTreeMap<String, Value>,
    /// What action-log told.
    pub log: Vec<String>,
}

/// One hook that ran.
#[derive(Clone, Debug)]
pub struct HookRun {
    /// The unit.
    pub unit: String,
    /// The hook's name, e.g. `gateway-info-relation-changed`, or the action's.
    pub hook: String,
    /// The exit code; 128 plus its number for a signal, as a shell counts. 0 also where the charm has no dispatch.
    pub exit: i32,
    /// The hook tools it called, in order.
    pub calls: Vec<Call>,
    /// What it printed.
    pub stdout: String,
    /// What it printed on standard error.
    pub stderr: String,
    /// What it logged: its juju-log lines in order, then its output as Juju logs it.
    pub log: Vec<LogLine>,
    /// The unit's status afterwards.
    pub status: Status,
    /// The application's status afterwards, when the leader set one.
    pub application_status: Option<Status>,
    /// The action's result, when it was one.
    pub action: Option<ActionResult>,
    /// How long it took, start of the process to its end.
    pub wall: Duration,
}

impl HookRun {
    /// The calls of one tool.
    pub fn calls_of<'a>(&'a self, tool: &'a str) -> impl Iterator<Item = &'a Call> {
        self.calls.iter().filter(move |call| call.tool() == tool)
    }

    /// The juju-log messages at a level, in order.
    pub fn logged<'a>(&'a self, level: &'a str) -> impl Iterator<Item = &'a str> {
        self.log
            .iter()
            .filter(move |line| line.level == level && line.module.ends_with(".juju-log"))
            .map(|line| line.message.as_str())
    }
}

/// The unit agents of a model.
#[derive(Debug)]
pub struct Agent {
    /// The charm's binary. May be changed, as a refresh does.
    pub dispatch: PathBuf,
    /// The kubeconfig handed to the charm, for applications that have none in `kubeconfigs`. With neither, `KUBECONFIG`
    /// is not set.
    pub kubeconfig: Option<PathBuf>,
    /// Kubeconfigs by application, since each has a service account of its own.
    pub kubeconfigs: BTreeMap<String, PathBuf>,
    /// What goes wrong, by tool.
    pub faults: BTreeMap<String, Fault>,
    /// The network that hooks run in, as a file that nsenter(1) takes: that of a node, where a unit's pod would be. This
    /// machine's where it is not set.
    pub network: Option<PathBuf>,
    /// Whether [`Agent::wake`] runs config-changed twice for one change of options or trust, as Juju 4.0 does (seen with 4.0.15). An
    /// agent for tests does so on every version, since a charm must bear it.
    pub repeats_config_changed: bool,
    directory: PathBuf,
    client: PathBuf,
    // Before the directory it is in.
    line: Option<exec::Line>,
    // Held for the directory it removes when it goes.
    _scratch: Option<Scratch>,
}

impl Agent {
    /// An agent with a directory of its own under the system's temporary one, for tests. The hook tools are
    /// [`jujuc`].
    ///
    /// # Errors
    /// The directory cannot be made, or `jujuc` neither found nor built.
    pub fn new(dispatch: impl Into<PathBuf>) -> Result<Self> {
        let scratch = Scratch::new("agent")?;
        let agent = Self::in_directory(dispatch, scratch.path(), &jujuc()?);
        Ok(Self {
            repeats_config_changed: true,
            _scratch: Some(scratch),
            ..agent
        })
    }

    /// An agent that keeps its charm directories and sockets in `directory`, with `client` as the hook tools' executable. It runs
    /// each hook once.
    #[must_use]
    pub fn in_directory(dispatch: impl Into<PathBuf>, directory: &Path, client: &Path) -> Self {
        Self {
            dispatch: dispatch.into(),
            kubeconfig: None,
            kubeconfigs: BTreeMap::new(),
            faults: BTreeMap::new(),
            network: None,
            repeats_config_changed: false,
            directory: directory.to_owned(),
            client: client.to_owned(),
            line: None,
            _scratch: None,
        }
    }

    /// Runs one hook or action, due or not, and books what it did in the world. A unit that was put together by hand
    /// and never woken sees all remote units as joined.
    ///
    /// The outcome is booked as Juju's agent does: exit 0 writes what was pending, any other loses it and puts the unit
    /// in error, statuses stay either way; an action never puts the unit in error. What the agent remembers of hooks
    /// that ran (installed, joined, …) is left alone; [`Agent::wake`] keeps that.
    ///
    /// # Errors
    /// No such unit or relation; the hook could not be started for a reason that is not the charm's. A charm that fails
    /// is no error: see [`HookRun::exit`].
    pub fn run_hook(&self, world: &mut World, unit: &str, hook: impl Into<Hook>) -> Result<HookRun> {
        self.run(world, unit, &hook.into())
    }

    /// Runs whatever Juju would run now on one unit, in Juju's order, until nothing is due or a hook fails. A hook that
    /// failed before comes first. A unit on its way out is gone from the world afterwards.
    ///
    /// # Errors
    /// As [`Agent::run_hook`].
    pub fn wake(&self, world: &mut World, unit: &str) -> Result<Vec<HookRun>> {
        self.settle(world, unit)
    }
}
