//! Versions of Juju.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A version of Juju.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    text: String,
    numbers: [u32; 3],
}

impl Version {
    /// The first version with usable secrets (`canonical/operator`, `ops/jujuversion.py`).
    const SECRETS: [u32; 3] = [3, 0, 3];

    /// Parses `JUJU_VERSION`, such as `2.9.42`, `3.6.1.7` or `4.0-beta1`. `None` if it is not a version.
    pub fn read(text: &str) -> Option<Self> {
        let (numbers, tag) = text.split_once('-').map_or((text, None), |(n, tag)| (n, Some(tag)));
        let mut parts = numbers.split('.').map(str::parse);
        let mut next = || parts.next().and_then(Result::ok);
        let (major, minor) = (next()?, next()?);
        // A tagged version has no patch number.
        let patch = next().or_else(|| tag.map(|_| 0))?;
        Some(Self {
            text: text.to_owned(),
            numbers: [major, minor, patch],
        })
    }

    /// The major version, such as 3 for `3.6.1`.
    pub fn major(&self) -> u32 {
        let [major, ..] = self.numbers;
        major
    }

    /// Whether charms can read secrets.
    pub fn has_secrets(&self) -> bool {
        self.numbers >= Self::SECRETS
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_begin_with_three_zero_three() {
        let has = |text| Version::read(text).map(|version| version.has_secrets());
        for text in ["2.9.42", "3.0.0", "3.0.2", "3.0-beta1"] {
            assert_eq!(has(text), Some(false), "{text}");
        }
        for text in ["3.0.3", "3.1-beta1", "3.6.1.7", "4.0.0"] {
            assert_eq!(has(text), Some(true), "{text}");
        }
        for text in ["", "3", "3.6", "three"] {
            assert_eq!(has(text), None, "{text}");
        }
    }
}
