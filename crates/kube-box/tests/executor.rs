//! The fake for Seldon's executor, which is written in Go and tested in Go.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::Path;
use std::process::Command;

#[test]
fn the_executors_stand_in_does_what_the_executor_was_seen_to_do() {
    let output = Command::new("go")
        .args(["test", "-count=1", "."])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("images/executor"))
        .envs([("GOFLAGS", ""), ("GOWORK", "off")])
        .output()
        .expect("go is on PATH");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(said.contains("ok"), "{said}");
}
