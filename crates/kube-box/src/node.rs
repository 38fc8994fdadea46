//! A Kubernetes node in namespaces of its own: kubelet, containerd, kube-proxy, and the controllers of a cluster that has
//! this one node.
//!
//! Nothing of it is seen on the machine but its processes, its control groups and its folder: it has a network of its
//! own, its mounts are its own, and all of it ends with its first process.

mod cgroups;
mod lead;
mod settings;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::apiserver::{self, ApiServer, Credentials, arguments};
use crate::assets::NodePrograms;
use crate::build_plan::{Load, Part, Progress};
use crate::process::{Launch, Process};
use crate::space::{self, Namespaces};

pub use crate::process::Lifetime;
pub use crate::space::{ADDRESS, API_PORT, LEAD, Space};
pub use lead::lead;

/// The node's name.
pub const NAME: &str = "edge";
/// The addresses of pods: as in MicroK8s.
const PODS: &str = "10.1.0.0/16";
/// Where containerd is asked, in the node.
const CONTAINERD: &str = "/run/containerd/containerd.sock";
/// How long containerd may take until it answers.
const WAIT: Duration = Duration::from_secs(30);
/// Between two looks.
const POLL: Duration = Duration::from_millis(50);
/// The programs that a machine must have, and the package that brings each on Debian and Ubuntu.
const NEEDED: [(&str, &str); 7] = [
    ("unshare", "util-linux"),
    ("nsenter", "util-linux"),
    ("ip", "iproute2"),
    ("iptables", "iptables"),
    ("containerd", "containerd"),
    ("ctr", "containerd"),
    ("runc", "runc"),
];

/// A running node.
#[derive(Debug)]
pub struct Node {
    namespaces: Option<Namespaces>,
    folder: PathBuf,
    kubelet: Option<Process>,
    others: Vec<Process>,
}

/// What a machine has of what a node needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub root: bool,
    /// Why no control groups can be made, if so.
    pub control_groups: Result<(), String>,
    /// Why no namespaces can be made, if so.
    pub namespaces: Result<(), String>,
    /// The Debian packages that are not installed.
    pub missing_packages: Vec<&'static str>,
    /// Whether missing packages can be installed.
    pub apt: bool,
}

impl Found {
    /// What this machine has.
    ///
    /// # Errors
    /// When even that cannot be found out.
    pub fn here() -> Result<Self> {
        let me = Command::new("id").arg("-u").output().context("id cannot be started")?;
        let root = String::from_utf8_lossy(&me.stdout).trim() == "0";
        let text = |error: anyhow::Error| format!("{error:#}");
        Ok(Self {
            root,
            control_groups: if root { cgroups::probe().map_err(text) } else { Ok(()) },
            namespaces: if root { space::probe().map_err(text) } else { Ok(()) },
            missing_packages: missing_packages(),
            apt: crate::assets::on_path("apt-get").is_some(),
        })
    }

    /// What is missing for a node, and what to do about it; `None` where nothing is.
    pub fn missing(&self) -> Option<String> {
        if !self.root {
            return Some("root, for its namespaces, mounts and control groups".to_owned());
        }
        if let Err(why) = &self.control_groups {
            return Some(format!("control groups ({why})"));
        }
        if let Err(why) = &self.namespaces {
            return Some(format!("namespaces ({why})"));
        }
        if !self.apt && !self.missing_packages.is_empty() {
            return Some(format!(
                "Debian's packages {}, or apt-get to install them",
                self.missing_packages.join(", ")
            ));
        }
        None
    }
}

/// Whether this machine can run a node at all.
///
/// # Errors
/// What it lacks.
pub fn possible() -> Result<()> {
    match Found::here()?.missing() {
        Some(missing) => bail!("a node needs {missing}"),
        None => Ok(()),
    }
}

fn missing_packages() -> Vec<&'static str> {
    let programs = NEEDED.iter();
    let missing = programs.filter(|(program, _)| crate::assets::on_path(program).is_none());
    let mut packages: Vec<&str> = missing.map(|(_, package)| *package).collect();
    if !Path::new(settings::PLUGINS).join("bridge").exists() {
        packages.push("containernetworking-plugins");
    }
    packages.dedup();
    packages
}

/// Installs the packages that are missing.
pub fn parts(progress: Progress<'_>) -> Vec<Part<'_>> {
    let packages = missing_packages();
    if packages.is_empty() {
        return Vec::new();
    }
    let install = move || crate::assets::install(&packages, progress);
    vec![Part::new("Debian packages", &[], Load::Network, install)]
}

impl Node {
    /// Makes the node's namespaces: from then on the API server can be started in them.
    ///
    /// # Errors
    /// When a node runs in that folder already, or the machine does not allow it.
    pub fn make(folder: &Path, lifetime: Lifetime) -> Result<Self> {
        ensure!(
            !folder.starts_with("/var") && !folder.starts_with("/run"),
            "{} cannot be a node's folder, as a node has its own /var and /run; take another: --dir <directory>",
            folder.display()
        );
        ensure!(
            Namespaces::attach(folder).is_none(),
            "a node runs in {} already; stop it first, or take another folder",
            folder.display()
        );
        cgroups::sweep()?;
        let namespaces = Namespaces::make(folder, lifetime)?;
        fs::write(folder.join(CGROUP), namespaces.id().to_string())?;
        Ok(Self {
            namespaces: Some(namespaces),
            folder: folder.to_owned(),
            kubelet: None,
            others: Vec::new(),
        })
    }

    /// The node that an earlier command made in that folder, if it still runs.
    pub fn attach(folder: &Path) -> Option<Self> {
        Some(Self {
            namespaces: Some(Namespaces::attach(folder)?),
            folder: folder.to_owned(),
            kubelet: Process::attach(folder, KUBELET),
            others: OTHERS.iter().filter_map(|name| Process::attach(folder, name)).collect(),
        })
    }

    /// Removes what a node that was killed has left on the machine.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn clear(folder: &Path) -> Result<()> {
        if let Ok(id) = fs::read_to_string(folder.join(CGROUP)) {
            cgroups::remove(id.trim().parse()?)?;
        }
        Ok(())
    }

    /// The way into it.
    ///
    /// # Errors
    /// When it has ended.
    pub fn space(&self) -> Result<Space> {
        let namespaces = self.namespaces.as_ref().context("the node has ended")?;
        Ok(namespaces.space())
    }

    fn id(&self) -> Result<u32> {
        Ok(self.namespaces.as_ref().context("the node has ended")?.id())
    }

    /// Starts containerd, whose pods stand on that pause image.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_containerd(&mut self, pause: &str) -> Result<()> {
        let settings = self.folder.join("containerd.toml");
        write(&settings, &settings::containerd(&self.folder, pause))?;
        let network = self.folder.join("cni");
        fs::create_dir_all(&network).with_context(|| format!("{} cannot be made", network.display()))?;
        write(&network.join("10-site.conflist"), &settings::network().to_string())?;
        let arguments = vec!["--config".to_owned(), settings.to_string_lossy().into_owned()];
        let process = self.start("containerd", Path::new("containerd"), arguments)?;
        self.others.push(process);
        Ok(())
    }

    /// Starts what makes a cluster of an API server, and the kubelet.
    ///
    /// # Errors
    /// When one cannot be started. Whether they do their work shows in the cluster.
    pub fn join(&mut self, server: &ApiServer, programs: &NodePrograms) -> Result<()> {
        let file = |name: &str| server.certificate(name).to_string_lossy().into_owned();
        for name in [KUBELET, MANAGER, SCHEDULER, PROXY] {
            self.kubeconfig(server, name)?;
        }
        let manager = [
            ("kubeconfig", &*self.kubeconfig_of(MANAGER)),
            ("service-account-private-key-file", &file("tokens.key")),
            ("root-ca-file", &file("ca.crt")),
            // Each controller under a name of its own, with the rights that Kubernetes means for it.
            ("use-service-account-credentials", "true"),
            ("leader-elect", "false"),
            ("bind-address", "127.0.0.1"),
            // A node that fell silent is called so after 12 s, and its pods not ready: 40 s is a long test.
            ("node-monitor-grace-period", "12s"),
            ("node-monitor-period", "2s"),
        ];
        let scheduler = [
            ("kubeconfig", &*self.kubeconfig_of(SCHEDULER)),
            ("leader-elect", "false"),
            ("bind-address", "127.0.0.1"),
        ];
        let proxy = [
            ("kubeconfig", &*self.kubeconfig_of(PROXY)),
            ("hostname-override", NAME),
            ("proxy-mode", "iptables"),
            ("cluster-cidr", PODS),
            ("metrics-bind-address", "127.0.0.1:10249"),
            // These would be set for the whole machine.
            ("conntrack-max-per-core", "0"),
            ("conntrack-min", "0"),
            ("conntrack-tcp-timeout-established", "0"),
            ("conntrack-tcp-timeout-close-wait", "0"),
        ];
        for (name, program, flags) in [
            (MANAGER, &programs.controller_manager, &manager[..]),
            (SCHEDULER, &programs.scheduler, &scheduler),
            (PROXY, &programs.proxy, &proxy),
        ] {
            let process = self.start(name, program, arguments(flags))?;
            self.others.push(process);
        }
        cgroups::make(self.id()?)?;
        let settings = settings::kubelet(&self.folder, &server.certificate("ca.crt"), &cgroups::name(self.id()?));
        write(&self.folder.join("kubelet.json"), &settings.to_string())?;
        self.start_kubelet(&programs.kubelet)
    }

    /// Starts the kubelet, again if it was stopped: pods that run go on.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_kubelet(&mut self, program: &Path) -> Result<()> {
        let path = |name: &str| self.folder.join(name).to_string_lossy().into_owned();
        let flags = [
            ("config", &*path("kubelet.json")),
            ("kubeconfig", &self.kubeconfig_of(KUBELET)),
            ("root-dir", &path("kubelet")),
            ("cert-dir", &path("kubelet/pki")),
            ("hostname-override", NAME),
            ("node-ip", ADDRESS),
        ];
        self.kubelet = Some(self.start(KUBELET, program, arguments(&flags))?);
        Ok(())
    }

    /// Ends the kubelet alone. Its pods go on, and nobody looks after them.
    ///
    /// # Errors
    /// When it does not end.
    pub fn stop_kubelet(&mut self) -> Result<()> {
        self.kubelet.take().map_or(Ok(()), Process::stop)
    }

    /// What the programs of the node said last, when one of them has ended.
    ///
    /// # Errors
    /// That one has ended, and its last lines.
    pub fn check(&self) -> Result<()> {
        self.others.iter().chain(&self.kubelet).try_for_each(Process::check)
    }

    /// Ends every process of the node, pods and API server with them, and removes what the kernel keeps of it.
    ///
    /// # Errors
    /// When something does not end.
    pub fn end(&mut self) -> Result<()> {
        let Some(namespaces) = self.namespaces.take() else {
            return Ok(());
        };
        let id = namespaces.id();
        namespaces.end()?;
        cgroups::remove(id)
    }

    fn start(&self, name: &'static str, program: &Path, arguments: Vec<String>) -> Result<Process> {
        Launch {
            name,
            program,
            arguments,
            folder: &self.folder,
            inside: &self.folder,
            namespaces: Some(self.space()?.init()),
            listener: None,
        }
        .start(Lifetime::Detached)
    }

    fn kubeconfig_of(&self, name: &str) -> String {
        let file = self.folder.join(format!("{name}.kubeconfig"));
        file.to_string_lossy().into_owned()
    }

    /// Writes the kubeconfig of one of the node's programs.
    fn kubeconfig(&self, server: &ApiServer, name: &str) -> Result<()> {
        let read =
            |file: PathBuf| fs::read_to_string(&file).with_context(|| format!("{} cannot be read", file.display()));
        let text = apiserver::kubeconfig(
            &format!("https://{ADDRESS}:{API_PORT}"),
            server.ca_pem(),
            name,
            "default",
            Credentials::Certificate {
                certificate: read(server.certificate(&format!("{name}.crt")))?,
                key: read(server.certificate(&format!("{name}.key")))?,
            },
        )?;
        apiserver::private_file(Path::new(&self.kubeconfig_of(name)), text.as_bytes())
    }
}

/// The names of the programs, of their logs and of their certificates.
const KUBELET: &str = "kubelet";
const MANAGER: &str = "kube-controller-manager";
const SCHEDULER: &str = "kube-scheduler";
const PROXY: &str = "kube-proxy";
/// All but the kubelet.
const OTHERS: [&str; 4] = ["containerd", MANAGER, SCHEDULER, PROXY];
/// The file that says which control groups are the node's.
const CGROUP: &str = "node.cgroup";

impl Drop for Node {
    fn drop(&mut self) {
        let bound = self
            .namespaces
            .as_ref()
            .is_some_and(|namespaces| namespaces.lifetime() == Lifetime::Bound);
        if bound {
            // There is nobody to tell.
            let _ = self.end();
        }
    }
}

/// Brings an archive of images into a node's containerd, and waits for it to answer first.
///
/// # Errors
/// When it does not answer, or the archive is none.
pub fn import(space: Space, archive: &Path) -> Result<()> {
    let ctr = || {
        let mut command = space.enter();
        command.args(["ctr", "--address", CONTAINERD, "--namespace", "k8s.io"]);
        command
    };
    let start = Instant::now();
    while !ctr().arg("version").output()?.status.success() {
        ensure!(
            start.elapsed() < WAIT,
            "containerd does not answer after {} s; see containerd.log",
            WAIT.as_secs()
        );
        thread::sleep(POLL);
    }
    let output = ctr().args(["images", "import"]).arg(archive).output()?;
    ensure!(
        output.status.success(),
        "{} cannot be imported: {}",
        archive.display(),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}

fn write(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).with_context(|| format!("{} cannot be written", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_lacks_one_thing_after_the_other() {
        let whole = Found {
            root: true,
            control_groups: Ok(()),
            namespaces: Ok(()),
            missing_packages: Vec::new(),
            apt: false,
        };
        assert_eq!(whole.missing(), None);
        let debian = Found {
            missing_packages: vec!["containerd"],
            apt: true,
            ..whole.clone()
        };
        assert_eq!(debian.missing(), None);
        let missing = |found: Found| found.missing().unwrap();
        let user = Found {
            root: false,
            ..whole.clone()
        };
        assert_eq!(missing(user), "root, for its namespaces, mounts and control groups");
        let container = Found {
            control_groups: Err("read-only file system".to_owned()),
            ..whole.clone()
        };
        assert_eq!(missing(container), "control groups (read-only file system)");
        let unprivileged = Found {
            namespaces: Err("operation not permitted".to_owned()),
            ..whole.clone()
        };
        assert_eq!(missing(unprivileged), "namespaces (operation not permitted)");
        let fedora = Found { apt: false, ..debian };
        assert_eq!(
            missing(fedora),
            "Debian's packages containerd, or apt-get to install them"
        );
    }
}
