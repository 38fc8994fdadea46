//! The packed charm: `cargo test --test packed` packs it, unpacks it as Juju does, and deploys it from there.
//!
//! A binary of its own, because packing takes minutes and it therefore runs by name only.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use packed::{PROJECT, folder, said};

#[path = "support/packed.rs"]
mod packed;

/// The limit for `dispatch`, in bytes: sites download it over slow links.
const LARGEST: u64 = 9_500_000;

#[test]
fn packed_charm_deploys_and_runs_hooks() {
    let charm = folder("charm");
    let packed = packed::charm(&charm);
    println!("the charm: {} bytes", packed.size);
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
    for name in ["actions.yaml", "config.yaml", "icon.svg", "metadata.yaml"] {
        assert_eq!(
            fs::read(charm.join(name)).unwrap(),
            fs::read(Path::new(PROJECT).join(name)).unwrap(),
            "{name}"
        );
    }
    let manifest: Value = serde_yaml::from_str(&fs::read_to_string(charm.join("manifest.yaml")).unwrap()).unwrap();
    assert_eq!(manifest["bases"][0]["name"], "ubuntu");
    assert_eq!(manifest["bases"][0]["channel"], "22.04");

    let version = fs::read_to_string(charm.join("version")).unwrap();
    let commit = version.strip_prefix(concat!(env!("CARGO_PKG_VERSION"), "-")).unwrap();
    let commit = commit.trim_end().trim_end_matches("-dirty");
    assert!(
        commit.len() == 8 && commit.chars().all(|c| c.is_ascii_hexdigit()),
        "{version}"
    );

    let dispatch = charm.join("dispatch");
    let size = dispatch.metadata().unwrap().len();
    println!("dispatch: {size} bytes");
    assert!(size < LARGEST, "dispatch has grown to {size} bytes");
    // A program without a loader needs no C library of the system.
    let segments = said(
        Command::new("readelf")
            .args(["--wide", "--program-headers"])
            .arg(&dispatch),
    );
    assert!(segments.contains("LOAD") && !segments.contains("INTERP"), "{segments}");

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
