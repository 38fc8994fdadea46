//! Where the site's and the charm's executables are.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context as _, Result, ensure};
use juju_sim::target_directory::{TargetDirectory, workspace};

/// The charm's binary, `dispatch`, of the same cargo target directory and profile as the running executable, built again
/// where its sources are there.
pub fn dispatch_binary() -> Result<PathBuf> {
    binary(
        "seldon-model",
        "dispatch",
        "say where the charm's binary is: --dispatch <path>",
    )
}

/// Whether there is such a binary, newer than its sources, or nothing to build it from.
pub fn dispatch_is_current() -> bool {
    let (Ok(target), Ok(root)) = (TargetDirectory::of_running(), workspace()) else {
        return true;
    };
    let sources = ["src", "crates/juju-hooks", "Cargo.lock"].map(|name| changed(&root.join(name)));
    modified(&target.executable("dispatch")) > sources.into_iter().flatten().max()
}

/// The `site` executable: the running one, or that of the same target directory. One that is newer than its sources is taken
/// as it is: built alone it has other features than with the tests, and that takes a minute.
pub fn site_binary() -> Result<PathBuf> {
    let running = running()?;
    if running.file_stem().is_some_and(|name| name == "site") {
        return Ok(running);
    }
    let built = TargetDirectory::of_running().ok();
    if let Some(built) = built.map(|target| target.executable("site"))
        && modified(&built) > workspace().ok().and_then(|root| changed(&root.join("crates")))
    {
        return Ok(built);
    }
    binary("site", "site", "build it: cargo build --package site")
}

fn running() -> Result<PathBuf> {
    std::env::current_exe().context("cannot locate the running executable")
}

fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).ok()?.modified().ok()
}

/// When a file, or one in a directory or below it, was last changed.
fn changed(path: &Path) -> Option<SystemTime> {
    if !path.is_dir() {
        return modified(path);
    }
    let entries = std::fs::read_dir(path).ok()?.flatten();
    entries.filter_map(|entry| changed(&entry.path())).max()
}

fn binary(package: &str, name: &str, otherwise: &str) -> Result<PathBuf> {
    if let Ok(target) = TargetDirectory::of_running()
        && workspace().is_ok_and(|root| root.join("Cargo.toml").exists())
    {
        return target.build(package, name);
    }
    let running = running()?;
    let sibling = running.with_file_name(name);
    ensure!(
        sibling.exists(),
        "there is no {name} next to {}; {otherwise}",
        running.display()
    );
    Ok(sibling)
}
