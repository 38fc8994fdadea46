//! Temporary directories.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result};

/// A directory that is removed when this goes.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// A new directory. Its path is short, since a Unix socket's may have no more than about 100 bytes.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn new(purpose: &str) -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("site-{purpose}-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        // A process that had this number before may have been killed and have left its directory.
        if path.exists() {
            std::fs::remove_dir_all(&path).with_context(|| format!("cannot remove the old {}", path.display()))?;
        }
        std::fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nothing can be done about a failure here, and the system empties its temporary directory anyway.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
