//! Where the hook tools' executable is.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use anyhow::{Context as _, Result, ensure};

use crate::hooktool::{PROTOCOL, PROTOCOL_QUESTION};

/// The `site` executable, which is every hook tool when called by a tool's name.
///
/// For `site` itself that is the running executable. A test finds the one of its own profile in the target directory,
/// and builds it with cargo where it is missing or of another protocol, which happens once for each process.
///
/// # Errors
/// It is not there and cannot be built.
pub fn tool_client() -> Result<PathBuf> {
    static FOUND: Mutex<Option<PathBuf>> = Mutex::new(None);
    // Held while it is looked for: tests that begin at the same time wait for one build instead of starting one each.
    let mut found = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(client) = &*found {
        return Ok(client.clone());
    }
    let client = find()?;
    *found = Some(client.clone());
    Ok(client)
}

fn find() -> Result<PathBuf> {
    let running = std::env::current_exe().context("cannot tell where the running executable is")?;
    if running.file_stem().is_some_and(|name| name == "site") {
        return Ok(running);
    }
    let built = Built::around(&running).with_context(|| {
        format!(
            "{} is in no target directory of cargo, so the hook tools cannot be found beside it",
            running.display()
        )
    })?;
    let client = built.profile_directory.join("site");
    if !fits(&client) {
        built.cargo(&["--package", "site", "--bin", "site"])?;
    }
    ensure!(
        fits(&client),
        "{} is no executable of this site; build it: cargo build --package site",
        client.display()
    );
    Ok(client)
}

/// The charm's binary, `dispatch`, of the same cargo target directory and profile as the running executable, built anew
/// where its sources are there.
///
/// # Errors
/// It cannot be built, or the running executable is in no target directory and has none beside it.
pub fn dispatch_binary() -> Result<PathBuf> {
    binary(
        "seldon-model",
        "dispatch",
        "say where the charm's binary is: --dispatch <path>",
    )
}

/// The `site` executable, likewise, for those who type its commands. One that is newer than its sources is taken as it is:
/// built by itself it has other features than with the tests, and that takes a minute.
///
/// # Errors
/// As [`dispatch_binary`].
pub fn site_binary() -> Result<PathBuf> {
    let built = std::env::current_exe().ok().and_then(|running| Built::around(&running));
    let there = built.map(|built| built.profile_directory.join("site"));
    if let Some(there) =
        there.filter(|there| modified(there) > workspace().ok().and_then(|root| newest(&root.join("site/src"))))
    {
        return Ok(there);
    }
    binary("site", "site", "build it: cargo build --package site")
}

fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).ok()?.modified().ok()
}

/// When a file in a directory, or below it, was last changed.
fn newest(directory: &Path) -> Option<SystemTime> {
    let entries = std::fs::read_dir(directory).ok()?.flatten();
    let of = |entry: std::fs::DirEntry| {
        let path = entry.path();
        if path.is_dir() { newest(&path) } else { modified(&path) }
    };
    entries.filter_map(of).max()
}

fn binary(package: &str, name: &str, otherwise: &str) -> Result<PathBuf> {
    let running = std::env::current_exe().context("cannot tell where the running executable is")?;
    if let Some(built) =
        Built::around(&running).filter(|_| workspace().is_ok_and(|root| root.join("Cargo.toml").exists()))
    {
        built.cargo(&["--package", package, "--bin", name])?;
        return Ok(built.profile_directory.join(name));
    }
    let beside = running.with_file_name(name);
    ensure!(
        beside.exists(),
        "there is no {name} beside {}; {otherwise}",
        running.display()
    );
    Ok(beside)
}

/// The root of the workspace this was built from, which is also the charm's directory.
///
/// # Errors
/// The site was built outside a workspace.
pub fn workspace() -> Result<&'static Path> {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("the site is in no workspace")
}

/// Whether an executable is a `site` that speaks our protocol.
fn fits(client: &Path) -> bool {
    let asked = Command::new(client)
        .arg(PROTOCOL_QUESTION)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    asked.is_ok_and(|answer| answer.status.success() && answer.stdout == PROTOCOL.as_bytes())
}

/// Whether cargo builds in a directory. The first file it leaves only in a directory that it made itself.
fn is_target_directory(directory: &Path) -> bool {
    ["CACHEDIR.TAG", ".rustc_info.json"]
        .iter()
        .any(|mark| directory.join(mark).exists())
}

/// A cargo target directory, seen from an executable in it.
struct Built {
    /// `target/debug`, or `target/<triple>/debug`.
    profile_directory: PathBuf,
    profile: String,
    triple: Option<String>,
    target_directory: PathBuf,
}

impl Built {
    /// The target directory around `target/[<triple>/]<profile>/[deps|examples/]<executable>`.
    fn around(executable: &Path) -> Option<Self> {
        let mut profile_directory = executable.parent()?;
        if profile_directory.file_name()? == "deps" || profile_directory.file_name()? == "examples" {
            profile_directory = profile_directory.parent()?;
        }
        let name = |path: &Path| Some(path.file_name()?.to_str()?.to_owned());
        let above = profile_directory.parent()?;
        let (triple, target_directory) = if is_target_directory(above) {
            (None, above)
        } else {
            (Some(name(above)?), above.parent()?)
        };
        if !is_target_directory(target_directory) {
            return None;
        }
        Some(Self {
            profile: match name(profile_directory)?.as_str() {
                "debug" => "dev".to_owned(),
                other => other.to_owned(),
            },
            profile_directory: profile_directory.to_owned(),
            triple,
            target_directory: target_directory.to_owned(),
        })
    }

    /// Builds something of the workspace into this directory, in the same profile.
    fn cargo(&self, what: &[&str]) -> Result<()> {
        // Cargo tells its children which one it is; the name alone finds the user's.
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command
            .current_dir(workspace()?)
            .args(["build", "--quiet", "--profile", &self.profile])
            .args(what)
            .arg("--target-dir")
            .arg(&self.target_directory)
            .stdin(Stdio::null());
        if let Some(triple) = &self.triple {
            command.args(["--target", triple]);
        }
        let shown = format!("cargo build {}", what.join(" "));
        let ended = command
            .status()
            .with_context(|| format!("cannot run {shown}; is cargo installed?"))?;
        ensure!(ended.success(), "{shown} failed, see above");
        Ok(())
    }
}
