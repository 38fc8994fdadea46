//! Layers: trees of files, each an archive in the cache that is named after all it is made of.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use ring::digest::{Context as Sha256, SHA256};

use crate::assets::{self, Sources, lock_as};
use crate::build_plan::Progress;
use crate::digest;

/// How many characters of a digest tell two recipes apart.
const SHORT: usize = 16;

/// One layer.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    /// The archive.
    pub(super) file: PathBuf,
    /// Its SHA-256, in hexadecimal.
    pub(super) digest: String,
}

/// What becomes of a layer that the cache does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    Make,
    /// It is an error, for who only wants to know whether all are there.
    Fail,
}

/// Where layers are kept, and whom to tell.
pub(super) struct Layers<'a> {
    pub(super) folder: &'a Path,
    pub(super) missing: Missing,
    pub(super) progress: Progress<'a>,
}

impl Layers<'_> {
    /// The layer of that name and recipe, made first if it is not there: `make` fills an empty folder.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(super) fn layer(&self, name: &str, recipe: &[&[u8]], make: impl FnOnce(&Path) -> Result<()>) -> Result<Layer> {
        let mut key = Sha256::new(&SHA256);
        for part in recipe {
            // With its length, so that no two recipes run together.
            key.update(part.len().to_string().as_bytes());
            key.update(b":");
            key.update(part);
        }
        let key = digest::hexadecimal(key);
        let key = key.get(..SHORT).unwrap_or(&key);
        let file = self.folder.join(format!("{name}-{key}.tar"));
        let known = file.with_extension("sha256");
        if let Ok(digest) = fs::read_to_string(&known) {
            return Ok(Layer { file, digest });
        }
        if self.missing == Missing::Fail {
            bail!("{} is not there", file.display());
        }
        let _lock = lock_as(&format!("{name}.lock"), self.folder, name, self.progress)?;
        // Another process may have made it meanwhile.
        if let Ok(digest) = fs::read_to_string(&known) {
            return Ok(Layer { file, digest });
        }
        let work = self.folder.join(format!("work-{name}"));
        clear(&work)?;
        let tree = work.join("tree");
        fs::create_dir_all(&tree).with_context(|| format!("{} cannot be made", tree.display()))?;
        make(&tree).with_context(|| format!("{name} cannot be made"))?;
        pack(&tree, &file)?;
        let digest = digest::of_file(&SHA256, &file)?;
        // Last, so that whatever has it is whole.
        fs::write(&known, &digest).with_context(|| format!("{} cannot be written", known.display()))?;
        clear(&work)?;
        Ok(Layer { file, digest })
    }

    /// A file of a Go module.
    ///
    /// # Errors
    /// When the module cannot be had.
    pub(super) fn module_file(&self, of: Sources, file: &str) -> Result<Vec<u8>> {
        match self.missing {
            Missing::Make => assets::module_file(of, file),
            Missing::Fail => assets::cached_module_file(of, file).with_context(|| format!("{file} is not there")),
        }
    }
}

/// Removes what a broken-off attempt left.
fn clear(work: &Path) -> Result<()> {
    if work.exists() {
        fs::remove_dir_all(work).with_context(|| format!("{} cannot be removed", work.display()))?;
    }
    Ok(())
}

/// Packs a tree such that the same files make the same bytes.
///
/// # Errors
/// When tar fails.
pub(super) fn pack(tree: &Path, file: &Path) -> Result<()> {
    let mut tar = Command::new("tar");
    tar.args(["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner"])
        .arg("--directory")
        .arg(tree)
        .arg("--create")
        .arg("--file")
        .arg(file)
        .arg(".");
    run(&mut tar)
}

/// Runs a command to its end.
///
/// # Errors
/// When it cannot be started or fails; the text is what it said.
pub(super) fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(std::process::Stdio::null())
        .output()
        .with_context(|| format!("{program} cannot be started"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} failed: {}", said.trim());
    Ok(())
}
