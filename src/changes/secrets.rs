//! When Secrets may be deleted, and which Juju secrets have to be read.

use serde_json::Value;

use super::{Delete, Unread};
use crate::identity::Identity;
use crate::labels::ObjectKind;
use crate::observed::Observed;
use crate::plan::readiness::is_ready;
use crate::plan::secrets::referenced_secrets;
use crate::plan::{Plan, PlannedModel};

/// Our Secrets that nothing references. They are kept during a rollout, because pods of the previous version may
/// restart.
pub fn unused(plan: &Plan, observed: &Observed, identity: &Identity) -> Vec<Delete> {
    let in_use = |planned: &PlannedModel, name: &String| {
        let live = observed.seldon_deployment(&planned.model.name);
        !is_ready(planned, observed)
            || referenced_secrets(&planned.deployment).contains(name)
            || live.is_some_and(|live| referenced_secrets(&live.data).contains(name))
    };
    observed
        .secrets
        .iter()
        .map(|secret| &secret.0)
        .filter(|object| identity.owns(object) && object.metadata.deletion_timestamp.is_none())
        .map(|object| Delete::of(ObjectKind::Secret, object))
        .filter(|delete| !plan.frozen.contains(&delete.model))
        .filter(|delete| {
            !plan
                .model(&delete.model)
                .is_some_and(|planned| in_use(planned, &delete.name))
        })
        .collect()
}

pub fn unread(planned: &PlannedModel) -> Vec<Unread> {
    let unread = planned.secrets.iter().filter(|secret| secret.is_unread());
    unread
        .map(|secret| Unread {
            model: planned.model.name.clone(),
            name: secret.name.clone(),
            uri: secret.uri.clone(),
        })
        .collect()
}

/// The planned Secret with the live one's owners, so that a comparison ignores them.
pub fn as_owned(desired: &Value, live: &Value) -> Value {
    let mut desired = desired.clone();
    if let Some(metadata) = desired.get_mut("metadata").and_then(Value::as_object_mut) {
        let owners = live.pointer("/metadata/ownerReferences").cloned().unwrap_or_default();
        metadata.insert("ownerReferences".to_owned(), owners);
    }
    desired
}
