//! The content of a secret that Juju keeps, and why a charm may not have it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Version;

/// What is in a secret, by key. Its values are shown nowhere, not even to whoever debugs; serialized they go to the watcher
/// of this unit, from memory to memory.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretContent(BTreeMap<String, String>);

impl SecretContent {
    /// The value of a key; one that is empty says nothing.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// All keys with their values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

impl FromIterator<(String, String)> for SecretContent {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}

impl fmt::Debug for SecretContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Why a secret cannot be read, where a person must do something about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SecretError {
    /// It is not granted to this application.
    NotGranted,
    /// There is none of that URI, or none any more.
    NotFound,
    /// This Juju gives charms no secrets.
    Unsupported(Version),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_shows_keys_without_values() {
        let content: SecretContent = [("password".to_owned(), "hunter2".to_owned())].into_iter().collect();
        assert_eq!(format!("{content:?}"), r#"{"password"}"#);
        assert_eq!(content.get("password"), Some("hunter2"));
    }
}
