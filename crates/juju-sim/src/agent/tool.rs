//! Where the hook tools' executable is.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::{Result, ensure};

use crate::hooktool::{PROTOCOL, PROTOCOL_QUESTION};
use crate::target_directory::TargetDirectory;

/// The `jujuc` executable of the same profile in the same target directory as the running one. It is built with cargo where
/// it is missing or of another protocol, at most once in each process.
pub fn jujuc() -> Result<PathBuf> {
    static FOUND: Mutex<Option<PathBuf>> = Mutex::new(None);
    // Held during the search: tests that begin at the same time wait for one build instead of starting one each.
    let mut found = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(client) = &*found {
        return Ok(client.clone());
    }
    let target = TargetDirectory::of_running().or_else(|_| TargetDirectory::of_workspace())?;
    let client = target.executable("jujuc");
    if !fits(&client) {
        target.build("juju-sim", "jujuc")?;
    }
    ensure!(
        fits(&client),
        "{} does not speak this protocol; build it: cargo build --package juju-sim",
        client.display()
    );
    *found = Some(client.clone());
    Ok(client)
}

/// Whether an executable is a `jujuc` that speaks our protocol.
fn fits(client: &Path) -> bool {
    let output = Command::new(client)
        .arg(PROTOCOL_QUESTION)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    output.is_ok_and(|output| output.status.success() && output.stdout == PROTOCOL.as_bytes())
}
