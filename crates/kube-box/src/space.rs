//! The namespaces of a node: processes, network and mounts that nobody else sees, and that end with their first process.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::process::{self, Launch, Lifetime, Process};

/// The node's address, in its own network: one of those that are kept for examples (RFC 5737).
pub const ADDRESS: &str = "192.0.2.1";
/// That of its clients.
const CLIENTS: &str = "192.0.2.2";
/// Where the API server listens there.
pub const API_PORT: &str = "6443";
/// The command of the program that leads a port into a node; not for typing.
pub const LEAD: &str = "lead-into-node";
/// The name of the first process's log and pid file.
const NODE: &str = "node";
/// What the first process does.
const INIT: &str = include_str!("space/init.sh");
/// The network of the node's clients, as ip-netns(8) keeps it.
const NETWORK: &str = "/run/netns/clients";
/// How long the namespaces may take to be there, and to be gone. Both take less than a second.
const WAIT: Duration = Duration::from_secs(20);
/// Between two looks.
const POLL: Duration = Duration::from_millis(20);

/// Whether namespaces like a node's can be made, with a mount in them.
///
/// # Errors
/// Why not: many containers may not.
pub(crate) fn probe() -> Result<()> {
    if crate::assets::on_path("unshare").is_none() {
        // Its package is installed before a node is made.
        return Ok(());
    }
    let output = Command::new("unshare")
        .args(["--net", "--mount", "--pid", "--fork"])
        .args(["mount", "-t", "tmpfs", "none", "/run"])
        .output()
        .context("unshare cannot be started")?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}

/// The way into a node's namespaces.
#[derive(Clone, Copy, Debug)]
pub struct Space {
    init: u32,
}

impl Space {
    /// The first process, by its number outside.
    pub fn init(self) -> u32 {
        self.init
    }

    /// The beginning of a command that runs in the node.
    pub fn enter(self) -> Command {
        process::enter(self.init)
    }

    /// Leads what arrives at a port of loopback to a port of the node, which sees a client from outside. `program`
    /// runs [`crate::node::lead`] when its first argument is [`LEAD`].
    ///
    /// # Errors
    /// When the process that does it cannot be started.
    pub fn lead(self, name: &'static str, folder: &Path, from: TcpListener, to: &str, program: &Path) -> Result<()> {
        self.start_lead(name, folder, from, to, program).map(drop)
    }

    pub(crate) fn start_lead(
        self,
        name: &'static str,
        folder: &Path,
        from: TcpListener,
        to: &str,
        program: &Path,
    ) -> Result<Process> {
        Launch {
            name,
            program: Path::new("nsenter"),
            arguments: vec![
                format!("--net={NETWORK}"),
                "--".to_owned(),
                program.to_string_lossy().into_owned(),
                LEAD.to_owned(),
                format!("{ADDRESS}:{to}"),
            ],
            folder,
            inside: folder,
            namespaces: Some(self.init),
            listener: Some(from),
        }
        .start(Lifetime::Detached)
    }
}

/// The namespaces themselves.
#[derive(Debug)]
pub(crate) struct Namespaces {
    /// unshare(1), which ends the first process when it ends itself.
    process: Process,
    space: Space,
}

impl Namespaces {
    /// Makes them.
    ///
    /// # Errors
    /// When the kernel or the machine's owner does not allow it; the text holds what was said.
    pub(crate) fn make(folder: &Path, lifetime: Lifetime) -> Result<Self> {
        let script = folder.join("init.sh");
        fs::write(&script, INIT).with_context(|| format!("{} cannot be written", script.display()))?;
        let ready = folder.join("ready");
        if ready.exists() {
            fs::remove_file(&ready).with_context(|| format!("{} cannot be deleted", ready.display()))?;
        }
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let mut arguments: Vec<String> = ["--net", "--mount", "--pid", "--fork", "--kill-child=KILL", "sh"]
            .map(str::to_owned)
            .to_vec();
        arguments.extend([text(&script), text(folder), ADDRESS.to_owned(), CLIENTS.to_owned()]);
        let process = Launch {
            name: NODE,
            program: Path::new("unshare"),
            arguments,
            folder,
            inside: folder,
            namespaces: None,
            listener: None,
        }
        .start(lifetime)?;
        let start = Instant::now();
        while !ready.exists() {
            process.check().context("the node's namespaces cannot be made")?;
            if start.elapsed() > WAIT {
                bail!("the node's namespaces are not there after {} s", WAIT.as_secs());
            }
            thread::sleep(POLL);
        }
        Self::of(process)
    }

    fn of(process: Process) -> Result<Self> {
        let init = process::child_of(process.pid()).context("the node's first process has ended")?;
        Ok(Self {
            process,
            space: Space { init },
        })
    }

    /// Those that an earlier command made in that folder, if they are still there.
    pub(crate) fn attach(folder: &Path) -> Option<Self> {
        Process::attach(folder, NODE).and_then(|process| Self::of(process).ok())
    }

    pub(crate) fn space(&self) -> Space {
        self.space
    }

    pub(crate) fn lifetime(&self) -> Lifetime {
        self.process.lifetime()
    }

    /// The number that names this node on the machine.
    pub(crate) fn id(&self) -> u32 {
        self.process.pid()
    }

    /// Ends every process in them, and waits until the kernel has taken them back.
    ///
    /// # Errors
    /// When one does not end.
    pub(crate) fn end(self) -> Result<()> {
        let init = PathBuf::from(format!("/proc/{}", self.space.init));
        self.process.stop()?;
        let start = Instant::now();
        while init.exists() {
            if start.elapsed() > WAIT {
                bail!(
                    "the node's first process does not end; end it with: kill -9 {}",
                    self.space.init
                );
            }
            thread::sleep(POLL);
        }
        Ok(())
    }
}
