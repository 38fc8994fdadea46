//! Security events of the charm: rejected requests, crashes, actions of operators.
//!
//! The form is that of ops (`canonical/operator`, `ops/log.py`, specification SEC0045): one JSON object at the level TRACE, which a
//! model logs only if configured: `juju model-config logging-config="<root>=INFO;unit=TRACE"`. The names of events are those
//! of OWASP's Logging Vocabulary.

use k8s_openapi::jiff::Timestamp;
use serde_json::json;

use crate::api_error::ApiError;
use crate::changes::{ChangeSet, Conflict};
use crate::inputs::JujuState;
use crate::labels::ObjectKind;
use juju_hooks::{HookContext, HookTools, SecretError};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecurityEvent {
    /// Kubernetes or Juju rejected a request of the charm, or the charm an object of others.
    Rejected {
        /// What, in a few words.
        what: String,
        why: String,
    },
    /// The charm ended with an error.
    Crashed { why: String },
    /// An operator ran an action.
    Ran { action: String },
    /// An operator has disabled the watcher.
    WatcherOff,
}

impl SecurityEvent {
    /// An error about permissions or identity.
    pub fn from_api_error(error: &ApiError) -> Option<Self> {
        let what = match error {
            ApiError::Forbidden { missing, .. } => missing.first().map_or("request".to_owned(), ToString::to_string),
            ApiError::Unauthorized => "token".to_owned(),
            ApiError::Untrusted { .. } => "certificate".to_owned(),
            _ => return None,
        };
        let why = error.to_string();
        Some(Self::Rejected { what, why })
    }

    /// Objects of others that the charm does not adopt or follow.
    pub fn from_conflicts(changes: &ChangeSet, namespace: &str) -> Vec<Self> {
        let rejected = |what: String, why: &str| Self::Rejected {
            why: format!("{what} {why}"),
            what,
        };
        let object = |kind: &ObjectKind, name: &str| format!("{} {namespace}/{name}", kind.as_str());
        let conflicts = changes.conflicts.values().map(|conflict| match conflict {
            Conflict::NameTaken { kind, name, .. } => {
                rejected(object(kind, name), "has the name of an object of this application")
            }
            Conflict::ForeignOwner { kind, name, owner } => {
                rejected(object(kind, name), &format!("got the owner {owner}"))
            }
            Conflict::ForeignFinalizer { kind, name, finalizer } => {
                rejected(object(kind, name), &format!("got the finalizer {finalizer}"))
            }
            Conflict::PrefixTaken { kind, route, .. } | Conflict::GrpcHostTaken { kind, route, .. } => rejected(
                format!("{} {route}", kind.as_str()),
                "matches requests of this application",
            ),
            Conflict::ShadowedByCatchAll { route } => {
                rejected(format!("VirtualService {route}"), "matches all requests")
            }
        });
        let copies = changes.unmanaged.iter();
        let copies = copies.map(|copy| rejected(object(&copy.kind, &copy.name), "has this application's labels"));
        conflicts.chain(copies).collect()
    }

    /// Secrets that Juju does not grant.
    pub fn from_secrets(state: &JujuState) -> impl Iterator<Item = Self> {
        let rejected = state.secrets.iter();
        let rejected = rejected.filter(|(_, answer)| matches!(answer, Err(SecretError::NotGranted)));
        rejected.map(|(uri, _)| Self::Rejected {
            what: "secret".to_owned(),
            why: format!("{uri} is not granted to this application"),
        })
    }

    fn level(&self) -> &'static str {
        match self {
            Self::Rejected { .. } | Self::Crashed { .. } => "CRITICAL",
            Self::Ran { .. } | Self::WatcherOff => "WARN",
        }
    }

    fn event(&self, unit: &str) -> String {
        match self {
            Self::Rejected { what, .. } => format!("authz_fail:{unit},{what}"),
            Self::Crashed { .. } => format!("sys_crash:{unit}"),
            Self::Ran { action } => format!("authz_admin:{unit},{action}"),
            Self::WatcherOff => format!("sys_monitor_disabled:{unit},watcher"),
        }
    }

    fn description(&self) -> String {
        match self {
            Self::Rejected { why, .. } | Self::Crashed { why } => why.clone(),
            Self::Ran { action } => format!("action {action} was run"),
            Self::WatcherOff => "option watch is off: changes are seen at the next hook".to_owned(),
        }
    }

    pub fn line(&self, context: &HookContext, now: Timestamp) -> String {
        let unit = &context.unit;
        json!({
            "datetime": now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            "level": self.level(),
            "type": "security",
            "appid": format!("{}-{unit}", context.model_uuid),
            "event": self.event(unit),
            "description": self.description(),
        })
        .to_string()
    }

    /// Failing to log must not stop the hook.
    pub fn log(&self, tools: HookTools, context: &HookContext) {
        if let Err(error) = tools.juju_log("TRACE", &self.line(context, Timestamp::now())) {
            println!("failed to log a security event: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::ffi::OsString;

    use serde_json::Value;

    #[test]
    fn event_is_json_with_fields_of_sec0045() {
        let environment: BTreeMap<&str, &str> = [
            ("JUJU_DISPATCH_PATH", "hooks/update-status"),
            ("JUJU_UNIT_NAME", "iris/0"),
            ("JUJU_MODEL_NAME", "edge"),
            ("JUJU_MODEL_UUID", "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"),
            ("JUJU_CONTEXT_ID", "x"),
        ]
        .into();
        let context = HookContext::read(|name| environment.get(name).map(OsString::from)).unwrap();
        let event = SecurityEvent::Rejected {
            what: "list pods".into(),
            why: "not \"allowed\"\nat all".into(),
        };
        let line = event.line(&context, "2026-01-02T03:04:05.678Z".parse().unwrap());
        assert!(!line.contains('\n'), "{line}");
        let read: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            read,
            json!({
                "datetime": "2026-01-02T03:04:05Z",
                "level": "CRITICAL",
                "type": "security",
                "appid": "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee-iris/0",
                "event": "authz_fail:iris/0,list pods",
                "description": "not \"allowed\"\nat all",
            })
        );
    }
}
