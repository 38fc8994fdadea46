//! Checksums, in hexadecimal.

use std::fmt::Write as _;
use std::fs::File;
use std::io;
use std::path::Path;

use anyhow::{Context as _, Result};
use ring::digest::{Algorithm, Context};

/// The checksum of a file.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn of_file(algorithm: &'static Algorithm, file: &Path) -> Result<String> {
    let mut opened = File::open(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let mut sink = Sink(Context::new(algorithm));
    io::copy(&mut opened, &mut sink).with_context(|| format!("{} cannot be read", file.display()))?;
    Ok(hexadecimal(sink.0))
}

/// The checksum of some bytes.
pub(crate) fn of(algorithm: &'static Algorithm, bytes: &[u8]) -> String {
    let mut context = Context::new(algorithm);
    context.update(bytes);
    hexadecimal(context)
}

pub(crate) fn hexadecimal(context: Context) -> String {
    let bytes = context.finish();
    bytes.as_ref().iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

struct Sink(Context);

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
