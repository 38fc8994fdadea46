//! Layers: trees of files, each an archive in the cache that is named after all it is made of.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use ring::digest::{Context as Sha256, SHA256};

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

/// Where layers are kept, and whom to tell.
pub(super) struct Layers<'a> {
    pub(super) folder: &'a Path,
    pub(super) progress: &'a dyn Fn(&str),
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
        let key = hexadecimal(key);
        let key = key.get(..SHORT).unwrap_or(&key);
        let file = self.folder.join(format!("{name}-{key}.tar"));
        let known = file.with_extension("sha256");
        if let Ok(digest) = fs::read_to_string(&known) {
            return Ok(Layer { file, digest });
        }
        (self.progress)(&format!("making {name} for the images, this once …"));
        let work = self.folder.join("work");
        clear(&work)?;
        let tree = work.join("tree");
        fs::create_dir_all(&tree).with_context(|| format!("{} cannot be made", tree.display()))?;
        make(&tree).with_context(|| format!("{name} cannot be made"))?;
        pack(&tree, &file)?;
        let digest = digest(&file)?;
        // Last, so that whatever has it is whole.
        fs::write(&known, &digest).with_context(|| format!("{} cannot be written", known.display()))?;
        clear(&work)?;
        Ok(Layer { file, digest })
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

/// The SHA-256 of a file, in hexadecimal.
///
/// # Errors
/// When it cannot be read.
pub(super) fn digest(file: &Path) -> Result<String> {
    struct Sink(Sha256);
    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.update(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut sink = Sink(Sha256::new(&SHA256));
    let mut opened = File::open(file).with_context(|| format!("{} cannot be read", file.display()))?;
    io::copy(&mut opened, &mut sink)?;
    sink.flush()?;
    Ok(hexadecimal(sink.0))
}

/// The SHA-256 of some bytes, in hexadecimal.
pub(super) fn digest_of(bytes: &[u8]) -> String {
    let mut context = Sha256::new(&SHA256);
    context.update(bytes);
    hexadecimal(context)
}

fn hexadecimal(context: Sha256) -> String {
    let bytes = context.finish();
    bytes.as_ref().iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
