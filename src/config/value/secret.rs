//! References to secrets, of Juju or of Kubernetes.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Violation;

/// The URI of a Juju secret: `secret:<id>`, or `secret://<model>/<id>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct SecretUri {
    text: String,
    id: String,
}

impl SecretUri {
    pub fn read(text: &str) -> Option<Self> {
        match secret(text) {
            Ok(SecretRef::Juju(uri)) => Some(uri),
            _ => None,
        }
    }

    /// Its 20 letters and digits, which are not confidential: Juju shows them to everyone who can see the model.
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl From<SecretUri> for String {
    fn from(uri: SecretUri) -> Self {
        uri.text
    }
}

impl TryFrom<String> for SecretUri {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::read(&text).ok_or("not the URI of a Juju secret")
    }
}

impl fmt::Display for SecretUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A reference to a secret in an option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretRef {
    /// This charm copies it to a Kubernetes Secret.
    Juju(SecretUri),
    /// The name of an existing Kubernetes Secret, which this charm does not manage.
    Kubernetes(String),
}

/// An invalid reference is not repeated: it may be the secret itself.
pub(crate) fn secret(text: &str) -> Result<SecretRef, Violation> {
    const EXAMPLE: &str = "secret:9m4e2mr0ui3e8a215n4g";
    let violation = |rule: &str, detail: &str| Err(Violation::new(rule, EXAMPLE).with_detail(detail));
    if let Some(name) = text.strip_prefix("kubernetes:") {
        return if is_object_name(name) {
            Ok(SecretRef::Kubernetes(name.to_owned()))
        } else {
            violation(
                "is not a valid Secret name",
                "after kubernetes: lowercase letters, digits, - and .",
            )
        };
    }
    let Some(rest) = text.strip_prefix("secret:") else {
        return violation(
            "is not a valid secret reference",
            "secret: and the ID that juju add-secret prints, or kubernetes: and the name of a Secret",
        );
    };
    let id = match rest.strip_prefix("//") {
        None => rest,
        Some(rest) => match rest.split_once('/') {
            Some((model, id)) if is_uuid(model) => id,
            _ => {
                return violation(
                    "is not a valid secret reference",
                    "secret:// and the UUID of a Juju model, / and an ID",
                );
            }
        },
    };
    if is_id(id) {
        Ok(SecretRef::Juju(SecretUri {
            text: text.to_owned(),
            id: id.to_owned(),
        }))
    } else {
        violation(
            "is not a valid secret ID",
            "after secret: 20 lowercase letters and digits, as juju secrets shows them",
        )
    }
}

/// Whether a text is an ID as Juju makes them (`github.com/rs/xid`).
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

/// Whether a text is a DNS-1123 subdomain, as the names of most Kubernetes objects are.
fn is_object_name(text: &str) -> bool {
    const LONGEST: usize = 253;
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.len() <= LONGEST
        && text
            .split('.')
            .all(|part| part.starts_with(edge) && part.ends_with(edge) && part.chars().all(|c| edge(c) || c == '-'))
}
