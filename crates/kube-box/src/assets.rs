//! The programs and definitions that the site is made of: found where they are, else taken from their releases, else built
//! from Go modules.
//!
//! Nothing of other people's is in this repository; versions and checksums are, in the folder `go`.

mod go;
mod releases;

pub(crate) use go::{goarch, lock_as};
pub use releases::ENVTEST;

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result, anyhow, ensure};

use self::go::Program;
use crate::build_plan::{self, Load, Part, Progress};

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

/// The packages of the programs.
const APISERVER: &str = "k8s.io/kubernetes/cmd/kube-apiserver";
const MANAGER: &str = "k8s.io/kubernetes/cmd/kube-controller-manager";
const SCHEDULER: &str = "k8s.io/kubernetes/cmd/kube-scheduler";
const PROXY: &str = "k8s.io/kubernetes/cmd/kube-proxy";
const KUBELET: &str = "k8s.io/kubernetes/cmd/kubelet";
const PILOT_DISCOVERY: &str = "istio.io/istio/pilot/cmd/pilot-discovery";
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
    /// The fake of Seldon Core's executor.
    pub executor: PathBuf,
}

/// The names of the parts that others need.
pub(crate) const ISTIO_PROGRAMS: &str = "Istio";
pub(crate) const OPERATOR: &str = "Seldon Core's operator";
pub(crate) const EXECUTOR: &str = "the executor";
const API_DOWNLOAD: &str = "download of etcd and kube-apiserver";
const NODE_DOWNLOAD: &str = "download of the Kubernetes node";
const ISTIO_DOWNLOAD: &str = "download of Istio";
const OPERATOR_DOWNLOAD: &str = "download of Seldon Core's operator";

fn node_sources() -> [Program; 4] {
    [MANAGER, SCHEDULER, PROXY, KUBELET].map(go::kubernetes)
}

fn istio_sources() -> [Program; 2] {
    [PILOT_DISCOVERY, PILOT_AGENT].map(go::istio)
}

fn all_cached(programs: &[Program], cache: &Path) -> bool {
    programs.iter().all(|program| program.cached(cache).is_some())
}

/// What is missing of the two programs of [`Assets`].
///
/// # Errors
/// When the environment names a folder that does not have them, or there is no place for a cache.
pub fn api_parts(progress: Progress<'_>) -> Result<Vec<Part<'_>>> {
    if existing(progress)?.is_some() {
        return Ok(Vec::new());
    }
    let cache = cache()?;
    let download = {
        let cache = cache.clone();
        move || {
            if releases::envtest().fetch(&cache, progress) {
                return Ok(());
            }
            go::download(&[go::etcd()], &cache, progress)?;
            go::download(&[go::kubernetes(APISERVER)], &cache, progress)
        }
    };
    let build = |program: Program| {
        let cache = cache.clone();
        move || match released(&cache) {
            Some(_) => Ok(()),
            None => go::build(&[program], &cache, progress),
        }
    };
    Ok(vec![
        Part::new(API_DOWNLOAD, &[], Load::Network, download),
        Part::new(
            "kube-apiserver",
            &[API_DOWNLOAD],
            Load::Processors,
            build(go::kubernetes(APISERVER)),
        ),
        Part::new("etcd", &[API_DOWNLOAD], Load::Processors, build(go::etcd())),
    ])
}

/// What is missing of [`NodePrograms`].
///
/// # Errors
/// When there is no place for a cache.
pub fn node_parts(progress: Progress<'_>) -> Result<Vec<Part<'_>>> {
    let cache = cache()?;
    if all_cached(&node_sources(), &cache) {
        return Ok(Vec::new());
    }
    let download = {
        let cache = cache.clone();
        move || {
            if releases::kubernetes().fetch(&cache, progress) {
                return Ok(());
            }
            go::download(&node_sources(), &cache, progress)
        }
    };
    Ok(vec![
        Part::new(NODE_DOWNLOAD, &[], Load::Network, download),
        Part::new(
            "kubelet, kube-controller-manager, kube-scheduler, kube-proxy",
            &[NODE_DOWNLOAD],
            Load::Processors,
            move || go::build(&node_sources(), &cache, progress),
        ),
    ])
}

/// What is missing of [`PodPrograms`].
///
/// # Errors
/// When there is no place for a cache.
pub fn pod_parts(progress: Progress<'_>) -> Result<Vec<Part<'_>>> {
    let cache = cache()?;
    let download = |programs: Vec<Program>| {
        let cache = cache.clone();
        move || go::download(&programs, &cache, progress)
    };
    let build = |programs: Vec<Program>| {
        let cache = cache.clone();
        move || go::build(&programs, &cache, progress)
    };
    let mut parts = Vec::new();
    if !all_cached(&istio_sources(), &cache) {
        let programs = || Vec::from(istio_sources());
        parts.push(Part::new(ISTIO_DOWNLOAD, &[], Load::Network, download(programs())));
        parts.push(Part::new(
            ISTIO_PROGRAMS,
            &[ISTIO_DOWNLOAD],
            Load::Processors,
            build(programs()),
        ));
    }
    if !all_cached(&[go::seldon_operator()], &cache) {
        let programs = || vec![go::seldon_operator()];
        parts.push(Part::new(OPERATOR_DOWNLOAD, &[], Load::Network, download(programs())));
        parts.push(Part::new(
            OPERATOR,
            &[OPERATOR_DOWNLOAD],
            Load::Processors,
            build(programs()),
        ));
    }
    if !all_cached(&[go::executor_stand_in()], &cache) {
        let programs = vec![go::executor_stand_in()];
        parts.push(Part::new(EXECUTOR, &[], Load::Processors, build(programs)));
    }
    Ok(parts)
}

/// What is missing of [`crds`].
///
/// # Errors
/// When there is no place for a cache.
pub fn crd_parts(progress: Progress<'_>) -> Result<Vec<Part<'_>>> {
    let cache = cache()?;
    if go::cached_definitions(&cache).is_some() {
        return Ok(Vec::new());
    }
    let name = "the custom resource definitions";
    Ok(vec![Part::new(name, &[], Load::Network, move || {
        go::definitions(&cache, progress).map(drop)
    })])
}

/// The programs of a node, built first where the cache has none.
///
/// # Errors
/// As [`find`].
pub fn node_programs(progress: Progress<'_>) -> Result<NodePrograms> {
    build_plan::run(node_parts(progress)?, progress)?;
    let cache = cache()?;
    Ok(NodePrograms {
        controller_manager: cached(&go::kubernetes(MANAGER), &cache)?,
        scheduler: cached(&go::kubernetes(SCHEDULER), &cache)?,
        proxy: cached(&go::kubernetes(PROXY), &cache)?,
        kubelet: cached(&go::kubernetes(KUBELET), &cache)?,
    })
}

/// The programs that run in pods, where the cache has them.
///
/// # Errors
/// When it lacks one.
pub(crate) fn pod_programs() -> Result<PodPrograms> {
    let cache = cache()?;
    Ok(PodPrograms {
        istiod: cached(&go::istio(PILOT_DISCOVERY), &cache)?,
        pilot_agent: cached(&go::istio(PILOT_AGENT), &cache)?,
        operator: cached(&go::seldon_operator(), &cache)?,
        executor: cached(&go::executor_stand_in(), &cache)?,
    })
}

fn cached(program: &Program, cache: &Path) -> Result<PathBuf> {
    program
        .cached(cache)
        .with_context(|| format!("{} has no {}", cache.display(), program.name()))
}

/// promtool, which checks and tests rules as Prometheus reads them, built where the cache does not have it.
///
/// # Errors
/// As [`find`].
pub fn promtool(progress: Progress<'_>) -> Result<PathBuf> {
    alone(PROMTOOL, progress)
}

/// Prometheus, built where the cache does not have it.
///
/// # Errors
/// As [`find`].
pub fn prometheus(progress: Progress<'_>) -> Result<PathBuf> {
    alone("github.com/prometheus/prometheus/cmd/prometheus", progress)
}

/// A program of Prometheus' module, which no site needs.
fn alone(package: &'static str, progress: Progress<'_>) -> Result<PathBuf> {
    let cache = cache()?;
    let program = go::prometheus(package);
    if program.cached(&cache).is_none() {
        let build = || go::build(&[go::prometheus(package)], &cache, progress);
        build_plan::run(vec![Part::new(program.name(), &[], Load::Processors, build)], progress)?;
    }
    cached(&program, &cache)
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

/// The same file, where the cache has it.
pub(crate) fn cached_module_file(of: Sources, file: &str) -> Option<Vec<u8>> {
    go::cached_module_file(&cache().ok()?, of, file)
}

/// Finds both programs: in `KUBEBUILDER_ASSETS`, on `PATH`, through `setup-envtest` or in the cache; else brings them into
/// the cache, from their release where the Internet is reachable, or by building them, which takes some minutes. The cache
/// is `seldon-model-site` in `XDG_CACHE_HOME` or `~/.cache`.
///
/// # Errors
/// When a program is nowhere and cannot be built; the text says what to install.
pub fn find(progress: Progress<'_>) -> Result<Assets> {
    build_plan::run(api_parts(progress)?, progress)?;
    existing(&|_| ())?.context("etcd and kube-apiserver were built, but are not in the cache")
}

/// Both programs, where nothing has to be downloaded or built for them.
fn existing(progress: Progress<'_>) -> Result<Option<Assets>> {
    if let Some(folder) = env::var_os("KUBEBUILDER_ASSETS").filter(|folder| !folder.is_empty()) {
        let folder = PathBuf::from(folder);
        let found = in_folder(&folder).ok_or_else(|| {
            anyhow!(
                "KUBEBUILDER_ASSETS is {}, but there are no programs etcd and kube-apiserver; unset it to build them, or set it to what this prints: setup-envtest use -p path 1.34.x",
                folder.display()
            )
        });
        return found.map(Some);
    }
    if let (Some(etcd), Some(kube_apiserver)) = (on_path("etcd"), on_path("kube-apiserver")) {
        return Ok(Some(Assets { etcd, kube_apiserver }));
    }
    if let Some(assets) = from_setup_envtest(progress) {
        return Ok(Some(assets));
    }
    let cache = cache()?;
    let built = (go::etcd().cached(&cache), go::kubernetes(APISERVER).cached(&cache));
    if let (Some(etcd), Some(kube_apiserver)) = built {
        return Ok(Some(Assets { etcd, kube_apiserver }));
    }
    Ok(released(&cache))
}

/// Both programs of the release that the cache has.
fn released(cache: &Path) -> Option<Assets> {
    in_folder(&releases::envtest().folder(cache))
}

/// The definitions of Seldon's, Istio's and the Gateway API's kinds as YAML files, from the cache or from the Go modules that carry them.
///
/// # Errors
/// When they are not cached and Go is not there, or a module is not the one that was pinned.
pub fn crds(progress: Progress<'_>) -> Result<Vec<PathBuf>> {
    build_plan::run(crd_parts(progress)?, progress)?;
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
pub fn on_path(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?)
        .map(|folder| folder.join(program))
        // The servers run in a folder of their own, where a relative entry of PATH means something else.
        .find(|path| path.is_absolute() && is_program(path))
}

fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

fn from_setup_envtest(progress: Progress<'_>) -> Option<Assets> {
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
pub fn install(packages: &[&str], progress: Progress<'_>) -> Result<()> {
    /// Of two at once one would find the packages locked.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    if packages.is_empty() {
        return Ok(());
    }
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
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
