//! Where a secret is kept: by Juju or in Kubernetes.

use std::fmt;

use super::Violation;

/// A secret of Juju's, as its users write it: `secret:<id>`, or `secret://<model>/<id>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecretUri {
    text: String,
    id: String,
}

impl SecretUri {
    /// Reads one.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        match secret(text) {
            Ok(SecretRef::Juju(uri)) => Some(uri),
            _ => None,
        }
    }

    /// Its 20 letters and digits, which are no secret: Juju shows them to whoever may see the model.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl fmt::Display for SecretUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A secret that an option names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretRef {
    /// One of Juju's, of which this charm makes a Secret.
    Juju(SecretUri),
    /// A Secret of Kubernetes that somebody else keeps, by its name.
    Kubernetes(String),
}

/// Reads the name of a secret. What is no such name is not repeated: it may be the secret itself.
pub(crate) fn secret(text: &str) -> Result<SecretRef, Violation> {
    const EXAMPLE: &str = "secret:9m4e2mr0ui3e8a215n4g";
    let refuse = |rule: &str| Err(Violation::new(rule, EXAMPLE));
    if let Some(name) = text.strip_prefix("kubernetes:") {
        return if is_object_name(name) {
            Ok(SecretRef::Kubernetes(name.to_owned()))
        } else {
            refuse("has no name of a Kubernetes Secret after kubernetes:, which is small letters, digits, - and .")
        };
    }
    let Some(rest) = text.strip_prefix("secret:") else {
        return refuse(
            "must be secret: with the id that juju add-secret prints, or kubernetes: with the name of a Secret",
        );
    };
    let id = match rest.strip_prefix("//") {
        None => rest,
        Some(rest) => match rest.split_once('/') {
            Some((model, id)) if is_uuid(model) => id,
            _ => return refuse("must be secret://<UUID of a Juju model>/<id>"),
        },
    };
    if is_id(id) {
        Ok(SecretRef::Juju(SecretUri {
            text: text.to_owned(),
            id: id.to_owned(),
        }))
    } else {
        refuse("has no id after secret:, which juju secrets shows: 20 small letters and digits")
    }
}

/// Whether a text is an id as Juju makes them (`github.com/rs/xid`).
fn is_id(text: &str) -> bool {
    text.len() == 20 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'v'))
}

fn is_uuid(text: &str) -> bool {
    let lengths = [8, 4, 4, 4, 12];
    let parts: Vec<&str> = text.split('-').collect();
    parts.len() == lengths.len()
        && parts
            .iter()
            .zip(lengths)
            .all(|(part, length)| part.len() == length && part.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Whether a text is a name of DNS-1123, as most objects of Kubernetes have.
fn is_object_name(text: &str) -> bool {
    const LONGEST: usize = 253;
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.len() <= LONGEST
        && text
            .split('.')
            .all(|part| part.starts_with(edge) && part.ends_with(edge) && part.chars().all(|c| edge(c) || c == '-'))
}
