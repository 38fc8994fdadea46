//! `plan`: what the next hook would change, for the options as they are or as they might be. The API server is asked to try each
//! write without making it, so that what is shown is what would come of it.

mod diff;

use std::collections::BTreeMap;

use kube::api::DynamicObject;
use serde_json::{Map, Value, json};

use super::{Call, Failure, Results, chosen, lines_that_fit};
use crate::api_error::ApiError;
use crate::asked::Asked;
use crate::changes::{Apply, Delete};
use crate::config::proposal::propose;
use crate::juju::State;
use crate::labels::ObjectKind;
use crate::look::Look;

/// One write that is due.
struct Change {
    what: What,
    kind: ObjectKind,
    name: String,
    why: String,
    diff: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Make,
    Change,
    Delete,
    /// Once its successor is ready.
    DeleteLater,
}

impl What {
    fn word(self) -> &'static str {
        match self {
            Self::Make => "make",
            Self::Change => "change",
            Self::Delete => "delete",
            Self::DeleteLater => "delete later",
        }
    }
}

pub async fn run(call: &Call<'_>) -> Result<Results, Failure> {
    let parameters = call.parameters()?;
    let mut options = call.tools.config()?;
    if let Some(changes) = parameters.map("config")? {
        options = propose(&options, &changes)?;
    }
    let mut asked = Asked::read_with(call.tools, call.invocation, call.identity, options)?;
    // Whoever asks may have changed one a moment ago, and the hook that Juju runs for that comes first.
    let needed = asked.config.juju_secrets();
    asked.read_secrets(call.tools, call.invocation, &needed)?;
    let mut look = call.look(&mut asked).await?;
    let only = parameters.text("model")?;
    if let Some(only) = only.filter(|only| !concerns_any(&look, only)) {
        chosen(&asked, Some(only))?;
    }
    let is_meant = |model: &str| only.is_none_or(|only| only == model);
    look.deeper().await;
    let (mut changes, refused) = applies(&look, is_meant).await;
    changes.extend(deletes(&look.changes.deletes, What::Delete, is_meant));
    changes.extend(deletes(&look.changes.inherited, What::DeleteLater, is_meant));

    let mut conflicts: Vec<String> = look
        .verdict(&asked, &refused, false)
        .models
        .into_iter()
        .filter(|standing| standing.state == State::Blocked && is_meant(&standing.model))
        .filter(|standing| !look.plan.held.contains(&standing.model))
        .map(|standing| standing.message)
        .collect();
    conflicts.dedup();
    let faults: Vec<String> = asked.config.faults.iter().map(ToString::to_string).collect();
    Ok(told(&changes, &conflicts, &faults))
}

/// Whether there is anything of a model of that name, asked for or not.
fn concerns_any(look: &Look, model: &str) -> bool {
    let deletes = look.changes.deletes.iter().chain(&look.changes.inherited);
    look.plan.model(model).is_some()
        || look.plan.held.contains(model)
        || deletes.into_iter().any(|delete| delete.model == model)
}

/// Has every write tried, as a hook would make it: one that is refused ends those of its model. Gives the refusals by model.
async fn applies(look: &Look, is_meant: impl Fn(&str) -> bool) -> (Vec<Change>, BTreeMap<String, ApiError>) {
    let mut refused = BTreeMap::new();
    let mut changes = Vec::new();
    for apply in look.changes.applies.iter().filter(|apply| is_meant(&apply.model)) {
        if refused.contains_key(&apply.model) {
            continue;
        }
        let (outcome, why) = match look.cluster.try_apply(apply).await {
            Ok(object) => (Some(object), None),
            Err(refusal) => {
                let refusal = look.cluster.explain(refusal, look.needs()).await;
                let why = refusal.to_string();
                refused.insert(apply.model.clone(), refusal);
                (None, Some(why))
            }
        };
        changes.push(change(apply, live(look, apply), outcome.as_ref(), why));
    }
    (changes, refused)
}

fn live<'a>(look: &'a Look, apply: &Apply) -> Option<&'a DynamicObject> {
    match apply.kind {
        ObjectKind::Secret => look.observed.secret(&apply.name),
        ObjectKind::SeldonDeployment => look.observed.seldon_deployment(&apply.name),
        ObjectKind::VirtualService => look.observed.virtual_service(&look.identity, &apply.name),
        ObjectKind::HttpRoute => look.observed.http_route_in(&look.identity.namespace, &apply.name),
    }
}

/// What a write changes: by its outcome, or where there is none, by what it asks for.
fn change(apply: &Apply, live: Option<&DynamicObject>, outcome: Option<&Value>, refused: Option<String>) -> Change {
    let why = match (apply.kind, refused) {
        (_, Some(refused)) => format!("{}; it would be refused: {refused}", apply.because),
        // What a Secret holds must not be shown, neither what is there nor what would be.
        (ObjectKind::Secret, None) => format!("{}; its content is not shown", apply.because),
        (_, None) => apply.because.clone(),
    };
    let title = format!("{}/{}", apply.kind.as_str(), apply.name);
    let before = live.map(|live| shown(&typed(live, apply.kind)));
    let after = shown(outcome.unwrap_or(&apply.object));
    let before = match (outcome, before) {
        (None, Some(before)) => Some(as_far_as(&before, &after)),
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
    Change {
        what: if live.is_some() { What::Change } else { What::Make },
        kind: apply.kind,
        name: apply.name.clone(),
        why,
        diff,
    }
}

fn deletes(deletes: &[Delete], what: What, is_meant: impl Fn(&str) -> bool) -> Vec<Change> {
    let meant = deletes.iter().filter(|delete| is_meant(&delete.model));
    meant
        .map(|delete| Change {
            what,
            kind: delete.kind,
            name: delete.name.clone(),
            why: match what {
                What::DeleteLater => "it serves on until its successor is ready".to_owned(),
                _ => "it is no longer asked for".to_owned(),
            },
            diff: String::new(),
        })
        .collect()
}

/// An object of a list, which has no kind.
fn typed(object: &DynamicObject, kind: ObjectKind) -> Value {
    let mut value = serde_json::to_value(object).unwrap_or_default();
    if let Some(map) = value.as_object_mut() {
        map.insert("apiVersion".to_owned(), json!(kind.resource().api_version));
        map.insert("kind".to_owned(), json!(kind.as_str()));
    }
    value
}

/// What of an object is anybody's to set: neither its status, nor what the API server keeps of it.
fn shown(object: &Value) -> Value {
    const METADATA: [&str; 5] = ["name", "namespace", "labels", "annotations", "ownerReferences"];
    let mut shown = object.clone();
    if let Some(map) = shown.as_object_mut() {
        map.remove("status");
    }
    if let Some(metadata) = shown.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|key, _| METADATA.contains(&key.as_str()));
    }
    shown
}

/// The part of an object that another one says something of. Lists are taken whole.
fn as_far_as(object: &Value, other: &Value) -> Value {
    let (Some(map), Some(other)) = (object.as_object(), other.as_object()) else {
        return object.clone();
    };
    let both = other
        .iter()
        .filter_map(|(key, other)| Some((key.clone(), as_far_as(map.get(key)?, other))));
    Value::Object(both.collect::<Map<_, _>>())
}

fn told(changes: &[Change], conflicts: &[String], faults: &[String]) -> Results {
    const INSTEAD: &str = "say model=… to see those of one model";
    let count = |what: What| changes.iter().filter(|change| change.what == what).count();
    let gone = count(What::Delete) + count(What::DeleteLater);
    let summary = if changes.is_empty() {
        "nothing to change".to_owned()
    } else {
        format!(
            "{} to make, {} to change, {gone} to delete",
            count(What::Make),
            count(What::Change)
        )
    };
    let line = |change: &Change| {
        format!(
            "{} {} {}: {}",
            change.what.word(),
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
        ("obstacles", conflicts.join("\n")),
        ("faults", faults.join("\n")),
    ] {
        if !text.is_empty() {
            results.push((key.to_owned(), lines_that_fit(&text, INSTEAD)));
        }
    }
    results
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(kind: ObjectKind, object: Value) -> Apply {
        Apply {
            model: "iris".into(),
            kind,
            name: "iris".into(),
            object,
            because: "spec.a is not as asked".into(),
            force: false,
            takes_away: false,
            is_record: false,
            take_out: None,
        }
    }

    fn live(value: &Value) -> DynamicObject {
        serde_json::from_value(value.clone()).unwrap()
    }

    #[test]
    fn without_an_outcome_it_is_compared_as_far_as_something_is_asked_for() {
        let there =
            live(&json!({"metadata": {"name": "iris", "uid": "u"}, "spec": {"a": 1, "theirs": 2}, "status": {}}));
        let wanted = json!({
            "apiVersion": "machinelearning.seldon.io/v1", "kind": "SeldonDeployment", "metadata": {"name": "iris"}, "spec": {"a": 3},
        });
        let found = change(
            &apply(ObjectKind::SeldonDeployment, wanted),
            Some(&there),
            None,
            Some("no".into()),
        );
        assert!(found.why.ends_with("it would be refused: no"));
        assert!(found.diff.contains("\n-  a: 1\n+  a: 3\n"), "{}", found.diff);
        for other in ["theirs", "uid", "status"] {
            assert!(!found.diff.contains(other), "{}", found.diff);
        }
    }

    #[test]
    fn nothing_of_a_secret_is_shown_whatever_becomes_of_it() {
        let there = live(&json!({"metadata": {"name": "iris"}, "data": {"password": "b2xk"}}));
        let wanted = json!({"metadata": {"name": "iris"}, "data": {"password": "bmV3"}});
        for (there, outcome, refused) in [
            (Some(&there), Some(&wanted), None),
            (None, Some(&wanted), None),
            (Some(&there), None, Some("no".to_owned())),
        ] {
            let found = change(&apply(ObjectKind::Secret, wanted.clone()), there, outcome, refused);
            assert_eq!(found.diff, "");
            assert!(!found.why.contains("b2xk") && !found.why.contains("bmV3"));
        }
    }
}
