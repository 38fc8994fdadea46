//! The content of Juju secrets.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use super::Version;

/// The content of a secret, by key. `Debug` does not show the values; `Serialize` does.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretContent(BTreeMap<String, String>);

impl SecretContent {
    /// The value of a key; `None` if it is empty.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// All keys with their values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

/// A process that outlives its hook must not keep secrets in memory that it no longer needs.
impl Drop for SecretContent {
    fn drop(&mut self) {
        self.0.values_mut().for_each(Zeroize::zeroize);
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

/// Why a secret cannot be read. Each of these requires action by an operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SecretError {
    /// It is not granted to this application.
    NotGranted,
    /// It does not exist, or does not exist any more.
    NotFound,
    /// This version of Juju has no secrets for charms.
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
