//! Running one hook: the process, its tools, and what its end means.

use std::io::ErrorKind;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use std::{fs, io, thread};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::environment::{Places, context_id, environment};
use super::server::Server;
use super::{ActionResult, Agent, Fault, Hook, HookRun, exec, snapshot};
use crate::hooktool::{self, ActionView, Context};
use crate::juju::{AgentState, LogLine, World};

/// A shell's code for "found but cannot be executed".
const CANNOT_EXECUTE: i32 = 126;
/// The base of a charm that was packed for one.
const MANIFEST: &str = "bases:\n- name: ubuntu\n  channel: '22.04'\n  architectures: [amd64]\n";
const SIGKILL: i32 = 9;
const SIGTERM: i32 = 15;

impl Agent {
    pub(super) fn run(&self, world: &mut World, unit: &str, hook: &Hook) -> Result<HookRun> {
        let mut context = snapshot::context(world, unit, hook)?;
        let name = hook.name(&world.relations, context.application());
        let directory = self.unit_directory(unit);
        let charm = self.charm_directory(world, &directory, context.application())?;
        let tools = self.tools_directory(world, &directory)?;
        let socket = directory.join("agent.socket");
        let id = context_id(&context, &world.version, &name, next_number());
        let kubeconfig = self.kubeconfigs.get(context.application()).or(self.kubeconfig.as_ref());
        let places = Places {
            charm: &charm,
            tools: &tools,
            socket: &socket,
            kubeconfig: kubeconfig.map(PathBuf::as_path),
        };
        let mut command = match hook {
            // Juju hands it to this shell on its standard input (juju/utils, exec/exec.go).
            Hook::Exec { command } => {
                let mut shell = self.start_of(Path::new("/bin/bash"));
                shell.args(["-c", command]);
                shell
            }
            _ => self.start_of(&charm.join("dispatch")),
        };
        command
            .current_dir(&charm)
            .env_clear()
            .envs(environment(world, unit, hook, &name, &id, &places))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());

        let server = Server::bind(&socket)?;
        let (calls, ended, wall) = thread::scope(|scope| {
            let serving = scope.spawn(|| server.serve(&mut context, &id, &self.faults));
            let began = Instant::now();
            let ended = output(&mut command);
            let wall = began.elapsed();
            server.finish();
            (serving.join(), ended, wall)
        });
        let calls = calls.map_err(|_| anyhow::anyhow!("the hook tools of {unit} broke down, a fault of the site"))?;
        let ended = Ended::of(ended, &self.dispatch);
        book(world, unit, hook, &name, context, calls, ended, wall)
    }

    pub(super) fn unit_directory(&self, unit: &str) -> PathBuf {
        self.directory.join(format!("unit-{}", unit.replace('/', "-")))
    }

    /// A command that runs a program in the network of hooks.
    fn start_of(&self, program: &Path) -> Command {
        let Some(network) = &self.network else {
            return Command::new(program);
        };
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net={}", network.display()))
            .arg("--")
            .arg(program);
        command
    }

    /// The charm's directory as its agent would have unpacked it: the files Juju reads, and dispatch.
    fn charm_directory(&self, world: &World, directory: &Path, application: &str) -> Result<PathBuf> {
        // Juju would take a charm without dispatch for one that implements no hook. Here that can only be a mistake.
        ensure!(
            self.dispatch.exists(),
            "the charm's binary {} is not there; build it: cargo build --bin dispatch",
            self.dispatch.display()
        );
        let charm = directory.join("charm");
        fs::create_dir_all(&charm).with_context(|| format!("cannot make {}", charm.display()))?;
        let described = &world.application(application)?.charm;
        for file in ["metadata.yaml", "config.yaml", "actions.yaml", "version"] {
            let file_of_charm = described.directory.join(file);
            if file_of_charm.exists() {
                link(&file_of_charm, &charm.join(file))?;
            }
        }
        // Packing writes it.
        let packed = described.directory.join("manifest.yaml");
        if packed.exists() {
            link(&packed, &charm.join("manifest.yaml"))?;
        } else {
            write_changed(&charm.join("manifest.yaml"), MANIFEST)?;
        }
        // Juju adds these when it unpacks the charm.
        for (file, content) in [
            ("revision", described.revision.to_string()),
            (
                ".juju-charm",
                format!("local:{}-{}\n", described.name, described.revision),
            ),
        ] {
            write_changed(&charm.join(file), &content)?;
        }
        let dispatch = self
            .dispatch
            .canonicalize()
            .with_context(|| format!("cannot resolve {}", self.dispatch.display()))?;
        link(&dispatch, &charm.join("dispatch"))?;
        Ok(charm)
    }

    /// A symlink for each tool the Juju version has, to the one client.
    fn tools_directory(&self, world: &World, directory: &Path) -> Result<PathBuf> {
        let tools = directory.join("tools");
        fs::create_dir_all(&tools).with_context(|| format!("cannot make {}", tools.display()))?;
        let wanted: Vec<&str> = hooktool::tools(&world.version)
            .chain(self.line.is_some().then(|| exec::name(&world.version)))
            .filter(|tool| !matches!(self.faults.get(*tool), Some(Fault::Missing)))
            .collect();
        for entry in fs::read_dir(&tools).with_context(|| format!("cannot read {}", tools.display()))? {
            let entry = entry?;
            if !wanted.iter().any(|tool| entry.file_name() == *tool) {
                fs::remove_file(entry.path())?;
            }
        }
        for tool in wanted {
            link(&self.client, &tools.join(tool))?;
        }
        Ok(tools)
    }
}

/// Writes a file unless it has that content, as a process of the charm may be reading it.
fn write_changed(path: &Path, content: &str) -> Result<()> {
    if fs::read_to_string(path).is_ok_and(|there| there == content) {
        return Ok(());
    }
    fs::write(path, content).with_context(|| format!("cannot write {}", path.display()))
}

/// A symlink that points where it should, whatever was there.
fn link(to: &Path, at: &Path) -> Result<()> {
    if fs::read_link(at).is_ok_and(|there| there == to) {
        return Ok(());
    }
    match fs::remove_file(at) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot replace {}", at.display()));
        }
        _ => {}
    }
    std::os::unix::fs::symlink(to, at).with_context(|| format!("cannot link {}", at.display()))
}

fn next_number() -> u64 {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    NUMBER.fetch_add(1, Ordering::Relaxed)
}

/// Runs a command to its end. A file that another thread's child still has open for writing cannot be executed for a
/// moment (ETXTBSY); a test that writes its dispatch and runs it at once meets that.
fn output(command: &mut Command) -> io::Result<Output> {
    for _ in 0..50 {
        match command.output() {
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => {
                thread::sleep(Duration::from_millis(2));
            }
            other => return other,
        }
    }
    command.output()
}

/// How the process ended.
struct Ended {
    exit: i32,
    signal: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Ended {
    fn of(output: io::Result<Output>, dispatch: &Path) -> Self {
        match output {
            Ok(output) => {
                let signal = output.status.signal();
                Self {
                    exit: output.status.code().unwrap_or(128 + signal.unwrap_or_default()),
                    signal,
                    stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
                    stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
                }
            }
            // No exec bit, another architecture, a missing loader: every hook fails.
            Err(error) => Self {
                exit: CANNOT_EXECUTE,
                signal: None,
                stdout: String::new(),
                stderr: format!("cannot execute {}: {error}", dispatch.display()),
            },
        }
    }
}

#[expect(
    clippy::too_many_arguments,
    reason = "the parts of one hook's end, each from another place"
)]
fn book(
    world: &mut World,
    unit: &str,
    hook: &Hook,
    name: &str,
    mut context: Context,
    calls: Vec<super::Call>,
    ended: Ended,
    wall: Duration,
) -> Result<HookRun> {
    snapshot::book_immediate(world, &context)?;
    if let Some(pending) = context.finish(ended.exit == 0) {
        snapshot::book_pending(world, unit, pending)?;
    }
    let mut log = std::mem::take(&mut context.log);
    let module = format!("unit.{unit}.{name}");
    for (level, text) in [("DEBUG", &ended.stdout), ("WARNING", &ended.stderr)] {
        log.extend(
            text.lines()
                .map(|line| LogLine::new(level, module.clone(), line.to_owned())),
        );
    }
    let action = context.action.take().map(|view| action_result(view, &ended));
    // Of a command that fails, whoever asked for it is told.
    if action.is_none() && !matches!(hook, Hook::Exec { .. }) {
        // From 3.0 on, a hook that a pod's end killed is run again and not counted as failed.
        let terminated = matches!(ended.signal, Some(SIGTERM | SIGKILL)) && world.version.at_least(3, 0, 0);
        let state = world.unit_mut(unit)?;
        (state.agent, state.failed) = match ended.exit {
            0 => (AgentState::Idle, None),
            _ if terminated => (AgentState::Idle, Some(hook.clone())),
            _ => (AgentState::Error, Some(hook.clone())),
        };
    }
    world.append_log(log.iter().cloned());
    // Juju's own line about the hook; it is the agent's and not the charm's, so the run does not bear it.
    let (level, text) = match (&action, ended.exit) {
        (Some(_), _) => ("INFO", format!("ran action {name:?}")),
        (None, 0) => (
            "INFO",
            format!("ran {name:?} hook (via hook dispatching script: dispatch)"),
        ),
        (None, exit) => (
            "ERROR",
            format!("hook {name:?} (via hook dispatching script: dispatch) failed: exit status {exit}"),
        ),
    };
    world.append_log([LogLine::new(
        level,
        format!("unit.{unit}.juju.worker.uniter.operation"),
        text,
    )]);
    let application = world.application(context.application())?;
    Ok(HookRun {
        unit: unit.to_owned(),
        hook: name.to_owned(),
        exit: ended.exit,
        calls,
        stdout: ended.stdout,
        stderr: ended.stderr,
        log,
        status: world.unit(unit)?.status.clone(),
        application_status: application.status.clone(),
        action,
        wall,
    })
}

/// A non-zero exit makes an action failed and overrides what action-fail said; its output is part of the result.
fn action_result(view: ActionView, ended: &Ended) -> ActionResult {
    let mut results: std::collections::BTreeMap<String, Value> = view.results.into_iter().collect();
    for (key, text) in [("stdout", &ended.stdout), ("stderr", &ended.stderr)] {
        if !text.is_empty() {
            results.insert(key.to_owned(), Value::from(text.as_str()));
        }
    }
    results.insert("return-code".to_owned(), Value::from(ended.exit));
    let message = if ended.exit == 0 {
        view.failed
    } else {
        Some(format!("exit status {}", ended.exit))
    };
    ActionResult {
        status: if message.is_some() { "failed" } else { "completed" }.to_owned(),
        message: message.unwrap_or_default(),
        results,
        log: view.log,
    }
}
