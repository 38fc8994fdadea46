//! Secrets that the model's users add, as `juju add-secret` and its kin do.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};

use super::World;

/// The owner of a secret that a user added (juju/juju, core/secrets/secret.go, `ModelOwner`).
pub const MODEL: &str = "model";

/// A secret as the controller holds it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Secret {
    /// A label its owner or reader gave it, or the name of a user's.
    pub label: String,
    /// `application`, `unit` or `model`, empty when it is another's (another application's).
    pub owner: String,
    /// Free text.
    pub description: String,
    /// `never`, `hourly`, … ; empty is `never`.
    pub rotation: String,
    /// The latest revision, from 1.
    pub revision: u64,
    /// Its content, decoded.
    pub content: BTreeMap<String, String>,
    /// Applications that may read it; of no account when the owner is ours.
    pub granted: Vec<String>,
}

/// What a unit has read of a secret: it sees no other revision until it asks for the newest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tracked {
    /// The revision.
    pub revision: u64,
    /// Its content.
    pub content: BTreeMap<String, String>,
    /// The newest revision that it was told of.
    pub told: u64,
}

impl World {
    /// `juju add-secret`: the URI of a new secret that nobody may read yet.
    ///
    /// # Errors
    /// The name is taken, or a key is none.
    pub fn add_secret(&mut self, name: &str, content: &[(&str, &str)]) -> Result<String> {
        ensure!(
            self.find_secret(name).is_err(),
            "secret with name {name:?} already exists"
        );
        let id = self.new_secret_id();
        let secret = Secret {
            label: name.to_owned(),
            owner: MODEL.to_owned(),
            revision: 1,
            content: sound(content)?,
            ..Secret::default()
        };
        self.secrets.insert(id.clone(), secret);
        Ok(format!("secret:{id}"))
    }

    /// `juju grant-secret`, by name or URI. No hook tells the application.
    ///
    /// # Errors
    /// There is no such secret or application.
    pub fn grant_secret(&mut self, name: &str, application: &str) -> Result<()> {
        self.application(application)?;
        let id = self.find_secret(name)?;
        let secret = self.secrets.get_mut(&id).context("secret not found")?;
        if !secret.granted.iter().any(|granted| granted == application) {
            secret.granted.push(application.to_owned());
        }
        Ok(())
    }

    /// `juju update-secret`: a new revision. Units that have read an older one get secret-changed.
    ///
    /// # Errors
    /// There is no such secret, or a key is none.
    pub fn update_secret(&mut self, name: &str, content: &[(&str, &str)]) -> Result<()> {
        let content = sound(content)?;
        let id = self.find_secret(name)?;
        let secret = self.secrets.get_mut(&id).context("secret not found")?;
        if secret.content != content {
            secret.content = content;
            secret.revision += 1;
        }
        Ok(())
    }

    /// `juju remove-secret`. No hook tells those who have read it.
    ///
    /// # Errors
    /// There is no such secret.
    pub fn remove_secret(&mut self, name: &str) -> Result<()> {
        let id = self.find_secret(name)?;
        self.secrets.remove(&id);
        Ok(())
    }

    /// The id of a user's secret, by its name or URI.
    fn find_secret(&self, name: &str) -> Result<String> {
        let id = name.strip_prefix("secret:").unwrap_or(name);
        let mut users = self.secrets.iter().filter(|(_, secret)| secret.owner == MODEL);
        let found = users.find(|(of, secret)| *of == id || secret.label == name);
        found
            .map(|(id, _)| id.clone())
            .with_context(|| format!("secret {name:?} not found"))
    }

    fn new_secret_id(&self) -> String {
        let mut number = self.secrets.len();
        loop {
            let id = format!("9m4e2mr0ui3e8a21{number:04}");
            if !self.secrets.contains_key(&id) {
                return id;
            }
            number += 1;
        }
    }
}

/// Keys as Juju takes them: `^([a-z](?:-?[a-z0-9]){2,})$` (juju/juju, core/secrets/createparams.go).
fn sound(content: &[(&str, &str)]) -> Result<BTreeMap<String, String>> {
    ensure!(!content.is_empty(), "missing secret value or filename");
    for (key, _) in content {
        let letters = key.bytes().filter(|b| *b != b'-').count();
        let fits = key.starts_with(|c: char| c.is_ascii_lowercase())
            && !key.ends_with('-')
            && !key.contains("--")
            && letters > 2
            && key
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        ensure!(fits, "key {key:?} not valid");
    }
    let owned = content
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    Ok(owned.collect())
}

#[cfg(test)]
mod tests {
    use super::World;

    #[test]
    fn a_secret_is_found_by_its_name_and_by_its_uri() {
        let mut world = World::new("edge");
        let uri = world.add_secret("registry", &[("password", "x")]).unwrap();
        assert!(world.add_secret("registry", &[("password", "x")]).is_err());
        world.update_secret(&uri, &[("password", "y")]).unwrap();
        world.update_secret("registry", &[("password", "y")]).unwrap();
        let id = uri.strip_prefix("secret:").unwrap();
        assert_eq!(id.len(), 20);
        assert_eq!(world.secrets.get(id).unwrap().revision, 2);
        world.remove_secret("registry").unwrap();
        assert!(world.update_secret(&uri, &[("password", "z")]).is_err());
    }

    #[test]
    fn keys_are_those_that_juju_takes() {
        let mut world = World::new("edge");
        for key in ["password", "access-key-id", "rclone-config-s3-type", "a1b"] {
            assert!(world.add_secret(key, &[(key, "x")]).is_ok(), "{key}");
        }
        for key in ["ab", "PASSWORD", "1abc", "a--bc", "abc-", "a_bc", ""] {
            assert!(world.add_secret("other", &[(key, "x")]).is_err(), "{key}");
        }
    }
}
