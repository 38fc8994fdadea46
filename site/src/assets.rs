//! The programs and definitions that the site is made of: found where they are, built from Go modules where not.
//!
//! Nothing of other people's is in this repository; versions and checksums are, in the folder `go`.

mod go;

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, anyhow};

/// The Kubernetes that is built: one that sites run today.
pub const KUBERNETES: &str = "1.34.4";
/// The etcd that is built: the last 3.6 that the Go that Kubernetes asks for builds as well.
pub const ETCD: &str = "3.6.8";

/// The two programs of a Kubernetes API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assets {
    /// etcd.
    pub etcd: PathBuf,
    /// kube-apiserver.
    pub kube_apiserver: PathBuf,
}

/// Finds both programs: in `KUBEBUILDER_ASSETS`, on `PATH`, through `setup-envtest`, in the cache, or by building them
/// into the cache, which takes some minutes and is said through `say`. The cache is `seldon-model-site` in
/// `XDG_CACHE_HOME` or `~/.cache`.
///
/// # Errors
/// When a program is nowhere and cannot be built; the text says what to install.
pub fn find(say: &dyn Fn(&str)) -> Result<Assets> {
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
    if let Some(assets) = from_setup_envtest(say) {
        return Ok(assets);
    }
    let cache = cache()?;
    Ok(Assets {
        etcd: go::etcd().build(&cache, say)?,
        kube_apiserver: go::kube_apiserver().build(&cache, say)?,
    })
}

/// The definitions of Seldon's and Istio's kinds as YAML files, from the cache or from the Go modules that carry them.
///
/// # Errors
/// When they are not cached and Go is not there, or a module is not the one that was pinned.
pub fn crds(say: &dyn Fn(&str)) -> Result<Vec<PathBuf>> {
    go::definitions(&cache()?, say)
}

fn in_folder(folder: &Path) -> Option<Assets> {
    let assets = Assets {
        etcd: folder.join("etcd"),
        kube_apiserver: folder.join("kube-apiserver"),
    };
    (is_program(&assets.etcd) && is_program(&assets.kube_apiserver)).then_some(assets)
}

fn on_path(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?)
        .map(|folder| folder.join(program))
        // The servers run in a folder of their own, where a relative entry of PATH means something else.
        .find(|path| path.is_absolute() && is_program(path))
}

fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

fn from_setup_envtest(say: &dyn Fn(&str)) -> Option<Assets> {
    let tool = on_path("setup-envtest")?;
    let output = Command::new(tool).args(["use", "-p", "path", "1.34.x"]).output().ok()?;
    let folder = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let found = Some(folder)
        .filter(|_| output.status.success())
        .and_then(|folder| in_folder(Path::new(&folder)));
    if found.is_none() {
        say("setup-envtest has no Kubernetes 1.34 and cannot download it; building from Go modules instead");
    }
    found
}

/// Where built programs are kept, outside the repository so that every clone shares them.
fn cache() -> Result<PathBuf> {
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
