//! The world in one file.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::World;

/// The directory of a site, locked for one command at a time: two that wrote juju.json at once would lose one's work.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    // Held for its lock, which goes with it.
    _lock: File,
}

impl Store {
    /// Opens the directory, making it where it is missing, and waits for another command to end.
    ///
    /// # Errors
    /// The directory cannot be made, or the lock file not opened.
    pub fn open(directory: &Path) -> Result<Self> {
        fs::create_dir_all(directory).with_context(|| {
            format!(
                "cannot make the site directory {}; give another one with --dir",
                directory.display()
            )
        })?;
        let name = directory.join("juju.lock");
        let lock = File::create(&name).with_context(|| format!("cannot open {}", name.display()))?;
        lock.lock().with_context(|| format!("cannot lock {}", name.display()))?;
        Ok(Self {
            path: directory.join("juju.json"),
            _lock: lock,
        })
    }

    /// The world, `None` where no site was brought up.
    ///
    /// # Errors
    /// The file is there and cannot be read, or was written by another version of the site.
    pub fn load(&self) -> Result<Option<World>> {
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", self.path.display()));
            }
        };
        serde_json::from_str(&text).map(Some).with_context(|| {
            format!(
                "{} is not of this site's form, perhaps of another version; begin anew with: site down",
                self.path.display()
            )
        })
    }

    /// Writes the world: first beside, then over, so that a reader never sees half of it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, world: &World) -> Result<()> {
        let beside = self.path.with_extension("json.new");
        let write = || -> Result<()> {
            let mut file = File::create(&beside)?;
            serde_json::to_writer(&mut file, world)?;
            file.flush()?;
            fs::rename(&beside, &self.path)?;
            Ok(())
        };
        write().with_context(|| format!("cannot write {}", self.path.display()))
    }

    /// Forgets the world.
    ///
    /// # Errors
    /// The file is there and cannot be removed.
    pub fn clear(&self) -> Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", self.path.display()))
            }
            _ => Ok(()),
        }
    }
}
