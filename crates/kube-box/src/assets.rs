//! The programs and definitions that the site is made of: found where they are, built from Go modules where not.
//!
//! Nothing of other people's is in this repository; versions and checksums are, in the folder `go`.

mod go;

pub(crate) use go::{goarch, lock};

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, anyhow, ensure};

/// The Kubernetes that is built: one that sites run today.
pub const KUBERNETES: &str = "1.34.4";
/// The etcd that is built: the last 3.6 that the Go that Kubernetes asks for builds as well.
pub const ETCD: &str = "3.6.8";

/// The Seldon Core whose operator is built: the last that the module proxies hand out of the line under the Apache
/// licence. Its definitions are those of 1.17.1.
pub const SELDON_CORE: &str = "1.16.0";
/// The Istio that is built: its releases have no version that Go can name, so this is a commit, between 1.21 and 1.22.
pub const ISTIO: &str = "0.0.0-20240218163812-d80ef7b19049";

/// The Prometheus that is built, which its module numbers otherwise: 3.11.3.
pub const PROMETHEUS: &str = "0.311.3";

/// The packages of the programs that a node is made of.
const KUBELET: &str = "k8s.io/kubernetes/cmd/kubelet";
const PILOT_AGENT: &str = "istio.io/istio/pilot/cmd/pilot-agent";
/// What checks and tests rules of alerts.
const PROMTOOL: &str = "github.com/prometheus/prometheus/cmd/promtool";

/// The two programs of a Kubernetes API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assets {
    /// etcd.
    pub etcd: PathBuf,
    /// kube-apiserver.
    pub kube_apiserver: PathBuf,
}

/// The programs of Kubernetes that a node is made of, beside those of [`Assets`].
#[derive(Debug, Clone)]
pub struct NodePrograms {
    pub controller_manager: PathBuf,
    pub scheduler: PathBuf,
    pub proxy: PathBuf,
    pub kubelet: PathBuf,
}

/// The programs that run in pods.
#[derive(Debug, Clone)]
pub struct PodPrograms {
    /// Istio's control plane.
    pub istiod: PathBuf,
    /// What runs Envoy for Istio.
    pub pilot_agent: PathBuf,
    /// Seldon Core's controller.
    pub operator: PathBuf,
}

/// The programs of a node, built first where the cache has none.
///
/// # Errors
/// As [`find`].
pub fn node_programs(progress: &dyn Fn(&str)) -> Result<NodePrograms> {
    let cache = cache()?;
    let build = |package| go::kubernetes(package).build(&cache, progress);
    Ok(NodePrograms {
        controller_manager: build("k8s.io/kubernetes/cmd/kube-controller-manager")?,
        scheduler: build("k8s.io/kubernetes/cmd/kube-scheduler")?,
        proxy: build("k8s.io/kubernetes/cmd/kube-proxy")?,
        kubelet: build(KUBELET)?,
    })
}

/// The programs that run in pods, built first where the cache has none.
///
/// # Errors
/// As [`find`].
pub fn pod_programs(progress: &dyn Fn(&str)) -> Result<PodPrograms> {
    let cache = cache()?;
    Ok(PodPrograms {
        istiod: go::istio("istio.io/istio/pilot/cmd/pilot-discovery").build(&cache, progress)?,
        pilot_agent: go::istio(PILOT_AGENT).build(&cache, progress)?,
        operator: go::seldon_operator().build(&cache, progress)?,
    })
}

/// promtool, which checks and tests rules as Prometheus reads them, built where the cache does not have it.
///
/// # Errors
/// As [`find`].
pub fn promtool(progress: &dyn Fn(&str)) -> Result<PathBuf> {
    go::prometheus(PROMTOOL).build(&cache()?, progress)
}

/// Prometheus, built where the cache does not have it.
///
/// # Errors
/// As [`find`].
pub fn prometheus(progress: &dyn Fn(&str)) -> Result<PathBuf> {
    go::prometheus("github.com/prometheus/prometheus/cmd/prometheus").build(&cache()?, progress)
}

/// What plays the part of Seldon's executor, built where the cache does not have it.
///
/// # Errors
/// As [`find`].
pub(crate) fn executor_stand_in(progress: &dyn Fn(&str)) -> Result<PathBuf> {
    go::executor_stand_in().build(&cache()?, progress)
}

/// Whose module a file is read from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Sources {
    Kubernetes,
    Istio,
}

/// A file of a Go module, as it was pinned.
///
/// # Errors
/// When the module cannot be had.
pub(crate) fn module_file(of: Sources, file: &str) -> Result<Vec<u8>> {
    go::module_file(&cache()?, of, file)
}

/// Finds both programs: in `KUBEBUILDER_ASSETS`, on `PATH`, through `setup-envtest`, in the cache, or by building them
/// into the cache, which takes some minutes and is said through `say`. The cache is `seldon-model-site` in
/// `XDG_CACHE_HOME` or `~/.cache`.
///
/// # Errors
/// When a program is nowhere and cannot be built; the text says what to install.
pub fn find(progress: &dyn Fn(&str)) -> Result<Assets> {
    if let Some(folder) = env::var_os("KUBEBUILDER_ASSETS").filter(|folder| !folder.is_empty()) {
        let folder = PathBuf::from(folder);
        return in_folder(&folder).ok_or_else(|| {
            anyhow!(
                "KUBEBUILDER_ASSETS is {}, but there are no programs etcd and kube-apiserver; unset it to build them, or set it to what this prints: setup-envtest use -p path 1.34.x",
                folder.display()
            )
        });
    }
    if let (Some(etcd), Some(kube_apiserver)) = (on_path("etcd"), on_path("kube-apiserver")) {
        return Ok(Assets { etcd, kube_apiserver });
    }
    if let Some(assets) = from_setup_envtest(progress) {
        return Ok(assets);
    }
    let cache = cache()?;
    Ok(Assets {
        etcd: go::etcd().build(&cache, progress)?,
        kube_apiserver: go::kubernetes("k8s.io/kubernetes/cmd/kube-apiserver").build(&cache, progress)?,
    })
}

/// The definitions of Seldon's, Istio's and the Gateway API's kinds as YAML files, from the cache or from the Go modules that carry them.
///
/// # Errors
/// When they are not cached and Go is not there, or a module is not the one that was pinned.
pub fn crds(progress: &dyn Fn(&str)) -> Result<Vec<PathBuf>> {
    go::definitions(&cache()?, progress)
}

fn in_folder(folder: &Path) -> Option<Assets> {
    let assets = Assets {
        etcd: folder.join("etcd"),
        kube_apiserver: folder.join("kube-apiserver"),
    };
    (is_program(&assets.etcd) && is_program(&assets.kube_apiserver)).then_some(assets)
}

/// Where a program is on `PATH`.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?)
        .map(|folder| folder.join(program))
        // The servers run in a folder of their own, where a relative entry of PATH means something else.
        .find(|path| path.is_absolute() && is_program(path))
}

fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

fn from_setup_envtest(progress: &dyn Fn(&str)) -> Option<Assets> {
    let tool = on_path("setup-envtest")?;
    let output = Command::new(tool).args(["use", "-p", "path", "1.34.x"]).output().ok()?;
    let folder = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let found = Some(folder)
        .filter(|_| output.status.success())
        .and_then(|folder| in_folder(Path::new(&folder)));
    if found.is_none() {
        progress("setup-envtest has no Kubernetes 1.34 and cannot download it; building from Go modules instead");
    }
    found
}

/// Installs packages of Debian or Ubuntu, as root.
///
/// # Errors
/// When they cannot be installed; the text says what to type.
pub(crate) fn install(packages: &[&str], progress: &dyn Fn(&str)) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let line = format!("apt-get install --no-install-recommends {}", packages.join(" "));
    progress(&format!("installing what this machine lacks: {}", packages.join(" ")));
    let apt = |arguments: &[&str]| {
        Command::new("apt-get")
            .args(["--yes", "--quiet"])
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("there is no apt-get on this machine; install what this would: {line}"))
    };
    let mut arguments = vec!["install", "--no-install-recommends"];
    arguments.extend(packages);
    // A new machine has no lists of packages yet, and an old one may have lists of packages that are gone.
    if !apt(&arguments)?.status.success() {
        apt(&["update"])?;
        let output = apt(&arguments)?;
        ensure!(
            output.status.success(),
            "these packages cannot be installed; type, as root: apt-get update && {line}\n{}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}

/// Where built programs are kept, outside the repository so that every clone shares them.
///
/// # Errors
/// There is no home to keep them in, or it cannot be written.
pub fn cache() -> Result<PathBuf> {
    let base = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        // The XDG specification: a relative path there is to be ignored.
        .filter(|folder| folder.is_absolute())
        .or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")))
        .context("neither HOME nor XDG_CACHE_HOME is set, so there is no place to build in; set HOME")?;
    let folder = base.join("seldon-model-site");
    fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    Ok(folder)
}
