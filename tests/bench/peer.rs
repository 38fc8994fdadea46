//! The Python charm of tests/bench/peer, built as charmcraft would.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::Subject;
use crate::packed::{PROJECT, folder, said};

/// The peer with its packages from PyPI.
pub fn made() -> Subject {
    let source = Path::new(PROJECT).join("tests/bench/peer");
    let charm = folder("peer");
    fs::create_dir(charm.join("src")).unwrap();
    for file in ["dispatch", "src/charm.py"] {
        fs::copy(source.join(file), charm.join(file)).unwrap();
    }
    let tools = folder("peer-tools");
    said(Command::new("python3").args(["-m", "venv"]).arg(&tools));
    said(
        Command::new(tools.join("bin/pip"))
            .args([
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--no-deps",
                "--target",
            ])
            .arg(charm.join("venv"))
            .arg("--requirement")
            .arg(source.join("requirements.txt")),
    );
    let packed = folder("peer-packed").join("peer");
    said(
        Command::new("python3")
            .args([
                "-c",
                "import shutil, sys; shutil.make_archive(sys.argv[1], 'zip', sys.argv[2])",
            ])
            .args([&packed, &charm]),
    );
    Subject {
        name: "peer",
        packed: packed.with_extension("zip").metadata().unwrap().len(),
        unpacked: size(&charm),
        dispatch: charm.join("dispatch"),
    }
}

/// In bytes.
fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| {
            if path.is_dir() {
                size(&path)
            } else {
                path.metadata().unwrap().len()
            }
        })
        .sum()
}
