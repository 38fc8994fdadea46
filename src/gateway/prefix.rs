use std::fmt;

/// A path prefix such as `/model/iris/`, with a slash at both ends. It is not the root.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Prefix(String);

impl Prefix {
    /// Accepts only prefixes that no gateway's path normalization can change. The error names the violated rule.
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

    /// Without the trailing slash.
    pub fn bare(&self) -> &str {
        self.0.strip_suffix('/').unwrap_or(&self.0)
    }

    /// Whether one is equal to the other or a part of it.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.overlaps_path(&other.0)
    }

    /// Whether a path is the prefix, with or without the trailing slash, or below it.
    pub fn covers(&self, path: &str) -> bool {
        path == self.bare() || path.starts_with(&self.0)
    }

    /// For case-insensitive comparisons.
    #[must_use]
    pub fn in_lower_case(&self) -> Self {
        Self(self.0.to_lowercase())
    }

    /// Like `overlaps`, for a prefix from another client's route, which may have no trailing slash.
    pub fn overlaps_path(&self, other: &str) -> bool {
        self.0.starts_with(other) || other.starts_with(self.0.as_str())
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
