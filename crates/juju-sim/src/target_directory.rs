//! The cargo target directory that the running executable is in, where others of the same workspace are built.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

/// A cargo target directory, and what an executable in it was built for.
pub struct TargetDirectory {
    /// `target/debug`, or `target/<triple>/debug`.
    profile_directory: PathBuf,
    profile: String,
    triple: Option<String>,
    root: PathBuf,
}

impl TargetDirectory {
    /// Around the running executable, which is `target/[<triple>/]<profile>/[deps|examples/]<executable>`.
    pub fn of_running() -> Result<Self> {
        let running = std::env::current_exe().context("cannot locate the running executable")?;
        Self::around(&running).with_context(|| format!("{} is in no target directory of cargo", running.display()))
    }

    /// Where cargo builds the workspace unless told otherwise: an example of documentation runs from a temporary directory.
    pub fn of_workspace() -> Result<Self> {
        let named = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
        let root = workspace()?.join(named);
        Ok(Self {
            profile_directory: root.join("debug"),
            profile: "dev".to_owned(),
            triple: None,
            root,
        })
    }

    fn around(executable: &Path) -> Option<Self> {
        let mut profile_directory = executable.parent()?;
        if profile_directory.file_name()? == "deps" || profile_directory.file_name()? == "examples" {
            profile_directory = profile_directory.parent()?;
        }
        let name = |path: &Path| Some(path.file_name()?.to_str()?.to_owned());
        let parent = profile_directory.parent()?;
        let (triple, root) = if is_target_directory(parent) {
            (None, parent)
        } else {
            (Some(name(parent)?), parent.parent()?)
        };
        if !is_target_directory(root) {
            return None;
        }
        Some(Self {
            profile: match name(profile_directory)?.as_str() {
                "debug" => "dev".to_owned(),
                other => other.to_owned(),
            },
            profile_directory: profile_directory.to_owned(),
            triple,
            root: root.to_owned(),
        })
    }

    /// Where an executable of the same profile is, once it is built.
    pub fn executable(&self, name: &str) -> PathBuf {
        self.profile_directory.join(name)
    }

    /// Builds an executable of the workspace here, in the same profile.
    pub fn build(&self, package: &str, name: &str) -> Result<PathBuf> {
        // Cargo passes its own path to its children; the name alone finds the user's.
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command
            .current_dir(workspace()?)
            .args(["build", "--quiet", "--profile", &self.profile])
            .args(["--package", package, "--bin", name])
            .arg("--target-dir")
            .arg(&self.root)
            .stdin(Stdio::null());
        if let Some(triple) = &self.triple {
            command.args(["--target", triple]);
        }
        let shown = format!("cargo build --package {package} --bin {name}");
        let status = command
            .status()
            .with_context(|| format!("cannot run {shown}; is cargo installed?"))?;
        ensure!(status.success(), "{shown} failed, see above");
        Ok(self.executable(name))
    }
}

/// The root of the workspace this was built from, which is also the charm's directory.
pub fn workspace() -> Result<&'static Path> {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .context("juju-sim was built outside a workspace")
}

/// Whether cargo builds in a directory. Cargo leaves the first file only in a directory that it created itself.
fn is_target_directory(directory: &Path) -> bool {
    ["CACHEDIR.TAG", ".rustc_info.json"]
        .iter()
        .any(|name| directory.join(name).exists())
}
