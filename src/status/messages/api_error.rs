//! What the API server rejects.

use std::collections::BTreeMap;

use crate::api_error::ApiError;
use crate::config::Model;
use crate::labels::ObjectKind;
use crate::permissions::{Permission, Place};
use crate::shell::{Commands, juju_status, kubectl};
use crate::status::{Message, StatusInput, fix};

/// The longest name of a field manager that fits into what is the case, in bytes.
const LONGEST_MANAGER: usize = 40;

pub fn api_error(commands: &Commands, error: &ApiError) -> Message {
    match error {
        ApiError::Unreachable { why } => Message::waiting("Kubernetes API unreachable; will retry").cause(why),
        ApiError::Untrusted { why, time: true } => {
            Message::blocked("Kubernetes API certificate not valid now: check the clock")
                .run("sudo microk8s refresh-certs -e server.crt")
                .cause(format!("{why} by this machine's clock"))
        }
        ApiError::Untrusted { why, time: false } => {
            Message::waiting("Kubernetes API certificate not trusted; will retry").cause(why)
        }
        ApiError::Throttled { .. } => Message::waiting("Kubernetes API overloaded; will retry"),
        ApiError::DeadlineExceeded => Message::waiting("Kubernetes API too slow; will retry"),
        ApiError::ServerError { why } => Message::waiting("Kubernetes API error; will retry").cause(why),
        ApiError::Unauthorized => Message::waiting("Kubernetes API rejects this unit's token; will retry"),
        // The kubelet writes the file, also again.
        ApiError::NoToken { why } => {
            Message::waiting("waiting for Kubernetes to write the service account's token").cause(why)
        }
        ApiError::Unserializable { why } => Message::blocked("fault of the charm: an object is not valid JSON")
            .run("juju debug-log")
            .cause(why),
        ApiError::Terminating => Message::waiting(format!("namespace {} is being deleted", commands.namespace)),
        ApiError::NotFound | ApiError::ConcurrentChange => {
            Message::waiting("changed by another client at the same time; will retry")
        }
        ApiError::Forbidden { why, missing } if missing.is_empty() => Message::blocked("request denied by Kubernetes")
            .run(commands.diagnose())
            .cause(why),
        ApiError::Forbidden { missing, .. } => Message::blocked("missing permissions")
            .run(commands.trust())
            .cause(format!("or apply rbac.yaml; {}", rights(missing))),
        ApiError::CrdMissing { kind } => {
            let (what, run) = if kind.starts_with("Seldon") {
                ("Seldon Core is not installed", "juju deploy seldon-core --trust")
            } else if kind == ObjectKind::HttpRoute.as_str() {
                ("Gateway API is not installed", "juju deploy istio-k8s --trust")
            } else {
                ("Istio is not installed", "juju deploy istio-pilot --trust")
            };
            Message::blocked(what).run(run).cause(format!("CRD {kind} not found"))
        }
        ApiError::Conflict {
            object,
            manager,
            fields,
        } => {
            let (kind, name) = kind_and_name(object);
            let (namespace, simple_name) = name.split_once('/').unwrap_or((commands.namespace, name));
            let fields = fields.join(", ");
            let (what, owner) = if manager.len() > LONGEST_MANAGER {
                ("it is managed by another client".to_owned(), format!("{manager}, "))
            } else {
                let subject = match kind {
                    "VirtualService" | "HTTPRoute" => "its route",
                    "RequestAuthentication" | "AuthorizationPolicy" => "its access",
                    _ => "it",
                };
                (format!("{subject} is managed by {manager}"), String::new())
            };
            Message::blocked(what)
                .run_destructive(kubectl(namespace, "delete", kind, simple_name))
                .cause(format!("{owner}{kind} {name}: {fields}; it is recreated then"))
        }
        ApiError::WebhookDown { name, why } => {
            let what = if name.contains("seldon") {
                "waiting for Seldon Core's webhook"
            } else {
                "waiting for a webhook"
            };
            let cause = if name.contains("seldon") {
                format!("{name}: {why}; see {}", juju_status("seldon-core"))
            } else {
                format!("{name}: {why}")
            };
            Message::waiting(format!("{what}; will retry")).cause(cause)
        }
        ApiError::Invalid { object, why } => {
            let (kind, _) = kind_and_name(object);
            let what = format!("{kind} rejected by Kubernetes");
            Message::blocked(what.trim_start())
                .run(commands.show_config())
                .cause(why)
        }
        ApiError::Quota { why } => Message::blocked("quota exceeded")
            .run(commands.config("resources", "…"))
            .cause(why),
    }
}

/// The same of one model, whose options may be in a file.
pub fn rejected(input: &StatusInput, model: &Model, error: &ApiError) -> Message {
    let message = api_error(&input.commands(), error);
    let message = match error {
        ApiError::Quota { why } => message.fix(fix::set(input, model, "resources", "…"), why),
        ApiError::Invalid { object, why } if model.manifest.is_some() && object.starts_with("SeldonDeployment") => {
            message.fix(fix::set(input, model, "manifest", "@manifest.yaml"), why)
        }
        _ => message,
    };
    // What concerns all models is reported once.
    if error.concerns_all() {
        message
    } else {
        message.of_model(&model.name)
    }
}

fn kind_and_name(object: &str) -> (&str, &str) {
    object.split_once(' ').unwrap_or((object, ""))
}

/// Permissions by kind: `list/create seldondeployments, get gateways in all namespaces`.
pub fn rights(missing: &[Permission]) -> String {
    let mut by_kind: BTreeMap<(&Place, String), Vec<&str>> = BTreeMap::new();
    for permission in missing {
        by_kind
            .entry((&permission.place, permission.kind()))
            .or_default()
            .push(permission.verb);
    }
    let mut parts: Vec<String> = by_kind
        .iter()
        .map(|((place, kind), verbs)| {
            let place = match place {
                Place::Own => String::new(),
                Place::Everywhere => " in all namespaces".to_owned(),
                Place::Namespace(namespace) => format!(" in namespace {namespace}"),
            };
            format!("{} {kind}{place}", verbs.join("/"))
        })
        .collect();
    // Seldon's and Istio's kinds say more to an operator than pods and services.
    parts.sort_by_key(|part| !(part.contains("seldon") || part.contains("virtual") || part.contains("httproutes")));
    parts.join(", ")
}
