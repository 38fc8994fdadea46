//! What a node's programs hold in memory.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

/// Each program that runs in the node, by the name it was called by, and the bytes that all its processes hold: of what
/// several processes share, each its part (proc(5), `smaps_rollup`, Pss).
///
/// # Errors
/// When the node's first process has ended.
pub(super) fn of(init: u32) -> Result<Vec<(String, u64)>> {
    let processes = |pid: &str| fs::read_link(Path::new("/proc").join(pid).join("ns/net"));
    // Containers have process namespaces of their own, but control groups and parents in the node's: each is a
    // descendant of its first process.
    let node = init.to_string();
    processes(&node).context("the node has ended")?;
    let parents: BTreeMap<String, String> = fs::read_dir("/proc")?
        .flatten()
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.to_owned();
            pid.parse::<u32>().ok()?;
            Some((pid.clone(), parent(&pid)?))
        })
        .collect();
    let mut all = BTreeMap::new();
    for pid in parents.keys() {
        let mut of = pid;
        while let Some(parent) = parents.get(of)
            && *of != node
        {
            of = parent;
        }
        // What entered the node has its parent outside, but the kernel counts it to the node's processes.
        if (*of == node || is_inside(pid, &node))
            && let (Some(name), Some(bytes)) = (name(pid), held(pid))
        {
            *all.entry(name).or_insert(0) += bytes;
        }
    }
    Ok(all.into_iter().collect())
}

fn parent(pid: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = text.rsplit_once(')')?;
    fields.split_ascii_whitespace().nth(1).map(str::to_owned)
}

fn is_inside(pid: &str, node: &str) -> bool {
    let of = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    of(pid).is_some_and(|namespace| Some(namespace) == of(node))
}

/// What a person would call it: the program, or the script that an interpreter runs.
fn name(pid: &str) -> Option<String> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let line = String::from_utf8_lossy(&line).into_owned();
    let words = line.split(['\0', ' ']).filter(|word| !word.is_empty());
    let mut names = words.map(|word| word.rsplit('/').next().unwrap_or(word).to_owned());
    let first = names.next()?;
    if first.starts_with("python") {
        return names.find(|word| !word.starts_with('-')).or(Some(first));
    }
    Some(first)
}

fn held(pid: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kibibytes: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    kibibytes.checked_mul(1024)
}
