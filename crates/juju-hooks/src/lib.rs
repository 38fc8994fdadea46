//! What a Juju charm in Rust needs: the context of a hook, the hook tools by their own names, statuses, and a layer that takes
//! the events of `tracing` to `juju-log`.
//!
//! A charm is a program called `dispatch`, which Juju starts for every hook and action. It learns from its environment why it runs
//! ([`HookContext`]), and talks to Juju through the hook tools, which are programs as well ([`HookTools`]). No call of one can hang for
//! ever, and all of them together cannot hang a hook for more than two minutes.
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
//! Facts about Juju name the file of `juju/juju` they were read from.

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

/// Why Juju started this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Any other hook, by its name. Hooks that this library does not know are among them.
    Hook(String),
    /// The pod is going away, perhaps to come back: it fires at every restart.
    Stop,
    /// The unit is being removed for good. The last hook of its life.
    Remove,
    /// The relation of this id (`gateway-info:3`) is over, although `relation-ids` may list it still.
    RelationBroken(String),
    /// The secret of this URI, which the unit has read, has new content.
    SecretChanged(String),
    /// An action of this name, from `juju run`.
    Action(String),
}

impl Event {
    /// Its name; that of a broken relation's hook and of a changed secret's without the endpoint.
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

/// What the environment of a hook says (`internal/worker/uniter/runner/context/context.go`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookContext {
    /// Why this process runs.
    pub event: Event,
    /// The unit, such as `iris/0`.
    pub unit: String,
    /// The application the unit belongs to, such as `iris`.
    pub application: String,
    /// The name of the Juju model; on Kubernetes the namespace has the same name.
    pub model_name: String,
    /// The UUID of the Juju model.
    pub model_uuid: String,
    /// The version of Juju, if it can be read.
    pub version: Option<Version>,
}

/// A variable that Juju sets in every hook is not there: this is no hook.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not set")]
pub struct NotAHook(pub &'static str);

impl HookContext {
    /// Reads the environment through `variable`. An empty variable counts as absent, as it does for Juju.
    ///
    /// # Errors
    /// When a variable that every hook has is missing: the program was started by hand.
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
        let occasion = match path.rsplit_once('/') {
            Some(("actions", action)) => Event::Action(action.to_owned()),
            Some((_, hook)) => Self::hook(hook, get("JUJU_RELATION_ID"), get("JUJU_SECRET_ID")),
            None => Self::hook(&path, get("JUJU_RELATION_ID"), get("JUJU_SECRET_ID")),
        };
        Ok(Self {
            event: occasion,
            application: unit.split('/').next().unwrap_or_default().to_owned(),
            unit,
            model_name: need("JUJU_MODEL_NAME")?,
            model_uuid: need("JUJU_MODEL_UUID")?,
            version: get("JUJU_VERSION").and_then(|text| Version::read(&text)),
        })
    }

    /// Whether this unit leads, where the hook itself says so. `leader-settings-changed` is for all the others, up to 3.x.
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

/// One relation as this unit sees it: the other application and what it wrote for all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relation {
    /// Its id, such as `gateway-info:3`.
    pub id: String,
    /// The other side's application.
    pub application: String,
    /// Its application data bag.
    pub bag: BTreeMap<String, String>,
}

/// The ids of an endpoint's relations that are not being broken by this very hook.
///
/// # Errors
/// When `relation-ids` cannot be run or its answer not be read.
pub fn relation_ids(tools: HookTools, context: &HookContext, endpoint: &str) -> Result<Vec<String>, ToolError> {
    let mut ids = tools.relation_ids(endpoint)?;
    if let Event::RelationBroken(broken) = &context.event {
        ids.retain(|id| id != broken);
    }
    Ok(ids)
}

/// The relations of these ids. An id whose relation is gone has none.
///
/// # Errors
/// When a hook tool cannot be run or its answer not be read.
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
        let occasion = |path| hook(&[("JUJU_DISPATCH_PATH", path)]).map(|i| i.event);
        assert_eq!(occasion("hooks/stop"), Ok(Event::Stop));
        assert_eq!(occasion("hooks/remove"), Ok(Event::Remove));
        assert_eq!(occasion("actions/list-models"), Ok(Event::Action("list-models".into())));
        assert_eq!(occasion("hooks/made-up-hook"), Ok(Event::Hook("made-up-hook".into())));
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
