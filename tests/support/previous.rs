//! The previous version of the charm, built from this repository's history.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use kube_box::assets;

/// The last version that a site may be refreshed from.
const COMMIT: &str = "e96539e080884b8470774151b27c769216d1cbca";

/// Its `dispatch`, built once and cached.
pub fn dispatch() -> &'static Path {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| {
        let folder = assets::cache().unwrap().join(format!("charm-{COMMIT}"));
        let dispatch = folder.join("dispatch");
        if !dispatch.exists() {
            make(&folder);
        }
        dispatch
    })
}

fn make(folder: &Path) {
    // Another process may be building the same.
    let building = folder.with_extension(std::process::id().to_string());
    fs::create_dir_all(&building).unwrap();
    let mut archive = Command::new("git")
        .args(["-C", env!("CARGO_MANIFEST_DIR"), "archive", COMMIT])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let unpacked = Command::new("tar")
        .args(["-x", "-C"])
        .arg(&building)
        .stdin(archive.stdout.take().unwrap())
        .status()
        .unwrap();
    assert!(
        archive.wait().unwrap().success() && unpacked.success(),
        "the version before this one, {COMMIT}, is not in this clone: git fetch --unshallow"
    );
    eprintln!("building the version before this one, once");
    let target = building.join("target");
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--locked", "--bin", "dispatch", "--target-dir"])
        .arg(&target)
        .current_dir(&building)
        .env("CARGO_PROFILE_DEV_DEBUG", "false")
        .status()
        .unwrap();
    assert!(built.success(), "{COMMIT} cannot be built");
    fs::create_dir_all(folder).unwrap();
    fs::rename(target.join("debug/dispatch"), folder.join("dispatch")).unwrap();
    fs::remove_dir_all(building).unwrap();
}
