//! The hooks a unit agent runs, and what of them the environment tells.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Relation;

/// A relation's events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RelationEvent {
    /// The relation is there; no units yet.
    Created,
    /// A remote unit came.
    Joined,
    /// A remote unit's bag changed, or with no unit the remote application's.
    Changed,
    /// A unit goes.
    Departed,
    /// The relation is gone.
    Broken,
}

impl RelationEvent {
    /// The end of the hook's name.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Joined => "joined",
            Self::Changed => "changed",
            Self::Departed => "departed",
            Self::Broken => "broken",
        }
    }
}

/// A hook or an action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hook {
    /// A hook that is only a name: `install`, `config-changed`, `update-status`, and any name a future Juju has.
    Plain(String),
    /// A relation hook.
    Relation {
        /// The event.
        event: RelationEvent,
        /// The relation's id.
        id: u32,
        /// The remote unit; `None` in created, broken, and changed for an application bag.
        unit: Option<String>,
        /// In departed: the unit that goes, which may be our own.
        departing: Option<String>,
    },
    /// A secret hook (Juju 3.0.3 and later).
    Secret {
        /// `changed`, `rotate`, `expired` or `remove`.
        event: String,
        /// `secret:<20 characters>`.
        id: String,
        /// The label its reader gave it.
        label: String,
        /// Set in expired and remove.
        revision: Option<u64>,
    },
    /// A command that `juju-exec` runs in the place of a hook.
    Exec {
        /// For a shell.
        command: String,
    },
    /// An action.
    Action {
        /// Its name.
        name: String,
        /// Its parameters.
        params: BTreeMap<String, Value>,
        /// The number of its task.
        task: u32,
    },
}

impl Hook {
    /// A relation event without a unit: created, broken, or changed for the application bag.
    #[must_use]
    pub fn relation(event: RelationEvent, id: u32) -> Self {
        Self::Relation {
            event,
            id,
            unit: None,
            departing: None,
        }
    }

    /// A relation event about a remote unit: joined, changed or departed.
    #[must_use]
    pub fn relation_unit(event: RelationEvent, id: u32, unit: &str) -> Self {
        Self::Relation {
            event,
            id,
            unit: Some(unit.to_owned()),
            departing: (event == RelationEvent::Departed).then(|| unit.to_owned()),
        }
    }

    /// An action with parameters.
    #[must_use]
    pub fn action(name: &str, params: BTreeMap<String, Value>) -> Self {
        Self::Action {
            name: name.to_owned(),
            params,
            task: 0,
        }
    }

    /// The hook's name with its endpoint, e.g. `gateway-info-relation-changed`; an action's own name.
    #[must_use]
    pub fn name(&self, relations: &BTreeMap<u32, Relation>, application: &str) -> String {
        match self {
            Self::Plain(name) | Self::Action { name, .. } => name.clone(),
            Self::Relation { event, id, .. } => {
                let endpoint = relations
                    .get(id)
                    .and_then(|relation| relation.local(application))
                    .map_or("unknown", |side| side.endpoint.as_str());
                format!("{endpoint}-relation-{}", event.word())
            }
            Self::Secret { event, .. } => format!("secret-{event}"),
            Self::Exec { .. } => "juju-exec".to_owned(),
        }
    }
}

impl From<&str> for Hook {
    fn from(name: &str) -> Self {
        Self::Plain(name.to_owned())
    }
}
