//! The packed charm: `cargo test --test packed` packs it, unpacks it as Juju does, and deploys it from there. That for ARM runs its
//! hooks too, by QEMU.
//!
//! A binary of its own, because packing takes minutes and it therefore runs by name only.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use packed::{PROJECT, folder, said};

#[path = "support/packed.rs"]
mod packed;

/// The limit for `dispatch`, in bytes: sites download it over slow links.
const LARGEST: u64 = 9_500_000;

/// The tests to run with the binary for arm64, where that is another architecture: the charm installs, follows its options, runs
/// an action, starts itself as its watcher, and removes what it made.
#[cfg(not(target_arch = "aarch64"))]
const ON_ARM64: &[&str] = &[
    "hooks::",
    "cluster::reconcile::deployed_model_is_active_once_it_serves",
    "cluster::plan::plan_shows_a_diff_and_writes_nothing",
    "cluster::watcher::dead_watcher_is_replaced_by_one_other",
    "cluster::watcher::option_stop_and_removal_end_the_watcher",
    "cluster::removal::removed_application_leaves_an_empty_namespace",
];

/// Packs the charm, and looks into it. Returns where it is unpacked, as Juju unpacks it.
fn unpacked(architecture: &str) -> PathBuf {
    let charm = folder(&format!("charm-{architecture}"));
    let packed = packed::charm(architecture, &charm);
    println!("the charm for {architecture}: {} bytes", packed.size);
    let expected = [
        ("LICENSE", 0o644),
        ("actions.yaml", 0o644),
        ("config.yaml", 0o644),
        ("dispatch", 0o755),
        ("icon.svg", 0o644),
        ("manifest.yaml", 0o644),
        ("metadata.yaml", 0o644),
        ("version", 0o644),
    ];
    assert_eq!(
        packed.files,
        expected.map(|(name, mode)| (name.to_owned(), mode)).into()
    );
    for file in ["actions.yaml", "config.yaml", "icon.svg", "metadata.yaml"] {
        assert_eq!(
            fs::read(charm.join(file)).unwrap(),
            fs::read(Path::new(PROJECT).join(file)).unwrap(),
            "{file}"
        );
    }
    let manifest: Value = serde_yaml::from_str(&fs::read_to_string(charm.join("manifest.yaml")).unwrap()).unwrap();
    assert_eq!(manifest["bases"][0]["name"], "ubuntu");
    assert_eq!(manifest["bases"][0]["channel"], "22.04");
    assert_eq!(manifest["bases"][0]["architectures"], json!([architecture]));

    let version = fs::read_to_string(charm.join("version")).unwrap();
    let commit = version.strip_prefix(concat!(env!("CARGO_PKG_VERSION"), "-")).unwrap();
    let commit = commit.trim_end().trim_end_matches("-dirty");
    assert!(
        commit.len() == 8 && commit.chars().all(|c| c.is_ascii_hexdigit()),
        "{version}"
    );

    let dispatch = charm.join("dispatch");
    let size = dispatch.metadata().unwrap().len();
    println!("dispatch for {architecture}: {size} bytes");
    assert!(size < LARGEST, "dispatch has grown to {size} bytes");
    // A program without a loader needs no C library of the system.
    let headers = said(
        Command::new("readelf")
            .args(["--wide", "--file-header", "--program-headers"])
            .arg(&dispatch),
    );
    let machine = if architecture == "arm64" { "AArch64" } else { "X86-64" };
    assert!(headers.contains(machine), "{headers}");
    assert!(headers.contains("LOAD") && !headers.contains("INTERP"), "{headers}");
    charm
}

#[test]
fn native_charm_deploys_and_runs_hooks() {
    let charm = unpacked(packed::NATIVE);
    let dispatch = charm.join("dispatch");
    fs::copy(Path::new(PROJECT).join("bundle.yaml"), charm.join("bundle.yaml")).unwrap();
    let home = folder("site");
    let juju = |words: &[&str]| {
        let mut command = Command::new(site::programs::site_binary().unwrap());
        command.arg("--dir").arg(&home).arg("--dispatch").arg(&dispatch);
        said(command.args(words).current_dir(&charm).env_remove("KUBECONFIG"))
    };
    juju(&["up"]);
    let deployed = std::panic::catch_unwind(|| {
        juju(&["deploy", "./bundle.yaml", "--trust"]);
        (juju(&["status", "--format", "json"]), juju(&["objects"]))
    });
    juju(&["down"]);
    let (status, objects) = deployed.unwrap();
    let status: Value = serde_json::from_str(&status).unwrap();
    let message = &status["applications"]["iris"]["application-status"]["message"];
    assert_eq!(
        message,
        "iris: waiting for Seldon Core to create its pods (if it lasts: juju status seldon-core)"
    );
    assert!(objects.contains("seldonio/sklearn-iris:0.3"), "{objects}");
}

/// On another machine, by QEMU: what hooks do without a cluster, and on a real API server the ways that a hook takes.
#[cfg(not(target_arch = "aarch64"))]
#[test]
fn arm64_charm_runs_hooks() {
    let dispatch = unpacked("arm64").join("dispatch");
    let with_arm64 = Path::new(PROJECT).join("tests/support/with-arm64");
    let mut command = Command::new(with_arm64);
    command.arg(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // The whole workspace, as `cargo test --workspace` has built it.
    command.args(["test", "--locked", "--workspace", "--test", "it", "--"]);
    command.args(ON_ARM64).env("DISPATCH", dispatch).current_dir(PROJECT);
    // What cargo tells this test of its own package would have ring built again.
    for name in std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()) {
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(name);
        }
    }
    println!("{}", said(&mut command));
}
