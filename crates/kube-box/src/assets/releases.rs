//! Programs as their projects release them: minutes less than building them, where the Internet is reachable.
//!
//! Only what can be pinned by a checksum that its project keeps in its repository. Istio and Seldon Core release their
//! programs in container images alone, and Seldon's executor is a fake here: these are built.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context as _, Result, ensure};
use ring::digest::SHA512;

use super::go::{Program, goarch, lock};
use super::{KUBERNETES, node_sources};
use crate::build_plan::Progress;
use crate::digest;

/// The Kubernetes of setup-envtest's archives nearest to [`KUBERNETES`]: they come for the first versions of each minor.
pub const ENVTEST: &str = "1.34.1";
/// From `envtest-releases.yaml` of kubernetes-sigs/controller-tools, at commit 434758187ddd.
const ENVTEST_SUMS: Sums = [
    (
        "amd64",
        "c5e7c237ae18a8c65d0df1214b864ecd19aa9ff4f1383dbd477c202546d778c0f74efe15750ec38f57d8de26ba17cd62f404446cdd3c975399a5d4589de35cdd",
    ),
    (
        "arm64",
        "bf13d2456183e66d084e28e1c9eed6a408fb77a06d8d1fd0461a7d9bc0c90b63d29ea67870b28f80d1f992acb026007d6f43987753c859c81d6a78bc1ca2c903",
    ),
];
/// Those of `kubernetes-server-linux-<arch>.tar.gz`, from `CHANGELOG/CHANGELOG-1.34.md` of kubernetes/kubernetes.
const KUBERNETES_SUMS: Sums = [
    (
        "amd64",
        "65c75e81e3ea488f6d42b493cad64d7577ddfa1e5372037a1c841ac069039997d359b5b2f2d44e7665bf04c48ed0065cf9d4c9801b1e63bb6a1b099ef00d4863",
    ),
    (
        "arm64",
        "a1fad7060ed67b5634f32f3256a295179dd887dab5c82b8550c2eb62c69df34cfbb311c8f93e7608d558eba32b9e2ddc23976db39e512fd747cc6bf9b4c1765f",
    ),
];
/// How long a server may take to be reached, in seconds, before the programs are built instead.
const CONNECT: &str = "3";
/// A download slower than so many bytes a second, for so many seconds, takes longer than building.
const SLOWEST: (&str, &str) = ("500000", "10");

/// SHA-512 by architecture.
type Sums = [(&'static str, &'static str); 2];

/// An archive with programs.
pub(super) struct Release {
    /// What it is, and its folder in the cache.
    name: String,
    address: String,
    sum: Option<&'static str>,
    /// Where the programs are in the archive.
    path: &'static str,
    programs: Vec<&'static str>,
    /// The same programs where they are built: these then count as built.
    built: Vec<Program>,
}

/// etcd and kube-apiserver.
pub(super) fn envtest() -> Release {
    Release {
        name: format!("envtest-{ENVTEST}"),
        address: format!(
            "https://github.com/kubernetes-sigs/controller-tools/releases/download/envtest-v{ENVTEST}/envtest-v{ENVTEST}-linux-{}.tar.gz",
            goarch()
        ),
        sum: sum(ENVTEST_SUMS),
        path: "controller-tools/envtest",
        programs: vec!["etcd", "kube-apiserver"],
        built: Vec::new(),
    }
}

/// The programs of a node.
pub(super) fn kubernetes() -> Release {
    let built = Vec::from(node_sources());
    Release {
        name: format!("kubernetes-server-{KUBERNETES}"),
        address: format!(
            "https://dl.k8s.io/v{KUBERNETES}/kubernetes-server-linux-{}.tar.gz",
            goarch()
        ),
        sum: sum(KUBERNETES_SUMS),
        path: "kubernetes/server/bin",
        programs: built.iter().map(Program::name).collect(),
        built,
    }
}

fn sum(sums: Sums) -> Option<&'static str> {
    sums.iter()
        .find(|(architecture, _)| *architecture == goarch())
        .map(|(_, sum)| *sum)
}

impl Release {
    /// Its folder in the cache.
    pub(super) fn folder(&self, cache: &Path) -> PathBuf {
        cache.join(format!("{}-{}", self.name, goarch()))
    }

    /// Brings the programs into the cache. False where they have to be built instead.
    pub(super) fn fetch(&self, cache: &Path, progress: Progress<'_>) -> bool {
        /// Asked once in a run, so that a machine without Internet loses three seconds and not three for each archive.
        static REACHABLE: OnceLock<bool> = OnceLock::new();
        let Some(sum) = self.sum else {
            return false;
        };
        let reachable = *REACHABLE.get_or_init(|| {
            let reachable = is_reachable(&self.address);
            if !reachable {
                progress("released programs cannot be downloaded here; building from Go modules instead");
            }
            reachable
        });
        if !reachable {
            return false;
        }
        let fetched = self.try_fetch(sum, cache, progress);
        if let Err(why) = &fetched {
            progress(&format!("{} cannot be used, building instead: {why:#}", self.address));
        }
        fetched.is_ok()
    }

    fn try_fetch(&self, sum: &str, cache: &Path, progress: Progress<'_>) -> Result<()> {
        let folder = self.folder(cache);
        fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        let _lock = lock(&folder, &self.name, progress)?;
        // Another process may have brought them meanwhile.
        let there = |name: &&str| match self.built(name) {
            Some(program) => program.cached(cache).is_some(),
            None => folder.join(name).is_file(),
        };
        if self.programs.iter().all(there) {
            return Ok(());
        }
        let archive = folder.join("archive.tar.gz");
        let fetched = self
            .download(sum, &archive)
            .and_then(|()| self.unpack(&archive, &folder, cache));
        // Large, and of no use once it is unpacked, or when it is another than was pinned.
        let _ = fs::remove_file(&archive);
        fetched
    }

    fn built(&self, name: &str) -> Option<&Program> {
        self.built.iter().find(|program| program.name() == name)
    }

    fn download(&self, sum: &str, archive: &Path) -> Result<()> {
        curl(
            &["--speed-limit", SLOWEST.0, "--speed-time", SLOWEST.1],
            &self.address,
            archive,
        )?;
        let found = digest::of_file(&SHA512, archive)?;
        ensure!(found == sum, "its SHA-512 is {found} instead of {sum}");
        Ok(())
    }

    fn unpack(&self, archive: &Path, folder: &Path, cache: &Path) -> Result<()> {
        let partial = folder.join("partial");
        if partial.exists() {
            fs::remove_dir_all(&partial).with_context(|| format!("{} cannot be removed", partial.display()))?;
        }
        fs::create_dir(&partial).with_context(|| format!("{} cannot be made", partial.display()))?;
        let output = Command::new("tar")
            .args(["--extract", "--gzip", "--no-same-owner", "--file"])
            .arg(archive)
            .arg("--directory")
            .arg(&partial)
            .args(self.programs.iter().map(|program| format!("{}/{program}", self.path)))
            .output()
            .context("tar cannot be started")?;
        ensure!(
            output.status.success(),
            "tar failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        for name in &self.programs {
            let place = match self.built(name) {
                Some(program) => program.place(cache)?,
                None => folder.join(name),
            };
            fs::rename(partial.join(self.path).join(name), &place)
                .with_context(|| format!("{} cannot be made", place.display()))?;
        }
        fs::remove_dir_all(&partial).with_context(|| format!("{} cannot be removed", partial.display()))
    }
}

fn is_reachable(address: &str) -> bool {
    curl(&["--head", "--max-time", "5"], address, Path::new("/dev/null")).is_ok()
}

fn curl(options: &[&str], address: &str, to: &Path) -> Result<()> {
    let output = Command::new("curl")
        .args([
            "--fail",
            "--silent",
            "--show-error",
            "--location",
            "--connect-timeout",
            CONNECT,
        ])
        .args(options)
        .arg("--output")
        .arg(to)
        .arg(address)
        .stdin(Stdio::null())
        .output()
        .context("curl cannot be started")?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A release of two programs as an archive on this machine, and a cache.
    fn released(folder: &Path, sum: Option<&'static str>) -> (Release, PathBuf) {
        let bin = folder.join("controller-tools/envtest");
        fs::create_dir_all(&bin).unwrap();
        for program in ["etcd", "kube-apiserver", "kubectl"] {
            fs::write(bin.join(program), program).unwrap();
        }
        let archive = folder.join("released.tar.gz");
        let packed = Command::new("tar")
            .args(["--create", "--gzip", "--file"])
            .arg(&archive)
            .arg("--directory")
            .arg(folder)
            .arg("controller-tools")
            .status();
        assert!(packed.unwrap().success());
        let sum = sum.unwrap_or_else(|| digest::of_file(&SHA512, &archive).unwrap().leak());
        let release = Release {
            address: format!("file://{}", archive.display()),
            sum: Some(sum),
            ..envtest()
        };
        (release, folder.join("cache"))
    }

    #[test]
    fn a_release_is_unpacked_into_the_cache() {
        let folder = tempfile::tempdir().unwrap();
        let (release, cache) = released(folder.path(), None);
        assert!(release.fetch(&cache, &|line| panic!("{line}")));
        let mut names: Vec<_> = fs::read_dir(release.folder(&cache)).unwrap().flatten().collect();
        names.sort_by_key(fs::DirEntry::file_name);
        let names: Vec<_> = names.iter().map(fs::DirEntry::file_name).collect();
        assert_eq!(names, ["etcd", "kube-apiserver", "lock"]);
    }

    #[test]
    fn a_release_with_another_checksum_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let (release, cache) = released(folder.path(), Some("00"));
        let said = std::sync::Mutex::new(String::new());
        assert!(!release.fetch(&cache, &|line| said.lock().unwrap().push_str(line)));
        let said = said.into_inner().unwrap();
        assert!(
            said.contains("building instead: its SHA-512 is ") && said.ends_with(" instead of 00"),
            "{said}"
        );
        assert!(!release.folder(&cache).join("etcd").exists());
        assert!(!release.folder(&cache).join("archive.tar.gz").exists());
    }
}
