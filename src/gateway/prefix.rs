//! Path prefixes of models.

use std::fmt;

/// A path prefix such as `/model/iris/`: it begins and ends with a slash and is not the root.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Prefix(String);

impl Prefix {
    /// Reads a prefix that takes no request of another, however a gateway normalises paths. The error is the rule that is broken.
    pub fn new(text: &str) -> Result<Self, &'static str> {
        const LONGEST: usize = 256;
        if text == "/" {
            return Err("must not be / alone");
        }
        if !text.starts_with('/') || !text.ends_with('/') {
            return Err("must begin and end with /");
        }
        if text.contains("//") {
            return Err("must not contain //");
        }
        if text.split('/').any(|part| part == "." || part == "..") {
            return Err("must not contain the segments . or ..");
        }
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"/-._~".contains(&b);
        if !text.bytes().all(plain) {
            return Err("must be letters, digits and / - . _ ~");
        }
        if text.len() > LONGEST {
            return Err("must be at most 256 characters");
        }
        Ok(Self(text.to_owned()))
    }

    /// The prefix without its last slash.
    pub fn bare(&self) -> &str {
        self.0.strip_suffix('/').unwrap_or(&self.0)
    }

    /// Whether one of the two is equal to, above or below the other.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.overlaps_path(&other.0)
    }

    /// Whether a path is the prefix, with or without its last slash, or below it.
    pub fn covers(&self, path: &str) -> bool {
        path == self.bare() || path.starts_with(&self.0)
    }

    /// For a comparison with one whose case does not count.
    pub fn in_lower_case(&self) -> Self {
        Self(self.0.to_lowercase())
    }

    /// The same for a prefix that somebody else wrote, perhaps without a slash at its end.
    pub fn overlaps_path(&self, other: &str) -> bool {
        self.0.starts_with(other) || other.starts_with(self.0.as_str())
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
