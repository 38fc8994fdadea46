//! `plan`: what the next hook would change, with the current options or with others. Each write is a dry run by the API server, so
//! that the result is shown with its defaults and webhooks.

mod diff;

use std::collections::BTreeMap;

use kube::api::DynamicObject;
use serde_json::{Map, Value, json};

use super::{ActionContext, Failure, Results, lines_that_fit, select_model};
use crate::api_error::ApiError;
use crate::changes::{Apply, Delete};
use crate::config::proposal::propose;
use crate::inputs::Inputs;
use crate::labels::ObjectKind;
use crate::reconcile::snapshot::Snapshot;
use juju_hooks::State;

struct PlannedChange {
    what: ChangeKind,
    kind: ObjectKind,
    name: String,
    why: String,
    diff: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ChangeKind {
    Create,
    Change,
    Delete,
    /// Once its replacement is ready.
    DeleteLater,
}

impl ChangeKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Change => "change",
            Self::Delete => "delete",
            Self::DeleteLater => "delete later",
        }
    }
}

pub async fn run(call: &ActionContext<'_>) -> Result<Results, Failure> {
    let parameters = call.parameters()?;
    let mut options = call.tools.config_get()?;
    if let Some(changes) = parameters.map("config")? {
        options = propose(&options, &changes)?;
    }
    let mut inputs = Inputs::with_options(call.tools, call.context, call.identity, options)?;
    // A secret may have changed just now, and Juju runs the hook for that before the next one.
    let needed = inputs.config.juju_secrets();
    inputs.read_secrets(call.tools, call.context, &needed)?;
    let mut snapshot = call.snapshot(&mut inputs).await?;
    let only = parameters.text("model")?;
    if let Some(only) = only.filter(|only| !concerns_any(&snapshot, only)) {
        select_model(&inputs, Some(only))?;
    }
    let is_selected = |model: &str| only.is_none_or(|only| only == model);
    snapshot.list_pods_if_unready().await;
    let (mut changes, rejected) = applies(&snapshot, is_selected).await;
    changes.extend(deletes(&snapshot.changes.deletes, ChangeKind::Delete, is_selected));
    for later in [&snapshot.changes.deferred, &snapshot.changes.withheld] {
        changes.extend(deletes(later, ChangeKind::DeleteLater, is_selected));
    }

    let mut conflicts: Vec<String> = snapshot
        .report(&inputs, &rejected, false)
        .models
        .into_iter()
        .filter(|model_status| model_status.state == State::Blocked && is_selected(&model_status.model))
        .filter(|model_status| !snapshot.plan.frozen.contains(&model_status.model))
        .map(|model_status| model_status.message)
        .collect();
    conflicts.dedup();
    let errors: Vec<String> = inputs.config.errors.iter().map(ToString::to_string).collect();
    Ok(results(&changes, &conflicts, &errors))
}

/// Whether a model of that name is configured, or has objects to delete.
fn concerns_any(snapshot: &Snapshot, model: &str) -> bool {
    let waiting = snapshot.changes.deferred.iter().chain(&snapshot.changes.withheld);
    let deletes = snapshot.changes.deletes.iter().chain(waiting);
    snapshot.plan.model(model).is_some()
        || snapshot.plan.frozen.contains(model)
        || deletes.into_iter().any(|delete| delete.model == model)
}

/// Tries every write like a hook: a rejected one ends those of its model. Returns the errors by model too.
async fn applies(
    snapshot: &Snapshot,
    is_selected: impl Fn(&str) -> bool,
) -> (Vec<PlannedChange>, BTreeMap<String, ApiError>) {
    let mut rejected = BTreeMap::new();
    let mut changes = Vec::new();
    for apply in snapshot
        .changes
        .applies
        .iter()
        .filter(|apply| is_selected(&apply.model))
    {
        if rejected.contains_key(&apply.model) {
            continue;
        }
        let (outcome, message) = match snapshot.cluster.dry_run(apply).await {
            Ok(object) => (Some(object), None),
            Err(error) => {
                let error = snapshot.cluster.explain(error, &snapshot.needs()).await;
                let message = error.to_string();
                rejected.insert(apply.model.clone(), error);
                (None, Some(message))
            }
        };
        changes.push(change(apply, live(snapshot, apply), outcome.as_ref(), message));
    }
    (changes, rejected)
}

fn live<'a>(snapshot: &'a Snapshot, apply: &Apply) -> Option<&'a DynamicObject> {
    match apply.kind {
        ObjectKind::Secret => snapshot.observed.secret(&apply.name),
        ObjectKind::SeldonDeployment => snapshot.observed.seldon_deployment(&apply.name),
        ObjectKind::VirtualService => snapshot.observed.virtual_service(&apply.name),
        ObjectKind::HttpRoute => snapshot.observed.http_route(&apply.name),
        kind @ (ObjectKind::RequestAuthentication | ObjectKind::AuthorizationPolicy) => {
            snapshot.observed.access_policy(kind, apply.namespace(), &apply.name)
        }
    }
}

/// What a write changes: in its outcome, or without one in the desired fields.
fn change(
    apply: &Apply,
    live: Option<&DynamicObject>,
    outcome: Option<&Value>,
    rejected: Option<String>,
) -> PlannedChange {
    let why = match (apply.kind, rejected) {
        (_, Some(rejected)) => format!("{}; would be rejected: {rejected}", apply.reason),
        // The content of a Secret must not be shown, neither the current nor the new one.
        (ObjectKind::Secret, None) => format!("{}; content not shown", apply.reason),
        (_, None) => apply.reason.clone(),
    };
    let title = format!("{}/{}", apply.kind.as_str(), apply.name);
    let before = live.map(|live| client_fields(&typed(live, apply.kind)));
    let after = client_fields(outcome.unwrap_or(&apply.object));
    let before = match (outcome, before) {
        (None, Some(before)) => Some(project(&before, &after)),
        (_, before) => before,
    };
    let from = if live.is_some() { title.as_str() } else { "/dev/null" };
    let text = |object: &Value| serde_yaml::to_string(object).unwrap_or_default();
    let diff = if apply.kind == ObjectKind::Secret {
        String::new()
    } else {
        diff::unified(
            from,
            &title,
            &before.as_ref().map(text).unwrap_or_default(),
            &text(&after),
        )
    };
    PlannedChange {
        what: if live.is_some() {
            ChangeKind::Change
        } else {
            ChangeKind::Create
        },
        kind: apply.kind,
        name: apply.name.clone(),
        why,
        diff,
    }
}

fn deletes(deletes: &[Delete], what: ChangeKind, is_selected: impl Fn(&str) -> bool) -> Vec<PlannedChange> {
    let selected = deletes.iter().filter(|delete| is_selected(&delete.model));
    selected
        .map(|delete| PlannedChange {
            what,
            kind: delete.kind,
            name: delete.name.clone(),
            why: match what {
                ChangeKind::DeleteLater => "kept until its replacement is ready".to_owned(),
                _ => "removed from the configuration".to_owned(),
            },
            diff: String::new(),
        })
        .collect()
}

/// Adds the kind, which the items of a list lack.
fn typed(object: &DynamicObject, kind: ObjectKind) -> Value {
    let mut value = serde_json::to_value(object).unwrap_or_default();
    if let Some(map) = value.as_object_mut() {
        map.insert("apiVersion".to_owned(), json!(kind.resource().api_version));
        map.insert("kind".to_owned(), json!(kind.as_str()));
    }
    value
}

/// The fields that clients set: not its status, nor what the API server adds.
fn client_fields(object: &Value) -> Value {
    const METADATA: [&str; 5] = ["name", "namespace", "labels", "annotations", "ownerReferences"];
    let mut fields = object.clone();
    if let Some(map) = fields.as_object_mut() {
        map.remove("status");
    }
    if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|key, _| METADATA.contains(&key.as_str()));
    }
    fields
}

/// The fields of an object that another one has too. Lists are taken whole.
fn project(object: &Value, other: &Value) -> Value {
    let (Some(map), Some(other)) = (object.as_object(), other.as_object()) else {
        return object.clone();
    };
    let common = other
        .iter()
        .filter_map(|(key, other)| Some((key.clone(), project(map.get(key)?, other))));
    Value::Object(common.collect::<Map<_, _>>())
}

fn results(changes: &[PlannedChange], conflicts: &[String], errors: &[String]) -> Results {
    const HINT: &str = "model=… shows those of one model";
    let count = |what: ChangeKind| changes.iter().filter(|change| change.what == what).count();
    let deleted = count(ChangeKind::Delete) + count(ChangeKind::DeleteLater);
    let summary = if changes.is_empty() {
        "nothing to change".to_owned()
    } else {
        format!(
            "{} to create, {} to change, {deleted} to delete",
            count(ChangeKind::Create),
            count(ChangeKind::Change)
        )
    };
    let line = |change: &PlannedChange| {
        format!(
            "{} {} {}: {}",
            change.what.as_str(),
            change.kind.as_str(),
            change.name,
            change.why
        )
    };
    let lines: Vec<String> = changes.iter().map(line).collect();
    let diff: String = changes.iter().map(|change| change.diff.as_str()).collect();
    let mut results = vec![("summary".to_owned(), summary)];
    for (key, text) in [
        ("changes", lines.join("\n")),
        ("diff", diff),
        ("conflicts", conflicts.join("\n")),
        ("errors", errors.join("\n")),
    ] {
        if !text.is_empty() {
            results.push((key.to_owned(), lines_that_fit(&text, HINT)));
        }
    }
    results
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::changes::ApplyMode;

    fn apply(kind: ObjectKind, object: Value) -> Apply {
        Apply {
            model: "iris".into(),
            kind,
            name: "iris".into(),
            object,
            reason: "spec.a differs".into(),
            mode: ApplyMode::Change,
            removals: None,
        }
    }

    fn live(value: &Value) -> DynamicObject {
        serde_json::from_value(value.clone()).unwrap()
    }

    #[test]
    fn missing_dry_run_compares_desired_fields_only() {
        let existing =
            live(&json!({"metadata": {"name": "iris", "uid": "u"}, "spec": {"a": 1, "theirs": 2}, "status": {}}));
        let desired = json!({
            "apiVersion": "machinelearning.seldon.io/v1", "kind": "SeldonDeployment", "metadata": {"name": "iris"}, "spec": {"a": 3},
        });
        let change = change(
            &apply(ObjectKind::SeldonDeployment, desired),
            Some(&existing),
            None,
            Some("no".into()),
        );
        assert!(change.why.ends_with("would be rejected: no"));
        assert!(change.diff.contains("\n-  a: 1\n+  a: 3\n"), "{}", change.diff);
        for other in ["theirs", "uid", "status"] {
            assert!(!change.diff.contains(other), "{}", change.diff);
        }
    }

    #[test]
    fn secret_content_is_never_shown() {
        let existing = live(&json!({"metadata": {"name": "iris"}, "data": {"password": "b2xk"}}));
        let desired = json!({"metadata": {"name": "iris"}, "data": {"password": "bmV3"}});
        for (existing, outcome, rejected) in [
            (Some(&existing), Some(&desired), None),
            (None, Some(&desired), None),
            (Some(&existing), None, Some("no".to_owned())),
        ] {
            let change = change(&apply(ObjectKind::Secret, desired.clone()), existing, outcome, rejected);
            assert_eq!(change.diff, "");
            assert!(!change.why.contains("b2xk") && !change.why.contains("bmV3"));
        }
    }
}
