//! The Juju version that is played.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

/// A Juju version: `2.9.42`, `3.6.1`, `4.0.1.7` or `4.0-beta1` (canonical/operator, ops/jujuversion.py).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version {
    text: String,
    numbers: (u32, u32, u32),
}

impl Version {
    /// Whether this is `major.minor.patch` or later. A tagged version (`4.0-beta1`) counts as patch 0 of its minor.
    #[must_use]
    pub fn at_least(&self, major: u32, minor: u32, patch: u32) -> bool {
        self.numbers >= (major, minor, patch)
    }
}

impl Default for Version {
    fn default() -> Self {
        Self {
            text: "3.6.1".to_owned(),
            numbers: (3, 6, 1),
        }
    }
}

impl FromStr for Version {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || format!("{text:?} is no Juju version; write one like 3.6.1 or 4.0-beta1");
        let (numbers, tagged) = match text.split_once('-') {
            Some((numbers, _)) => (numbers, true),
            None => (text, false),
        };
        let mut parts = numbers.split('.').map(str::parse::<u32>);
        let mut next = || parts.next().transpose().with_context(wrong);
        let major = next()?.with_context(wrong)?;
        let minor = next()?.with_context(wrong)?;
        let patch = next()?;
        anyhow::ensure!(patch.is_some() || tagged, wrong());
        Ok(Self {
            text: text.to_owned(),
            numbers: (major, minor, patch.unwrap_or(0)),
        })
    }
}

impl TryFrom<String> for Version {
    type Error = anyhow::Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Version> for String {
    fn from(version: Version) -> Self {
        version.text
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::Version;

    #[test]
    fn every_form_of_a_version_is_read() {
        for (text, major, minor, patch) in [
            ("2.9.42", 2, 9, 42),
            ("3.6.1", 3, 6, 1),
            ("4.0-beta1", 4, 0, 0),
            ("4.0.1.7", 4, 0, 1),
        ] {
            let version: Version = text.parse().unwrap();
            assert!(version.at_least(major, minor, patch), "{text}");
            assert!(!version.at_least(major, minor, patch + 1), "{text}");
            assert_eq!(version.to_string(), text);
        }
        for text in ["", "3", "3.6", "three.six.one"] {
            assert!(text.parse::<Version>().is_err(), "{text}");
        }
    }
}
