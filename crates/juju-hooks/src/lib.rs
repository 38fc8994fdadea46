//! Writing Juju charms in Rust: the context of a hook, the hook tools under their own names, unit statuses, and a log layer
//! that sends `tracing` events to `juju-log`.
//!
//! A charm is a program called `dispatch`, which Juju runs for every hook and action. Its environment says why it runs
//! ([`HookContext`]). It talks to Juju through the hook tools, which are programs too ([`HookTools`]). Every call has a time
//! limit, and all calls of a hook together are limited to two minutes.
//!
//! ```
//! use std::collections::BTreeMap;
//! use std::ffi::OsString;
//!
//! use juju_hooks::{Event, HookContext, HookTools, State, Status, ToolError};
//!
//! fn run(context: &HookContext) -> Result<(), ToolError> {
//!     let tools = HookTools;
//!     match &context.event {
//!         Event::Action(name) => tools.action_set(&[("called".to_owned(), name.clone())]),
//!         Event::Stop | Event::Remove => Ok(()),
//!         _ => {
//!             let options = tools.config_get()?;
//!             let status = match options.get("image") {
//!                 Some(image) => Status::new(State::Active, format!("serves {image}")),
//!                 None => Status::new(State::Blocked, format!("no image. Run: juju config {} image=…", context.application)),
//!             };
//!             tools.status_set(&status)
//!         }
//!     }
//! }
//!
//! // In a charm: HookContext::read(|name| std::env::var_os(name))
//! let environment = BTreeMap::from([
//!     ("JUJU_DISPATCH_PATH", "hooks/config-changed"),
//!     ("JUJU_UNIT_NAME", "iris/0"),
//!     ("JUJU_MODEL_NAME", "edge"),
//!     ("JUJU_MODEL_UUID", "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"),
//!     ("JUJU_CONTEXT_ID", "iris/0-config-changed-1"),
//! ]);
//! let context = HookContext::read(|name| environment.get(name).map(OsString::from)).unwrap();
//! assert_eq!(context.event, Event::Hook("config-changed".to_owned()));
//! assert_eq!(context.application, "iris");
//!
//! // Outside a hook there are no hook tools.
//! let error = run(&context).unwrap_err();
//! assert!(error.to_string().starts_with("Juju's config-get could not be started"), "{error}");
//! ```
//!
//! Facts about Juju name the file of `juju/juju` that they come from.

#![warn(missing_docs)]

pub mod answer;
pub mod log;
pub mod secret;
pub mod status;
pub mod subprocess;
pub mod tool;
pub mod version;

use std::collections::BTreeMap;
use std::ffi::OsString;

use serde::{Deserialize, Serialize};

pub use secret::{SecretContent, SecretError};
pub use status::{State, Status};
pub use tool::{HookTools, ToolError};
pub use version::Version;

/// Why Juju runs this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Any other hook, by name. It may be one that this library does not know.
    Hook(String),
    /// The pod is stopping. This hook runs at every restart of the pod.
    Stop,
    /// The unit is being removed. This is its last hook.
    Remove,
    /// A relation is being removed, by its id (`gateway-info:3`). `relation-ids` may still list it.
    RelationBroken(String),
    /// A secret that the unit has read has a new revision, by its URI.
    SecretChanged(String),
    /// An action, by name.
    Action(String),
}

impl Event {
    /// The name of the hook or action. `relation-broken` and `secret-changed` come without the endpoint or URI.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Hook(name) | Self::Action(name) => name,
            Self::Stop => "stop",
            Self::Remove => "remove",
            Self::RelationBroken(_) => "relation-broken",
            Self::SecretChanged(_) => "secret-changed",
        }
    }
}

/// The environment of a hook (`internal/worker/uniter/runner/context/context.go`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookContext {
    /// Why this process runs.
    pub event: Event,
    /// The unit, such as `iris/0`.
    pub unit: String,
    /// The unit's application, such as `iris`.
    pub application: String,
    /// The name of the Juju model. On Kubernetes the namespace has the same name.
    pub model_name: String,
    /// The UUID of the Juju model.
    pub model_uuid: String,
    /// Juju's version, if it could be parsed.
    pub version: Option<Version>,
}

/// A variable is missing that Juju sets in every hook, so this is not a hook.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not set")]
pub struct NotAHook(pub &'static str);

impl HookContext {
    /// Reads the environment through `variable`. An empty variable counts as missing, as it does for Juju.
    ///
    /// # Errors
    /// When a variable is missing that every hook has, such as when an operator runs the program.
    pub fn read(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, NotAHook> {
        let get = |name: &'static str| {
            variable(name)
                .map(|value| value.to_string_lossy().into_owned())
                .filter(|value| !value.is_empty())
        };
        let need = |name| get(name).ok_or(NotAHook(name));
        let path = need("JUJU_DISPATCH_PATH")?;
        let unit = need("JUJU_UNIT_NAME")?;
        need("JUJU_CONTEXT_ID")?;
        let event = match path.rsplit_once('/') {
            Some(("actions", action)) => Event::Action(action.to_owned()),
            Some((_, hook)) => Self::hook(hook, get("JUJU_RELATION_ID"), get("JUJU_SECRET_ID")),
            None => Self::hook(&path, get("JUJU_RELATION_ID"), get("JUJU_SECRET_ID")),
        };
        Ok(Self {
            event,
            application: unit.split('/').next().unwrap_or_default().to_owned(),
            unit,
            model_name: need("JUJU_MODEL_NAME")?,
            model_uuid: need("JUJU_MODEL_UUID")?,
            version: get("JUJU_VERSION").and_then(|text| Version::read(&text)),
        })
    }

    /// Whether this unit leads, as far as the event tells. Up to Juju 3.x, `leader-settings-changed` runs on all
    /// other units.
    pub fn has_become_leader(&self) -> Option<bool> {
        match &self.event {
            Event::Hook(name) if name == "leader-elected" => Some(true),
            Event::Hook(name) if name == "leader-settings-changed" => Some(false),
            _ => None,
        }
    }

    fn hook(name: &str, relation: Option<String>, secret: Option<String>) -> Event {
        match (name, relation, secret) {
            ("stop", ..) => Event::Stop,
            ("remove", ..) => Event::Remove,
            ("secret-changed", _, Some(uri)) => Event::SecretChanged(uri),
            (name, Some(id), _) if name.ends_with("-relation-broken") => Event::RelationBroken(id),
            (name, ..) => Event::Hook(name.to_owned()),
        }
    }
}

/// A relation with the application data of the other side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relation {
    /// The id, such as `gateway-info:3`.
    pub id: String,
    /// The application on the other side.
    pub application: String,
    /// The application data bag of the other side.
    pub bag: BTreeMap<String, String>,
}

/// The ids of an endpoint's relations, without the one that this hook is breaking.
///
/// # Errors
/// When `relation-ids` fails or its output cannot be parsed.
pub fn relation_ids(tools: HookTools, context: &HookContext, endpoint: &str) -> Result<Vec<String>, ToolError> {
    let mut ids = tools.relation_ids(endpoint)?;
    if let Event::RelationBroken(broken) = &context.event {
        ids.retain(|id| id != broken);
    }
    Ok(ids)
}

/// Reads relations by their ids. Relations that no longer exist are left out.
///
/// # Errors
/// When a hook tool fails or its output cannot be parsed.
pub fn relations(tools: HookTools, ids: &[String]) -> Result<Vec<Relation>, ToolError> {
    let mut relations = Vec::new();
    for id in ids {
        let Some(application) = tools.relation_list_app(id)? else {
            continue;
        };
        let Some(bag) = tools.relation_get(id, &application)? else {
            continue;
        };
        relations.push(Relation {
            id: id.clone(),
            application,
            bag,
        });
    }
    Ok(relations)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hook(pairs: &[(&str, &str)]) -> Result<HookContext, NotAHook> {
        let base = [
            ("JUJU_UNIT_NAME", "iris/0"),
            ("JUJU_MODEL_NAME", "edge"),
            ("JUJU_MODEL_UUID", "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"),
            ("JUJU_CONTEXT_ID", "iris/0-x"),
        ];
        let all: BTreeMap<_, _> = base.iter().chain(pairs).copied().collect();
        HookContext::read(|name| all.get(name).map(OsString::from))
    }

    #[test]
    fn dispatch_path_names_hook_or_action() {
        let event = |path| hook(&[("JUJU_DISPATCH_PATH", path)]).map(|i| i.event);
        assert_eq!(event("hooks/stop"), Ok(Event::Stop));
        assert_eq!(event("hooks/remove"), Ok(Event::Remove));
        assert_eq!(event("actions/list-models"), Ok(Event::Action("list-models".into())));
        assert_eq!(event("hooks/made-up-hook"), Ok(Event::Hook("made-up-hook".into())));
    }

    #[test]
    fn empty_variable_counts_as_unset() {
        assert_eq!(hook(&[("JUJU_DISPATCH_PATH", "")]), Err(NotAHook("JUJU_DISPATCH_PATH")));
        assert_eq!(
            hook(&[("JUJU_DISPATCH_PATH", "hooks/start"), ("JUJU_UNIT_NAME", "")]),
            Err(NotAHook("JUJU_UNIT_NAME"))
        );
    }

    #[test]
    fn broken_relation_is_known_by_its_id() {
        let broken = hook(&[
            ("JUJU_DISPATCH_PATH", "hooks/gateway-info-relation-broken"),
            ("JUJU_RELATION_ID", "gateway-info:3"),
        ]);
        assert_eq!(
            broken.map(|i| i.event),
            Ok(Event::RelationBroken("gateway-info:3".into()))
        );
    }
}
