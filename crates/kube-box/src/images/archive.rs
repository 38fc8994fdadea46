//! The archive that brings all images into a node: layers that several images share are in it once.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use ring::digest::SHA256;
use serde_json::{Value, json};

use super::layer::{Layer, Layers, Missing, pack};
use crate::assets::{goarch, lock_as};
use crate::digest;

/// What an image is made of.
#[derive(Clone, Debug)]
pub(super) struct Image {
    pub(super) reference: &'static str,
    pub(super) layers: Vec<Layer>,
    /// The program and its first arguments; those of a pod come after.
    pub(super) command: Vec<String>,
    pub(super) environment: Vec<String>,
}

impl Image {
    /// Its configuration, as the image specification of the OCI has it.
    fn configuration(&self) -> Value {
        let mut environment = vec!["PATH=/usr/local/bin:/usr/bin:/bin".to_owned()];
        environment.extend(self.environment.iter().cloned());
        let layers: Vec<String> = self
            .layers
            .iter()
            .map(|layer| format!("sha256:{}", layer.digest))
            .collect();
        json!({
            "architecture": goarch(),
            "os": "linux",
            "config": {"Entrypoint": self.command, "Env": environment},
            "rootfs": {"type": "layers", "diff_ids": layers},
        })
    }
}

/// Writes the archive of these images, in the form of `docker save`, if it is not there. Its name begins as given.
///
/// # Errors
/// When it cannot be written, or is not there and shall not be.
pub(super) fn write(layers: &Layers<'_>, prefix: &str, images: &[Image]) -> Result<PathBuf> {
    let folder = layers.folder;
    let mut manifest = Vec::new();
    let mut files = BTreeMap::new();
    let mut packed = BTreeMap::new();
    for image in images {
        let configuration = image.configuration().to_string();
        let name = format!("{}.json", digest::of(&SHA256, configuration.as_bytes()));
        let of: Vec<String> = image
            .layers
            .iter()
            .map(|layer| format!("{}.tar", layer.digest))
            .collect();
        manifest.push(json!({"Config": name, "RepoTags": [image.reference], "Layers": of}));
        files.insert(name, configuration);
        packed.extend(of.into_iter().zip(&image.layers));
    }
    let manifest = Value::from(manifest).to_string();
    let archive = folder.join(format!("{prefix}{}.tar", digest::of(&SHA256, manifest.as_bytes())));
    if archive.exists() {
        return Ok(archive);
    }
    if layers.missing == Missing::Fail {
        bail!("{} is not there", archive.display());
    }
    let _lock = lock_as("lock", folder, "the images", layers.progress)?;
    if archive.exists() {
        return Ok(archive);
    }
    // Earlier ones are large, and nobody needs them again.
    for entry in fs::read_dir(folder)?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(prefix) {
            fs::remove_file(entry.path()).with_context(|| format!("{name} cannot be removed"))?;
        }
    }
    let tree = folder.join("archive");
    if tree.exists() {
        fs::remove_dir_all(&tree).with_context(|| format!("{} cannot be removed", tree.display()))?;
    }
    fs::create_dir_all(&tree).with_context(|| format!("{} cannot be made", tree.display()))?;
    fs::write(tree.join("manifest.json"), manifest)?;
    for (name, text) in files {
        fs::write(tree.join(name), text)?;
    }
    for (name, layer) in packed {
        // The same file under a second name: it is packed, not changed.
        fs::hard_link(&layer.file, tree.join(name))
            .with_context(|| format!("{} cannot be linked", layer.file.display()))?;
    }
    let partial = folder.join("partial");
    pack(&tree, &partial)?;
    fs::remove_dir_all(&tree)?;
    fs::rename(&partial, &archive).with_context(|| format!("{} cannot be made", archive.display()))?;
    Ok(archive)
}
