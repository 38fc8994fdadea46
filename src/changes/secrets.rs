//! When Secrets may be deleted, and which Juju secrets have to be read.

use kube::ResourceExt as _;
use kube::api::DynamicObject;
use serde_json::Value;

use super::{Delete, Unread, model_of};
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
        .map(|object| Delete {
            model: model_of(object),
            kind: ObjectKind::Secret,
            name: object.name_any(),
            uid: object.uid(),
        })
        .filter(|delete| !plan.frozen.contains(&delete.model))
        .filter(|delete| {
            !plan
                .model(&delete.model)
                .is_some_and(|planned| in_use(planned, &delete.name))
        })
        .collect()
}

pub fn unread(planned: &PlannedModel) -> Vec<Unread> {
    let unread = planned.secrets.iter().filter(|secret| secret.object().is_none());
    unread
        .map(|secret| Unread {
            model: planned.model.name.clone(),
            name: secret.name.clone(),
            uri: secret.uri.clone(),
        })
        .collect()
}

/// The names of planned Secrets that are not among the observed ones.
pub fn unobserved(plan: &Plan, observed: &Observed) -> Vec<String> {
    let planned = plan.models.iter().flat_map(|planned| &planned.secrets);
    let secrets = planned.filter(|secret| observed.secret(&secret.name).is_none());
    secrets.map(|secret| secret.name.clone()).collect()
}

/// The planned Secret with the live one's owners, so that a comparison ignores them.
pub fn as_owned(desired: &Value, live: &DynamicObject) -> Value {
    let mut desired = desired.clone();
    if let Some(metadata) = desired.get_mut("metadata").and_then(Value::as_object_mut) {
        let owners = serde_json::to_value(&live.metadata.owner_references).unwrap_or_default();
        metadata.insert("ownerReferences".to_owned(), owners);
    }
    desired
}
