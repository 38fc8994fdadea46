//! The charm as Juju is given it: packed, and unpacked again.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

pub const PROJECT: &str = env!("CARGO_MANIFEST_DIR");

/// Runs a program to its end, and returns what it printed.
#[track_caller]
pub fn said(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{command:?}: {text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

/// A new folder of that name for this process. The next API server to start deletes those of ended processes.
pub fn folder(name: &str) -> PathBuf {
    let all = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("packed-{}", std::process::id()));
    let folder = all.join(name);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// The contents of a packed charm.
pub struct Charm {
    /// In bytes.
    pub size: u64,
    /// The modes of its files, by name.
    pub files: BTreeMap<String, u32>,
}

/// This machine's architecture, as Juju calls it.
pub const NATIVE: &str = if cfg!(target_arch = "aarch64") {
    "arm64"
} else {
    "amd64"
};

/// Packs the charm for an architecture, which takes minutes.
pub fn pack(architecture: &str) -> PathBuf {
    let from = folder(&format!("packed-{architecture}"));
    let mut pack = Command::new(format!("{PROJECT}/packaging/pack"));
    said(pack.arg(architecture).current_dir(&from));
    let mut charms: Vec<PathBuf> = fs::read_dir(&from)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    match (charms.pop(), charms.is_empty()) {
        (Some(charm), true) => charm,
        (last, _) => panic!("one charm was expected, not {charms:?} and {last:?}"),
    }
}

/// Packs the charm for an architecture, and unpacks it as Juju does.
pub fn charm(architecture: &str, to: &Path) -> Charm {
    let charm = pack(architecture);
    let mut archive = zip::ZipArchive::new(File::open(&charm).unwrap()).unwrap();
    archive.extract(to).unwrap();
    let count = archive.len();
    let mut file = |index| {
        let file = archive.by_index(index).unwrap();
        (file.name().to_owned(), file.unix_mode().unwrap() & 0o777)
    };
    Charm {
        size: charm.metadata().unwrap().len(),
        files: (0..count).map(&mut file).collect(),
    }
}
