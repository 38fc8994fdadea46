//! The control groups of a node's pods: one tree of its own, named after the node.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// Where the kernel shows them.
const ROOT: &str = "/sys/fs/cgroup";
/// The trees of all nodes begin like this, and end in a node's number.
const PREFIX: &str = "seldon-model-site-";
/// How long the kernel may take to collect the processes that were in them.
const WAIT: Duration = Duration::from_secs(20);
/// Between two attempts.
const POLL: Duration = Duration::from_millis(50);

/// The name of a node's tree.
pub(super) fn name(id: u32) -> String {
    format!("{PREFIX}{id}")
}

/// Makes it under each controller, or once where there is one tree for all (cgroup v2).
///
/// # Errors
/// When the machine's owner does not allow it.
pub(super) fn make(id: u32) -> Result<()> {
    for controller in controllers()? {
        let tree = controller.join(name(id));
        fs::create_dir_all(&tree).with_context(|| format!("{} cannot be made", tree.display()))?;
        // Pods of all models together shall not have less than one program outside.
        for (file, weight) in [("cpu.shares", "4096"), ("cpu.weight", "400")] {
            let file = tree.join(file);
            if file.exists() {
                fs::write(&file, weight).with_context(|| format!("{} cannot be written", file.display()))?;
            }
        }
        // A new cpuset of version 1 has no processor and no memory, and neither has any below it.
        for file in ["cpuset.cpus", "cpuset.mems"] {
            let (of, to) = (controller.join(file), tree.join(file));
            if of.exists() && to.exists() {
                let value = fs::read_to_string(&of).with_context(|| format!("{} cannot be read", of.display()))?;
                fs::write(&to, value.trim()).with_context(|| format!("{} cannot be written", to.display()))?;
            }
        }
    }
    Ok(())
}

/// Whether a tree can be made. Removes those of nodes that are no more.
///
/// # Errors
/// Why not: many containers show control groups that cannot be changed.
pub(super) fn probe() -> Result<()> {
    sweep()?;
    for controller in controllers()? {
        let tree = controller.join(name(std::process::id()));
        fs::create_dir_all(&tree).with_context(|| format!("{} cannot be made", tree.display()))?;
        fs::remove_dir(&tree).with_context(|| format!("{} cannot be removed", tree.display()))?;
    }
    Ok(())
}

/// Removes a node's tree, when its processes have ended.
///
/// # Errors
/// When there are processes in it still.
pub(super) fn remove(id: u32) -> Result<()> {
    let start = Instant::now();
    for controller in controllers()? {
        let tree = controller.join(name(id));
        while tree.exists() && !remove_tree(&tree) {
            if start.elapsed() > WAIT {
                bail!("{} cannot be removed: it has processes in it", tree.display());
            }
            thread::sleep(POLL);
        }
    }
    Ok(())
}

/// Removes those of nodes that are no more: they hold no process, but a killed command could not remove them.
///
/// # Errors
/// When the machine has none at all.
pub(super) fn sweep() -> Result<()> {
    for controller in controllers()? {
        for tree in folders(&controller) {
            let id = tree.file_name().and_then(|name| name.to_str()?.strip_prefix(PREFIX));
            if id.is_some_and(|id| !Path::new("/proc").join(id).exists()) {
                remove_tree(&tree);
            }
        }
    }
    Ok(())
}

/// Whether it is gone, with all below it.
fn remove_tree(tree: &Path) -> bool {
    folders(tree).iter().all(|below| remove_tree(below)) && fs::remove_dir(tree).is_ok()
}

fn folders(of: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(of).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

/// The folders that stand for a controller each, one of version 2 beside them if there is one, or version 2 alone.
///
/// # Errors
/// When there is none.
fn controllers() -> Result<Vec<PathBuf>> {
    let root = PathBuf::from(ROOT);
    if root.join("cgroup.controllers").exists() {
        return Ok(vec![root]);
    }
    let all: Vec<PathBuf> = folders(&root)
        .into_iter()
        .filter(|folder| folder.join("cgroup.procs").exists())
        .collect();
    if all.is_empty() {
        bail!("{ROOT} shows no control groups, and the pods of a node need them");
    }
    Ok(all)
}
