//! The site leaves nothing on the machine.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::fixture::{SOON, folder, until};

/// What a site could leave behind outside of its own folder.
fn machine() -> BTreeSet<String> {
    let said = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let mut all = BTreeSet::new();
    for (what, program, arguments) in [
        ("address", "ip", &["-o", "addr"][..]),
        ("namespace", "ip", &["netns", "list"]),
        ("rule", "iptables-save", &[]),
    ] {
        for line in said(program, arguments).lines().filter(|line| !line.starts_with('#')) {
            all.insert(format!("{what} {line}"));
        }
    }
    for line in fs::read_to_string("/proc/self/mountinfo").unwrap().lines() {
        all.insert(format!("mount {}", line.split(' ').nth(4).unwrap()));
    }
    for setting in [
        "vm/overcommit_memory",
        "kernel/panic",
        "kernel/panic_on_oops",
        "net/ipv4/ip_forward",
    ] {
        let value = fs::read_to_string(Path::new("/proc/sys").join(setting)).unwrap();
        all.insert(format!("setting {setting} = {}", value.trim()));
    }
    for line in said("find", &["/sys/fs/cgroup", "-name", "seldon-model-site-*"]).lines() {
        all.insert(format!("cgroup {line}"));
    }
    for place in [
        "/var/lib/kubelet",
        "/var/lib/cni",
        "/var/log/pods",
        "/var/log/containers",
    ] {
        all.insert(format!("{place}: {}", Path::new(place).exists()));
    }
    all
}

/// The processes that have a folder in their command line.
pub fn processes(folder: &Path) -> Vec<String> {
    let text = folder.to_string_lossy().into_owned();
    fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .filter(|line| line.contains(&text))
        .collect()
}

fn site(folder: &Path, words: &[&str]) -> Output {
    let output = Command::new(site::programs::site_binary().unwrap())
        .arg("--dir")
        .arg(folder)
        .args(words)
        .env_remove("KUBECONFIG")
        .output()
        .unwrap();
    assert!(output.status.success(), "{words:?}: {output:?}");
    output
}

#[track_caller]
fn is_as_before(before: &BTreeSet<String>, folder: &Path) {
    let after = machine();
    let changed: Vec<_> = before.symmetric_difference(&after).collect();
    assert!(changed.is_empty(), "{changed:#?}");
    assert!(!folder.exists(), "{} is still there", folder.display());
}

pub fn site_down_leaves_nothing_behind() {
    let folder = folder("down");
    let before = machine();
    site(&folder, &["up", "--full"]);
    assert!(!processes(&folder).is_empty());
    site(&folder, &["down"]);
    assert_eq!(processes(&folder), Vec::<String>::new());
    is_as_before(&before, &folder);
}

pub fn killed_site_leaves_nothing_behind() {
    let folder = folder("killed");
    let before = machine();
    site(&folder, &["up", "--full"]);
    let file = fs::read_to_string(folder.join("kubernetes/node.pid")).unwrap();
    let pid = file.split(' ').next().unwrap();
    Command::new("kill").args(["-9", pid]).status().unwrap();
    // The kernel ends the processes in its namespaces.
    until(SOON, "its processes end", || match processes(&folder) {
        left if left.is_empty() => Ok(()),
        left => Err(format!("{left:#?}")),
    });
    site(&folder, &["down"]);
    is_as_before(&before, &folder);
}
