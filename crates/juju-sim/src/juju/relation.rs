//! Relations and the data bags of their two sides.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What the proxy of another model's application is called by.
pub(super) const PROXY: &str = "remote-";

/// How far along the way out something is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Life {
    /// There, and meant to stay.
    #[default]
    Alive,
    /// Its removal was asked for; hooks are still to come.
    Dying,
    /// Gone but for its name.
    Dead,
}

/// One end of a relation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Side {
    /// The application.
    pub application: String,
    /// Its endpoint.
    pub endpoint: String,
}

/// One data bag.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bag {
    /// How often it was written. Juju raises no event for an application bag at 0.
    pub version: u64,
    /// Its content.
    pub data: BTreeMap<String, String>,
}

/// A relation between two applications, or of one with itself (a peer relation: both sides are the same).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relation {
    /// The number after the colon in `endpoint:id`.
    pub id: u32,
    /// Both ends; equal for a peer relation.
    pub sides: [Side; 2],
    /// The interface both endpoints speak.
    pub interface: String,
    /// Whether it is on its way out.
    #[serde(default)]
    pub life: Life,
    /// Removed by force: the controller has it no more, and units that were in it list its id still.
    #[serde(default)]
    pub forced: bool,
    /// The bags, by unit name (`iris/0`) or application name (`iris`).
    #[serde(default)]
    pub bags: BTreeMap<String, Bag>,
}

impl Relation {
    /// Whether it joins an application's units to each other.
    #[must_use]
    pub fn is_peer(&self) -> bool {
        let [first, second] = &self.sides;
        first == second
    }

    /// The end of `application`, when it takes part.
    #[must_use]
    pub fn local(&self, application: &str) -> Option<&Side> {
        self.sides.iter().find(|side| side.application == application)
    }

    /// The other end as seen from `application`; the same end for a peer relation.
    #[must_use]
    pub fn remote(&self, application: &str) -> Option<&Side> {
        let [first, second] = &self.sides;
        if first.application == application {
            Some(second)
        } else if second.application == application {
            Some(first)
        } else {
            None
        }
    }

    /// Whether its other end, as seen from `application`, is in another model and came by an offer of this one. Juju stands a
    /// proxy in for it, `remote-` and 32 hexadecimal digits (juju/juju, state/remoteapplication.go).
    #[must_use]
    pub fn is_offered(&self, application: &str) -> bool {
        self.remote(application).is_some_and(|side| {
            side.application
                .strip_prefix(PROXY)
                .is_some_and(|token| token.len() == 32 && token.bytes().all(|byte| byte.is_ascii_hexdigit()))
        })
    }

    /// What a charm calls it: `endpoint:id` with its own endpoint's name.
    #[must_use]
    pub fn key(&self, application: &str) -> String {
        let endpoint = self.local(application).map_or("", |side| side.endpoint.as_str());
        format!("{endpoint}:{}", self.id)
    }

    /// The content of a bag; `None` where nothing was ever written.
    #[must_use]
    pub fn data(&self, owner: &str) -> Option<&BTreeMap<String, String>> {
        self.bags.get(owner).map(|bag| &bag.data)
    }

    /// Writes keys to a bag as `relation-set` does: an empty value deletes the key, and a write that changes nothing
    /// raises no event.
    pub fn write<K: Into<String>, V: Into<String>>(&mut self, owner: &str, pairs: impl IntoIterator<Item = (K, V)>) {
        let bag = self.bags.entry(owner.to_owned()).or_default();
        let before = bag.data.clone();
        for (key, value) in pairs {
            let (key, value) = (key.into(), value.into());
            if value.is_empty() {
                bag.data.remove(&key);
            } else {
                bag.data.insert(key, value);
            }
        }
        if bag.data != before {
            bag.version += 1;
        }
    }
}
